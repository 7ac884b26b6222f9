"""The reference page says what the parser does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from derive.language import lines, whole
from derive.language.array_functions import ARRAY_FUNCTIONS
from derive.language.calls import MAKERS, OPEN
from derive.language.conventions import CONVENTIONS
from derive.language.draft import MAX_ARRAYS, SECTIONS
from derive.language.functions import FUNCTIONS, LOSSES
from derive.language.parser import parse
from derive.language.printer import source

PAGE = (Path(__file__).parents[3] / "docs" / "language.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```system\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_example_of_the_page_is_read_and_printed(text: str):
    assert parse(source(parse(text))) == parse(text)


def test_the_page_names_every_function_convention_and_section():
    for name in (*FUNCTIONS, *ARRAY_FUNCTIONS, *LOSSES, *OPEN, *MAKERS, *filter(None, SECTIONS)):
        assert re.search(rf"\b{name}\b", PAGE), name
    for name, row in CONVENTIONS.items():
        listed = ", ".join(f"`{value}`" for value in row.values)
        assert f"| `{name}` | {listed}: {row.meaning} |" in PAGE


def test_the_page_states_the_limits_that_hold():
    limits = PAGE.partition("## Limits")[2].replace(",", "")
    for limit in (
        lines.MAX_BYTES,
        lines.MAX_TOKENS,
        MAX_ARRAYS,
        lines.MAX_NESTING,
        whole.MAX_DIGITS,
        whole.MAX_EXPONENT,
    ):
        assert f" {limit} " in f"{limits} ".replace(".", " ")
