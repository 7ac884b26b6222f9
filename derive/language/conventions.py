"""The conventions a definition may declare, the values each may take, and what they mean."""

from __future__ import annotations

from dataclasses import dataclass

from derive.language.errors import UnknownConvention, did_you_mean, join_names
from derive.language.expression import Span


@dataclass(frozen=True)
class Convention:
    """One choice that textbooks make differently; the first value is what holds where nothing is declared."""

    values: tuple[str, ...]
    meaning: str


CONVENTIONS: dict[str, Convention] = {
    "gradient layout": Convention(
        ("parameter", "transposed"), "a gradient has the shape of the parameter, or of its transpose"
    ),
    "slope at kink": Convention(("0", "1/2", "1"), "the slope of relu and of other functions where they have a corner"),
    "ties": Convention(("first", "split", "all"), "which of several equal maxima receives the gradient"),
    "gru variant": Convention(
        ("reset before", "reset after"), "whether the reset gate acts before or after the matrix product"
    ),
    "time": Convention(("superscript", "subscript"), "where the step is written"),
    "outside": Convention(
        ("error", "zero", "skipped"), "what an array is beyond its axes; a skipped position takes part in no maximum"
    ),
}


def convention(text: str, span: Span) -> tuple[str, str]:
    """The declaration ``NAME is VALUE`` as a pair, both known."""
    name, _, value = (part.strip() for part in text.partition(" is "))
    row = CONVENTIONS.get(name)
    if row is None:
        listed = f"The conventions are: {join_names(CONVENTIONS)}."
        raise UnknownConvention(
            f"There is no convention called '{name}'.", span, did_you_mean(name, CONVENTIONS, listed)
        )
    if value not in row.values:
        listed = join_names(row.values, "or")
        raise UnknownConvention(
            f"'{name}' cannot be '{value}'.", span, did_you_mean(value, row.values, f"It is {listed}.")
        )
    return name, value
