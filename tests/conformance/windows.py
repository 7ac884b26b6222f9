"""Sliding windows as PyTorch computes them, and the grid of strides, dilations, windows and paddings to compare on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import Any

FACTORS = (1, 2, 3)
"""Strides, dilations and extents of the window that are tried, each with each."""


@dataclass(frozen=True)
class Axis:
    """One axis: a window of ``window`` entries, ``dilation`` apart, moves by ``stride`` over a padded input."""

    extent: int
    window: int
    stride: int
    dilation: int
    before: int
    after: int

    @property
    def reach(self) -> int:
        """From the first to the last entry of a window."""
        return self.dilation * (self.window - 1)

    @property
    def symmetric(self) -> bool:
        """Padded alike on both sides, by at most half a window, as PyTorch's pooling wants it."""
        return self.before == self.after <= self.window // 2

    def places(self, rounding: str = "down") -> int:
        """How many windows there are.

        Rounded up, a last window may leave the padded input, unless it begins behind the input:
        https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxPool2d.html
        """
        spare = self.extent + self.before + self.after - self.reach - 1
        more = rounding == "up" and spare % self.stride > 0
        count = spare // self.stride + 1 + more
        return count - (more and (count - 1) * self.stride >= self.extent + self.before)

    def beyond(self, rounding: str) -> int:
        """How far the last window reaches past the padded input; negative where it does not reach its end."""
        last = (self.places(rounding) - 1) * self.stride + self.reach + 1
        return last - (self.extent + self.before + self.after)


@dataclass(frozen=True)
class Case:
    """The axes of one comparison, and how its channels are grouped."""

    axes: tuple[Axis, ...]
    groups: int = 1
    channels: int = 2
    kernels: int = 2
    extra: tuple[int, ...] = ()

    def each(self, name: str) -> list[int]:
        """One property of every axis."""
        return [getattr(axis, name) for axis in self.axes]

    def places(self, rounding: str = "down") -> list[int]:
        """The shape of the output."""
        return [axis.places(rounding) for axis in self.axes]


def axes(dilations: Sequence[int] = FACTORS) -> list[Axis]:
    """Every stride, dilation and window with paddings from 0 to more than the window, alike or not, on both sides.

    The extents go from the smallest that holds one window, 1 where the padding alone would do, through all remainders.
    """
    found: list[Axis] = []
    for window, stride, dilation in product(FACTORS, FACTORS, dilations):
        for before, after in product(range(window + 2), repeat=2):
            smallest = max(1, dilation * (window - 1) + 1 - before - after)
            found.append(Axis(smallest + len(found) % (stride + 2), window, stride, dilation, before, after))
    return found


def axes_of_itself() -> list[Axis]:
    """Axes whose window is as long as the input, padded so that there is at least one place."""
    found: list[Axis] = []
    for extent, stride, dilation, before, after in product((1, 2, 3, 4), FACTORS, FACTORS, range(5), range(4)):
        axis = Axis(extent, extent, stride, dilation, before, after)
        if before <= extent and axis.reach < extent + before + after:
            found.append(axis)
    return found


def cases(dimension: int, grid: Sequence[Axis], groups: Sequence[int] = (1,)) -> list[Case]:
    """Every axis of the grid, in one dimension with every number of groups; further axes are other ones of the grid."""
    found: list[Case] = []
    for place, several in product(range(len(grid)), groups if dimension == 1 else (0,)):
        chosen = tuple(grid[(place * step + 11 * step) % len(grid)] for step in (1, 7, 13)[:dimension])
        extra = tuple((place // (axis + 1)) % 3 for axis in range(dimension))
        widths = 1 + place % 2, 1 + place // 2 % 2
        found.append(Case(chosen, several or groups[place // 4 % len(groups)], *widths, extra))
    return found


def sample(every: Sequence[Case], count: int) -> Iterator[Case]:
    """About ``count`` of them, spread out."""
    return islice(every, 0, None, max(1, len(every) // count))


# What PyTorch does ----------------------------------------------------------------------------------------------------

Arrays = Mapping[str, Any]
"""Tensors by key: one axis for the channels, then the axes of the case."""


def function(torch: Any, name: str, case: Case) -> Any:
    """``conv`` is conv1d, conv2d or conv3d."""
    return getattr(torch.nn.functional, f"{name}{len(case.axes)}d")


def extended(torch: Any, x: Any, ends: Sequence[tuple[int, int]], value: float = 0.0) -> Any:
    """``x`` with so many more entries of this value before and after, fewer where negative; one pair an axis."""
    return torch.nn.functional.pad(x, [amount for pair in reversed(ends) for amount in pair], value=value)


def padded(torch: Any, x: Any, case: Case, value: float = 0.0) -> Any:
    """``x`` with its padding."""
    return extended(torch, x, [(axis.before, axis.after) for axis in case.axes], value)


def completed(torch: Any, x: Any, case: Case, rounding: str, value: float = 0.0) -> Any:
    """A padded input with what the last window needs beyond it."""
    return extended(torch, x, [(0, max(0, axis.beyond(rounding))) for axis in case.axes], value)


def windows(torch: Any, x: Any, case: Case) -> Any:
    """Every window of a padded and completed input, its entries in reading order along a last axis."""
    for place, axis in enumerate(case.axes):
        steps = torch.arange((x.shape[1 + place] - axis.reach - 1) // axis.stride + 1) * axis.stride
        at = steps[:, None] + torch.arange(axis.window) * axis.dilation
        x = x.index_select(1 + place, at.reshape(-1)).unflatten(1 + place, tuple(at.shape)).movedim(2 + place, -1)
    return x.flatten(1 + len(case.axes))


def convolved(torch: Any, x: Any, w: Any, b: Any, case: Case) -> Any:
    """The cross-correlation of the padded input with the kernel."""
    settings = {"stride": case.each("stride"), "dilation": case.each("dilation"), "groups": case.groups}
    return function(torch, "conv", case)(padded(torch, x, case)[None], w, b, **settings)[0]


def correlation(torch: Any, arrays: Arrays, case: Case) -> Any:
    """Cross-correlation."""
    return convolved(torch, arrays["x"], arrays["w"], arrays["b"], case)


def flipped(torch: Any, arrays: Arrays, case: Case) -> Any:
    """Cross-correlation with the kernel turned round along every axis."""
    w = torch.flip(arrays["w"], dims=list(range(2, 2 + len(case.axes))))
    return convolved(torch, arrays["x"], w, arrays["b"], case)


def with_itself(torch: Any, arrays: Arrays, case: Case) -> Any:
    """The input is its own kernel."""
    return convolved(torch, arrays["x"], arrays["x"][None], None, case)[0]


def transposed(torch: Any, arrays: Arrays, case: Case) -> Any:
    """``conv_transpose``, with PyTorch's own paddings where it has them, else of everything and cut off afterwards."""
    convolve = function(torch, "conv_transpose", case)
    settings = {"stride": case.each("stride"), "dilation": case.each("dilation"), "groups": case.groups}
    ends = list(zip(case.axes, case.extra, strict=True))
    if all(axis.before == axis.after and extra < max(axis.stride, axis.dilation) for axis, extra in ends):
        own = {"padding": case.each("before"), "output_padding": list(case.extra)}
        return convolve(arrays["x"][None], arrays["w"], arrays["b"], **settings, **own)[0]
    whole = convolve(arrays["x"][None], arrays["w"], **settings)[0]
    whole = extended(torch, whole, [(0, extra) for _, extra in ends])  # first: there may be less than is cut off
    cut = extended(torch, whole, [(-axis.before, -axis.after) for axis, _ in ends])
    return cut + arrays["b"].reshape(-1, *[1] * len(case.axes))


def transposed_places(case: Case) -> list[int]:
    """The shape of the output of a transposed convolution."""
    return [
        axis.stride * (axis.extent - 1) + axis.reach + 1 - axis.before - axis.after + extra
        for axis, extra in zip(case.axes, case.extra, strict=True)
    ]


def maximum(torch: Any, arrays: Arrays, case: Case, ties: str, outside: str, rounding: str) -> Any:
    """The maximum of each window, 0 where it is empty; what a last window meets beyond the padding never counts."""
    value = 0.0 if outside == "zero" else -torch.inf
    x = completed(torch, padded(torch, arrays["x"], case, value), case, rounding, -torch.inf)
    if ties == "first":
        largest = function(torch, "max_pool", case)(
            x[None], case.each("window"), case.each("stride"), dilation=case.each("dilation")
        )[0]
    else:
        entries = windows(torch, x, case)
        largest = entries.amax(-1)  # its gradient is shared among equal maxima
        if ties == "all":
            winners = (entries == largest[..., None]) & torch.isfinite(entries)
            finite = torch.where(winners, entries, torch.zeros_like(entries))
            largest = largest.detach() + (finite - finite.detach()).sum(-1)
    return torch.where(torch.isfinite(largest), largest, torch.zeros_like(largest))


def average(torch: Any, arrays: Arrays, case: Case, padding: str, rounding: str) -> Any:
    """The sum of each window over how many positions of it are counted, 0 where none is."""
    x = padded(torch, arrays["x"], case)
    inside = padded(torch, torch.ones_like(arrays["x"]), case, float(padding == "counted"))
    total, count = (windows(torch, completed(torch, array, case, rounding), case).sum(-1) for array in (x, inside))
    return total / count.clamp(min=1)


def length(torch: Any, arrays: Arrays, case: Case, rounding: str) -> Any:
    """``lp_pool`` with p = 2, whose gradient at 0 is 0."""
    x = completed(torch, padded(torch, arrays["x"], case), case, rounding)
    window = case.each("window")
    return function(torch, "lp_pool", case)(x[None], 2.0, window if window[1:] else window[0], case.each("stride"))[0]


def own_pooling(torch: Any, name: str, x: Any, case: Case, rounding: str, **settings: Any) -> Any:
    """PyTorch's pooling with PyTorch's padding, for cases that it takes."""
    up = rounding == "up"
    pool = function(torch, name, case)
    return pool(x[None], case.each("window"), case.each("stride"), case.each("before"), ceil_mode=up, **settings)[0]
