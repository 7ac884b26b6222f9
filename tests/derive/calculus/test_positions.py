"""Arrays read at positions made of several indices: letters, gather and scatter form, special cases, matrices."""

from __future__ import annotations

import time
from dataclasses import replace
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
import sympy as sp

from derive.calculus.affine import digits
from derive.calculus.index_notation import Bound, dummy
from derive.calculus.size_steps import grouped
from derive.derivation import Derivation, DerivationError, gradient
from derive.evaluate import draw, run, scope_at
from derive.evaluate import value as value_of
from derive.language import expression as ast
from derive.language.expression import Access, size
from derive.language.parser import parse
from derive.notation import text
from derive.overview import steps_of
from derive.trace import AdjointIdentity, Claim, Counted, Equal, Equivalent, Step, TotalDerivative
from kernels.verification import check_steps, verify

END = "\nloss = squared(y, t)\nconvention outside is zero\n"
ONE_D = "sizes n length, R window, o outputs, s stride, d dilation, p padding\ngiven t in R^o\n"
PLAIN = "learn x in R^n, w in R^R\n" + ONE_D
TEXTS = {
    "correlation": PLAIN + "y[i] = sum over a = 0..R-1 of w[a] * x[s*i + d*a - p] for i = 0..o-1" + END,
    "true convolution": PLAIN + "y[i] = sum over a = 0..R-1 of w[a] * x[i - a + p] for i = 0..o-1" + END,
    "flipped kernel": PLAIN + "y[i] = sum over a = 0..R-1 of w[R - 1 - a] * x[s*i + a] for i = 0..o-1" + END,
    "average": PLAIN + "y[i] = sum over a = 0..R-1 of x[s*i + a] / R for i = 0..o-1" + END,
    "with itself": PLAIN + "y[i] = sum over a = 0..n-1 of x[a] * x[i + a] for i = 0..o-1" + END,
    "two windows of one array": PLAIN
    + "y[i] = sum over a = 0..R-1 of w[a] * x[i + a] + sum over e = 0..R-1 of w[e] * x[s*i - e] for i = 0..o-1"
    + END,
    "a function in the window": PLAIN + "y[i] = sum over a = 0..R-1 of tanh(x[2*i + a]) for i = 0..o-1" + END,
    "coupled positions": "learn x in R^(n x n), w in R^R\n"
    + ONE_D
    + "y[i] = sum over a = 0..R-1 of w[a] * x[i, 2*i + a] for i = 0..o-1"
    + END,
    "locally connected": "learn x in R^n, w in R^(o x R)\n"
    + ONE_D
    + "y[i] = sum over a = 0..R-1 of w[i, a] * x[s*i + a] for i = 0..o-1"
    + END,
    "transposed": PLAIN
    + "y[j] = sum over a = 0..R-1 of [s divides j + p - d*a] w[a] * x[(j + p - d*a)/s] for j = 0..o-1"
    + END,
}
GROUPS = """
sizes G groups, C channels, K kernels, H extent, R window, s stride default 1, p before from 0, q after from 0
sizes O = number of i with s*i + R - 1 <= H + p + q - 1
index i, a
given x in R^((G C) x H), t in R^((G K) x O)
learn w in R^((G K) x C x R)
y[g*K + k, i] = sum over c, a of w[g*K + k, c, a] * x[g*C + c, s*i + a - p]
"""
TEXTS["groups"] = GROUPS + END
TEXTS["two conditions"] = GROUPS.replace("q - 1\n", "q - 1 and s*i <= H + p - 1\n") + END
RECURRENT = """
sizes T steps, n length, R window, p padding
given x^t in R^n for t = 1..T, y in R^n
learn w in R^R
start h^0 = 0
for t = 1..T:
    z^t[i] = x^t[i] + sum over a = 0..R-1 of w[a] * h^{t-1}[i + a - p] for i = 0..n-1
    h^t = tanh(z^t)
end
loss = squared(h^T, y)
convention outside is zero
"""
TEXTS["in a recurrence"] = RECURRENT


@pytest.fixture(scope="module")
def derivations() -> dict[str, Derivation]:
    return {name: gradient(parse(f"title  {name}\n{words}")) for name, words in TEXTS.items()}


@pytest.mark.parametrize("name", TEXTS)
def test_gradients_agree_with_automatic_differentiation(name: str, derivations: dict[str, Derivation]):
    assert verify(derivations[name], witnesses=["autograd"]).passed


@pytest.mark.parametrize("name", TEXTS)
def test_every_step_is_checked_and_holds(name: str, derivations: dict[str, Derivation]):
    found = check_steps(derivations[name])
    steps = {inner.id for step in derivations[name].steps for inner in (step, *step.details)}
    assert steps == set(found)
    assert all(records and all(record.passed for record in records) for records in found.values())


@pytest.mark.parametrize("name", TEXTS)
def test_no_index_is_called_as_a_size_an_array_or_another_index(name: str, derivations: dict[str, Derivation]):
    derivation = derivations[name]
    taken = {d.name for d in derivation.forward.declarations} | {s.name for s in derivation.forward.sizes}
    for found in derivation.walk.gradients.values():
        bound = [node.index.name for node in ast.walk(found.index_equation.value) if isinstance(node, ast.Sum)]
        free = [item.index.name for item in found.index_equation.ranges]
        assert not taken & {*bound, *free}
        assert len(set(free)) == len(free)
        assert not set(bound) & set(free)


def test_the_gather_form_is_printed_for_people(derivations: dict[str, Derivation]):
    found = derivations["correlation"]
    assert found["x"].text() == ("∂ℓ/∂xₘ = Σ_{a=0}^{R−1} [s ∣ m + p − d a] wₐ ∂ℓ/∂y_{(m+p−da)/s}  for m = 0, …, n − 1")
    assert found["w"].text() == (
        "∂ℓ/∂wₐ = Σ_{i=0}^{o−1} [0 ≤ s i + d a − p < n] x_{si+da−p} ∂ℓ/∂yᵢ  for a = 0, …, R − 1"
    )
    assert derivations["transposed"]["x"].text() == ("∂ℓ/∂xₘ = Σ_{a=0}^{R−1} wₐ ∂ℓ/∂y_{sm+da−p}  for m = 0, …, n − 1")


def test_the_program_keeps_the_conditions_that_are_not_printed(derivations: dict[str, Derivation]):
    equation = derivations["correlation"].walk.gradients["x"].equation
    conditions = [c for node in ast.walk(equation.value) if isinstance(node, ast.Guard) for c in node.conditions]
    assert any(isinstance(c, ast.Within) for c in conditions)
    shown = text(derivations["correlation"]["x"].equation)
    assert "≤" not in shown


def test_a_condition_that_keeps_another_array_inside_its_range_is_printed(derivations: dict[str, Derivation]):
    assert "≤ a ≤ m" in derivations["locally connected"]["x"].text()


def test_an_axis_written_in_digits_keeps_them(derivations: dict[str, Derivation]):
    target = derivations["groups"].walk.gradients["x"].equation.target
    assert text(target) == "∂ℓ/∂x_{Cg+c,m}"
    assert "g" not in {
        node.index.name
        for node in ast.walk(derivations["groups"].walk.gradients["x"].equation.value)
        if isinstance(node, ast.Sum)
    }


def test_digits_are_equal_one_by_one_only_where_they_are_digits():
    g, h, c, e = (dummy(letter) for letter in "ghce")
    base = size("C")
    ranges = {s: Bound(s, sp.Integer(0), size("G") - 1) for s in (g, h)}
    delta = sp.KroneckerDelta(g * base + c, h * base + e)
    within = {s: Bound(s, sp.Integer(0), base - 1) for s in (c, e)}
    beyond = {s: Bound(s, sp.Integer(0), base) for s in (c, e)}
    assert len(digits(delta, {**ranges, **within})) == 2
    assert digits(delta, {**ranges, **beyond}) == [delta]


def step(derivation: Derivation, name: str) -> Step:
    return next(item for item in derivation.steps if item.id == name)


def shown(derivation: Derivation, name: str) -> list[str]:
    return [" = ".join(text(side, derivation.names) for side in line.sides) for line in step(derivation, name).lines]


def test_the_steps_of_a_correlation(derivations: dict[str, Derivation]):
    found = derivations["correlation"]
    ids = [item.id for item in found.steps]
    assert ids[ids.index("reads-x") :][:5] == ["reads-x", "scatter-x", "gradient-x", "unit-stride-x", "transposed-x"]
    assert "exchanged-w" in ids
    assert shown(found, "reads-x") == ["[s i + d a − p = m] = [s ∣ m + p − d a][i = (m + p − d a)/s]"]
    assert "[s i + d a − p = m] wₐ ∂ℓ/∂yᵢ" in shown(found, "scatter-x")[0]
    plain, flipped = shown(found, "unit-stride-x")
    assert plain.endswith("Σ_{a=0}^{R−1} wₐ ∂ℓ/∂y_{m+p−da}")
    assert "w_{R−a−1}" in flipped
    assert {item.id for item in steps_of(found, "x")} >= {"reads-x", "scatter-x", "gradient-x", "transposed-x"}


def test_nothing_is_flipped_where_the_forward_equation_flips(derivations: dict[str, Derivation]):
    assert derivations["true convolution"]["x"].text().startswith("∂ℓ/∂xₘ = Σ_{a=0}^{R−1} wₐ ∂ℓ/∂yₘ₊ₐ₋ₚ")


def test_a_stage_that_is_not_linear_in_an_array_has_no_transpose(derivations: dict[str, Derivation]):
    assert not any(item.id.startswith("transposed") for item in derivations["with itself"].steps)


# Planted errors -------------------------------------------------------------------------------------------------------

WRONG = ast.Number(Fraction(1001, 1000))


def spoilt(claim: Claim) -> Claim:
    """The claim with a small mistake in it."""
    match claim:
        case Equal(right=right):
            return replace(claim, right=ast.Product((WRONG, right)))
        case TotalDerivative(value=value):
            return replace(claim, value=ast.Product((WRONG, value)))
        case Equivalent(right=(*others, ast.Within(value, lower, upper))):
            return replace(claim, right=(*others, ast.Within(value, lower + 1, upper + 1)))
        case AdjointIdentity(backward=backward):
            return replace(claim, backward=replace(backward, value=ast.Product((WRONG, backward.value))))
        case Counted(value=value):
            return replace(claim, value=value + 1)
        case _:
            raise AssertionError(claim)


@pytest.mark.parametrize("name", ["correlation", "transposed", "groups", "two conditions"])
def test_a_mistake_in_any_claim_is_found(name: str, derivations: dict[str, Derivation]):
    derivation = derivations[name]
    wanted = ("reads-", "scatter-", "unit-stride-", "transposed-", "exchanged-", "size-")
    told = [item for item in derivation.steps if item.id.startswith(wanted)]
    assert told
    planted = [
        replace(item, id=f"{item.id}/{number}", claims=(spoilt(claim),), details=())
        for item in told
        for number, claim in enumerate(item.claims)
    ]
    wrong = Derivation(derivation.system, derivation.walk)
    wrong.__dict__["steps"] = tuple(planted)
    for name_of_step, records in check_steps(wrong, seed=1).items():
        assert not all(record.passed for record in records), name_of_step


# Sizes ----------------------------------------------------------------------------------------------------------------


def test_the_size_of_the_output_is_derived(derivations: dict[str, Derivation]):
    inequality, size_line = shown(derivations["groups"], "size-O")
    assert inequality.startswith("[s i + R − 1 < H + p + q]")
    assert size_line == "O = ⌊(H + p + q − R)/s⌋ + 1"


def test_several_conditions_give_the_least_bound(derivations: dict[str, Derivation]):
    *_, size_line = shown(derivations["two conditions"], "size-O")
    assert "min" in size_line


def test_terms_with_a_common_size_are_grouped():
    d, extent, other = (size(name) for name in "dRH")
    assert sp.expand(grouped(other - d * extent + d) - (other - d * extent + d)) == 0
    assert grouped(other - d * extent + d).has(extent - 1)


# Matrices -------------------------------------------------------------------------------------------------------------


def test_the_matrix_of_a_correlation_is_toeplitz(derivations: dict[str, Derivation]):
    sizes = {"n": 5, "R": 3, "o": 3, "s": 2, "d": 1, "p": 1}
    found = derivations["correlation"].linear_map("y", "x", sizes)
    assert text(found.matrix) == "[w₁, w₂, 0, 0, 0; 0, w₀, w₁, w₂, 0; 0, 0, 0, w₀, w₁]"


@pytest.mark.parametrize(
    "name", ["correlation", "true convolution", "flipped kernel", "average", "groups", "transposed"]
)
@pytest.mark.parametrize("wrt", ["x", "w"])
def test_the_way_back_is_the_transposed_matrix(name: str, wrt: str, derivations: dict[str, Derivation]):
    derivation = derivations[name]
    if name == "average" and wrt == "w":
        with pytest.raises(DerivationError, match="no equation of y reads w"):
            derivation.linear_map("y", "w", dict.fromkeys("nRosdp", 2))
        return
    sizes, _ = draw(derivation.forward, 3)
    there = derivation.linear_map("y", wrt, sizes)
    back = derivation.linear_map(f"grad_{wrt}", "grad_y", sizes)
    assert back.entries == there.transposed.entries
    assert any(entry != ast.ZERO for row in there.entries for entry in row)


def test_the_matrix_times_the_array_is_the_output(derivations: dict[str, Derivation]):
    derivation = derivations["groups"]
    sizes, values = draw(derivation.forward, 5)
    results = run(derivation.forward, sizes, values)
    scope = scope_at(derivation.forward, results, sizes)
    found = derivation.linear_map("y", "x", sizes)
    matrix = np.array([[value_of(entry, scope) for entry in row] for row in found.entries])
    np.testing.assert_allclose(matrix @ np.ravel(values["x"]), np.ravel(results["y", ()]), rtol=1e-12)
    rows = list(product(*(range(n) for n in np.shape(results["y", ()]))))
    assert [row.subscripts for row in found.rows] == [tuple(map(sp.Integer, row)) for row in rows]


def test_what_is_not_linear_has_no_matrix(derivations: dict[str, Derivation]):
    derivation = derivations["with itself"]
    with pytest.raises(DerivationError, match="not linear"):
        derivation.linear_map("y", "x", dict.fromkeys("nRosdp", 2))
    with pytest.raises(DerivationError, match="There is no array q"):
        derivation.linear_map("y", "q", {})


def test_a_matrix_that_nobody_can_read_is_refused(derivations: dict[str, Derivation]):
    with pytest.raises(DerivationError, match="Choose smaller sizes"):
        derivations["correlation"].linear_map("y", "x", {"n": 1000, "R": 2, "o": 999, "s": 1, "d": 1, "p": 1})


def test_three_dimensions_with_groups_are_derived_in_half_a_second():
    words = (
        "title Volume\noption D = 3 of 1, 2, 3\nsizes G groups, C channels, K kernels\n"
        "sizes H^D extent, R^D window, s^D stride, d^D dilation, p^D before from 0, q^D after from 0\n"
        "sizes O^D = number of i with s*i + d*(R - 1) <= H + p + q - 1\nindex i^D, a^D\n"
        "given x in R^((G C) x H), t in R^((G K) x O)\nlearn w in R^((G K) x C x R)\n"
        "y[g*K + k, i] = sum over c, a of w[g*K + k, c, a] * x[g*C + c, s*i + d*a - p]" + END
    )
    system = parse(words)
    started = time.process_time()
    derivation = gradient(system)
    assert isinstance(derivation.steps[0].before, ast.SizeValue)
    assert time.process_time() - started < 1.0  # 0.36 s on an idle core; shared cores are slower
    assert isinstance(derivation.walk.gradients["x"].equation.target, Access)
