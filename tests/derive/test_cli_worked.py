"""``derive pool`` and ``derive conv``: what they print and write, how they compare, and how they refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

from derive import cli

LECTURE = "1,2,3,4,5\n9,8,7,6,0\n0,2,4,6,8\n2,3,4,5,1\n6,7,8,9,0\n"
WIDE = ["--window", "2x2", "--stride", "1x2", "--pad", "0,1,0,1"]
TALL = ["--window", "2x2", "--stride", "2x1", "--pad", "0,1,0,1"]
RIGHT = "9,7,5\n9,7,8\n3,6,8\n7,9,1\n7,9,0\n"
SLIDE = "9,7,5\n9,7,8\n3,6,8\n7,9,1\n7,9,1\n"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def grid(tmp_path: Path) -> str:
    """The lecture's grid in a file."""
    path = tmp_path / "grid.csv"
    path.write_text(LECTURE, encoding="utf-8")
    return str(path)


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str], str]:
    """Makes a file with a text in it."""

    def made(text: str, name: str = "table.csv") -> str:
        (tmp_path / name).write_text(text, encoding="utf-8")
        return str(tmp_path / name)

    return made


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Exit code, output and messages of a command."""

    def ran(*arguments: str) -> tuple[int, str, str]:
        code = cli.main(arguments)
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return ran


# The lecture's example ------------------------------------------------------------------------------------------------


def test_both_tables_of_the_lecture(run: Run, grid: str) -> None:
    code, out, err = run("pool", grid, *TALL)
    assert (code, err) == (0, "")
    assert "\n  9 8 7 6 5\n  3 4 6 8 8\n  7 8 9 9 0\n" in out
    code, out, err = run("pool", grid, *WIDE)
    assert (code, err) == (0, "")
    assert "\n  9 7 5\n  9 7 8\n  3 6 8\n  7 9 1\n  7 9 0\n" in out


def test_the_wrong_cell_of_the_slide_is_named(run: Run, grid: str, file: Callable[..., str]) -> None:
    code, out, _ = run("pool", grid, *WIDE, "--against", file(SLIDE, "slide.csv"))
    assert code == 1
    assert out.splitlines()[-2:] == [
        "slide.csv: 1 of 15 cells is wrong.",
        "row 5, column 3: 1 is wrong, it is 0: the window is rows 5–6, columns 5–6 of the padded grid (0 0 / 0 0), "
        "its maximum is 0",
    ]


def test_a_right_table_is_called_right(run: Run, grid: str, file: Callable[..., str]) -> None:
    code, out, _ = run("pool", grid, *WIDE, "--against", file(RIGHT, "mine.csv"))
    assert code == 0
    assert out.splitlines()[-1] == "mine.csv: all 15 cells are right."


def test_a_table_of_the_wrong_size_is_refused(run: Run, grid: str, file: Callable[..., str]) -> None:
    code, out, err = run("pool", grid, *TALL, "--against", file(RIGHT))
    assert (code, out) == (2, "")
    assert "table.csv has 5 × 3 cells, the table has 3 × 5. The rows and columns are exchanged" in err


@pytest.mark.parametrize("suffix", ["html", "pdf", "tex", "md", "ipynb"])
def test_the_page_of_the_lecture_in_every_format(
    run: Run, grid: str, file: Callable[..., str], tmp_path: Path, suffix: str
) -> None:
    page = tmp_path / f"page.{suffix}"
    code, out, _ = run("pool", grid, *WIDE, "--against", file(SLIDE, "slide.csv"), "-o", str(page))
    assert code == 1
    assert f"{page}: 15 windows" in out
    content = page.read_bytes()
    if suffix == "pdf":
        assert content.startswith(b"%PDF-1.7")
        return
    text = content.decode()
    if suffix == "ipynb":
        nbformat.validate(nbformat.reads(text, as_version=4))
        text = "".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
    assert "max(9, 8, 0, 2)" in text
    assert "Max pooling of a 5" in text
    assert "Compared with a table" in text


def test_json_has_windows_shares_and_wrong_cells(run: Run, grid: str, file: Callable[..., str]) -> None:
    code, out, _ = run("pool", grid, *WIDE, "--json", "--against", file(SLIDE))
    found = json.loads(out)
    assert code == 1
    assert found["table"][4] == [7, 9, 0]
    assert found["wrong"] == [{"row": 5, "column": 3, "given": 1, "right": 0}]
    window = found["windows"][3]
    assert (window["arithmetic"], window["where"]) == ("max(9, 8, 0, 2)", "rows 2–3, columns 1–2")
    assert [cell["value"] for cell in window["cells"] if cell["wins"]] == [9]
    assert {"output": {"row": 2, "column": 1}, "cell": {"row": 2, "column": 1}, "amount": 1} in found["shares"]
    assert sum(share["amount"] for share in found["shares"]) == sum(map(sum, found["gradient"]))


# Options --------------------------------------------------------------------------------------------------------------


def test_the_stride_of_pooling_is_its_window_and_that_of_convolution_is_one(run: Run, file: Callable[..., str]) -> None:
    grid, kernel = file("1,2,3,4\n5,6,7,8\n", "g.csv"), file("1,1\n", "k.csv")
    assert "\n  6 8\n" in run("pool", grid, "--window", "2")[1]
    assert (
        "\n  3  5  7\n 11 13 15\n".replace(" 11", "  11").replace("  3  5  7", "   3  5  7")
        in run("conv", grid, "--kernel", kernel)[1]
    )


@pytest.mark.parametrize(
    "text, arguments, table",
    [
        ("3 4 4 4\n1 2 2 4", "--window 2x2 --kind average", "2.5 3.5"),
        ("3 4 4 4", "--window 1x2 --kind l2", "5 5.6569"),
        ("3 4 4 4", "--window 1x2 --ties all", "4 4"),
        ("3 4 4 5", "--window 1x3 --stride 1x2 --round up", "4 5"),
        ("-3 -4 -5", "--window 1x2 --pad 0,0,1,0 --padding skipped", "−3 −4"),
        ("-3 -4 -5", "--window 1x2 --pad 0,0,1,0", "0 −4"),
        ("1 2 3 4 5", "--window 1x2 --stride 1 --dilation 1x3", "4 5"),
    ],
)
def test_kinds_and_choices(run: Run, file: Callable[..., str], text: str, arguments: str, table: str) -> None:
    code, out, _ = run("pool", file(text), *arguments.split())
    assert code == 0
    assert out.split("\n\n")[2].splitlines()[1].split() == table.split()


def test_a_kernel_can_be_turned_round(run: Run, file: Callable[..., str]) -> None:
    grid, kernel = file("1 2 3", "g.csv"), file("1 10", "k.csv")
    assert "\n  21 32\n" in run("conv", grid, "--kernel", kernel)[1]
    assert "\n  12 23\n" in run("conv", grid, "--kernel", kernel, "--flip")[1]


def test_a_gradient_can_be_given(run: Run, file: Callable[..., str]) -> None:
    grid, kernel, arriving = file("1 2 3", "g.csv"), file("1 10", "k.csv"), file("2 −1/2", "d.csv")
    _, out, _ = run("conv", grid, "--kernel", kernel, "--gradient", arriving)
    assert "for the gradient given at the table\n  2  19.5  −5\n" in out
    assert "Gradient in the kernel\n  1  2.5\n" in out


# Mistakes -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--window", "7x2"], "The window covers 7 rows, but the padded grid has only 5."),
        (["--window", "2", "--stride", "0x1"], "The stride down is 0; the smallest is 1."),
        (["--window", "2", "--dilation", "-1"], "The dilation down is -1; the smallest is 1."),
        (["--window", "2", "--dilation", "9"], "covers 10 rows with dilation 9"),
        (["--window", "2", "--pad", "-1"], "The padding at the top is -1; it cannot be negative."),
        (["--window", "2", "--pad", "-1,0,0,0"], "The padding at the top is -1"),
        (["--window", "2", "--pad", "1,2,3"], "The padding is written top,bottom,left,right"),
        (["--window", "0"], "The window down is 0"),
        (["--window", "two"], "The window is written down × right"),
        (["--window", "2", "--pad", "50000,49995,50000,49995"], "100,000 × 100,000 cells, 80 GB"),
        (["--window", "2", "--kind", "average", "--dilation", "2"], "Average pooling has no dilation"),
        (["--window", "2", "--kind", "average", "--ties", "all"], "Average pooling has no choice of ties"),
        (["--window", "2", "--gradient", "nowhere.csv"], "nowhere.csv cannot be read: No such file"),
        (["--window", "2", "--against", "nowhere.csv"], "nowhere.csv cannot be read: No such file"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(run: Run, grid: str, arguments: list[str], message: str) -> None:
    code, out, err = run("pool", grid, *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert err.startswith("derive: ")


@pytest.mark.parametrize(
    "text, message",
    [
        ("1,2\n3", "row 2 has 1 cell, but the first row has 2"),
        ("1,2\n3,x", "row 2, column 2: 'x' is not a number"),
        ("", "is empty"),
        ("1,nan\n2,3", "row 1, column 2: 'nan' is not a number. Only finite numbers"),
    ],
)
def test_a_table_that_cannot_be_is_refused(run: Run, file: Callable[..., str], text: str, message: str) -> None:
    code, out, err = run("pool", file(text), "--window", "1")
    assert (code, out) == (2, "")
    assert message in err


def test_a_grid_that_is_not_there_or_no_text_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"\x89PNG\x00\xff")
    for name, message in (("x.csv", "is not a text file"), ("none.csv", "No such file"), ("", "cannot be read")):
        code, out, err = run("pool", str(tmp_path / name), "--window", "1")
        assert (code, out) == (2, "")
        assert message in err


def test_a_page_holds_only_so_much(run: Run, file: Callable[..., str], tmp_path: Path) -> None:
    wide = file(",".join("1" * 70) + "\n")
    code, _, err = run("conv", wide, "--kernel", file("1\n", "k.csv"), "-o", str(tmp_path / "p.md"))
    assert code == 2
    assert "141 columns side by side" in err
    assert run("conv", wide, "--kernel", file("1\n", "k.csv"))[0] == 0


def test_help_says_what_the_defaults_are(run: Run) -> None:
    assert "(the size of the window)" in " ".join(run("pool", "--help")[1].split())
    assert "(1x1)" in run("conv", "--help")[1]
