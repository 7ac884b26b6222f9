"""Equations cut into parts: a product, a sum or an entrywise formula each; every intermediate result gets a name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

import sympy as sp

from derive.language import expression as ast
from derive.language.expression import Access, Expression
from derive.language.system import Declaration, Equation, Program, Range, Shape, Start
from kernels.schedule import bounds
from kernels.schedule.entries import Names, Writer
from kernels.schedule.formulas import (
    Term,
    addends,
    canonical,
    factors,
    free_indices,
    is_plain,
    is_sum,
    is_whole,
    scaled,
    superscript_indices,
)
from kernels.schedule.integers import condition_indices, extent, integer
from kernels.schedule.plan import BATCH, Array, Conditions, Part, Ranges, Stages
from kernels.schedule.targets import Target, boxed, normal


@dataclass
class _Cutter:
    """The parts and arrays made so far; ``now`` is the number of the equation being cut.

    ``sizes`` are the ranges of derived sizes.
    """

    arrays: dict[str, Array]
    scope: dict[str, Declaration]
    writer: Writer
    sizes: Ranges
    parts: list[Part] = field(default_factory=list)
    known: dict[object, str] = field(default_factory=dict)
    now: int = 0

    # Equations --------------------------------------------------------------------------------------------------------

    def equation(self, equation: Equation) -> None:
        access, times, rest, value = normal(equation, self.writer.names)
        value = self.whole_calls(value, (*times, *rest), ())
        if is_whole(value) and self.arrays[access.name].mean and BATCH in self.indices(value):
            value = self.whole(value, (*times, *rest), ())  # one for each sequence, then their mean
        if is_whole(value) and access.subscripts:
            value = self.whole(value, (*times, *rest), ())
        if is_whole(value):
            self.parts.append(Part(self.now, access, times, (), (), (), value))
            return
        target = Target(access, times, rest) if access.subscripts else self.in_entries(access, times)
        at = () if access.subscripts else target.access.subscripts
        self.terms(target, self.guarded(self.writer.entry(value, at), target.scope), ())

    def start(self, start: Start) -> None:
        """The caller's array where it is given, else the default."""
        slots = self.arrays[start.key].slots
        value = ast.ZERO if start.value is None else start.value
        access, times, _, value = normal(Equation(start.access, value, slots), self.writer.names)
        target = self.in_entries(access, times)
        given = Access(start.key, tuple(item.index for item in slots), target.access.subscripts)
        part = Part(self.now, target.access, times, target.entries, (), (), given)
        if start.value is not None:
            value = self.writer.entry(self.whole_calls(value, times, ()), target.access.subscripts)
            default = self.flat(self.guarded(value, target.scope), target.scope, ())
            part = replace(part, body=default, unless=start.key)
        self.parts.append(part)

    def in_entries(self, access: Access, times: Ranges) -> Target:
        """All entries of ``access``, at fresh indices."""
        shape = self.scope[access.name].shape
        at = tuple(self.writer.names.index() for _ in shape)
        entries = tuple(Range(i, sp.Integer(0), length - 1) for i, length in zip(at, shape, strict=True))
        return Target(replace(access, subscripts=at), times, entries)

    def guarded(self, value: Expression, scope: Ranges) -> Expression:
        """``value`` with a condition around each access that may lie outside an array which is zero there."""
        if isinstance(value, ast.Sum):
            scope = (*scope, Range(value.index, value.lower, value.upper))
        if isinstance(value, ast.Maximum):
            scope = (*scope, *value.ranges)
        if not isinstance(value, Access):
            return ast.map_children(lambda child: self.guarded(child, scope), value)
        declared = self.scope[value.name]
        if not declared.zero_outside:
            return value
        steps = zip(value.superscripts, declared.superscripts, strict=True)
        places = zip(value.subscripts, declared.shape, strict=True)
        inside = [ast.Within(step, item.lower, item.upper) for step, item in steps]
        inside += [ast.Within(place, sp.Integer(0), length - 1) for place, length in places]
        left = bounds.needed(inside, (*self.sizes, *scope))
        return ast.ZERO if left is None else ast.Guard(left, value) if left else value

    # Formulas ---------------------------------------------------------------------------------------------------------

    def terms(self, target: Target, value: Expression, conditions: Conditions) -> None:
        """Parts that make target = [conditions] value: sums, then entrywise terms, one part for equal conditions."""
        if isinstance(value, ast.Maximum | ast.Share):
            self.parts.append(self.part(target, (), conditions, self.searched(value, target.scope)))
            return
        parts: list[Part] = []
        plain: dict[Conditions, list[Expression]] = {}
        mean = self.arrays[target.access.name].mean
        for term in addends(value, Term(Fraction(1), conditions, ast.ONE)):
            left = bounds.needed(term.conditions, (*self.sizes, *target.scope))
            if isinstance(term.body, ast.Sum):
                parts += self.sums(target, term)
            elif left is not None:
                body = scaled(term.number, self.flat(term.body, target.scope, left))
                if mean and BATCH in self.indices(body):
                    parts.append(self.as_product(self.part(target, (), left, body)))
                else:
                    plain.setdefault(left, []).append(body)
        for left, bodies in plain.items():
            parts.append(self.part(target, (), left, bodies[0] if len(bodies) == 1 else ast.Add(tuple(bodies))))
        self.parts += parts or [self.part(target, (), (), ast.ZERO)]

    def part(self, target: Target, sums: Ranges, conditions: Conditions, body: Expression) -> Part:
        return Part(self.now, target.access, target.times, target.entries, sums, conditions, body)

    def sums(self, target: Target, term: Term) -> Iterable[Part]:
        """One part for each sum of products in ``term``: sums over sums are one, sums of terms are taken apart."""
        body, bound = term.body, []
        while isinstance(body, ast.Sum):
            bound.append(Range(body.index, body.lower, body.upper))
            body = body.body
        scope = (*target.scope, *bound)
        for inner in addends(body, replace(term, body=ast.ONE)):
            if isinstance(inner.body, ast.Sum):
                nested = inner.body
                for item in reversed(bound):
                    nested = ast.Sum(item.index, item.lower, item.upper, nested)
                yield from self.sums(target, replace(inner, body=nested))
            elif (left := bounds.needed(inner.conditions, (*self.sizes, *scope))) is not None:
                flat = tuple(self.flat(factor, scope, left) for factor in factors(inner.body).others)
                yield self.as_product(self.part(target, tuple(bound), left, scaled(inner.number, ast.Product(flat))))

    def searched(self, value: ast.Maximum | ast.Share, scope: Ranges) -> Expression:
        """A maximum, or a share of one, without sums and other maxima inside."""
        maximum = value.maximum if isinstance(value, ast.Share) else value
        inner = (*scope, *maximum.ranges)
        maximum = replace(maximum, body=self.flat(maximum.body, inner, maximum.conditions))
        return replace(value, maximum=maximum) if isinstance(value, ast.Share) else maximum

    def flat(self, value: Expression, scope: Ranges, conditions: Conditions) -> Expression:
        """``value`` without sums inside: a sum, or an addition of sums, is made by other parts and read by name."""
        match value:
            case ast.Sum() | ast.Maximum() | ast.Share():
                return self.named(value, scope, conditions)
            case ast.Add(terms=parts) if any(map(is_sum, parts)):
                return self.named(value, scope, conditions)
            case ast.Guard(conditions=more, body=body):
                return replace(value, body=self.flat(body, scope, conditions + more))
            case _:
                return ast.map_children(lambda child: self.flat(child, scope, conditions), value)

    def named(self, value: Expression, scope: Ranges, conditions: Conditions) -> Access:
        """``value`` under a new name, with an axis for each index in it; equal values share one name."""
        used, in_time = free_indices(value), superscript_indices(value)
        axes = [boxed(item, scope) for item in scope if item.index in used]
        times = tuple(item for item in axes if item.index in in_time)
        entries = tuple(item for item in axes if item.index not in in_time)
        order = [item.index for item in (*times, *entries)]
        kept = tuple(condition for condition in conditions if condition_indices(condition) <= set(order))
        key = (
            canonical(ast.Guard(kept, value), order),
            tuple((item.lower, item.upper) for item in (*times, *entries)),
            len(times),
        )
        name = self.known.get(key)
        access = Access(
            name or self.new_name(),
            tuple(item.index for item in times),
            tuple(integer(item.index - item.lower) for item in entries),
        )
        if name is None:
            self.known[key] = access.name
            self.declare(access.name, times, tuple(map(extent, entries)), value)
            self.terms(Target(access, times, entries), value, kept)
        return access

    def new_name(self) -> str:
        return self.writer.names.array(f"part_{self.now}" if self.now > 0 else f"start_{-self.now}")

    def declare(self, name: str, slots: Ranges, shape: Shape, value: Expression) -> None:
        self.arrays[name] = Array(name, slots, shape, BATCH in self.indices(value))
        self.scope[name] = Declaration(name, "defined", shape, slots)

    def indices(self, value: Expression) -> set[sp.Symbol]:
        """The indices in ``value``, the batch's among them where a sequence has values of its own."""
        read = (self.arrays[node.name] for node in ast.walk(value) if isinstance(node, Access))
        return free_indices(value) | ({BATCH} if any(array.batched for array in read) else set())

    # Functions of whole arrays ----------------------------------------------------------------------------------------

    def whole_calls(self, value: Expression, scope: Ranges, conditions: Conditions) -> Expression:
        """``value`` with functions of whole arrays read by name; a call that is all of ``value`` stays one."""
        if is_whole(value):
            return self.plain(value, scope, conditions)

        def inside(node: Expression, scope: Ranges, conditions: Conditions) -> Expression:
            if isinstance(node, ast.Maximum):
                scope, conditions = (*scope, *node.ranges), conditions + node.conditions
            if isinstance(node, ast.Sum):
                scope = (*scope, Range(node.index, node.lower, node.upper))
            if isinstance(node, ast.Guard):
                conditions = conditions + node.conditions
            if is_whole(node):
                return self.whole(self.plain(node, scope, conditions), scope, conditions)
            return ast.map_children(lambda child: inside(child, scope, conditions), node)

        return inside(value, scope, conditions)

    def plain(self, call: ast.Call | ast.LogSumExp, scope: Ranges, conditions: Conditions) -> ast.Call | ast.LogSumExp:
        """The call with arrays, not formulas, as its arguments."""
        if isinstance(call, ast.LogSumExp):
            inner = (*scope, Range(call.index, call.lower, call.upper))
            return replace(call, body=self.row(call.body, call.index, inner, conditions))
        return replace(call, arguments=tuple(self.argument(part, scope, conditions) for part in call.arguments))

    def argument(self, value: Expression, scope: Ranges, conditions: Conditions) -> Access:
        """``value`` as a whole array with a name."""
        if isinstance(value, Access) and not value.subscripts:
            return value
        return self.whole(self.whole_calls(value, scope, conditions), scope, conditions)

    def row(self, value: Expression, index: sp.Symbol, scope: Ranges, conditions: Conditions) -> Access:
        """``value`` as numbers with a name, the index at one place of it alone."""
        if isinstance(value, Access):
            places = (*value.superscripts, *value.subscripts)
            if places.count(index) == 1 and sum(place.has(index) for place in places) == 1:
                return value
        return self.whole(self.whole_calls(value, scope, conditions), scope, conditions)

    def whole(self, value: Expression, scope: Ranges, conditions: Conditions) -> Access:
        """The array ``value`` under a new name, its superscripts the indices in it."""
        used = free_indices(value)
        times = tuple(boxed(item, scope) for item in scope if item.index in used)
        kept = tuple(c for c in conditions if condition_indices(c) <= {item.index for item in times})
        access = Access(self.new_name(), tuple(item.index for item in times))
        self.declare(access.name, times, self.writer.shape(value), value)
        if is_whole(value):
            self.parts.append(Part(self.now, access, times, (), (), kept, value))
        else:
            target = self.in_entries(access, times)
            self.terms(target, self.guarded(self.writer.entry(value, target.access.subscripts), target.scope), kept)
        return access

    # Products of two matrices -----------------------------------------------------------------------------------------

    def as_product(self, part: Part) -> Part:
        """``part`` as a product of two plain arrays, where its factors are two groups that share the summed indices."""
        found = factors(part.body)
        loops = {item.index for item in (*part.loops, *part.sums)} | {BATCH}
        groups = merged([(frozenset(self.indices(factor) & loops), [factor]) for factor in found.others])
        target = self.arrays[part.target.name]
        kept = {item.index for item in part.loops} | ({BATCH} if target.batched else set())
        summed = {item.index for item in part.sums} | ({BATCH} if target.mean else set())
        if len(groups) != 2:
            return part
        (first, left), (second, right) = groups
        both, either = first & second, first ^ second
        if not both & summed or either & summed or not (either & kept) - {BATCH}:
            return part
        if found.number != 1:  # goes to the smaller of the two, a parameter rather than values of a batch
            smaller = left if (BATCH in first, len(first)) <= (BATCH in second, len(second)) else right
            smaller.insert(0, ast.Number(found.number))
        scope = (*part.loops, *part.sums)
        if not all(map(can_be_operand, (left, right))):
            return replace(part, body=ast.Product((*left, *right)))
        operands = tuple(
            group[0]
            if len(group) == 1 and isinstance(group[0], Access)
            else self.named(ast.Product(tuple(group)), scope, part.conditions)
            for group in (left, right)
        )
        return replace(part, body=ast.Product(operands))


def can_be_operand(group: Sequence[Expression]) -> bool:
    """True of an access, and of formulas that have a value for each entry of an array, not for each pair of indices."""
    read = (node for factor in group for node in ast.walk(factor) if isinstance(node, Access))
    return (len(group) == 1 and isinstance(group[0], Access)) or all(map(is_plain, read))


Group = tuple[frozenset[sp.Symbol], list[Expression]]


def merged(groups: Sequence[Group]) -> list[Group]:
    """Factors with equal indices together; then small groups in others that have their indices, until two are left."""
    together: dict[frozenset[sp.Symbol], list[Expression]] = {}
    for indices, members in groups:
        together.setdefault(indices, []).extend(members)
    ordered = sorted(together.items(), key=lambda group: len(group[0]))
    while len(ordered) > 2:
        (indices, members), *others = ordered
        host = next((group for group in others if indices <= group[0]), None)
        if host is None:
            break
        host[1].extend(members)
        ordered = others
    return ordered


def cut(program: Program, arrays: Mapping[str, Array], names: Names, numbers: Sequence[int]) -> Stages:
    """Every equation of ``program`` in parts, numbered by ``numbers``; starts are numbered -1, -2 …"""
    scope = {item.name: item for item in program.declarations}
    sizes = tuple(bounds.of_sizes(program.derived))
    cutter = _Cutter(dict(arrays), scope, Writer(scope, names), sizes)
    for number, start in enumerate(program.starts, 1):
        cutter.now = -number
        cutter.start(start)
    for number, equation in zip(numbers, program.equations, strict=True):
        cutter.now = number
        cutter.equation(equation)
    return Stages(cutter.arrays, tuple(cutter.parts), sizes)
