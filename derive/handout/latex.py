"""Formulas as LaTeX: profile ``ams`` for documents that pdflatex compiles, ``web`` for KaTeX, MathJax and notebooks."""

from __future__ import annotations

import re
from typing import Literal, assert_never

from .characters import latex_text
from .formula import (
    Accent,
    Aligned,
    Big,
    Blackboard,
    Boxed,
    Cases,
    Emphasis,
    Fence,
    Formula,
    Fraction,
    Function,
    Identifier,
    Matrix,
    Numeral,
    Operator,
    Prime,
    Row,
    Scaled,
    Scripts,
    Space,
    Underbrace,
    Words,
    flat,
)
from .spacing import atom, resolved
from .symbols import ACCENTS, BIG, CLOSING, GREEK, HIGHLIGHT, LEFT, OPERATORS, RIGHT, ROLES, SPACES

Profile = Literal["ams", "web"]
SAFE_IN_HTML = {"<": r"\lt", ">": r"\gt"}
PLAIN_FUNCTIONS = frozenset(
    ("arccos", "arcsin", "arctan", "cos", "cosh", "exp", "ln", "log", "sin", "sinh", "tan", "tanh")
)
LIMIT_FUNCTIONS = frozenset(("max", "min", "sup", "inf", "lim"))
ENVIRONMENTS = {"(": "pmatrix", "[": "bmatrix", "{": "Bmatrix", "|": "vmatrix", "||": "Vmatrix", "": "matrix"}
UNBRACED = (Identifier, Numeral, Operator, Function, Words, Fence, Matrix, Blackboard, Big)


def latex(node: Formula, profile: Profile = "ams") -> str:
    """The formula as LaTeX for use inside mathematics."""
    match node:
        case Identifier(name):
            return _identifier(name)
        case Numeral(text):
            return text.replace(",", "{,}")
        case Operator(name):
            safe = SAFE_IN_HTML if profile == "web" else {}
            return safe.get(name, OPERATORS[name].latex)
        case Space(name):
            return SPACES[name].latex
        case Function(name, limits):
            return _function(name, limits)
        case Words(text):
            return r"\text{" + latex_text(text, profile == "ams") + "}"
        case Row():
            return _row(flat(node), profile)
        case Scripts():
            return _scripts(node, profile)
        case Accent(name, base):
            narrow, wide, _ = ACCENTS[name]
            return (narrow if isinstance(base, Identifier) else wide) + "{" + latex(base, profile) + "}"
        case Fraction(numerator, denominator):
            return r"\frac{" + latex(numerator, profile) + "}{" + latex(denominator, profile) + "}"
        case Fence():
            return _fence(node, profile)
        case Underbrace(body, note):
            return r"\underbrace{" + latex(body, profile) + "}_{" + latex(note, profile) + "}"
        case Big(name, lower, upper):
            large = BIG[name]
            sign = large.latex + (r"\limits" if large.arrow and (lower or upper) else "")
            return sign + _script("_", lower, profile) + _script("^", upper, profile)
        case Matrix():
            return _matrix(node, profile)
        case Cases(rows):
            return _lines("cases", [latex(value, profile) + " & " + latex(when, profile) for value, when in rows])
        case Aligned(rows):
            return _lines("aligned", [latex(left, profile) + " & " + latex(right, profile) for left, right in rows])
        case Emphasis(role, body):
            return _emphasis(role, latex(body, profile), profile)
        case Blackboard(letter):
            return r"\mathbb{" + letter + "}"
        case Prime(base, count):
            return _braced(base, profile) + "'" * count
        case Boxed(body):
            return r"\boxed{" + latex(body, profile) + "}"
        case Scaled(body, factor):
            inner = latex(body, profile)
            return rf"\scalebox{{{factor:.3f}}}{{$\displaystyle {inner}$}}" if profile == "ams" else inner
        case _:
            assert_never(node)


def _identifier(name: str) -> str:
    if name == "ell":
        return r"\ell"
    if name in GREEK:
        return GREEK[name][0]
    return name if len(name) == 1 else r"\mathrm{" + name + "}"


def _function(name: str, limits: bool) -> str:
    if name in (LIMIT_FUNCTIONS if limits else PLAIN_FUNCTIONS):
        return "\\" + name
    return (r"\operatorname*{" if limits else r"\operatorname{") + name.replace(" ", r"\,") + "}"


def _join(left: str, right: str) -> str:
    """Both, with a space only where a command would swallow the letter after it."""
    return left + (" " if re.search(r"\\[A-Za-z]+$", left) and right[:1].isalpha() else "") + right


def _row(items: tuple[Formula, ...], profile: Profile) -> str:
    written = ""
    for item, kind in zip(items, resolved([atom(item) for item in items]), strict=True):
        text = latex(item, profile)
        if kind in ("rel", "bin") and isinstance(item, Operator):
            written = written.rstrip() + " " + text + " "
        elif kind == "punct" or isinstance(item, Space):
            written = _join(written, text) + " "
        else:
            written = _join(written, text)
    return written.strip()


def _braced(base: Formula, profile: Profile) -> str:
    text = latex(base, profile)
    return text if isinstance(base, UNBRACED) else "{" + text + "}"


def _script(mark: str, script: Formula | None, profile: Profile) -> str:
    return "" if script is None else mark + "{" + latex(script, profile) + "}"


def _scripts(node: Scripts, profile: Profile) -> str:
    lower, upper = _script("_", node.sub, profile), _script("^", node.sup, profile)
    if isinstance(node.base, Big):
        return "{" + latex(node.base, profile) + "}" + lower + upper
    if isinstance(node.base, Prime):  # TeX joins a superscript to a prime only when it follows at once
        return latex(node.base, profile) + upper + lower
    return (latex(node.base, profile) if isinstance(node.base, Accent) else _braced(node.base, profile)) + lower + upper


def _fence(node: Fence, profile: Profile) -> str:
    left, right, body = LEFT[node.left].latex, RIGHT[node.right].latex, latex(node.body, profile)
    if node.grow:
        return _join(rf"\left{left}", body or "{}") + rf" \right{right}"
    return _join(_join(left if node.left else "", body), right if node.right else "")


def _lines(environment: str, lines: list[str], argument: str = "") -> str:
    r"""The lines in an environment; one that starts with ``[`` or ``*`` would be read as an argument of ``\\``."""
    safe = ["{}" + line if line.lstrip()[:1] in ("[", "*") else line for line in lines]
    return rf"\begin{{{environment}}}{argument} " + r" \\ ".join(safe) + rf" \end{{{environment}}}"


def _matrix(node: Matrix, profile: Profile) -> str:
    lines: list[str] = []
    for i, cells in enumerate(node.rows):
        written = [latex(cell, profile) for cell in cells]
        lines.append(" & ".join(_fill(c, profile) if (i, j) in node.highlighted else c for j, c in enumerate(written)))
    if not node.rules_after_rows and not node.rules_after_columns:
        return _lines(ENVIRONMENTS[node.delimiter], lines)
    for i in sorted(node.rules_after_rows):
        lines[i + 1] = r"\hline " + lines[i + 1]
    columns = "".join("c|" if j in node.rules_after_columns else "c" for j in range(len(node.rows[0])))
    array = _lines("array", lines, "{" + columns + "}")
    return rf"\left{LEFT[node.delimiter].latex} {array} \right{RIGHT[CLOSING[node.delimiter]].latex}"


def _fill(text: str, profile: Profile) -> str:
    colour = f"[HTML]{{{HIGHLIGHT[1:].upper()}}}" if profile == "ams" else f"{{{HIGHLIGHT}}}"
    return rf"\colorbox{colour}{{${text}$}}"


def _emphasis(role: str, text: str, profile: Profile) -> str:
    row = ROLES[role]
    if row.cue == "fill":
        return _fill(text, profile)
    colour = f"[HTML]{{{row.colour[1:].upper()}}}" if profile == "ams" else f"{{{row.colour}}}"
    cue = {"underline": r"\underline{" + text + "}", "double": r"\underline{\underline{" + text + "}}"}
    return rf"\textcolor{colour}{{" + cue.get(row.cue, r"\boxed{" + text + "}") + "}"
