"""Starting is cheap: what is not needed yet is not imported yet."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

HELP = """
from derive.cli import main
try:
    main(["--help"])
except SystemExit as exit:
    assert not exit.code, exit.code
"""


def imported(program: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded after running the program."""
    report = "\nimport json, sys\nprint(json.dumps([name for name in sys.modules if '.' not in name]), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", program + report], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize("package", ["derive", "kernels"])
def test_importing_a_package_imports_no_compiler(package: str) -> None:
    assert imported(f"import {package}").isdisjoint({"numba", "llvmlite"})


def test_help_imports_no_library_that_is_slow_to_load() -> None:
    slow = {"sympy", "numba", "llvmlite", "scipy", "autograd", "jax", "torch", "matplotlib", "kernels"}
    assert imported(HELP).isdisjoint(slow)


def test_the_installed_command_prints_its_help_within_a_second_of_cpu() -> None:
    command = Path(sys.executable).with_name("derive")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([command, "--help"], capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    assert "usage: derive" in done.stdout
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.0


@pytest.mark.parametrize("package", ["derive", "kernels"])
def test_every_folder_with_modules_is_a_package_so_that_the_import_contracts_see_it(package: str) -> None:
    folders = {path.parent for path in (Path(__file__).parents[1] / package).rglob("*.py")}
    assert [folder for folder in sorted(folders) if not (folder / "__init__.py").is_file()] == []
