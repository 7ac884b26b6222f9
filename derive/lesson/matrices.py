"""The section that writes a stage out as a matrix at small sizes, and its transpose, the way back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from derive.calculus.linear_map import LinearMap
from derive.derivation import Derivation, DerivationError
from derive.evaluate import completed, fits
from derive.handout.blocks import Block, Grid, Heading, Inline, Inlines, Paragraph
from derive.handout.formula import Formula, row
from derive.handout.grids import Cell, panel
from derive.language import expression as ast
from derive.language.expression import Access, Expression
from derive.lesson.computed import Computed
from derive.lesson.example import Example
from derive.lesson.sample import ACROSS, ALONG
from derive.lesson.tables import shown
from derive.lesson.window_pictures import read_by
from derive.lesson.windows import Windowed, windowed
from derive.lesson.words import listed
from derive.notation import Names, formula, plain_name
from derive.worked.numerals import written

MOST_COLUMNS = 14
"""Columns of a matrix that can be read on a page."""
TONES = ("tone1", "tone2", "tone3", "tone4")
Sizes = Mapping[str, int]


def matrix_section(derivation: Derivation, example: Example) -> list[Block]:
    """The windows that are linear maps, each as a matrix and its transpose."""
    blocks = [block for window in windowed(derivation.forward) for block in _matrices(derivation, window, example)]
    return [Heading("As a matrix", id="matrix"), *blocks] if blocks else []


def _choice_matrix(window: Windowed, example: Example) -> Iterator[Block]:
    """A maximum with its choice held, at the numbers of the worked example: each row shows which entry was taken."""
    computed = Computed(example, window.equation)
    source = shown(window.array, example.results[window.array, ()])
    choice = example.results.get((f"argmax_{window.equation.target.name}", ()))
    entries, columns = list(computed.array.entries()), list(source.entries())
    if choice is None or max(len(entries), len(columns)) > MOST_COLUMNS:
        return
    names = example.derivation.names
    lines = [[Cell(""), *(Cell(formula(source.entry(at), names)) for at in columns)]]
    for entry, terms_ in read_by(computed, window):
        shares = {term.reads[window.array]: choice[(*entry, *term.at)] for term in terms_ if term.is_open}
        cells = [Cell(written(shares[at]), ("winner",)) if shares.get(at) else Cell("0", ("zero",)) for at in columns]
        lines.append([Cell(formula(computed.array.entry(entry), names)), *cells])
    of, wrt = computed.title, formula(Access(window.array), names)
    yield Paragraph((
        "With the choice held, ", of, " is a linear function of ", wrt, ". With the numbers of the worked example ",
        "below, each row of its matrix shows the largest entry. The way back is the transpose: an entry of ",
        wrt, " receives from every row in whose window it was chosen:",
    ))  # fmt: skip
    caption: Inlines = ("The matrix that takes ", wrt, " to ", of, " in the worked example.")
    yield Grid((panel(lines),), caption, id=f"matrix-{window.equation.target.name}-{window.array}")


def _matrices(derivation: Derivation, window: Windowed, example: Example) -> Iterator[Block]:
    if derivation.forward.declaration(window.equation.target.name).superscripts:
        return
    if window.has_maximum:
        yield from _choice_matrix(window, example)
        return
    target, array = window.equation.target.name, window.array
    sizes = matrix_sizes(derivation, window)
    if sizes is None:
        return
    try:
        there = derivation.linear_map(target, array, sizes)
    except DerivationError:
        return
    if len(there.columns) > MOST_COLUMNS or len(there.rows) > MOST_COLUMNS:
        return
    names = derivation.names
    of, wrt = (formula(Access(name), names) for name in (target, array))
    told = [row(plain_name(name), "=", extent) for name, extent in sizes.items() if name in _told(derivation, window)]
    filled = sum(value != ast.ZERO for line in there.entries for value in line)
    kind = _kind(there, window)
    rows, columns = len(there.rows), len(there.columns)
    words: list[Inline] = [
        "With its weights held, ", of, " is an affine function of ", wrt, ". At the sizes ",
        *listed([(one,) for one in told]), " and all others 1 or as usual, ",
        "with the entries of both in reading order, its matrix has ",
        f"{rows} rows and {columns} columns, and {filled} of its {rows * columns} entries are not zero{kind}.",
    ]  # fmt: skip
    yield Paragraph(tuple(words))
    yield matrix_grid(there, derivation, ("The matrix that takes ", wrt, " to ", of, "."), f"matrix-{target}-{array}")
    yield from _transposed(derivation, window, there, sizes)


def _transposed(derivation: Derivation, window: Windowed, there: LinearMap, sizes: Sizes) -> Iterator[Block]:
    target, array = window.equation.target.name, window.array
    gradient = derivation.walk.names.get(array) or derivation.gradients[array].name
    arriving = derivation.walk.names.get(target)
    if arriving is None:
        return
    try:
        back = derivation.linear_map(gradient, arriving, sizes)
    except DerivationError:
        return
    if back.entries != there.transposed.entries:
        return
    names = derivation.names
    of, wrt = (formula(Access(name), names) for name in (gradient, arriving))
    yield Paragraph((
        "The equation of ", of, " at the same sizes, written out in the same way, has the transposed matrix: what was "
        "a row is a column. Each row of it shows which entries of ", formula(Access(target), names), " one entry of ",
        formula(Access(array), names), " reaches, and with which weight.",
    ))  # fmt: skip
    caption: Inlines = ("The matrix that takes ", wrt, " to ", of, ": the transpose.")
    yield matrix_grid(there.transposed, derivation, caption, f"matrix-{array}-{target}")


def matrix_sizes(derivation: Derivation, window: Windowed, strides: int = 1) -> dict[str, int] | None:
    """Sizes at which the matrix fits on a page: short windows, everything else usual or 1; None where none is found."""
    program = derivation.forward
    usual = dict(derivation.system.defaults)
    along = ALONG if len(window.axes) == 1 else ACROSS
    extents = {name for axis in window.axes for name in axis.extents}
    free = {symbol.name for symbol in program.independent}
    sizes = {name: usual.get(name, along if name in extents else 1) for name in free}
    sizes |= {
        name: strides for axis in window.axes for name in axis.strides & free - extents if axis == window.axes[-1]
    }
    shape = program.declaration(window.array).shape
    inputs = [sorted(str(s) for s in shape[axis.place].free_symbols) for axis in window.axes]
    wanted = program.declaration(window.equation.target.name).shape
    reached = [s for extent in wanted for s in extent.free_symbols if str(s) not in free]
    lengths = [name for names in inputs for name in names if name in free]

    def is_enough(given: Sizes) -> bool:
        return fits(program, given) and all(completed(program, given)[str(symbol)] >= along for symbol in reached)

    for more in range(12):
        larger = {**sizes, **dict.fromkeys(lengths, 2 + more)}
        if not is_enough(larger):
            continue
        for name in lengths:
            while larger[name] > 1 and is_enough({**larger, name: larger[name] - 1}):
                larger[name] -= 1
        found = completed(program, larger)
        return {symbol.name: found[symbol.name] for symbol in program.sizes}
    return None


def _told(derivation: Derivation, window: Windowed) -> list[str]:
    """The sizes worth telling: those of the window's axes, in and out."""
    program = derivation.forward
    shapes = (program.declaration(name).shape for name in (window.array, *window.weights, window.equation.target.name))
    usual = dict(derivation.system.defaults)
    return [str(s) for shape in shapes for extent in shape for s in extent.free_symbols if str(s) not in usual]


def _kind(there: LinearMap, window: Windowed) -> str:
    """The name of the pattern, where the entry depends only on how far the row's position is from the column's."""
    moved = [
        place for place, step in enumerate(window.equation.target.subscripts) if step in {a.moves for a in window.axes}
    ]
    read = [axis.place for axis in window.axes]
    seen: dict[tuple[int, ...], Expression] = {}
    for row_, line in zip(there.rows, there.entries, strict=True):
        for column, value in zip(there.columns, line, strict=True):
            away = tuple(int(column.subscripts[j] - row_.subscripts[i]) for i, j in zip(moved, read, strict=True))
            if seen.setdefault(away, value) != value:
                return ""
    one = "Every row has the same entries, one place further on: a Toeplitz matrix"
    several = "Its blocks, and the entries in each block, stay the same along the diagonals: a block Toeplitz matrix"
    return f". {one if len(window.axes) == 1 else several}"


def matrix_grid(found: LinearMap, derivation: Derivation, caption: Inlines, id: str = "", blank: bool = False) -> Grid:
    """The matrix as a picture: zeros faint, equal entries in one tone, rows and columns under the names of entries."""
    names = derivation.names
    rows, columns = _labels(found.rows, names), _labels(found.columns, names)
    values = [value for line in found.entries for value in line if value != ast.ZERO]
    tones = {value: TONES[number % len(TONES)] for number, value in enumerate(dict.fromkeys(values))}
    short = _short(values)
    lines = [[Cell(""), *(Cell(label) for label in columns)]]
    for label, line in zip(rows, found.entries, strict=True):
        cells = [
            Cell("") if blank
            else Cell("0", ("zero",)) if value == ast.ZERO
            else Cell(formula(short.get(value, value), names), (tones[value],))
            for value in line
        ]  # fmt: skip
        lines.append([Cell(label), *cells])
    return Grid((panel(lines),), caption, id=id)


def _labels(entries: tuple[Access, ...], names: Names) -> list[Formula]:
    short = _short(entries)
    return [formula(short.get(entry, entry), names) for entry in entries]


def _short(values: object) -> dict[Expression, Expression]:
    """Entries of an array without the subscripts on which they all agree with 0."""
    accesses = [value for value in values if isinstance(value, Access)]  # type: ignore[attr-defined]
    if not accesses or len({(one.name, len(one.subscripts)) for one in accesses}) != 1:
        return {}
    kept = [
        place for place in range(len(accesses[0].subscripts)) if any(one.subscripts[place] != 0 for one in accesses)
    ]
    return {one: Access(one.name, one.superscripts, tuple(one.subscripts[place] for place in kept)) for one in accesses}
