"""What can be said on the command line: commands, their options and examples, one row each; and how it is read."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import Any, NamedTuple

from derive import __version__
from derive.language.errors import did_you_mean, join_names

# Nothing here may import SymPy or numba, which take half a second and more: --help has to be quick.
SUFFIXES = ("pdf", "html", "tex", "md", "ipynb")
NOTATIONS = ("text", "latex", "mathml", "words")
CATALOGUE = sorted(path.stem for path in Path(__file__).with_name("systems").glob("*.txt"))


class Option(NamedTuple):
    """An option or argument: its names and what argparse is told about it."""

    flags: tuple[str, ...]
    settings: dict[str, Any]


class Command(NamedTuple):
    """A command: what it is for, its options, and examples."""

    purpose: str
    options: tuple[Option, ...]
    examples: tuple[str, ...]


def _option(*flags: str, **settings: Any) -> Option:
    return Option(flags, settings)


def _seed(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"a seed is a whole number from 0 on, not {text!r}")
    return int(text)


def _output(text: str) -> Path:
    """The path, once it is known that a handout can be written there."""
    path = Path(text)
    suffix = path.suffix.removeprefix(".").lower()
    if suffix not in SUFFIXES:
        known = f"The suffix says which format is wanted: {join_names(SUFFIXES, 'or')}."
        raise argparse.ArgumentTypeError(f"{path} has no known suffix. {did_you_mean(suffix, SUFFIXES, known)}")
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{path} is a folder.")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"There is no folder {path.parent}.")
    return path


SYSTEM = _option("system", metavar="SYSTEM", help="a name of the catalogue, or the path of a text file")
JSON = _option("--json", action="store_true", help="print JSON; docs/command-line.md lists the keys")
SEED = _option("--seed", type=_seed, default=0, metavar="N", help="seed of the random inputs (0)")

COMMANDS = {
    "list": Command("the systems of the catalogue", (JSON,), ("derive list", "derive list --json")),
    "show": Command(
        "a system, its gradients, and the steps that lead to them",
        (
            SYSTEM,
            _option("--wrt", metavar="KEY", help="one gradient only, in an array or in an initial state such as h^0"),
            _option("--form", choices=("matrix", "index"), default="matrix", help="matrices or entries (matrix)"),
            _option("--steps", action="store_true", help="also every step, with its reason and what it claims"),
            _option("--format", choices=NOTATIONS, default="text", help="how formulas are written (text)"),
            JSON,
        ),
        ("derive show elman", "derive show elman --wrt U --steps", "derive show model.txt --form index --format latex"),
    ),
    "handout": Command(
        "a verified handout as PDF, HTML, LaTeX, Markdown or notebook",
        (
            SYSTEM,
            _option(
                "-o", "--output", required=True, type=_output, metavar="FILE", help=f"FILE.{{{','.join(SUFFIXES)}}}"
            ),
            _option(
                "--edition",
                choices=("student", "teacher"),
                default="student",
                help="without or with answers",
            ),
            SEED,
        ),
        ("derive handout elman -o elman.pdf", "derive handout model.txt -o model.html --edition teacher"),
    ),
    "verify": Command(
        "every gradient, the kernel and every step against independent witnesses",
        (SYSTEM, SEED, JSON),
        ("derive verify elman", "derive verify model.txt --seed 7 --json"),
    ),
    "kernel": Command(
        "the source of the compiled loss and gradients",
        (SYSTEM, _option("--dtype", choices=("float64", "float32"), default="float64", help="the precision (float64)")),
        ("derive kernel elman", "derive kernel model.txt --dtype float32"),
    ),
}


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The options; SystemExit after help, or after saying what is wrong and what comes close to it."""
    parser, commands = _parsers()
    if not arguments:
        parser.print_help(sys.stderr)
        raise SystemExit(2)
    word = next((argument for argument in arguments if not argument.startswith("-")), None)
    if word is not None and word not in COMMANDS:
        known = f"The commands are {join_names(COMMANDS)}."
        parser.error(f"there is no command {word!r}. {did_you_mean(word, COMMANDS, known)}")
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        flags = [flag for option in COMMANDS[options.command].options for flag in option.flags if flag.startswith("-")]
        repair = did_you_mean(unknown[0].split("=")[0], flags)
        commands[options.command].error(f"{unknown[0]!r} is one too many. {repair}".rstrip())
    return options


def _parsers() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    style: dict[str, Any] = {"formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False}
    parser = argparse.ArgumentParser(
        prog="derive",
        description="Derive, check and run the gradients of a system of equations.",
        epilog=f"{_examples([row.examples[0] for row in COMMANDS.values()])}\n\n{_systems()}\n\n"
        "exit codes:\n  0 all is well, 1 a check failed, 2 wrong usage or unreadable input",
        **style,
    )
    parser.add_argument("--version", action="version", version=f"unrolled {__version__}")
    subparsers = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND", required=True)
    for name, row in COMMANDS.items():
        purpose = f"{row.purpose[0].upper()}{row.purpose[1:]}."
        epilog = f"{_examples(row.examples)}\n\n{_systems()}" if SYSTEM in row.options else _examples(row.examples)
        command = subparsers.add_parser(name, help=row.purpose, description=purpose, epilog=epilog, **style)
        for flags, settings in row.options:
            command.add_argument(*flags, **settings)
    return parser, dict(subparsers.choices)


def _systems() -> str:
    names = fill(", ".join(CATALOGUE), 78, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)
    return f"systems of the catalogue:\n{names}"


def _examples(examples: Sequence[str]) -> str:
    return "\n".join(["examples:", *(f"  {example}" for example in examples)])
