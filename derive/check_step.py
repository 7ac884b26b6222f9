"""Checking one displayed step: both of its sides evaluated at random small sizes, positions and inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

import numpy as np
import sympy as sp

from derive.evaluate import EvaluationError, Scope, bindings, draw, draw_sizes, integer, run, scope_of, shapes_in, value
from derive.evidence import Evidence
from derive.language.expression import (
    Access,
    Condition,
    Divides,
    Equation,
)
