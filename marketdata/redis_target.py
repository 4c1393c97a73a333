"""REDIS_URL, checked: where Redis is, and how its URL looks in a log."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Literal, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from marketdata.errors import SettingsError

Scheme = Literal["redis", "rediss", "unix", "embedded"]

ALLOWED: Final = (
    "redis://[USER:PASSWORD@]HOST:PORT/DB, rediss:// (TLS), unix:///PATH?db=DB or embedded://NAME"
    " (NAME: 1 to 32 of a-z, 0-9 and -)"
)
DEFAULT_NAME: Final = "default"

_NAME = re.compile(r"[a-z0-9-]{1,32}")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
# All up to the last @: also a password that holds an @ or / of its own stays out of the logs.
_USER_PART = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*://)?(.*)@", re.DOTALL)
_SECRET_OPTION = re.compile(r"([?&](?:ssl_)?password=)[^&#]*")
_COMMON_OPTIONS = frozenset({"db", "username", "password"})
_TLS_OPTIONS = frozenset(
    {
        *("ssl_cert_reqs", "ssl_ca_certs", "ssl_ca_path", "ssl_ca_data", "ssl_certfile", "ssl_keyfile"),
        *("ssl_password", "ssl_check_hostname", "ssl_min_version", "ssl_ciphers"),
    }
)


@dataclass(frozen=True, slots=True)
class RedisTarget:
    """A Redis server as REDIS_URL names it.

    Attributes:
        url: as it was given, with its password; not part of `repr`.
        scheme: redis, rediss, unix or embedded.
        name: of an embedded server; empty for others.
    """

    url: str = field(repr=False)
    scheme: Scheme
    name: str = ""

    @classmethod
    def parse(cls, url: str) -> Self:
        """Checks a REDIS_URL. Options that would change timeouts, retries or replies are refused.

        Raises:
            SettingsError: it is none of the allowed forms.
        """
        match = _SCHEME.fullmatch(url)
        if match is None:
            raise _refused(url, "it is no URL")
        scheme, rest = match[1].lower(), match[2]
        if scheme == "embedded":
            name = rest or DEFAULT_NAME
            if _NAME.fullmatch(name) is None:
                raise _refused(url, "that is no name of an embedded server")
            return cls(f"embedded://{name}", "embedded", name)
        if scheme in ("redis+cluster", "redis+sentinel"):
            raise _refused(url, f"{scheme}:// is not supported yet")
        if scheme not in ("redis", "rediss", "unix"):
            raise _refused(url, f"{scheme[:20]}:// is not a known kind of server")
        trouble = _trouble(url, scheme)
        if trouble:
            raise _refused(url, trouble)
        return cls(url, scheme)  # type: ignore[arg-type]

    @property
    def masked(self) -> str:
        """The URL for logs: `***` in the place of a password."""
        return mask(self.url)

    def __str__(self) -> str:
        return self.masked


def mask(url: str) -> str:
    """A URL without its passwords, whether or not it can be parsed."""
    return _SECRET_OPTION.sub(r"\1***", _USER_PART.sub(_masked_user, url))


def _masked_user(match: re.Match[str]) -> str:
    user, colon, _ = match[2].partition(":")
    # A name alone is hidden too: it is as likely a password whose colon was forgotten.
    return f"{match[1] or ''}{user + colon if colon else ''}***@"


def _trouble(url: str, scheme: str) -> str:
    """What is wrong with a redis, rediss or unix URL; empty if nothing is."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        # Its own words would repeat a part of the password.
        return "host or port cannot be read; is a special character of the password not written as %XX?"
    if parts.fragment:
        return "it holds a #; a special character of the password is written as %XX"
    if "@" in parts.query:
        # What stands before it may be a part of the password.
        return "it holds an @ behind a ?; a special character of the password is written as %XX"
    if scheme == "unix":
        if parts.hostname or port or not unquote(parts.path).startswith("/"):
            return "a socket needs an absolute path, unix:///PATH"
    elif port == 0 or re.fullmatch(r"/?\d{0,4}", parts.path, re.ASCII) is None:
        return "port and database must be numbers"
    allowed = _COMMON_OPTIONS | (_TLS_OPTIONS if scheme == "rediss" else frozenset())
    for option, value in parse_qsl(parts.query, keep_blank_values=True):
        if option not in allowed:
            return f"its option {option[:30]!r} is not one of {', '.join(sorted(allowed))}"
        if option == "db" and re.fullmatch(r"\d{1,4}", value, re.ASCII) is None:
            return "port and database must be numbers"
    return ""


def _refused(url: str, why: str) -> SettingsError:
    return SettingsError(f"REDIS_URL={mask(url)[:200]} cannot be used: {why}; allowed: {ALLOWED}")
