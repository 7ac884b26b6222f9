"""Pictures of cells: what each format shows, on paper and in motion."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from derive.handout.blocks import Document, DocumentError, Frames, Grid
from derive.handout.grid_shapes import KINDS, Fill, Line, Ring, picture
from derive.handout.grids import (
    CELL_ROLES,
    MOST_PICTURES,
    PAPER_WIDTH,
    Cell,
    Frame,
    GridError,
    Panel,
    changed,
    layout,
    outlined,
    panel,
    picture_width,
    pictures,
    words_of,
)
from derive.handout.html import html
from derive.handout.markdown import markdown
from derive.handout.notebook import notebook
from derive.handout.pdf import pdf
from derive.handout.tex import tex

NUMBERS = panel([["1", "2", "3"], ["4", "5", "6"]], ("grid",), numbered=True)
SUMS = panel([["", ""]], ("sums",), "→", numbered=True)
FRAMES = (
    Frame(("1 + 2 + 4 + 5 = 12.",), (((0, 0, 0), "window"), ((0, 0, 1), "window"), ((0, 1, 0), "window"),
          ((0, 1, 1), "window"), ((0, 1, 1), "winner"), ((1, 0, 0), "result")), (((1, 0, 0), "12"),), (1, 0, 0)),
    Frame(("2 + 3 + 5 + 6 = 16.",), (((0, 0, 1), "window"), ((0, 0, 2), "window"), ((0, 1, 1), "window"),
          ((0, 1, 2), "window"), ((1, 0, 1), "result")), (((1, 0, 1), "16"),), (1, 0, 1)),
)  # fmt: skip
MOVING = Frames((NUMBERS, SUMS), FRAMES, ("Sums of windows.",), (("window", ("window",)),), "windows", "moving")
DOCUMENT = Document("Windows", (MOVING,))


def texts(one: Panel) -> list[list[str]]:
    return [[str(cell.content) for cell in row] for row in one.cells]


# Records --------------------------------------------------------------------------------------------------------------


def test_what_is_written_stays_and_what_is_marked_goes() -> None:
    first, second = pictures(MOVING.panels, FRAMES)
    assert texts(first[1]) == [["12", ""]]
    assert texts(second[1]) == [["12", "16"]]
    assert first[0].cells[0][0].roles == ("window",)
    assert second[0].cells[0][0].roles == ()
    assert MOVING.panels[1] == SUMS


def test_a_group_of_cells_has_one_line_around_it() -> None:
    (shown, _), _ = pictures(MOVING.panels, FRAMES)
    edges = outlined(shown)
    assert edges == {(0, 0): ("top", "left"), (0, 1): ("top", "right"), (1, 0): ("bottom", "left"),
                     (1, 1): ("right", "bottom")}  # fmt: skip


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Cell("1", ("nobody",)), "no role of a cell is called 'nobody'"),
        (lambda: panel([["1", "2"], ["3"]]), "one common, positive length"),
        (lambda: panel([[]]), "one common, positive length"),
    ],
)
def test_a_picture_with_a_mistake_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(GridError, match=re.escape(message)):
        make()


@pytest.mark.parametrize(
    "frames, message",
    [
        ((Frame(("x",), (((0, 2, 0), "window"),)),), "frame 1 names panel 0, row 2, column 0"),
        ((Frame(("x",)), Frame(("x",), written=(((2, 0, 0), "1"),))), "frame 2 names panel 2"),
        ((Frame(("x",), at=(0, -1, 0)),), "frame 1 names panel 0, row -1"),
        ((Frame(("x",), (((0, 0, 0), "nobody"),)),), "'nobody'"),
        ((), "at least one frame"),
    ],
)
def test_frames_with_a_mistake_are_refused(frames: tuple[Frame, ...], message: str) -> None:
    with pytest.raises(DocumentError, match=re.escape(message)):
        Frames((NUMBERS, SUMS), frames, ())


def test_a_legend_names_roles() -> None:
    with pytest.raises(DocumentError, match="'nobody'"):
        Grid((NUMBERS,), (), (("nobody", ("x",)),))
    with pytest.raises(DocumentError, match="at least one panel"):
        Grid((), ())


def test_every_role_has_a_second_cue_or_words_that_differ() -> None:
    cues = [role.cue for role in CELL_ROLES.values() if role.cue != "none"]
    assert len(cues) == len(set(cues))
    assert all(
        re.fullmatch("#[0-9a-f]{6}", colour) for role in CELL_ROLES.values() for colour in (role.fill, role.dark)
    )


def luminance(colour: str) -> float:
    """https://www.w3.org/TR/WCAG22/#dfn-relative-luminance"""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("name", CELL_ROLES)
def test_digits_stand_out_from_every_fill(name: str) -> None:
    role = CELL_ROLES[name]
    for ink, fill in (("#1d2126", role.fill), ("#e4e7eb", role.dark)):
        bright, dim = sorted((luminance(ink), luminance(fill)), reverse=True)
        assert (bright + 0.05) / (dim + 0.05) > 4.5


# On paper -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [1, 3, 20, 45])
def test_a_picture_is_never_wider_than_the_page(columns: int) -> None:
    panels = (panel([["−1.25"] * columns] * 2, numbered=True), panel([["0"] * columns]))
    assert picture_width(panels, layout(panels).widths) <= PAPER_WIDTH + 1e-6


def test_lines_are_drawn_once_and_the_strongest_wins() -> None:
    (shown, _), _ = pictures(MOVING.panels, FRAMES)
    drawn = picture([shown], layout([shown]))
    lines = [shape for shape in drawn.shapes if isinstance(shape, Line)]
    pieces = [(line.upright, round(line.x, 1), round(line.y, 1)) for line in lines]
    assert len(pieces) == len(set(pieces))
    assert [line.kind for line in lines] == sorted((line.kind for line in lines), key=KINDS.index)
    assert sum(line.kind == "thick" for line in lines) == 4
    assert sum(isinstance(shape, Ring) for shape in drawn.shapes) == 1
    assert sum(isinstance(shape, Fill) for shape in drawn.shapes) == 4


def test_markdown_says_by_marks_what_pictures_say_by_colours() -> None:
    assert words_of(Cell("0", ("padding", "window"))) == "[(0)]"
    text = markdown(Document("T", (Grid(next(iter(pictures(MOVING.panels, FRAMES))), ("c",), MOVING.legend),))).decode()
    assert "| **1** | [1] | [2] | 3 |" in text
    assert "| **1** | **12** |  |" in text
    assert "([x]: window)" in text
    listed = markdown(DOCUMENT).decode()
    assert "| **1** | 12 | 16 |" in listed
    assert "1. 1 + 2 + 4 + 5 = 12.\n2. 2 + 3 + 5 + 6 = 16." in listed


def test_a_notebook_has_a_drawing_of_every_frame() -> None:
    cells = json.loads(notebook(DOCUMENT))["cells"]
    text = "".join("".join(cell["source"]) for cell in cells)
    images = re.findall(r"data:image/svg\+xml;base64,([\w+/=]+)", text)
    assert len(images) == len(FRAMES)
    for image in images:
        root = ElementTree.fromstring(base64.b64decode(image))
        assert root.tag.endswith("svg")
    assert base64.b64decode(images[0]).count(b">12</text>") == 1
    assert base64.b64decode(images[1]).count(b">16</text>") == 1


def test_a_long_sequence_says_how_much_is_left_out() -> None:
    frame = Frame(("again",))
    long = Document("T", (Frames((NUMBERS,), (frame,) * (MOST_PICTURES + 5), ("Long",), things="windows"),))
    said = f"The first {MOST_PICTURES} of {MOST_PICTURES + 5} windows are drawn."
    assert said in markdown(long).decode()
    assert said in tex(long).decode()
    assert said in html(long).decode()
    assert tex(long).decode().count("again") == MOST_PICTURES
    large = Document("T", (Frames((panel([["0"] * 60] * 60),), (frame,) * 30, ("Large",)),))
    assert "The first 6 of 30 frames are drawn." in markdown(large).decode()
    assert said not in markdown(DOCUMENT).decode()


def test_the_pdf_has_the_words_of_every_frame_and_the_cells_of_a_grid(needs_poppler: str, tmp_path: Path) -> None:
    document = Document("T", (Grid(changed((NUMBERS,), marks=[((0, 1, 1), "wrong")]), ("A grid.",)), MOVING))
    (tmp_path / "x.pdf").write_bytes(pdf(document))
    text = subprocess.run([needs_poppler, "x.pdf", "-"], cwd=tmp_path, capture_output=True, check=True).stdout.decode()
    assert "1 + 2 + 4 + 5 = 12." in text
    assert "Figure 2. Sums of windows." in text
    assert re.search(r"4\s+5\s+6", text)


# In motion ------------------------------------------------------------------------------------------------------------

SCRIPT = """
const figure = document.querySelector("figure.frames"), stage = figure.querySelector(".stage");
const cells = [...stage.querySelectorAll("table.main")].map((table) => [...table.querySelectorAll("td")]);
const named = (one) => one.getAttribute("aria-label") || one.textContent;
const buttons = Object.fromEntries([...stage.querySelectorAll("button")].map((one) => [named(one), one]));
const seen = {};
const key = (name, target) => target.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true }));
const marked = (name) => cells[0].map((one) => one.classList.contains(name) ? 1 : 0).join("");
const look = (name) => {
  seen[name] = {
    table: cells[1].map((one) => one.textContent),
    words: stage.querySelector(".words").textContent,
    window: marked("cell-window"), ring: marked("ring"),
    thick: cells[0].map((one) => [...one.classList].filter((c) => c.startsWith("at-")).length).join(""),
    focus: cells[1].indexOf(document.activeElement),
  };
};
look("start");
buttons["Step forward"].click(); look("first");
buttons["Step forward"].click(); look("second");
buttons["Step forward"].click(); look("end");
buttons["Step back"].click(); look("back");
cells[1][1].dispatchEvent(new MouseEvent("mouseenter")); look("hover");
cells[1][1].dispatchEvent(new MouseEvent("mouseleave")); look("left");
cells[1][0].focus(); key("ArrowRight", cells[1][0]); look("right");
key("Home", document.activeElement); look("home");
buttons["Play"].click(); look("playing");
seen.pausable = stage.querySelector(".controls").textContent.includes("Pause");
key(" ", cells[1][0]);
seen.stopped = !stage.querySelector(".controls").textContent.includes("Pause");
seen.live = stage.querySelector(".words").getAttribute("aria-live");
seen.tabs = cells[1].map((one) => one.tabIndex);
seen.strip = getComputedStyle(figure.querySelector(".strip")).display;
buttons["Show all pictures"].click();
seen.opened = getComputedStyle(figure.querySelector(".strip")).display;
document.title = JSON.stringify(seen);
"""


def browsed(browser: str, path: Path, script: str) -> dict[str, Any]:
    """What the script leaves as the title of the page."""
    page = html(DOCUMENT).decode().replace("</body>", f"<script>{script}</script></body>")
    path.write_text(page, encoding="utf-8")
    options = ["--headless", "--disable-gpu", f"--user-data-dir={path.parent / 'profile'}", "--dump-dom"]
    options += ["--no-sandbox"] if os.geteuid() == 0 else []
    done = subprocess.run([browser, *options, path.as_uri()], capture_output=True, check=True, timeout=120)
    title = re.search(r"<title>(.*?)</title>", done.stdout.decode(), re.DOTALL)
    assert title is not None
    return json.loads(title[1].replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">"))


def test_the_animation_plays_steps_and_shows_what_is_pointed_at(needs_browser: str, tmp_path: Path) -> None:
    seen = browsed(needs_browser, tmp_path / "page.html", SCRIPT)
    first, second = "1 + 2 + 4 + 5 = 12.", "2 + 3 + 5 + 6 = 16."
    assert seen["start"]["table"] == ["12", "16"]
    assert seen["start"]["window"] == "000000"
    assert (seen["first"]["table"], seen["first"]["words"], seen["first"]["window"]) == (["12", ""], first, "110110")
    assert (seen["first"]["thick"], seen["first"]["ring"]) == ("220220", "000010")
    assert (seen["second"]["table"], seen["second"]["words"], seen["second"]["window"]) == (
        ["12", "16"],
        second,
        "011011",
    )
    assert seen["end"] == seen["second"]
    assert seen["back"] == seen["first"]
    assert (seen["hover"]["words"], seen["hover"]["window"]) == (second, "011011")
    assert seen["left"] == seen["first"]
    assert (seen["right"]["words"], seen["right"]["focus"]) == (second, 1)
    assert (seen["home"]["words"], seen["home"]["focus"]) == (first, 0)
    assert seen["playing"]["words"] == second
    assert seen["pausable"]
    assert seen["stopped"]
    assert seen["live"] == "polite"
    assert sorted(seen["tabs"]) == [-1, 0]
    assert (seen["strip"], seen["opened"]) == ("none", "grid")


def test_a_page_without_frames_has_no_script_for_them() -> None:
    assert b"figure.frames" not in html(Document("T", (Grid((NUMBERS,), ("c",)),))).split(b"<script>")[1]
    assert b"figure.frames" in html(DOCUMENT).split(b"<script>")[-1]


def test_data_of_an_animation_cannot_end_its_script() -> None:
    frame = Frame(("</script><b>",), written=(((0, 0, 0), "</script>"),))
    content = html(Document("T", (Frames((NUMBERS,), (frame,), ()),))).decode()
    data = content.split('<script type="application/json">')[1].split("</script>")[0]
    assert json.loads(data)["frames"][0]["words"] == "&lt;/script&gt;&lt;b&gt;"
