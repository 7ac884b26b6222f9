"""What each name of a draft is, and the shape of everything that equations define, also through recurrences."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

import sympy as sp
from lark import Token

from derive.language.access import Parts
from derive.language.axes import extent_of
from derive.language.context import Context
from derive.language.draft import Begun, Declared, Draft, Written
from derive.language.elaborate import read
from derive.language.errors import BadSyntax, RangeError, RedefinedName, ShapeMismatch, TooLarge
from derive.language.expression import Expression, Integer, Number, Span, index
from derive.language.printer import STEP
from derive.language.reading import Node, subtrees, word, words_in
from derive.language.shapes import Arrays, Known, describe
from derive.language.sums import index_range
from derive.language.system import Declaration, Range, Shape
from derive.language.whole import bare_name, whole

MOST_STARTS = 100


@dataclass(frozen=True)
class Target:
    """The left side of an equation: the internal name, the shift of each superscript, the ranges, the subscripts."""

    name: str
    times: tuple[Range, ...]
    shifts: tuple[Integer, ...]
    subscripts: tuple[Integer, ...]
    """An index each, or several that share an axis: g*K + k."""
    indices: tuple[sp.Symbol, ...]
    """The indices in the subscripts, in the order in which they are written."""
    explicit: tuple[Range, ...]
    """Ranges given for them by a 'for' at the end of the equation."""


@dataclass
class Names:
    """What is known of every array while shapes are found."""

    declarations: dict[str, Declaration]
    shapes: dict[str, Known]
    superscripts: dict[str, tuple[Range, ...]]
    integers: dict[str, Integer]
    functions: dict[str, str]
    counted: dict[str, tuple[Integer, Integer]]
    ties: str = "first"

    def context(self, place: Callable[[Node | Token], Span], strict: bool = True, guess: int = 0) -> Context:
        """The context outside all loops."""
        arrays = Arrays(self.shapes, guess, frozenset(name for name, ranges in self.superscripts.items() if ranges))
        return Context(
            arrays,
            self.superscripts,
            self.integers,
            self.functions,
            place,
            strict=strict,
            counted=self.counted,
            ties=self.ties,
        )


def names_of(draft: Draft) -> tuple[Names, list[Target]]:
    """The arrays of ``draft`` and the targets of its equations."""
    ties = dict(draft.conventions).get("ties", "first")
    names = Names({}, {}, {}, dict(draft.sizes), draft.functions, draft.all_sizes.counted, ties)
    spans: dict[str, Span] = {}
    for entry in draft.declared:
        declaration = _declaration(entry, names)
        _claim(declaration.name, entry.place(entry.target), names, spans)
        names.declarations[declaration.name] = declaration
        names.shapes[declaration.name] = declaration.shape
        names.superscripts[declaration.name] = declaration.superscripts
    over_time = {entry.name for entry in draft.equations if entry.target.superscripts}
    plain = {entry.name for entry in draft.equations if not entry.target.superscripts}
    plain |= {name for name, ranges in names.superscripts.items() if not ranges}
    targets = [_target(entry, names, over_time & plain) for entry in draft.equations]
    for entry, target in zip(draft.equations, targets, strict=True):
        _claim(target.name, entry.place(entry.left), names, spans)
        names.shapes[target.name] = None
        names.superscripts[target.name] = target.times
    for entry, target in zip(draft.equations, targets, strict=True):
        for item in (*target.times, *target.explicit):
            if item.index.name in names.superscripts:
                raise RedefinedName(
                    f"{item.index} is an array.", entry.place(entry.left), "Take another letter for the index."
                )
    return names, targets


def _claim(name: str, span: Span, names: Names, spans: dict[str, Span]) -> None:
    shown = name.removesuffix(STEP) if name not in spans else name
    if name in spans:
        raise RedefinedName(
            f"{shown} has a meaning already, from line {spans[name].line}.", span, "Give one of the two another name."
        )
    if name in names.integers:
        raise RedefinedName(f"{name} is a size already.", span, "Give one of the two another name.")
    if name in names.functions:
        raise RedefinedName(f"{name} is bound as a function under where.", span, "Give one of the two another name.")
    spans[name] = span


def range_of(node: Node, context: Context) -> Range:
    """The range that ``node`` writes, known not to be empty."""
    name, (lower, upper) = word(node), subtrees(node)
    inner = context.with_index(name)
    found = Range(index(str(name)), whole(lower, context), whole(upper, context))
    if (found.upper - found.lower).is_negative:
        span = inner.place(node)
        raise RangeError(
            f"The range {found.lower}..{found.upper} of {name} is empty.", span, "Ranges count upwards, as in t = 1..T."
        )
    return found


def shape_of_space(node: Node, context: Context) -> Shape:
    """The shape that R^(n x d) names."""
    shape: list[Integer] = []
    for dimensions in subtrees(node):
        for part in subtrees(dimensions):
            extent = whole(part, context)
            if extent.is_nonpositive:
                raise RangeError(
                    f"An axis of {extent} entries is empty.", context.place(part), "An axis has at least one entry."
                )
            shape.append(extent)
    return tuple(shape)


def _declaration(entry: Declared, names: Names) -> Declaration:
    context = names.context(entry.place)
    name = word(entry.target)
    ranges = {str(word(node)): range_of(node, context) for node in entry.ranges}
    superscripts: list[Range] = []
    for mark in _marks(entry.target):
        if mark not in ranges:
            span = entry.place(entry.target)
            raise RangeError(
                f"For which {mark} is {name}^{mark} given?",
                span,
                f"Add a range, as in {name}^{mark} in R^d for {mark} = 1..T.",
            )
        superscripts.append(ranges[mark])
    if not superscripts and ranges:
        raise BadSyntax(
            f"{name} has no superscript to run over.", entry.place(entry.target), f"Write {name}^{next(iter(ranges))}."
        )
    shape = shape_of_space(entry.space, context)
    role = "given" if entry.role == "given" else "learn"
    span = entry.place(entry.target)
    if entry.structure and (len(shape) != 2 or sp.expand(shape[0] - shape[1]) != 0):
        message = f"{name} is {describe(shape)}, and only a square matrix is {entry.structure}."
        raise ShapeMismatch(message, span, f"For example {name} in R^(n x n) {entry.structure}.")
    return Declaration(
        str(name), role, shape, tuple(superscripts), entry.description, span=span, structure=entry.structure
    )


def _marks(target: Node) -> list[str]:
    """The index names in the superscript of a declared name."""
    return [str(token) for tree in subtrees(target) for token in words_in(tree)]


def _target(entry: Written, names: Names, both: set[str]) -> Target:
    context = names.context(entry.place)
    ranges: dict[str, Range] = {}
    for node in entry.ranges:
        found = range_of(node, context)
        if found.index.name in ranges:
            raise RedefinedName(f"{found.index} runs over two ranges.", entry.place(node), "Take another letter.")
        context = context.with_index(word(node))
        ranges[found.index.name] = found
    above, subscripts, below = _positions(entry.target, ranges, context, entry)
    times: list[Range] = []
    shifts: list[Integer] = []
    for value in above:
        free = [symbol for symbol in value.atoms(sp.Symbol) if symbol.name in ranges]
        if len(free) != 1 or not (shift := value - free[0]).is_number:
            first_value = f"Give a first value under start: start {entry.name}^{value} = 0."
            repair = first_value if value.is_number else "Write the plain index there."
            raise BadSyntax("The step on the left is no index of a loop.", entry.place(entry.left), repair)
        over = ranges[free[0].name]
        times.append(Range(over.index, over.lower + shift, over.upper + shift))
        shifts.append(shift)
    if len({item.index for item in times}) < len(times):
        raise BadSyntax(
            "One index stands twice above the name on the left.", entry.place(entry.left), "Use an index for each."
        )
    used = {item.index.name for item in times}
    loose = [name for name in ranges if name not in used and name not in below]
    if loose:
        raise BadSyntax(
            f"{entry.name} does not carry the index {loose[0]} of its loop.",
            entry.place(entry.left),
            f"Write {entry.name}^{loose[0]}.",
        )
    name = f"{entry.name}{STEP}" if entry.name in both and times else entry.name
    explicit = tuple(ranges[symbol] for symbol in below if symbol in ranges)
    return Target(name, tuple(times), tuple(shifts), tuple(subscripts), tuple(map(index, below)), explicit)


def _positions(
    parts: Parts, ranges: dict[str, Range], context: Context, entry: Written
) -> tuple[list[Integer], list[Integer], list[str]]:
    """The superscripts and the subscripts as integers, and the names of the indices in the subscripts."""
    above: list[Integer] = []
    subscripts: list[Integer] = []
    below: list[str] = []
    for node in parts.superscripts:
        stem, _, tail = bare_name(node).partition("_")
        if tail and stem in context.integers:
            above.append(context.integers[stem])
            below += [tail] if tail in ranges or len(tail) == 1 else list(tail)
        else:
            above.append(whole(node, context))
    subscripts += [index(name) for name in below]
    for node in parts.subscripts:
        if bare_name(node):
            below.append(bare_name(node))
            subscripts.append(index(below[-1]))
            continue
        tokens = [token for token in words_in(node) if token.type == "NAME"]
        fresh = [token for token in tokens if str(token) in ranges or str(token) not in context.integers]
        inner = context
        for token in fresh:
            inner = inner if str(token) in inner.integers else inner.with_index(token)
        if not fresh:
            raise BadSyntax(
                "On the left, subscripts are indices.", entry.place(node), "For example y[i] = … or y[g*K + k] = … ."
            )
        subscripts.append(whole(node, inner))
        below += [str(token) for token in fresh]
    for name in below:
        if below.count(name) > 1:
            raise BadSyntax(
                f"The index {name} stands twice on the left.", entry.place(entry.left), "Use an index for each axis."
            )
        if name in context.integers and name not in ranges:
            raise RedefinedName(f"{name} is a size.", entry.place(entry.left), "Take another letter for the index.")
    return above, subscripts, below


def target_ranges(
    entry: Written, target: Target, value: Expression, context: Context, shape: Known
) -> dict[sp.Symbol, Range] | None:
    """The range of every index in the subscripts on the left; None while it does not follow.

    ``shape`` tells the range of an index that has an axis of its own, where nothing else does.
    """
    found = {item.index: item for item in target.explicit}
    own = dict(zip(target.subscripts, shape or (), strict=False))
    for symbol in target.indices:
        if symbol in found:
            continue
        inner = replace(context, strict=context.strict and symbol not in own)
        ends = index_range(symbol, value, entry.place(entry.left), inner)
        if ends is None and symbol in own:
            ends = sp.Integer(0), own[symbol] - 1
        if ends is None:
            return None
        found[symbol] = Range(symbol, *ends)
    return {symbol: found[symbol] for symbol in target.indices}


def equation_context(entry: Written, target: Target, names: Names, strict: bool = True, guess: int = 0) -> Context:
    """The context of the right side of an equation."""
    context = names.context(entry.place, strict, guess)
    indices = {item.index.name: item.index for item in (*target.times, *target.explicit)}
    indices |= {symbol.name: symbol for symbol in target.indices}
    return replace(context, integers={**context.integers, **indices})


def find_shapes(draft: Draft, names: Names, targets: list[Target]) -> None:
    """Fill in the shape of every defined array, as far as equations and starts tell it."""
    for begun in draft.starts:
        if begun.space is not None:
            _start_shape(begun, names)
    users: dict[str, list[int]] = {}
    for position, entry in enumerate(draft.equations):
        for text in {str(token) for token in words_in(entry.value)}:
            for name in (text, f"{text}{STEP}", text.split("_")[0]):
                users.setdefault(name, []).append(position)
    pending = dict.fromkeys(number for number, target in enumerate(targets) if names.shapes[target.name] is None)
    queue = deque(pending)
    while pending:
        found = _next_shape(draft, names, targets, queue, list(pending))
        if found is None:
            return
        if found in pending:
            del pending[found]
            queue.extend(other for other in users.get(targets[found].name, ()) if other in pending)


def _next_shape(draft: Draft, names: Names, targets: list[Target], queue: deque[int], pending: list[int]) -> int | None:
    """One more equation whose target's shape is known now, by deduction first, then from a start, then by a guess."""

    def attempt(number: int, guess: int) -> bool:
        name = targets[number].name
        if names.shapes[name] is None:
            names.shapes[name] = _attempt(draft.equations[number], targets[number], names, guess)
        return names.shapes[name] is not None

    while queue:
        number = queue.popleft()
        if number in pending and attempt(number, 0):
            return number
    for begun in draft.starts:
        _start_shape(begun, names)
    return next((number for guess in (0, 1, 2) for number in pending if attempt(number, guess)), None)


def start_contexts(begun: Begun, names: Names, strict: bool = True) -> list[Context]:
    """The context of each boundary value that one entry writes: one, or one for every number in its ranges."""
    contexts = [names.context(begun.place, strict)]
    for node in begun.ranges:
        found = range_of(node, contexts[0])
        if not (found.lower.is_Integer and found.upper.is_Integer):
            message = f"How many values {found.lower}..{found.upper} are is not known."
            raise RangeError(message, begun.place(node), "First values are listed by numbers, as in t = -1..0.")
        if len(contexts) * (found.upper - found.lower + 1) > MOST_STARTS:
            raise TooLarge(f"There are more than {MOST_STARTS} first values.", begun.place(node), "Give fewer.")
        steps = range(int(found.lower), int(found.upper) + 1)
        name = found.index.name
        contexts = [
            replace(context, integers={**context.integers, name: sp.Integer(step)})
            for context in contexts
            for step in steps
        ]
    return contexts


def _start_shape(begun: Begun, names: Names) -> None:
    name = names.context(begun.place).array(str(begun.target.name), True)
    if name is None or names.shapes[name] is not None:
        return
    context = start_contexts(begun, names, strict=False)[0]
    if begun.space is not None:
        names.shapes[name] = shape_of_space(begun.space, context)
    elif begun.value is not None:
        value, shape = read(begun.value, context)
        names.shapes[name] = None if isinstance(value, Number) else shape


def _attempt(entry: Written, target: Target, names: Names, guess: int) -> Known:
    context = equation_context(entry, target, names, strict=False, guess=guess)
    value, shape = read(entry.value, context)
    if not target.subscripts:
        return shape
    ranges = target_ranges(entry, target, value, context, None)
    if ranges is None:
        return None
    return tuple(extent_of(subscript, ranges, entry.place(entry.left)) for subscript in target.subscripts)
