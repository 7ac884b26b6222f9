"""Fast loss and gradient functions from derivations.

    k = kernels.compile(derive.gradient(derive.load("elman")))
    loss, gradients = k({"W": W, "U": U, "v": v}, {"x": x, "y": y})

Nothing is imported until it is asked for: numba takes half a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kernels.errors import (
        CannotCompile,
        EmptyAxis,
        MissingArray,
        UnboundFunction,
        UnknownArray,
        WrongShape,
        WrongType,
    )
    from kernels.kernel import Kernel, compile
    from kernels.verification import verify

WHERE = {
    "Kernel": "kernels.kernel",
    "compile": "kernels.kernel",
    "verify": "kernels.verification",
    **dict.fromkeys(
        (
            "CannotCompile",
            "EmptyAxis",
            "MissingArray",
            "UnboundFunction",
            "UnknownArray",
            "WrongShape",
            "WrongType",
        ),
        "kernels.errors",
    ),
}
"""The public names and the modules that hold them."""

__all__ = [
    "CannotCompile",
    "EmptyAxis",
    "Kernel",
    "MissingArray",
    "UnboundFunction",
    "UnknownArray",
    "WrongShape",
    "WrongType",
    "compile",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(WHERE[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
