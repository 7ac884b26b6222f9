"""The catalogue: each file is read, says what it is, and is found by its name or by a path."""

from __future__ import annotations

from pathlib import Path

import pytest

from derive import catalogue
from derive.language.errors import NotText, TooLarge


@pytest.mark.parametrize("name", catalogue.names())
def test_a_system_says_what_it_is(name: str):
    system = catalogue.load(name)
    assert system.name == name
    assert system.title
    described = {size for size, _ in system.size_descriptions}
    assert described >= {size.name for size in system.program.independent}
    assert described - {size for size, words in system.size_descriptions if words.startswith("= ")} <= {
        size.name for size in system.program.sizes
    }
    assert system.program.declaration(system.loss).shape == ()


def test_the_listing_has_a_line_for_each_system():
    assert [entry.name for entry in catalogue.listing()] == list(catalogue.names())
    elman = next(entry for entry in catalogue.listing() if entry.name == "elman")
    assert elman.summary == "given x, y; learns W, U, v; 4 equations; f = tanh, sigmoid, relu or identity"


def test_a_file_is_loaded_by_its_path(tmp_path: Path):
    path = tmp_path / "mine.txt"
    path.write_text("\ufeff" + catalogue.text("elman").replace("\n", "\r\n"), encoding="utf-8")
    assert catalogue.load(path).program == catalogue.load("elman").program
    assert catalogue.load(str(path)).name == "mine"


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(catalogue.UnknownSystem, match="no system called 'elmann'") as caught:
        catalogue.load("elmann")
    assert "elman" in caught.value.repair


def test_a_file_that_is_missing_too_large_or_binary_is_refused(tmp_path: Path):
    with pytest.raises(catalogue.UnknownSystem, match="cannot be read"):
        catalogue.load(tmp_path / "none.txt")
    (tmp_path / "large.txt").write_bytes(b"a" * 10_000_000)
    with pytest.raises(TooLarge):
        catalogue.load(tmp_path / "large.txt")
    (tmp_path / "binary.txt").write_bytes(bytes(range(256)))
    with pytest.raises(NotText):
        catalogue.load(tmp_path / "binary.txt")
