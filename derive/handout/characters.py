"""Characters: which ones each format can show, and how text is escaped exactly.

A character that a format cannot show is replaced by its code point, visibly: ``[U+1F600]``. Nothing is dropped.
"""

from __future__ import annotations

import html
import re
import unicodedata

from .symbols import GREEK, OPERATORS

SUPERSCRIPTS = dict(zip("0123456789+-=()abcdefghijklmnoprstuvwxyzABDEGHIJKLMNOPRTUVW",
                        "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᴬᴮᴰᴱᴳᴴᴵᴶᴷᴸᴹᴺᴼᴾᴿᵀᵁⱽᵂ", strict=True))  # fmt: skip
SUBSCRIPTS = dict(zip("0123456789+-=()aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", strict=True))  # fmt: skip

TYPST_RANGES = (  # a glyph exists in New Computer Modern, its mathematics, Libertinus Serif or DejaVu Sans Mono
    (0x20, 0x7E), (0xA0, 0xAC), (0xAE, 0x377), (0x37A, 0x37F), (0x384, 0x38A), (0x38C, 0x38C), (0x38E, 0x3A1),
    (0x3A3, 0x4FF), (0x1D00, 0x1DBF), (0x1E00, 0x1EFF), (0x2000, 0x200A), (0x2010, 0x2027), (0x202F, 0x2040),
    (0x2044, 0x2052), (0x2054, 0x205E), (0x2070, 0x2071), (0x2074, 0x208E), (0x2090, 0x209C), (0x20A0, 0x20BF),
    (0x2100, 0x211E), (0x2126, 0x2151), (0x2153, 0x2184), (0x2190, 0x2319), (0x2320, 0x23CE), (0x23DC, 0x23E1),
    (0x2422, 0x2423), (0x2460, 0x25FC), (0x2605, 0x2606), (0x2610, 0x2612), (0x2660, 0x266F), (0x2713, 0x2714),
    (0x2717, 0x2718), (0x2776, 0x277F), (0x2794, 0x2794), (0x27C0, 0x27FF), (0x2900, 0x2AFF), (0x1D400, 0x1D454),
    (0x1D456, 0x1D49C), (0x1D538, 0x1D539), (0x1D53B, 0x1D53E), (0x1D540, 0x1D544), (0x1D546, 0x1D546),
    (0x1D54A, 0x1D550), (0x1D552, 0x1D6A5), (0x1D6A8, 0x1D7CB), (0x1D7CE, 0x1D7FF),
)  # fmt: skip

LATEX_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "'": "'", "`": r"\textasciigrave{}",
}  # fmt: skip
LATEX_UNICODE = {
    "\u00a0": "~", "\u2009": r"\,", "\u202f": r"\,", "–": "--", "—": "---", "‘": "`", "’": "'", "“": "``", "”": "''",
    "…": r"\dots{}", "•": r"\textbullet{}", "€": r"\texteuro{}", "✓": r"\ensuremath{\checkmark}",
    "✗": r"\ensuremath{\times}", "←": r"\ensuremath{\leftarrow}", "↑": r"\ensuremath{\uparrow}",
    "↓": r"\ensuremath{\downarrow}", "↔": r"\ensuremath{\leftrightarrow}", "⟨": r"\ensuremath{\langle}",
    "⟩": r"\ensuremath{\rangle}", "⌊": r"\ensuremath{\lfloor}", "⌋": r"\ensuremath{\rfloor}",
    "⌈": r"\ensuremath{\lceil}", "⌉": r"\ensuremath{\rceil}", "‖": r"\ensuremath{\Vert}", "ℓ": r"\ensuremath{\ell}",
    "√": r"\ensuremath{\surd}", "∑": r"\ensuremath{\sum}", "∏": r"\ensuremath{\prod}", "∫": r"\ensuremath{\int}",
    "·": r"\textperiodcentered{}", "×": r"\texttimes{}", "−": r"\ensuremath{-}", "′": r"\ensuremath{'}",
    "¹": r"\textonesuperior{}", "²": r"\texttwosuperior{}", "³": r"\textthreesuperior{}", "°": r"\textdegree{}",
    "±": r"\textpm{}", "§": r"\S{}", "©": r"\textcopyright{}", "¬": r"\textlnot{}", "«": r"\guillemotleft{}",
    "»": r"\guillemotright{}", "¿": r"\textquestiondown{}", "¡": r"\textexclamdown{}", "½": r"\textonehalf{}",
    "¼": r"\textonequarter{}", "¾": r"\textthreequarters{}", "µ": r"\textmu{}", "ß": r"\ss{}", "æ": r"\ae{}",
    "Æ": r"\AE{}", "œ": r"\oe{}", "Œ": r"\OE{}", "ø": r"\o{}", "Ø": r"\O{}", "ł": r"\l{}", "Ł": r"\L{}",
    "đ": r"\dj{}", "Đ": r"\DJ{}", "ð": r"\dh{}", "þ": r"\th{}", "Þ": r"\TH{}", "ı": r"\i{}",
    "ℝ": r"\ensuremath{\mathbb{R}}", "𝔼": r"\ensuremath{\mathbb{E}}", "∎": r"\ensuremath{\blacksquare}",
    **{sign.character: rf"\ensuremath{{{sign.latex}}}" for sign in OPERATORS.values()
       if not sign.character.isascii() and sign.character != "…"},
    **{character: rf"\ensuremath{{{command}}}" for command, character in GREEK.values()},
    **{shown: rf"\textsuperscript{{{plain}}}" for plain, shown in SUPERSCRIPTS.items() if ord(shown) > 0xFF},
    **{shown: rf"\textsubscript{{{plain}}}" for plain, shown in SUBSCRIPTS.items()},
}  # fmt: skip
LATEX_ACCENTS = {
    "\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0306": "u", "\u0307": ".",
    "\u0308": '"', "\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0327": "c", "\u0328": "k",
}  # fmt: skip


def code_point(character: str) -> str:
    """``[U+1F600]``."""
    return f"[U+{ord(character):04X}]"


def one_line(text: str) -> str:
    """The text in composed form with every run of white space as one space."""
    return re.sub(r"[\t\n\v\f\r \u2028\u2029\x85]+", " ", unicodedata.normalize("NFC", text))


def legal(text: str) -> str:
    """The text with characters that no XML or JSON reader should meet shown as code points."""
    return "".join(code_point(c) if unicodedata.category(c) in ("Cc", "Cf", "Co", "Cs", "Cn") and c not in "\t\n" else c
                   for c in text)  # fmt: skip


def html_text(text: str) -> str:
    """The text for HTML and XML, in content or in a quoted attribute."""
    return html.escape(legal(text))


def typst_visible(text: str) -> str:
    """The text with characters outside the fonts of the PDF shown as code points."""
    return "".join(c if c in "\n\t" or any(low <= ord(c) <= high for low, high in TYPST_RANGES) else code_point(c)
                   for c in text)  # fmt: skip


def typst_string(text: str) -> str:
    """A Typst string literal that holds the text."""
    shown = typst_visible(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{shown}"'


def typst_text(text: str) -> str:
    """A string literal for running text, in which two hyphens stay two hyphens: the font would join them."""
    return re.sub(r"([-,'`])(?=\1)|[!?](?=`)", r"\g<0>\\u{200c}", typst_string(text))


def latex_character(character: str) -> str:
    """One character as LaTeX text in ASCII; an accented letter as its letter with an accent."""
    if character in LATEX_SPECIAL:
        return LATEX_SPECIAL[character]
    if character in LATEX_UNICODE:
        return LATEX_UNICODE[character]
    if " " <= character <= "~":
        return character
    parts = unicodedata.normalize("NFD", character)
    if len(parts) == 2 and parts[0].isascii() and parts[1] in LATEX_ACCENTS:
        return f"\\{LATEX_ACCENTS[parts[1]]}{{{parts[0]}}}"
    return code_point(character)


def latex_text(text: str, portable: bool = True) -> str:
    r"""The text as LaTeX; if not ``portable``, only TeX's special characters are replaced, as in KaTeX's ``\text``."""
    if portable:
        unjoined = re.sub("([-,])(?=\\1)", "\\1\0", text)  # two hyphens or commas would become another sign
        return "".join("{}" if c == "\0" else latex_character(c) for c in unjoined)
    return "".join(LATEX_SPECIAL.get(c, c) if c in "\\{}$&#%_^~" else c for c in legal(text))
