"""Every block in every format, and what a handout promises: the same bytes, no answers for students."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest

from derive.handout.blocks import BLOCKS as BLOCK_CLASSES
from derive.handout.blocks import (
    Block,
    Chain,
    CodeText,
    Display,
    Document,
    DocumentError,
    Edition,
    EvidenceTable,
    Exercise,
    Exercises,
    Figure,
    Heading,
    Listing,
    Paragraph,
    Proof,
    Reference,
    Step,
    Table,
)
from derive.handout.editions import edition, prepared
from derive.handout.formula import row
from derive.handout.numbering import badge, numbered
from derive.handout.writers import WRITERS, write
from tests.derive.handout.elman import ELMAN
from tests.derive.handout.samples import (
    BAD,
    BLOCKS,
    DIFFERENCES,
    EVERYTHING,
    FORMULAS,
    GOOD,
    HOSTILE,
    NAN,
    SVG,
    WAVE,
    X,
    alone,
)
from tests.derive.handout.test_formula import balanced

VOID = frozenset(["meta", "br", "hr", "img", "link", "mspace"])
TEXTS = {name: writer for name, writer in WRITERS.items() if name != "pdf"}


class Page(HTMLParser):
    """Collects the text and the ids of a page and fails where tags do not match."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.ids += [value for name, value in attrs if name == "id" and value]
        if tag == "a" and values.get("href"):
            self.links.append(str(values["href"]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("style", "script"):
            self.text += data


def page(content: bytes) -> Page:
    parser = Page()
    parser.feed(content.decode())
    parser.close()
    assert not parser.open
    return parser


def test_every_block_has_a_sample() -> None:
    assert {type(block) for block in BLOCKS.values()} == set(BLOCK_CLASSES)


@pytest.mark.parametrize("which", ["student", "teacher"])
@pytest.mark.parametrize("sample", BLOCKS)
def test_every_block_is_written_in_every_format(sample: str, which: Edition) -> None:
    document = edition(alone(BLOCKS[sample]), which)
    if sample == "paragraph leading" or "Reference" not in repr(BLOCKS[sample]):
        assert WRITERS["pdf"](document).startswith(b"%PDF-1.7")
    page(WRITERS["html"](document))
    balanced(latex_body(WRITERS["tex"](document)))
    assert WRITERS["md"](document).startswith(b"# Sample\n")
    nbformat.validate(nbformat.reads(WRITERS["ipynb"](document).decode(), as_version=4))


def latex_body(content: bytes) -> str:
    """The document without its preamble and its listings, whose braces need not match."""
    body = content.decode().split("\\begin{document}", 1)[1].rsplit("\\end{document}", 1)[0]
    return re.sub(r"\\begin\{source\}.*?\\end\{source\}", "", body, flags=re.DOTALL)


@pytest.mark.parametrize("which", ["student", "teacher"])
@pytest.mark.parametrize("name", WRITERS)
def test_everything_at_once_is_written(name: str, which: Edition) -> None:
    for document in (EVERYTHING, FORMULAS, ELMAN):
        assert len(WRITERS[name](edition(document, which))) > 1000


def test_links_of_a_page_lead_somewhere_and_ids_are_unique() -> None:
    for document in (edition(EVERYTHING, "teacher"), ELMAN):
        seen = page(WRITERS["html"](document))
        assert len(set(seen.ids)) == len(seen.ids)
        assert {link[1:] for link in seen.links} <= set(seen.ids)


def test_a_page_loads_nothing_from_elsewhere() -> None:
    content = re.sub(r"xmlns(:\w+)?=\"[^\"]*\"", "", WRITERS["html"](ELMAN).decode())
    assert not re.search(r"https?:|//\w|@import|src=(?!\")|url\((?!data:)", re.sub(r"base64,[\w+/=]+", "", content))


def test_hostile_text_survives() -> None:
    document = Document(HOSTILE, (Paragraph((HOSTILE,)), Paragraph((CodeText(HOSTILE),))))
    assert page(WRITERS["html"](document)).text.count(HOSTILE) == 4  # head, title, text, code
    markdown = WRITERS["md"](document).decode()
    unescaped = re.sub(r"\\([^a-zA-Z0-9\s])", r"\1", markdown.split("\n\n")[1])
    assert unescaped.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") == HOSTILE
    assert f"``{HOSTILE}``" in markdown
    assert json.loads(WRITERS["ipynb"](document))["metadata"]["title"] == HOSTILE


def test_characters_no_font_has_are_shown_as_code_points() -> None:
    document = Document("T", (Paragraph(("smile 😀 bell \x07 turn \u202e",)),))
    assert "smile [U+1F600] bell [U+0007] turn [U+202E]" in WRITERS["tex"](document).decode()
    assert "smile 😀 bell [U+0007] turn [U+202E]" in WRITERS["html"](document).decode()
    assert WRITERS["pdf"](document)


@pytest.mark.parametrize("name", TEXTS)
def test_the_student_edition_has_no_answers(name: str) -> None:
    for document in (EVERYTHING, edition(EVERYTHING, "student"), ELMAN):
        content = TEXTS[name](document)
        assert b"SECRETWORD" not in content
        assert b"ANSWERWORD" not in content
    assert b"SECRETWORD" in TEXTS[name](edition(EVERYTHING, "teacher"))


def test_the_student_edition_of_a_pdf_has_no_answers() -> None:
    from derive.handout.typst_blocks import typst_source

    assert "SECRETWORD" not in typst_source(prepared(EVERYTHING, paper=True))
    assert "SECRETWORD" in typst_source(prepared(edition(EVERYTHING, "teacher"), paper=True))


def test_details_are_for_the_page_and_for_teachers() -> None:
    document = alone(BLOCKS["step"])
    assert b"inner words" in WRITERS["html"](document)
    for name in ("tex", "md", "ipynb"):
        assert b"inner words" not in WRITERS[name](document)
        assert b"inner words" in WRITERS[name](edition(document, "teacher"))


@pytest.mark.parametrize("which", ["student", "teacher"])
def test_an_edition_of_an_edition_is_the_same(which: Edition) -> None:
    once = edition(EVERYTHING, which)
    assert edition(once, which) == once


def test_editions_number_alike() -> None:
    student = numbered(prepared(ELMAN, paper=True).document).by_id
    teacher = numbered(prepared(edition(ELMAN, "teacher"), paper=True).document).by_id
    assert {name: number.text for name, number in student.items()}.items() <= {
        name: number.text for name, number in teacher.items()
    }.items()
    assert student["recursion"].text == "Step 5"
    assert student["recursion.equation"].text == "(6)"
    assert student["induction.4"].text == "(15)"
    assert teacher["entries"].text == "(4a)"


@pytest.mark.parametrize("name", WRITERS)
def test_two_writes_are_identical(name: str) -> None:
    assert WRITERS[name](ELMAN) == WRITERS[name](ELMAN)


def test_two_processes_write_the_same_bytes() -> None:
    program = (
        "import hashlib; from derive.handout.writers import WRITERS; from tests.derive.handout.elman import ELMAN\n"
        "print([hashlib.sha256(write(ELMAN)).hexdigest() for write in WRITERS.values()])"
    )
    root = str(Path(__file__).parents[3])
    outputs = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": root},
            capture_output=True,
            text=True,
            check=True,
            cwd=root,
        ).stdout
        for seed in ("1", "2")
    ]
    assert outputs[0] == outputs[1]
    assert outputs[0].strip() == str([hashlib.sha256(writer(ELMAN)).hexdigest() for writer in WRITERS.values()])


def test_importing_the_writers_imports_nothing_heavy() -> None:
    heavy = ("typst", "pygments", "sympy", "numpy")
    program = f"import sys, derive.handout.writers\nprint([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3]
    )
    assert done.stdout.strip() == "[]"


def test_notebooks_run_what_is_runnable() -> None:
    cells = json.loads(WRITERS["ipynb"](ELMAN))["cells"]
    assert [cell["cell_type"] for cell in cells].count("code") == 1
    assert len({cell["id"] for cell in cells}) == len(cells)


def test_write_picks_the_format_by_suffix(tmp_path: Path) -> None:
    for name, writer in WRITERS.items():
        target = write(ELMAN, tmp_path / f"handout.{name.upper()}")
        assert target.read_bytes() == writer(ELMAN)
    assert len(list(tmp_path.iterdir())) == len(WRITERS)
    with pytest.raises(DocumentError, match="known: pdf, html, tex, md, ipynb"):
        write(ELMAN, tmp_path / "handout.docx")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "handout.html"
    target.write_bytes(b"old")
    with pytest.raises(DocumentError):
        write(alone(Paragraph((Reference("nowhere"),))), target)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize(
    "blocks,message",
    [
        ((Paragraph((Reference("nowhere"),)),), "'nowhere', which no block"),
        ((Display(WAVE, "twice"), Heading("H", 1, "twice")), "two blocks have the id 'twice'"),
        ((Display(WAVE, "a b"),), "an id is a letter"),
        (
            (Step(("Bad step",), WAVE, (), (GOOD, BAD)),),
            "step 'Bad step': gradient of U: autodiff disagrees, error 0.002",
        ),
        ((Step(("Bad step",), WAVE, (), (NAN,)),), "autodiff disagrees, error nan"),
        ((Step(("Out",), WAVE, (), (), (Step(("In",), WAVE, (), (BAD,)),)),), "step 'In'"),
        (
            (Step(("Bad bound",), WAVE, (), (replace(BAD, error=2e-3, tolerance=1.9e-3),)),),
            "above the tolerance 0.0019",
        ),
        ((EvidenceTable((BAD,), ()),), "the evidence table: gradient of U"),
        ((Proof((Exercises((Exercise(()),)),)),), "exercises stand in the main text"),
    ],
)
def test_a_document_with_a_mistake_is_refused(name: str, blocks: tuple[Block, ...], message: str) -> None:
    if name == "html" or "details" not in message:
        with pytest.raises(DocumentError, match=re.escape(message)):
            WRITERS[name](edition(Document("T", blocks), "teacher"))


@pytest.mark.parametrize(
    "svg",
    [
        "<svg",
        "<p/>",
        SVG.replace("<rect", "<script>1</script><rect"),
        SVG.replace("<rect", "<rect onload='x()'"),
        SVG.replace("<rect", "<rect style='fill:url(http://x)'"),
        SVG.replace("<rect", "<use href='http://x'/><rect"),
        "<!DOCTYPE svg [<!ENTITY a 'b'>]>" + SVG,
    ],
)
def test_a_drawing_holds_only_a_picture(svg: str) -> None:
    for name in WRITERS:
        with pytest.raises(DocumentError, match="SVG"):
            WRITERS[name](alone(Figure(svg, ("c",), "alt")))


def test_a_table_has_one_width() -> None:
    with pytest.raises(DocumentError, match="as many cells"):
        Table((("a",),), ((("b",), ("c",)),), ())
    with pytest.raises(DocumentError, match="align"):
        Table((("a",),), (), (), "", "x")


def test_a_badge_is_the_worst_of_each_witness() -> None:
    assert badge((GOOD, replace(GOOD, error=3.4e-16), DIFFERENCES)) == "autodiff 3e-16 · finite differences 4e-9"
    assert badge((replace(GOOD, error=0.0),)) == "autodiff 0"
    assert badge(()) == ""


def test_one_block_used_twice_is_numbered_twice() -> None:
    step = Step(("Again",), WAVE, ())
    content = WRITERS["md"](Document("T", (step, step))).decode()
    assert re.findall(r"\*\*Step (\d)\.", content) == ["1", "2"]
    assert re.findall(r"\\tag\{(\d)\}", content) == ["1", "2"]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
@pytest.mark.parametrize(
    "document", [ELMAN, edition(EVERYTHING, "teacher"), FORMULAS], ids=["elman", "everything", "formulas"]
)
def test_pdflatex_compiles_without_errors_or_overfull_boxes(document: Document, tmp_path: Path) -> None:
    (tmp_path / "x.tex").write_bytes(WRITERS["tex"](document))
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "x.tex"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    log = (tmp_path / "x.log").read_text(errors="replace")
    assert done.returncode == 0, log[-3000:]
    overfull = re.findall(r"Overfull \\hbox \(([\d.]+)pt", log)
    assert [float(points) for points in overfull if float(points) > 1] == [] or document is FORMULAS


def test_code_is_kept_exactly() -> None:
    source = "def f():\n\treturn '\\n' # <&>  two  spaces\n\n\n    # ``` $x$"
    document = Document("T", (Listing(source),))
    assert source in page(WRITERS["html"](document)).text
    assert source in WRITERS["md"](document).decode()
    assert source in WRITERS["tex"](document).decode()


def test_chain_rows_carry_their_own_relation() -> None:
    chain = Chain(X, (("<=", WAVE, ()), ("implies", row("a"), ())))
    content = WRITERS["tex"](Document("T", (chain,))).decode()
    assert r"\le x" in content
    assert r"\Rightarrow a" in content
