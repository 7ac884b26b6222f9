"""The rules of conftest.py hold: tried on small test runs of their own."""

from __future__ import annotations

from pathlib import Path

import hypothesis
import pytest

pytest_plugins = ("pytester",)

CONFTEST = Path(__file__).with_name("conftest.py").read_text(encoding="utf-8")

RUN = """
    import pytest

    def test_passes():
        pass

    def test_skips():
        pytest.skip("no telescope")

    @pytest.mark.skip(reason="no weather")
    def test_marked():
        pass

    @pytest.mark.xfail(reason="known", strict=True)
    def test_fails_as_expected():
        assert False
"""


@pytest.fixture
def run(pytester: pytest.Pytester) -> pytest.Pytester:
    """An empty test run under our conftest.py."""
    pytester.makeconftest(CONFTEST)
    return pytester


def test_a_skip_is_a_skip_by_default(run: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UNROLLED_NO_SKIPS", raising=False)
    run.makepyfile(RUN)
    result = run.runpytest_inprocess()
    result.assert_outcomes(passed=1, skipped=2, xfailed=1)
    assert result.ret == 0


def test_a_skip_fails_when_none_is_allowed(run: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNROLLED_NO_SKIPS", "1")
    run.makepyfile(RUN)
    result = run.runpytest_inprocess()
    result.assert_outcomes(passed=1, failed=1, errors=1, xfailed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    output = result.stdout.str()
    assert "test_skips: skipped, but UNROLLED_NO_SKIPS=1 allows no skips" in output
    assert "no telescope" in output
    assert "no weather" in output


def test_a_module_that_skips_itself_fails_when_none_is_allowed(
    run: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNROLLED_NO_SKIPS", "1")
    run.makepyfile('import pytest\npytest.importorskip("no_such_module")\ndef test_hidden(): pass')
    result = run.runpytest_inprocess()
    result.assert_outcomes(errors=1)
    assert result.ret != 0
    assert "no_such_module" in result.stdout.str()


def test_skipped_docstring_examples_outside_the_tests_fail_too(
    run: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNROLLED_NO_SKIPS", "1")
    tests, package = run.mkdir("tests"), run.mkdir("package")
    (run.path / "conftest.py").rename(tests / "conftest.py")
    (package / "example.py").write_text('"""\n>>> 1 + 1  # doctest: +SKIP\n2\n"""\n', encoding="utf-8")
    result = run.runpytest_inprocess("--doctest-modules", "tests", "package")
    result.assert_outcomes(failed=1)


@pytest.mark.parametrize(
    "fixture, program, install",
    [
        ("needs_tex", "pdflatex", "texlive-latex-extra"),
        ("needs_browser", "chromium", "apt-get install chromium"),
        ("needs_poppler", "pdftotext", "poppler-utils"),
    ],
)
def test_a_missing_program_skips_with_the_command_that_installs_it(
    run: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, fixture: str, program: str, install: str
) -> None:
    monkeypatch.delenv("UNROLLED_NO_SKIPS", raising=False)
    monkeypatch.setenv("PATH", str(run.path))
    run.makepyfile(f"def test_it({fixture}): pass\ndef test_again({fixture}): pass")
    result = run.runpytest_inprocess("-rs")
    result.assert_outcomes(skipped=2)
    assert f"{program} is not installed" in result.stdout.str()
    assert install in result.stdout.str()


@pytest.mark.parametrize(
    "fixture, module, install",
    [("needs_torch", "torch", "pip install torch==2.13.0"), ("needs_jax", "jax", "pip install jax jaxlib")],
)
def test_a_missing_module_skips_with_the_command_that_installs_it(
    run: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, fixture: str, module: str, install: str
) -> None:
    monkeypatch.delenv("UNROLLED_NO_SKIPS", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    run.makepyfile(f"def test_it({fixture}): pass")
    result = run.runpytest_inprocess("-rs")
    result.assert_outcomes(skipped=1)
    assert f"{module} is not installed" in result.stdout.str()
    assert install in result.stdout.str()


def test_a_program_that_is_there_is_handed_to_the_test(run: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    program = run.path / "pdftotext"
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(run.path))
    run.makepyfile(f"def test_it(needs_poppler): assert needs_poppler == {str(program)!r}")
    run.runpytest_inprocess().assert_outcomes(passed=1)


def test_examples_are_drawn_reproducibly_and_without_a_deadline() -> None:
    profile = hypothesis.settings()
    assert profile.derandomize
    assert profile.deadline is None
    assert profile.print_blob
