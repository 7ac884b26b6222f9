"""One line of text to one parse tree, by the grammar, with mistakes said in words."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from lark import Lark, Token, Tree, UnexpectedCharacters, UnexpectedEOF, UnexpectedInput, UnexpectedToken

from derive.language.errors import BadSyntax, TooLarge
from derive.language.expression import Span
from derive.language.lines import MAX_NESTING, Source, at
from derive.language.spelling import Spelt

Node = Tree[Token]


def subtrees(node: Node) -> list[Node]:
    """The children of ``node`` that are trees."""
    return [child for child in node.children if isinstance(child, Tree)]


def first(node: Node) -> Node:
    """The first child of ``node`` that is a tree."""
    return next(child for child in node.children if isinstance(child, Tree))


def words_in(node: Node) -> Iterator[Token]:
    """Every word and sign in ``node``; a long product is a deep tree, so this does not recurse."""
    stack: list[Node | Token] = [node]
    while stack:
        part = stack.pop()
        if isinstance(part, Token):
            yield part
        else:
            stack += reversed(part.children)


def word(node: Node) -> Token:
    """The first child of ``node`` that is a word or a sign."""
    return next(child for child in node.children if isinstance(child, Token))


STARTS = ("equation", "expression_line", "declarations", "starts", "ranges", "bindings")

WORDS = {
    "NAME": "a name", "NUMBER": "a number", "SPACE": "R", "TIMES": "x", "SIGN": "+ or -", "EQUAL": "=",
    "COMMA": "a comma", "LPAR": "(", "RPAR": ")", "LSQB": "[", "RSQB": "]", "LBRACE": "{", "RBRACE": "}",
    "LESSTHAN": "<", "MORETHAN": ">", "IN": "in", "IS": "is", "FOR": "for", "OF": "of", "AND": "and",
    "CIRCUMFLEX": "^", "AT_MOST": "<=", "DIVIDES": "divides", "DOWN": "down", "UP": "up", "TO": "to",
    "$END": "the end of the line", "STAR": "*",
}  # fmt: skip
"""Terminals that are worth naming in a message; the others stay unmentioned."""

FORMS = {
    "equation": "An equation has one name on the left: h^t = f(W x^t + U h^{t-1})",
    "expression_line": "An expression looks like W x^t + U h^{t-1}",
    "declarations": "Declare arrays like this: x^t in R^d for t = 1..T, W in R^(n x d), y in R",
    "starts": "Give first values like this: start h^0 = 0, or start h^0 in R^n where the caller gives it",
    "ranges": "A loop looks like this: for t = 1..T:",
    "bindings": "Bind functions like this: where f is tanh, g is opaque",
}

_NESTING = frozenset(
    [
        "group",
        "arguments",
        "raised",
        "raised_each",
        "primed",
        "transposed",
        "subscripted",
        "bracketed",
        "inner",
        "fraction",
        "signed",
        "sum",
        "sum_free",
        "sum_bounds",
        "sum_name",
        "logsumexp_over",
        "softmax_over",
        "maximum",
        "share",
        "ordered",
        "guard",
        "exponent",
    ]
)


@lru_cache(maxsize=1)
def _parser() -> Lark:
    grammar = Path(__file__).with_name("grammar.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", start=list(STARTS), propagate_positions=True, maybe_placeholders=False)


def read_tree(source: Source, rest: Spelt, start: str) -> Node:
    """The parse tree of ``rest`` as a line of the kind ``start``."""
    try:
        tree = _parser().parse(rest.text, start=start)
    except UnexpectedInput as error:
        raise _syntax(source, rest, error, start) from None
    _check_depth(tree, source, rest)
    return tree


def place(source: Source, rest: Spelt, node: Node | Token) -> Span:
    """Where ``node`` stands in ``source``."""
    if isinstance(node, Token):
        return at(source, rest, node.start_pos or 0, node.end_pos or 1)
    if node.meta.empty:
        return at(source, rest, 0, len(rest.text))
    return at(source, rest, node.meta.start_pos, node.meta.end_pos)


def _check_depth(tree: Node, source: Source, rest: Spelt) -> None:
    stack: list[tuple[Node, int]] = [(tree, 0)]
    while stack:
        node, depth = stack.pop()
        depth += node.data in _NESTING
        if depth > MAX_NESTING:
            raise TooLarge(
                f"Expressions are nested more than {MAX_NESTING} deep.",
                place(source, rest, node),
                "Give the inner parts names of their own.",
            )
        stack += [(child, depth) for child in node.children if isinstance(child, Tree)]


def _syntax(source: Source, rest: Spelt, error: UnexpectedInput, start: str) -> BadSyntax:
    text = rest.text
    match error:
        case UnexpectedToken(token=token) if token.type != "$END":
            begin, end = token.start_pos or 0, token.end_pos or 1
            found = f"'{token}' does not fit here"
            expected = error.accepts or error.expected
        case UnexpectedCharacters():
            begin, end = error.pos_in_stream or 0, (error.pos_in_stream or 0) + 1
            found = f"'{text[begin]}' does not fit here"
            expected = error.allowed or set()
        case UnexpectedEOF() | _:
            begin = end = len(text.rstrip())
            found = "Something is missing at the end"
            expected = getattr(error, "accepts", None) or getattr(error, "expected", set())
    named = sorted(WORDS[name] for name in expected if name in WORDS)
    message = (
        f"{found}; expected {', '.join(named[:-1])}{' or ' if named[:-1] else ''}{named[-1]}." if named else f"{found}."
    )
    return BadSyntax(message, at(source, rest, begin, end), HINTS.get(text[begin : begin + 1], FORMS[start]))


HINTS = {
    "×": "Write A B for the matrix product, a .* b entry by entry, s * a with a number.",
    "\\": "This LaTeX command is not known here.",
    ";": "Write one equation a line.",
    "!": "There is no factorial here.",
    "|": "Write <a, a> for the squared norm of a vector.",
}
