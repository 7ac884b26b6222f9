"""Formulas as MathML Core, with every space written out because browsers do not space scripts and signs as TeX does."""

from __future__ import annotations

from typing import Literal, assert_never

from .characters import html_text
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
from .spacing import EM, Atom, atom, resolved, space
from .speech import speech
from .symbols import BIG, CLOSING, GREEK, LEFT, OPERATORS, RIGHT, SPACES, blackboard

WIDE_MARKS = {"hat": "\u0302", "tilde": "\u0303", "dot": "˙"}  # those the font can stretch
ACCENT_MARKS = {"hat": "ˆ", "tilde": "˜", "bar": "¯", "dot": "˙"}


def mathml(node: Formula, style: Literal["inline", "line", "block"] = "inline") -> str:
    """The formula as one ``<math>`` element with its spoken text; a ``line`` is set like a display, inside a line."""
    attributes = {"inline": "", "line": ' displaystyle="true"', "block": ' display="block"'}[style]
    return f'<math{attributes} alttext="{html_text(speech(node))}">{_print(node, False)}</math>'


def _print(node: Formula, script: bool) -> str:
    match node:
        case Identifier(name):
            return _identifier(name)
        case Numeral(text):
            return f"<mn>{text}</mn>"
        case Operator(name):
            return _sign(name)
        case Space(name):
            return f'<mspace width="{SPACES[name].em}"/>'
        case Function(name, limits):
            movable = ' movablelimits="true"' if limits else ""
            return _mo(name.replace(" ", "\u2006"), "prefix", f' stretchy="false"{movable}')
        case Words(text):
            return f"<mtext>{html_text(text).replace(' ', '&#160;')}</mtext>"
        case Row():
            return f"<mrow>{_row(flat(node), script)}</mrow>"
        case Scripts(base, sub, sup):
            return _scripts(base, sub, sup, script)
        case Accent(name, base):
            if name == "bar" and not isinstance(base, (Identifier, Numeral)):
                return f'<mrow class="barred">{_print(base, script)}</mrow>'
            return f'<mover accent="true">{_print(base, script)}{_accent(name, base)}</mover>'
        case Fraction(numerator, denominator):
            return f"<mfrac>{_print(numerator, script)}{_print(denominator, script)}</mfrac>"
        case Fence(left, body, right, grow):
            stretch = grow and _is_tall(body)  # a stretchy sign that need not stretch is set too wide by browsers
            opening, closing = _delimiter(LEFT[left].character, "prefix", stretch), RIGHT[right].character
            return f"<mrow>{opening}{_print(body, script)}{_delimiter(closing, 'postfix', stretch)}</mrow>"
        case Underbrace(body, note):
            brace = _mo("⏟", "postfix", ' stretchy="true"')
            braced = f'<munder accentunder="true">{_print(body, script)}{brace}</munder>'
            return f"<munder>{braced}{_print(note, True)}</munder>"
        case Big(name, lower, upper):
            return _big(name, lower, upper)
        case Matrix():
            return _matrix(node, script)
        case Cases(rows):
            return f"<mrow>{_delimiter('{', 'prefix', True)}{_table('cases', rows, script)}</mrow>"
        case Aligned(rows):
            return _table("aligned", rows, script)
        case Emphasis(role, body):
            return f'<mrow class="role-{role}">{_print(body, script)}</mrow>'
        case Blackboard(letter):
            return f'<mi mathvariant="normal">{blackboard(letter)}</mi>'
        case Prime(base, count):
            return f"<mrow>{_print(base, script)}{_mo('′' * count, 'postfix')}</mrow>"
        case Boxed(body):
            return f'<mrow class="boxed">{_print(body, script)}</mrow>'
        case Scaled(body, factor):
            return f'<mrow style="font-size:{round(100 * factor)}%">{_print(body, script)}</mrow>'
        case _:
            assert_never(node)


def _mo(text: str, form: str, attributes: str = "", before: str = "0", after: str = "0") -> str:
    return f'<mo form="{form}" lspace="{before}" rspace="{after}"{attributes}>{html_text(text)}</mo>'


def _delimiter(character: str, form: str, grow: bool) -> str:
    return _mo(character, form, f' fence="true" stretchy="{str(grow).lower()}"') if character else ""


def _is_tall(node: Formula) -> bool:
    """The formula is higher than a parenthesis of the size of the text."""
    match node:
        case Fraction() | Matrix() | Cases() | Aligned() | Underbrace() | Boxed():
            return True
        case Big(_, lower, upper):
            return lower is not None or upper is not None
        case Row(items):
            return any(_is_tall(item) for item in items)
        case Scripts(base) | Accent(_, base) | Prime(base):
            return _is_tall(base)
        case Fence(body=body) | Emphasis(body=body) | Scaled(body):
            return _is_tall(body)
        case _:
            return False


def _identifier(name: str) -> str:
    if name == "ell":
        return "<mi>ℓ</mi>"
    if name in GREEK:
        upright = ' mathvariant="normal"' if name[0].isupper() else ""
        return f"<mi{upright}>{GREEK[name][1]}</mi>"
    return f"<mi>{name}</mi>"


def _sign(name: str, before: str = "0", after: str = "0", form: str = "infix") -> str:
    sign = OPERATORS[name]
    if sign.kind == "ordinary":
        return f'<mi mathvariant="normal">{sign.character}</mi>'
    fixed = ' stretchy="false" largeop="false"'
    return _mo(sign.character, form, fixed, before, after)


def _row(items: tuple[Formula, ...], script: bool) -> str:
    """The items with TeX's spaces between them, on the signs where there is one and as ``<mspace>`` elsewhere."""
    ends: list[Atom] = [_outer(item, "right") for item in items]
    kinds = resolved([_outer(item, "left") for item in items], ends)
    ends = [kind if isinstance(item, Operator) else end for kind, item, end in zip(kinds, items, ends, strict=True)]
    gaps = [0] + [space(ends[i], kinds[i + 1], script) for i in range(len(items) - 1)] + [0]
    written: list[str] = []
    signs = [isinstance(item, Operator) and OPERATORS[item.name].kind != "ordinary" for item in items]
    for i, item in enumerate(items):
        before = gaps[i] if i and not signs[i - 1] else 0
        if isinstance(item, Operator) and signs[i]:
            form = "prefix" if kinds[i] == "ord" else "infix"
            written.append(_sign(item.name, EM[before], EM[gaps[i + 1]], form))
        else:
            written.append((f'<mspace width="{EM[before]}"/>' if before else "") + _print(item, script))
    return "".join(written)


def _outer(item: Formula, side: str) -> Atom:
    """The atom a neighbour on that side sees: an unstretched fence shows its delimiter."""
    if isinstance(item, Scripts) and isinstance(item.base, Fence):
        item = item.base
    if isinstance(item, Fence) and not item.grow:
        return "open" if side == "left" else "close"
    return atom(item)


def _scripts(base: Formula, sub: Formula | None, sup: Formula | None, script: bool) -> str:
    limits = isinstance(base, Function) and base.limits
    places = "".join(_print(part, True) for part in (sub, sup) if part is not None)
    if sub is not None and sup is not None:
        element = "munderover" if limits else "msubsup"
    elif sub is not None:
        element = "munder" if limits else "msub"
    else:
        element = "mover" if limits else "msup"
    if isinstance(base, Fence) and not base.grow and base.right:  # the scripts belong to the closing delimiter
        opening = _delimiter(LEFT[base.left].character, "prefix", False)
        closing = _delimiter(RIGHT[base.right].character, "postfix", False)
        return f"<mrow>{opening}{_print(base.body, script)}<{element}>{closing}{places}</{element}></mrow>"
    return f"<{element}>{_print(base, script)}{places}</{element}>"


def _accent(name: str, base: Formula) -> str:
    if isinstance(base, (Identifier, Numeral)):
        return _mo(ACCENT_MARKS[name], "postfix", ' stretchy="false"')
    return _mo(WIDE_MARKS[name], "postfix", ' stretchy="true"')


def _big(name: str, lower: Formula | None, upper: Formula | None) -> str:
    large = BIG[name]
    movable = ' movablelimits="true"' if large.limits else ""
    sign = _mo(large.character, "prefix", f' largeop="true"{movable}')
    if large.arrow:
        arrow = _mo(large.arrow, "postfix", ' stretchy="false"')
        sign = f"<mover>{sign}{arrow}</mover>"
    under, over, both = ("munder", "mover", "munderover") if large.limits else ("msub", "msup", "msubsup")
    places = "".join(_print(part, True) for part in (lower, upper) if part is not None)
    if not places:
        return sign
    element = both if lower is not None and upper is not None else under if lower is not None else over
    return f"<{element}>{sign}{places}</{element}>"


def _table(kind: str, rows: tuple[tuple[Formula, Formula], ...], script: bool) -> str:
    style = ' displaystyle="true"' if kind == "aligned" else ""
    lines = ""
    for left, right in rows:
        lines += f"<mtr><mtd>{_print(left, script)}</mtd><mtd>{_continued(right, script)}</mtd></mtr>"
    return f'<mtable class="{kind}"{style}>{lines}</mtable>'


def _continued(right: Formula, script: bool) -> str:
    """A right part that starts with a sign is spaced as if its left part stood before it."""
    items = flat(right)
    if items and isinstance(items[0], Operator) and OPERATORS[items[0].name].kind in ("relation", "binary"):
        return f"<mrow>{_row((Row(()), *items), script)}</mrow>"
    return _print(right, script)


def _matrix(node: Matrix, script: bool) -> str:
    lines = ""
    for i, cells in enumerate(node.rows):
        lines += "<mtr>"
        for j, cell in enumerate(cells):
            marks = ["marked"] if (i, j) in node.highlighted else []
            marks += ["rule-below"] if i in node.rules_after_rows else []
            marks += ["rule-right"] if j in node.rules_after_columns else []
            classes = f' class="{" ".join(marks)}"' if marks else ""
            lines += f"<mtd{classes}>{_print(cell, script)}</mtd>"
        lines += "</mtr>"
    stretch = len(node.rows) > 1 or any(_is_tall(cell) for cells in node.rows for cell in cells)
    opening = _delimiter(LEFT[node.delimiter].character, "prefix", stretch)
    closing = _delimiter(RIGHT[CLOSING[node.delimiter]].character, "postfix", stretch)
    return f'<mrow>{opening}<mtable class="matrix">{lines}</mtable>{closing}</mrow>'
