"""What the pages say is so: every ``derive`` command on them prints what they show, and every piece of Python runs.

A ``console`` block is a session: ``$ cat FILE`` makes the file with the text shown below it, ``$ derive …`` is run and
its output compared, ``$ echo $?`` shows the exit code, other commands are for people. ``...`` stands for what differs.

``python -m tests.test_readme`` writes the output of every command without ``...`` into the pages anew.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import re
import runpy
import shlex
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from derive.cli import main

ROOT = Path(__file__).parents[1]
GENERATED = {"performance.md"}
PAGES = [ROOT / "README.md", *sorted(path for path in (ROOT / "docs").glob("*.md") if path.name not in GENERATED)]
BLOCK = re.compile(r"^```(console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def session(block: str) -> list[tuple[str, str]]:
    """The commands of a console block, each with the text below it."""
    first, *parts = re.split(r"^\$ ", block, flags=re.MULTILINE)
    assert first == "", f"a console block begins with a command: {first!r}"
    return [(command, shown) for command, _, shown in (part.partition("\n") for part in parts)]


def answer(command: str, shown: str, codes: list[int]) -> str:
    """What ``command`` prints; for what is not run, what is shown."""
    words = shlex.split(command)
    if words[0] == "cat":
        Path(words[1]).write_text(shown, encoding="utf-8")
    elif words[0] == "derive":
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            codes.append(main(words[1:]))
        return printed.getvalue()
    elif command == "echo $?":
        return f"{codes.pop()}\n"
    return shown


def run_page(text: str, compare: Callable[[str, str, str], str], python: bool = True) -> str:
    """The page with what ``compare(command, shown, got)`` makes of each output; files go to the current folder."""
    names: dict[str, Any] = {}

    def replaced(block: re.Match[str]) -> str:
        language, body = block.groups()
        if language == "python":
            if python:
                run_python(body, names)
            return block.group()
        codes: list[int] = []
        written = ""
        for command, shown in session(body):
            written += f"$ {command}\n{compare(command, shown, answer(command, shown, codes))}"
        assert not any(codes), f"these commands fail and the page does not say so: {body}"
        return f"```console\n{written}```"

    return BLOCK.sub(replaced, text)


def run_python(body: str, names: dict[str, Any]) -> None:
    """A piece of Python: one with prompts is checked, one without has to run."""
    if ">>>" not in body:
        script = Path("block.py")
        script.write_text(body, encoding="utf-8")
        names.update(runpy.run_path(str(script), init_globals=names))
        return
    failures = io.StringIO()
    test = doctest.DocTestParser().get_doctest(body, names, "page", None, None)
    result = doctest.DocTestRunner(optionflags=OPTIONS).run(test, out=failures.write, clear_globs=False)
    names.update(test.globs)
    assert not result.failed, failures.getvalue()


def checked(command: str, shown: str, got: str) -> str:
    """``shown``, where it is what the command printed."""
    if shown.strip() or not got.strip():
        assert doctest.OutputChecker().check_output(shown, got, OPTIONS), (
            f"$ {command}\n{got}\nbut the page has\n{shown}"
        )
    return shown


def renewed(command: str, shown: str, got: str) -> str:
    """What the command printed, unless the page leaves something out or shows nothing."""
    return got if shown.strip() and "..." not in shown else shown


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_every_example_on_the_page_works(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_page(page.read_text(encoding="utf-8"), checked)


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    local = [link for link in links if not re.match(r"https?:", link)]
    assert [link for link in local if not (page.parent / link).exists()] == []


def test_the_reading_order_names_six_files_that_are_about_as_long_as_it_says() -> None:
    text = (ROOT / "docs" / "reading-order.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \d \| \[`([^`]+)`\]\([^)]*\) \| (\d+) \|", text, re.MULTILINE)
    assert len(rows) == 6
    for name, said in rows:
        lines = len((ROOT / name).read_text(encoding="utf-8").splitlines())
        assert abs(lines - int(said)) <= max(5, lines // 5), f"{name} has {lines} lines, the page says {said}"


def test_a_wrong_output_on_a_page_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = "```console\n$ derive show elman --wrt y\n∂ℓ/∂y = ŷ − y\n```"
    with pytest.raises(AssertionError, match="but the page has"):
        run_page(page, checked)


def test_a_wrong_value_in_python_on_a_page_is_found() -> None:
    with pytest.raises(AssertionError, match="Expected:"):
        run_page("```python\n>>> 1 + 1\n3\n\n```", checked)


if __name__ == "__main__":
    for path in PAGES:
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            path.write_text(run_page(path.read_text(encoding="utf-8"), renewed, python=False), encoding="utf-8")
