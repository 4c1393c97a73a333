"""Writes `.env.example` from the models: `python -m bookstream.env_example > .env.example`."""

from __future__ import annotations

import textwrap

from bookstream.container_keys import CONTAINER_KEYS, ContainerKey
from bookstream.facts import Facts, facts_of
from bookstream.settings import MODELS

_HEAD = """\
# All settings of bookstream, with their defaults. Copy this file to .env and take the # off what you change.
# Flags outrank the environment, which outranks .env. An empty value is a value, not the default.
# `bookstream config` shows what is in force and where it comes from.
"""
_CONTAINERS = """
# ---- Containers ----

# Read by compose.yaml alone. Containers take all settings above from this file, too, but REDIS_URL and WORKER_ID.
"""


def render() -> str:
    """The whole file: every setting of every command once, under its group, as a comment."""
    groups: dict[str, dict[str, Facts]] = {}
    users: dict[str, list[str]] = {}
    for command, model in MODELS.items():
        for facts in facts_of(model).values():
            if facts.env:
                groups.setdefault(facts.group, {}).setdefault(facts.env, facts)
                users.setdefault(facts.env, []).append(command)
    parts = [_HEAD]
    for group, settings in groups.items():
        parts.append(f"\n# ---- {group} ----\n")
        parts += [_entry(facts, users[name]) for name, facts in settings.items()]
    parts.append(_CONTAINERS)
    parts += [_container_entry(name, key) for name, key in CONTAINER_KEYS.items()]
    return "".join(parts)


def _entry(facts: Facts, users: list[str]) -> str:
    notes = textwrap.wrap(
        f"Allowed: {facts.allowed}. Read by: {', '.join(users)}.",
        width=108,
        break_on_hyphens=False,
        break_long_words=False,
    )
    lines = [facts.description, *notes]
    return "\n" + "".join(f"# {line}\n" for line in lines) + f"#{facts.env}={facts.default}\n"


def _container_entry(name: str, key: ContainerKey) -> str:
    return f"\n# {key.description}\n{name}={key.value}\n"


if __name__ == "__main__":
    print(render(), end="")
