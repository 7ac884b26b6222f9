"""From equations to a plan: which arrays there are, in which order they are made, and by which loops and products."""

from kernels.schedule.functions import bound
from kernels.schedule.passes import PASSES, Work, planned

__all__ = ["PASSES", "Work", "bound", "planned"]
