"""Text to System: limits, lines, trees, names, shapes, equations, checks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

import sympy as sp

from derive.language.access import require_sizes
from derive.language.axes import extent_of
from derive.language.checks import check, check_order
from derive.language.context import Context
from derive.language.draft import Begun, Draft, Written, drafted
from derive.language.elaborate import read
from derive.language.errors import (
    BadSyntax,
    DefinitionError,
    MissingLoss,
    RangeError,
    RedefinedName,
    ShapeMismatch,
)
from derive.language.expression import Access, Expression, Filled, Integer, Number, index, substitute_indices
from derive.language.infer import (
    Names,
    Target,
    equation_context,
    find_shapes,
    names_of,
    shape_of_space,
    start_contexts,
    target_ranges,
)  # fmt: skip
from derive.language.lines import measure, refuse, source_of, statements
from derive.language.options import Choices
from derive.language.printer import integer_source
from derive.language.reading import place, read_tree
from derive.language.shapes import Arrays, describe, same
from derive.language.spelling import original, respell
from derive.language.system import Declaration, Equation, Program, Range, Start, System
from derive.language.whole import whole

LOSS_NAMES = ("loss", "ell")


def parse(text: str | bytes, name: str = "", choices: Choices | None = None) -> System:
    """The system that ``text`` defines; DefinitionError, with the place and a repair, where it defines none.

    ``choices`` are values of its options and numbers for its sizes, a tuple where they differ between components.
    """
    source = None
    try:
        source = source_of(text)
        measure(source)
        return _system(drafted(source, statements(source), choices or {}), name)
    except DefinitionError as error:
        raise refuse(source, error, name) from None


def parse_expression(text: str, program: Program, indices: Iterable[str] = ()) -> Expression:
    """``text`` as an expression over the names of ``program``, in which these letters are free index variables."""
    source = None
    try:
        source = source_of(text)
        measure(source)
        rest = respell(original(source.text.replace("\n", " ")))
        tree = read_tree(source, rest, "expression_line")
        value, _ = read(tree, _expression_context(program, indices, lambda node: place(source, rest, node)))
        require_sizes(value)
        return value
    except DefinitionError as error:
        raise refuse(source, error, "") from None


def _expression_context(program: Program, indices: Iterable[str], where: object) -> Context:
    shapes = {entry.name: entry.shape for entry in program.declarations}
    superscripts = {entry.name: entry.superscripts for entry in program.declarations}
    integers = {symbol.name: symbol for symbol in program.sizes} | {letter: index(letter) for letter in indices}
    return Context(Arrays(shapes), superscripts, integers, dict(program.functions), where, is_answer=True)  # pyright: ignore[reportArgumentType]


def _system(draft: Draft, name: str) -> System:
    names, targets = names_of(draft)
    try:
        find_shapes(draft, names, targets)
    except DefinitionError:
        # A shape found from a line with a mistake shows up as a mistake in another line: judge the line itself first.
        for entry, target in zip(draft.equations, targets, strict=True):
            if names.shapes[target.name] is not None:
                _equation(entry, target, names)
        raise
    if None in names.shapes.values():
        # What depends on itself has no shape either; say the former.
        check_order(
            Program((), (), (), tuple(_unchecked(*pair, names) for pair in zip(draft.equations, targets, strict=True)))
        )
    equations = tuple(_equation(entry, target, names) for entry, target in zip(draft.equations, targets, strict=True))
    defined = [
        Declaration(target.name, "defined", names.shapes[target.name] or (), target.times, span=entry.place(entry.left))
        for entry, target in zip(draft.equations, targets, strict=True)
    ]
    starts = _starts(draft, names)
    sizes = tuple(value for value in draft.sizes.values() if isinstance(value, sp.Symbol))
    bound = tuple((function, row) for function, row in draft.functions.items() if row)
    program = Program(
        sizes,
        (*names.declarations.values(), *defined),
        starts,
        equations,
        bound,
        tuple(draft.all_sizes.derived),
        tuple(draft.all_sizes.counts),
    )
    loss = next((entry for entry in LOSS_NAMES if entry in names.shapes), "")
    if not loss:
        raise MissingLoss("No equation defines the loss.", draft.last, "Add a line such as loss = (yhat - y)^2 / 2.")
    system = System(
        draft.title,
        program,
        loss,
        tuple(draft.sources),
        tuple(draft.all_sizes.words),
        tuple(draft.conventions),
        name,
        tuple(draft.all_sizes.defaults),
        draft.options,
    )
    return check(system)


def _unchecked(entry: Written, target: Target, names: Names) -> Equation:
    """An equation for what it uses, whatever its shapes."""
    value, _ = read(entry.value, equation_context(entry, target, names, strict=False))
    access = Access(target.name, tuple(over.index for over in target.times), span=entry.place(entry.left))
    return Equation(access, value, target.times)


def _equation(entry: Written, target: Target, names: Names) -> Equation:
    context = equation_context(entry, target, names)
    value, shape = read(entry.value, context)
    require_sizes(value)
    span = entry.place(entry.left)
    expected = names.shapes[target.name]
    if expected is None:
        raise ShapeMismatch(
            f"The shape of {entry.name} does not follow from its equation.",
            span,
            "Name a start or a parameter that tells it.",
        )
    found = target_ranges(entry, target, value, context, expected) or {}
    for subscript, extent in zip(target.subscripts, expected, strict=False):
        length = extent_of(subscript, found, span)
        if not same((length,), (extent,)):
            raise RangeError(
                f"{integer_source(subscript)} runs over 0..{integer_source(length - 1)}.",
                span,
                f"On the left it runs over the whole axis, 0..{integer_source(extent - 1)}.",
            )
    ranges = [*target.times, *found.values()]
    expected = () if target.subscripts else expected
    if not same(shape, expected):
        message = f"{entry.name} is {describe(expected)}, its right side is {describe(shape)}."
        raise ShapeMismatch(message, entry.place(entry.value), "Both sides have the same shape.")
    shifts = {
        over.index: over.index - shift for over, shift in zip(target.times, target.shifts, strict=True) if shift != 0
    }
    still = _single_digits(target.subscripts, found)
    access = Access(target.name, tuple(over.index for over in target.times), target.subscripts, span=span)
    access = cast(Access, substitute_indices(access, still))
    kept = tuple(over for over in ranges if over.index not in still)
    return Equation(access, substitute_indices(value, {**shifts, **still}), kept)


def _single_digits(subscripts: Sequence[Integer], ranges: Mapping[sp.Symbol, Range]) -> dict[sp.Symbol, Integer]:
    """Digits with one value only, as the group in ``y[g*K + k]`` of a single group: no index that one would read about.

    A subscript keeps one index at least.
    """
    found: dict[sp.Symbol, Integer] = {}
    for position in subscripts:
        digits = [symbol for symbol in ranges if position.has(symbol)]
        still = [symbol for symbol in digits if ranges[symbol].lower == ranges[symbol].upper]
        found |= {symbol: ranges[symbol].lower for symbol in (still if len(still) < len(digits) else still[:-1])}
    return found


def _starts(draft: Draft, names: Names) -> tuple[Start, ...]:
    found: dict[str, Start] = {}
    written = [(begun, context) for begun in draft.starts for context in start_contexts(begun, names)]
    for entry, context in written:
        start = _start(entry, names, context)
        if start.key in found:
            raise RedefinedName(f"{start.key} is given twice.", start.span, "Keep one of the two.")
        found[start.key] = start
    return tuple(found.values())


def _start(begun: Begun, names: Names, context: Context) -> Start:
    written = str(begun.target.name)
    name = context.array(written, True)
    span = begun.place(begun.left)
    if name is None:
        raise context.unknown(written, begun.target.name)
    if name in names.declarations or not names.superscripts[name]:
        raise BadSyntax(
            f"{written} is no state of a loop.", span, "Only what an equation defines step by step has a start."
        )
    position = tuple(whole(part, context) for part in begun.target.superscripts)
    if len(position) != len(names.superscripts[name]):
        raise RangeError(
            f"{written} has {len(names.superscripts[name])} superscripts.", span, "Give one number for each."
        )
    if all((value - over.lower).is_nonnegative for value, over in zip(position, names.superscripts[name], strict=True)):
        raise RedefinedName(
            f"{written} has an equation from step {names.superscripts[name][0].lower} on.",
            span,
            "A start comes before that.",
        )
    access = Access(name, position, span=span)
    shape = names.shapes[name] or ()
    if begun.space is not None and not same(shape_of_space(begun.space, context), shape):
        raise ShapeMismatch(
            f"{written} is {describe(shape)}.", begun.place(begun.space), "The start has the shape of the state."
        )
    if begun.value is None:
        return Start(access, None, span)
    is_said = begun.space is not None
    value, value_shape = read(begun.value, context)
    if isinstance(value, Number) and value.value in (0, 1) and shape:
        return Start(access, Filled(int(value.value), shape), span, is_said)
    if not same(value_shape, shape):
        message = f"{written} is {describe(shape)}, its start is {describe(value_shape)}."
        raise ShapeMismatch(
            message, begun.place(begun.value), "The start has the shape of the state; 0 and 1 stand for any shape."
        )
    return Start(access, value, span, is_said)
