"""What can be worked through: one row a kind, with its system of the catalogue and the words for its results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Choice = tuple[str, str]
"""An option of a system and its value."""


@dataclass(frozen=True)
class Kind:
    """A system of the catalogue and how a person's settings are its options; ``value`` is what one window is worth.

    ``options`` maps a setting and its value, such as ("padding", "zero"), to an option of the system; None means that
    the system does the same without being told. A setting that is not there cannot be chosen.
    """

    system: str
    title: str
    value: str
    values: str
    options: Mapping[tuple[str, str], Choice | None] = field(default_factory=dict)
    has_kernel: bool = False
    has_dilation: bool = True
    remark: str = ""
    picks: bool = False
    """Whether a window is worth one of its numbers."""


ROUNDING: dict[tuple[str, str], Choice | None] = {
    ("round", "down"): ("rounding", "down"),
    ("round", "up"): ("rounding", "up"),
}
KINDS: dict[str, Kind] = {
    "max": Kind(
        "max-pooling",
        "Max pooling",
        "maximum",
        "maxima",
        {
            **ROUNDING,
            ("padding", "zero"): ("outside", "zero"),
            ("padding", "skipped"): ("outside", "skipped"),
            **{("ties", value): ("ties", value) for value in ("first", "split", "all")},
        },
        picks=True,
    ),
    "average": Kind(
        "average-pooling",
        "Average pooling",
        "average",
        "averages",
        {**ROUNDING, ("padding", "zero"): ("padding", "counted"), ("padding", "skipped"): ("padding", "skipped")},
        has_dilation=False,
        remark="The denominator is the number of positions of the window that count.",
    ),
    "l2": Kind(
        "l2-pooling",
        "L2 pooling",
        "length",
        "lengths",
        {**ROUNDING, ("padding", "zero"): None, ("padding", "skipped"): None},
        has_dilation=False,
    ),
    "cross-correlation": Kind(
        "cross-correlation", "Cross-correlation", "sum", "sums", has_kernel=True
    ),
    "convolution": Kind("convolution", "Convolution", "sum", "sums", has_kernel=True),
}  # fmt: skip
POOLING = tuple(name for name, kind in KINDS.items() if not kind.has_kernel)
TIES = ("first", "split", "all")
PADDINGS = ("zero", "skipped")
ROUNDINGS = ("down", "up")
