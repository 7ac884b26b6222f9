"""The command: what it prints, how it refuses, and with which exit code."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import derive
import kernels.verification
from derive import cli, command_line, terminal
from derive.evidence import Evidence
from kernels.verification import Report

ROOT = Path(__file__).parents[2]
ELMAN = """\
title   Elman RNN, sequence to single
source  J. L. Elman, Finding structure in time, Cognitive Science 14(2), 179–211, 1990
sizes   T steps, d inputs, n hidden
given   x^t in R^d for t = 1..T,  y in R
learn   W in R^(n x d),  U in R^(n x n),  v in R^n
start   h^0 = 0
for t = 1..T:
    z^t = W x^t + U h^{t-1}
    h^t = f(z^t)
end
yhat = <v, h^T>
loss = (yhat - y)^2 / 2
where   f is tanh
"""
ANSI = "\x1b["


def run(*arguments: str, stdin: int | None = None, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """The command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "derive", *arguments],
        capture_output=True,
        stdin=stdin,
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )


@pytest.fixture
def definition(tmp_path: Path) -> Path:
    """A file with the Elman network in it."""
    path = tmp_path / "model.txt"
    path.write_text(ELMAN, encoding="utf-8")
    return path


# What each command prints ---------------------------------------------------------------------------------------------


def test_list_names_every_system(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list"]) == 0
    shown = capsys.readouterr()
    assert all(re.search(rf"^{name} ", shown.out, re.MULTILINE) for name in derive.names())
    assert shown.err == ""


def test_list_as_json_has_name_title_and_summary(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list", "--json"]) == 0
    entries = json.loads(capsys.readouterr().out)
    assert [entry["name"] for entry in entries] == list(derive.names())
    assert all(set(entry) == {"name", "title", "summary"} for entry in entries)


def test_show_has_the_definition_the_equations_the_recursion_every_gradient_and_the_chain(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["show", "elman"]) == 0
    text = capsys.readouterr().out
    headings = ["Declared", "Learnt in all", "Forward", "Backward", "Gradients", "Jacobian chain"]
    assert [line for line in text.splitlines() if line in headings] == headings
    derivation = derive.gradient(derive.load("elman"))
    assert all(derivation[key].text() in text for key in derivation)
    assert "f = tanh" in text
    assert ANSI not in text


def test_show_takes_a_path(definition: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["show", str(definition)]) == 0
    assert "∂ℓ/∂U = Σ" in capsys.readouterr().out


def test_show_wrt_shows_one_gradient_and_only_what_it_needs(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["show", "elman-stack", "--wrt", "B"]) == 0
    text = capsys.readouterr().out
    assert "∂ℓ/∂B = " in text
    assert "∂ℓ/∂U" not in text
    assert "δ_z" not in text, "the lower layer sends nothing back to the upper one"


def test_the_index_form_has_subscripts(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["show", "elman", "--wrt", "U", "--form", "index"]) == 0
    assert "∂ℓ/∂Uᵢⱼ" in capsys.readouterr().out


def test_steps_are_numbered_and_carry_reason_and_claim(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["show", "elman", "--steps"]) == 0
    text = capsys.readouterr().out
    steps = derive.gradient(derive.load("elman")).steps
    assert [int(number) for number in re.findall(r"^ ?(\d+)\. ", text, re.MULTILINE)] == list(range(1, len(steps) + 1))
    assert all(f"[{step.id}]" in text for step in steps)
    assert text.count("    claim: ") == sum(len(step.claims) for step in steps)
    assert "the shares add up" in " ".join(text.split())


def test_steps_wrt_lead_to_that_gradient_and_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["show", "elman", "--wrt", "W", "--steps"]) == 0
    text = capsys.readouterr().out
    assert re.findall(r"\[(gradient-\w+)\]", text) == ["gradient-W"]


@pytest.mark.parametrize("notation, piece", [("latex", r"\frac{"), ("mathml", "<math"), ("words", "partial")])
def test_formulas_are_written_in_the_notation_asked_for(
    notation: str, piece: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["show", "elman", "--steps", "--format", notation]) == 0
    assert piece in capsys.readouterr().out


def test_every_notation_and_suffix_offered_exists_and_every_one_that_exists_is_offered() -> None:
    from derive.formats import FORMATS
    from derive.handout.writers import WRITERS

    assert set(command_line.NOTATIONS) == set(FORMATS)
    assert set(command_line.SUFFIXES) == set(WRITERS)
    assert list(derive.names()) == command_line.CATALOGUE
    assert set(cli.RUN) == set(command_line.COMMANDS)


def test_words_in_latex_output_are_comments(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["show", "elman", "--format", "latex", "--steps"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.strip() and not line.startswith("%")]
    assert all(line.startswith("  ") for line in lines)


SHOW_KEYS = {
    "name", "title", "sources", "conventions", "functions", "options", "sizes", "definition", "arrays",
    "parameters",
    "forward", "backward", "gradients", "chains", "steps",
}  # fmt: skip


@pytest.mark.parametrize("name", command_line.CATALOGUE)
def test_show_as_json_has_the_documented_keys(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["show", name, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert set(data) == SHOW_KEYS
    assert list(data["gradients"]) == list(derive.gradient(derive.load(name)))
    for gradient in data["gradients"].values():
        assert set(gradient) == {"shape", "has_matrix_form", "matrix", "index"}
        assert set(gradient["matrix"]) == {"text", "latex"}
    for step in data["steps"]:
        assert set(step) == {"id", "title", "rule", "reason", "lines", "claims", "proof", "details"}
    assert derive.parse(data["definition"]).program.equations == derive.load(name).program.equations


def test_show_wrt_as_json_has_that_gradient_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["show", "elman", "--wrt", "h^0", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert list(data["gradients"]) == ["h^0"]
    assert data["gradients"]["h^0"]["shape"] == ["n"]


def test_verify_prints_a_table_of_gradients_kernel_and_steps(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["verify", "elman", "--seed", "3"]) == 0
    text = capsys.readouterr().out
    assert all(re.search(rf"^{title}  .*autograd", text, re.MULTILINE) for title in terminal.TITLES.values())
    assert text.count("gradient in U") == 2
    assert re.search(r"^All \d+ comparisons passed \(seed 3\)\.$", text, re.MULTILINE)


def test_verify_as_json_has_the_documented_keys(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["verify", "feedforward", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert set(data) == {"name", "title", "seed", "passed", "evidence", "not_installed"}
    assert data["passed"] is True
    assert {record["subject"] for record in data["evidence"]} == {"gradient", "kernel", "step"}
    keys = {"subject", "claim", "witness", "error", "tolerance", "sizes", "points", "seed", "passed"}
    assert all(set(record) == keys for record in data["evidence"])


@pytest.mark.parametrize("error", [1e-3, float("nan"), float("inf")])
def test_verify_exits_1_and_says_so_when_a_comparison_fails(
    error: float, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    true_verify = kernels.verification.verify

    def planted(*arguments: Any, **named: Any) -> Report:
        first, *others = true_verify(*arguments, **named)
        return Report((replace(first, error=error), *others))

    monkeypatch.setattr(kernels.verification, "verify", planted)
    assert cli.main(["verify", "feedforward"]) == 1
    text = capsys.readouterr().out
    assert "FAILED" in text
    assert re.search(r"^1 of \d+ comparisons FAILED", text, re.MULTILINE)
    assert cli.main(["verify", "feedforward", "--json"]) == 1
    data = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert data["passed"] is False
    assert data["evidence"][0]["error"] == (error if error == 1e-3 else None)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_kernel_prints_source_that_python_can_read(dtype: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["kernel", "elman", "--dtype", dtype]) == 0
    source = capsys.readouterr().out
    compile(source, "kernel", "exec")
    assert dtype in source


def test_a_system_with_an_open_function_is_verified_with_a_stand_in_and_has_no_kernel(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "open.txt"
    path.write_text(ELMAN.replace("f is tanh", "f is opaque"), encoding="utf-8")
    assert cli.main(["verify", str(path)]) == 0
    assert "gradient in U (f = " in capsys.readouterr().out
    assert cli.main(["kernel", str(path)]) == 2
    assert "There is no kernel: the function f is left open by the definition." in capsys.readouterr().err


@pytest.mark.parametrize("edition", ["student", "teacher"])
@pytest.mark.parametrize("suffix", ["html", "md"])
def test_handout_writes_the_file_and_says_what_was_compared(
    suffix: str, edition: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"elman.{suffix}"
    assert cli.main(["handout", "elman", "-o", str(path), "--edition", edition]) == 0
    assert path.stat().st_size > 10_000
    said = capsys.readouterr().out
    assert re.fullmatch(rf"{re.escape(str(path))}: \d+ steps, \d+ comparisons, all within their tolerances\n", said)


def test_a_failed_check_stops_the_handout_with_exit_code_1_and_names_the_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    true_check = kernels.verification.check_steps

    def planted(*arguments: Any) -> Mapping[str, tuple[Evidence, ...]]:
        steps = dict(true_check(*arguments))
        steps["gradient-U"] = tuple(replace(record, error=0.5) for record in steps["gradient-U"])
        return steps

    monkeypatch.setattr(kernels.verification, "check_steps", planted)
    path = tmp_path / "elman.html"
    assert cli.main(["handout", "elman", "-o", str(path)]) == 1
    assert "gradient-U" in capsys.readouterr().err
    assert not path.exists()


# Help and usage -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [None, *command_line.COMMANDS])
def test_help_has_examples_and_exits_0(command: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"] if command is None else [command, "--help"]) == 0
    text = capsys.readouterr().out
    assert "examples:\n  derive " in text
    assert "%" not in text


@pytest.mark.parametrize("row", command_line.COMMANDS.values(), ids=command_line.COMMANDS)
def test_every_example_in_the_help_can_be_parsed(row: command_line.Command) -> None:
    for example in row.examples:
        _, *arguments = shlex.split(example)
        assert command_line.parsed(arguments).command == arguments[0]


def test_version_is_that_of_the_project(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"unrolled {derive.__version__}\n"
    assert f'\nversion = "{derive.__version__}"\n' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


USAGE = {
    "no command": ([], "usage: derive"),
    "misspelt command": (["shwo", "elman"], "there is no command 'shwo'. Did you mean show?"),
    "misspelt option": (["show", "elman", "--jsn"], "Did you mean --json"),
    "misspelt system": (["show", "ellman"], "There is no system called 'ellman'.\nDid you mean elman?"),
    "misspelt key": (["show", "elman", "--wrt", "u"], "There is no u to differentiate by.\nDid you mean U?"),
    "key without its sign": (["show", "elman", "--wrt", "h0"], "Did you mean h^0?"),
    "unknown key": (["show", "elman", "--wrt", "gamma"], "There are x, y, W, U, v and h^0."),
    "unknown form": (["show", "elman", "--form", "tensor"], "invalid choice: 'tensor'"),
    "one argument too many": (["show", "elman", "leaky"], "'leaky' is one too many"),
    "no system": (["show"], "the following arguments are required: SYSTEM"),
    "no output": (["handout", "elman"], "the following arguments are required: -o/--output"),
    "negative seed": (["verify", "elman", "--seed", "-1"], "a seed is a whole number from 0 on, not '-1'"),
    "unknown precision": (["kernel", "elman", "--dtype", "float16"], "invalid choice: 'float16'"),
    "unknown suffix": (["handout", "elman", "-o", "elman.docx"], "pdf, html, tex, md or ipynb."),
    "misspelt suffix": (["handout", "elman", "-o", "elman.pfd"], "Did you mean pdf?"),
    "no suffix": (["handout", "elman", "-o", "elman"], "pdf, html, tex, md or ipynb."),
    "no such folder": (["handout", "elman", "-o", "nowhere/elman.pdf"], "There is no folder nowhere."),
    "missing file": (["show", "nowhere.txt"], "nowhere.txt cannot be read: No such file or directory."),
    "empty name": (["show", ""], "There is no system called ''."),
    "endless name": (["show", "a" * 5000], "cannot be read: File name too long."),
}


@pytest.mark.parametrize("arguments, message", USAGE.values(), ids=USAGE)
def test_wrong_usage_exits_2_and_says_what_would_be_right(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert message in said.err


def test_a_folder_is_no_system(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["show", str(tmp_path)]) == 2
    assert str(tmp_path) in capsys.readouterr().err


def test_a_folder_cannot_be_the_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "elman.pdf").mkdir()
    assert cli.main(["handout", "elman", "-o", str(tmp_path / "elman.pdf")]) == 2
    assert "elman.pdf is a folder." in capsys.readouterr().err


def test_an_output_that_cannot_be_written_exits_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["handout", "elman", "-o", "/proc/elman.md"]) == 2
    assert re.search(r"^derive: /proc/elman\.md cannot be written: .+\.$", capsys.readouterr().err)


# Definitions with a mistake -------------------------------------------------------------------------------------------

WRONG = {
    "unknown name": (ELMAN.replace("W x^t", "Q x^t"), ":8:11: ", "Q"),
    "shape mismatch": (ELMAN.replace("W x^t", "U x^t"), ":8:11: ", "U is n×n, x^t has d rows"),
    "missing boundary value": (ELMAN.replace("start   h^0 = 0\n", ""), ":7:21: ", "h^0"),
    "an equation that uses the future": (ELMAN.replace("h^{t-1}", "h^{t+1}"), ":8:21: ", "h^{t+1}"),
    "a cycle within one time step": (ELMAN.replace("h^{t-1}", "h^t"), ":9:13: ", "z^t → h^t → z^t"),
    "a loss that is not a scalar": (ELMAN.replace("(yhat - y)^2 / 2", "v"), ":12:1: ", "not a number"),
    "unknown function": (ELMAN.replace("f(z^t)", "tanj(z^t)"), ":9:11: ", "Did you mean tanh?"),
    "empty file": ("", ": ", "There is nothing here to read."),
    "binary file": (b"\x7fELF\x00\x01" * 50, ": ", "is no text file"),
    "a file that is not UTF-8": (b"title \xff\xfe", ": ", "is not UTF-8"),
    "a file of 10 MB": (b"z = x\n" * 1_700_000, "", "more than 200,000 bytes"),
    "T = 0": (ELMAN.replace("T steps", "T = 0"), ":3:9: ", "0"),
    "an empty range": (ELMAN.replace("t = 1..T", "t = 1..0"), ":", "The range 1..0 of t is empty."),
    "no loss": (ELMAN.replace("loss =", "error ="), ":", "No equation defines the loss."),
}


@pytest.mark.parametrize("content, place, message", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("command", ["show", "verify", "kernel", "handout"])
def test_a_definition_with_a_mistake_exits_2_with_place_and_message(
    content: str | bytes, place: str, message: str, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    output = ["-o", str(tmp_path / "model.md")] if command == "handout" else []
    assert cli.main([command, str(path), *output]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert f"{path}{place}" in said.err
    assert message in said.err
    assert "Traceback" not in said.err


def test_the_messages_of_all_mistakes_differ(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.txt"
    messages: list[str] = []
    for content, _, _ in WRONG.values():
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        cli.main(["show", str(path)])
        messages.append(capsys.readouterr().err.splitlines()[0])
    assert len(set(messages)) == len(WRONG)


def test_the_line_at_fault_is_shown_with_a_caret_and_a_repair(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.txt"
    path.write_text(ELMAN.replace("W x^t", "U x^t"), encoding="utf-8")
    cli.main(["show", str(path)])
    assert capsys.readouterr().err.splitlines() == [
        f"{path}:8:11: U is n×n, x^t has d rows: these do not multiply.",
        "        z^t = U x^t + U h^{t-1}",
        "              ^^^^^",
        "Did you mean W?",
    ]


# The process around it ------------------------------------------------------------------------------------------------


def test_piped_output_has_no_colours_and_is_utf_8_in_every_locale() -> None:
    shown = run("show", "elman", LC_ALL="C", LANG="C", PYTHONIOENCODING="", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert shown.returncode == 0
    assert "∂ℓ/∂U = Σ" in shown.stdout.decode("utf-8")
    assert ANSI.encode() not in shown.stdout
    assert shown.stderr == b""


def test_errors_are_utf_8_and_have_no_traceback(tmp_path: Path) -> None:
    path = tmp_path / "model.txt"
    path.write_text(ELMAN.replace("W x^t", "U x^t"), encoding="utf-8")
    shown = run("show", str(path), LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert shown.returncode == 2
    assert "U is n×n" in shown.stderr.decode("utf-8")


def test_a_closed_pipe_is_quiet() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "derive", "show", "elman", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_an_interrupt_exits_130_and_is_quiet(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setitem(cli.RUN, "list", interrupted)
    assert cli.main(["list"]) == 130
    assert capsys.readouterr().err == ""


def test_colours_are_shown_on_a_terminal_unless_nobody_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert terminal.painted("passed", "good") == "\x1b[32mpassed\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert terminal.painted("passed", "good") == "passed"


def test_progress_is_silent_where_no_terminal_watches(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal.progress("Deriving") as say:
        say("Checking")
    assert capsys.readouterr().err == ""


def test_importing_derive_imports_neither_sympy_nor_numpy() -> None:
    program = "import sys, derive; print(sorted({'sympy', 'numpy', 'numba', 'lark', 'kernels'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "[]\n"


def test_derive_offers_what_it_lists_and_nothing_else() -> None:
    assert all(getattr(derive, name) is not None for name in derive.__all__)
    assert dir(derive) == derive.__all__
    with pytest.raises(AttributeError, match="no attribute 'grad'"):
        _ = derive.grad
