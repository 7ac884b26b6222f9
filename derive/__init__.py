"""Unrolled: a text file of equations in; its gradients, derived step by step, out.

    system = derive.load("elman")      # or a path; derive.parse(text) for a text
    d = derive.gradient(system)        # d["U"].latex(), d.steps, d.chain("h", "T", "k")

Names are imported when they are first used, so ``import derive`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from derive.catalogue import load, names
    from derive.derivation import Derivation, DerivationError, gradient
    from derive.evidence import Evidence
    from derive.hessians import Hessian, hessian
    from derive.language.errors import DefinitionError
    from derive.language.parser import parse
    from derive.language.printer import source
    from derive.language.system import System
    from derive.questions import Answer, gradient_of

__version__ = "0.1.0"

_HOMES = {
    "Answer": "derive.questions",
    "DefinitionError": "derive.language.errors",
    "Derivation": "derive.derivation",
    "DerivationError": "derive.derivation",
    "Evidence": "derive.evidence",
    "Hessian": "derive.hessians",
    "System": "derive.language.system",
    "gradient": "derive.derivation",
    "gradient_of": "derive.questions",
    "hessian": "derive.hessians",
    "load": "derive.catalogue",
    "names": "derive.catalogue",
    "parse": "derive.language.parser",
    "source": "derive.language.printer",
}

__all__ = [
    "Answer",
    "DefinitionError",
    "Derivation",
    "DerivationError",
    "Evidence",
    "Hessian",
    "System",
    "__version__",
    "gradient",
    "gradient_of",
    "hessian",
    "load",
    "names",
    "parse",
    "source",
]


def __getattr__(name: str) -> Any:
    """The public name, imported from its home."""
    if name not in _HOMES:
        raise AttributeError(f"module 'derive' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
