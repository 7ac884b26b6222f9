"""The worked example as a Python program that a reader can run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from derive.catalogue import load, names
from derive.derivation import Derivation
from derive.language.printer import source
from derive.language.system import System
from derive.lesson.example import Example


def program_text(derivation: Derivation, example: Example) -> str:
    """Parse the definition, derive, compile, and print the loss and the gradients with three decimals."""
    learnt = {d.name for d in derivation.forward.declarations if d.role == "learn"}
    parameters = {key: value for key, value in example.values.items() if key in learnt}
    inputs = {key: value for key, value in example.values.items() if key not in learnt}
    given = [d.name for d in derivation.forward.declarations if d.role == "given"]
    return "\n".join(
        (
            "import numpy as np",
            "",
            "import derive",
            "import kernels",
            "",
            *_definition(derivation.system),
            "derivation = derive.gradient(system)",
            "kernel = kernels.compile(derivation)",
            *_dictionary("parameters", parameters),
            *_dictionary("inputs", inputs, _sizes(derivation, example)),
            *_call([key for key in inputs if not learnt and key in given]),
            'print("loss", round(float(loss), 3))',
            "for name, gradient in gradients.items():",
            '    print(name, np.round(gradient, 3), sep="\\n")',
        )
    )


def _call(wrt: Sequence[str]) -> list[str]:
    """The loss and the gradients: of what is learnt, else ``wrt`` something."""
    if not wrt:
        return ["loss, gradients = kernel(parameters, inputs)"]
    keys = ", ".join(f'"{key}"' for key in wrt)
    return ["loss = kernel.loss(parameters, inputs)", f"gradients = kernel.gradients(parameters, inputs, [{keys}])"]


def _definition(system: System) -> list[str]:
    """How the program comes by the system: by its name where the catalogue has it with these choices, else its text."""
    choices = {
        option.name: int(option.value) if option.value.isdecimal() else option.value for option in system.options
    }
    if system.options and system.name in names() and load(system.name, **choices) == system:
        chosen = "".join(f", {name}={value!r}" for name, value in choices.items() if name.isidentifier())
        if all(name.isidentifier() for name in choices):
            return [f'system = derive.load("{system.name}"{chosen})']
    return ["system = derive.parse(", '    """', *source(system).rstrip().splitlines(), '"""', ")"]


def _sizes(derivation: Derivation, example: Example) -> dict[str, object]:
    """The sizes that are no axis of an array, and those with a default that the example does not take."""
    program, default = derivation.forward, dict(derivation.system.defaults)
    given = [item for item in program.declarations if item.role != "defined"]
    axes = {
        axis for item in given for axis in (*item.shape, *(span.upper - span.lower + 1 for span in item.superscripts))
    }
    told = {size.name for size in program.independent if size in axes} | {
        name for name, value in default.items() if example.sizes.get(name, value) == value
    }
    return {size.name: example.sizes[size.name] for size in program.independent if size.name not in told}


def _dictionary(name: str, values: dict[str, object], sizes: Mapping[str, object] = MappingProxyType({})) -> list[str]:
    lines = [f'    "{key}": np.array({np.asarray(value).tolist()}),' for key, value in values.items()]
    lines += ["    " + " ".join(f'"{key}": {value},' for key, value in sizes.items())] if sizes else []
    return [f"{name} = {{", *lines, "}"]
