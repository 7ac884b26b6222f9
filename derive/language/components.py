"""Names with components: what ``H^D`` under sizes or index stands for wherever H is written, on text and on trees.

For D = 2, ``x[c, s*i + a]`` is ``x[c, s_1*i_1 + a_1, s_2*i_2 + a_2]``: an entry of a list that mentions such a name
stands for one entry for each component, a condition for all of them, and ``prod(R)`` for the product R_1 R_2. For D = 1
the names stay as they are written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from lark import Token, Tree

from derive.language.errors import BadSyntax, RangeError, TooLarge, join_names
from derive.language.expression import Span
from derive.language.lines import MAX_BYTES
from derive.language.reading import Node, subtrees, word, words_in
from derive.language.spelling import Spelt

MAX_COMPONENTS = 8

AXIS = "axis"
"""The number of the component, from 0, in what is written out component by component."""

LISTS = frozenset({"items", "sum_ranges", "for_ranges", "ranges", "dimensions", "conditions"})
"""Rules of the grammar whose parts are the entries of a list."""

_PRODUCT = re.compile(r"\bprod\s*\(")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)*")

Place = Callable[["Node | Token"], Span]


@dataclass(frozen=True)
class Families:
    """How many components each name has that was declared with some, and the symbols that these are."""

    counts: Mapping[str, int] = field(default_factory=dict)

    def component(self, name: str, number: int) -> str:
        """The component of ``name`` with that number from 1 on; H itself where it has one component only."""
        return f"{name}_{number}" if self.counts.get(name, 1) > 1 else name

    def components(self, name: str) -> tuple[str, ...]:
        """All that ``name`` stands for."""
        return tuple(self.component(name, number) for number in range(1, self.counts.get(name, 1) + 1))

    def count(self, names: set[str], span: Span) -> int:
        """The number of components that what mentions ``names`` has; RangeError where they disagree."""
        found = {name: self.counts[name] for name in sorted(names) if self.counts.get(name, 1) > 1}
        if len(set(found.values())) > 1:
            listed = join_names(f"{name} has {number}" for name, number in found.items())
            repair = "Names that stand together have equally many."
            raise RangeError(f"The numbers of components differ: {listed}.", span, repair)
        return next(iter(found.values()), 1)


# Text -----------------------------------------------------------------------------------------------------------------


def with_products(rest: Spelt, families: Families, span: Span) -> Spelt:
    """``rest`` with every ``prod(e)`` written out: ((e_1) * (e_2)), each part standing where e stood."""
    if not families.counts:
        return rest
    while found := list(_PRODUCT.finditer(rest.text)):
        start, open_at = found[-1].start(), found[-1].end() - 1
        close = _closing(rest.text, open_at)
        if close is None:
            raise BadSyntax("The bracket of prod is not closed.", span, "For example prod(R).")
        inner = rest.slice(open_at + 1, close)
        names = set(_NAME.findall(inner.text)) & families.counts.keys()
        if not names:
            message = "prod multiplies the components of a name, and none is mentioned in it."
            raise BadSyntax(message, span, f"For example prod({next(iter(families.counts))}).")
        brackets = rest.slice(open_at, open_at + 1), rest.slice(close, close + 1), _sign("*", rest, start)
        begin, end, times = brackets
        pieces = [rest.slice(0, start), begin]
        for number in range(1, families.count(names, span) + 1):
            pieces += [*([times] if number > 1 else []), begin, text_component(inner, number, families), end]
        rest = _joined([*pieces, end, rest.slice(close + 1)])
        if len(rest.text) > MAX_BYTES:
            raise TooLarge("The products written out are too long.", span, "Do not put one prod into another.")
    return rest


def text_component(rest: Spelt, number: int, families: Families) -> Spelt:
    """``rest`` with every name replaced by its component, and axis by the number of the component, from 0."""
    pieces: list[Spelt] = []
    position = 0
    for match in _NAME.finditer(rest.text):
        name = match.group()
        new = str(number - 1) if name == AXIS else families.component(name, number)
        if new != name:
            first, last = rest.offsets(match.start(), match.end())
            pieces += [rest.slice(position, match.start()), Spelt(new, (first,) * len(new), (last,) * len(new))]
            position = match.end()
    return _joined([*pieces, rest.slice(position)])


def _sign(text: str, rest: Spelt, position: int) -> Spelt:
    return Spelt(text, rest.starts[position : position + 1], rest.ends[position : position + 1])


def _joined(pieces: list[Spelt]) -> Spelt:
    starts = tuple(start for piece in pieces for start in piece.starts)
    ends = tuple(end for piece in pieces for end in piece.ends)
    return Spelt("".join(piece.text for piece in pieces), starts, ends)


def _closing(text: str, start: int) -> int | None:
    depth = 0
    for position in range(start, len(text)):
        depth += (text[position] == "(") - (text[position] == ")")
        if depth == 0:
            return position
    return None


# Trees ----------------------------------------------------------------------------------------------------------------


def written_out(tree: Node, families: Families, place: Place) -> Node:
    """``tree`` with every entry of a list, every range and every condition written out component by component."""
    if not any(number > 1 for number in families.counts.values()):
        return tree
    return _visited(tree, families, place)


def _visited(node: Node, families: Families, place: Place) -> Node:
    match node.data:
        case "exponent_atom" if _count(node, families, place) > 1:
            power = Tree("signed", node.children, node.meta) if len(node.children) > 1 else subtrees(node)[0]
            return Tree("exponent", [Tree("items", _entries(power, families, place), node.meta)], node.meta)
        case "guard" | "bracketed":
            return _conditions(node, families, place)
        case "sum_name" | "sum_bounds" if _count(node, families, place, own=True) > 1:
            return _sums(node, families, place)
        case data:
            return Tree(
                data, [part for child in node.children for part in _part(child, data, families, place)], node.meta
            )


def _part(child: Node | Token, data: str, families: Families, place: Place) -> list[Node | Token]:
    """What a child of a node becomes: several entries in a list, else one."""
    if isinstance(child, Token):
        _refuse(child, families, place)
        return [child]
    return _entries(child, families, place) if data in LISTS else [_visited(child, families, place)]


def _refuse(token: Token, families: Families, place: Place) -> None:
    if token.type == "NAME" and (number := families.counts.get(str(token), 1)) > 1:
        repair = f"Write prod({token}) for their product, or one of them, {families.component(str(token), 1)}."
        raise BadSyntax(f"{token} has {number} components, and here stands one number.", place(token), repair)


def _count(node: Node, families: Families, place: Place, own: bool = False) -> int:
    """How many components ``node`` stands for; ``own``: only by the words directly in it."""
    tokens = [child for child in node.children if isinstance(child, Token)] if own else words_in(node)
    names = {part for token in tokens for part in (str(token), _summed(token))}
    return families.count(names & families.counts.keys(), place(node))


def _summed(token: Token) -> str:
    return token.split("_", 1)[1].strip() if token.type == "SUM_NAME" else ""


def _entries(node: Node, families: Families, place: Place) -> list[Node | Token]:
    number = _count(node, families, place)
    if node.data == "range" and number > 1 and (name := word(node)) not in families.counts:
        message = f"{name} runs over one range, and its ends have {number} components."
        raise BadSyntax(message, place(node), f"Declare it: index {name}^{number}.")
    return [tree_component(node, k, families) for k in range(1, number + 1)] if number > 1 else [node]


def tree_component(node: Node, number: int, families: Families) -> Node:
    """``node`` with every name replaced by its component."""
    children: list[Node | Token] = []
    for child in node.children:
        if isinstance(child, Tree):
            children.append(tree_component(child, number, families))
        elif child.type == "NAME" and str(child) == AXIS:
            return Tree("number", [Token.new_borrow_pos("NUMBER", str(number - 1), child)], node.meta)
        elif child.type == "NAME":
            children.append(child.update(value=families.component(str(child), number)))
        else:
            children.append(child)
    return Tree(node.data, children, node.meta)


def _conditions(node: Node, families: Families, place: Place) -> Node:
    """[c] a as [c_1] [c_2] a; a[c] as a[c_1][c_2]."""
    trees = subtrees(node)
    before = node.data == "guard"
    condition, rest = (trees[0], trees[1:]) if before else (trees[1], trees[:1])
    body = [_visited(tree, families, place) for tree in rest]
    others = [child for child in node.children if isinstance(child, Token)]
    entries = _entries(condition, families, place)
    for entry in reversed(entries) if before else entries:
        parts: list[Node | Token] = [entry, *others, *body] if before else [*body, entry]
        body = [Tree(node.data, parts, node.meta)]
    return body[0]


def _sums(node: Node, families: Families, place: Place) -> Node:
    """sum_{a=0}^{R-1} as one sum in another."""
    *bounds, body = node.children
    assert isinstance(body, Tree)
    found = _visited(body, families, place)
    head = Tree(node.data, bounds, node.meta)
    for number in reversed(range(1, _count(node, families, place, own=True) + 1)):
        token = next(child for child in bounds if isinstance(child, Token) and child.type in ("SUM_NAME", "NAME"))
        if token.type == "SUM_NAME":
            name = families.component(_summed(token), number)
            found = Tree(node.data, [token.update(value=f"sum_{name}"), found], node.meta)
        else:
            found = Tree(node.data, [*tree_component(head, number, families).children, found], node.meta)
    return found
