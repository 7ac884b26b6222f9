"""A derivation: the gradients of a system as a program, the steps that lead there, and the chain of its recurrence."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import sympy as sp

from derive.calculus.adjoint import Adjoint
from derive.calculus.chain_steps import chain_steps, vec_form
from derive.calculus.choices import choices
from derive.calculus.closed_form import closed_form, unrolled
from derive.calculus.explain import steps_of
from derive.calculus.flow import Flow, flows
from derive.calculus.implied import readable
from derive.calculus.linear_map import LinearMap, NotLinear, linear_map
from derive.calculus.size_steps import size_steps
from derive.calculus.step_names import is_long
from derive.calculus.substitution import inlined
from derive.calculus.symbols import symbols_in
from derive.calculus.walk import Walk, walk
from derive.evaluate import EvaluationError
from derive.handout.formula import Formula, Fraction, Identifier, Operator, Row, paren, sub
from derive.handout.latex import latex as latex_printer
from derive.handout.mathml import mathml as mathml_printer
from derive.handout.plain import plain as plain_printer
from derive.language import expression as ast
from derive.language.expression import Access, Expression, Integer, index
from derive.language.system import Equation, Program, Scope, System
from derive.notation import Names, equation_formula, formula, names_of
from derive.notation.names import ChoiceNotation
from derive.trace import Step

Form = Literal["matrix", "index"]


class DerivationError(ValueError):
    """A question to a derivation that it has no answer to: an unknown key, or no recurrence of that name."""


@dataclass(frozen=True)
class Shown:
    """A formula that knows how to show itself: in a notebook as mathematics, in a terminal as a line of text."""

    formula: Formula

    def latex(self) -> str:
        """LaTeX, for KaTeX, MathJax and amsmath alike."""
        return latex_printer(self.formula, "web")

    def text(self) -> str:
        """One line of Unicode text."""
        return plain_printer(self.formula)

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex()}$"

    def _repr_html_(self) -> str:
        return mathml_printer(self.formula)

    def __str__(self) -> str:
        return self.text()


@dataclass(frozen=True)
class Gradient:
    """∂loss/∂array, in matrix form where there is one, and in index form always; it has the shape of the array."""

    key: str
    equation: Equation
    index_equation: Equation
    names: Names

    @property
    def has_matrix_form(self) -> bool:
        """Whole arrays, not entries, stand in ``equation``."""
        return not self.equation.target.subscripts

    def shown(self, form: Form = "matrix") -> Shown:
        """The equation as a formula."""
        return Shown(
            equation_formula(self.equation if form == "matrix" else self.index_equation, self.names, with_ranges=True)
        )

    def latex(self, form: Form = "matrix") -> str:
        """LaTeX of the equation."""
        return self.shown(form).latex()

    def text(self, form: Form = "matrix") -> str:
        """One line of Unicode text."""
        return self.shown(form).text()

    def _repr_latex_(self) -> str:
        return self.shown()._repr_latex_()

    def _repr_html_(self) -> str:
        return self.shown()._repr_html_()

    def __str__(self) -> str:
        return self.text()


@dataclass(frozen=True)
class JacobianChain:
    """∂state^last/∂state^first as an ordered product for symbolic ends; its transpose; its factors for given numbers.

    ``matrix`` and ``transposed`` are expressions over the derivation's arrays and the matrices in ``definitions``.
    """

    of: Access
    wrt: Access
    matrix: ast.OrderedProduct
    transposed: ast.OrderedProduct
    definitions: tuple[Equation, ...]
    names: Names
    scope: Scope

    def unrolled(self, **values: int) -> Shown:
        """The factors written out, for example ``unrolled(T=3, k=0)``; ValueError where an end is still a letter."""
        return Shown(formula(unrolled(self.matrix, _numbers(self.matrix, values), self.scope), self.names))

    def expression(self, **values: int) -> Expression:
        """The same as an expression."""
        return unrolled(self.matrix, _numbers(self.matrix, values), self.scope)

    def shown(self) -> Shown:
        """∂h^T/∂h^k = ∏ …, with dots."""
        return Shown(equation_like(ast.Derivative(self.of, self.wrt), self.matrix, self.names))

    def latex(self) -> str:
        """LaTeX of the equation."""
        return self.shown().latex()

    def text(self) -> str:
        """One line of Unicode text."""
        return self.shown().text()

    def _repr_latex_(self) -> str:
        return self.shown()._repr_latex_()

    def _repr_html_(self) -> str:
        return self.shown()._repr_html_()

    def __str__(self) -> str:
        return self.text()


def equation_like(left: Expression, right: Expression, names: Names) -> Formula:
    """left = right as one row."""
    return Row((formula(left, names), Operator("="), formula(right, names)))


def _numbers(product: ast.OrderedProduct, values: Mapping[str, int]) -> dict[sp.Symbol, Integer]:
    symbols = {symbol.name: symbol for symbol in symbols_in(product.first, product.last)}
    unknown = sorted(set(values) - set(symbols))
    if unknown:
        raise DerivationError(
            f"{unknown[0]} is not an end of this chain; its ends use {', '.join(sorted(symbols)) or 'no letters'}."
        )
    return {symbols[name]: sp.Integer(value) for name, value in values.items()}


@dataclass(frozen=True)
class Derivation(Mapping[str, Gradient]):
    """The gradients of a system by key: every learnt and given array, and every initial state (``h^0``)."""

    system: System
    walk: Walk
    letter: str = ""
    """How the loss is written, where it is not ℓ."""
    written: tuple[tuple[str, Formula], ...] = ()
    """Names that are written in a way of their own."""

    def __getitem__(self, key: str) -> Gradient:
        found = self.walk.gradients.get(key)
        if found is None:
            raise DerivationError(f"There is no {key} to differentiate by; there are {', '.join(self.walk.gradients)}.")
        return self._gradient(key, found)

    def __contains__(self, key: object) -> bool:
        return key in self.walk.gradients

    def __iter__(self) -> Iterator[str]:
        return iter(self.walk.gradients)

    def __len__(self) -> int:
        return len(self.walk.gradients)

    def _gradient(self, key: str, found: Adjoint) -> Gradient:
        scope = self.walk.scope
        equation = replace(found.equation, value=inlined(found.equation.value, self.walk))
        return Gradient(key, readable(equation, scope), readable(found.index_equation, scope), self.names)

    @property
    def shared(self) -> tuple[Gradient, ...]:
        """What flows back to computed arrays, where formulas of gradients are written with it: ∂ℓ/∂U of U = f(S)."""
        kept = [found for found in self.walk.adjoints if found.equation.target.name in self.walk.shared]
        return tuple(self._gradient(found.array.name, found) for found in kept)

    @property
    def forward(self) -> Program:
        """The system's equations split into stages."""
        return self.walk.forward

    @property
    def program(self) -> Program:
        """The forward stages and the gradient equations, slopes put in: what the kernel computes."""
        return self.walk.program

    @property
    def gradients(self) -> dict[str, Access]:
        """Where each gradient is found among the arrays of ``program``."""
        return {
            key: found.equation.target
            if not found.equation.target.subscripts
            else Access(found.equation.target.name, found.equation.target.superscripts)
            for key, found in self.walk.gradients.items()
        }

    @cached_property
    def names(self) -> Names:
        """How arrays are written: the one δ of a system without subscript, ∂ℓ/∂h^0 for an initial state."""
        base = names_of(self.system)
        if self.letter:
            base = replace(base, loss_letter=Identifier(self.letter))
        deltas = [name for name in self.walk.names.values() if name.startswith("delta_")]
        written: dict[str, Formula] = {**base.written, **dict(self.written)}
        if len(deltas) == 1:
            written[deltas[0]] = Identifier("delta")
        written.setdefault(f"{self.system.loss}_step", base.loss_letter)
        for stage in self.written_out:
            written.setdefault(stage.target.name, paren(formula(stage.value, base)))
        for start in self.walk.forward.starts:
            name = self.walk.gradients[start.key].equation.target.name
            partial = Operator("partial")
            written[name] = Fraction(Row((partial, base.loss_letter)), Row((partial, formula(start.access, base))))
        found = choices(self.walk.forward)
        taken = {*self.walk.scope, *(size.name for size in self.walk.forward.sizes)}
        letter = next(name for name in ("kappa", "chi", "zeta", "xi", "argmax") if name not in taken)
        arrays = [formula(Access(choice.equation.target.name), base) for choice in found.values()]
        marks = arrays if all(isinstance(array, Identifier) for array in arrays) else range(1, len(arrays) + 1)
        for name, mark in zip(found, marks, strict=True):
            written.setdefault(name, Identifier(letter) if len(found) == 1 else sub(letter, mark))
        notations = {name: ChoiceNotation(item.lower, item.maximum.ties == "first") for name, item in found.items()}
        return replace(base, written=written, choices=notations)

    @property
    def written_out(self) -> tuple[Equation, ...]:
        """Stages that no author names, the I + A of an inverse: they are written as what they are."""
        own = {equation.target.name for equation in self.system.program.equations}
        return tuple(
            equation
            for equation in self.walk.forward.equations
            if equation.target.name not in own
            and not equation.ranges
            and len(self.walk.scope[equation.target.name].shape) == 2
            and not is_long(equation.value, self.walk.scope)
        )

    @cached_property
    def flows(self) -> tuple[Flow, ...]:
        """The recurrences of the system, linearised."""
        return flows(self.walk)

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """The derivation as data, in reading order."""
        found = [*size_steps(self.system.program), *steps_of(self.walk, self.system.loss)]
        for flow in self.flows:
            found += chain_steps(flow, self.walk)
        return tuple(found)

    def flow(self, state: str) -> Flow:
        """The recurrence to which ``state`` belongs."""
        for flow in self.flows:
            if state == flow.state.name or state in dict(flow.model.states):
                return flow
        known = [name for flow in self.flows for name in (flow.state.name, *dict(flow.model.states))]
        there = (
            f"its recurrent states are {', '.join(dict.fromkeys(known))}"
            if known
            else "no state of it is a vector that feeds itself"
        )
        raise DerivationError(f"{state} has no Jacobian chain in {self.system.name or self.system.title}: {there}.")

    def chain(self, state: str, last: str | int, first: str | int) -> JacobianChain:
        """∂state^last/∂state^first; the ends are numbers or expressions such as ``"T"``, ``"k"``, ``"T-1"``.

        With several states, or a state read from several steps back, it is the chain of the stacked state.
        """
        flow = self.flow(state)
        chain = flow.chain(self._integer(last), self._integer(first))
        return JacobianChain(
            chain.of, chain.wrt, chain.product, chain.transposed, flow.definitions, self.names, flow.scope
        )

    def closed_form(self, state: str) -> Shown:
        """The small change of the last state, for changes of parameters and initial state, by ordered products."""
        flow = self.flow(state)
        recurrence = flow.recurrence
        return Shown(equation_like(recurrence.state_at(recurrence.last), closed_form(recurrence), self.names))

    def vectorised(self, state: str, parameter: str) -> Shown:
        """∂state^T/∂vec(parameter) with Kronecker products."""
        flow = self.flow(state)
        matrix = vec_form(flow, parameter, self.walk) if parameter in flow.scope else None
        if matrix is None:
            raise DerivationError(f"The differential of {state} is not linear in vec(d{parameter}).")
        left = ast.Derivative(Access(flow.state.name, (flow.model.range.upper,)), ast.Vectorised(Access(parameter)))
        return Shown(equation_like(left, matrix, self.names))

    def linear_map(self, array: str, wrt: str, sizes: Mapping[str, int]) -> LinearMap:
        """The equation of ``array`` as a matrix that acts on the entries of ``wrt``, at small ``sizes``.

        Both are arrays of ``program``: ``("y", "x")`` is the way there, ``("grad_x", "grad_y")`` the way back.
        """
        declared = {declaration.name: declaration for declaration in self.program.declarations}
        for name in (array, wrt):
            if name not in declared:
                raise DerivationError(f"There is no array {name}; there are {', '.join(declared)}.")
        try:
            return linear_map(self.program, declared, array, wrt, sizes)
        except (NotLinear, EvaluationError) as problem:
            raise DerivationError(f"{array} has no matrix acting on {wrt}: {problem}") from None

    def _integer(self, value: str | int) -> Integer:
        if isinstance(value, int):
            return sp.Integer(value)
        match = re.fullmatch(r"\s*([A-Za-z]\w*)?\s*([+-]?\s*\d+)?\s*", value)
        if match is None or not (match[1] or match[2]):
            raise DerivationError(
                f"{value!r} is not a time: write a number, a letter, or a letter plus or minus a number."
            )
        number = sp.Integer(int(re.sub(r"\s", "", match[2]))) if match[2] else sp.Integer(0)
        sizes = {symbol.name: symbol for symbol in self.walk.forward.sizes}
        return number + (sizes.get(match[1], index(match[1])) if match[1] else 0)

    def __hash__(self) -> int:
        return hash(self.system)

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><td>{key}</td><td>{self[key]._repr_html_()}</td></tr>" for key in self)
        return f"<table>{rows}</table>"

    def __str__(self) -> str:
        return "\n".join(self[key].text() for key in self)


def gradient(system: System) -> Derivation:
    """The gradient of the loss of ``system`` with respect to every parameter, input and initial state."""
    return Derivation(system, walk(system))
