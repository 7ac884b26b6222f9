"""From a derivation to a handout: what is said, in which order, with which numbers. Formats are the writers' work."""

from derive.lesson.compose import handout
from derive.lesson.example import worked_example

__all__ = ["handout", "worked_example"]
