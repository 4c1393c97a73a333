"""One connection kept alive: opens the socket, carries frames to the protocol and back, backs off, opens again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from marketdata.backoff import Backoff
from marketdata.clock import now_us
from marketdata.logs import get_logger
from worker.counters import Counters
from worker.feeds import TokenState
from worker.limiter import OpenLimiter
from worker.notices import Close, Notice, Send
from worker.protocol import ConnectionProtocol
from worker.recent import Recent
from worker.recording.recorder import Recorder
from worker.sockets.base import Closed, ConnectError, Connector, Socket
from worker.streams import Update

MAX_RETRY_AFTER_S = 300.0


class Connection:
    """The shell around one ConnectionProtocol."""

    def __init__(
        self,
        name: str,
        url: str,
        protocol: ConnectionProtocol,
        *,
        connector: Connector,
        limiter: OpenLimiter,
        backoff: Backoff,
        counters: Counters,
        recent: Recent,
        on_update: Callable[[Update], None],
        on_notice: Callable[[Connection, Notice], None],
        recorder: Recorder | None = None,
    ) -> None:
        self.name = name
        self.protocol = protocol
        self.opens = 0
        self.last_close = ""
        self._url = url
        self._connector = connector
        self._limiter = limiter
        self._backoff = backoff
        self._counters = counters
        self._recent = recent
        self._on_update = on_update
        self._on_notice = on_notice
        self._recorder = recorder
        self._outgoing = asyncio.Event()
        self._broken: Exception | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_us = 0
        self._log = get_logger("connection").bind(connection=name)

    async def run(self) -> None:
        """Keeps the connection until cancelled; then closes it with 1000."""
        try:
            while True:
                await self._limiter.wait()
                await self._once()
                delay_s = self._backoff.next_delay_s()
                self._log.info(f"connecting again in {delay_s:.1f} s", last_close=self.last_close)
                await asyncio.sleep(delay_s)
        finally:
            if self._timer is not None:
                self._timer.cancel()

    async def _once(self) -> None:
        self.protocol.connecting()
        self.opens += 1
        self._counters.opens += 1
        try:
            socket = await self._connector(self._url)
        except ConnectError as error:
            self.last_close = f"not opened: {error}"
            self._log.warning("could not connect", why=str(error))
            self._recent.add("reconnect", f"{self.name} {self.last_close}")
            if error.retry_after_s:
                self._limiter.hold_off(min(error.retry_after_s, MAX_RETRY_AFTER_S))
            self._ended()
            return
        opened_us = now_us()
        if self._recorder is not None:
            self._recorder.opened(self.name, self._url, opened_us)
        self.protocol.opened(opened_us)
        self.flush()
        sender = asyncio.create_task(self._send(socket), name=f"{self.name} sender")
        receiver = asyncio.create_task(socket.receive(self._on_frame), name=f"{self.name} receiver")
        try:
            await asyncio.wait({sender, receiver}, return_when=asyncio.FIRST_COMPLETED)
            if sender.done():
                # It never ends by itself: this raises what went wrong.
                sender.result()
            self._say_closed(receiver.result())
        except asyncio.CancelledError:
            self.last_close = "1000 closed by us"
            await socket.close(1000, "")
            raise
        finally:
            for task in (sender, receiver):
                task.cancel()
            await asyncio.wait({sender, receiver})
            if self._recorder is not None:
                self._recorder.closed(self.name, self.last_close, now_us())
            self._ended()

    def _on_frame(self, data: bytes) -> None:
        received_us = now_us()
        if self._recorder is not None:
            self._recorder.received(self.name, data, received_us)
        self.protocol.frame(data, received_us)
        self.flush()

    def tick(self) -> None:
        """Lets the protocol see the time; called once a second."""
        self.protocol.tick(now_us())
        self.flush()

    def flush(self) -> None:
        """Hands on what the protocol has gathered. Called after everything that may have made it say something."""
        protocol = self.protocol
        if protocol.updates:
            for update in protocol.updates:
                self._on_update(update)
            protocol.updates.clear()
        if protocol.had_good_book and self._backoff.tries:
            self._backoff.reset()
        if protocol.notices:
            notices = list(protocol.notices)
            protocol.notices.clear()
            for notice in notices:
                self._on_notice(self, notice)
        if protocol.commands:
            self._outgoing.set()
        due_us = protocol.due_us
        if due_us is not None and (self._timer is None or due_us < self._timer_us):
            if self._timer is not None:
                self._timer.cancel()
            self._timer_us = due_us
            delay_s = max(0.0, (due_us - now_us()) / 1e6)
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        try:
            self.protocol.tick_steps(now_us())
            self.flush()
        except Exception as error:  # noqa: BLE001  (the loop would only log it: the connection's task raises it)
            self._broken = error
            self._outgoing.set()

    async def _send(self, socket: Socket) -> None:
        while True:
            await self._outgoing.wait()
            self._outgoing.clear()
            if self._broken is not None:
                raise self._broken
            commands = list(self.protocol.commands)
            self.protocol.commands.clear()
            for command in commands:
                match command:
                    case Send(text):
                        if self._recorder is not None:
                            self._recorder.sent(self.name, text, now_us())
                        await socket.send(text)
                    case Close(code, reason):
                        self._log.warning("closing", code=code, why=reason)
                        await socket.close(code, reason)

    def _say_closed(self, closed: Closed) -> None:
        self.last_close = f"{closed.code} {closed.reason}".strip()
        self._counters.disconnects += 1
        self._counters.closes[str(closed.code)] += 1
        live = sum(
            feed.state is TokenState.LIVE and not feed.market.muted
            for feed in self.protocol.books.tokens.values()
        )
        self._log.warning("disconnected", code=closed.code, reason=closed.reason)
        self._recent.add("reconnect", f"{self.name} closed: {self.last_close}, {live} live tokens got a gap")

    def _ended(self) -> None:
        self.protocol.closed(now_us())
        self.protocol.commands.clear()
        self.flush()
