"""Questions without a file: the gradient of one expression, for arrays declared in a line, in closed form."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from derive.calculus.closed_gradient import closed_gradient
from derive.calculus.linear import matrix_of
from derive.calculus.network import NotAMatrix
from derive.calculus.textbook import transposed
from derive.calculus.walk import walk
from derive.derivation import Derivation, Gradient, Shown
from derive.language.errors import (
    BadSyntax,
    DefinitionError,
    LossNotScalar,
    ShapeMismatch,
    UnknownName,
    did_you_mean,
    join_names,
)
from derive.language.expression import Access, Expression, Span
from derive.language.parser import parse
from derive.language.reading import FORMS
from derive.language.shapes import describe
from derive.language.system import Equation, Shape, System
from derive.language.where import Where, at_where, respelt, where_of
from derive.notation import Names, formula
from derive.trace import Line, Step, TotalDerivative

Wrt = str | Sequence[str]


@dataclass(frozen=True)
class Definition:
    """The text of a system that asks a question, and which of its lines the user has written."""

    lines: tuple[str, ...]
    expression: str
    where: Where

    def system(self, title: str) -> System:
        """The system; a mistake is shown in the user's own words."""
        try:
            return replace(parse("\n".join(self.lines)), title=title)
        except DefinitionError as error:
            raise self._placed(error) from None

    def _placed(self, error: DefinitionError) -> DefinitionError:
        line = self.lines[error.line - 1] if error.line else ""
        name, _, _ = line.partition(" = ")
        if line.endswith(f" = {self.expression}"):
            start = len(name) + 3
            error.file, error.source_line = "expression", self.expression
            error.place(Span(1, max(1, error.column - start), max(2, error.end_column - start)))
            if isinstance(error, BadSyntax) and error.repair == FORMS["equation"]:
                error.repair = f"{FORMS['expression_line']}."
            if isinstance(error, UnknownName) and not error.repair.startswith(("Did you mean", "For a product")):
                error.repair = "Say what it is as well, for example: where … in R^n, … in R^(n x n)."
            return error
        return at_where(error, self.where.text or line)


def _lines(where: Where, wrt: Sequence[str], before: Sequence[str], last: str) -> tuple[str, ...]:
    sizes = [f"sizes {', '.join(where.sizes)}"] if where.sizes else []
    arrays = [f"{'learn' if entry.name in wrt else 'given'} {entry.name} in {entry.rest}" for entry in where.arrays]
    bound = [f"where {binding}" for binding in where.functions]
    return tuple(line.replace("\n", " ") for line in (*sizes, *arrays, *before, last, *bound))


def _unused(where: Where, candidates: Iterable[str]) -> str:
    taken = {entry.name for entry in where.arrays} | {*where.sizes}
    return next(letter for letter in (*candidates, *(f"q{n}" for n in range(100))) if letter not in taken)


@dataclass(frozen=True)
class Answer(Mapping[str, Gradient]):
    """The gradients of an expression by array, in closed form, and the derivation that leads to them.

    Of a vector it holds Jacobian matrices, a row for each of its entries; ``derivation`` is then that of ⟨g, vector⟩.
    """

    value: Expression
    derivation: Derivation
    wrt: tuple[str, ...]
    seed_vector: str = ""
    """The vector g of a question for a Jacobian; '' for a gradient."""

    @property
    def system(self) -> System:
        """The question as a system."""
        return self.derivation.system

    @property
    def names(self) -> Names:
        """How its arrays are written."""
        return self.derivation.names

    @cached_property
    def gradients(self) -> dict[str, Gradient]:
        """The closed form of each gradient."""
        return {key: self._closed(key) for key in self.wrt}

    def _closed(self, key: str) -> Gradient:
        found = self.derivation[key]
        equation = closed_gradient(self.derivation.walk, key)
        if self.seed_vector:
            matrix = matrix_of(equation.value, self.seed_vector, self.derivation.walk.scope)
            value = transposed(matrix, self.derivation.walk.scope)
            equation = Equation(Access(equation.target.name), value)
        return Gradient(key, equation, found.index_equation, found.names)

    @property
    def closing_steps(self) -> tuple[Step, ...]:
        """For each gradient that the derivation leaves with names in it, the step to its closed form."""
        return tuple(step for key in self.wrt if (step := self._closing(key)) is not None)

    def _closing(self, key: str) -> Step | None:
        before, after = self.derivation[key].equation, self.gradients[key].equation
        loss, array = Access(self.system.loss), Access(key, (), after.target.subscripts)
        if before.value == after.value or self.seed_vector:
            return None
        return Step(
            f"closed-{key}",
            ("The gradient with respect to ", Access(key), " in closed form"),
            "linear algebra",
            (
                "Every name that the derivation gave is replaced by what it stands for; transposes move to single ",
                "letters, inverses that meet cancel, and what terms have in common is taken out.",
            ),
            before.target,
            after.value,
            (Line((after.target, after.value)),),
            claims=(TotalDerivative(loss, array, after.value),),
        )

    @property
    def shown(self) -> Shown:
        """f = aᵀ X b + log |det X|."""
        return Shown(formula(self.value, self.names))

    @property
    def steps(self) -> tuple[Step, ...]:
        """The derivation as data, in reading order."""
        return self.derivation.steps

    def __getitem__(self, key: str) -> Gradient:
        name = respelt(key)
        if name not in self.wrt:
            raise KeyError(key)
        return self.gradients[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.wrt)

    def __len__(self) -> int:
        return len(self.wrt)

    def __hash__(self) -> int:
        return hash((self.derivation.system, self.wrt))

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><td>{key}</td><td>{self[key]._repr_html_()}</td></tr>" for key in self)
        return f"<table>{rows}</table>"

    def __str__(self) -> str:
        return "\n".join(self[key].text() for key in self)


def gradient_of(expression: str, wrt: Wrt = (), where: str = "") -> Answer:
    """The gradient of ``expression`` with respect to the arrays ``wrt`` (all by default), declared by ``where``.

    >>> print(gradient_of("a' X b + log det X", "X", "a in R^n, b in R^n, X in R^(n x n)")["X"])
    ∂f/∂X = a bᵀ + X⁻ᵀ
    """
    declared, keys = asked(wrt, where)
    body = " ".join(_without_name(expression).split("\n"))
    definition = Definition(_lines(declared, keys, (), f"loss = {body}"), body, declared)
    title = f"The gradient of {body}"
    try:
        system = definition.system(title)
    except LossNotScalar:
        return _jacobian(body, keys, declared)
    letter = _unused(declared, ("f", "g", "h"))
    derivation = Derivation(system, walk(system), letter)
    return Answer(system.program.equations[-1].value, derivation, keys)


def asked(wrt: Wrt, where: str) -> tuple[Where, tuple[str, ...]]:
    """The declarations, and the arrays to differentiate by."""
    declared = where_of(where)
    known = [entry.name for entry in declared.arrays]
    listed = wrt.replace(",", " ").split() if isinstance(wrt, str) else list(wrt)
    keys = tuple(dict.fromkeys(respelt(name) for name in listed)) or tuple(known)
    for key in keys:
        if key not in known:
            otherwise = f"Declared are {join_names(known)}." if known else "Say what it is: where X in R^(n x n)."
            repair = did_you_mean(key, known, otherwise)
            raise about_question(UnknownName(f"There is no {key} to differentiate by.", None, repair))
    if not keys:
        repair = "Say what there is: where X in R^(n x n)."
        raise about_question(UnknownName("Nothing is declared to differentiate by.", None, repair))
    return declared, keys


def about_question(error: DefinitionError) -> DefinitionError:
    """The mistake is in the question, in no file."""
    error.file = "question"
    return error


def _without_name(expression: str) -> str:
    """The right side of 'f(x) = …'."""
    if not expression.strip():
        repair = "For example a' X b + log det X."
        raise about_question(BadSyntax("There is no expression to differentiate.", None, repair))
    match = re.match(r"\s*[^\W\d]\w*(?:\([^()=]*\))?\s*=(?!=)(.*)$", expression, re.DOTALL)
    return (match[1] if match else expression).strip()


def _jacobian(body: str, keys: tuple[str, ...], where: Where) -> Answer:
    """The Jacobian of a vector, from the gradient of its product with any vector."""
    value, seed = _unused(where, ("y", "u", "v", "w")), _unused(where, ("g", "c", "d", "r"))
    summed = Definition(_lines(where, keys, (f"{value} = {body}",), f"loss = sum({value})"), body, where)
    shape = summed.system("").program.declaration(value).shape
    _require_vectors(shape, keys, summed.system(""))
    extent = f"({shape[0]})"
    lines = _lines(where, keys, (f"given {seed} in R^{extent}", f"{value} = {body}"), f"loss = <{seed}, {value}>")
    system = Definition(lines, body, where).system(f"The Jacobian of {body}")
    derivation = Derivation(system, walk(system), value)
    found = next(e.value for e in system.program.equations if e.target.name == value)
    answer = Answer(found, derivation, keys, seed)
    try:
        assert answer.gradients
    except NotAMatrix:
        message = f"The Jacobian of {body} has no form in matrices that we know."
        repair = f"Ask for the gradient of a number, as of <g, {body}>."
        raise about_question(ShapeMismatch(message, None, repair)) from None
    return answer


def _require_vectors(shape: Shape, keys: Sequence[str], system: System) -> None:
    matrices = [key for key in keys if len(system.program.declaration(key).shape) > 1]
    if len(shape) > 1 or matrices:
        about = f"The expression is {describe(shape)}" + (f" and {matrices[0]} is a matrix" if matrices else "")
        message = f"{about}: its derivative has {len(shape) + (2 if matrices else 1)} axes and is no matrix."
        repair = "Ask for the gradient of a number, as of sum(…), tr(…) or <g, …>."
        raise about_question(ShapeMismatch(message, None, repair))
