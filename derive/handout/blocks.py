"""The closed set of blocks and inlines that a handout is made of.

Producers return these records, writers turn them into text, and neither knows the other. An inline is a string,
a formula, a ``Reference``, a ``CodeText`` or an ``Emphasised``; paragraphs, captions and reasons are tuples of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from ..evidence import Evidence
from .formula import Formula, Operator, Row
from .grids import CELL_ROLES, Frame, GridError, Label, Panel, check_places

Edition = Literal["student", "teacher"]


class DocumentError(ValueError):
    """A document cannot be written: an id is unknown or doubled, evidence fails, or the format is not known."""


@dataclass(frozen=True, slots=True)
class Reference:
    """The number of the block with that id, as a link; ``id.equation`` and ``id.2`` name parts of steps and chains."""

    id: str


@dataclass(frozen=True, slots=True)
class CodeText:
    """A piece of source code inside a sentence."""

    text: str


@dataclass(frozen=True, slots=True)
class Emphasised:
    """Words in italics."""

    text: str


Inline: TypeAlias = str | Formula | Reference | CodeText | Emphasised
Inlines: TypeAlias = tuple[Inline, ...]


@dataclass(frozen=True, slots=True)
class Heading:
    """A numbered section heading, level 1 or 2."""

    text: str
    level: Literal[1, 2] = 1
    id: str = ""


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text."""

    inlines: Inlines


@dataclass(frozen=True, slots=True)
class Display:
    """A formula on a line of its own; one with an id is numbered."""

    formula: Formula
    id: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a derivation: what is done, the numbered result, why, by what it was checked, and the work left out.

    ``details`` unfold in HTML; on paper they are printed in the teacher edition only.
    """

    title: Inlines
    formula: Formula
    reason: Inlines
    evidence: tuple[Evidence, ...] = ()
    details: tuple[Block, ...] = ()
    id: str = ""


@dataclass(frozen=True, slots=True)
class Chain:
    """``left`` related line by line to ``rows`` of (operator name, formula, reason); every line is numbered.

    An empty operator name says that the formula starts with its own relation, as one broken to fit does.

    ``stacked`` sets each reason below its line; it is decided by measuring when the document is fitted.
    """

    left: Formula
    rows: tuple[tuple[str, Formula, Inlines], ...]
    id: str = ""
    stacked: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table with a header row and a caption; ``align`` has one of ``l``, ``c``, ``r`` a column."""

    header: tuple[Inlines, ...]
    rows: tuple[tuple[Inlines, ...], ...]
    caption: Inlines
    id: str = ""
    align: str = ""

    def __post_init__(self) -> None:
        columns = len(self.header)
        if columns == 0 or any(len(cells) != columns for cells in self.rows):
            raise DocumentError(f"a table's rows have as many cells as its header, {columns}")
        if self.align and (len(self.align) != columns or set(self.align) - set("lcr")):
            raise DocumentError(f"align is one of l, c, r for each of the {columns} columns, got {self.align!r}")


@dataclass(frozen=True, slots=True)
class Listing:
    """Source code; a ``runnable`` one becomes a code cell of a notebook."""

    source: str
    language: str = "python"
    caption: Inlines = ()
    id: str = ""
    runnable: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing as SVG text, with a caption and words for those who do not see it."""

    svg: str
    caption: Inlines
    alt: str
    id: str = ""


@dataclass(frozen=True, slots=True)
class Grid:
    """Panels of cells side by side, as a figure; ``legend`` says what a role means in this picture, in a few words."""

    panels: tuple[Panel, ...]
    caption: Inlines
    legend: tuple[tuple[str, Label], ...] = ()
    id: str = ""

    def __post_init__(self) -> None:
        _check_grid(self.panels, self.legend)


@dataclass(frozen=True, slots=True)
class Frames:
    """Panels that change frame by frame: an animation in HTML, a sequence of pictures with words on paper.

    ``panels`` is what stands before the first frame; ``things`` names the frames in the plural, such as "windows".
    """

    panels: tuple[Panel, ...]
    frames: tuple[Frame, ...]
    caption: Inlines
    legend: tuple[tuple[str, Label], ...] = ()
    things: str = "frames"
    id: str = ""

    def __post_init__(self) -> None:
        _check_grid(self.panels, self.legend, self.frames)
        if not self.frames:
            raise DocumentError("a sequence of pictures has at least one frame")


@dataclass(frozen=True, slots=True)
class Note:
    """A remark set apart, such as "Convention" or "Common mistake"."""

    kind: str
    body: Inlines


@dataclass(frozen=True, slots=True)
class Items:
    """A list, numbered if ``ordered``."""

    items: tuple[Inlines, ...]
    ordered: bool = False


@dataclass(frozen=True, slots=True)
class Proof:
    """Blocks between the word "Proof" and the sign that ends it."""

    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Exercise:
    """A question and its answer."""

    question: tuple[Block, ...]
    answer: tuple[Block, ...] = ()
    points: int = 0
    id: str = ""


@dataclass(frozen=True, slots=True)
class Exercises:
    """Numbered exercises; the answers stand in the key at the end of the teacher edition."""

    exercises: tuple[Exercise, ...]


@dataclass(frozen=True, slots=True)
class AnswerKey:
    """The answers by exercise number; made by ``edition``."""

    answers: tuple[tuple[int, tuple[Block, ...]], ...]


@dataclass(frozen=True, slots=True)
class EvidenceTable:
    """What was compared with which witness, and how closely it agreed."""

    records: tuple[Evidence, ...]
    caption: Inlines
    id: str = ""


@dataclass(frozen=True, slots=True)
class Teacher:
    """Blocks for the teacher edition only."""

    blocks: tuple[Block, ...]


Block: TypeAlias = (
    Heading | Paragraph | Display | Step | Chain | Table | Listing | Figure | Grid | Frames | Note | Items | Proof
    | Exercises | AnswerKey | EvidenceTable | Teacher
)  # fmt: skip
BLOCKS: tuple[type, ...] = get_args(Block)


@dataclass(frozen=True, slots=True)
class Document:
    """A handout. ``course`` and ``source`` stand in the head and foot of a page; ``seed`` made its random parts."""

    title: str
    blocks: tuple[Block, ...]
    subtitle: str = ""
    course: str = ""
    source: str = ""
    seed: int | None = None
    language: str = "en"
    edition: Edition = "student"


def _check_grid(
    panels: tuple[Panel, ...], legend: tuple[tuple[str, Label], ...], frames: tuple[Frame, ...] = ()
) -> None:
    if not panels:
        raise DocumentError("a picture of cells has at least one panel")
    for role, _ in legend:
        if role not in CELL_ROLES:
            raise DocumentError(f"no role of a cell is called {role!r}")
    try:
        check_places(panels, frames)
    except GridError as error:
        raise DocumentError(str(error)) from None


def chain_line(relation: str, node: Formula) -> Formula:
    """The right part of one line of a chain."""
    return Row((Operator(relation), node)) if relation else node


def children(block: Block) -> tuple[Block, ...]:
    """The blocks directly inside a block."""
    match block:
        case Step(details=inside) | Proof(inside) | Teacher(inside):
            return inside
        case Exercises(exercises):
            return tuple(inner for exercise in exercises for inner in (*exercise.question, *exercise.answer))
        case AnswerKey(answers):
            return tuple(inner for _, answer in answers for inner in answer)
        case _:
            return ()
