"""Editions: the student edition holds no answer, the teacher edition has them as a key at its end."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .blocks import AnswerKey, Block, Document, DocumentError, Edition, Exercises, Proof, Step, Teacher, children
from .linebreak import fit
from .numbering import Numbers, numbered, walk


def edition(document: Document, name: Edition) -> Document:
    """The document as the reader of that edition may see it; ``edition(edition(d, e), e)`` equals ``edition(d, e)``."""
    if name not in ("student", "teacher"):
        raise ValueError(f"the editions are 'student' and 'teacher', got {name!r}")
    blocks = _filter(document.blocks, name)
    if name == "teacher":
        found = [exercise for block in _exercises(document.blocks) for exercise in block.exercises]
        answers = tuple((i + 1, _filter(one.answer, name)) for i, one in enumerate(found) if one.answer)
        blocks = (*blocks, AnswerKey(answers)) if answers else blocks
    return replace(document, blocks=blocks, edition=name)


def _exercises(blocks: tuple[Block, ...]) -> list[Exercises]:
    """The exercises in reading order; they stand in the main text, where they can be numbered."""
    for block in blocks:
        inner = () if isinstance(block, Exercises) else children(block)
        if any(isinstance(one, Exercises) for one in walk(inner)):
            raise DocumentError("exercises stand in the main text, not inside a step, a proof or a teacher's block")
    return [block for block in blocks if isinstance(block, Exercises)]


def _filter(blocks: tuple[Block, ...], name: Edition) -> tuple[Block, ...]:
    kept: list[Block] = []
    for block in blocks:
        match block:
            case Teacher() | AnswerKey() if name == "student":
                continue
            case Teacher(inside):
                kept.append(Teacher(_filter(inside, name)))
            case Proof(inside):
                kept.append(Proof(_filter(inside, name)))
            case Step(details=inside):
                kept.append(replace(block, details=_filter(inside, name)))
            case Exercises(exercises):
                asked = tuple(replace(one, question=_filter(one.question, name), answer=()) for one in exercises)
                kept.append(Exercises(asked))
            case _:
                kept.append(block)
    return tuple(kept)


def _without_details(blocks: tuple[Block, ...]) -> tuple[Block, ...]:
    kept: list[Block] = []
    for block in blocks:
        match block:
            case Step():
                kept.append(replace(block, details=()))
            case Proof(inside):
                kept.append(Proof(_without_details(inside)))
            case _:
                kept.append(block)
    return tuple(kept)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document in its edition, with its displays fitted and its numbers resolved: what a writer receives."""

    document: Document
    numbers: Numbers


def prepared(document: Document, paper: bool) -> Prepared:
    """The document ready to be written; on paper the student edition has no details."""
    document = edition(document, document.edition)
    if paper and document.edition == "student":
        document = replace(document, blocks=_without_details(document.blocks))
    document = fit(document)
    return Prepared(document, numbered(document))
