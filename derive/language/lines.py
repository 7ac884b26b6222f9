"""A text cut into statements: limits first, then comments, continued lines and the keyword that opens each."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass

from derive.language.errors import BadSyntax, DefinitionError, EmptyFile, NotText, TooLarge
from derive.language.expression import Span
from derive.language.spelling import Spelt, original, respell

MAX_BYTES = 200_000
MAX_TOKENS = 8_000
MAX_NESTING = 80

FREE_TEXT = ("title", "source")
"""Sections whose text is taken as it is."""

KEYWORDS = (*FREE_TEXT, "option", "sizes", "index", "given", "learn", "start", "for", "end", "where", "convention")

_OPEN, _CLOSE = "([{", ")]}"
_UNFINISHED = re.compile(r"(?:[,=+\-*/@·⊙∘⊗]|\\(?:odot|circ|cdot)|\bof|\bin)\s*$")
_CONTINUES = re.compile(r"\s*(?:[+\-*/@·⊙∘⊗]|\.\*|when\s)")
_EQUATION = re.compile(r"\s*[^\W\d]\w*(?:\^(?:\{[^}]*\}|\w+)|\[[^\]]*\])*\s*=(?!.*\bof\b)")
_TOKEN = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True)
class Source:
    """A text and where its lines begin."""

    text: str
    line_starts: tuple[int, ...]

    def span(self, start: int, end: int) -> Span:
        """The place of ``text[start:end]``, cut at the end of its first line."""
        row = bisect_right(self.line_starts, min(start, max(len(self.text) - 1, 0))) - 1
        begin = self.line_starts[row]
        limit = self.line_starts[row + 1] - 1 if row + 1 < len(self.line_starts) else len(self.text)
        return Span(row + 1, start - begin + 1, max(min(end, limit), start + 1) - begin + 1)

    def line(self, number: int) -> str:
        """The text of the line with that number, counted from 1."""
        begin = self.line_starts[number - 1]
        end = self.line_starts[number] - 1 if number < len(self.line_starts) else len(self.text)
        return self.text[begin:end]


@dataclass(frozen=True)
class Statement:
    """One statement: its keyword ('' for an equation) and what follows it, in the one spelling."""

    keyword: str
    rest: Spelt
    span: Span


def source_of(text: str | bytes) -> Source:
    """``text`` once it is known to be text of a reasonable size."""
    if len(text) > MAX_BYTES:
        raise TooLarge(
            f"The text has {len(text):,} characters; at most {MAX_BYTES:,} are read.",
            repair="Give the equations only, one system a file.",
        )
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            row = text[: error.start].count(b"\n") + 1
            raise NotText(f"Line {row} is not UTF-8 text.", repair="Save the file as plain text in UTF-8.") from None
    if control := re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]", text):
        row = text[: control.start()].count("\n") + 1
        raise NotText(
            f"Line {row} holds the control character {ord(control.group()):#x}; this is no text file.",
            repair="Save the file as plain text in UTF-8.",
        )
    # Line ends count as one letter, so that columns and offsets are those an editor shows.
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    source = Source(text, (0, *(position + 1 for position, letter in enumerate(text) if letter == "\n")))
    if not re.sub(r"#[^\n]*", "", text).strip():
        raise EmptyFile("There is nothing here to read.", repair="Start with a title line and the equations.")
    return source


def measure(source: Source) -> None:
    """Refuse too many tokens and too deep nesting before anything is built."""
    depth = 0
    for count, token in enumerate(_TOKEN.finditer(source.text), start=1):
        if count > MAX_TOKENS:
            raise TooLarge(
                f"The text has more than {MAX_TOKENS:,} words and signs.",
                source.span(token.start(), token.end()),
                "Split it into smaller systems.",
            )
        if token.group() in _OPEN:
            depth += 1
            if depth > MAX_NESTING:
                raise TooLarge(
                    f"Brackets are nested more than {MAX_NESTING} deep.",
                    source.span(token.start(), token.end()),
                    "Give the inner parts names of their own.",
                )
        elif token.group() in _CLOSE:
            depth = max(0, depth - 1)


def statements(source: Source) -> list[Statement]:
    """The statements of ``source``, in order.

    A statement ends with its line, unless a bracket is open, the line ends in a comma or an operator, or the next one
    begins with an operator.
    """
    found: list[Statement] = []
    lines = [(begin, source.line(row + 1)) for row, begin in enumerate(source.line_starts)]
    position = 0
    while position < len(lines):
        begin, line = lines[position]
        position += 1
        body = _without_comment(line)
        if not body.strip():
            continue
        word = re.match(r"\s*([A-Za-z]+)(?=[\s:]|$)", body)
        keyword = word.group(1) if word and word.group(1) in KEYWORDS else ""
        if keyword in FREE_TEXT:
            body = line
        text = original(body, begin)
        while keyword not in FREE_TEXT and position < len(lines) and _goes_on(text.text, lines[position][1]):
            text = _joined(text, original(_without_comment(lines[position][1]), lines[position][0]))
            position += 1
        first = len(text.text) - len(text.text.lstrip())
        span = source.span(*text.offsets(first, max(first + 1, len(body.rstrip()))))
        rest = text.slice(word.end() if word and keyword else first)
        rest = rest if keyword in FREE_TEXT else respell(rest)
        if keyword or rest.text.strip():
            found.append(Statement(keyword, rest, span))
    return found


def _without_comment(line: str) -> str:
    return line.split("#", 1)[0]


def _joined(first: Spelt, second: Spelt) -> Spelt:
    return Spelt(
        first.text + " " + second.text,
        (*first.starts, first.ends[-1], *second.starts),
        (*first.ends, first.ends[-1] + 1, *second.ends),
    )


def _goes_on(text: str, following: str) -> bool:
    if _UNFINISHED.search(text):
        return True
    following = _without_comment(following)
    if not following.strip():
        return False
    if _EQUATION.match(following) or following.split()[0] in KEYWORDS:
        return False
    is_open = sum(text.count(letter) for letter in _OPEN) > sum(text.count(letter) for letter in _CLOSE)
    return is_open or _CONTINUES.match(following) is not None


def at(source: Source, rest: Spelt, start: int, end: int) -> Span:
    """The place in ``source`` of ``rest.text[start:end]``."""
    return source.span(*rest.offsets(start, end))


def refuse(source: Source | None, error: DefinitionError, name: str) -> DefinitionError:
    """``error`` with the file's name and the line at fault, ready to be shown."""
    error.file = name
    if source is not None and error.line and not error.source_line:
        error.source_line = source.line(error.line)
    return error


def expect_text(rest: Spelt, span: Span, keyword: str, example: str) -> str:
    """The words after ``keyword``, which must not be missing."""
    if not rest.text.strip():
        raise BadSyntax(f"Nothing follows '{keyword}'.", span, f"Write for example: {example}")
    return rest.text.strip()
