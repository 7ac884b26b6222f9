"""The ``derive`` command: parses, calls the library, prints, returns an exit code.

0: all is well. 1: a check failed. 2: the question cannot be answered as it was put (usage, a definition with a mistake,
a file that cannot be read or written). 130: interrupted. 141: whoever read the output has closed it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from derive.command_line import parsed
from derive.language.errors import DefinitionError, did_you_mean, join_names
from derive.terminal import Say, columns, evidence_table, painted, progress, verdict, write_unicode

if TYPE_CHECKING:
    from derive.derivation import Derivation
    from derive.evidence import Evidence
    from kernels import Kernel
    from kernels.verification import Report

# SymPy and numba take half a second and more to import: whatever needs them is imported inside the function that does.

ALWAYS_INSTALLED = ("autograd", "complex step", "differences")
"""The witnesses of a handout: the same on every machine, so that its bytes are."""


class UsageError(ValueError):
    """The command line asks for something that cannot be done."""


def _list(options: argparse.Namespace) -> int:
    from derive.catalogue import listing
    from derive.report_data import entry_data

    entries = listing()
    if options.json:
        return _print_json([entry_data(entry) for entry in entries])
    for entry, line in zip(entries, columns([(entry.name, entry.title) for entry in entries]), strict=True):
        print(f"{line}\n    {painted(entry.summary, 'dim')}")
    return 0


def _show(options: argparse.Namespace) -> int:
    from derive.report_data import derivation_data
    from derive.report_text import written

    with progress("Deriving"):
        derivation = _derivation(options.system, options.set)
        keys = list(derivation)
        if options.wrt is not None and options.wrt not in keys:
            repair = did_you_mean(options.wrt, keys, f"There are {join_names(keys)}.")
            raise UsageError(f"There is no {options.wrt} to differentiate by.\n{repair}")
        if options.json:
            return _print_json(derivation_data(derivation, options.wrt))
        sheet = written(derivation, options.wrt, options.form, options.format, options.steps)
    print(sheet)
    return 0


def _handout(options: argparse.Namespace) -> int:
    path = options.output
    with progress("Deriving") as say:
        derivation = _derivation(options.system, options.set)
        from derive.handout.blocks import DocumentError
        from derive.handout.editions import edition
        from derive.handout.writers import write
        from derive.lesson.compose import handout
        from derive.lesson.example import worked_example

        kernel, report, steps = _checked(derivation, options.seed, say, ALWAYS_INSTALLED)
        say("Writing the handout")
        try:
            document = handout(
                derivation,
                step_evidence=steps,
                report=report.evidence,
                kernel_source=kernel.source,
                example=worked_example(derivation, options.seed),
            )
            write(edition(document, options.edition), path)
        except DocumentError as error:
            print(f"derive: no handout was written: {error}", file=sys.stderr)
            return 1
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {error.strerror}.") from None
    count = len(report) + sum(map(len, steps.values()))
    print(f"{path}: {len(derivation.steps)} steps, {count} comparisons, all within their tolerances")
    return 0


def _verify(options: argparse.Namespace) -> int:
    from derive.overview import evidence_groups
    from derive.report_data import evidence_data

    with progress("Deriving") as say:
        derivation = _derivation(options.system, options.set)
        _, report, steps = _checked(derivation, options.seed, say)
    groups = evidence_groups(report, steps)
    records = [record for group in groups.values() for record in group]
    if options.json:
        _print_json(evidence_data(derivation.system, options.seed, groups, report.missing))
    else:
        print("\n".join([*evidence_table(groups), *verdict(records, options.seed, report.missing)]))
    return 0 if records and all(record.passed for record in records) else 1


def _kernel(options: argparse.Namespace) -> int:
    with progress("Deriving"):
        source = _compiled(_derivation(options.system, options.set), {}, options.dtype, jit=False).source
    print(source.rstrip("\n"))
    return 0


def _gradient(options: argparse.Namespace) -> int:
    with progress("Deriving") as say:
        from derive.calculus.whole_entries import NoDerivative
        from derive.evaluate import EvaluationError
        from derive.hessians import hessian
        from derive.questions import gradient_of
        from derive.report_answer import answer_data, written_answer

        wrt = [name for entry in options.wrt for name in entry.replace(",", " ").split()]
        asked = (hessian if options.hessian else gradient_of)(options.expression, wrt, options.where)
        say("Asking the witnesses")
        from kernels.verification.questions import verify_question

        try:
            report = verify_question(asked, options.seed, quick=True)
        except EvaluationError as error:
            raise UsageError(f"The answer could not be checked: {error}.") from None
        except NoDerivative as error:
            raise UsageError(f"{error.message}\n{error.repair}") from None
        if options.output:
            say("Checking every step")
            _write_answer(asked, report, options)
        if options.json:
            printed = json.dumps(answer_data(asked, report.evidence), ensure_ascii=False, indent=2)
        else:
            printed = written_answer(asked, report.evidence, options.format, options.steps)
    print(printed)
    return 0 if report.passed else 1


def _write_answer(asked: Any, report: Report, options: argparse.Namespace) -> None:
    from derive.handout.blocks import DocumentError
    from derive.handout.writers import write
    from derive.lesson.answer import answer_document
    from derive.report_answer import derivations
    from kernels.verification import check_steps

    steps = [(derivation, check_steps(derivation, options.seed)) for _, derivation, _ in derivations(asked)]
    try:
        write(answer_document(asked, report.evidence, steps), options.output)
    except DocumentError as error:
        raise UsageError(f"No handout was written: {error}") from None
    except OSError as error:
        raise UsageError(f"{options.output} cannot be written: {error.strerror}.") from None


def _worked(options: argparse.Namespace) -> int:
    with progress("Working through the windows"):
        from derive.worked.command import answer
        from derive.worked.errors import WorkedError

        try:
            text, code = answer(options)
        except WorkedError as error:
            raise UsageError(str(error)) from None
    print(text)
    return code


def _derivation(system: str, choices: Sequence[tuple[str, str]] = ()) -> Derivation:
    from derive.catalogue import UnknownSystem, load
    from derive.derivation import gradient

    try:
        return gradient(load(system, **dict(choices)))
    except UnknownSystem as error:
        raise UsageError(f"{error.message}\n{error.repair}") from None
    except DefinitionError as error:
        error.file = system
        raise
    except OSError as error:
        raise UsageError(f"{system[:80]} cannot be read: {error.strerror}.") from None


def _compiled(derivation: Derivation, functions: Mapping[str, str], dtype: str = "float64", jit: bool = True) -> Kernel:
    import kernels

    try:
        return kernels.compile(derivation, dtype, jit, functions)
    except kernels.UnboundFunction as error:
        fact, _, _ = str(error).partition(";")
        raise UsageError(f"There is no kernel: {fact}.\nSay there what it is, for example: where f is tanh") from None
    except kernels.CannotCompile as error:
        raise UsageError(f"There is no kernel: {error}") from None


def _checked(
    derivation: Derivation, seed: int, say: Say, witnesses: Sequence[str] | None = None
) -> tuple[Kernel, Report, Mapping[str, tuple[Evidence, ...]]]:
    """The kernel, what the witnesses say about it and about every gradient, and what they say about every step."""
    say("Compiling the kernel (a few seconds the first time)")
    from derive.evaluate import bindings

    kernel = _compiled(derivation, bindings(derivation.system.program))  # open functions have stand-ins in a check
    from kernels.verification import check_steps, verify

    say("Asking the witnesses about every gradient")
    report = verify(derivation, seed, witnesses=witnesses, kernel=_all_gradients(kernel, tuple(derivation)))
    say("Checking every step")
    return kernel, report, check_steps(derivation, seed)


def _all_gradients(
    kernel: Kernel, keys: Sequence[str]
) -> Callable[[Mapping[str, int], Mapping[str, Any]], dict[str, Any]]:
    """The kernel as the witnesses are asked: sizes, and all arrays in one mapping; all gradients out."""

    def gradients(sizes: Mapping[str, int], values: Mapping[str, Any]) -> dict[str, Any]:
        learnt = {key: values[key] for key in kernel.learnt}
        return kernel.gradients(learnt, {**sizes, **{key: values[key] for key in values if key not in learnt}}, keys)

    return gradients


def _print_json(data: object) -> int:
    print(json.dumps(data, ensure_ascii=False, indent=2))
    return 0


RUN: dict[str, Callable[[argparse.Namespace], int]] = {
    "list": _list,
    "show": _show,
    "gradient": _gradient,
    "handout": _handout,
    "verify": _verify,
    "kernel": _kernel,
    "pool": _worked,
    "conv": _worked,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    write_unicode()
    try:
        options = parsed(sys.argv[1:] if argv is None else argv)
        code = RUN[options.command](options)
        sys.stdout.flush()
    except SystemExit as stop:  # argparse has said what there is to say
        return int(stop.code or 0)
    except DefinitionError as error:
        return _refuse(str(error))
    except UsageError as error:
        return _refuse(f"derive: {error}")
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains as it ends
        return 141
    except KeyboardInterrupt:
        return 130
    return code


def _refuse(message: str) -> int:
    print(message.rstrip("\n"), file=sys.stderr)
    return 2
