"""The statements of a definition sorted into sections, read as trees; nothing is resolved yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from lark import Token, Tree

from derive.language.access import Parts, access_parts
from derive.language.components import Families, with_products, written_out
from derive.language.conventions import convention
from derive.language.errors import BadSyntax, RedefinedName, TooLarge, UnknownFunction, did_you_mean
from derive.language.expression import Integer, Span
from derive.language.functions import FUNCTIONS
from derive.language.lines import FREE_TEXT, KEYWORDS, Source, Statement, expect_text
from derive.language.options import OPAQUE, Choices, chosen
from derive.language.reading import Node, place, read_tree, subtrees, word, words_in
from derive.language.sizes import Sizes, read_sizes
from derive.language.spelling import Spelt
from derive.language.system import Option

MAX_ARRAYS = 300


@dataclass(frozen=True)
class Declared:
    """One declared name: its target, its space, and the ranges of its superscripts, as trees."""

    role: str
    target: Node
    space: Node
    ranges: tuple[Node, ...]
    description: str
    place: Callable[[Node | Token], Span]
    structure: str = ""


@dataclass(frozen=True)
class Written:
    """One equation as written, with the ranges of its loop and of its own 'for'."""

    target: Parts
    left: Node
    value: Node
    ranges: tuple[Node, ...]
    place: Callable[[Node | Token], Span]

    @property
    def name(self) -> str:
        return str(self.target.name)


@dataclass(frozen=True)
class Begun:
    """Boundary values as written: an expression, a space, or both; without an expression the caller gives it."""

    target: Parts
    left: Node
    value: Node | None
    space: Node | None
    ranges: tuple[Node, ...]
    place: Callable[[Node | Token], Span]


@dataclass
class Draft:
    """What the sections of a text say."""

    source: Source
    title: str = ""
    sources: list[str] = field(default_factory=list)
    options: tuple[Option, ...] = ()
    all_sizes: Sizes = field(default_factory=Sizes)
    declared: list[Declared] = field(default_factory=list)
    starts: list[Begun] = field(default_factory=list)
    equations: list[Written] = field(default_factory=list)
    functions: dict[str, str] = field(default_factory=dict)
    conventions: list[tuple[str, str]] = field(default_factory=list)
    block: tuple[tuple[Node, ...], Callable[[Node | Token], Span]] | None = None
    block_span: Span | None = None
    last: Span | None = None

    @property
    def sizes(self) -> dict[str, Integer]:
        """Every size: a letter, or a number where it is fixed."""
        return self.all_sizes.values


def drafted(source: Source, found: list[Statement], choices: Choices) -> Draft:
    """The sections of ``source`` at the caller's choices."""
    found, options = chosen(found, choices)
    draft = Draft(source, options=tuple(options.options.values()), all_sizes=read_sizes(source, found, options))
    draft.functions |= options.functions
    draft.conventions += options.conventions
    families = draft.all_sizes.families
    for statement in (_without_products(entry, families) for entry in found):
        SECTIONS[statement.keyword](draft, statement)
        draft.last = statement.span
        if len(draft.declared) + len(draft.equations) + len(draft.sizes) > MAX_ARRAYS:
            raise TooLarge(
                f"There are more than {MAX_ARRAYS} arrays.", statement.span, "Split the system into smaller ones."
            )
    if draft.block is not None:
        raise BadSyntax("This loop is not closed.", draft.block_span, "Write end after its last equation.")
    taken = {str(word(entry.target)) for entry in draft.declared} | {entry.name for entry in draft.equations}
    _check_names(draft, families)
    draft.equations = [_with_subscripts(entry, taken, draft.sizes) for entry in draft.equations]
    return draft


def _without_products(statement: Statement, families: Families) -> Statement:
    if statement.keyword in FREE_TEXT:
        return statement
    return replace(statement, rest=with_products(statement.rest, families, statement.span))


def _check_names(draft: Draft, families: Families) -> None:
    """Refuse arrays that are called like a name with components."""
    places = [(str(word(entry.target)), entry.place(entry.target)) for entry in draft.declared]
    for name, span in (*places, *((entry.name, entry.place(entry.left)) for entry in draft.equations)):
        if name in families.counts:
            raise RedefinedName(f"{name} is declared under sizes or index.", span, "Give one of the two another name.")


def _tree(draft: Draft, rest: Spelt, start: str) -> Node:
    """The parse tree of ``rest``, names with components written out."""
    tree = read_tree(draft.source, rest, start)
    return written_out(tree, draft.all_sizes.families, lambda node: place(draft.source, rest, node))


def _already_read(draft: Draft, statement: Statement) -> None:
    """Options, sizes and indices are read before everything else."""


def _with_subscripts(entry: Written, taken: set[str], sizes: dict[str, Integer]) -> Written:
    """z_i on the left is the entry i of z where the right side uses i as an index; otherwise z_i is a name."""
    stem, _, tail = entry.name.rpartition("_")
    words = {str(token) for token in words_in(entry.value)} - taken
    letters = [tail] if tail in words else list(tail)
    indices = words | {letter for word in words for letter in word.partition("_")[2]}
    if (
        not stem
        or entry.target.subscripts
        or not all(letter.isalpha() and letter in indices - taken - {*sizes} for letter in letters)
    ):
        return entry
    marks = tuple(Tree("name", [Token("NAME", letter)], entry.left.meta) for letter in letters)
    name = entry.target.name.update(value=stem)
    return replace(entry, target=Parts(name, entry.target.superscripts, marks))


def _places(draft: Draft, statement: Statement) -> Callable[[Node | Token], Span]:
    return lambda node: place(draft.source, statement.rest, node)


def _title(draft: Draft, statement: Statement) -> None:
    if draft.title:
        raise RedefinedName("There is a title already.", statement.span, "A system has one title line.")
    draft.title = expect_text(statement.rest, statement.span, "title", "title Elman RNN")


def _source(draft: Draft, statement: Statement) -> None:
    draft.sources.append(
        expect_text(statement.rest, statement.span, "source", "source J. L. Elman, Finding structure in time, 1990")
    )


def _declarations(draft: Draft, statement: Statement) -> None:
    expect_text(statement.rest, statement.span, statement.keyword, f"{statement.keyword} W in R^(n x d)")
    tree = _tree(draft, statement.rest, "declarations")
    where = _places(draft, statement)
    waiting: list[Node] = []
    for entry in subtrees(tree):
        if entry.data == "target":
            waiting.append(entry)
        elif entry.data == "range":
            if waiting or not draft.declared:
                raise BadSyntax(
                    "A range follows what it belongs to.", where(entry), "For example x^t in R^d for t = 1..T."
                )
            before = draft.declared[-1]
            draft.declared[-1] = replace(before, ranges=(*before.ranges, entry), place=where)
        else:
            target, space, *rest = subtrees(entry)
            ranges = [part for tree in rest for part in subtrees(tree)]
            tokens = {token.type: str(token) for token in entry.children if isinstance(token, Token)}
            words, structure = tokens.get("STRING", "")[1:-1], tokens.get("STRUCTURE", "")
            for name in (*waiting, target):
                draft.declared.append(Declared(statement.keyword, name, space, tuple(ranges), words, where, structure))
            waiting = []
    if waiting:
        raise BadSyntax("These names have no space.", where(waiting[0]), "Say where they live, as in a, b in R^n.")


def _starts(draft: Draft, statement: Statement) -> None:
    expect_text(statement.rest, statement.span, "start", "start h^0 = 0")
    tree = _tree(draft, statement.rest, "starts")
    where = _places(draft, statement)
    for entry in subtrees(tree):
        left, *rest = subtrees(entry)
        parts = access_parts(left)
        if parts is None or not parts.superscripts or parts.subscripts:
            raise BadSyntax("A start names a state and a step.", where(left), "For example start h^0 = 0.")
        ranges = tuple(part for tree in rest if tree.data == "for_ranges" for part in subtrees(tree))
        space = next((tree for tree in rest if tree.data == "space"), None)
        value = None if entry.data == "start_given" else rest[0]
        draft.starts.append(Begun(parts, left, value, space, ranges, where))


def _for(draft: Draft, statement: Statement) -> None:
    if draft.block is not None:
        raise BadSyntax(
            "A loop stands inside another.",
            statement.span,
            "Close the first with end, or write for t = 1..T, s = 1..S:",
        )
    text = statement.rest.text
    head, colon, tail = text.partition(":")
    if tail.strip():
        raise BadSyntax(
            "The equations of a loop stand on lines of their own.", statement.span, "Write end after the last one."
        )
    rest = statement.rest.slice(0, len(head)) if colon else statement.rest
    expect_text(rest, statement.span, "for", "for t = 1..T:")
    tree = _tree(draft, rest, "ranges")
    draft.block = tuple(subtrees(tree)), _places(draft, statement)
    draft.block_span = statement.span


def _end(draft: Draft, statement: Statement) -> None:
    if draft.block is None:
        raise BadSyntax("There is no loop to end here.", statement.span, "A loop begins with for t = 1..T:")
    if statement.rest.text.strip():
        raise BadSyntax("Nothing follows end.", statement.span, "Write what follows on the next line.")
    draft.block = None


def _where(draft: Draft, statement: Statement) -> None:
    expect_text(statement.rest, statement.span, "where", "where f is tanh")
    tree = _tree(draft, statement.rest, "bindings")
    where = _places(draft, statement)
    for entry in subtrees(tree):
        name, row = (str(child) for child in entry.children)
        if name in draft.functions or name in FUNCTIONS:
            raise RedefinedName(
                f"The function {name} has a meaning already.",
                where(entry),
                "Bind each function once, under a new name.",
            )
        if row not in FUNCTIONS and row not in OPAQUE:
            repair = did_you_mean(
                row, FUNCTIONS, f"The functions are {', '.join(FUNCTIONS)}; or write: where {name} is opaque."
            )
            raise UnknownFunction(f"There is no function called {row}.", where(entry), repair)
        draft.functions[name] = row if row in FUNCTIONS else ""


def _convention(draft: Draft, statement: Statement) -> None:
    text = expect_text(statement.rest, statement.span, "convention", "convention slope at kink is 0")
    name, value = convention(text, statement.span)
    if name in dict(draft.conventions):
        raise RedefinedName(f"The convention '{name}' is declared twice.", statement.span, "Keep one of the two lines.")
    draft.conventions.append((name, value))


def _equation(draft: Draft, statement: Statement) -> None:
    word = statement.rest.text.split(maxsplit=1)[0]
    if "=" not in statement.rest.text:
        message = f"This line is neither an equation nor a section; it begins with '{word[:40]}'."
        listed = f"Sections begin with {', '.join(KEYWORDS)}."
        raise BadSyntax(message, statement.span, did_you_mean(word, KEYWORDS, listed))
    tree = _tree(draft, statement.rest, "equation")
    where = _places(draft, statement)
    left, value, *rest = subtrees(tree)
    parts = access_parts(left)
    if parts is None:
        raise BadSyntax(
            "On the left of an equation stands one name.", where(left), "For example h^t = f(z^t) or z^t[i] = … ."
        )
    ranges = tuple(part for tree in rest for part in subtrees(tree))
    block = draft.block[0] if draft.block else ()
    draft.equations.append(Written(parts, left, value, (*block, *ranges), _either(draft, statement, block)))


def _either(draft: Draft, statement: Statement, block: tuple[Node, ...]) -> Callable[[Node | Token], Span]:
    """Places in the statement, and for the ranges of its loop in the loop's line."""
    own = _places(draft, statement)
    if draft.block is None:
        return own
    loop = draft.block[1]
    nodes = {id(part) for entry in block for part in (*entry.iter_subtrees(), *words_in(entry))}
    return lambda node: loop(node) if id(node) in nodes else own(node)


SECTIONS: dict[str, Callable[[Draft, Statement], None]] = {
    "title": _title,
    "source": _source,
    "option": _already_read,
    "sizes": _already_read,
    "index": _already_read,
    "given": _declarations,
    "learn": _declarations,
    "start": _starts,
    "for": _for,
    "end": _end,
    "where": _where,
    "convention": _convention,
    "": _equation,
}
"""What each keyword opens; '' is an equation."""
