"""What can be said on the command line: commands, their options and examples, one row each; and how it is read."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import Any, NamedTuple

from derive import __version__
from derive.language.errors import did_you_mean, join_names
from derive.worked.kinds import PADDINGS, POOLING, ROUNDINGS, TIES

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


def _choice(text: str) -> tuple[str, str]:
    name, equals, value = (part.strip() for part in text.partition("="))
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"{text!r} sets nothing; write --set NAME=VALUE, as in --set D=2")
    return name, value


SYSTEM = _option("system", metavar="SYSTEM", help="a name of the catalogue, or the path of a text file")
SET = _option(
    "--set",
    action="append",
    default=[],
    type=_choice,
    metavar="NAME=VALUE",
    help="the value of an option, or a number for a size (a,b for components); may be repeated",
)
JSON = _option("--json", action="store_true", help="print JSON; docs/command-line.md lists the keys")
SEED = _option("--seed", type=_seed, default=0, metavar="N", help="seed of the random inputs (0)")

GRID = _option("grid", type=Path, metavar="GRID.csv", help="a table of numbers; commas, semicolons, tabs or spaces")
PAD = _option("--pad", default="0", metavar="T,B,L,R", help="padding: top,bottom,left,right, or one number (0)")
DILATION = _option("--dilation", metavar="AxB", help="distance between the cells of a window, down × right (1x1)")
WORKED = (
    _option("--gradient", type=Path, metavar="G.csv", help="what arrives at each entry of the table (1 everywhere)"),
    _option("-o", "--output", type=_output, metavar="FILE", help=f"also a page, FILE.{{{','.join(SUFFIXES)}}}"),
    _option("--against", type=Path, metavar="T.csv", help="a table worked out by hand: name every wrong cell"),
    JSON,
)
"""What both commands that work through a grid can be told."""

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
    "gradient": Command(
        "the gradient of an expression, without a file",
        (
            _option("expression", metavar="EXPRESSION", help='for example "a\' X b + log det X"'),
            _option(
                "--where", default="", metavar="SHAPES", help='what its letters are: "a, b in R^n, X in R^(n x n)"'
            ),
            _option("--wrt", action="append", default=[], metavar="X", help="by what; may be repeated (everything)"),
            _option("--hessian", action="store_true", help="second derivatives instead"),
            _option("--steps", action="store_true", help="also every step, with its reason and what it claims"),
            _option("--format", choices=NOTATIONS, default="text", help="how formulas are written (text)"),
            _option(
                "-o", "--output", type=_output, metavar="FILE", help=f"also a handout, FILE.{{{','.join(SUFFIXES)}}}"
            ),
            SEED,
            JSON,
        ),
        (
            'derive gradient "a\' X b + log det X" --wrt X --where "a, b in R^n, X in R^(n x n)"',
            'derive gradient "logsumexp(A x)" --wrt x --hessian --where "A in R^(m x n), x in R^n" --steps',
        ),
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
    "pool": Command(
        "the pooling of a grid of numbers, window by window, forwards and backwards",
        (
            GRID,
            _option("--window", required=True, metavar="AxB", help="rows × columns of the window, or one number"),
            _option("--stride", metavar="AxB", help="how far the window moves, down × right (the size of the window)"),
            PAD,
            DILATION,
            _option("--kind", choices=POOLING, default="max", help="what is taken of each window (max)"),
            _option("--padding", choices=PADDINGS, default="zero", help="padding is zeros, or takes no part (zero)"),
            _option("--ties", choices=TIES, help="which of several equal maxima receives the gradient (first)"),
            _option(
                "--round", choices=ROUNDINGS, default="down", help="up keeps a last window that is not full (down)"
            ),
            *WORKED,
        ),
        (
            "derive pool grid.csv --window 2x2 --stride 1x2 --pad 0,1,0,1 -o page.html",
            "derive pool grid.csv --window 3 --kind average --against slide.csv",
        ),
    ),
    "conv": Command(
        "the convolution of a grid of numbers, window by window, forwards and backwards",
        (
            GRID,
            _option("--kernel", required=True, type=Path, metavar="K.csv", help="the table of the kernel"),
            _option("--stride", metavar="AxB", help="how far the kernel moves, down × right (1x1)"),
            PAD,
            DILATION,
            _option("--flip", action="store_true", help="turn the kernel round: convolution in the strict sense"),
            *WORKED,
        ),
        (
            "derive conv grid.csv --kernel kernel.csv --pad 1",
            "derive conv grid.csv --kernel kernel.csv --stride 2x1 --flip -o page.pdf",
        ),
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
    options, unknown = parser.parse_known_args(_with_values(arguments))
    if unknown:
        rows = (*COMMANDS[options.command].options, SET)
        flags = [flag for option in rows for flag in option.flags if flag.startswith("-")]
        repair = did_you_mean(unknown[0].split("=")[0], flags)
        commands[options.command].error(f"{unknown[0]!r} is one too many. {repair}".rstrip())
    return options


def _with_values(arguments: Sequence[str]) -> list[str]:
    """``--pad -1,0`` as ``--pad=-1,0``: what begins with a minus and a digit is a value, never an option."""
    joined: list[str] = []
    for argument in arguments:
        after_option = joined and re.fullmatch(r"--[a-z]+", joined[-1])
        if after_option and re.match(r"[-−][0-9.]", argument):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


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
        for flags, settings in (*row.options, *([SET] if SYSTEM in row.options else [])):
            command.add_argument(*flags, **settings)
    return parser, dict(subparsers.choices)


def _systems() -> str:
    names = fill(", ".join(CATALOGUE), 78, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)
    return f"systems of the catalogue:\n{names}"


def _examples(examples: Sequence[str]) -> str:
    return "\n".join(["examples:", *(f"  {example}" for example in examples)])
