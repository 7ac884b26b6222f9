"""The section about the model: options, sizes, equations, a window of the example, arrays and conventions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import sympy as sp

from derive.derivation import Derivation
from derive.handout.blocks import Block, Display, Heading, Inlines, Note, Paragraph, Table
from derive.handout.formula import Formula, Function, row
from derive.language import expression as ast
from derive.language.expression import Access, smallest
from derive.language.functions import FUNCTIONS
from derive.language.system import Declaration, Equation, Program
from derive.lesson.example import Example
from derive.lesson.outside import equation_as_read, is_told
from derive.lesson.small import with_sizes
from derive.lesson.window_pictures import window_figure
from derive.lesson.words import equations_display, learnt_words, listed
from derive.notation import (
    FUNCTION_NAMES,
    formula,
    integer_formula,
    plain_name,
    ranges_formula,
    shape_formula,
    start_formula,
)


def model_section(derivation: Derivation, example: Example) -> list[Block]:
    """What a reader must know before the walk back begins."""
    system, program, names = derivation.system, derivation.system.program, derivation.names
    blocks: list[Block] = [
        Heading("The model", id="model"),
        *_opening(derivation),
        Display(equations_display(_shown(program.equations, derivation), names), "equations"),
        *_ranges(program.equations),
        *_at_defaults(derivation),
    ]
    if program.starts:
        starts = [(start_formula(start, program, names),) for start in program.starts]
        blocks.append(Paragraph(("It starts from ", *listed(starts), "; another start may be given instead.")))
    blocks += _functions(program)
    blocks += window_figure(example)
    if _has_size_table(derivation):
        blocks.append(_sizes_table(derivation))
    blocks.append(_shapes_table(derivation))
    if learnt := learnt_words(system):
        blocks.append(Paragraph(learnt))
    blocks.append(_conventions(derivation))
    if stages := _stages(derivation):
        blocks += [
            Paragraph(("To walk back step by step, what stands inside a function gets a name of its own:",)),
            Display(equations_display(_shown(stages, derivation), names), "stages"),
        ]
    return blocks


def _opening(derivation: Derivation) -> Iterator[Block]:
    system, program = derivation.system, derivation.system.program
    loss = formula(Access(system.loss), derivation.names)
    ending = ("It is computed from top to bottom, and its loss is ", loss, ":")
    if not _has_size_table(derivation):
        sizes = dict(system.size_descriptions)
        named = [
            (plain_name(s.name), f" ({sizes[s.name]})") if sizes.get(s.name) else (plain_name(s.name),)
            for s in program.sizes
        ]
        yield Paragraph(("A system is a set of equations. This one has the sizes ", *listed(named), ". ", *ending))
        return
    chosen = [
        f"{option.name} = {option.value}{_among(option.choices, option.description)}" for option in system.options
    ]
    if chosen:
        yield Paragraph(("A system is a set of equations. This one is written for ", *listed(chosen), ". ", *ending))
        return
    yield Paragraph(("A system is a set of equations. ", *ending))


def _among(choices: tuple[str, ...], description: str) -> str:
    words = f"{description}; " if description else ""
    return f" ({words}{', '.join(choices[:-1])} or {choices[-1]})"


def _shown(equations: tuple[Equation, ...], derivation: Derivation) -> tuple[Equation, ...]:
    """The equations as they are read: without conditions that say what lies outside."""
    if not is_told(derivation.system):
        return equations
    shapes = {item.name: item for item in derivation.program.declarations}
    return tuple(equation_as_read(equation, shapes) for equation in equations)


def _ranges(equations: tuple[Equation, ...]) -> Iterator[Block]:
    """For which indices equations by entry hold; one range stands beside its equation."""
    spans = dict.fromkeys(span for equation in equations if len(equation.ranges) > 1 for span in equation.ranges)
    if spans:
        yield Paragraph(("Here ", *listed([(ranges_formula([span]),) for span in spans]), "."))


def _at_defaults(derivation: Derivation) -> Iterator[Block]:
    """The equations that become simpler where sizes have their usual values."""
    program = derivation.system.program
    usual = {symbol: sp.Integer(value) for symbol, value in _defaults(derivation)}
    changed = [
        small
        for equation in program.equations
        for small in [with_sizes(equation, program, usual)]
        if _symbols(equation) & usual.keys() and _is_shorter(small, equation)
    ]
    if not usual or not changed:
        return
    values = [row(integer_formula(symbol), "=", integer_formula(value)) for symbol, value in usual.items()]
    yield Paragraph(("At the usual values ", *listed([(one,) for one in values]), " this reads"))
    bare = [replace(equation, ranges=()) for equation in _shown(tuple(changed), derivation)]
    yield Display(equations_display(bare, derivation.names))


def _defaults(derivation: Derivation) -> list[tuple[sp.Symbol, int]]:
    values = dict(derivation.system.defaults)
    return [(s, values[s.name]) for s in derivation.system.program.sizes if s.name in values and values[s.name] < 2]


def _symbols(equation: Equation) -> set[sp.Symbol]:
    return {
        symbol
        for node in (equation.target, *ast.walk(equation.value))
        if isinstance(node, Access)
        for place in node.subscripts
        for symbol in place.free_symbols
        if isinstance(symbol, sp.Symbol)
    }


def _is_shorter(small: Equation, equation: Equation) -> bool:
    return len(str(small.value)) < len(str(equation.value))


def _functions(program: Program) -> Iterator[Block]:
    functions = [
        (row(plain_name(name), "=", formula_of_function(row_name)), f", whose slope is at most {_limit(row_name)}")
        if _limit(row_name)
        else (row(plain_name(name), "=", formula_of_function(row_name)),)
        for name, row_name in program.functions
    ]
    if functions:
        yield Paragraph(("Functions act entry by entry; here ", *listed(functions), "."))


def formula_of_function(name: str) -> Formula:
    """The name of a function as it is written before an argument."""
    return FUNCTION_NAMES.get(name, Function(name))


def _limit(name: str) -> str:
    row_ = FUNCTIONS.get(name)
    return f"{row_.steepest:g}" if row_ is not None and row_.steepest else ""


# Tables ---------------------------------------------------------------------------------------------------------------


def _has_size_table(derivation: Derivation) -> bool:
    return bool(derivation.system.defaults or derivation.system.program.derived)


def _sizes_table(derivation: Derivation) -> Table:
    """Every size with its meaning, the smallest value it may have, and what it is where nothing is said."""
    system, program = derivation.system, derivation.system.program
    words, defaults = dict(system.size_descriptions), dict(system.defaults)
    derived = {symbol.name: value for symbol, value in program.derived}
    groups: dict[tuple[str, str], list[sp.Symbol]] = {}
    for symbol in program.sizes:
        alone = symbol.name if symbol.name in derived else ""
        groups.setdefault((re.sub(r"_\d+$", "", symbol.name), alone), []).append(symbol)
    rows: list[tuple[Inlines, ...]] = []
    for symbols in groups.values():
        first = symbols[0].name
        named: list[str | Formula] = []
        for symbol in symbols:
            named += [", "] * bool(named) + [plain_name(symbol.name)]
        value: Inlines = (integer_formula(derived[first]),) if first in derived else ()
        value = (str(defaults[first]),) if first in defaults else value
        least = "" if first in derived else str(smallest(symbols[0]))
        meaning = words.get(first) or ("follows from the others" if first in derived else "")
        rows.append((tuple(named), (meaning,), (least,), value))
    header: tuple[Inlines, ...] = (("Size",), ("Meaning",), ("Smallest",), ("Usual or derived value",))
    return Table(header, tuple(rows), ("The sizes.",), "sizes", "llrl")


_ROLES = {"given": "given", "learn": "learnt", "defined": "computed"}


def _shapes_table(derivation: Derivation) -> Table:
    out = {equation.target.name for equation in derivation.written_out}
    shown = [item for item in derivation.forward.declarations if not item.choice and item.name not in out]
    in_time = any(item.superscripts for item in shown)

    def cells(declaration: Declaration) -> tuple[Inlines, ...]:
        access = formula(Access(declaration.name, tuple(r.index for r in declaration.superscripts)), derivation.names)
        words = declaration.description or ""
        when: Inlines = ()
        if declaration.superscripts:
            r = declaration.superscripts[0]
            when = (integer_formula(r.index), " from ", integer_formula(r.lower), " to ", integer_formula(r.upper))
        meaning = f"{_ROLES[declaration.role]}{', ' + words if words else ''}"
        return ((access,), (shape_formula(declaration.shape),), (meaning,), *([when] if in_time else []))

    header: tuple[Inlines, ...] = (("Array",), ("Shape",), ("Role",), *([("Times",)] if in_time else []))
    rows = tuple(cells(declaration) for declaration in shown)
    return Table(header, rows, ("The arrays and their shapes.",), "shapes", "llll" if in_time else "lll")


# Conventions and stages -----------------------------------------------------------------------------------------------

DECLARED = {
    ("outside", "zero"): "What is read outside an array counts as zero, so equations do not say where positions end.",
    ("outside", "skipped"): "A position outside an array takes no part in a maximum, so equations do not exclude it.",
    ("ties", "first"): "Of several equal largest entries the first in reading order receives the gradient.",
    ("ties", "split"): "Several equal largest entries share the gradient equally.",
    ("ties", "all"): "Each of several equal largest entries receives the whole gradient.",
}
"""What a declared convention says, in a sentence."""


def _conventions(derivation: Derivation) -> Note:
    program = derivation.system.program
    loss = formula(Access(derivation.system.loss), derivation.names)
    in_time = any(item.superscripts for item in program.declarations)
    parts: list[str] = []
    for _, name in program.functions:
        kink = FUNCTIONS[name].kink if name in FUNCTIONS else ""
        if kink:
            parts.append(f" For {name}, {kink}.")
    parts += [f" {DECLARED.get(pair, f'{pair[0].capitalize()}: {pair[1]}.')}" for pair in _declared(derivation)]
    jacobian = "a Jacobian has a row for each entry of what is differentiated. "
    columns = f"Vectors are columns; time is written as a superscript; {jacobian}"
    by_entry = " Indices count from 0." if any(one.target.subscripts for one in program.equations) else ""
    return Note(
        "Conventions",
        (
            "The gradient of ",
            loss,
            " with respect to an array has the shape of that array. ",
            columns if in_time else "",
            f"For a batch the loss is the mean over its {'sequences' if in_time else 'examples'}.",
            by_entry,
            *parts,
        ),
    )


def _declared(derivation: Derivation) -> list[tuple[str, str]]:
    """The conventions that hold here; how ties are broken also where it is not declared."""
    rules = dict.fromkeys(
        ("ties", node.ties)
        for equation in derivation.forward.equations
        for node in ast.walk(equation.value)
        if isinstance(node, ast.Maximum)
    )
    declared = [pair for pair in derivation.system.conventions if pair[0] != "ties"]
    return [*declared, *rules]


def _stages(derivation: Derivation) -> tuple[Equation, ...]:
    """The equations of the walk where they are more than the model's; the choice of a maximum comes later."""
    choices = {item.name for item in derivation.forward.declarations if item.choice}
    out = derivation.written_out
    stages = tuple(
        replace(one, value=replace(one.value, choice=None)) if isinstance(one.value, ast.Maximum) else one
        for one in derivation.forward.equations
        if one.target.name not in choices and one not in out
    )
    if choices:
        stages = tuple(one for one in stages if one not in derivation.system.program.equations)
    if out and len(stages) == len(derivation.system.program.equations):
        return ()
    return stages if stages != derivation.system.program.equations else ()
