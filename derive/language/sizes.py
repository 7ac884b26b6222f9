"""Sizes and indices as sections declare them: letters, fixed numbers, defaults, and sizes made of others."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import cast

import sympy as sp

from derive.language.bounds import least
from derive.language.components import MAX_COMPONENTS, Families, text_component, with_products
from derive.language.context import Context
from derive.language.errors import BadSyntax, RangeError, RedefinedName, TooLarge, UnknownName, did_you_mean
from derive.language.expression import Integer, Span, index, size
from derive.language.lines import Source, Statement, at, expect_text
from derive.language.options import MAX_SIZE, Chosen
from derive.language.printer import count_source, integer_source
from derive.language.reading import place, read_tree
from derive.language.shapes import Arrays
from derive.language.spelling import Spelt
from derive.language.system import Count
from derive.language.whole import whole

_ENTRY = re.compile(
    r"\s*(?P<name>[A-Za-z]\w*)\s*(?:\^\s*(?P<open>[{(]?)\s*(?P<components>\w+)\s*[})]?(?![\w^]))?"
    r"(?:\s*=(?P<formula>.*?)(?:\s*\"(?P<quoted>[^\"]*)\")?|(?![\w^=])(?P<words>[^=]*))\s*",
    re.DOTALL,
)
_TAIL = re.compile(r"(?:^|\s+)(from|default)\s+(-?\d+)\s*$")
_COUNT = re.compile(r"\s*number\s+of\s+([A-Za-z]\w*)\s+with\b")
_RELATION = re.compile(r"<=|>=|<|>")
_WORD = re.compile(r"[A-Za-z]\w*")


@dataclass
class Sizes:
    """Every size by its name: a letter, or a number where it is fixed; and all that is said about them."""

    values: dict[str, Integer] = field(default_factory=dict)
    words: list[tuple[str, str]] = field(default_factory=list)
    defaults: list[tuple[str, int]] = field(default_factory=list)
    derived: list[tuple[sp.Symbol, Integer]] = field(default_factory=list)
    counts: list[Count] = field(default_factory=list)
    ranges: list[tuple[str, tuple[Integer, Integer]]] = field(default_factory=list)
    families: Families = field(default_factory=Families)

    @property
    def counted(self) -> dict[str, tuple[Integer, Integer]]:
        """The range of each index that just one size counts."""
        letters = [letter for letter, _ in self.ranges]
        return {letter: ends for letter, ends in self.ranges if letters.count(letter) == 1}


@dataclass(frozen=True)
class _Entry:
    """One entry of a section, as written."""

    name: str
    components: str
    words: str
    smallest: int
    default: int | None
    formula: Spelt | None
    span: Span


def read_sizes(source: Source, found: list[Statement], chosen: Chosen) -> Sizes:
    """What the sections sizes and index say, at the caller's choices."""
    entries = [entry for statement in found if statement.keyword == "sizes" for entry in _entries(source, statement)]
    letters = [entry for statement in found if statement.keyword == "index" for entry in _indices(source, statement)]
    sizes = Sizes(values={name: sp.Integer(value) for name, value in chosen.integers.items()})
    sizes.families = _families(entries, letters, sizes)
    set_by_caller = _set_by_caller(entries, sizes, chosen)
    pending: dict[str, tuple[_Entry, int]] = {}
    for entry in entries:
        for number, name in enumerate(sizes.families.components(entry.name), start=1):
            if name in sizes.values:
                what = "an option already" if name in chosen.options else "given twice"
                raise RedefinedName(f"The size {name} is {what}.", entry.span, "Take another name for one of them.")
            fixed = set_by_caller.get(name, _literal(entry))
            if fixed is not None:
                _fix(name, fixed, entry, sizes)
            elif entry.formula is not None:
                pending[name] = entry, number
                sizes.values[name] = size(name)
            else:
                sizes.values[name] = size(name, entry.smallest)
                sizes.defaults += [(name, entry.default)] if entry.default is not None else []
                sizes.words += [(name, entry.words)] if entry.words else []
    _derive(source, pending, sizes)
    sizes.words.sort(key=lambda item: item[1].startswith("="))
    return sizes


# Entries --------------------------------------------------------------------------------------------------------------


def _parts(source: Source, statement: Statement) -> Iterator[tuple[Spelt, Span]]:
    """The entries of a section, cut at commas outside brackets and quotation marks."""
    text, start, depth, quoted = statement.rest.text, 0, 0, False
    paired = text.count('"') % 2 == 0
    for position, letter in enumerate(f"{text},"):
        quoted ^= letter == '"' and paired
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and ((depth <= 0 and not quoted) or position == len(text)):
            piece = text[start:position]
            if piece.strip() or position < len(text):
                begin = start + len(piece) - len(piece.lstrip())
                yield statement.rest.slice(start, position), at(source, statement.rest, begin, position)
            start = position + 1


def _entries(source: Source, statement: Statement) -> Iterator[_Entry]:
    expect_text(statement.rest, statement.span, "sizes", "sizes T steps, d inputs, n hidden")
    for part, span in _parts(source, statement):
        match = _ENTRY.fullmatch(part.text)
        if match is None or (match["formula"] is not None and not match["formula"].strip()):
            repair = "Write a name and what it counts, as in n hidden, or k = 2, or m = floor(n / 2)."
            raise BadSyntax(f"'{part.text.strip()}' is no size.", span, repair)
        formula = None if match["formula"] is None else part.slice(*match.span("formula"))
        words, tail = formula.text if formula else match["words"] or "", {}
        while found := _TAIL.search(words):
            if found[1] in tail:
                raise BadSyntax(f"'{found[1]}' stands twice.", span, "Say it once.")
            tail[found[1]], words = int(found[2]), words[: found.start()]
        if formula is not None:
            if tail and ("default" in tail or not words.strip().isdecimal()):
                raise BadSyntax(f"{match['name']} has a value already.", span, "Write the words in quotation marks.")
            formula, words = formula.slice(0, len(words)), match["quoted"] or ""
        smallest, default = tail.get("from", 1), tail.get("default")
        if smallest not in (0, 1):
            raise RangeError(f"{match['name']} begins from {smallest}.", span, "A size begins from 0 or from 1.")
        if default is not None and not smallest <= default <= MAX_SIZE:
            message = f"The size {match['name']} is at least {smallest}, its default is {default}."
            raise RangeError(message, span, f"For example default {max(smallest, 1)}.")
        words = words.strip()
        words = words[1:-1] if re.fullmatch(r'"[^"]*"', words) else words
        yield _Entry(match["name"], match["components"] or "", words, smallest, default, formula, span)


def _indices(source: Source, statement: Statement) -> Iterator[_Entry]:
    expect_text(statement.rest, statement.span, "index", "index i^D, a^D")
    for part, span in _parts(source, statement):
        match = _ENTRY.fullmatch(part.text)
        if match is None or match["formula"] is not None or (match["words"] or "").strip():
            raise BadSyntax(f"'{part.text.strip()}' is no index.", span, "Write letters, as in index i^D, a^D.")
        yield _Entry(match["name"], match["components"] or "", "", 1, None, None, span)


def _families(entries: list[_Entry], letters: list[_Entry], sizes: Sizes) -> Families:
    """How many components each name has."""
    numbers = {name: int(value) for name, value in sizes.values.items()}
    numbers |= {entry.name: value for entry in entries if (value := _literal(entry)) is not None}
    counts: dict[str, int] = {}
    for entry in (*entries, *letters):
        if not entry.components:
            continue
        is_number = entry.components.isdecimal()
        count = int(entry.components[:9]) if is_number else numbers.get(entry.components)
        if count is None:
            message = f"{entry.components} is no number that is known here, so {entry.name} has no components."
            repair = f"Write {entry.name}^2, or declare: option {entry.components} = 2 of 1, 2, 3"
            raise BadSyntax(message, entry.span, repair)
        if not 1 <= count <= MAX_COMPONENTS:
            message = f"{entry.name} has {count} components; there are from 1 to {MAX_COMPONENTS}."
            raise TooLarge(message, entry.span, "Take fewer dimensions.")
        if entry.name in counts:
            raise RedefinedName(f"{entry.name} is declared twice.", entry.span, "Take another name for one of them.")
        counts[entry.name] = count
    declared = {entry.name for entry in entries}
    for entry in letters:
        if entry.name in declared or entry.name in numbers:
            raise RedefinedName(f"{entry.name} is a size.", entry.span, "Take another letter for the index.")
    families = Families(counts)
    written = {component for name in counts for component in families.components(name) if component != name}
    for entry in (*entries, *letters):
        if entry.name in written:
            message = f"{entry.name} is a component already, of {entry.name.rpartition('_')[0]}."
            raise RedefinedName(message, entry.span, "Take another name for one of them.")
    return families


def _literal(entry: _Entry) -> int | None:
    """The number that fixes a size, as in k = 2."""
    text = "" if entry.formula is None else entry.formula.text.strip()
    return int(text[:9]) if text.isdecimal() else None


def _set_by_caller(entries: list[_Entry], sizes: Sizes, chosen: Chosen) -> dict[str, int]:
    """The numbers that the caller gave to sizes, one for each component."""
    known = {entry.name: entry for entry in entries}
    components = {name: entry for entry in entries for name in sizes.families.components(entry.name)}
    found: dict[str, int] = {}
    for name, value in chosen.numbers.items():
        entry = known.get(name) or components.get(name)
        if entry is None:
            listed = [*chosen.options, *known]
            repair = did_you_mean(name, listed, f"There are {', '.join(listed)}." if listed else "There are none.")
            raise UnknownName(f"There is no option or size called {name[:80]}.", None, repair)
        if entry.formula is not None and _literal(entry) is None:
            message = f"The size {name} follows from others and cannot be set."
            raise RangeError(message, entry.span, "Set the sizes that it is made of.")
        targets = (name,) if name in components else sizes.families.components(name)
        given = _whole_numbers(name, value, entry)
        if len(given) not in (1, len(targets)):
            message = f"{name} has {len(targets)} component{'s' * (len(targets) > 1)}, and {len(given)} are set."
            raise RangeError(message, entry.span, "Give one number for all, or one for each.")
        found |= dict(zip(targets, given * len(targets) if len(given) == 1 else given, strict=True))
    return found


def _whole_numbers(name: str, value: object, entry: _Entry) -> tuple[int, ...]:
    parts = value if isinstance(value, tuple | list) else str(value).strip("() ").split(",")
    texts = [str(part).strip() for part in parts]
    if not texts or not all(re.fullmatch(r"[+-]?\d{1,9}", text) for text in texts):
        message = f"{name} is a size, a whole number; it cannot be {str(value)[:40]!r}."
        raise RangeError(message, entry.span, f"For example {name} = 2, or {name} = 2,1 for one number for each axis.")
    return tuple(map(int, texts))


def _fix(name: str, value: int, entry: _Entry, sizes: Sizes) -> None:
    if not entry.smallest <= value <= MAX_SIZE:
        message = f"The size {name} is {value}, but must be between {entry.smallest} and {MAX_SIZE:,}."
        raise RangeError(message, entry.span, f"For example {name} = 2.")
    sizes.values[name] = sp.Integer(value)
    sizes.words.append((name, f"= {value}"))


# Sizes made of others -------------------------------------------------------------------------------------------------


def _derive(source: Source, pending: Mapping[str, tuple[_Entry, int]], sizes: Sizes) -> None:
    """The sizes that follow from others, each once those it is made of are known."""
    waiting = {name: _formula(entry, number, sizes.families) for name, (entry, number) in pending.items()}
    while waiting:
        ready = next(
            (name for name, formula in waiting.items() if not waiting.keys() & {*_WORD.findall(formula.text)}), None
        )
        if ready is None:
            name = next(iter(waiting))
            message = f"{name} follows from {', '.join(sorted(waiting.keys() & {*_WORD.findall(waiting[name].text)}))}"
            span = pending[name][0].span
            raise RedefinedName(f"{message}, which follows from {name}.", span, "Let one of them be a letter.")
        entry = pending[ready][0]
        formula = waiting.pop(ready)
        known = {name: value for name, value in sizes.values.items() if name not in waiting and name != ready}
        count = _counted(source, ready, formula, known, entry)
        value = total(count) if count is not None else _value(source, formula, known)
        if count is not None:
            last = value if value.is_Integer else size(ready)
            sizes.ranges.append((count.index.name, (sp.Integer(0), last - 1)))
        if value.is_Integer:
            if not 1 <= int(value) <= MAX_SIZE:
                raise RangeError(_shortfall(ready, value, count), entry.span, "Change the sizes that it is made of.")
            sizes.values[ready] = value
            sizes.words.append((ready, f"= {value}"))
            continue
        symbol = size(ready)
        sizes.derived.append((symbol, value))
        sizes.counts += [count] if count is not None else []
        sizes.words += [(ready, entry.words)] if entry.words else []


def _shortfall(name: str, value: Integer, count: Count | None) -> str:
    if int(value) > MAX_SIZE:
        return f"{name} = {value}, beyond {MAX_SIZE:,}."
    if count is None:
        return f"{name} = {value}, and a size is at least 1."
    return f"{name} = 0: there is no {count_source(count).removeprefix('number of ')}."


def _formula(entry: _Entry, number: int, families: Families) -> Spelt:
    assert entry.formula is not None
    formula = with_products(entry.formula, families, entry.span)
    names = {*_WORD.findall(formula.text)} & families.counts.keys()
    count, own = families.count(names, entry.span), families.counts.get(entry.name, 1)
    if count > 1 and count != own:
        name = min(names)
        message = f"{name} has {families.counts[name]} components, and {entry.name} has {own}."
        raise BadSyntax(message, entry.span, f"Write {entry.name}^{count}, or prod({name}) for their product.")
    return text_component(formula, number, families)


def _value(source: Source, formula: Spelt, known: Mapping[str, Integer], letter: str = "") -> Integer:
    """The whole number that ``formula`` writes."""
    if not formula.text.strip():
        raise BadSyntax("Something is missing here.", at(source, formula, 0, 1), "For example i <= n.")
    integers = {**known, **({letter: index(letter)} if letter else {})}
    context = Context(Arrays({}), {}, integers, {}, lambda node: place(source, formula, node))
    try:
        return whole(read_tree(source, formula, "expression_line"), context)
    except UnknownName as error:
        if "Did you mean" not in error.repair:
            error.repair = "Here stand sizes; declare it under sizes."
        raise


def _counted(source: Source, name: str, formula: Spelt, known: Mapping[str, Integer], entry: _Entry) -> Count | None:
    """``number of i with a <= b and …`` read; None where the formula is something else."""
    match = _COUNT.match(formula.text)
    if match is None:
        if re.match(r"\s*number\s+of\b", formula.text):
            repair = f"For example {name} = number of i with s*i <= n."
            raise BadSyntax("A count says what is counted and with which condition.", entry.span, repair)
        return None
    letter = match[1]
    if letter in known:
        raise RedefinedName(f"{letter} is a size.", entry.span, "Take another letter for what is counted.")
    inequalities: list[tuple[Integer, Integer]] = []
    start = match.end()
    for end in [*(found.start() for found in re.finditer(r"\band\b", formula.text)), len(formula.text)]:
        condition = formula.slice(start, end)
        start = end + len("and")
        signs = list(_RELATION.finditer(condition.text))
        if not signs:
            message = "Here stands an inequality." if condition.text.strip() else "A condition is missing."
            repair = f"For example {name} = number of {letter} with s*{letter} <= n."
            raise BadSyntax(message, at(source, formula, end - len(condition.text), end), repair)
        cuts = [0, *(cut for sign in signs for cut in sign.span()), len(condition.text)]
        sides = [
            _value(source, condition.slice(*pair), known, letter) for pair in zip(cuts[::2], cuts[1::2], strict=True)
        ]
        for sign, left, right in zip(signs, sides, sides[1:], strict=False):
            lesser, greater = (left, right) if sign.group().startswith("<") else (right, left)
            pair = (lesser + int(len(sign.group()) == 1), greater)
            if not _is_trivial(letter, pair):
                _check_inequality(letter, pair, at(source, condition, 0, len(condition.text)))
                inequalities.append(pair)
    if not inequalities:
        message = f"{letter} is not bounded from above here."
        raise BadSyntax(message, entry.span, f"For example {name} = number of {letter} with s*{letter} <= n.")
    return Count(name, index(letter), tuple(inequalities))


def _is_trivial(letter: str, pair: tuple[Integer, Integer]) -> bool:
    """The inequality holds for all i = 0, 1, 2, … and all sizes, as 0 <= i does."""
    slope, rest = _line(index(letter), pair)
    lowest, offset = least(-slope), least(rest)
    return slope != 0 and lowest is not None and lowest >= 0 and offset is not None and offset >= 0


def _check_inequality(letter: str, pair: tuple[Integer, Integer], span: Span) -> None:
    """Refuse an inequality that does not bound the index from above, whatever the sizes are."""
    slope, rest = _line(index(letter), pair)
    shown = integer_source(slope)
    if rest.has(index(letter)) or slope.has(index(letter)):
        raise BadSyntax(f"This is not linear in {letter}.", span, f"For example s*{letter} <= n.")
    if slope == 0:
        raise BadSyntax(f"This says nothing about {letter}.", span, f"For example s*{letter} <= n.")
    low, high = least(slope), least(-slope)
    if high is not None and high >= 0:
        message = f"{letter} is not bounded from above here: its factor on the smaller side is {shown}."
        raise BadSyntax(message, span, f"Counting begins at 0; write what {letter} must not exceed.")
    if low is None or low < 1:
        message = f"The factor {shown} of {letter} may be 0 or less."
        repair = f"Let {slope} be at least 1." if isinstance(slope, sp.Symbol) else "Take a size that is at least 1."
        raise BadSyntax(message, span, repair)


def _line(letter: sp.Symbol, pair: tuple[Integer, Integer]) -> tuple[Integer, Integer]:
    """(c, b) for the inequality c i ≤ b."""
    difference = sp.expand(pair[1] - pair[0])
    slope = sp.expand(-cast(sp.Expr, difference.coeff(letter)))
    return slope, sp.expand(difference + slope * letter)


def total(count: Count) -> Integer:
    """The count in closed form: the i with c i ≤ b are 0 … ⌊b / c⌋."""
    lines = [_line(count.index, pair) for pair in count.inequalities]
    return sp.Min(*(sp.floor(rest / slope) for slope, rest in lines)) + 1
