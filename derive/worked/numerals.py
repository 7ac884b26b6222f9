"""Numbers as people write them in tables, read exactly and written back."""

from __future__ import annotations

import re
from fractions import Fraction

Number = Fraction | float
"""A fraction where the value is exactly known, else a floating-point number."""

SIGNS = str.maketrans({"−": "-", "–": "-", "‐": "-", "‑": "-", "﹣": "-", "－": "-", "＋": "+"})
DECIMAL = re.compile(r"([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,3}))?")
FRACTION = re.compile(r"([+-]?\d+)\s*/\s*(\d+)")
LONGEST = 60  # characters of a number
LARGEST_EXPONENT = 99
DIGITS = 4  # digits after the point of what is rounded
WIDEST_FRACTION = 9  # characters of a fraction that is written as one


def read_number(text: str) -> Fraction | None:
    """The exact value of ``-2``, ``0.75``, ``1/3`` or ``2e-3``, with any minus sign; None if it is no number.

    >>> read_number("−1/3")
    Fraction(-1, 3)
    """
    text = text.strip().translate(SIGNS)
    if len(text) > LONGEST or not text.isascii():
        return None
    if match := FRACTION.fullmatch(text):
        return Fraction(int(match[1]), int(match[2])) if int(match[2]) else None
    match = DECIMAL.fullmatch(text)
    if match is None or not (match[2] or match[3]) or abs(int(match[4] or 0)) > LARGEST_EXPONENT:
        return None
    return Fraction(text)


def decimals(text: str) -> int | None:
    """How many digits stand after the decimal point; None for a whole number, a fraction and a power of ten."""
    match = DECIMAL.fullmatch(text.strip().translate(SIGNS))
    return len(match[3]) if match and match[3] and not match[4] else None


def written(number: Number) -> str:
    """``−0.3``, ``1/3`` or, where neither is short, a number rounded to four decimals.

    >>> written(Fraction(3, 10)), written(Fraction(-1, 3)), written(2**0.5)
    ('0.3', '−1/3', '1.4142')
    """
    text = _exact(number) if isinstance(number, Fraction) else None
    return (text or _rounded(float(number))).replace("-", "−")


def is_rounded(number: Number) -> bool:
    """Whether ``written`` shows less than the value."""
    return not isinstance(number, Fraction) or _exact(number) is None


def _exact(number: Fraction) -> str | None:
    if number.denominator == 1:
        return str(number.numerator)
    places = _places(number.denominator)
    if places is not None and places <= DIGITS + 2:
        digits = f"{abs(number.numerator) * 10**places // number.denominator:0{places + 1}d}"
        return f"{'-' if number < 0 else ''}{digits[:-places]}.{digits[-places:]}"
    text = f"{number.numerator}/{number.denominator}"
    return text if len(text) <= WIDEST_FRACTION else None


def _places(denominator: int) -> int | None:
    """The number of decimals of 1/denominator; None if they do not end."""
    twos = fives = 0
    while denominator % 2 == 0:
        denominator, twos = denominator // 2, twos + 1
    while denominator % 5 == 0:
        denominator, fives = denominator // 5, fives + 1
    return max(twos, fives) if denominator == 1 else None


def _rounded(number: float) -> str:
    if number != 0 and not 1e-3 <= abs(number) < 1e7:
        return f"{number:.{DIGITS}g}"
    text = f"{number:.{DIGITS}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
