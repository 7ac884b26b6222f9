"""Numbers and references, resolved once for every writer, and badges made from evidence records."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from ..evidence import Evidence
from .blocks import (
    AnswerKey,
    Block,
    Chain,
    Display,
    Document,
    DocumentError,
    EvidenceTable,
    Exercises,
    Figure,
    Frames,
    Grid,
    Heading,
    Inlines,
    Items,
    Listing,
    Note,
    Paragraph,
    Proof,
    Reference,
    Step,
    Table,
    Teacher,
    children,
)
from .drawing import svg_root

Kind = Literal["section", "subsection", "equation", "step", "table", "figure", "listing", "exercise"]
WORDS: dict[Kind, str] = {
    "section": "Section ", "subsection": "Section ", "equation": "", "step": "Step ", "table": "Table ",
    "figure": "Figure ", "listing": "Listing ", "exercise": "Exercise ",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Number:
    """What kind of thing is numbered, its number, and the id of the place a link to it leads to."""

    kind: Kind
    value: str
    anchor: str

    @property
    def text(self) -> str:
        """``Step 3``, ``Table 1`` or ``(7)``: the words of a reference to it."""
        return f"({self.value})" if self.kind == "equation" else WORDS[self.kind] + self.value


@dataclass(slots=True)
class Numbers:
    """The numbers of a document: by id for references, and of each block by its identity for writers."""

    by_id: dict[str, Number] = field(default_factory=dict)
    by_block: dict[int, tuple[Number, ...]] = field(default_factory=dict)
    referenced: set[str] = field(default_factory=set)

    def of(self, block: object) -> tuple[Number, ...]:
        """The numbers of a block in their order: a step has its own and its equation's, a chain one a line."""
        return self.by_block.get(id(block), ())

    def reference(self, name: str) -> Number:
        """The number that a ``Reference`` stands for."""
        return self.by_id[name]


def walk(blocks: Iterable[Block]) -> Iterator[Block]:
    """Every block in reading order, those inside others after the one that holds them."""
    for block in blocks:
        yield block
        yield from walk(children(block))


def sentences(block: Block) -> tuple[Inlines, ...]:
    """The inline texts that stand directly in a block."""
    match block:
        case Paragraph(inlines):
            return (inlines,)
        case Step(title=title, reason=reason):
            return (title, reason)
        case Chain(rows=rows):
            return tuple(reason for _, _, reason in rows)
        case Table(header=header, rows=rows, caption=caption):
            return (caption, *header, *(cell for cells in rows for cell in cells))
        case Listing(caption=caption) | Figure(caption=caption) | EvidenceTable(caption=caption):
            return (caption,)
        case Grid(caption=caption) | Frames(caption=caption):
            return (caption,)
        case Note(body=body):
            return (body,)
        case Items(items):
            return items
        case _:
            return ()


def numbered(document: Document) -> Numbers:
    """The numbers of a document whose references all resolve and whose evidence all passes; else ``DocumentError``.

    The main text counts 1, 2, 3 in every edition; what stands in the details of step 4 counts 4a, 4b, in teacher blocks
    T1, T2 and in the answer key A1, A2, so that leaving these out changes no other number.
    """
    numbers = Numbers()
    _number(document.blocks, _Counter(), numbers)
    for block in walk(document.blocks):
        _resolve(block, numbers)
    return numbers


@dataclass(slots=True)
class _Counter:
    """Counts each kind of thing; ``prefix`` or, in details, the ``parent`` number of that kind marks the place."""

    prefix: str = ""
    parent: dict[Kind, str] = field(default_factory=dict)
    counts: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(WORDS, 0))
    teacher: list[_Counter] = field(default_factory=list)

    def next(self, kind: Kind) -> str:
        self.counts[kind] += 1
        count = self.counts[kind]
        if self.parent:
            return self.parent[kind] + chr(ord("a") + (count - 1) % 26) * (1 + (count - 1) // 26)
        return f"{self.prefix}{count}"


def _number(blocks: Iterable[Block], counter: _Counter, numbers: Numbers) -> None:
    def give(block: object, *entries: tuple[Kind, str]) -> tuple[Number, ...]:
        given = tuple(_register(numbers, kind, counter.next(kind), name) for kind, name in entries)
        numbers.by_block[id(block)] = given
        return given

    for block in blocks:
        match block:
            case Heading(level=1, id=name):
                give(block, ("section", name))
                counter.counts["subsection"] = 0
            case Heading(id=name):
                value = f"{counter.prefix}{counter.counts['section']}.{counter.next('subsection')}"
                numbers.by_block[id(block)] = (_register(numbers, "subsection", value, name),)
            case Display(id=name) if name:
                give(block, ("equation", name))
            case Step(id=name):
                check(block.evidence, f"step {plain_title(block.title)!r}")
                step, equation = give(block, ("step", name), ("equation", f"{name}.equation" if name else ""))
                parent: dict[Kind, str] = {kind: equation.value if kind == "equation" else step.value for kind in WORDS}
                _number(block.details, _Counter(parent=parent), numbers)
            case Chain(rows=rows, id=name):
                lines: list[tuple[Kind, str]] = [
                    ("equation", f"{name}.{i}" if name else "") for i in range(1, len(rows) + 1)
                ]
                give(block, *lines)
            case EvidenceTable(records=records, id=name):
                check(records, "the evidence table")
                give(block, ("table", name))
            case Table(id=name):
                give(block, ("table", name))
            case Figure(svg=svg, id=name):
                svg_root(svg)
                give(block, ("figure", name))
            case Grid(id=name) | Frames(id=name):
                give(block, ("figure", name))
            case Listing(caption=caption, id=name) if caption or name:
                give(block, ("listing", name))
            case Exercises(exercises):
                for exercise in exercises:
                    give(exercise, ("exercise", exercise.id))
                    _number(exercise.question, counter, numbers)
            case Proof(inside):
                _number(inside, counter, numbers)
            case Teacher(inside):
                counter.teacher = counter.teacher or [_Counter("T")]
                _number(inside, counter.teacher[0], numbers)
            case AnswerKey(answers):
                key = _Counter("A")
                for _, answer in answers:
                    _number(answer, key, numbers)
            case _:
                pass


def _register(numbers: Numbers, kind: Kind, value: str, name: str) -> Number:
    number = Number(kind, value, name or f"_{kind}-{value}")
    if name:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_.:-]*", name):
            raise DocumentError(f"an id is a letter followed by letters, digits and _ . : -, got {name!r}")
        if name in numbers.by_id:
            raise DocumentError(f"two blocks have the id {name!r}: {numbers.by_id[name].text} and {number.text}")
        numbers.by_id[name] = number
    return number


def _resolve(block: Block, numbers: Numbers) -> None:
    for inlines in sentences(block):
        for inline in inlines:
            if not isinstance(inline, Reference):
                continue
            numbers.referenced.add(inline.id)
            if inline.id not in numbers.by_id:
                known = ", ".join(sorted(numbers.by_id)) or "none"
                raise DocumentError(
                    f"a reference names {inline.id!r}, which no block of this edition has; ids: {known}"
                )


def check(records: Iterable[Evidence], where: str) -> None:
    """Raise unless every record passed: a document never shows a formula whose check failed."""
    for record in records:
        if not record.passed:
            raise DocumentError(
                f"{where}: {record.claim}: {record.witness} disagrees, error {record.error:.2g} "
                f"above the tolerance {record.tolerance:.2g}"
            )


def badge(records: Iterable[Evidence]) -> str:
    """``autodiff 2e-16 · finite differences 4e-9``: the largest error of each witness; empty without records."""
    worst: dict[str, float] = {}
    for record in records:
        worst[record.witness] = max(record.error, worst.get(record.witness, 0.0))
    return " · ".join(f"{witness} {magnitude(error)}" for witness, error in worst.items())


def magnitude(error: float) -> str:
    """One significant digit: ``2e-16``; ``0`` for an exact agreement."""
    return "0" if error == 0 else f"{error:.0e}".replace("e-0", "e-")


def plain_title(inlines: Inlines) -> str:
    """The strings of an inline text, for messages and file names."""
    return "".join(inline if isinstance(inline, str) else getattr(inline, "text", "…") for inline in inlines)
