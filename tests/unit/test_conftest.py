"""A test that could not run is named at the end, and is an error where it must run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
A_TEST = """
import pytest

@pytest.mark.needs_tmux
def test_wants_tmux():
    pass

def test_wants_nothing():
    pass
"""
ONLY_SKIPPED = "import pytest\n\ndef test_never():\n    pytest.skip('always')\n"


def run_pytest(folder: Path, source: str, **environment: str) -> subprocess.CompletedProcess[str]:
    (folder / "tests").mkdir()
    shutil.copy(ROOT / "tests" / "conftest.py", folder / "tests")
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "tests" / "test_it.py").write_text(source)
    kept = {name: value for name, value in os.environ.items() if name not in ("CI", "BOOKSTREAM_CI_WITHOUT")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests"],
        check=False,
        cwd=folder,
        env=kept | {"PATH": str(folder), "PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_without_the_tool_the_test_is_named_at_the_end(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, A_TEST)
    assert done.returncode == 0, done.stdout
    assert "NOT RUN tests/test_it.py::test_wants_tmux: no tmux on PATH" in done.stdout.splitlines()[-3:]


def test_in_ci_a_missing_tool_is_an_error(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, A_TEST, CI="true")
    assert done.returncode == 1, done.stdout
    assert "1 passed, 1 error" in done.stdout


def test_in_ci_a_tool_can_be_waived_by_name(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, A_TEST, CI="true", BOOKSTREAM_CI_WITHOUT="needs_tmux")
    assert done.returncode == 0, done.stdout
    assert "NOT RUN" in done.stdout


@pytest.mark.parametrize(("ci", "code"), [("", 0), ("true", 5)])
def test_in_ci_a_run_without_a_passed_test_fails(tmp_path: Path, ci: str, code: int) -> None:
    done = run_pytest(tmp_path, ONLY_SKIPPED, CI=ci)
    assert done.returncode == code, done.stdout
