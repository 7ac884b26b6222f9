"""Witness: the complex step, Im loss(x + ih) / h, which subtracts nothing and so allows any small h.

Every entry is moved by itself; many copies of the arrays, each with another entry moved, are run together.

C. Moler, Complex Step Differentiation, Cleve's Corner, 14 October 2013.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from kernels.verification import copies
from kernels.verification.objective import Array, Arrays

STEP = 1e-30
"""So small that h² vanishes beside any entry, and far from the smallest double."""


def _slopes(at: Callable[[Arrays], Array], arrays: Arrays, places: Sequence[copies.Place]) -> Array:
    moved = at(copies.moved(arrays, places, [1j * STEP] * len(places)))
    return np.imag(copies.each(moved, len(places))) / STEP


gradients = partial(copies.gradients, slopes=_slopes)
"""Im loss(x + ih) / h for every entry of every key of ``wrt``."""
