"""The fixed words of a handout, the same in every format."""

from __future__ import annotations

from .blocks import Document, Edition, Heading
from .numbering import Number

ANSWERS = "Answers to the exercises"
DETAILS = "Details"
EDITIONS: dict[Edition, str] = {"student": "", "teacher": "Teacher edition"}
RUNNING_LENGTH = 64


def footer(document: Document) -> str:
    """Where the handout comes from, and the seed that makes it again."""
    parts = [document.source] if document.source else []
    if document.seed is not None:
        parts.append(f"seed {document.seed}")
    return ", ".join(parts)


def subtitle_parts(document: Document) -> list[str]:
    """What stands below the title."""
    return [part for part in (document.subtitle, document.course, EDITIONS[document.edition]) if part]


def running_title(document: Document) -> str:
    """The title for the head of a page, cut after a word if it is long."""
    if len(document.title) <= RUNNING_LENGTH:
        return document.title
    return document.title[:RUNNING_LENGTH].rsplit(" ", 1)[0] + " …"


def heading_text(number: Number, heading: Heading) -> str:
    """``2  Backward``."""
    return f"{number.value}\u2002{heading.text}"


def points_text(points: int) -> str:
    """``1 point``, ``3 points``."""
    return f"{points} point" if points == 1 else f"{points} points"


def left_out(things: str, count: int, shown: int) -> str:
    """What is said where a sequence is too long to be drawn whole; empty where it is not."""
    return f"The first {shown} of {count:,} {things} are drawn." if count > shown else ""
