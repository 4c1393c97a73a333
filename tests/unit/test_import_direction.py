"""The house has one direction: bookstream imports all, three rooms import marketdata, which imports none."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = {"bookstream", "worker", "consumers", "simulator", "marketdata"}
MAY_IMPORT = {
    "bookstream": OURS,
    "worker": {"worker", "marketdata"},
    "consumers": {"consumers", "marketdata"},
    "simulator": {"simulator", "marketdata"},
    "marketdata": {"marketdata"},
}


def imported_packages(source: str) -> Iterator[str]:
    """The first word of whatever a module imports absolutely, by a statement or by a name in a call."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]
        elif isinstance(node, ast.Call) and node.args:
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in ("import_module", "__import__", "resolve_name"):
                yield from (
                    text.value.partition(".")[0]
                    for text in ast.walk(node.args[0])
                    if isinstance(text, ast.Constant) and isinstance(text.value, str)
                )


def forbidden(package: str, source: str) -> set[str]:
    return (set(imported_packages(source)) & OURS) - MAY_IMPORT[package]


@pytest.mark.parametrize("package", sorted(OURS))
def test_a_package_imports_only_what_is_below_it(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    wrong = {
        str(file.relative_to(ROOT)): bad
        for file in files
        if (bad := forbidden(package, file.read_text("utf-8")))
    }
    assert not wrong


@pytest.mark.parametrize(
    "source",
    [
        "import worker.book",
        "from worker import book",
        "def f():\n    from worker.book import Book",
        "import json, worker",
        "from importlib import import_module\nimport_module('worker.book')",
        "from importlib import import_module\nimport_module(f'worker.{x}')",
    ],
)
def test_a_wrong_import_would_be_found(source: str) -> None:
    assert forbidden("consumers", source) == {"worker"}
    assert forbidden("bookstream", source) == set()


@pytest.mark.parametrize(
    "folder",
    sorted(
        {str(file.parent.relative_to(ROOT)) for package in OURS for file in (ROOT / package).rglob("*.py")}
    ),
)
def test_every_folder_says_what_lives_there(folder: str) -> None:
    docstring = ast.get_docstring(ast.parse((ROOT / folder / "__init__.py").read_text("utf-8")))
    assert docstring
    assert docstring.strip().endswith(".")
