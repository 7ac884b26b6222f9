"""The reverse walk told as steps: what a reader is shown for each adjoint and gradient, why it holds, and what may be checked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import sympy as sp

from derive.calculus.adjoint import Adjoint, Contribution
from derive.calculus.cases import Case, cases
from derive.calculus.contract import Term
from derive.calculus.lift import entry_of, in_indices, named_indices
from derive.calculus.slopes import with_slopes
from derive.calculus.stages import free_indices
from derive.calculus.tidy import tidy
from derive.calculus.walk import Walk
from derive.language import expression as ast
from derive.language.expression import Access, Expression
from derive.language.functions import FUNCTIONS
from derive.language.system import Equation
from derive.trace import Equal, Line, Sentence, Step, TotalDerivative


def steps_of(walk: Walk, loss: str) -> list[Step]:
    """The steps of the reverse walk, in its order: each adjoint, its recursion and slope, then each gradient."""
    steps: list[Step] = []
    direct = list(walk.gradients.values())
    shown: set[str] = set()
    for found in walk.adjoints:
        if is_constant(found):
            continue
        steps.append(adjoint_step(found, walk, loss))
        steps += recursion_steps(found, walk, loss)
        # A gradient is shown as soon as everything in it is known: ∂ℓ/∂v right after ∂ℓ/∂ŷ.
        known = {step.before.name for step in steps if isinstance(step.before, Access)}
        known |= {other.equation.target.name for other in walk.adjoints if is_constant(other)}
        for gradient in direct:
            if gradient.array.name not in shown and _needs(gradient, walk) <= known and _is_parameter(gradient, walk):
                steps.append(gradient_step(gradient, walk, loss))
                shown.add(gradient.array.name)
    for gradient in direct:
        if gradient.equation.target.name not in {s.before.name for s in steps if isinstance(s.before, Access)}:
            steps.append(gradient_step(gradient, walk, loss))
    return steps


def is_constant(found: Adjoint) -> bool:
    """The adjoint is a number, as that of each loss in a sum of losses: it is put in wherever it stands."""
    return not any(isinstance(node, Access | ast.Guard) for node in ast.walk(found.equation.value))


def _is_parameter(found: Adjoint, walk: Walk) -> bool:
    return walk.scope[found.array.name].role == "learn"


def _needs(found: Adjoint, walk: Walk) -> set[str]:
    results = set(walk.names.values())
    return {node.name for node in ast.walk(found.equation.value) if isinstance(node, Access) and node.name in results}


def adjoint_step(found: Adjoint, walk: Walk, loss: str) -> Step:
    """∂loss/∂array, for one array of the forward program."""
    left = ast.Derivative(Access(loss), found.array)
    named = found.equation.target.name.startswith("delta_")
    return replace(
        _step(f"adjoint-{found.array.name}", found, walk, left, loss, named),
        title=_title(found, walk),
        claims=(_claim(found, loss),),
    )


def _claim(found: Adjoint, loss: str, *, in_indices: bool = False) -> TotalDerivative:
    """What the adjoint's equation says, in matrix form where there is one, unless the entries are asked for."""
    equation = found.index_equation if in_indices else found.equation
    wrt = Access(found.array.name, found.array.superscripts, equation.target.subscripts)
    return TotalDerivative(Access(loss), wrt, equation.value)


def gradient_step(found: Adjoint, walk: Walk, loss: str) -> Step:
    """∂loss/∂parameter, input or initial state."""
    left = ast.Derivative(Access(loss), found.array)
    key = found.equation.target.name
    simple = inlined(found.equation.value, walk)
    step = _step(f"gradient-{key.removeprefix('grad_')}", found, walk, left, loss, named=False, value=simple)
    role = walk.scope[found.array.name].role
    kind = {"learn": "parameter", "given": "input"}.get(role, "initial state")
    title = ("The gradient with respect to the " + kind + " ", found.array)
    return replace(step, title=title, claims=(_claim(found, loss),))


def _step(
    name: str, found: Adjoint, walk: Walk, left: Expression, loss: str, named: bool, value: Expression | None = None
) -> Step:
    constants = {other.equation.target.name for other in walk.adjoints if is_constant(other)}
    shown = inlined(found.equation.value, walk, set(walk.names.values()) - constants) if value is None else value
    equation = replace(found.equation, value=shown)
    told = cases(equation, walk.scope)
    target = found.equation.target
    lines = []
    for case in told.cases:
        at = {} if case.index is None or not case.is_point else {case.index: case.lower}
        quotient = ast.substitute_indices(left, at)
        sides = (case.target, quotient, case.value) if named else (quotient, case.value)
        if target.subscripts:
            sides = (case.target, case.value)
        lines.append(Line(sides, _where(case)))
    if told.zero_beyond:
        lines = [
            replace(line, where=(*line.where, *_zero_note(told.zero_beyond))) if n == len(lines) - 1 else line
            for n, line in enumerate(lines)
        ]
    shapes = ((found.array.name, walk.scope[found.array.name].shape),)
    return Step(
        name,
        (),
        "chain rule",
        _reason(found, walk),
        target,
        found.equation.value,
        tuple(lines),
        shapes,
        details=tuple(_details(found, walk, loss)),
    )


def _where(case: Case) -> Sentence:
    """For which times a line holds; from the last to the first where it needs its own later values."""
    if case.index is None or case.is_point:
        return ()
    backwards = any(
        isinstance(node, Access) and node.superscripts and sp.expand(node.superscripts[0] - case.index).is_positive
        for node in ast.walk(case.value)
    )
    index, first, last = case.index_expression, ast.SizeValue(case.lower), ast.SizeValue(case.upper)
    if backwards:
        return ("for ", index, " from ", last, " down to ", first)
    return ("for ", index, " from ", first, " to ", last)


def _zero_note(beyond: Sequence[Access]) -> Sentence:
    return (", with ", *_listed(beyond), " = 0")


def _listed(items: Sequence[Expression]) -> Sentence:
    words: list[str | Expression] = []
    for number, item in enumerate(items):
        if number:
            words.append(" and " if number == len(items) - 1 else ", ")
        words.append(item)
    return tuple(words)


def _title(found: Adjoint, walk: Walk) -> Sentence:
    readers = [c.stage.name for c in found.contributions]
    applied = [e for e in walk.forward.equations if e.target.name in readers and isinstance(e.value, ast.Apply)]
    if applied and len(readers) == 1:
        return ("Through the function ", ast.Apply(applied[0].value.function, found.array))
    return ("What flows back to ", found.array)


def _reason(found: Adjoint, walk: Walk) -> Sentence:
    """One sentence on the paths by which the array reaches the loss."""
    paths = [_path(c, found, walk) for c in found.contributions]
    if not paths:
        return (found.array, " does not reach the loss, so its gradient is zero.")
    if len(paths) == 1:
        return paths[0]
    words: list[str | Expression] = [found.array, " reaches the loss along ", f"{_count(len(paths))} paths: "]
    for number, contribution in enumerate(found.contributions):
        words += [
            "" if not number else "; and " if number == len(paths) - 1 else "; ",
            *_through(contribution, found, walk),
        ]
    return (*words, ". What flows back along them adds up.")


def _count(number: int) -> str:
    return ("no", "one", "two", "three", "four", "five", "six")[number] if number < 7 else str(number)


def _path(contribution: Contribution, found: Adjoint, walk: Walk) -> Sentence:
    equation = _equation(contribution, walk)
    if equation is None:
        return (found.array, " is made from the initial state.")
    at = _reading_target(contribution, equation, walk)
    value = equation.value
    repeated = any(
        bound.index.name == r.index.name
        for term in contribution.terms
        for bound in term.bounds
        for r in equation.ranges
    )
    if isinstance(value, ast.Apply):
        slope = ast.Apply(value.function, found.array, value.order + 1)
        return (
            at,
            " is ",
            ast.Apply(value.function, found.array),
            ", entry by entry, so its Jacobian is diagonal with the slopes ",
            slope,
            ".",
        )
    if not _is_affine(contribution, found):
        return (at, " depends on ", found.array, " directly; the rest is held while we differentiate.")
    if repeated:
        return (
            at,
            " is linear in ",
            found.array,
            ", which is the same at every step; each use sends back its share, and the shares add up.",
        )
    if walk.scope[found.array.name].role == "defined":
        return (
            found.array,
            " is read by ",
            at,
            " alone, and ",
            at,
            " is linear in it: the transposed matrix carries the change back.",
        )
    return (at, " is linear in ", found.array, ", and nothing else reads it.")


def _through(contribution: Contribution, found: Adjoint, walk: Walk) -> Sentence:
    equation = _equation(contribution, walk)
    if equation is None:
        return ("the initial state",)
    at = _reading_target(contribution, equation, walk)
    return ("through ", at)


def _reading_target(contribution: Contribution, equation: Equation, walk: Walk) -> Access:
    """The stage's output at the time at which it reads the array: z^{t+1} for h^t."""
    result = walk.names.get(contribution.stage.name)
    for node in ast.walk(contribution.value):
        if isinstance(node, Access) and node.name == result:
            return Access(equation.target.name, node.superscripts)
    return Access(equation.target.name, equation.target.superscripts)


def _equation(contribution: Contribution, walk: Walk) -> Equation | None:
    return next((e for e in walk.forward.equations if e.target.name == contribution.stage.name), None)


def _is_affine(contribution: Contribution, found: Adjoint) -> bool:
    return not contribution.partial.has(sp.IndexedBase(found.array.name))


# Details: the same move on entries ---------------------------------------------------------------------------------------------------


def _details(found: Adjoint, walk: Walk, loss: str) -> Iterable[Step]:
    """For each path: the stage in indices and its partial derivative by SymPy; then all of it contracted."""
    result = found.equation.target.name
    for number, contribution in enumerate(found.contributions, start=1):
        stage = contribution.stage
        names = [(s, s.name) for s in (*stage.superscripts, *stage.subscripts) if isinstance(s, sp.Dummy)]
        readable = {s: ast.index(n) for s, n in names}
        superscripts = tuple(sp.sympify(p).xreplace(readable) for p in stage.superscripts)
        entry = Access(stage.name, superscripts, tuple(ast.index(s.name) for s in stage.subscripts))
        body = named_indices(in_indices(Term((stage.body,)), walk.scope), names)
        by = contribution.entry
        letters = _apart([s for s in by.indices if isinstance(s, sp.Dummy)], {n for _, n in names})
        wrt = entry_of(by, walk.scope)
        moved = {s: ast.index(n) for s, n in letters}
        below = Access(
            wrt.name,
            tuple(sp.sympify(p).xreplace(moved) for p in wrt.superscripts),
            tuple(sp.sympify(p).xreplace(moved) for p in wrt.subscripts),
        )
        partial = named_indices(in_indices(Term((contribution.partial,)), walk.scope), [*names, *letters])
        yield Step(
            f"detail-{result}-{number}",
            ("The stage in entries, and its partial derivative",),
            "SymPy diff",
            (
                "Written in entries every derivative is one of a scalar by a scalar; a bracket is 1 where its condition holds, else 0.",
            ),
            entry,
            body,
            (Line((entry, body)), Line((ast.Derivative(entry, below), partial))),
            claims=(Equal(entry, body),),
        )
    target = found.index_equation.target
    yield Step(
        f"detail-{result}-contracted",
        ("The brackets used up",),
        "contraction",
        (
            "Multiplied by what flows back to the stage and summed over its entries, each bracket fixes one index of a sum.",
        ),
        target,
        found.index_equation.value,
        (Line((target, found.index_equation.value)),),
        claims=(_claim(found, loss, in_indices=True),),
    )


def _apart(symbols: Sequence[sp.Symbol], taken: set[str]) -> list[tuple[sp.Symbol, str]]:
    """Readable names for the indices one differentiates by, other than those of the stage."""
    free = [letter for letter in "abcefgmpqr" if letter not in taken]
    times = [letter for letter in "sτuw" if letter not in taken]
    named: list[tuple[sp.Symbol, str]] = []
    for symbol in symbols:
        source = times if symbol.name in taken and symbol.name not in "ijklmnop" else free
        named.append((symbol, source.pop(0)))
    return named


# The recursion of a named adjoint ----------------------------------------------------------------------------------------------------


def recursion_steps(found: Adjoint, walk: Walk, loss: str) -> list[Step]:
    """δ^t in terms of δ^{t+1}, and the same with the slope put in; nothing where there is nothing to put in."""
    if not found.equation.target.name.startswith("delta_") or not found.has_matrix_form:
        return []
    steps: list[Step] = []
    recursion = inlined(found.equation.value, walk, {found.equation.target.name})
    if recursion != found.equation.value:
        lines = _recursion_lines(found, walk)
        steps.append(
            Step(
                f"recursion-{found.array.name}",
                ("The recursion for ", found.equation.target),
                "substitution",
                (
                    "Put what flows back to the function's value into it; the sequence is now walked from its end to its beginning.",
                ),
                found.equation.value,
                recursion,
                lines,
                claims=(TotalDerivative(Access(loss), found.array, recursion),),
            )
        )
    base = recursion
    sloped = with_slopes(base, walk.forward, walk.scope)
    slopes = list(
        dict.fromkeys(
            node for node in ast.walk(found.equation.value) if isinstance(node, ast.Apply) and node.order == 1
        )
    )
    known = [(slope, with_slopes(slope, walk.forward, walk.scope)) for slope in slopes]
    known = [(slope, value) for slope, value in known if value != slope]
    if known and sloped != base:
        steps.append(
            Step(
                f"slope-{found.array.name}",
                ("The slope put in",),
                "slope",
                _slope_reason(known, walk),
                base,
                sloped,
                (*(Line((slope, value)) for slope, value in known), *_recursion_lines(found, walk, sloped=True)),
                claims=tuple(Equal(slope, value) for slope, value in known)
                + (TotalDerivative(Access(loss), found.array, sloped),),
            )
        )
    return steps


def _slope_reason(known: Sequence[tuple[Expression, Expression]], walk: Walk) -> Sentence:
    words: list[str] = []
    for slope, _ in known:
        assert isinstance(slope, ast.Apply)
        name = dict(walk.forward.functions).get(slope.function, slope.function)
        row = FUNCTIONS[name]
        opening = (
            f"Here {slope.function} is {name}, and its"
            if slope.function != name
            else f"The function is {name}, and its"
        )
        words.append(f"{opening} slope follows from the {row.source}{'; ' + row.kink if row.kink else ''}.")
    return (" ".join(dict.fromkeys(words)),)


def _recursion_lines(found: Adjoint, walk: Walk, sloped: bool = False) -> tuple[Line, ...]:
    """The equation stretch by stretch, the adjoints that are used once put in."""
    lines = []
    beyond: tuple[Access, ...] = ()
    for case, value, zero in recursion_cases(found, walk):
        if sloped:
            value = with_slopes(value, walk.forward, walk.scope)
        beyond = beyond or zero
        lines.append(Line((case.target, value), _where(case)))
    if beyond and lines:
        lines[-1] = replace(lines[-1], where=(*lines[-1].where, *_zero_note(beyond)))
    return tuple(lines)


def recursion_cases(found: Adjoint, walk: Walk) -> list[tuple[Case, Expression, tuple[Access, ...]]]:
    told = cases(
        replace(found.equation, value=inlined(found.equation.value, walk, {found.equation.target.name})), walk.scope
    )
    if len(told.cases) > 1 or not any(
        isinstance(node, ast.Guard) for case in told.cases for node in ast.walk(case.value)
    ):
        return [(case, case.value, told.zero_beyond) for case in told.cases]
    # Conditions inside a product: δ = f' ⊙ ([t = T] … + [t < T] …). Take the stretches of the sum inside.
    inner = next(a for a in walk.adjoints if a.equation.target.name in _read(found, walk))
    result = []
    inside = cases(
        replace(inner.equation, value=inlined(inner.equation.value, walk, {inner.equation.target.name})), walk.scope
    )
    for case in inside.cases:
        at = {} if case.index is None or not case.is_point else {case.index: case.lower}
        whole = ast.substitute_indices(found.equation.value, at)
        placed = ast.substitute_indices(inner.equation.target, at)
        value = tidy(_put(whole, placed, case.value), walk.scope)
        target = ast.substitute_indices(found.equation.target, at)
        assert isinstance(target, Access)
        result.append(
            (replace(case, target=target), inlined(value, walk, {found.equation.target.name}), inside.zero_beyond)
        )
    return result


def _read(found: Adjoint, walk: Walk) -> set[str]:
    return {
        n.name for n in ast.walk(found.equation.value) if isinstance(n, Access) and n.name in set(walk.names.values())
    }


def _put(expression: Expression, old: Expression, new: Expression) -> Expression:
    if expression == old:
        return new
    return ast.map_children(lambda child: _put(child, old, new), expression)


def inlined(expression: Expression, walk: Walk, kept: Iterable[str] = ()) -> Expression:
    """``expression`` with the unnamed adjoints (∂ℓ/∂h) replaced by what they are; δ's keep their names."""
    stay = set(kept)
    table = {
        a.equation.target.name: a
        for a in walk.adjoints
        if not a.equation.target.name.startswith("delta_") and a.has_matrix_form
    }

    def visit(node: Expression) -> Expression:
        if isinstance(node, Access) and node.name in table and node.name not in stay and not node.subscripts:
            found = table[node.name].equation
            moved = ast.substitute_indices(
                found.value,
                dict(
                    zip(
                        (s for s in found.target.superscripts if isinstance(s, sp.Symbol)),
                        node.superscripts,
                        strict=False,
                    )
                ),
            )
            return visit(_decided(moved, free_indices(node)))
        return ast.map_children(visit, node)

    return tidy(visit(expression), walk.scope)


def _decided(expression: Expression, free: frozenset[sp.Symbol]) -> Expression:
    """Conditions between sizes that always hold, dropped: [T ≤ T ≤ T]."""

    def visit(node: Expression) -> Expression:
        inner = ast.map_children(visit, node)
        if isinstance(inner, ast.Guard):
            open_ = tuple(c for c in inner.conditions if not _always(c))
            if any(_never(c) for c in open_):
                return ast.ZERO if not isinstance(inner.body, Access) else inner
            return ast.Guard(open_, inner.body) if open_ else inner.body
        return inner

    return visit(expression)


def _always(condition: ast.Condition) -> bool:
    return isinstance(condition, ast.Within) and bool(
        sp.expand(condition.value - condition.lower).is_nonnegative
        and sp.expand(condition.upper - condition.value).is_nonnegative
    )


def _never(condition: ast.Condition) -> bool:
    return isinstance(condition, ast.Within) and bool(
        sp.expand(condition.value - condition.lower).is_negative
        or sp.expand(condition.upper - condition.value).is_negative
    )
