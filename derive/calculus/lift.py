"""From contracted index notation back to matrices, where a matrix form exists.

A term is read as a network: every summed or free subscript is a node, a vector hangs on one node, a matrix joins two. A network that is a
tree is a chain of matrix products, Hadamard products and inner products; what is not a tree stays in index notation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import sympy as sp

from derive.calculus.contract import Term, exact_quotient, expanded
from derive.calculus.tidy import tidy
from derive.language import expression as ast
from derive.language.expression import Access, Expression, Integer, index
from derive.language.system import Scope

Axes = tuple[sp.Symbol, ...]


class NotAMatrix(Exception):
    """The term has no matrix form; it is written in indices instead."""


@dataclass(frozen=True)
class Entry:
    """One array entry taken apart: the array, its superscripts and its subscripts."""

    name: str
    superscripts: tuple[sp.Expr, ...]
    subscripts: tuple[sp.Expr, ...]


def entry_of(indexed: sp.Indexed, scope: Scope) -> Entry:
    """What an Indexed of ours stands for."""
    name = str(indexed.base.label)
    declaration = scope[name]
    count = len(declaration.superscripts)
    indices = tuple(indexed.indices)
    return Entry(name, indices[:count], indices[count:] if declaration.shape else ())


def lift(term: Term, free: Mapping[sp.Symbol, Integer], scope: Scope) -> Expression:
    """The matrix expression that ``term`` stands for, its axes the ``free`` subscripts with their extents; NotAMatrix if there is none.

    Superscripts stay as they are; a sum over a superscript becomes a Sum node around the matrix expression.
    """
    term = _recognised(term)
    superscripts = _superscript_indices(term, scope)
    tensor = frozenset(free) | {bound.index for bound in term.bounds if bound.index not in superscripts}
    _require_whole_ranges(term, tensor, scope)
    extents = {**free, **{bound.index: sp.expand(bound.upper + 1) for bound in term.bounds}}
    body = _Network(term.factors, tuple(free), tensor, extents, scope).expression()
    for bound in reversed([bound for bound in term.bounds if bound.index in superscripts]):
        inner = tuple(condition for condition in term.conditions if _mentions(condition, bound.index))
        body = ast.Guard(inner, body) if inner else body
        term = Term(term.factors, term.bounds, tuple(c for c in term.conditions if c not in inner))
        body = ast.Sum(bound.index, bound.lower, bound.upper, body)
    return tidy(ast.Guard(term.conditions, body) if term.conditions else body, scope)


def in_indices(term: Term, scope: Scope) -> Expression:
    """The term as a scalar expression in entries: Σ_k Σ_a w[k,c,a] … with its conditions."""
    body: Expression = _Elementwise((), frozenset(), {}, scope, entrywise=True).product(term.factors)
    if term.conditions:
        body = ast.Guard(term.conditions, body)
    for bound in reversed(term.bounds):
        body = ast.Sum(bound.index, bound.lower, bound.upper, body)
    return tidy(body, scope)


def named_indices(expression: Expression, names: Iterable[tuple[sp.Symbol, str]]) -> Expression:
    """``expression`` with dummies given readable names; sums inside get names of their own that clash with nothing around them."""
    renaming = {symbol: index(name) for symbol, name in names}
    return _named(expression, renaming)


def _named(expression: Expression, renaming: dict[sp.Symbol, sp.Symbol]) -> Expression:
    match expression:
        case ast.Sum(index=bound, lower=lower, upper=upper, body=body):
            name = _unused(bound.name, {symbol.name for symbol in renaming.values()})
            inner = {**renaming, bound: index(name)}
            return ast.Sum(index(name), lower.xreplace(renaming), upper.xreplace(renaming), _named(body, inner))
        case ast.Guard(conditions=conditions, body=body):
            (renamed,) = [ast.substitute_indices(ast.Guard(conditions, ast.ONE), dict(renaming))]
            assert isinstance(renamed, ast.Guard)
            return ast.Guard(renamed.conditions, _named(body, renaming))
        case Access() | ast.SizeValue() | ast.Identity() | ast.Filled():
            return ast.substitute_indices(expression, dict(renaming))
        case _:
            return ast.map_children(lambda child: _named(child, renaming), expression)


def _unused(name: str, taken: set[str]) -> str:
    alternatives = {"t": "tsk", "k": "klm", "j": "jlm", "i": "ijl"}.get(name, name)
    for candidate in (*alternatives, *(f"{name}{number}" for number in range(1, 100))):
        if candidate not in taken:
            return candidate
    raise AssertionError("more than a hundred nested sums")


# Reading a term --------------------------------------------------------------------------------------------------------------------


def _entries(expression: sp.Expr, scope: Scope) -> list[Entry]:
    return [entry_of(atom, scope) for atom in expression.atoms(sp.Indexed)]


def _superscript_indices(term: Term, scope: Scope) -> set[sp.Symbol]:
    """The summed indices that stand in a superscript, or in no array at all: their sums are written out."""
    plain: set[sp.Symbol] = set()
    above: set[sp.Symbol] = set()
    for factor in term.factors:
        for item in _entries(factor, scope):
            above |= {symbol for position in item.superscripts for symbol in position.free_symbols}
            plain |= {position for position in item.subscripts if isinstance(position, sp.Symbol)}
        if isinstance(factor, sp.KroneckerDelta):
            plain |= factor.free_symbols
    return {bound.index for bound in term.bounds if bound.index in above or bound.index not in plain}


def _require_whole_ranges(term: Term, tensor: frozenset[sp.Symbol], scope: Scope) -> None:
    """Every subscript node runs over the whole axis it indexes, no condition cuts it, and it stands in no superscript."""
    for condition in term.conditions:
        if any(_mentions(condition, symbol) for symbol in tensor):
            raise NotAMatrix
    bounds = {bound.index: bound for bound in term.bounds}
    for factor in term.factors:
        for indexed in factor.atoms(sp.Indexed):
            item = entry_of(indexed, scope)
            if any(position.free_symbols & tensor for position in item.superscripts):
                raise NotAMatrix
            for position, extent in zip(item.subscripts, scope[item.name].shape, strict=True):
                if position in bounds and position in tensor:
                    bound = bounds[position]
                    if bound.lower != 0 or sp.expand(bound.upper - extent + 1) != 0:
                        raise NotAMatrix
                elif position not in tensor and position.free_symbols & tensor:
                    raise NotAMatrix


def _mentions(condition: ast.Condition, symbol: sp.Symbol) -> bool:
    parts = (
        (condition.value, condition.lower, condition.upper)
        if isinstance(condition, ast.Within)
        else (condition.divisor, condition.value)
    )
    return any(sp.sympify(part).has(symbol) for part in parts)


# Functions of whole arrays, recognised by their index form -----------------------------------------------------------------------------

softmax_entry = sp.Function("softmax_entry")
"""softmax_entry(s_i): the entry at i of the softmax of the vector with entries s_i."""
logsumexp_value = sp.Function("logsumexp_value")
"""logsumexp_value(Σ_j exp(s_j)): its logarithm, computed without overflow."""


def _softmax(factors: list[sp.Expr]) -> list[sp.Expr] | None:
    """exp(s_i) / Σ_j exp(s_j) is softmax(s)_i."""
    for factor in factors:
        base, power = factor.as_base_exp()
        if not (isinstance(base, sp.Sum) and power.is_negative and len(base.limits) == 1):
            continue
        bound = base.limits[0][0]
        for other in factors:
            if _is_exp(other) and _same_but_for_one_index(base.function, bound, other):
                rest = [entry for entry in factors if entry is not factor and entry is not other]
                return [*rest, softmax_entry(other.args[0]), *([base ** (power + 1)] if power != -1 else [])]
            square, twice = other.as_base_exp()
            if twice == 2 and _is_exp(square) and _same_but_for_one_index(base.function, bound, square):
                rest = [entry for entry in factors if entry is not factor and entry is not other]
                return [*rest, square, softmax_entry(square.args[0]), *([base ** (power + 1)] if power != -1 else [])]
    return None


def _is_exp(expression: sp.Expr) -> bool:
    return getattr(expression.func, "function_name", "") == "exp"


def _same_but_for_one_index(summand: sp.Expr, bound: sp.Symbol, other: sp.Expr) -> bool:
    candidates = {position for entry in other.atoms(sp.Indexed) for position in entry.indices}
    return _is_exp(summand) and any(summand.xreplace({bound: position}) == other for position in candidates)


RECOGNISED: dict[str, Callable[[list[sp.Expr]], list[sp.Expr] | None]] = {"softmax": _softmax}
"""Patterns among the factors of a term that have a name; each returns the factors with the named one, or None."""


def _recognised(term: Term) -> Term:
    factors = list(term.factors)
    while True:
        for pattern in RECOGNISED.values():
            found = pattern(factors)
            if found is not None:
                factors = found
                break
        else:
            return Term(tuple(factors), term.bounds, term.conditions)


# Entry by entry ----------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Elementwise:
    """Scalar SymPy expressions read as expressions on whole arrays with the given axes."""

    axes: Axes
    tensor: frozenset[sp.Symbol]
    extents: Mapping[sp.Symbol, Integer]
    scope: Scope
    entrywise: bool = False
    """Sums stay sums over indices, even where they have a matrix form."""

    def expression(self, value: sp.Expr) -> Expression:
        match value:
            case sp.Indexed():
                return self._indexed(entry_of(value, self.scope))
            case sp.Rational():
                return ast.Number(Fraction(int(value.p), int(value.q)))
            case _ if not value.has(sp.Indexed, sp.KroneckerDelta, exact_quotient):
                return ast.SizeValue(value)
            case sp.Add():
                return ast.Add(tuple(self.expression(term) for term in self._in_author_order(value.args)))
            case sp.Mul():
                return self.product(value.args)
            case sp.Pow():
                if value.exp.is_negative:
                    return ast.Quotient(ast.ONE, self.expression(value.base**-value.exp))
                return ast.Power(self.expression(value.base), self.expression(value.exp))
            case sp.Sum():
                return self._sum(value)
            case sp.KroneckerDelta() if self.axes and set(value.args) == set(self.axes):
                return ast.Filled(1, ())
            case sp.KroneckerDelta():
                return ast.Guard((ast.Within(value.args[0], value.args[1], value.args[1]),), ast.ONE)
            case sp.Function():
                return self._function(value)
            case _:
                raise NotAMatrix

    def product(self, factors: Sequence[sp.Expr]) -> Expression:
        """Numbers first, then scalars, then arrays multiplied entry by entry; negative powers below a fraction bar."""
        deltas = [factor for factor in factors if isinstance(factor, sp.KroneckerDelta)]
        if deltas and not self.axes:
            rest = [factor for factor in factors if factor not in deltas]
            conditions = tuple(ast.Within(delta.args[0], delta.args[1], delta.args[1]) for delta in deltas)
            return ast.Guard(conditions, self.product(rest))
        above, below = [], []
        for factor in factors:
            base, power = factor.as_base_exp()
            if power.is_negative and not base.is_Rational:
                below.append(base**-power)
            else:
                above.append(factor)
        top = self._times(above)
        return ast.Quotient(top, self._times(below)) if below else top

    def _times(self, factors: Sequence[sp.Expr]) -> Expression:
        numbers = [factor for factor in factors if factor.is_Rational]
        others = [factor for factor in factors if not factor.is_Rational]
        scalars = [self.expression(factor) for factor in others if not self._has_axes(factor)]
        arrays = [self.expression(factor) for factor in others if self._has_axes(factor)]
        arrays.sort(key=slopes_first)
        coefficient = sp.Mul(*numbers)
        leading: list[Expression] = [] if coefficient == 1 else [self.expression(coefficient)]
        body = ast.Hadamard(tuple(arrays)) if len(arrays) > 1 else arrays[0] if arrays else None
        parts = (*leading, *sorted(scalars, key=_by_subscripts if self.entrywise else slopes_first), *([body] if body is not None else []))
        return parts[0] if len(parts) == 1 else ast.Product(parts) if parts else ast.ONE

    def _has_axes(self, value: sp.Expr) -> bool:
        return bool(value.free_symbols & self.tensor)

    def _in_author_order(self, terms: Sequence[sp.Expr]) -> list[sp.Expr]:
        order = {name: number for number, name in enumerate(self.scope)}

        def position(term: sp.Expr) -> tuple[bool, int, str]:
            places = [order[entry.name] for entry in _entries(term, self.scope)]
            return bool(term.could_extract_minus_sign()), min(places, default=-1), str(term)

        return sorted(terms, key=position)

    def _indexed(self, item: Entry) -> Expression:
        whole = tuple(position for position in item.subscripts if position in self.tensor)
        if not whole:
            return Access(item.name, item.superscripts, item.subscripts)
        if whole == item.subscripts and whole == self.axes:
            return Access(item.name, item.superscripts)
        if whole == item.subscripts and len(set(whole)) == 2 and whole == self.axes[::-1]:
            return ast.Transpose(Access(item.name, item.superscripts))
        raise NotAMatrix

    def _sum(self, value: sp.Sum) -> Expression:
        terms = expanded(value)
        if self.entrywise:
            entries = [in_indices(term, self.scope) for term in terms]
            return entries[0] if len(entries) == 1 else ast.Add(tuple(entries))
        axes = tuple(axis for axis in self.axes if value.has(axis))
        if axes not in ((), self.axes):
            raise NotAMatrix
        try:
            parts = [lift(term, {axis: self.extents[axis] for axis in axes}, self.scope) for term in terms]
        except NotAMatrix:
            if axes:
                raise
            parts = [in_indices(term, self.scope) for term in terms]
        return parts[0] if len(parts) == 1 else ast.Add(tuple(parts))

    def _function(self, value: sp.Expr) -> Expression:
        name = getattr(value.func, "function_name", None)
        (argument,) = value.args
        if value.func == softmax_entry:
            if len(self.axes) != 1:
                raise NotAMatrix
            return ast.Call("softmax", (self.expression(argument),))
        if name == "log" and isinstance(argument, sp.Sum) and len(argument.limits) == 1 and _is_exp(argument.function):
            bound = argument.limits[0][0]
            extents = {**self.extents, bound: sp.expand(argument.limits[0][2] + 1)}
            inner = _Elementwise((bound,), self.tensor | {bound}, extents, self.scope)
            return ast.Call("logsumexp", (inner.expression(argument.function.args[0]),))
        if name is None:
            raise NotAMatrix
        return ast.Apply(name, self.expression(argument), value.func.order)


def _by_subscripts(expression: Expression) -> tuple[int, str, int]:
    """The order of entries in a product: slopes, entries of matrices, then U_ij's neighbours in the order of their letters."""
    if isinstance(expression, ast.Apply) and expression.order > 0:
        return 1, "", 0
    if not isinstance(expression, Access):
        return 4, repr(expression), 0
    letters = "".join(str(position) for position in expression.subscripts)
    return 2 if len(expression.subscripts) > 1 else 3, letters, slopes_first(expression)[0]


def slopes_first(expression: Expression) -> tuple[int, str]:
    """The order of factors that people write: slopes, values, then what comes back from later (adjoints, products)."""
    match expression:
        case ast.Number() | ast.SizeValue():
            rank = 0
        case ast.Apply(order=order) if order > 0:
            rank = 1
        case Access(name=name) if not name.startswith(("delta_", "d_")):
            rank = 3
        case Access():
            rank = 5
        case ast.Product() | ast.Sum():
            rank = 6
        case _:
            rank = 4
    return rank, repr(expression) if rank == 4 else str(getattr(expression, "name", ""))


# The network -------------------------------------------------------------------------------------------------------------------------


class _Network:
    """The factors of one term, each hung on the subscripts it has."""

    def __init__(
        self,
        factors: Sequence[sp.Expr],
        free: Axes,
        tensor: frozenset[sp.Symbol],
        extents: Mapping[sp.Symbol, Integer],
        scope: Scope,
    ) -> None:
        self.free = free
        self.tensor = tensor
        self.extents = extents
        self.scope = scope
        self.scalars: list[sp.Expr] = []
        self.vectors: dict[sp.Symbol, list[Expression]] = {}
        self.edges: list[tuple[sp.Symbol, sp.Symbol, Expression]] = []
        self.pairs: list[tuple[sp.Symbol, sp.Symbol]] = []
        for factor in factors:
            self._place(factor)

    def _place(self, factor: sp.Expr) -> None:
        axes = self._axes(factor)
        if isinstance(factor, sp.KroneckerDelta):
            first, second = factor.args
            if {first, second} != set(self.free):
                raise NotAMatrix
            self.pairs.append((first, second))
        elif not axes:
            self.scalars.append(factor)
        elif len(axes) == 1:
            elementwise = _Elementwise(axes, self.tensor, self.extents, self.scope)
            self.vectors.setdefault(axes[0], []).append(elementwise.expression(factor))
        elif len(axes) == 2:
            self.edges.append((*axes, _Elementwise(axes, self.tensor, self.extents, self.scope).expression(factor)))
        else:
            raise NotAMatrix

    def _axes(self, factor: sp.Expr) -> Axes:
        """The subscripts of a factor in the order of its first array that has them all."""
        inside = factor.free_symbols & self.tensor
        for indexed in sorted(factor.atoms(sp.Indexed), key=str):
            order = tuple(dict.fromkeys(i for i in entry_of(indexed, self.scope).subscripts if i in self.tensor))
            if set(order) == inside and len(order) == len(inside):
                return order
        return tuple(sorted(inside, key=lambda symbol: (symbol.name, getattr(symbol, "dummy_index", 0))))

    def expression(self) -> Expression:
        match self.free:
            case ():
                body = None
            case (one,):
                body = self._vector(one)
            case (row, column):
                body = self._matrix(row, column)
            case _:
                raise NotAMatrix
        parts = list(self._loose_scalars())
        if body is not None:
            parts.append(body)
        elif self.free:
            parts.append(self._ones(*self.free))
        if not parts:
            return ast.ONE
        return parts[0] if len(parts) == 1 else ast.Product(tuple(parts))

    def _ones(self, *axes: sp.Symbol) -> Expression:
        return ast.Filled(1, tuple(self.extents[axis] for axis in axes))

    def _loose_scalars(self) -> Iterable[Expression]:
        """Scalar factors, and what is summed apart from the free subscripts: inner products, traces, sums."""
        plain = _Elementwise((), self.tensor, self.extents, self.scope)
        if self.scalars:
            yield plain.product(self.scalars)
        while self.vectors or self.edges:
            yield self._closed_component()

    def _take_vectors(self, at: sp.Symbol) -> list[Expression]:
        return sorted(self.vectors.pop(at, []), key=slopes_first)

    def _take_edges(self, at: sp.Symbol) -> list[tuple[sp.Symbol, Expression]]:
        """The matrices at node ``at``, each turned so that ``at`` indexes its rows, with the node at the other end."""
        found, rest = [], []
        for first, second, matrix in self.edges:
            if first == at:
                found.append((second, matrix))
            elif second == at:
                found.append((first, ast.Transpose(matrix)))
            else:
                rest.append((first, second, matrix))
        self.edges = rest
        return found

    def _vector(self, at: sp.Symbol) -> Expression | None:
        """Everything that hangs on node ``at``, as one vector; None for nothing."""
        parts = self._take_vectors(at)
        for other, matrix in self._take_edges(at):
            if other in self.free or other == at:
                raise NotAMatrix
            parts.append(ast.Product((matrix, self._vector(other) or self._ones(other))))
        parts.sort(key=slopes_first)
        return None if not parts else parts[0] if len(parts) == 1 else ast.Hadamard(tuple(parts))

    def _matrix(self, row: sp.Symbol, column: sp.Symbol) -> Expression | None:
        if self.pairs:
            vectors = [part for part in (self._vector(row), self._vector(column)) if part is not None]
            if not vectors:
                return ast.Identity(self.extents[row])
            return ast.Diagonal(vectors[0] if len(vectors) == 1 else ast.Hadamard(tuple(vectors)))
        path = self._path(row, column)
        if path is None:
            left, right = self._vector(row), self._vector(column)
            if left is None and right is None:
                return None
            return ast.Product((left or self._ones(row), ast.Transpose(right or self._ones(column))))
        factors: list[Expression] = []
        node = row
        for matrix, following in path:
            beside = self._vector(node)
            factors += [] if beside is None else [ast.Diagonal(beside)]
            factors.append(matrix)
            node = following
        beside = self._vector(column)
        factors += [] if beside is None else [ast.Diagonal(beside)]
        return factors[0] if len(factors) == 1 else ast.Product(tuple(factors))

    def _path(self, start: sp.Symbol, end: sp.Symbol) -> list[tuple[Expression, sp.Symbol]] | None:
        """The matrices from ``start`` to ``end``, taken out of the network; parallel ones as one Hadamard product."""
        reached: dict[sp.Symbol, tuple[sp.Symbol, list[int]]] = {}
        frontier = [start]
        while frontier and end not in reached:
            node = frontier.pop(0)
            for number, (first, second, _) in enumerate(self.edges):
                other = second if first == node else first if second == node else None
                if other is None or other == start:
                    continue
                if other in reached:
                    if reached[other][0] == node and number not in reached[other][1]:
                        reached[other][1].append(number)
                    continue
                reached[other] = (node, [number])
                frontier.append(other)
        if end not in reached:
            return None
        path: list[tuple[Expression, sp.Symbol]] = []
        used: set[int] = set()
        node = end
        while node != start:
            before, numbers = reached[node]
            turned = [
                matrix if first == before else ast.Transpose(matrix)
                for first, _, matrix in (self.edges[number] for number in numbers)
            ]
            path.insert(0, (turned[0] if len(turned) == 1 else ast.Hadamard(tuple(turned)), node))
            used |= set(numbers)
            node = before
        self.edges = [edge for number, edge in enumerate(self.edges) if number not in used]
        return path

    def _closed_component(self) -> Expression:
        """One connected part without free subscripts, as a scalar."""
        if not self.edges or self.vectors:
            root = min(self.vectors, key=lambda node: (len(self._touching(node)), node.name))
            own = self._take_vectors(root)
            if not self._touching(root):
                if len(own) == 1:
                    return ast.Call("sum", (own[0],))
                left = own[0] if len(own) == 2 else ast.Hadamard(tuple(own[:-1]))
                return ast.Inner(left, own[-1])
            rest = self._vector(root)
            assert rest is not None
            return ast.Inner(own[0] if len(own) == 1 else ast.Hadamard(tuple(own)), rest)
        return self._cycle()

    def _touching(self, node: sp.Symbol) -> list[Expression]:
        return [matrix for first, second, matrix in self.edges if node in (first, second)]

    def _cycle(self) -> Expression:
        """Matrices alone: Σ_ij A_ij B_ij is an inner product, a single matrix its sum, a ring a trace."""
        first, second, matrix = self.edges.pop(0)
        if first == second:
            raise NotAMatrix
        if not self._touching(first) and not self._touching(second):
            return ast.Call("sum", (matrix,))
        back = self._path(second, first)
        if back is None:
            raise NotAMatrix
        if len(back) == 1:
            return ast.Inner(matrix, tidy(ast.Transpose(back[0][0]), self.scope))
        return ast.Call("trace", (ast.Product((matrix, *(step for step, _ in back))),))
