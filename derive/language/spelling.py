"""Unicode, LaTeX and ASCII spellings of the same thing turned into one, with the way back to the original columns."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from derive.language.array_functions import ARRAY_FUNCTIONS
from derive.language.functions import FUNCTIONS, LOSSES

GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "ϵ": "epsilon", "ζ": "zeta", "η": "eta",
    "θ": "theta", "ϑ": "theta", "ι": "iota", "κ": "kappa", "λ": "lambda", "μ": "mu", "µ": "mu", "ν": "nu", "ξ": "xi",
    "π": "pi", "ρ": "rho", "σ": "sigma", "τ": "tau", "υ": "upsilon", "φ": "phi", "ϕ": "phi", "χ": "chi", "ψ": "psi",
    "ω": "omega", "Γ": "Gamma", "Δ": "Delta", "Θ": "Theta", "Λ": "Lambda", "Ξ": "Xi", "Π": "Pi", "Σ": "Sigma",
    "Φ": "Phi", "Ψ": "Psi", "Ω": "Omega", "ℓ": "ell",
}  # fmt: skip
"""Letters and the ASCII names they stand for; the names are also LaTeX commands."""

ACCENTS = {"\u0302": "hat", "\u0303": "tilde", "\u0304": "bar", "\u0305": "bar", "\u0307": "dot"}
"""Combining marks and what they add to a name: ŷ is yhat."""

_RAISED = dict(
    zip(
        "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᴬᴮᴰᴱᴳᴴᴵᴶᴷᴸᴹᴺᴼᴾᴿᵀᵁⱽᵂ",
        "0123456789+-()abcdefghijklmnoprstuvwxyzABDEGHIJKLMNOPRTUVW",
        strict=True,
    )
)
_LOWERED = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", "0123456789+-()aehijklmnoprstuvx", strict=True))

SYMBOLS = {
    "⊙": ".*", "∘": ".*", "⊗": "⊗", "⟨": "<", "〈": "<", "⟩": ">", "〉": ">", "−": "-", "–": "-", "·": "*", "⋅": "*",
    "∙": "*", "∗": "*", "∈": " in ", "ℝ": "R", "≤": "<=", "≥": ">=", "…": "...", "′": "'", "’": "'", "″": "''",
    "‖": "||", "\u00a0": " ", "\u2009": " ", "\u202f": " ", "\t": " ", "∑": "sum", "ᐟ": "'", "⊤": "⊤",
}  # fmt: skip
"""Signs and their one spelling."""

COMMANDS = {
    "odot": ".*", "circ": ".*", "otimes": "⊗", "langle": "<", "rangle": ">", "cdot": "*", "times": "×", "in": " in ",
    "le": "<=", "leq": "<=", "ge": ">=", "geq": ">=", "ldots": "...", "dots": "...", "cdots": "...", "sum": "sum",
    "max": "max", "lVert": "||", "rVert": "||", "Vert": "||", "lvert": "|", "rvert": "|", "vert": "|",
    "left": "", "right": "", "big": "", "Big": "", "bigl": "", "bigr": "", "quad": " ", "qquad": " ", "frac": r"\frac",
    "tfrac": r"\frac", "dfrac": r"\frac", "top": "⊤", "intercal": "⊤", "prime": "'", "R": "R", "varepsilon": "epsilon",
    "varphi": "phi", "colon": ":", "partial": "∂",
}  # fmt: skip
"""LaTeX commands and their spelling here; names of functions and Greek letters are added below."""

COMMANDS |= {
    name: f"{name} "
    for name in (*GREEK.values(), *FUNCTIONS, *ARRAY_FUNCTIONS, *LOSSES, "diag", "vec", "tr", "Tr", "ln")
}

_WRAPPED = r"\\(?:mathrm|mathbf|mathbb|mathsf|mathit|boldsymbol|bm|operatorname|text|mathop)\s*"
_ACCENT = {"hat": "hat", "widehat": "hat", "tilde": "tilde", "widetilde": "tilde", "bar": "bar", "overline": "bar"}


@dataclass(frozen=True)
class Spelt:
    """``text`` in the one spelling; its letter k stands for the original offsets ``starts[k]`` to ``ends[k]``."""

    text: str
    starts: tuple[int, ...]
    ends: tuple[int, ...]

    def offsets(self, start: int, end: int) -> tuple[int, int]:
        """The original offsets of ``text[start:end]``; past the end, the place just after it."""
        if not self.starts:
            return 0, 0
        if start >= len(self.starts):
            return self.ends[-1], self.ends[-1] + 1
        return self.starts[start], self.ends[max(start, min(end, len(self.ends)) - 1)]

    def slice(self, start: int, end: int | None = None) -> Spelt:
        """The part from ``start`` to ``end``."""
        return Spelt(self.text[start:end], self.starts[start:end], self.ends[start:end])


def original(text: str, offset: int = 0) -> Spelt:
    """``text`` as it is, standing at ``offset``."""
    positions = range(offset, offset + len(text) + 1)
    return Spelt(text, tuple(positions[:-1]), tuple(positions[1:]))


def _replace(spelt: Spelt, pattern: re.Pattern[str], value: Callable[[re.Match[str]], str]) -> Spelt:
    """Every match replaced; each new letter stands for the whole match, unless the match stays as it is."""
    pieces: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    position = 0
    for match in pattern.finditer(spelt.text):
        new = value(match)
        if new == match.group():
            continue
        before = slice(position, match.start())
        pieces += [spelt.text[before], new]
        first, last = spelt.offsets(match.start(), match.end())
        starts += [*spelt.starts[before], *[first] * len(new)]
        ends += [*spelt.ends[before], *[last] * len(new)]
        position = match.end()
    rest = slice(position, None)
    return Spelt("".join([*pieces, spelt.text[rest]]), (*starts, *spelt.starts[rest]), (*ends, *spelt.ends[rest]))


def _accented(match: re.Match[str]) -> str:
    """y with a hat is yhat; a Greek letter is its name."""
    letters = unicodedata.normalize("NFD", match.group())
    if letters not in GREEK and (len(letters) == 1 or any(mark not in ACCENTS for mark in letters[1:])):
        return match.group()
    name = GREEK.get(letters[0], letters[0]) + "".join(ACCENTS.get(mark, mark) for mark in letters[1:])
    return _apart(match, name)


def _apart(match: re.Match[str], name: str) -> str:
    """``name`` kept apart from a letter that touches it: αx is alpha x."""
    before, after = match.string[: match.start()][-1:], match.string[match.end() :][:1]
    return f"{' ' if before.isalnum() and name[0].isalpha() else ''}{name}{' ' if after.isalpha() else ''}"


def _raised(match: re.Match[str]) -> str:
    text = re.sub(r"(?<=[\w)])x(?=[\w(])", " x ", "".join(_RAISED.get(letter, letter) for letter in match.group()))
    return f"^{{{text}}}"


def _lowered(match: re.Match[str]) -> str:
    return "_{" + "".join(_LOWERED[letter] for letter in match.group()) + "}"


def _accent_command(match: re.Match[str]) -> str:
    name = match.group(2) or match.group(3)
    return _apart(match, GREEK.get(name, name) + _ACCENT[match.group(1)])


_ABOVE = "[" + "".join(_RAISED) + "]"

_STEPS: tuple[tuple[str, Callable[[re.Match[str]], str]], ...] = (
    (r"(?:\\sum|Σ|∑)(?=\s*[_" + "".join(_LOWERED) + "])", lambda match: "sum"),
    (_WRAPPED + r"\{\s*(\w+)\s*\}", lambda match: _apart(match, match.group(1))),
    (_WRAPPED + r"(\w)", lambda match: match.group(1)),
    (r"\\(" + "|".join(_ACCENT) + r")\s*(?:\{\s*\\?(\w+)\s*\}|\\?(\w))", _accent_command),
    (r"\\([A-Za-z]+) ?", lambda match: COMMANDS.get(match.group(1), match.group())),
    (r"\\\|", lambda match: "||"),
    (r"\\[,;:!> ]", lambda match: " "),
    (r"[^\W\d_][" + "".join(ACCENTS) + "]+|[" + "".join(GREEK) + "]|[À-ỹ]", _accented),
    (f"{_ABOVE}(?:,?{_ABOVE})*", _raised),
    ("[" + "".join(_LOWERED) + "]+", _lowered),
    (r"\^\s*\{\s*-\s*⊤\s*\}", lambda match: "^{-1}'"),
    (r"\^\s*(?:\{\s*)?(?:⊤|'+)(?:\s*\})?", lambda match: "'" * max(1, match.group().count("'"))),
    ("[" + "".join(SYMBOLS) + "]", lambda match: SYMBOLS[match.group()]),
    (r"\bodot\b", lambda match: ".*"),
    (r",\s*\.\.\.\s*,", lambda match: ".."),
    (r"\.\.\.", lambda match: ".."),
    (r"(?<=\w)(?<!\bsum)_\{\s*(\w+)\s*\}", lambda match: f"_{match.group(1)}"),
)  # fmt: skip
_COMPILED = tuple((re.compile(pattern), value) for pattern, value in _STEPS)


def respell(spelt: Spelt) -> Spelt:
    """``spelt`` in the one spelling that the grammar reads.

    >>> respell(original("hᵗ⁻¹ ⊙ δ")).text
    'h^{t-1} .* delta'
    """
    for pattern, value in _COMPILED:
        spelt = _replace(spelt, pattern, value)
    return _without_bars(spelt)


_BAR = re.compile(r"\|\|?(?:_\{?(?P<kind>\w+)\}?)?")
NORMS = {"": ("norm(", ")"), "2": ("norm(", ")"), "F": ("norm(", ")"), "1": ("sum(abs(", "))")}
"""What stands for ‖x‖ with each subscript."""


def _without_bars(spelt: Spelt) -> Spelt:
    """norm(x) for ||x|| and abs(x) for |x|; a bar without a partner stays, and is refused by the grammar."""
    if "|" not in spelt.text:
        return spelt
    opened: list[re.Match[str]] = []
    replacements: dict[int, str] = {}
    for bar in _BAR.finditer(spelt.text):
        before = spelt.text[: bar.start()].rstrip()[-1:]
        is_double = bar.group().startswith("||")
        closes = opened and opened[-1].group().startswith("||") == is_double and (before.isalnum() or before in ")]}'|")
        if not closes:
            opened.append(bar)
            continue
        first, kind = opened.pop(), bar.group("kind") or ""
        before, after = NORMS.get(kind, NORMS[""]) if is_double else ("abs(", ")")
        replacements[first.start()], replacements[bar.start()] = before, after
    return _replace(spelt, _BAR, lambda match: replacements.get(match.start(), match.group()))
