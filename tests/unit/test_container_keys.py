"""What `.env` holds for compose is known to both sides: no warning here, no missing value there."""

from __future__ import annotations

import re
from pathlib import Path

from dotenv import dotenv_values

from bookstream.container_keys import CONTAINER_KEYS
from bookstream.dotenv_file import check_dotenv

ROOT = Path(__file__).parents[2]


def test_the_example_copied_to_dotenv_draws_no_warning() -> None:
    assert check_dotenv(ROOT / ".env.example") == []


def test_the_example_gives_every_value_that_compose_asks_for() -> None:
    asked = set(re.findall(r"\$\{(\w+)", (ROOT / "compose.yaml").read_text("utf-8")))
    given = dotenv_values(ROOT / ".env.example")
    assert asked | {"COMPOSE_PROFILES"} == set(CONTAINER_KEYS)
    assert {name: key.value for name, key in CONTAINER_KEYS.items()} == given


def test_the_values_of_the_example_are_those_that_compose_takes_without_it() -> None:
    defaults = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", (ROOT / "compose.yaml").read_text("utf-8")))
    assert defaults
    assert all(CONTAINER_KEYS[name].value == value for name, value in defaults.items())


def test_keys_of_compose_itself_are_known_and_a_slip_gets_a_hint(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("COMPOSE_PROJECT_NAME=mine\nREDIS_PASSWROD=x\n", "utf-8")
    assert check_dotenv(path) == [
        f"REDIS_PASSWROD in {path} is not read: no command knows it; did you mean REDIS_PASSWORD?"
    ]
