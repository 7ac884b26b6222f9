"""The worked example as a Python program that a reader can run."""

from __future__ import annotations

import numpy as np

from derive.derivation import Derivation
from derive.language.printer import source
from derive.lesson.example import Example


def program_text(derivation: Derivation, example: Example) -> str:
    """Parse the definition, derive, compile, and print the loss and the gradients with three decimals."""
    learnt = {d.name for d in derivation.forward.declarations if d.role == "learn"}
    parameters = {key: value for key, value in example.values.items() if key in learnt}
    inputs = {key: value for key, value in example.values.items() if key not in learnt}
    return "\n".join(
        (
            "import numpy as np",
            "",
            "import derive",
            "import kernels",
            "",
            "system = derive.parse(",
            '    """',
            *source(derivation.system).rstrip().splitlines(),
            '"""',
            ")",
            "derivation = derive.gradient(system)",
            "kernel = kernels.compile(derivation)",
            *_dictionary("parameters", parameters),
            *_dictionary("inputs", inputs),
            "loss, gradients = kernel(parameters, inputs)",
            'print("loss", round(float(loss), 3))',
            "for name, gradient in gradients.items():",
            '    print(name, np.round(gradient, 3), sep="\\n")',
        )
    )


def _dictionary(name: str, values: dict[str, object]) -> list[str]:
    lines = [f'    "{key}": np.array({np.asarray(value).tolist()}),' for key, value in values.items()]
    return [f"{name} = {{", *lines, "}"]
