"""Witness: reverse-mode automatic differentiation of the forward equations by PyTorch, in double precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from operator import attrgetter
from types import SimpleNamespace
from typing import Any

from derive.language.system import Program
from kernels.verification.objective import Arrays, Gradients, groups, objective, point

_OF_ONE_ARRAY = ("tanh", "exp", "log", "log1p", "sqrt", "sin", "cos", "max", "trace")
"""Functions that PyTorch has under NumPy's names, with an array as their only argument."""


def array_module() -> SimpleNamespace:
    """PyTorch under NumPy's names, as far as the evaluator needs them: everything a tensor of double precision."""
    torch: Any = import_module("torch")

    def tensor(array: Any) -> Any:
        return torch.as_tensor(array, dtype=torch.float64)

    def of_one_array(name: str) -> Any:
        return lambda array: attrgetter(name)(torch)(tensor(array))

    return SimpleNamespace(
        **{name: of_one_array(name) for name in _OF_ONE_ARRAY},
        sum=lambda array, axis=None: torch.sum(tensor(array), dim=axis),
        argmax=torch.argmax,
        asarray=tensor,
        real=tensor,
        constant=lambda array: tensor(array).detach(),
        matmul=torch.matmul,
        reshape=lambda array, shape: torch.reshape(tensor(array), shape if isinstance(shape, tuple) else (shape,)),
        transpose=lambda array: array.permute(*reversed(range(array.ndim))),
        stack=lambda arrays: torch.stack([tensor(array) for array in arrays]),
        concatenate=lambda arrays, axis: torch.cat(tuple(arrays), dim=axis),
        where=lambda condition, yes, no: torch.where(condition, tensor(yes), tensor(no)),
        zeros=lambda shape: torch.zeros(shape, dtype=torch.float64),
        ones=lambda shape: torch.ones(shape, dtype=torch.float64),
        linalg=SimpleNamespace(
            **{name: of_one_array(f"linalg.{name}") for name in ("inv", "det", "slogdet")},
            solve=lambda matrix, right: torch.linalg.solve(tensor(matrix), tensor(right)),
        ),
        eye=lambda extent: torch.eye(extent, dtype=torch.float64),
    )


def gradients(
    program: Program,
    loss: str,
    sizes: Mapping[str, int],
    values: Arrays,
    wrt: Sequence[str],
    functions: Mapping[str, str],
) -> Gradients:
    """∂loss/∂key for every key of ``wrt``."""
    torch: Any = import_module("torch")
    numbers = array_module()
    constants = {key: numbers.asarray(array) for key, array in values.items()}
    at = objective(program, loss, sizes, constants, functions, numbers)
    start = point(program, sizes, values, wrt, functions)
    found: Gradients = {}
    for keys in groups(values, wrt):
        arrays = {key: numbers.asarray(start[key]).clone().requires_grad_() for key in keys}
        result = numbers.asarray(at(arrays)) + 0.0 * sum(array.sum() for array in arrays.values())
        parts = torch.autograd.grad(result, list(arrays.values()))
        found |= {key: part.numpy() for key, part in zip(arrays, parts, strict=True)}
    return found
