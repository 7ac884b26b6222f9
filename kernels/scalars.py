"""Scalar functions without branches or calls, which LLVM vectorises in any plain loop; run as Python they are NumPy's.

Each is written once, in formulas over `Value`, and becomes a few dozen instructions inside the caller's loop. The C
library's tanh is a call, which stops the vectoriser; this one costs 0.8 ns an element (0.25 in single precision) with
512-bit vectors. Signed zeros, ±∞, NaN, overflow and subnormal results follow IEEE. The `ulp` of a row bounds the error
in units of the last place, over all arguments.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import factorial, inf, nan, sqrt
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.core.typing.templates import signature
from numba.extending import lower_builtin, type_callable

from kernels.register_block import Builder, Operand, target


@dataclass(frozen=True)
class Format:
    """IEEE binary32 or binary64: fraction bits, exponent bias, and how far the series below must go."""

    bits: int
    fraction: int
    bias: int
    log2_high: float  # log 2 = log2_high + log2_low, and k · log2_high is exact for every exponent k
    log2_low: float
    exp_terms: int  # |r| ≤ log(2)/2:  r^(terms+1) / (terms+1)! is below half an ulp of r
    log_terms: int  # z ≤ (3 − 2√2)²:  z^(terms+1) / (2·terms+3) is below half an ulp of 1
    saturated: float  # from here on tanh x = 1 and expm1(−2x) = −1
    exp_range: tuple[float, float]  # outside, exp is 0 or ∞


LOG_2 = math.log(2)
FORMATS = {
    64: Format(64, 52, 1023, 6.93147180369123816490e-01, 1.90821492927058770002e-10, 13, 10, 20.0, (-746.0, 710.0)),
    32: Format(32, 23, 127, 0.693359375, -2.12194440054690583e-4, 7, 4, 10.0, (-104.0, 89.0)),
}


@dataclass(frozen=True)
class Value:
    """A floating-point LLVM value with Python's operators; every operation appends one instruction."""

    builder: Builder
    at: Operand

    @property
    def format(self) -> Format:
        return FORMATS[64 if isinstance(self.at.type, ir.DoubleType) else 32]

    @property
    def integer(self) -> Operand:
        return ir.IntType(self.format.bits)

    def constant(self, number: float | Value) -> Operand:
        return number.at if isinstance(number, Value) else ir.Constant(self.at.type, float(number))

    def __add__(self, other: float | Value) -> Value:
        return Value(self.builder, self.builder.fadd(self.at, self.constant(other)))

    def __sub__(self, other: float | Value) -> Value:
        return Value(self.builder, self.builder.fsub(self.at, self.constant(other)))

    def __rsub__(self, other: float) -> Value:
        return Value(self.builder, self.builder.fsub(self.constant(other), self.at))

    def __mul__(self, other: float | Value) -> Value:
        return Value(self.builder, self.builder.fmul(self.at, self.constant(other)))

    def __truediv__(self, other: float | Value) -> Value:
        return Value(self.builder, self.builder.fdiv(self.at, self.constant(other)))

    def __neg__(self) -> Value:
        return Value(self.builder, self.builder.fneg(self.at))

    def compare(self, relation: str, other: float | Value) -> Operand:
        """Ordered comparison: false when either side is NaN."""
        return self.builder.fcmp_ordered(relation, self.at, self.constant(other))

    def where(self, condition: Operand, otherwise: float | Value) -> Value:
        return Value(self.builder, self.builder.select(condition, self.at, self.constant(otherwise)))

    def at_most(self, bound: float) -> Value:
        """min(self, bound), and NaN for NaN."""
        return Value(self.builder, self.constant(bound)).where(self.compare(">", bound), self)

    def at_least(self, bound: float) -> Value:
        return Value(self.builder, self.constant(bound)).where(self.compare("<", bound), self)

    def intrinsic(self, name: str, *others: float | Value) -> Value:
        """llvm.`name`, an operation LLVM knows how to vectorise."""
        module, operands = self.builder.module, [self.at, *map(self.constant, others)]
        full = f"llvm.{name}.f{self.format.bits}"
        kind = ir.FunctionType(self.at.type, [self.at.type] * len(operands))
        known = module.globals.get(full) or ir.Function(module, kind, full)
        return Value(self.builder, self.builder.call(known, operands))

    def times_plus(self, factor: float | Value, term: float | Value) -> Value:
        """self · factor + term, rounded once where the machine has the instruction."""
        return self.intrinsic("fma", factor, term) if target().fused else self * factor + term

    def as_integer(self) -> Operand:
        return self.builder.bitcast(self.at, self.integer)

    def from_integer(self, pattern: Operand) -> Value:
        return Value(self.builder, self.builder.bitcast(pattern, self.at.type))


def _polynomial(x: Value, coefficients: Sequence[float]) -> Value:
    """Σ c_i x^i by pairs (Estrin): the chain of dependent multiply-adds grows with the degree's logarithm."""
    terms = [Value(x.builder, x.constant(c)) for c in coefficients]
    while len(terms) > 1:
        pairs = [x.times_plus(high, low) for low, high in zip(terms[::2], terms[1::2], strict=False)]
        terms = pairs + terms[2 * len(pairs) :]
        x = x * x
    return terms[0]


def _reduced(x: Value) -> tuple[Value, Value]:
    """(k, e^r − 1) with x = k log 2 + r, k whole and |r| ≤ log(2)/2."""
    form = x.format
    k = (x * (1 / LOG_2)).intrinsic("rint")
    r = k.times_plus(-form.log2_low, k.times_plus(-form.log2_high, x))
    series = _polynomial(r, [1 / factorial(i) for i in range(2, form.exp_terms + 1)])
    return k, series.times_plus(r * r, r)


def _power_of_two(k: Value) -> Value:
    """2^k for whole k in the normal range: 1.5·2^fraction + bias + k ends in the bits of k + bias; shift them up."""
    form = k.format
    shifted = (k + (1.5 * 2.0**form.fraction + form.bias)).as_integer()
    return k.from_integer(k.builder.shl(shifted, k.integer(form.fraction)))


def _exp(x: Value) -> Value:
    k, e = _reduced(x.at_least(x.format.exp_range[0]).at_most(x.format.exp_range[1]))
    half = (k * 0.5).intrinsic("rint")  # 2^k may overflow or be subnormal where its two factors are not
    first = _power_of_two(half)
    return e.times_plus(first, first) * _power_of_two(k - half)


def _expm1(x: Value) -> Value:
    form = x.format
    k, e = _reduced(x.at_least(-2 * form.saturated).at_most(form.exp_range[1]))
    half = _power_of_two(k - 1)  # 2^k itself overflows for the largest x
    result = half.times_plus(e, half - 0.5) * 2
    linear = x.intrinsic("fabs").compare(
        "<", 2.0**-form.fraction / 4
    )  # here x is the answer, also for −0 and subnormals
    return x.where(linear, result)


def _tanh(x: Value) -> Value:
    """(e^{2y} − 1) / (e^{2y} + 1) with y = |x|."""
    y = x.intrinsic("fabs").at_most(x.format.saturated)
    k, e = _reduced(y + y)
    scale = _power_of_two(k)
    grown = scale.times_plus(e, scale - 1)
    return (grown / (grown + 2)).intrinsic("copysign", x)


def _sigmoid(x: Value) -> Value:
    """1 / (1 + e^{−x}), and e^x / (1 + e^x) for negative x, so that small values keep their digits."""
    e = _exp(-x.intrinsic("fabs"))
    return e.where(x.compare("<", 0), 1) / (e + 1)


def _log_sum(u: Value, correction: Value | None) -> Value:
    """log u + correction for normal u > 0:  u = 2^k m,  m in [√½, √2),  f = m − 1,  log m = 2 artanh(f / (2 + f)).

    With s = f / (2 + f) and R = Σ_{j≥1} 2 s^{2j} / (2j+1),  log m = f − (f²/2 − s (f²/2 + R)): the leading f is exact.
    """
    form, builder = u.format, u.builder
    root = builder.bitcast(u.constant(sqrt(0.5)), u.integer)
    k_bits = builder.ashr(builder.sub(u.as_integer(), root), u.integer(form.fraction))
    m = u.from_integer(builder.sub(u.as_integer(), builder.shl(k_bits, u.integer(form.fraction))))
    shift = 1.5 * 2.0**form.fraction  # whole number to float by bits: few machines convert vectors of 64-bit integers
    k = u.from_integer(builder.add(k_bits, builder.bitcast(u.constant(shift), u.integer))) - shift

    f = m - 1
    s = f / (f + 2)
    z = s * s
    R = _polynomial(z, [2 / (2 * j + 1) for j in range(1, form.log_terms + 1)]) * z
    half_square = f * f * 0.5
    small = k * form.log2_low if correction is None else k.times_plus(form.log2_low, correction)
    return k.times_plus(form.log2_high, f - (half_square - (half_square + R).times_plus(s, small)))


def _with_log_limits(result: Value, u: Value) -> Value:
    """What log gives at 0, below it, at ∞ and at NaN."""
    limit = u.where(u.compare(">", 0), Value(u.builder, u.constant(-inf)).where(u.compare("==", 0), nan))
    ordinary = u.builder.and_(u.compare(">", 0), u.compare("<", inf))
    return result.where(ordinary, limit)


def _log(x: Value) -> Value:
    form = x.format
    tiny = x.compare("<", 2.0 ** (1 - form.bias))  # subnormal: scaled up first, the scale's logarithm taken off after
    digits = form.fraction + 2
    scaled = (x * 2.0**digits).where(tiny, x)
    zero = Value(x.builder, x.constant(0))
    result = _log_sum(scaled, None) - Value(x.builder, x.constant(digits * LOG_2)).where(tiny, zero)
    return _with_log_limits(result, x)


def _log1p(x: Value) -> Value:
    """log u + (x − (u − 1)) / u with u = 1 + x rounded: the second term restores what the rounding lost."""
    u = x + 1
    result = _with_log_limits(_log_sum(u, (x - (u - 1)) / u), u)
    return x.where(x.compare("==", 0), result)


def _softplus(x: Value) -> Value:
    """log(1 + e^x) = max(x, 0) + log(1 + e^{−|x|})."""
    return x.where(x.compare(">", 0), 0) + _log1p(_exp(-x.intrinsic("fabs")))


# -- the functions emitted source calls --------------------------------------------------------------------------------


def exp(x: Any) -> Any:
    """e^x."""
    return np.exp(x)


def expm1(x: Any) -> Any:
    """e^x − 1, with all its digits near 0."""
    return np.expm1(x)


def tanh(x: Any) -> Any:
    """(e^x − e^{−x}) / (e^x + e^{−x})."""
    return np.tanh(x)


def sigmoid(x: Any) -> Any:
    """1 / (1 + e^{−x})."""
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1)[()] / (1 + e)


def log(x: Any) -> Any:
    """The natural logarithm."""
    return np.log(x)


def log1p(x: Any) -> Any:
    """log(1 + x), with all its digits near 0."""
    return np.log1p(x)


def softplus(x: Any) -> Any:
    """log(1 + e^x)."""
    return np.logaddexp(0, x)


@dataclass(frozen=True)
class Scalar:
    """A function for emitted source: its NumPy body, its formula, where tests sample it, its largest error in ulp."""

    function: Callable[[Any], Any]
    formula: Callable[[Value], Value]
    domain: tuple[float, float]
    ulp: float


SCALARS = {
    "exp": Scalar(exp, _exp, (-750, 715), 1.5),
    "expm1": Scalar(expm1, _expm1, (-45, 715), 2),
    "tanh": Scalar(tanh, _tanh, (-25, 25), 3),
    "sigmoid": Scalar(sigmoid, _sigmoid, (-750, 750), 3),
    "log": Scalar(log, _log, (0, 1e6), 1.5),
    "log1p": Scalar(log1p, _log1p, (-1, 1e6), 2),
    "softplus": Scalar(softplus, _softplus, (-750, 750), 3),
}


def _compile(row: Scalar) -> None:
    """Teach numba that row.function is row.formula: float32 stays float32, every other number becomes float64."""

    @type_callable(row.function)
    def typer(context: Any) -> Callable[[Any], Any]:
        def typed(x: Any) -> Any:
            if isinstance(x, types.Number | types.Boolean) and not isinstance(x, types.Complex):
                kind = x if x == types.float32 else types.float64
                return signature(kind, kind)
            return None

        return typed

    @lower_builtin(row.function, types.Float)
    def lower(context: Any, builder: Builder, signature: Any, arguments: Any) -> Operand:
        return row.formula(Value(builder, arguments[0])).at


for _row in SCALARS.values():
    _compile(_row)
