"""Options: the choices that a definition declares, what the caller chose, and the lines that count only then."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from derive.language.conventions import CONVENTIONS, convention
from derive.language.errors import (
    BadSyntax,
    DefinitionError,
    RangeError,
    RedefinedName,
    TooLarge,
    UnknownName,
    did_you_mean,
    join_names,
)
from derive.language.expression import Span
from derive.language.functions import FUNCTIONS
from derive.language.lines import FREE_TEXT, Statement
from derive.language.system import Option

Choices = Mapping[str, object]
"""What a caller sets: values of options, and numbers for sizes."""

MAX_OPTIONS = 50
MAX_SIZE = 100_000

OPAQUE = ("opaque", "unknown", "any")
"""Words after 'is' that leave a function open."""

_WHEN = re.compile(
    r"(?:^|\s+)when\s+(?P<name>[A-Za-z]\w*(?:\s+\w+)*?)\s+is\s+(?P<value>[^\s,](?:[^,\"]*[^\s,\"])?)\s*$"
)
_AND = re.compile(r"\s+and\s+(?=[A-Za-z]\w*(?:\s+\w+)*?\s+is\s)")
_OPTION = re.compile(
    r"\s*(?P<name>[A-Za-z]\w*(?:\s+\w+)*)\s*=\s*(?P<value>[^,\"=]+?)\s+of\s+(?P<choices>[^\"=]+?)\s*"
    r"(?:\"(?P<words>[^\"]*)\")?\s*"
)


@dataclass
class Chosen:
    """The options of a definition, and what the caller chose that no option has taken yet."""

    options: dict[str, Option] = field(default_factory=dict)
    passed_over: set[str] = field(default_factory=set)
    """Options on lines that do not count."""
    numbers: dict[str, object] = field(default_factory=dict)

    @property
    def integers(self) -> dict[str, int]:
        """The options that are whole numbers."""
        return {name: int(option.value) for name, option in self.options.items() if _is_integer(option)}

    @property
    def functions(self) -> dict[str, str]:
        """The options that say what a function is; an opaque one is ''."""
        rows = {name: option for name, option in self.options.items() if _is_function(option)}
        return {name: option.value if option.value in FUNCTIONS else "" for name, option in rows.items()}

    @property
    def conventions(self) -> tuple[tuple[str, str], ...]:
        """The options that set a convention."""
        return tuple((name, option.value) for name, option in self.options.items() if name in CONVENTIONS)


def _is_integer(option: Option) -> bool:
    return option.name not in CONVENTIONS and all(choice.isdecimal() for choice in option.choices)


def _is_function(option: Option) -> bool:
    return option.name not in CONVENTIONS and all(choice in FUNCTIONS or choice in OPAQUE for choice in option.choices)


def chosen(found: Sequence[Statement], choices: Choices) -> tuple[list[Statement], Chosen]:
    """The statements that count, without their 'when', and the options that say so."""
    state = Chosen(numbers=dict(choices))
    kept = [statement for statement in found if statement.keyword == "option" and _counts(statement, state, True)]
    if len(state.options) > MAX_OPTIONS:
        raise TooLarge(
            f"There are more than {MAX_OPTIONS} options.", kept[MAX_OPTIONS].span, "Split the system into smaller ones."
        )
    for name in state.passed_over & choices.keys() - state.options.keys():
        raise UnknownName(f"The option {name} is on a line that does not count here.", None, "Do not set it.")
    others = [statement for statement in found if statement.keyword != "option"]
    return [_without_when(statement, state) for statement in others if _counts(statement, state, False)], state


def _counts(statement: Statement, state: Chosen, is_option: bool) -> bool:
    """Whether the line counts; an option that does is put among those in force."""
    bare = _without_when(statement, state)
    counts = bare is statement or _holds(statement, state)
    if is_option:
        option = _option(bare, state)
        if counts:
            if option.name in state.options:
                repair = "Keep one of the two lines, or let them count at different times by when."
                raise RedefinedName(f"The option {option.name} is declared twice.", statement.span, repair)
            state.options[option.name] = option
            state.numbers.pop(option.name, None)
        else:
            state.passed_over.add(option.name)
    return counts


def _without_when(statement: Statement, state: Chosen) -> Statement:
    match = _WHEN.search(statement.rest.text)
    if match is None or (statement.keyword in FREE_TEXT and match["name"] not in state.options):
        return statement
    return Statement(statement.keyword, statement.rest.slice(0, match.start()), statement.span)


def _holds(statement: Statement, state: Chosen) -> bool:
    match = _WHEN.search(statement.rest.text)
    assert match is not None
    conditions = (part.partition(" is ") for part in _AND.split(f"{match['name']} is {match['value']}"))
    found = [_is_chosen(name, value, statement, state) for name, _, value in conditions]  # a wrong one is told
    return all(found)


def _is_chosen(name: str, value: str, statement: Statement, state: Chosen) -> bool:
    name, value = " ".join(name.split()), value.strip()
    option = state.options.get(name)
    if option is None:
        if name in state.passed_over:
            return False
        repair = did_you_mean(name, state.options, f"Declare it above: option {name} = {value} of {value}, …")
        raise UnknownName(f"There is no option called {name}.", statement.span, repair)
    if value not in option.choices:
        raise _no_choice(option, value, statement.span)
    return option.value == value


def _no_choice(option: Option, value: str, span: Span | None) -> DefinitionError:
    repair = did_you_mean(value, option.choices, "Take one of them.")
    return RangeError(
        f"The option {option.name} is {join_names(option.choices, 'or')}, not {value[:40]}.", span, repair
    )


def _option(statement: Statement, state: Chosen) -> Option:
    match = _OPTION.fullmatch(statement.rest.text)
    if match is None:
        message = f"'{statement.rest.text.strip()[:60]}' is no option."
        raise BadSyntax(message, statement.span, 'For example: option D = 2 of 1, 2, 3 "spatial dimensions"')
    choices = tuple(part.strip() for part in match["choices"].split(","))
    name, value = match["name"], match["value"].strip()
    if not all(choices) or len(set(choices)) < len(choices):
        raise BadSyntax(f"The choices of {name} are not all different.", statement.span, "List each choice once.")
    option = Option(name, value, choices, match["words"] or "")
    for wanted in (value, *([str(state.numbers[name])] if name in state.numbers else [])):
        if wanted not in choices:
            raise _no_choice(option, wanted, statement.span)
        option = Option(name, wanted, choices, option.description)
    if name in CONVENTIONS:
        for choice in choices:
            convention(f"{name} is {choice}", statement.span)
    if _is_integer(option) and any(int(choice[:7]) > MAX_SIZE for choice in choices):
        raise RangeError(f"The option {name} goes up to {MAX_SIZE:,}.", statement.span, "Take smaller numbers.")
    return option
