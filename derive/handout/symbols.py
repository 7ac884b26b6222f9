"""The closed tables of mathematical signs: one row a sign, one column a notation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["relation", "binary", "punctuation", "ordinary", "inner"]


@dataclass(frozen=True, slots=True)
class Sign:
    """One sign: its LaTeX command, its character, how it is read aloud, and how it is spaced."""

    latex: str
    character: str
    spoken: str
    kind: Kind


OPERATORS: dict[str, Sign] = {
    "=": Sign("=", "=", "equals", "relation"),
    "!=": Sign(r"\ne", "≠", "is not equal to", "relation"),
    "<": Sign("<", "<", "is less than", "relation"),
    ">": Sign(">", ">", "is greater than", "relation"),
    "<=": Sign(r"\le", "≤", "is at most", "relation"),
    ">=": Sign(r"\ge", "≥", "is at least", "relation"),
    ":=": Sign(r"\mathrel{:=}", "≔", "is defined as", "relation"),
    "approx": Sign(r"\approx", "≈", "is approximately", "relation"),
    "equiv": Sign(r"\equiv", "≡", "is identical to", "relation"),
    "propto": Sign(r"\propto", "∝", "is proportional to", "relation"),
    "in": Sign(r"\in", "∈", "in", "relation"),
    "notin": Sign(r"\notin", "∉", "not in", "relation"),
    "subseteq": Sign(r"\subseteq", "⊆", "is a subset of", "relation"),
    "divides": Sign(r"\mid", "∣", "divides", "relation"),
    "to": Sign(r"\to", "→", "to", "relation"),
    "mapsto": Sign(r"\mapsto", "↦", "maps to", "relation"),
    "implies": Sign(r"\Rightarrow", "⇒", "implies", "relation"),
    "iff": Sign(r"\Leftrightarrow", "⇔", "if and only if", "relation"),
    "+": Sign("+", "+", "plus", "binary"),
    "-": Sign("-", "−", "minus", "binary"),
    "odot": Sign(r"\odot", "⊙", "elementwise times", "binary"),
    "otimes": Sign(r"\otimes", "⊗", "Kronecker times", "binary"),
    "times": Sign(r"\times", "×", "by", "binary"),
    "cdot": Sign(r"\cdot", "⋅", "times", "binary"),
    "ast": Sign(r"\ast", "∗", "convolved with", "binary"),
    ",": Sign(",", ",", "comma", "punctuation"),
    ";": Sign(";", ";", "semicolon", "punctuation"),
    ".": Sign(".", ".", "full stop", "ordinary"),
    ":": Sign(":", ":", "colon", "relation"),
    "dots": Sign(r"\dots", "…", "and so on", "inner"),
    "cdots": Sign(r"\cdots", "⋯", "and so on", "inner"),
    "vdots": Sign(r"\vdots", "⋮", "and so on", "ordinary"),
    "ddots": Sign(r"\ddots", "⋱", "and so on", "inner"),
    "/": Sign("/", "/", "over", "ordinary"),
    "top": Sign(r"\top", "⊤", "transpose", "ordinary"),
    "partial": Sign(r"\partial", "∂", "partial", "ordinary"),
    "ell": Sign(r"\ell", "ℓ", "ell", "ordinary"),
    "infinity": Sign(r"\infty", "∞", "infinity", "ordinary"),
    "nabla": Sign(r"\nabla", "∇", "nabla", "ordinary"),
    "forall": Sign(r"\forall", "∀", "for all", "ordinary"),
    "exists": Sign(r"\exists", "∃", "there exists", "ordinary"),
    "square": Sign(r"\square", "□", "end of proof", "ordinary"),
}

GREEK: dict[str, tuple[str, str]] = {  # name: (LaTeX, character)
    "alpha": (r"\alpha", "α"), "beta": (r"\beta", "β"), "gamma": (r"\gamma", "γ"), "delta": (r"\delta", "δ"),
    "epsilon": (r"\varepsilon", "ε"), "zeta": (r"\zeta", "ζ"), "eta": (r"\eta", "η"), "theta": (r"\theta", "θ"),
    "iota": (r"\iota", "ι"), "kappa": (r"\kappa", "κ"), "lambda": (r"\lambda", "λ"), "mu": (r"\mu", "μ"),
    "nu": (r"\nu", "ν"), "xi": (r"\xi", "ξ"), "pi": (r"\pi", "π"), "rho": (r"\rho", "ρ"),
    "sigma": (r"\sigma", "σ"), "tau": (r"\tau", "τ"), "upsilon": (r"\upsilon", "υ"), "phi": (r"\varphi", "φ"),
    "chi": (r"\chi", "χ"), "psi": (r"\psi", "ψ"), "omega": (r"\omega", "ω"),
    "Gamma": (r"\Gamma", "Γ"), "Delta": (r"\Delta", "Δ"), "Theta": (r"\Theta", "Θ"), "Lambda": (r"\Lambda", "Λ"),
    "Xi": (r"\Xi", "Ξ"), "Pi": (r"\Pi", "Π"), "Sigma": (r"\Sigma", "Σ"), "Upsilon": (r"\Upsilon", "Υ"),
    "Phi": (r"\Phi", "Φ"), "Psi": (r"\Psi", "Ψ"), "Omega": (r"\Omega", "Ω"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Width:
    """One horizontal space, in LaTeX, in Typst, and in em."""

    latex: str
    typst: str
    em: str


SPACES: dict[str, Width] = {
    "thin": Width(r"\,", "thin", "0.1667em"),
    "thick": Width(r"\;", "thick", "0.2778em"),
    "quad": Width(r"\quad", "quad", "1em"),
    "qquad": Width(r"\qquad", "wide", "2em"),
}


@dataclass(frozen=True, slots=True)
class Delimiter:
    """One side of a fence; ``character`` is empty for a side that is not drawn."""

    latex: str
    character: str
    spoken: str


LEFT: dict[str, Delimiter] = {
    "(": Delimiter("(", "(", "open parenthesis"),
    "[": Delimiter("[", "[", "open bracket"),
    "{": Delimiter(r"\{", "{", "open brace"),
    "|": Delimiter(r"\lvert", "|", "absolute value of"),
    "||": Delimiter(r"\lVert", "‖", "norm of"),
    "⟨": Delimiter(r"\langle", "⟨", "open angle bracket"),
    "⌊": Delimiter(r"\lfloor", "⌊", "floor of"),
    "⌈": Delimiter(r"\lceil", "⌈", "ceiling of"),
    "": Delimiter(".", "", ""),
}
RIGHT: dict[str, Delimiter] = {
    ")": Delimiter(")", ")", "close parenthesis"),
    "]": Delimiter("]", "]", "close bracket"),
    "}": Delimiter(r"\}", "}", "close brace"),
    "|": Delimiter(r"\rvert", "|", "end absolute value"),
    "||": Delimiter(r"\rVert", "‖", "end norm"),
    "⟩": Delimiter(r"\rangle", "⟩", "close angle bracket"),
    "⌋": Delimiter(r"\rfloor", "⌋", "end floor"),
    "⌉": Delimiter(r"\rceil", "⌉", "end ceiling"),
    "": Delimiter(".", "", ""),
}
CLOSING: dict[str, str] = {"(": ")", "[": "]", "{": "}", "|": "|", "||": "||", "": ""}  # of a matrix

ACCENTS: dict[str, tuple[str, str, str]] = {  # name: (LaTeX over one letter, LaTeX over more, combining character)
    "hat": (r"\hat", r"\widehat", "\u0302"),
    "tilde": (r"\tilde", r"\widetilde", "\u0303"),
    "bar": (r"\bar", r"\overline", "\u0304"),
    "dot": (r"\dot", r"\dot", "\u0307"),
}


@dataclass(frozen=True, slots=True)
class Large:
    """A large operator; ``arrow`` is drawn over the sign of an ordered product."""

    latex: str
    character: str
    spoken: str
    arrow: str = ""
    limits: bool = True


BIG: dict[str, Large] = {
    "sum": Large(r"\sum", "∑", "sum"),
    "product": Large(r"\prod", "∏", "product"),
    "product_left": Large(
        r"\mathop{\overset{\curvearrowleft}{\prod}}", "∏", "ordered product, later factors on the left,", "↶"
    ),
    "product_right": Large(
        r"\mathop{\overset{\curvearrowright}{\prod}}", "∏", "ordered product, later factors on the right,", "↷"
    ),
    "integral": Large(r"\int", "∫", "integral", limits=False),
    "union": Large(r"\bigcup", "⋃", "union"),
    "direct_sum": Large(r"\bigoplus", "⨁", "direct sum"),
}


@dataclass(frozen=True, slots=True)
class Role:
    """A colour with a second cue, so that nothing depends on seeing colour; ``dark`` is its value on a dark page."""

    colour: str
    dark: str
    cue: Literal["underline", "double", "frame", "fill"]
    meaning: str


ROLES: dict[str, Role] = {
    "local": Role("#0b57a4", "#8ec7ff", "underline", "local derivative"),
    "upstream": Role("#a83a0c", "#ffb38a", "double", "gradient arriving from later"),
    "new": Role("#1b6e3a", "#86d9a0", "frame", "term added by this step"),
    "focus": Role("#ffe9a8", "#5c4a10", "fill", "place to look at"),
    "error": Role("#b3261e", "#ff9d94", "frame", "mistake"),
}
HIGHLIGHT = ROLES["focus"].colour

EARLY_BLACKBOARD = {"C": "ℂ", "H": "ℍ", "N": "ℕ", "P": "ℙ", "Q": "ℚ", "R": "ℝ", "Z": "ℤ"}


def blackboard(letter: str) -> str:
    """The character of a capital letter in blackboard bold."""
    return EARLY_BLACKBOARD.get(letter, chr(0x1D538 + ord(letter) - ord("A")))
