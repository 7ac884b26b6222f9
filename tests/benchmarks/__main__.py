"""Time gradients of Elman networks, convolutions and pooling against other libraries; write docs/performance.md.

A full run measures every size with one thread and with two, and how long a first call takes, and writes the page. With
``--quick``, ``--sizes`` or ``--threads`` the same report is printed instead.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks import convolution
from tests.benchmarks.elman import MODULES, OURS, SIZES, SPELLINGS, TOLERANCE, Size, present

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "performance.md"
COMMAND = "make benchmark"

INSTALL = {"JAX": "pip install jax jaxlib", "PyTorch": "pip install torch==2.13.0"}
DISTRIBUTIONS = ("unrolled", "numpy", "scipy", "numba", "jax", "torch", "autograd")

QUICK = SIZES[:2]


def environment(threads: int, cache: Path | None = None) -> dict[str, str]:
    """This process's environment with so many threads for every library, and its caches in the given folder."""
    variables = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    result = {**os.environ, **dict.fromkeys(variables, str(threads))}
    if cache is not None:
        result["XDG_CACHE_HOME"] = str(cache)
    return result


def worker(arguments: Sequence[str], threads: int, cache: Path | None = None, module: str = "elman") -> Any:
    """What ``python -m tests.benchmarks.elman`` (or another module) reports, run on as many cores as threads.

    The cores are what XLA looks at, which has no variable for the number of its threads.
    """
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < threads:
        raise SystemExit(f"{threads} threads want as many cores; this process may use {len(cores)}")
    os.sched_setaffinity(0, cores[:threads])
    try:
        done = subprocess.run(
            [sys.executable, "-m", f"tests.benchmarks.{module}", "--threads", str(threads), *arguments],
            cwd=ROOT,
            env=environment(threads, cache),
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.sched_setaffinity(0, cores)
    if done.returncode:
        raise SystemExit(f"The measurement failed with exit status {done.returncode}.")
    return json.loads(done.stdout.splitlines()[-1])


def start_up(library: str, repeats: int, cache: Path | None = None) -> dict[str, float]:
    """Medians of the whole process until after the second gradient, of the first call and of the second, in seconds."""
    runs = []
    for _ in range(repeats):
        start = time.perf_counter()
        times = worker(["--first-call", library], 1, cache)
        runs.append({"process": time.perf_counter() - start, **times})
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def start_ups(repeats: int) -> dict[str, dict[str, float]]:
    """The start of each library that is installed; ours once with an empty cache and then with a filled one."""
    result = {}
    with tempfile.TemporaryDirectory() as folder:
        result[f"{OURS}, nothing compiled yet"] = start_up(OURS, 1, Path(folder))
        result[f"{OURS}, compiled by an earlier process"] = start_up(OURS, repeats, Path(folder))
    for library in present():
        if library != OURS:
            result[library] = start_up(library, repeats)
    return result


def duration(seconds: float) -> str:
    """The duration with three digits and its unit.

    >>> duration(1.7345e-6), duration(0.25), duration(1.2)
    ('1.73 µs', '250 ms', '1.20 s')
    """
    unit, scale = next(((u, s) for u, s in (("s", 1.0), ("ms", 1e3)) if seconds * s >= 0.9995), ("µs", 1e6))
    value = seconds * scale
    return f"{value:#.3g} {unit}".replace(". ", " ") if value < 999.5 else f"{value:.0f} {unit}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table, its first column to the left and the others to the right."""
    rule = [":--", *["--:"] * (len(head) - 1)]
    return ["| " + " | ".join(row) + " |" for row in (head, rule, *rows)]


def cell(row: dict[str, Any], library: str) -> str:
    """The time of the library and how many of our calls fit into it."""
    if library not in row["libraries"]:
        return "missing"
    time, mine = row["libraries"][library]["seconds"], row["libraries"][OURS]["seconds"]
    ratio = time / mine
    return duration(time) if library == OURS else f"{duration(time)} ({ratio:.{1 if ratio >= 10 else 2}f}×)"


def processor() -> str:
    """The processor as the kernel names it."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def versions() -> str:
    """Python and the libraries measured, with their versions, missing ones included."""
    found = [f"Python {platform.python_version()}"]
    for name in DISTRIBUTIONS:
        try:
            found.append(f"{name} {importlib.metadata.version(name).partition('+')[0]}")
        except importlib.metadata.PackageNotFoundError:
            found.append(f"{name} (missing)")
    return ", ".join(found)


def times_page(run: dict[str, Any]) -> list[str]:
    """The section for one number of threads."""
    rows = run["rows"]
    others = [library for library in MODULES if library != OURS]
    threads = run["threads"]
    lines = [f"## {threads} thread{'s' if threads > 1 else ''}", ""]
    for dtype in TOLERANCE:
        body = [
            [
                ", ".join(map(str, row["size"])),
                f"**{row['ratio']:.2f}×**",
                f"{row['quartiles'][0]:.2f}–{row['quartiles'][1]:.2f}",
                *(cell(row, library) for library in (OURS, *others)),
            ]
            for row in rows
            if row["dtype"] == dtype
        ]
        head = ["T, B, d, n", "fastest other ÷ ours", "quartiles", OURS, *others]
        lines += [f"### {dtype}", "", *table(head, body), ""]
    choices = Counter(spelling.library for spelling in SPELLINGS)
    several = [library for library in others if choices[library] > 1]
    lines += ["The spellings that these times belong to, where a library has several:", ""]
    body = [
        [
            f"{', '.join(map(str, row['size']))} {row['dtype']}",
            *(row["libraries"].get(library, {}).get("spelling", "missing") for library in several),
        ]
        for row in rows
    ]
    return [*lines, *table(["T, B, d, n", *several], body), ""]


def windows_page(runs: Sequence[dict[str, Any]]) -> list[str]:
    """The section on convolution and pooling."""
    others = [library for library in convolution.LIBRARIES if library != OURS]
    spellings = ", ".join(f"{s.library} {s.name}" for s in convolution.SPELLINGS if s.library != OURS)
    lines = [
        "## Convolution and max pooling",
        "",
        "A convolution: y = x ⋆ w + b without padding, loss = mean over the batch of |y − t|²/2, and its gradients",
        "with respect to x and w, for N images with C channels of H × W pixels and K kernels of R × R.",
        "Max pooling: y = the largest of each R × R window, every 2 pixels; the same loss and its gradient with",
        "respect to x.",
        "",
        "Measured as above. The others are shown with their fastest out of",
        f"{spellings}. “Rate” counts the",
        "multiplications and additions of a convolution and both gradients, whatever else the call does; “of peak” is",
        "that over what the same cores reach with multiply-adds in registers alone, measured in the same run.",
        "",
    ]
    for run in runs:
        threads = run["threads"]
        for dtype in TOLERANCE:
            body = []
            for row in run["rows"]:
                if row["dtype"] == dtype:
                    rate = row["rate"]
                    part = [f"{rate / 1e9:.3g} GFLOP/s", f"{rate / run['peaks'][dtype]:.0%}"] if rate else ["", ""]
                    timed = {**row, "libraries": {name: {"seconds": s} for name, s in row["libraries"].items()}}
                    quartiles = f"{row['quartiles'][0]:.2f}–{row['quartiles'][1]:.2f}"
                    times = [cell(timed, library) for library in (OURS, *others)]
                    body.append([row["name"], f"**{row['ratio']:.2f}×**", quartiles, *times, *part])
            head = ["N, C, H, W, K, R", "fastest other ÷ ours", "quartiles", OURS, *others, "rate", "of peak"]
            name = f"{dtype}, {threads} thread{'s' if threads > 1 else ''}"
            title = f"### {name}, peak {run['peaks'][dtype] / 1e9:.0f} GFLOP/s"
            lines += [title, "", *table(head, body), ""]
    return lines


def page(
    runs: Sequence[dict[str, Any]], starts: dict[str, dict[str, float]], windows: Sequence[dict[str, Any]] = ()
) -> str:
    """The report as Markdown."""
    missing = [library for library in MODULES if library not in present()]
    spellings = {
        library: "; ".join(spelling.name for spelling in SPELLINGS if spelling.library == library)
        for library in MODULES
        if library != OURS
    }
    tolerances = " and ".join(f"{tolerance:.0e} in {dtype}" for dtype, tolerance in TOLERANCE.items())
    lines = [
        "# Performance",
        "",
        f"Written by `{COMMAND}`, which measures everything anew; nothing here is edited by hand.",
        "",
        "What is timed is one call that returns the loss of an Elman network and its gradients with respect to W, U",
        "and v: h^t = tanh(W x^t + U h^{t-1}), ŷ = ⟨v, h^T⟩, loss = mean of (ŷ − y)²/2 over the batch. There are T",
        "steps, a batch of B sequences, d inputs and n hidden units.",
        "",
        f"* Machine: {processor()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}.",
        f"* Versions: {versions()}.",
        "* All libraries get the same numbers in the same dtype. Before anything is timed, the loss and every gradient",
        f"  of every spelling must agree with a float64 reference to {tolerances},",
        "  relative to the largest entry.",
        "* Ours is the public call with its whole overhead: NumPy arrays in, arrays that the caller owns out. The",
        "  others get their inputs as their own arrays beforehand and keep their results; a call ends when the results",
        "  are ready.",
        "* Calls are interleaved: rounds visit every library in random order, a short call is repeated within a visit,",
        "  and the tables show medians over all rounds. “Quartiles” are those of the ratio, taken round by round.",
        "* One process measures everything. It is bound to as many cores as there are threads, and OpenMP, OpenBLAS,",
        "  MKL, numba and PyTorch are told the same number.",
        "* Each library is shown with its fastest spelling out of:",
        *(f"  * {library}: {names}." for library, names in spellings.items()),
    ]
    for library in missing:
        how = f" (`{INSTALL[library]}` adds it)" if library in INSTALL else ""
        lines.append(f"* **{library} is not installed and was not measured**{how}.")
    lines.append("")
    for run in runs:
        lines += times_page(run)
    lines += windows_page(windows) if windows else []
    body = [
        [name, duration(times["first"]), duration(times["second"]), duration(times["process"])]
        for name, times in starts.items()
    ]
    lines += [
        "## The first call",
        "",
        f"A fresh process, T, B, d, n = {', '.join(map(str, SIZES[0]))} in float64, one thread. “First gradient”",
        "includes the import of the library and all derivation, tracing and compiling; “whole process” is measured",
        "from outside and ends after the second gradient. NumPy is imported before the clock of the first two columns",
        "starts.",
        "",
        *table(["", "first gradient", "second", "whole process"], body),
    ]
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, then write the page or print it."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--threads", type=int, choices=(1, 2), help="only with so many threads")
    parser.add_argument("--sizes", type=Size.parse, nargs="+", metavar="T,B,d,n", help="only these sizes")
    parser.add_argument("--quick", action="store_true", help="the two smallest sizes, one thread, one second each")
    arguments = parser.parse_args(argv)
    partial = arguments.quick or arguments.sizes is not None or arguments.threads is not None

    sizes = arguments.sizes or (QUICK if arguments.quick else SIZES)
    threads = (arguments.threads,) if arguments.threads else (1,) if arguments.quick else (1, 2)
    options = ["--sizes", *(",".join(map(str, size)) for size in sizes)]
    if arguments.quick:
        options += ["--budget", "1"]
    for library in set(MODULES) - set(present()):
        print(f"{library} is missing ({INSTALL.get(library, 'make install')})", file=sys.stderr)
    runs = []
    for count in threads:
        print(f"Measuring with {count} thread{'s' if count > 1 else ''}:", file=sys.stderr, flush=True)
        runs.append(worker(options, count))
    windows = []
    for count in threads if arguments.sizes is None else ():
        print(f"Measuring convolution and pooling with {count} thread{'s' if count > 1 else ''}:", file=sys.stderr)
        windows.append(worker(["--quick"] if arguments.quick else [], count, module="convolution"))
    print("Measuring first calls", file=sys.stderr, flush=True)
    report = page(runs, start_ups(1 if arguments.quick else 3), windows)
    if partial:
        print(report, end="")
    else:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(report, encoding="utf-8")
        print(PAGE.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
