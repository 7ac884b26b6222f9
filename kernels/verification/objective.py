"""The loss of a program as a function of some of its inputs: all that a witness may see of a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from derive.evaluate import access_of, gather, run
from derive.language.system import Program

Array = Any
Arrays = Mapping[str, Array]
Gradients = dict[str, Array]
"""The gradient of the loss in each array, by the array's key, with the array's shape."""


def objective(
    program: Program, loss: str, sizes: Mapping[str, int], values: Arrays, functions: Mapping[str, str], numbers: Any
) -> Callable[[Arrays], Array]:
    """The loss where the given arrays replace or join ``values``, computed with the array module ``numbers``."""

    def at(arrays: Arrays) -> Array:
        return run(program, sizes, {**values, **arrays}, functions=functions, numbers=numbers)[loss, ()]

    return at


def point(
    program: Program, sizes: Mapping[str, int], values: Arrays, wrt: Sequence[str], functions: Mapping[str, str]
) -> dict[str, np.ndarray]:
    """The arrays ``wrt``: what the caller gave, or the default value of a start."""
    defaults = [key for key in wrt if key not in values]
    results = run(program, sizes, values, functions=functions) if defaults else {}
    found = {key: gather(program, results, access_of(program, key), sizes) for key in defaults}
    return {key: np.asarray(values[key] if key in values else found[key], dtype=float) for key in wrt}


def groups(values: Arrays, wrt: Sequence[str]) -> list[list[str]]:
    """Keys to be differentiated together: a start left at a default that other inputs enter must not cut those off."""
    given, defaults = [key for key in wrt if key in values], [key for key in wrt if key not in values]
    return [group for group in (given, defaults) if group]
