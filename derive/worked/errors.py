"""What cannot be worked through."""

from __future__ import annotations


class WorkedError(ValueError):
    """A table or a setting that cannot be worked with; the message says why and what to do."""
