"""The worker's settings: each is a flag, an environment variable and a key of `.env`."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, StringConstraints, model_validator

from marketdata.raw_files import Compression
from marketdata.settings import CommaSplit, CrossedError, RedisSettings, setting
from marketdata.venue import MAX_TOKENS_A_CONNECTION

VENUE: Final = "Venue"
MARKETS: Final = "Markets"
CONNECTIONS: Final = "Connections"
BOOKS: Final = "Books"
PUBLISHING: Final = "Publishing and retention"
OWNERSHIP: Final = "Ownership"
RAW_CAPTURE: Final = "Raw capture"

_HTTP: Final = r"^https?://[^\s/]\S*$"

TagIds = Annotated[tuple[Annotated[str, StringConstraints(pattern=r"^[0-9]{1,18}$")], ...], CommaSplit]
Slugs = Annotated[
    tuple[Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,300}$")], ...], CommaSplit
]
ConditionIds = Annotated[
    tuple[Annotated[str, StringConstraints(pattern=r"^0[xX][0-9a-fA-F]{62}(?:[0-9a-fA-F]{2})?$")], ...],
    CommaSplit,
]


def _never_or_a_second(age_s: float) -> float:
    if age_s != 0 and age_s < 1:
        raise ValueError("neither 0 nor a second")
    return age_s


class WorkerSettings(RedisSettings):
    """Reads the venue's order books and writes every change of a top of book to its market's stream."""

    venue_ws_url: str = setting(
        "wss://ws-subscriptions-clob.polymarket.com/ws/market",
        "The venue's market channel.",
        VENUE,
        allowed="a URL of ws:// or wss://",
        metavar="URL",
        pattern=r"^wss?://[^\s/]\S*$",
    )
    gamma_url: str = setting(
        "https://gamma-api.polymarket.com",
        "The venue's catalog of events and markets.",
        VENUE,
        allowed="a URL of http:// or https://",
        metavar="URL",
        pattern=_HTTP,
    )
    clob_url: str = setting(
        "https://clob.polymarket.com",
        "The venue's books over REST, asked as a witness.",
        VENUE,
        allowed="a URL of http:// or https://",
        metavar="URL",
        pattern=_HTTP,
    )

    catalog: str = setting(
        "gamma",
        "Where markets are found: the venue's catalog, or a file of its rows.",
        MARKETS,
        allowed="gamma or file:PATH",
        pattern=r"^(?:gamma|file:.+)$",
    )
    catalog_refresh_s: float = setting(300, "The catalog is read again this often.", MARKETS, ge=1, le=86_400)
    filter_tag_ids: TagIds = setting(
        (),
        "Only events with one of these tags.",
        MARKETS,
        allowed="numbers with commas between",
        metavar="IDS",
    )
    filter_event_slugs: Slugs = setting(
        (), "Only these events.", MARKETS, allowed="slugs with commas between", metavar="SLUGS"
    )
    filter_condition_ids: ConditionIds = setting(
        (),
        "Only the families or events of these markets.",
        MARKETS,
        allowed="condition ids (0x and 64 hex digits) with commas between",
        metavar="IDS",
    )
    filter_min_volume_24h: float = setting(
        0, "Only families that traded at least this many USD in 24 hours.", MARKETS, ge=0
    )
    filter_min_liquidity: float = setting(
        0, "Only families with at least this liquidity in USD.", MARKETS, ge=0
    )
    max_markets: int = setting(500, "At most this many markets, by volume.", MARKETS, ge=1, le=1_000_000)

    socket_mode: Literal["python", "native"] = setting(
        "python", "The websocket library: websockets, or picows (the native extra).", CONNECTIONS
    )
    max_connections: int = setting(40, "At most this many connections.", CONNECTIONS, ge=1, le=10_000)
    opens_per_s: float = setting(
        5, "At most this many connections are opened a second.", CONNECTIONS, gt=0, le=1000
    )
    tokens_per_connection: int = setting(
        50,
        "At most this many tokens share a connection.",
        CONNECTIONS,
        ge=2,
        le=MAX_TOKENS_A_CONNECTION,
    )
    ping_interval_s: float = setting(
        15,
        "A PING goes out this often; the venue closes what is idle for a minute.",
        CONNECTIONS,
        gt=0,
        le=55,
    )
    pong_timeout_s: float = setting(
        30, "A connection without a PONG for this long is closed.", CONNECTIONS, gt=0, le=3600
    )
    reconnect_min_s: float = setting(
        1, "The shortest wait before a new connection.", CONNECTIONS, gt=0, le=3600
    )
    reconnect_max_s: float = setting(
        30, "The longest wait before a new connection.", CONNECTIONS, gt=0, le=3600
    )
    first_book_timeout_s: float = setting(
        30, "A token without a first book for this long is asked for again.", CONNECTIONS, gt=0, le=3600
    )

    stale_after_s: float = setting(
        30,
        "A token that nothing was heard of for this long is compared with the venue's book over REST.",
        CONNECTIONS,
        ge=1,
        le=3600,
    )
    quarantine_retry_s: float = setting(
        60, "A silent token that nothing rescued is asked for this often.", CONNECTIONS, ge=1, le=86_400
    )
    connection_max_age_s: Annotated[float, AfterValidator(_never_or_a_second)] = setting(
        0,
        "A connection is replaced by a new one at this age, without a gap where both have the same books; 0: never.",
        CONNECTIONS,
        allowed="0, or a number from 1 to 604800",
        le=604_800,
    )

    step_quiet_ms: float = setting(
        5,
        "A step of the exchange is over after this much silence of its connection.",
        BOOKS,
        ge=0,
        le=10_000,
    )
    desync_after_ms: float = setting(
        250,
        "A best price that differs from the venue's for this long is a gap.",
        BOOKS,
        gt=0,
        le=60_000,
    )
    book_hash_check: Literal["sampled", "every", "off"] = setting(
        "sampled", "Which steps are compared with the venue's book hash.", BOOKS
    )
    hash_checks_per_s: float = setting(
        500, "At most this many sampled hash checks a second.", BOOKS, ge=0, le=1_000_000
    )
    trust_min: float = setting(
        0.8,
        "A market gets a gap and new books when a smaller share of its recent hash checks matches.",
        BOOKS,
        ge=0,
        le=1,
    )

    max_pending: int = setting(
        100_000,
        "Beyond this many unwritten updates, tops conflate to the newest of a token.",
        PUBLISHING,
        ge=1,
        le=10_000_000,
    )
    stream_maxlen: int = setting(
        10_000, "A market's stream keeps about this many entries.", PUBLISHING, ge=1, le=1_000_000_000
    )
    stream_max_age_s: float = setting(
        86_400, "A market's stream keeps entries for about this long.", PUBLISHING, ge=1, le=315_360_000
    )

    lease_ttl_s: float = setting(
        5, "A partition is free this long after its owner's last word.", OWNERSHIP, ge=0.1, le=300
    )
    worker_id: str = setting(
        "",
        "This worker's name, and no other's that lives; empty: the host's name and a random suffix.",
        OWNERSHIP,
        allowed="1 to 64 of A-Z, a-z, 0-9 and . _ -, or empty",
        pattern=r"^[A-Za-z0-9._-]{0,64}$",
    )

    record_raw: str = setting(
        "",
        "A directory that keeps all frames as received and sent, in hourly files; empty: none are kept.",
        RAW_CAPTURE,
        allowed="a path, or empty",
        metavar="DIR",
    )
    record_raw_max_mb: int = setting(
        10_000,
        "All hourly files in that directory together: the oldest is deleted first.",
        RAW_CAPTURE,
        ge=100,
        le=100_000_000,
    )
    record_raw_compression: Compression = setting("zstd", "How hourly files are compressed.", RAW_CAPTURE)

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.reconnect_min_s > self.reconnect_max_s:
            raise CrossedError("reconnect_min_s", "must be at most", "reconnect_max_s")
        if self.ping_interval_s > self.pong_timeout_s:
            raise CrossedError("ping_interval_s", "must be at most", "pong_timeout_s")
        if self.step_quiet_ms > self.desync_after_ms:
            raise CrossedError("step_quiet_ms", "must be at most", "desync_after_ms")
        return self
