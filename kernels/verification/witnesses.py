"""The witnesses: independent ways to differentiate a program that see nothing but its forward equations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Protocol

from derive.language.system import Program
from kernels.verification import autodiff, complex_step, differences, jax_witness, torch_witness
from kernels.verification.objective import Arrays, Gradients


class Differentiate(Protocol):
    """∂loss/∂key for every key, at these sizes and inputs."""

    def __call__(
        self,
        program: Program,
        loss: str,
        sizes: Mapping[str, int],
        values: Arrays,
        wrt: Sequence[str],
        functions: Mapping[str, str],
    ) -> Gradients:
        """The gradients by key."""
        ...


@dataclass(frozen=True)
class Witness:
    """One way to differentiate: the function, the package that it needs, and the relative error that it may show."""

    gradients: Differentiate
    tolerance: float
    source: str
    package: str = ""

    @property
    def is_available(self) -> bool:
        """The package that it needs is installed."""
        return not self.package or find_spec(self.package) is not None


WITNESSES: dict[str, Witness] = {
    "autograd": Witness(autodiff.gradients, 1e-10, "HIPS autograd, reverse mode", "autograd"),
    "complex step": Witness(complex_step.gradients, 1e-10, "imaginary part of the loss at a complex point"),
    "differences": Witness(differences.gradients, 1e-6, "central differences"),
    "JAX": Witness(jax_witness.gradients, 1e-10, "JAX, reverse mode in double precision", "jax"),
    "PyTorch": Witness(torch_witness.gradients, 1e-10, "PyTorch, reverse mode in double precision", "torch"),
}
