"""Equations cut into parts: one product, one sum or one entrywise formula each, every intermediate result under a name of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

import sympy as sp

from derive.language import expression as ast
from derive.language.expression import Access, Condition, Expression, Integer
from derive.language.system import Declaration, Equation, Program, Range, Shape, Start
from kernels.errors import CannotCompile
from kernels.schedule import bounds
from kernels.schedule.entries import Names, Writer
from kernels.schedule.plan import BATCH, Array, Part, Stages

WHOLE_ARRAY_CALLS = frozenset({"softmax", "logsumexp"})
"""Functions computed on whole arrays because written out in entries they overflow; the others are written out."""


@dataclass(frozen=True)
class Term:
    """scale · Π brackets of conditions · body, one addend of a formula."""

    scale: Fraction
    conditions: tuple[Condition, ...]
    body: Expression


@dataclass
class _Cutter:
    """The parts and arrays made so far; ``now`` is the number of the equation being cut."""

    arrays: dict[str, Array]
    outside: Mapping[str, tuple[Range, ...]]  # declared superscripts of arrays that are zero outside
    writer: Writer
    scope: dict[str, Declaration]
    parts: list[Part] = field(default_factory=list)
    known: dict[object, Access] = field(default_factory=dict)
    now: int = 0

    # Equations ----------------------------------------------------------------------------------------------------

    def equation(self, equation: Equation) -> None:
        target, times, entries, value = self.normal(equation)
        scope = (*times, *entries)
        value = self.call_names(value, scope, ())
        if isinstance(value, ast.Call):
            self.parts.append(Part(self.now, target, times, (), (), (), value))
            return
        at = target.subscripts
        if not at:
            shape = self.scope[target.name].shape
            fresh = tuple(self.writer.names.index() for _ in shape)
            entries = tuple(Range(i, sp.Integer(0), extent - 1) for i, extent in zip(fresh, shape, strict=True))
            target, at = replace(target, subscripts=fresh), fresh
        indices = () if equation.target.subscripts else at
        value = self.inside(self.writer.entry(value, indices), (*times, *entries))
        self.terms(target, times, entries, value, ())

    def start(self, start: Start) -> None:
        """The caller's array where it is given, else the default."""
        access = start.access
        equation = Equation(access, ast.ZERO if start.value is None else start.value, self.arrays[start.key].slots)
        target, times, _, value = self.normal(equation)
        own = {item.index for item in self.arrays[start.key].slots}
        given = Access(start.key, tuple(item.index for item in times if item.index in own))
        shape = self.scope[access.name].shape
        at = tuple(self.writer.names.index() for _ in shape)
        entries = tuple(Range(i, sp.Integer(0), extent - 1) for i, extent in zip(at, shape, strict=True))
        scope = (*times, *entries)
        value = self.inside(self.writer.entry(self.call_names(value, times, ()), at), scope)
        part = Part(self.now, replace(target, subscripts=at), times, entries, (), (), replace(given, subscripts=at))
        if start.value is not None:
            part = replace(part, body=self.flat(value, scope, ()), unless=start.key)
        self.parts.append(part)

    def inside(self, value: Expression, scope: tuple[Range, ...]) -> Expression:
        """``value`` with a condition around each access that may lie outside an array which is zero there."""
        if isinstance(value, ast.Sum):
            scope = (*scope, Range(value.index, value.lower, value.upper))
        if not isinstance(value, Access):
            return ast.map_children(lambda child: self.inside(child, scope), value)
        if value.name not in self.outside:
            return value
        declared = self.outside[value.name]
        conditions = [
            ast.Within(step, item.lower, item.upper) for step, item in zip(value.superscripts, declared, strict=True)
        ] + [
            ast.Within(place, sp.Integer(0), extent - 1)
            for place, extent in zip(value.subscripts, self.scope[value.name].shape, strict=True)
        ]
        left = bounds.needed(conditions, scope)
        return ast.ZERO if left is None else ast.Guard(left, value) if left else value

    def normal(self, equation: Equation) -> tuple[Access, tuple[Range, ...], tuple[Range, ...], Expression]:
        """The equation with plain and different indices as its superscripts, each over its own range."""
        ranges = {item.index: item for item in equation.ranges}
        target, value = equation.target, equation.value
        times: list[Range] = []
        for position in range(len(target.superscripts)):
            step = target.superscripts[position]
            used = [symbol for symbol in ranges if symbol in step.free_symbols]
            if step in ranges:
                times.append(ranges.pop(step))
                continue
            index = self.writer.names.index()
            if len(used) == 1 and (slope := sp.diff(step, used[0])).is_integer and not slope.free_symbols:
                item = ranges.pop(used[0])
                ends = [sp.expand(step.xreplace({item.index: sp.sympify(end)})) for end in (item.lower, item.upper)]
                times.append(Range(index, *(ends if slope > 0 else ends[::-1])))
                inverse = {item.index: sp.expand((index - step.xreplace({item.index: sp.Integer(0)})) / slope)}
                if abs(slope) != 1:
                    value = ast.Guard((ast.Divides(abs(slope), index - ends[0]),), value)
                value = ast.substitute_indices(value, inverse)
                later = tuple(sp.sympify(s).xreplace(inverse) for s in target.superscripts[position + 1 :])
                target = replace(target, superscripts=(*target.superscripts[:position], index, *later))
            else:  # a fixed step, or an index met before
                times.append(Range(index, step, step))
                target = replace(
                    target,
                    superscripts=(*target.superscripts[:position], index, *target.superscripts[position + 1 :]),
                )
        return target, tuple(times), tuple(ranges.values()), value

    # Formulas -----------------------------------------------------------------------------------------------------

    def terms(
        self,
        target: Access,
        times: tuple[Range, ...],
        entries: tuple[Range, ...],
        value: Expression,
        conditions: tuple[Condition, ...],
    ) -> None:
        """Parts that make target = [conditions] value: products first, then the entrywise terms with equal conditions together."""
        scope = (*times, *entries)
        sums: list[Part] = []
        plain: dict[tuple[Condition, ...], list[Expression]] = {}
        for term in self.addends(value, scope, Term(Fraction(1), conditions, ast.ONE)):
            if isinstance(term.body, ast.Sum):
                sums += self.contractions(target, times, entries, term)
            elif (left := bounds.needed(term.conditions, scope)) is not None:
                body = scaled(term.scale, self.flat(term.body, scope, left))
                if self.arrays[target.name].mean and BATCH in self.indices(body):
                    sums.append(self.grouped(Part(self.now, target, times, entries, (), left, body)))
                else:
                    plain.setdefault(left, []).append(body)
        parts = sums
        for left, bodies in plain.items():
            body = bodies[0] if len(bodies) == 1 else ast.Add(tuple(bodies))
            parts.append(Part(self.now, target, times, entries, (), left, body))
        if not parts:
            parts.append(Part(self.now, target, times, entries, (), (), ast.ZERO))
        self.parts += parts

    def addends(self, value: Expression, scope: Sequence[Range], outer: Term) -> Iterable[Term]:
        """The terms that add up to ``value``; formulas without a sum inside stay in one piece."""
        match value:
            case ast.Add(terms=parts) if any(has_sum(part) for part in parts) or any(
                isinstance(part, ast.Guard) for part in parts
            ):
                for part in parts:
                    yield from self.addends(part, scope, outer)
            case ast.Negative(operand=operand):
                yield from self.addends(operand, scope, replace(outer, scale=-outer.scale))
            case ast.Guard(conditions=conditions, body=body):
                yield from self.addends(body, scope, replace(outer, conditions=outer.conditions + conditions))
            case ast.Product():
                scale, conditions, factors = split_product(value)
                inner = replace(outer, scale=outer.scale * scale, conditions=outer.conditions + conditions)
                if len(factors) == 1:
                    yield from self.addends(factors[0], scope, inner)
                else:
                    yield replace(inner, body=ast.Product(factors) if factors else ast.ONE)
            case _:
                yield replace(outer, body=value)

    def contractions(
        self, target: Access, times: tuple[Range, ...], entries: tuple[Range, ...], term: Term
    ) -> Iterable[Part]:
        """One part for each sum of products in ``term``, a Sum: sums over sums are one, sums of terms are taken apart."""
        body, sums = term.body, []
        while isinstance(body, ast.Sum):
            sums.append(Range(body.index, body.lower, body.upper))
            body = body.body
        scope = (*times, *entries, *sums)
        for inner in self.addends(body, scope, replace(term, body=ast.ONE)):
            if isinstance(inner.body, ast.Sum):
                nested = inner.body
                for item in reversed(sums):
                    nested = ast.Sum(item.index, item.lower, item.upper, nested)
                yield from self.contractions(target, times, entries, replace(inner, body=nested))
                continue
            left = bounds.needed(inner.conditions, scope)
            if left is None:
                continue
            _, _, factors = split_product(inner.body)
            flat = tuple(self.flat(factor, scope, left) for factor in factors)
            part = Part(self.now, target, times, entries, tuple(sums), left, scaled(inner.scale, ast.Product(flat)))
            yield self.grouped(part)

    def flat(self, value: Expression, scope: Sequence[Range], conditions: tuple[Condition, ...]) -> Expression:
        """``value`` without sums inside: each sum, or addition of sums, is made by parts of its own and accessed by name."""
        match value:
            case ast.Sum():
                return self.named(value, scope, conditions)
            case ast.Add(terms=parts) if any(is_sum(part) for part in parts):
                return self.named(value, scope, conditions)
            case ast.Guard(conditions=more, body=body):
                return replace(value, body=self.flat(body, scope, conditions + more))
            case _:
                return ast.map_children(lambda child: self.flat(child, scope, conditions), value)

    def named(self, value: Expression, scope: Sequence[Range], conditions: tuple[Condition, ...]) -> Access:
        """``value`` under a new name, with an axis for each index in it; equal values have one name."""
        used = index_symbols(value)
        axes = tuple(item for item in scope if item.index in used)
        in_time = superscript_symbols(value)
        times = tuple(boxed(item, scope) for item in axes if item.index in in_time)
        entries = tuple(boxed(item, scope) for item in axes if item.index not in in_time)
        kept = tuple(c for c in conditions if condition_symbols(c) <= {item.index for item in (*times, *entries)})
        inner = {item.index for item in axes if (item.index in in_time)}
        order = [item.index for item in (*times, *entries)]
        key = (
            canonical(ast.Guard(kept, value) if kept else value, order),
            tuple((item.lower, item.upper) for item in (*times, *entries)),
            len(inner),
        )
        if key in self.known:
            name = self.known[key].name
        else:
            stem = self.arrays_now()
            name = self.writer.names.array(stem)
            shape = tuple(sp.expand(item.upper - item.lower + 1) for item in entries)
            self.declare(name, times, shape, value)
            self.terms(self.access(name, times, entries), times, entries, value, kept)
            self.known[key] = Access(name)
        return self.access(name, times, entries)

    def arrays_now(self) -> str:
        return f"part_{self.now}" if self.now > 0 else f"start_{-self.now}"

    def access(self, name: str, times: Sequence[Range], entries: Sequence[Range]) -> Access:
        places = tuple(sp.expand(item.index - item.lower) for item in entries)
        return Access(name, tuple(item.index for item in times), places)

    def declare(self, name: str, slots: tuple[Range, ...], shape: Shape, value: Expression) -> None:
        batched = any(self.arrays[node.name].batched for node in ast.walk(value) if isinstance(node, Access))
        self.arrays[name] = Array(name, slots, shape, batched)
        self.scope[name] = Declaration(name, "defined", shape, slots)

    # Whole-array functions ----------------------------------------------------------------------------------------

    def call_names(self, value: Expression, scope: tuple[Range, ...], conditions: tuple[Condition, ...]) -> Expression:
        """``value`` with functions of whole arrays as arrays of their own; a call that is all of ``value`` stays."""

        def inside(node: Expression, scope: tuple[Range, ...], conditions: tuple[Condition, ...]) -> Expression:
            if isinstance(node, ast.Sum):
                scope = (*scope, Range(node.index, node.lower, node.upper))
            if isinstance(node, ast.Guard):
                conditions = conditions + node.conditions
            node = ast.map_children(lambda child: inside(child, scope, conditions), node)
            if not isinstance(node, ast.Call) or node.function not in WHOLE_ARRAY_CALLS:
                return node
            return self.whole(self.plain_argument(node, scope, conditions), scope, conditions)

        if isinstance(value, ast.Call) and value.function in WHOLE_ARRAY_CALLS:
            value = ast.map_children(lambda child: inside(child, scope, conditions), value)
            return self.plain_argument(value, scope, conditions)
        return inside(value, scope, conditions)

    def plain_argument(self, call: ast.Call, scope: tuple[Range, ...], conditions: tuple[Condition, ...]) -> ast.Call:
        (argument,) = call.arguments
        if isinstance(argument, Access):
            return call
        return replace(call, arguments=(self.whole(argument, scope, conditions),))

    def whole(self, value: Expression, scope: tuple[Range, ...], conditions: tuple[Condition, ...]) -> Access:
        """The array ``value`` under a new name, its superscripts the indices in it."""
        used = index_symbols(value)
        times = tuple(boxed(item, scope) for item in scope if item.index in used)
        kept = tuple(c for c in conditions if condition_symbols(c) <= {item.index for item in times})
        name, shape = self.writer.names.array(self.arrays_now()), self.writer.shape(value)
        self.declare(name, times, shape, value)
        target = Access(name, tuple(item.index for item in times))
        if isinstance(value, ast.Call):
            self.parts.append(Part(self.now, target, times, (), (), kept, value))
        else:
            at = tuple(self.writer.names.index() for _ in shape)
            entries = tuple(Range(i, sp.Integer(0), extent - 1) for i, extent in zip(at, shape, strict=True))
            formula = self.inside(self.writer.entry(value, at), (*times, *entries))
            self.terms(replace(target, subscripts=at), times, entries, formula, kept)
        return target

    # Products of two matrices -------------------------------------------------------------------------------------

    def grouped(self, part: Part) -> Part:
        """``part`` as a product of two plain arrays where its factors fall into two groups with an index summed between them."""
        scale, _, factors = split_product(part.body)
        loops = {item.index for item in (*part.loops, *part.sums)}
        groups: list[tuple[frozenset[sp.Symbol], list[Expression]]] = []
        for factor in factors:
            indices = frozenset(self.indices(factor) & (loops | {BATCH}))
            same = next((group for group in groups if group[0] == indices), None)
            if same:
                same[1].append(factor)
            else:
                groups.append((indices, [factor]))
        groups = merged(groups)
        target = self.arrays[part.target.name]
        kept = {item.index for item in part.loops} | ({BATCH} if target.batched else set())
        summed = {item.index for item in part.sums} | ({BATCH} if target.mean else set())
        if len(groups) != 2:
            return part
        (first, left), (second, right) = groups
        both, either = first & second, first ^ second
        is_matrix_like = bool(both & summed) and not (either & summed) and bool((either & kept) - {BATCH})
        if not is_matrix_like:
            return part
        if scale != 1:
            smaller = left if (BATCH in first, len(first)) <= (BATCH in second, len(second)) else right
            smaller.insert(0, ast.Number(scale))
        scope = (*part.loops, *part.sums)
        operands = tuple(
            group[0]
            if len(group) == 1 and is_plain(group[0])
            else self.named(ast.Product(tuple(group)), scope, part.conditions)
            for group in (left, right)
        )
        return replace(part, body=ast.Product(operands))

    def indices(self, value: Expression) -> set[sp.Symbol]:
        """The indices in ``value``, the batch among them."""
        batched = any(self.arrays[node.name].batched for node in ast.walk(value) if isinstance(node, Access))
        return index_symbols(value) | ({BATCH} if batched else set())


def merged(
    groups: list[tuple[frozenset[sp.Symbol], list[Expression]]],
) -> list[tuple[frozenset[sp.Symbol], list[Expression]]]:
    """The groups, those with fewest indices first put into one that has all of theirs, until two are left."""
    groups = sorted(groups, key=lambda group: len(group[0]))
    while len(groups) > 2:
        small, *others = groups
        host = next((group for group in others if small[0] <= group[0]), None)
        if host is None:
            return groups
        host[1].extend(small[1])
        groups = others
    return groups


# Small questions about expressions ------------------------------------------------------------------------------------


def is_sum(value: Expression) -> bool:
    """True of a sum, also behind a sign, a number or a condition."""
    match value:
        case ast.Sum():
            return True
        case ast.Negative(operand=inside) | ast.Guard(body=inside):
            return is_sum(inside)
        case ast.Product(factors=factors):
            others = [factor for factor in factors if not isinstance(factor, ast.Number)]
            return len(others) == 1 and is_sum(others[0])
        case _:
            return False


def has_sum(value: Expression) -> bool:
    return any(isinstance(node, ast.Sum) for node in ast.walk(value))


def is_plain(value: Expression) -> bool:
    """True of an access whose subscripts are different indices."""
    return (
        isinstance(value, Access)
        and all(isinstance(place, sp.Symbol) for place in value.subscripts)
        and len(set(value.subscripts)) == len(value.subscripts)
    )


def split_product(value: Expression) -> tuple[Fraction, tuple[Condition, ...], tuple[Expression, ...]]:
    """(number, conditions, other factors) of a product of scalars, products within it and signs taken in."""
    match value:
        case ast.Number(value=number):
            return number, (), ()
        case ast.Negative(operand=operand):
            scale, conditions, factors = split_product(operand)
            return -scale, conditions, factors
        case ast.Guard(conditions=conditions, body=body):
            scale, more, factors = split_product(body)
            return scale, conditions + more, factors
        case ast.Product(factors=inside):
            scale, conditions, factors = Fraction(1), (), ()
            for factor in inside:
                one = split_product(factor)
                scale, conditions, factors = scale * one[0], conditions + one[1], factors + one[2]
            return scale, conditions, factors
        case _:
            return Fraction(1), (), (value,)


def scaled(scale: Fraction, body: Expression) -> Expression:
    """scale · body, as people write it."""
    if scale == 1 or scale == 0:
        return body if scale else ast.ZERO
    if scale == -1:
        return ast.Negative(body)
    if isinstance(body, ast.Product):
        return ast.Product((ast.Number(scale), *body.factors))
    return ast.Number(scale) if body == ast.ONE else ast.Product((ast.Number(scale), body))


def condition_symbols(condition: Condition) -> set[sp.Symbol]:
    values = (
        (condition.value, condition.lower, condition.upper)
        if isinstance(condition, ast.Within)
        else (condition.divisor, condition.value)
    )
    return {symbol for value in values for symbol in sp.sympify(value).free_symbols if not symbol.is_positive}


def index_symbols(value: Expression) -> set[sp.Symbol]:
    """The free indices in ``value``."""
    match value:
        case Access(superscripts=superscripts, subscripts=subscripts):
            return integer_symbols((*superscripts, *subscripts))
        case ast.SizeValue(value=integer):
            return integer_symbols((integer,))
        case ast.Sum(index=bound, lower=lower, upper=upper, body=body):
            return (index_symbols(body) - {bound}) | integer_symbols((lower, upper))
        case ast.Guard(conditions=conditions, body=body):
            return index_symbols(body).union(*(condition_symbols(condition) for condition in conditions))
        case _:
            return set().union(*(index_symbols(child) for child in ast.children(value)))


def integer_symbols(values: Iterable[Integer]) -> set[sp.Symbol]:
    return {symbol for value in values for symbol in sp.sympify(value).free_symbols if not symbol.is_positive}


def superscript_symbols(value: Expression) -> set[sp.Symbol]:
    """The indices that stand in a superscript somewhere in ``value``."""
    accesses = (node for node in ast.walk(value) if isinstance(node, Access))
    return set().union(*(integer_symbols(node.superscripts) for node in accesses))


def boxed(item: Range, scope: Sequence[Range]) -> Range:
    """``item`` with bounds free of the other indices, wide enough for all of them."""
    outer = list(scope[: scope.index(item)])
    lower, upper = bounds.extreme(item.lower, outer, -1), bounds.extreme(item.upper, outer, 1)
    if lower is None or upper is None:
        raise CannotCompile(f"no bounds are known for {item.index} = {item.lower} … {item.upper}")
    return Range(item.index, lower, upper)


def canonical(value: Expression, order: Sequence[sp.Symbol]) -> Expression:
    """``value`` with indices named by their position: two formulas that differ in names of indices become equal."""
    value = ast.substitute_indices(value, {symbol: sp.Symbol(f"_{n}", integer=True) for n, symbol in enumerate(order)})
    counter = iter(range(1_000_000))

    def rename(node: Expression) -> Expression:
        if isinstance(node, ast.Sum):
            fresh = sp.Symbol(f"_s{next(counter)}", integer=True)
            node = replace(node, index=fresh, body=ast.substitute_indices(node.body, {node.index: fresh}))
        return ast.map_children(rename, node)

    return rename(value)


def cut(program: Program, arrays: dict[str, Array], names: Names, numbers: Sequence[int]) -> Stages:
    """Every equation of ``program`` in parts; ``numbers`` says how the equations are numbered. Starts are numbered -1, -2 …"""
    scope = {item.name: item for item in program.declarations}
    outside = {item.name: item.superscripts for item in program.declarations if item.zero_outside}
    cutter = _Cutter(dict(arrays), outside, Writer(scope, names), scope)
    for number, start in enumerate(program.starts, 1):
        cutter.now = -number
        cutter.start(start)
    for number, equation in zip(numbers, program.equations, strict=True):
        cutter.now = number
        cutter.equation(equation)
    return Stages(cutter.arrays, tuple(cutter.parts))
