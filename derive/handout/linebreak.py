"""Displays wider than the text block, broken once for every writer by their true widths.

A display breaks before relations, then before + and −, after a comma that a quad follows, and, if a piece is still too
wide, beside its brackets of conditions or inside its parentheses. What cannot be broken is scaled to fit. The result is
an ``Aligned``.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from .blocks import AnswerKey, Block, Chain, Display, Document, Exercises, Proof, Step, Teacher, chain_line
from .formula import Aligned, Boxed, Fence, Formula, Fraction, Operator, Row, Scaled, Scripts, Space, Words, flat
from .measure import NUMBER_WIDTH, TEXT_WIDTH, widths
from .numbering import walk
from .symbols import OPERATORS

INDENT = 24.0  # points: the indentation of exercises, answers and details
STEP_INSET = 12.0  # points: the rule at the left of a step
CHAIN_INSET = 18.0  # points
REASON_WIDTH = 125.0  # points a chain must leave for its reasons to stand beside the lines
JOIN = 5.0  # points: at most this much space stands between two pieces of a line
HANG = 16.0  # points: the indentation of a continued line
SAFE = 0.99  # lines and gaps do not scale exactly with the letters
CONTINUATION: tuple[Formula, ...] = (Space("quad"), Words(""))  # the empty words are the left operand of a + or −
Items = tuple[Formula, ...]


def fit(document: Document) -> Document:
    """The document with no display wider than its place."""
    wanted: list[Formula] = []
    for block in walk(document.blocks):
        for node in _displays(block):
            wanted.extend(_pieces(node))
    return replace(document, blocks=_fit_all(document.blocks, TEXT_WIDTH, widths(wanted)))


def fit_formula(node: Formula, limit: float) -> Formula:
    """One formula, broken or scaled to be at most ``limit`` points wide."""
    return _fit(node, limit, widths(_pieces(node)))


def _displays(block: Block) -> list[Formula]:
    match block:
        case Display(node) | Step(formula=node):
            return [node]
        case Chain(left, rows):
            return [left, *(chain_line(relation, node) for relation, node, _ in rows)]
        case _:
            return []


def _fit_all(blocks: tuple[Block, ...], limit: float, known: dict[Formula, float]) -> tuple[Block, ...]:
    """Every block anew, so that each is an object of its own, with its displays fitted."""

    def inside(inner: tuple[Block, ...], less: float = INDENT) -> tuple[Block, ...]:
        return _fit_all(inner, limit - less, known)

    result: list[Block] = []
    for block in blocks:
        match block:
            case Display(node, name):
                result.append(replace(block, formula=_fit(node, limit - (2 * NUMBER_WIDTH if name else 0), known)))
            case Step(formula=node, details=details):
                formula = _fit(node, limit - STEP_INSET - 2 * NUMBER_WIDTH, known)
                result.append(replace(block, formula=formula, details=inside(details)))
            case Chain():
                result.append(_fit_chain(block, limit, known))
            case Proof(inner):
                result.append(Proof(inside(inner, 0)))
            case Teacher(inner):
                result.append(Teacher(inside(inner)))
            case Exercises(exercises):
                result.append(Exercises(tuple(
                    replace(one, question=inside(one.question), answer=inside(one.answer)) for one in exercises
                )))  # fmt: skip
            case AnswerKey(answers):
                result.append(AnswerKey(tuple((number, inside(answer)) for number, answer in answers)))
            case _:
                result.append(replace(block))
    return tuple(result)


def _fit_chain(block: Chain, limit: float, known: dict[Formula, float]) -> Chain:
    left = known[block.left]
    room = limit - NUMBER_WIDTH - CHAIN_INSET - left - 18
    widest = max(known[chain_line(relation, node)] for relation, node, _ in block.rows)
    if any(reason for _, _, reason in block.rows) and widest + REASON_WIDTH <= room:
        return replace(block, stacked=False)
    rows = tuple(
        (relation, node, reason) if known[chain_line(relation, node)] <= room
        else ("", _fit(chain_line(relation, node), room, known), reason)
        for relation, node, reason in block.rows
    )  # fmt: skip
    return replace(block, rows=rows, stacked=True)


def _is(item: Formula, *kinds: str) -> bool:
    return isinstance(item, Operator) and OPERATORS[item.name].kind in kinds


def _breaks_before(items: Items, i: int) -> bool:
    """A line may start at ``items[i]``: a relation, a + or − with an operand on its left, or a remark after a quad."""
    if i == 0:
        return False
    item, before = items[i], items[i - 1]
    if isinstance(before, Space) and before.name in ("quad", "qquad"):
        return i > 1
    if isinstance(item, Operator) and item.name in ("+", "-"):
        return not _is(before, "relation", "binary", "punctuation")
    return _is(item, "relation") and item not in (Operator("in"), Operator("divides"), Operator(":"))


def _chunks(node: Formula) -> list[Items]:
    """The items between the places where a line may be broken."""
    chunks: list[list[Formula]] = [[]]
    items = flat(node)
    for i, item in enumerate(items):
        if _breaks_before(items, i):
            chunks.append([])
        chunks[-1].append(item)
    return [tuple(chunk) for chunk in chunks]


def _factors(chunk: Items) -> list[Items]:
    """The chunk broken before and after brackets of conditions and before a derivative; one piece if it has none."""
    starts = {0}
    for i, item in enumerate(chunk):
        is_factor = i > 0 and not _is(chunk[i - 1], "relation", "binary", "punctuation")
        if isinstance(item, Fraction) and is_factor and isinstance(chunk[i - 1], Scripts):
            starts.add(i)
        if not isinstance(item, Fence) or item.left != "[":
            continue
        if is_factor:
            starts.add(i)
        after = i + 1 + (chunk[i + 1 : i + 2] == (Space("thin"),))
        starts |= {after} if after < len(chunk) else set()
    places = [*sorted(starts), len(chunk)]
    return [chunk[begin:end] for begin, end in pairwise(places)]


def _listed(fence: Fence) -> list[Items]:
    """What stands between the commas in a bracket of conditions; nothing if it has no comma."""
    items = flat(fence.body)
    commas = [i + 1 for i, item in enumerate(items) if item == Operator(",")] if fence.left == "[" else []
    places = [0, *commas, len(items)]
    return [items[begin:end] for begin, end in pairwise(places)] if commas else []


def _opened(chunk: Items) -> list[Items]:
    """The chunk broken inside its last fence that can be broken; one piece if it has none."""
    for i in range(len(chunk) - 1, -1, -1):
        item = chunk[i]
        fence = item.base if isinstance(item, Scripts) else item
        if not isinstance(fence, Fence):
            continue
        inner = _listed(fence) or _chunks(fence.body)
        if len(inner) == 1:
            continue
        first = Fence(fence.left, Row(inner[0]), "", fence.grow)
        last: Formula = Fence("", Row(inner[-1]), fence.right, fence.grow)
        if isinstance(item, Scripts):
            last = Scripts(last, item.sub, item.sup)
        return [(*chunk[:i], first), *inner[1:-1], (last, *chunk[i + 1 :])]
    return [chunk]


def _pieces(node: Formula) -> list[Formula]:
    """Every formula whose width may be needed to fit this one."""
    match node:
        case Aligned(rows):
            parts = [part for pair in rows for part in pair]
            return [node, *(piece for part in parts for piece in _pieces(part))]
        case Boxed(body):
            return [node, *_pieces(body)]
        case _:
            chunks = _chunks(node)
            factors = [piece for chunk in chunks for piece in _factors(chunk)]
            opened = [piece for chunk in (*chunks, *factors) for piece in _opened(chunk)]
            return [node, *(Row(chunk) for chunk in (*chunks, *factors, *opened))]


def _fit(node: Formula, limit: float, known: dict[Formula, float]) -> Formula:
    if known[node] <= limit:
        return node
    match node:
        case Aligned(rows):
            return _fit_aligned(rows, limit, known)
        case Boxed(body):
            return Boxed(_fit(body, limit - 12, known))
        case _:
            lines, width = _lines(node, limit, known)
    if len(lines) == 1:
        return Scaled(node, SAFE * limit / known[node])
    result = Aligned(tuple(lines))
    return result if width <= limit else Scaled(result, SAFE * limit / width)


def _fit_aligned(rows: tuple[tuple[Formula, Formula], ...], limit: float, known: dict[Formula, float]) -> Formula:
    left = max(known[lhs] for lhs, _ in rows)
    room = limit - left
    lines: list[tuple[Formula, Formula]] = []
    widest = 0.0
    for lhs, rhs in rows:
        if known[rhs] <= room:
            lines.append((lhs, rhs))
            widest = max(widest, known[rhs])
            continue
        filled, width = _fill(_split(_chunks(rhs), room, known), room, known, hang=True)
        lines.extend((lhs if i == 0 else Row(()), line) for i, line in enumerate(filled))
        widest = max(widest, width)
    result = Aligned(tuple(lines))
    return result if widest <= room else Scaled(result, SAFE * limit / (left + widest))


def _split(chunks: list[Items], room: float, known: dict[Formula, float]) -> list[Items]:
    """The chunks, those too wide for a line broken at their brackets, and what is still too wide opened inside."""
    result: list[Items] = []
    for chunk in chunks:
        for piece in _factors(chunk) if known[Row(chunk)] > room else [chunk]:
            result.extend(_opened(piece) if known[Row(piece)] > room else [piece])
    return result


def _lines(node: Formula, limit: float, known: dict[Formula, float]) -> tuple[list[tuple[Formula, Formula]], float]:
    """The formula as lines (left part, right part), and the width of the widest."""
    chunks = _chunks(node)
    head = 0
    while head < len(chunks) and not (chunks[head] and _is(chunks[head][0], "relation")):
        head += 1
    left = Row(tuple(item for chunk in chunks[:head] for item in chunk))
    left_width = sum(known[Row(chunk)] + JOIN for chunk in chunks[:head])
    if head == len(chunks) or left_width > 0.4 * limit:
        filled, width = _fill(_split(chunks, limit, known), limit, known, hang=True)
        return [(Row(()), line) for line in filled], width
    room = limit - left_width
    filled, width = _fill(_split(chunks[head:], room, known), room, known, hang=True)
    return [(left if i == 0 else Row(()), line) for i, line in enumerate(filled)], left_width + width


def _fill(chunks: list[Items], room: float, known: dict[Formula, float], hang: bool) -> tuple[list[Formula], float]:
    """Lines filled with chunks: each relation starts one, until a quad says that a side condition follows."""
    lines: list[tuple[list[Formula], float]] = []
    aside = False
    for chunk in chunks:
        width = known[Row(chunk)] + JOIN
        relation = _is(chunk[0], "relation")
        starts = not lines or (relation and not aside) or lines[-1][1] + width > room
        aside = aside or any(isinstance(item, Space) and item.name in ("quad", "qquad") for item in chunk)
        if not starts:
            lines[-1] = ([*lines[-1][0], *chunk], lines[-1][1] + width)
        elif lines and not relation and hang:
            lines.append(([*CONTINUATION, *chunk], width + HANG))
        else:
            lines.append((list(chunk), width))
    return [Row(tuple(items)) for items, _ in lines], max(width for _, width in lines)
