"""What every test can rely on: no silent skips in CI, reproducible examples, and fixtures for what may be missing.

A test that needs something optional asks for the fixture that names it, ``needs_tex`` for instance. The fixture skips
the test with the command that installs the thing, and otherwise returns it: the path of a program, or a module.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import warnings
from collections.abc import Generator
from typing import Any, NamedTuple, NoReturn

import hypothesis
import pytest

NO_SKIPS = "UNROLLED_NO_SKIPS"


class Program(NamedTuple):
    """An external program, the names it may have, and the command that installs it on Debian."""

    names: tuple[str, ...]
    install: str


TEX = Program(
    ("pdflatex",), "apt-get install --no-install-recommends texlive-latex-extra texlive-fonts-recommended lmodern"
)
BROWSER = Program(("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"), "apt-get install chromium")
POPPLER = Program(("pdftotext",), "apt-get install poppler-utils")

TORCH_INSTALL = "pip install torch==2.13.0"
JAX_INSTALL = "pip install jax jaxlib"

# One profile everywhere: the same commit gives the same examples, on a slow machine too.
hypothesis.settings.register_profile("unrolled", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("unrolled")


def pytest_configure(config: pytest.Config) -> None:
    """With UNROLLED_NO_SKIPS=1, a skip anywhere in the run counts as a failure."""
    if os.environ.get(NO_SKIPS) == "1":
        # As a plugin: hooks of this file would see only the tests below this folder, not the examples in docstrings.
        config.pluginmanager.register(NoSkips(), "no-skips")


class NoSkips:
    """Turns each skipped test, and each skipped module, into a failure that says what was skipped and why."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """An expected failure is also reported as skipped; it stays what it is."""
        report = yield
        if report.skipped and not hasattr(report, "wasxfail"):
            fail(report)
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_make_collect_report(self) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """A module that skips itself while it is imported hides all of its tests."""
        report = yield
        if report.skipped:
            fail(report)
        return report


def fail(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Make a skip report a failure report with the reason of the skip."""
    where_and_why = report.longrepr
    reason = where_and_why[2] if isinstance(where_and_why, tuple) else str(where_and_why)
    report.outcome = "failed"
    report.longrepr = f"{report.nodeid}: skipped, but {NO_SKIPS}=1 allows no skips\n{reason}"


def skip(what: str, install: str) -> NoReturn:
    """Skip the requesting test with the command that would make it run."""
    pytest.skip(f"{what} is not installed; to run this test: {install}")


def path_of(program: Program) -> str:
    """The path of the program under the first of its names that is on PATH."""
    for name in program.names:
        if path := shutil.which(name):
            return path
    skip(program.names[0], program.install)


def module_of(name: str, install: str) -> Any:
    """The imported module; whatever it warns about while loading is its own affair."""
    if importlib.util.find_spec(name) is None:
        skip(name, install)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(name)


@pytest.fixture(scope="session")
def needs_tex() -> str:
    """The path of pdflatex."""
    return path_of(TEX)


@pytest.fixture(scope="session")
def needs_browser() -> str:
    """The path of Chromium or Chrome; as root it also wants --no-sandbox."""
    return path_of(BROWSER)


@pytest.fixture(scope="session")
def needs_poppler() -> str:
    """The path of pdftotext; pdftoppm and pdfinfo are beside it."""
    return path_of(POPPLER)


@pytest.fixture(scope="session")
def needs_torch() -> Any:
    """The module torch."""
    return module_of("torch", TORCH_INSTALL)


@pytest.fixture(scope="session")
def needs_jax() -> Any:
    """The module jax, computing in float64 where asked to."""
    jax = module_of("jax", JAX_INSTALL)
    jax.config.update("jax_enable_x64", True)
    return jax
