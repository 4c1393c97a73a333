"""One recording, ready to be played."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import orjson

from marketdata.errors import CaptureError, VenueFormatError
from simulator.captured.addressing import GLOBAL_EVENTS, frame_of, market_of, tokens_of, venue_ms_of
from simulator.captured.folder import rows_of
from simulator.captured.reader import MAX_BYTES, Message, Row
from simulator.captured.schedule import Gaps
from simulator.captured.study import Findings, Study, UpcomingTrades
from simulator.feed import Frame


@dataclass(frozen=True, slots=True)
class PlayedFrame:
    """A frame for the socket; `last_trades` as Books.apply takes it.

    An opaque one, of a raw capture, cannot be read or applied: it came like that, and is sent like that.
    """

    gap_ms: float
    frame: Frame
    last_trades: Mapping[str, str]
    is_opaque: bool = False

    def messages(self) -> list[Message]:
        """What the frame holds; parsed anew, as the parsed form takes many times the memory of the bytes."""
        return [] if self.is_opaque else _parsed(self.frame.data)


@dataclass(frozen=True, slots=True)
class PlayedAnswer:
    """A recorded answer of `/book`, served from now on."""

    gap_ms: float
    token_id: str
    body: bytes


@dataclass(slots=True)
class Capture:
    """A recording and what it tells of its markets.

    Attributes:
        steps: frames and REST answers in the order of the file.
        tokens: token ids of which books, changes or trades occur: play waits for their subscription.
        pairs: condition id to its token ids, at most two, in the order of the outcomes where that is known.
        frames_of: condition id to the number of its frames.
        announced: condition id to its new_market message.
        requested: of a raw capture, each connection's token ids.
        findings: condition id to what its hashes tell.
    """

    path: Path
    steps: list[PlayedFrame | PlayedAnswer] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    pairs: dict[str, list[str]] = field(default_factory=dict)
    frames_of: dict[str, int] = field(default_factory=dict)
    announced: dict[str, Message] = field(default_factory=dict)
    requested: dict[str, set[str]] = field(default_factory=dict)
    findings: dict[str, Findings] = field(default_factory=dict)

    @property
    def frames_total(self) -> int:
        """Frames that can be sent in one pass."""
        return sum(isinstance(step, PlayedFrame) for step in self.steps)


def load_capture(path: Path, *, max_bytes: int = MAX_BYTES) -> Capture:
    """Reads a whole recording into memory.

    Raises:
        CaptureError: the file cannot be read or holds nothing to play; names file and line.
    """
    capture = Capture(path)
    study = Study()
    rows: list[Row] = []
    trades = UpcomingTrades()
    for row in rows_of(path, max_bytes=max_bytes):
        if row.requested:
            capture.requested.setdefault(row.connection, set()).update(row.requested)
            continue
        for message in row.messages:
            _note(capture, row, message)
            if message.get("event_type") == "last_trade_price" and not row.is_rest:
                trades.add(len(rows), market_of(message), str(message.get("price")))
        rows.append(_without_messages(row))
    gaps = Gaps()
    watched = _watched(capture)
    for place, row in enumerate(rows):
        try:
            capture.steps.extend(_steps(place, row, gaps, study, trades, watched))
        except VenueFormatError as error:
            raise CaptureError(f"{path}:{row.line}: {error}; nothing was played") from error
    if not capture.steps:
        raise CaptureError(f"{path}: holds no frame that can be sent; nothing was played")
    study.finish()
    capture.findings = study.markets
    return capture


def _steps(
    place: int,
    row: Row,
    gaps: Gaps,
    study: Study,
    trades: UpcomingTrades,
    watched: Mapping[str, frozenset[str]],
) -> Iterator[PlayedFrame | PlayedAnswer]:
    messages = [] if row.is_opaque else _parsed(row.data)
    gap_ms = gaps.next_ms(row.received_ms, venue_ms_of(messages))
    if row.connection:
        frame = frame_of(row.data, messages, watched.get(row.connection, frozenset()))
        try:
            yield PlayedFrame(gap_ms, frame, study.frame(place, messages, trades), row.is_opaque)
        except VenueFormatError:
            yield PlayedFrame(gap_ms, frame, {}, True)
        return
    if not row.is_rest:
        yield PlayedFrame(gap_ms, frame_of(row.data, messages), study.frame(place, messages, trades))
        return
    for message in messages:
        if not isinstance(token_id := message.get("asset_id"), str):
            raise VenueFormatError("a REST book without asset_id")
        yield PlayedAnswer(gap_ms, token_id, row.data if row.data[:1] == b"{" else orjson.dumps(message))
        gap_ms = 0.0


def _note(capture: Capture, row: Row, message: Message) -> None:
    market = market_of(message)
    if not market:
        return
    tokens = list(dict.fromkeys(tokens_of(message)))
    pair = capture.pairs.get(market, [])
    is_announced = message.get("event_type") == "new_market"
    # Announced in the order of the outcomes, which the order of appearance need not be.
    known = [*tokens, *pair] if is_announced and len(tokens) == 2 else [*pair, *tokens]
    known = list(dict.fromkeys(known))
    if len(known) > 2:
        if row.connection:
            # It came like that, and is sent like that; nothing is learnt from it.
            return
        raise CaptureError(
            f"{capture.path}:{row.line}: market {market} has more than two tokens; nothing was played"
        )
    capture.pairs[market] = known
    if is_announced:
        capture.announced[market] = message
    if message.get("event_type") not in GLOBAL_EVENTS:
        capture.tokens.update(tokens)
        if not row.is_rest:
            capture.frames_of[market] = capture.frames_of.get(market, 0) + 1


def _watched(capture: Capture) -> dict[str, frozenset[str]]:
    """Of a raw capture, the markets that each connection was subscribed to."""
    market_of_token = {token: market for market, pair in capture.pairs.items() for token in pair}
    return {
        connection: frozenset(market_of_token[token] for token in tokens if token in market_of_token)
        for connection, tokens in capture.requested.items()
    }


def _parsed(data: bytes) -> list[Message]:
    parsed = orjson.loads(data)
    return parsed if isinstance(parsed, list) else [parsed]


def _without_messages(row: Row) -> Row:
    return replace(row, messages=[])
