"""The notations in which a terminal can be shown a formula: one row each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from derive.handout.formula import Formula
from derive.handout.latex import latex
from derive.handout.mathml import mathml
from derive.handout.plain import plain
from derive.handout.speech import speech


@dataclass(frozen=True)
class Format:
    """A formula on a line of its own, a formula in a sentence, and how words are set beside them."""

    display: Callable[[Formula], str]
    inline: Callable[[Formula], str]
    comment: str = "{}"


def _web(node: Formula) -> str:
    return latex(node, "web")


FORMATS: dict[str, Format] = {
    "text": Format(plain, plain),
    "latex": Format(_web, lambda node: f"${_web(node)}$", "% {}"),
    "mathml": Format(lambda node: mathml(node, "block"), mathml, "<!-- {} -->"),
    "words": Format(speech, speech),
}
