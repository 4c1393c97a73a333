"""What the settings of all commands share: how a field is declared, and where its value comes from.

A field of a model is declared once and is a flag, an environment variable and a key of `.env`:
`ping_interval_s` is `--ping-interval-s` and `PING_INTERVAL_S`. Flags outrank the environment, which outranks
`.env`, which outranks the default. A field made by `argument` belongs to one run and is a flag only.
A trailing underscore keeps a name out of Python's way and is no part of the flag: `from_` is `--from`.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator
from pydantic.fields import Field, FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from marketdata import redis_target
from marketdata.errors import SettingsError
from marketdata.partitions import DEFAULT_PARTITIONS, MAX_PARTITIONS
from marketdata.redis_target import RedisTarget

ENV_FILE: Final = ".env"
THIS_RUN: Final = "This run"

REDIS: Final = "Redis"
LOGS: Final = "Logs"


def setting(
    default: Any,
    description: str,
    group: str,
    *,
    allowed: str = "",
    metavar: str = "",
    secret: bool = False,
    **constraints: Any,
) -> Any:
    """Declares a setting: a flag, an environment variable and a key of `.env`.

    Args:
        default: its value where nobody gave one.
        description: one sentence for `--help`, `bookstream config` and `.env.example`.
        group: the heading it stands under.
        allowed: what may be given, in words, where type and constraints do not say it.
        metavar: the word for its value in `--help`.
        secret: its value may hold a password, which is masked wherever it is shown.
        **constraints: pydantic's, such as `ge`, `le`, `pattern`.
    """
    facts: dict[str, Any] = {"group": group, "allowed": allowed, "metavar": metavar, "secret": secret}
    return Field(default, description=description, json_schema_extra=facts, repr=not secret, **constraints)


def argument(
    default: Any, description: str, *, allowed: str = "", metavar: str = "", **constraints: Any
) -> Any:
    """Declares an argument of one run: a flag that is never read from the environment or `.env`.

    Else a stranger's variable named FROM or MARKET would change what a command does.
    """
    facts: dict[str, Any] = {"group": THIS_RUN, "allowed": allowed, "metavar": metavar, "one_run": True}
    return Field(default, description=description, json_schema_extra=facts, **constraints)


def is_one_run(field: FieldInfo) -> bool:
    """Whether the field was declared by `argument`."""
    return isinstance(field.json_schema_extra, dict) and bool(field.json_schema_extra.get("one_run"))


class CrossedError(ValueError):
    """Two settings contradict each other: what `field` says of `other` is not so."""

    def __init__(self, field: str, relation: str, other: str) -> None:
        super().__init__(f"{field.upper()} {relation} {other.upper()}")
        self.field = field
        self.relation = relation
        self.other = other


def _split_at_commas(given: object) -> object:
    """ "a, b" as ("a", "b"); what is not text is left to the type check."""
    return (
        tuple(word.strip() for word in given.split(",") if word.strip()) if isinstance(given, str) else given
    )


def _lower(given: object) -> object:
    return given.lower() if isinstance(given, str) else given


def _usable_redis_url(url: str) -> str:
    try:
        RedisTarget.parse(url)
    except SettingsError as error:
        raise ValueError(str(error)) from None
    return url


CommaSplit: Final = BeforeValidator(_split_at_commas)
"""For a tuple of words that is given as one text with commas."""

LogLevel = Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)]
LogFormat = Annotated[Literal["console", "json"], BeforeValidator(_lower)]
RedisUrl = Annotated[str, AfterValidator(_usable_redis_url)]


class _WithoutOneRun(PydanticBaseSettingsSource):
    """A source that keeps quiet about arguments of one run."""

    def __init__(self, settings_cls: type[BaseSettings], inner: PydanticBaseSettingsSource) -> None:
        super().__init__(settings_cls)
        self._inner = inner

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return self._inner.get_field_value(field, field_name)

    def __call__(self) -> dict[str, Any]:
        fields = self.settings_cls.model_fields
        return {name: value for name, value in self._inner().items() if not is_one_run(fields[name])}


class CommandSettings(BaseSettings):
    """What every command that runs takes."""

    model_config = SettingsConfigDict(
        env_file=ENV_FILE,
        env_file_encoding="utf-8",
        # .env serves all commands, so a key of another one is no error; a wrong keyword in Python is.
        dotenv_filtering="only_existing",
        extra="forbid",
        # Lists are words with commas, not JSON.
        enable_decoding=False,
        allow_inf_nan=False,
        frozen=True,
        hide_input_in_errors=True,
    )

    log_level: LogLevel = setting("info", "The least important messages that are shown.", LOGS)
    log_format: LogFormat = setting(
        "console", "Messages on stderr: lines for people, or one JSON object a line.", LOGS
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Keyword arguments, then the environment, then `.env`; the last two know no argument of one run."""
        return (
            init_settings,
            _WithoutOneRun(settings_cls, env_settings),
            _WithoutOneRun(settings_cls, dotenv_settings),
        )


class RedisSettings(CommandSettings):
    """What every command that reads or writes streams takes."""

    redis_url: RedisUrl = setting(
        "embedded://default",
        "The Redis that holds the streams; embedded://NAME is a private server that starts by itself.",
        REDIS,
        allowed=redis_target.ALLOWED,
        metavar="URL",
        secret=True,
    )
    key_prefix: str = setting(
        "",
        "Goes in front of all keys, so that several bookstreams can share a Redis.",
        REDIS,
        allowed="text without braces and spaces, at most 100 characters",
        pattern=r"^[^{}\s]*$",
        max_length=100,
    )
    partitions: int = setting(
        DEFAULT_PARTITIONS,
        "Units of ownership and order; fixed once a Redis holds streams.",
        REDIS,
        ge=1,
        le=MAX_PARTITIONS,
    )
