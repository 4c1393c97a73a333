""".env.example names every setting of every command, with its true default and meaning."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import pytest
from dotenv import dotenv_values

from bookstream.env_example import render
from bookstream.facts import spelled
from bookstream.settings import MODELS
from marketdata.settings import is_one_run

FILE = Path(__file__).parents[2] / ".env.example"


@dataclass
class Shown:
    value: str
    comment: str


def shown() -> dict[str, Shown]:
    """Each NAME=value of the file, with the comment lines right above it."""
    found: dict[str, Shown] = {}
    comment: list[str] = []
    for line in FILE.read_text("utf-8").splitlines():
        if line.startswith("# "):
            comment.append(line[2:])
        elif line.startswith("#"):
            name, _, value = line[1:].partition("=")
            assert name not in found, f"{name} is there twice"
            found[name] = Shown(value, comment[0])
        else:
            comment = []
    return found


def test_it_lists_every_setting_and_nothing_else() -> None:
    expected = {
        name.upper()
        for model in MODELS.values()
        for name, field in model.model_fields.items()
        if not is_one_run(field)
    }
    assert set(shown()) == expected
    assert len(expected) > 30


@pytest.mark.parametrize("command", MODELS)
def test_names_defaults_and_meanings_are_the_models(command: str) -> None:
    listed = shown()
    for name, field in MODELS[command].model_fields.items():
        if not is_one_run(field):
            assert listed[name.upper()].value == spelled(field.default), name
            assert listed[name.upper()].comment == field.description, name


def test_uncommented_it_means_the_defaults() -> None:
    text = "".join(
        line[1:] if line.startswith("#") and not line.startswith("# ") else line
        for line in FILE.read_text("utf-8").splitlines(keepends=True)
    )
    values = dotenv_values(stream=io.StringIO(text))
    for model in MODELS.values():
        known = {name: values[name.upper()] for name in model.model_fields if name.upper() in values}
        assert model(**known) == model()


def test_it_is_as_the_models_write_it() -> None:
    assert FILE.read_text("utf-8") == render(), "run: python -m bookstream.env_example > .env.example"
