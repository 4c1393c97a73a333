"""What can be wrong with `.env` beside its values: lines that cannot be read, keys that nobody knows."""

from __future__ import annotations

from pathlib import Path

from dotenv.parser import parse_stream

from bookstream.container_keys import CONTAINER_KEYS, is_container_key
from bookstream.facts import facts_of
from bookstream.flags import did_you_mean
from bookstream.settings import MODELS
from marketdata.errors import SettingsError


def check_dotenv(path: Path) -> list[str]:
    """Warnings about keys that no command knows, one line each; none where there is no file.

    Raises:
        SettingsError: the file or one of its lines cannot be read.
    """
    every = [facts for model in MODELS.values() for facts in facts_of(model).values()]
    settings = {facts.env for facts in every if facts.env}
    flags = {facts.field.rstrip("_").upper(): facts.flag for facts in every if facts.one_run}
    warnings = []
    for key in dict.fromkeys(_keys(path)):
        if key.upper() in settings or is_container_key(key):
            continue
        if key.upper() in flags:
            warnings.append(f"{key} in {path} is not read: {flags[key.upper()]} belongs to one run")
        else:
            hint = did_you_mean(key.upper(), [*settings, *CONTAINER_KEYS]) or "; remove it"
            warnings.append(f"{key} in {path} is not read: no command knows it{hint}")
    return warnings


def _keys(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8") as stream:
            bindings = list(parse_stream(stream))
    except FileNotFoundError:
        return []
    except IsADirectoryError:
        # A mount point without its file; the library passes it over, too.
        return []
    except OSError as error:
        raise SettingsError(f"{path} cannot be read ({error.strerror}); mend or remove it") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path} is not UTF-8 text; mend or remove it") from None
    for binding in bindings:
        if binding.error or (binding.key is not None and binding.value is None):
            raise SettingsError(
                f"line {binding.original.line} of {path} is not NAME=value: "
                f"{binding.original.string.strip().split('=')[0][:40]!r}"
            )
    return [binding.key for binding in bindings if binding.key is not None]
