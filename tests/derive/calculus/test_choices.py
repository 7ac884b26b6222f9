"""The choice of a maximum: named arrays, gradients with the choice held, steps with evidence, errors that are found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from derive.calculus.choices import choices
from derive.calculus.order import reaches
from derive.calculus.stages import split
from derive.derivation import Derivation, gradient
from derive.evaluate import run
from derive.handout.plain import plain
from derive.language import expression as ast
from derive.language.errors import RangeError
from derive.language.expression import Maximum, Share, walk
from derive.language.parser import parse
from derive.language.printer import equation_source
from derive.notation import equation_formula, formula
from derive.trace import Equal, Held
from kernels.verification import check_steps, verify
from tests.maxima import POOLING, SYSTEMS, text

WITNESSES = ("autograd", "complex step", "differences")


def derived(name: str) -> Derivation:
    return gradient(parse(text(name)))


def forward(name: str) -> list[str]:
    return [equation_source(equation) for equation in derived(name).forward.equations]


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_gradient_agrees_with_the_witnesses(name: str) -> None:
    report = verify(derived(name), 0, witnesses=WITNESSES)
    assert report.passed, report.table()


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_step_has_evidence_that_holds(name: str) -> None:
    derivation = derived(name)
    evidence = check_steps(derivation, 1)
    for step in derivation.steps:
        for one in (step, *step.details):
            assert evidence[one.id], f"{one.id} claims nothing"
            assert all(record.passed for record in evidence[one.id]), one.id


@pytest.mark.parametrize("ties", ["first", "split", "all"])
@pytest.mark.parametrize("dimensions", [1, 2])
def test_pooling_agrees_with_the_witnesses(dimensions: int, ties: str) -> None:
    derivation = gradient(parse(POOLING, "", {"D": dimensions, "ties": ties}))
    report = verify(derivation, 2, witnesses=WITNESSES[:2])
    assert report.passed, report.table()


# Stages ---------------------------------------------------------------------------------------------------------------


def test_the_choice_is_an_array_with_the_positions_of_the_window_as_last_axes() -> None:
    program = split(parse(POOLING).program)
    declared = program.declaration("argmax_y")
    assert declared.choice == 2
    assert [str(extent) for extent in declared.shape] == ["c", "O_1", "O_2", "R_1", "R_2"]
    maximum, share = (equation.value for equation in program.equations[:2])
    assert isinstance(maximum, Maximum)
    assert isinstance(share, Share)
    assert maximum.choice == program.equations[1].target
    assert share.maximum == replace(maximum, choice=None)


def test_positions_are_counted_from_zero_whatever_the_range() -> None:
    lines = forward("up to the present step")
    assert "z_h^t = max over s = 1..t of w * x^s" not in lines
    assert any("share of s + 1 in max over s = 1..t" in line for line in lines)
    (choice,) = choices(derived("up to the present step").forward).values()
    assert choice.lower == (1,)


def test_a_maximum_inside_a_formula_is_a_stage() -> None:
    for name in ("in a loop over time", "inside functions and sums", "two in one equation", "one in another"):
        for equation in derived(name).forward.equations:
            inside = [node for child in ast.children(equation.value) for node in walk(child)]
            assert isinstance(equation.value, Share) or not any(isinstance(node, Maximum) for node in inside)


def test_a_maximum_of_arrays_is_taken_entry_by_entry() -> None:
    assert "m[k] = max over t = 1..T of h^t[k] for k = 0..n-1" in forward("over the steps of a recurrence, of vectors")


def test_splitting_again_changes_nothing() -> None:
    program = derived("one in another").forward
    assert split(program) == program


def test_a_window_without_known_ends_is_refused() -> None:
    with pytest.raises(RangeError, match="does not follow"):
        gradient(
            parse("sizes n\ngiven x in R^n\ny[i] = max over a = 0..floor(i*i/n) of x[a] for i = 0..n-1\nloss = sum(y)")
        )


def test_nothing_flows_back_to_a_choice() -> None:
    for name in SYSTEMS:
        derivation = derived(name)
        arrays = set(choices(derivation.forward))
        assert arrays
        assert not arrays & reaches(derivation.program, derivation.system.loss)
        assert not arrays & derivation.walk.names.keys()


def test_a_program_that_reads_choices_is_differentiated_with_them_held() -> None:
    derivation = derived("with a condition")
    again = replace(derivation.system, program=derivation.program)
    assert not set(choices(derivation.forward)) & gradient(again).walk.names.keys()
    assert verify(gradient(again), 0, witnesses=("autograd",)).passed


# What is told ---------------------------------------------------------------------------------------------------------


def test_the_gradient_is_a_sum_of_brackets_over_the_window() -> None:
    gradients = derived("pooling in one dimension, windows overlap")
    assert gradients["x"].text().startswith("∂ℓ/∂xₖₙ = Σ_{a=0}^{R−1} [2 ∣ n − a] [κ_{k,(n−a)/2} = a] ∂ℓ/∂y_{k,(n−a)/2}")


def test_a_position_has_the_number_that_the_author_gave_it() -> None:
    assert "[κₖ = t]" in derived("over the steps of a recurrence, of vectors")["x"].text() or any(
        "[κₖ = t]" in plain(formula(step.after, derived("over the steps of a recurrence, of vectors").names))
        for step in derived("over the steps of a recurrence, of vectors").steps
    )


def test_the_choice_is_written_as_an_argmax() -> None:
    derivation = derived("max over time")
    lines = [plain(equation_formula(e, derivation.names, with_ranges=True)) for e in derivation.forward.equations]
    assert "mⱼ = max_{0≤i<n} hⱼᵢ  for j = 0, …, k − 1" in lines
    assert "κⱼ = argmax_{0≤i<n} hⱼᵢ  for j = 0, …, k − 1" in lines


def test_several_choices_have_letters_of_their_own() -> None:
    names = derived("two in one equation").names
    assert {plain(names.written[name]) for name in names.choices} == {"κ₁", "κ₂"}


def test_shares_that_are_no_brackets_are_weights() -> None:
    derivation = derived("over steps and entries, ties split")
    assert "κ_{ti}" in derivation["x"].text() or "κₜᵢ" in derivation["x"].text()


@pytest.mark.parametrize("ties, words", [
    ("first", "the first of several equal ones"),
    ("split", "1 over the number of largest entries"),
    ("all", "wherever"),
])  # fmt: skip
def test_the_assumption_is_a_step_of_its_own_before_its_use(ties: str, words: str) -> None:
    derivation = gradient(parse(POOLING, "", {"D": 1, "ties": ties}))
    ids = [step.id for step in derivation.steps]
    step = derivation.steps[ids.index("choice-y")]
    assert ids.index("choice-y") < ids.index("gradient-x")
    assert ids.count("choice-y") == 1
    said = "".join(part if isinstance(part, str) else plain(formula(part, derivation.names)) for part in step.reason)
    assert words in said
    assert "windows overlap" in said
    assert any(isinstance(claim, Held) for claim in step.claims)
    assert any(isinstance(claim, Equal) for claim in step.claims) == (ties != "all")


def test_no_linear_map_is_claimed_of_a_maximum() -> None:
    for name in SYSTEMS:
        ids = [step.id for step in derived(name).steps]
        stages = [e.target.name for e in derived(name).forward.equations if isinstance(e.value, Maximum)]
        assert stages
        assert not [step for step in ids if step.startswith(("transposed", "exchanged")) and step[11:] in stages]


# Errors are found -----------------------------------------------------------------------------------------------------


def changed(derivation: Derivation, share: type[Share] | None, **changes: object) -> Derivation:
    """The derivation with every share in its program another one."""

    def wrong(node: ast.Expression) -> ast.Expression:
        return replace(node, maximum=replace(node.maximum, **changes)) if isinstance(node, Share) else node

    program = derivation.program
    equations = tuple(replace(e, value=wrong(e.value)) for e in program.equations)
    return Derivation(derivation.system, replace(derivation.walk, program=replace(program, equations=equations)))


def test_a_wrong_choice_is_found() -> None:
    derivation = derived("max over time")
    smallest = next(e.value.body for e in derivation.forward.equations if isinstance(e.value, Maximum))
    assert not verify(changed(derivation, Share, body=ast.Negative(smallest)), witnesses=("autograd",)).passed


def test_a_choice_among_too_few_positions_is_found() -> None:
    derivation = derived("max over time")
    item = next(e.value.ranges[0] for e in derivation.forward.equations if isinstance(e.value, Maximum))
    shorter = (replace(item, upper=item.upper - 1),)
    assert not verify(changed(derivation, Share, ranges=shorter), witnesses=("autograd",)).passed


def test_a_choice_that_does_not_stay_is_found() -> None:
    system = parse("sizes n = 5\ngiven x in R^n\nm = max over i of sin(1000000000 * x[i])\nloss = m^2")
    evidence = check_steps(gradient(system), 0)["choice-m"]
    assert not all(record.passed for record in evidence if record.witness == "nearby inputs")


def test_the_maximum_is_the_sum_over_its_choice() -> None:
    derivation = derived("with a condition")
    rng = np.random.default_rng(0)
    x = rng.normal(size=5)
    results = run(derivation.forward, {"n": 5, "R": 3}, {"x": x, "y": rng.normal(size=5)})
    chosen = results["argmax_z", ()]
    windows = np.array([[x[i + a] if i + a < 5 else 0.0 for a in range(3)] for i in range(5)])
    np.testing.assert_array_equal(np.sum(chosen * windows, axis=1), results["z", ()])
