"""REDIS_URL: what is allowed, what is refused in one line, and that no password gets into a log."""

from __future__ import annotations

import asyncio
import random
from urllib.parse import quote

import pytest
import redis
from hypothesis import example, given
from hypothesis import strategies as st

from marketdata.errors import RedisAwayError, RedisRefusedError, SettingsError
from marketdata.redis_client import PROTOCOL, open_redis, open_redis_sync, wait_for_redis
from marketdata.redis_target import RedisTarget, mask
from marketdata.redis_url import where, where_note


@pytest.mark.parametrize(
    ("url", "scheme", "name"),
    [
        ("redis://localhost", "redis", ""),
        ("redis://user:p%40ss@10.0.0.1:6380/3", "redis", ""),
        ("redis://[::1]:6379/0", "redis", ""),
        ("redis://h?db=2", "redis", ""),
        ("rediss://h:6379/0?ssl_cert_reqs=none", "rediss", ""),
        ("unix:///run/redis.sock?db=1", "unix", ""),
        ("UNIX:///run/redis.sock", "unix", ""),
        ("embedded://", "embedded", "default"),
        ("embedded://demo-2", "embedded", "demo-2"),
        ("embedded://" + "a" * 32, "embedded", "a" * 32),
    ],
)
def test_allowed_forms(url: str, scheme: str, name: str) -> None:
    target = RedisTarget.parse(url)
    assert (target.scheme, target.name) == (scheme, name)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "no URL"),
        ("localhost:6379", "no URL"),
        ("http://h", "not a known kind"),
        ("redis+cluster://h", "not supported yet"),
        ("redis+sentinel://h", "not supported yet"),
        ("redis://h:port", "cannot be read"),
        ("redis://h:99999", "cannot be read"),
        ("redis://h:0", "must be numbers"),
        ("redis://h/name", "must be numbers"),
        ("redis://h/0/1", "must be numbers"),
        ("redis://h?db=-1", "must be numbers"),
        ("redis://:1#2@h", "%XX"),
        ("redis://h?decode_responses=1", "'decode_responses' is not one of"),
        ("redis://h?retry_on_timeout=1", "'retry_on_timeout' is not one of"),
        ("redis://h?protocol=3", "'protocol' is not one of"),
        ("redis://h?ssl_cert_reqs=none", "'ssl_cert_reqs' is not one of"),
        ("unix://run/redis.sock", "absolute path"),
        ("unix://", "absolute path"),
        ("embedded://Demo", "no name"),
        ("embedded://a/b", "no name"),
        ("embedded://..", "no name"),
        ("embedded://" + "a" * 33, "no name"),
        ("embedded://demo\n", "no name"),
    ],
)
def test_anything_else_is_refused_in_one_line(url: str, why: str) -> None:
    with pytest.raises(SettingsError) as refused:
        RedisTarget.parse(url)
    message = str(refused.value)
    assert why in message
    assert message.startswith("REDIS_URL=")
    assert "embedded://NAME" in message


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("redis://h:1/0", "redis://h:1/0"),
        ("redis://:secret@h:1/0", "redis://:***@h:1/0"),
        ("redis://user:secret@h", "redis://user:***@h"),
        ("redis://secret@h", "redis://***@h"),
        ("redis://:sec@r/e:t@h", "redis://:***@h"),
        ("user:secret@h:1", "user:***@h:1"),
        ("unix:///s.sock?password=secret&db=1", "unix:///s.sock?password=***&db=1"),
        ("rediss://h?ssl_password=secret", "rediss://h?ssl_password=***"),
    ],
)
def test_masked(url: str, masked: str) -> None:
    assert mask(url) == masked


PASSWORD_END = "Zq9"


@example("?" + PASSWORD_END, "redis")
@example("?" + PASSWORD_END + "&x", "rediss")
@given(st.text(min_size=1).map(lambda text: text + PASSWORD_END), st.sampled_from(["redis", "rediss", "foo"]))
def test_a_password_is_never_shown(password: str, scheme: str) -> None:
    for written in (password, quote(password, safe="")):
        url = f"{scheme}://user:{written}@host:6379/0"
        try:
            shown = f"{RedisTarget.parse(url)} {RedisTarget.parse(url)!r} {RedisTarget.parse(url).masked}"
        except SettingsError as error:
            shown = str(error)
        assert PASSWORD_END not in shown


async def test_clients_never_send_twice_and_speak_one_protocol() -> None:
    for url in ("redis://h", "rediss://h", "unix:///s.sock"):
        target = RedisTarget.parse(url)
        client = open_redis(target, client_name="test", socket_timeout_s=7)
        with open_redis_sync(target, client_name="test", socket_timeout_s=7) as blocking:
            for connection in (
                client.connection_pool.make_connection(),  # type: ignore[no-untyped-call]
                blocking.connection_pool.make_connection(),
            ):
                assert connection.retry.get_retries() == 0
                assert connection.protocol == PROTOCOL
                assert connection.socket_timeout == 7
                assert connection.socket_connect_timeout == 5
                assert connection.encoder.decode_responses is False
                notifications = connection.maint_notifications_config
                assert notifications is None or not notifications.enabled
        await client.aclose()


def test_an_embedded_target_has_no_client_of_its_own() -> None:
    with pytest.raises(ValueError, match="redis_session"):
        open_redis(RedisTarget.parse("embedded://demo"), client_name="test")


def test_where_gives_other_urls_back_as_they_are() -> None:
    assert where("redis://:secret@h:1/2") == "redis://:secret@h:1/2"
    assert where_note("redis://h") == ""


class ScriptedClient:
    """Answers each ping with the next thing of a list; the last one for ever."""

    def __init__(self, *answers: Exception | bool) -> None:
        self.answers = list(answers)
        self.pings = 0

    async def ping(self) -> bool:
        self.pings += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.delays_s: list[float] = []

    def __call__(self) -> float:
        return self.now_s

    async def sleep(self, delay_s: float) -> None:
        self.delays_s.append(delay_s)
        self.now_s += delay_s
        await asyncio.sleep(0)


TARGET = RedisTarget.parse("redis://:secret@h")


async def wait(
    client: ScriptedClient,
    time: Time,
    lines: list[str],
    stop: asyncio.Event | None = None,
    give_up_s: float | None = None,
) -> bool:
    return await wait_for_redis(
        client,  # type: ignore[arg-type]
        TARGET,
        log=lines.append,
        stop=stop,
        give_up_s=give_up_s,
        sleep=time.sleep,
        rng=random.Random(1),
        clock=time,
    )


async def test_an_answer_at_once_says_nothing() -> None:
    lines: list[str] = []
    assert await wait(ScriptedClient(True), Time(), lines)
    assert lines == []


async def test_waiting_backs_off_and_says_so_every_few_seconds() -> None:
    time, lines = Time(), list[str]()
    client = ScriptedClient(*[redis.ConnectionError("Connection refused")] * 20, True)
    assert await wait(client, time, lines)
    assert client.pings == 21
    assert len(time.delays_s) == 20
    ceilings = [min(0.1 * 2**turn, 5.0) for turn in range(20)]
    assert all(high / 2 <= delay <= high for delay, high in zip(time.delays_s, ceilings, strict=True))
    assert len(lines) <= time.now_s / 5 + 2
    assert "redis://:***@h does not answer (Connection refused)" in lines[0]
    assert f"answers, after {time.now_s:.1f} s" in lines[-1]


async def test_who_ends_by_itself_gives_up_in_one_line() -> None:
    time, lines = Time(), list[str]()
    client = ScriptedClient(redis.ConnectionError("Connection refused"))
    with pytest.raises(RedisAwayError, match=r"does not answer \(Connection refused\), for 30 s") as away:
        await wait(client, time, lines, give_up_s=30)
    assert time.now_s == 30
    assert "\n" not in str(away.value)
    assert "secret" not in str(away.value)
    assert lines[0].endswith("it is tried again for 30 s"), "a reader has nothing to lose"
    assert await wait(ScriptedClient(redis.ConnectionError("refused"), True), Time(), [], give_up_s=30)


async def test_waits_while_redis_loads_its_data() -> None:
    time, lines = Time(), list[str]()
    loading = redis.exceptions.BusyLoadingError("Redis is loading the dataset in memory")
    assert await wait(ScriptedClient(loading, True), time, lines)
    assert lines == [], "loading is no news where it is short"
    assert await wait(ScriptedClient(*[loading] * 10, True), time, lines)
    assert "is loading its data" in lines[0]
    assert "answers, after" in lines[-1]


@pytest.mark.parametrize(
    "error",
    [
        redis.AuthenticationError("Authentication required."),
        redis.AuthenticationError("invalid username-password pair or user is disabled."),
        redis.exceptions.NoPermissionError("User x has no permissions to run the 'ping' command"),
        redis.ResponseError("DB index is out of range"),
    ],
)
async def test_a_refusal_is_not_waited_for(error: Exception) -> None:
    time = Time()
    with pytest.raises(RedisRefusedError) as refused:
        await wait(ScriptedClient(error), time, [])
    assert str(error) in str(refused.value)
    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)
    assert time.delays_s == []


async def test_stop_ends_the_waiting() -> None:
    stop, time = asyncio.Event(), Time()

    class StopsAtTheThirdPing(ScriptedClient):
        async def ping(self) -> bool:
            if self.pings == 2:
                stop.set()
            return await super().ping()

    client = StopsAtTheThirdPing(redis.TimeoutError("Timeout connecting to server"))
    async with asyncio.timeout(5):
        assert not await wait(client, time, [], stop)
    assert client.pings < 10
