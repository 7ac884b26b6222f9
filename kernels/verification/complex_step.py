"""Witness: the complex step, Im loss(x + ih) / h, which subtracts nothing and so allows any small h.

C. Moler, Complex Step Differentiation, Cleve's Corner, 14 October 2013.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from derive.language.system import Program
from kernels.verification.objective import Arrays, Gradients, groups, objective, point

STEP = 1e-30
"""So small that h² vanishes beside any entry, and far from the smallest double."""


def gradients(
    program: Program,
    loss: str,
    sizes: Mapping[str, int],
    values: Arrays,
    wrt: Sequence[str],
    functions: Mapping[str, str],
) -> Gradients:
    """Im loss(x + ih) / h for every entry of every key of ``wrt``."""
    at = objective(program, loss, sizes, values, functions, np)
    start = point(program, sizes, values, wrt, functions)
    found: Gradients = {}
    for keys in groups(values, wrt):
        arrays = {key: start[key] for key in keys}
        for key in keys:
            gradient = np.zeros(arrays[key].shape)
            for place in np.ndindex(gradient.shape):
                moved = arrays[key].astype(complex)
                moved[place] += 1j * STEP
                gradient[place] = np.imag(at({**arrays, key: moved})) / STEP
            found[key] = gradient
    return found
