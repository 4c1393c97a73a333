"""A setting is one line of a model; it comes from the right place, and a wrong one gets one clear line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bookstream.facts import facts_of
from bookstream.loading import Loaded, load
from bookstream.settings import MODELS, UpSettings
from consumers.tail.settings import TailSettings
from consumers.verify.settings import VerifySettings
from marketdata.errors import SettingsError
from marketdata.groups.membership import checked_name
from marketdata.keys import NAME_ALLOWED
from marketdata.settings import RedisSettings, is_one_run
from simulator.settings import SimulateSettings
from worker.settings import WorkerSettings

CONDITION_ID = "0x" + "ab" * 32


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder whose .env is read."""
    monkeypatch.chdir(tmp_path)
    for model in MODELS.values():
        monkeypatch.setitem(model.model_config, "env_file", ".env")
    return tmp_path


def read(command: str, *argv: str) -> Loaded[Any]:
    return load(MODELS[command], argv, f"bookstream {command}")


def refusal(command: str, *argv: str) -> str:
    with pytest.raises(SettingsError) as caught:
        read(command, *argv)
    message = str(caught.value)
    assert "\n" not in message
    return message


# Where a value comes from


def test_flags_outrank_the_environment_which_outranks_dotenv_which_outranks_the_default(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (read("worker").settings.max_markets, read("worker").origins["max_markets"]) == (500, "default")
    (folder / ".env").write_text("MAX_MARKETS=3\n")
    assert (read("worker").settings.max_markets, read("worker").origins["max_markets"]) == (3, ".env")
    monkeypatch.setenv("MAX_MARKETS", "2")
    assert (read("worker").settings.max_markets, read("worker").origins["max_markets"]) == (2, "environment")
    loaded = read("worker", "--max-markets", "1")
    assert (loaded.settings.max_markets, loaded.origins["max_markets"]) == (1, "flag")


@pytest.mark.parametrize("command", MODELS)
def test_every_setting_can_be_given_in_each_way(
    command: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own default, given in all three ways, is accepted and known to be from there."""
    for field, facts in facts_of(MODELS[command]).items():
        if facts.one_run:
            continue
        default = getattr(MODELS[command](), field)
        (folder / ".env").write_text(f"{facts.env}={facts.default}\n")
        assert read(command).origins[field] == ".env"
        assert getattr(read(command).settings, field) == default
        monkeypatch.setenv(facts.env, facts.default)
        assert read(command).origins[field] == "environment"
        assert getattr(read(command).settings, field) == default
        if facts.default:
            assert read(command, facts.flag, facts.default).origins[field] == "flag"
            assert getattr(read(command, facts.flag, facts.default).settings, field) == default
        monkeypatch.delenv(facts.env)


def test_arguments_of_one_run_are_not_read_from_the_environment_or_dotenv(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = {
        field: facts for model in MODELS.values() for field, facts in facts_of(model).items() if facts.one_run
    }
    assert {"from_", "market", "venue", "capture", "json_"} <= set(every)
    for field in every:
        for name in (field, field.rstrip("_")):
            monkeypatch.setenv(name.upper(), "1")
    (folder / ".env").write_text("".join(f"{field.rstrip('_').upper()}=1\n" for field in every))
    for command, model in MODELS.items():
        assert set(read(command).origins.values()) == {"default"}
        assert read(command).settings == model()


def test_models_made_in_python_take_keywords_and_refuse_unknown_ones() -> None:
    assert WorkerSettings(max_markets=7).max_markets == 7
    assert TailSettings(from_="2h", json_=True).from_ == "2h"
    with pytest.raises(ValidationError):
        WorkerSettings(max_market=7)  # type: ignore[call-arg]


def test_an_empty_value_is_a_value(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / ".env").write_text("FILTER_TAG_IDS=1\n")
    monkeypatch.setenv("FILTER_TAG_IDS", "")
    assert read("worker").settings.filter_tag_ids == ()
    monkeypatch.setenv("MAX_MARKETS", "")
    assert refusal("worker").startswith("MAX_MARKETS (environment) is ''")


# .env


def test_dotenv_may_hold_keys_of_other_commands(folder: Path) -> None:
    (folder / ".env").write_text("PING_INTERVAL_S=9\nexport LOG_LEVEL='debug' # a comment\n")
    loaded = read("tail")
    assert loaded.settings.log_level == "debug"
    assert loaded.warnings == []


def test_a_key_that_no_command_knows_is_a_warning_with_the_closest_key(folder: Path) -> None:
    (folder / ".env").write_text("PING_INTERVALL_S=9\nZZZ=1\nFROM=2h\n")
    assert read("tail").warnings == [
        "PING_INTERVALL_S in .env is not read: no command knows it; did you mean PING_INTERVAL_S?",
        "ZZZ in .env is not read: no command knows it; remove it",
        "FROM in .env is not read: --from belongs to one run",
    ]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"MAX_MARKETS\n", "line 1 of .env is not NAME=value: 'MAX_MARKETS'"),
        (b"A_B=1\nMAX_MARKETS: 5\n", "line 2 of .env is not NAME=value"),
        (b"LOG_LEVEL=\xff\n", ".env is not UTF-8 text; mend or remove it"),
    ],
)
def test_a_dotenv_that_cannot_be_read_is_refused(folder: Path, content: bytes, says: str) -> None:
    (folder / ".env").write_bytes(content)
    assert says in refusal("worker")


# Wrong values


def test_a_wrong_value_names_the_setting_as_it_was_given(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = "'abc'; allowed: a number above 0, up to 55"
    (folder / ".env").write_text("PING_INTERVAL_S=abc\n")
    assert refusal("worker") == f"PING_INTERVAL_S (.env) is {allowed}"
    monkeypatch.setenv("PING_INTERVAL_S", "abc")
    assert refusal("worker") == f"PING_INTERVAL_S (environment) is {allowed}"
    assert refusal("worker", "--ping-interval-s", "abc") == f"--ping-interval-s is {allowed}"


def test_a_wrong_value_that_is_outranked_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PING_INTERVAL_S", "abc")
    assert read("worker", "--ping-interval-s", "9").settings.ping_interval_s == 9


@pytest.mark.parametrize(
    ("command", "argv", "says"),
    [
        ("worker", ["--partitions", "0"], "--partitions is '0'; allowed: a whole number from 1 to 100"),
        ("worker", ["--partitions=-1"], "--partitions is '-1'; allowed: a whole number from 1 to 100"),
        ("worker", ["--partitions", "-1"], "--partitions is '-1'; allowed: a whole number from 1 to 100"),
        ("worker", ["--tokens-per-connection", "501"], "from 2 to 500"),
        ("worker", ["--ping-interval-s", "nan"], "--ping-interval-s is 'nan'"),
        ("worker", ["--filter-min-liquidity", "inf"], "--filter-min-liquidity is 'inf'"),
        ("worker", ["--socket-mode", "rust"], "--socket-mode is 'rust'; allowed: python or native"),
        ("worker", ["--log-level", "loud"], "allowed: debug, info, warning or error"),
        ("worker", ["--venue-ws-url", "https://x"], "allowed: a URL of ws:// or wss://"),
        ("worker", ["--gamma-url", "gamma"], "allowed: a URL of http:// or https://"),
        ("worker", ["--catalog", "file:"], "allowed: gamma or file:PATH"),
        ("worker", ["--worker-id", "a b"], "--worker-id is 'a b'; allowed: 1 to 64 of"),
        ("worker", ["--key-prefix", "a{b}"], "--key-prefix is 'a{b}'; allowed: text without braces"),
        ("worker", ["--filter-tag-ids", "1,x"], "--filter-tag-ids is 'x'; allowed: numbers"),
        ("worker", ["--filter-condition-ids", "0xabc"], "--filter-condition-ids is '0xabc'"),
        ("worker", ["--worker-id", "x" * 500], "…; allowed"),
        ("worker", ["--worker-id", "a\nb"], r"'a\nb'"),
        ("worker", ["--redis-url", "mysql://h"], "--redis-url: REDIS_URL=mysql://h cannot be used"),
        ("worker", ["--max-markets", "x", "--opens-per-s", "0"], "; also wrong: --opens-per-s"),
        ("tail", ["--from", "yesterday"], "--from: 'yesterday' is not a time; write 2h"),
        ("tail", ["--from", "1767225600"], "in milliseconds that is 1767225600000"),
        ("tail", ["--count", "0"], "--count is '0'; allowed: a whole number from 1 up"),
        ("tail", ["--outcome", "2"], "--outcome is '2'; allowed: a whole number from 0 to 1"),
        ("simulate", ["--capture", "missing.jsonl"], "--capture is 'missing.jsonl' (no such file)"),
        ("simulate", ["--listen", "8787"], "--listen is '8787' (not a host and a port)"),
        ("simulate", ["--listen", "h:70000"], "--listen is 'h:70000'"),
        ("simulate", ["--speed", "-1"], "--speed is '-1'; allowed: a number from 0 up"),
        ("up", ["--venue", "mars"], "--venue is 'mars'; allowed: live or simulated"),
        ("up", ["--duration-s", "0"], "--duration-s is '0'; allowed: a number above 0"),
    ],
)
def test_each_wrong_value_gets_one_line(command: str, argv: list[str], says: str) -> None:
    assert says in refusal(command, *argv)


def test_settings_that_contradict_each_other_are_both_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / ".env").write_text("RECONNECT_MIN_S=5\n")
    monkeypatch.setenv("RECONNECT_MAX_S", "2")
    assert refusal("worker") == (
        "RECONNECT_MIN_S (.env) is 5 and RECONNECT_MAX_S (environment) is 2: "
        "RECONNECT_MIN_S must be at most RECONNECT_MAX_S"
    )
    assert refusal("worker", "--ping-interval-s=40", "--reconnect-max-s=9") == (
        "--ping-interval-s is 40 and PONG_TIMEOUT_S (default) is 30: "
        "PING_INTERVAL_S must be at most PONG_TIMEOUT_S"
    )
    with pytest.raises(ValidationError, match="STEP_QUIET_MS must be at most DESYNC_AFTER_MS"):
        WorkerSettings(step_quiet_ms=300, reconnect_max_s=9)


@pytest.mark.parametrize(
    "url", ["redis://me:hunter2@h:x/0", "foo://me:hunter2@h", "redis://h:1/0?password=hunter2&x=1"]
)
def test_a_password_is_in_no_message_and_no_repr(url: str) -> None:
    assert "hunter2" not in refusal("worker", "--redis-url", url)
    good = read("worker", "--redis-url", "redis://me:hunter2@h:6379/0")
    assert "hunter2" not in repr(good.settings)
    assert facts_of(WorkerSettings)["redis_url"].show(good.settings.redis_url) == "redis://me:***@h:6379/0"
    with pytest.raises(ValidationError) as caught:
        RedisSettings(redis_url=url)
    assert "hunter2" not in str(caught.value)


# Flags


@pytest.mark.parametrize(
    ("command", "argv", "says"),
    [
        (
            "worker",
            ["--ping-intervall-s", "9"],
            "unknown flag --ping-intervall-s; did you mean --ping-interval-s?",
        ),
        ("worker", ["--pong", "9"], "unknown flag --pong; did you mean --pong-timeout-s?"),
        ("worker", ["--zzz"], "unknown flag --zzz; see bookstream worker --help"),
        ("worker", ["extra"], "unknown argument extra; see bookstream worker --help"),
        ("worker", ["--max-markets"], "--max-markets: expected one argument"),
        ("tail", ["--headless"], "unknown flag --headless"),
        ("up", ["--headless=yes"], "--headless"),
    ],
)
def test_a_flag_that_cannot_be_used_gets_one_line_with_a_hint(
    command: str, argv: list[str], says: str
) -> None:
    assert says in refusal(command, *argv)


@pytest.mark.parametrize("argv", [["--from", "-2h"], ["--from=-2h"], ["--from", "2h"], ["--from=2h"]])
@pytest.mark.parametrize("command", ["tail", "verify"])
def test_a_time_ago_may_have_a_minus(command: str, argv: list[str]) -> None:
    settings = read(command, *argv).settings
    assert isinstance(settings, TailSettings | VerifySettings)
    assert settings.from_ in ("2h", "-2h")


@pytest.mark.parametrize(
    ("name", "fits"),
    [("a", True), ("A.b_c-9", True), ("x" * 64, True)]
    + [(name, False) for name in ("x" * 65, "", "a b", "a:b", "a{b}", "ä", "a\n", "a/b")],
)
def test_one_rule_for_the_names_of_groups(name: str, fits: bool) -> None:
    def taken(command: str, *words: str) -> bool:
        try:
            read(command, *words, "--group", name)
        except SettingsError as error:
            return NAME_ALLOWED not in str(error)
        return True

    takes = {command: taken(command) for command in ("tail", "replay", "groups", "arbitrage")}
    try:
        checked_name("group", name)
        takes["run_group"] = True
    except SettingsError:
        takes["run_group"] = False
    assert set(takes.values()) == {fits}, takes


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("replay", "--replace"),
            "--replace and no --into: --replace removes an older copy, so it needs --into",
        ),
        (("arbitrage", "--report", "--once"), "--report and --once: --report sums up what was found before"),
        (
            ("replay", "--into", "a:", "--replace", "--group", "g"),
            "--replace and --group is g: --replace begins",
        ),
        (("up", "--capture", __file__), "--capture is "),
    ],
)
def test_flags_that_contradict_each_other_are_told_as_they_were_given(
    words: tuple[str, ...], said: str
) -> None:
    told = refusal(*words)
    assert told.startswith(said)
    assert " is yes" not in told
    assert " is :" not in told


def test_switches_can_be_turned_on_and_off() -> None:
    assert not read("up").settings.headless
    assert read("up", "--headless").settings.headless
    assert not read("up", "--headless", "--no-headless").settings.headless
    assert read("tail").settings.follow
    assert not read("tail", "--no-follow", "--standing").settings.follow
    assert read("tail", "--json").settings.json_


def test_a_flag_of_many_takes_several_values_and_may_be_repeated(folder: Path) -> None:
    names = ["a.jsonl", "b,c.jsonl", "d e.jsonl.gz"]
    for name in names:
        (folder / name).touch()
    loaded = read("simulate", "--capture", names[0], names[1], "--loop", "--capture", names[2])
    assert loaded.settings.capture == tuple(map(Path, names))
    assert read("tail", "--market", "x", "--market", "y").settings.market == ("x", "y")


def test_lists_are_words_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read("worker", "--filter-tag-ids", "1, 2,").settings.filter_tag_ids == ("1", "2")
    assert read("worker", "--filter-tag-ids=1", "--filter-tag-ids=2").settings.filter_tag_ids == ("1", "2")
    monkeypatch.setenv("FILTER_CONDITION_IDS", CONDITION_ID)
    assert read("worker").settings.filter_condition_ids == (CONDITION_ID,)


@pytest.mark.parametrize("word", ["null", "None", "true", "[]", "{}", "1"])
def test_words_that_mean_something_to_libraries_are_just_words(word: str) -> None:
    assert read("tail", "--market", word).settings.market == (word,)
    if word.isalnum():
        assert read("worker", "--worker-id", word).settings.worker_id == word


def test_where_the_simulator_listens() -> None:
    assert (SimulateSettings().host, SimulateSettings().port) == ("127.0.0.1", 8787)
    v6 = SimulateSettings(listen="[::1]:0")
    assert (v6.host, v6.port) == ("::1", 0)


def test_a_simulated_venue_gets_a_redis_of_its_own() -> None:
    assert read("up").settings.redis_url == "embedded://default"
    assert read("up", "--venue", "simulated").settings.redis_url == "embedded://demo"
    assert UpSettings(venue="simulated", redis_url="unix:///x").redis_url == "unix:///x"


def test_many_simulated_markets_are_followed_and_not_left_out() -> None:
    assert read("up", "--venue", "simulated").settings.max_markets == 500
    many = read("up", "--venue", "simulated", "--markets", "3000").settings
    assert many.max_markets >= 3_000
    assert many.max_connections * many.tokens_per_connection >= 2 * 3_000
    told = read("up", "--venue", "simulated", "--markets", "3000", "--max-markets", "10").settings
    assert told.max_markets == 10


@pytest.mark.parametrize("flag", ["--markets", "--rate", "--seed", "--edges"])
def test_what_only_the_synthetic_venue_has_is_refused_elsewhere(flag: str) -> None:
    with pytest.raises(SettingsError, match=f"{flag} is 5 .*simulated venue"):
        read("up", flag, "5")
    with pytest.raises(SettingsError, match=f"{flag} is 5 .*nothing to recordings"):
        read("up", "--venue", "simulated", "--capture", __file__, flag, "5")
    assert read("up", "--venue", "simulated", flag, "5").settings


def test_a_simulator_plays_one_thing() -> None:
    with pytest.raises(SettingsError, match="one or the other"):
        read("simulate", "--synthetic", "--capture", __file__)


@pytest.mark.parametrize("flag", ["--markets", "--rate", "--seed", "--edges", "--truth-s"])
def test_recordings_refuse_what_only_a_synthetic_venue_has(flag: str) -> None:
    with pytest.raises(SettingsError, match=f"{flag} is 5 .*recordings"):
        read("simulate", "--capture", __file__, flag, "5")


@pytest.mark.parametrize("flags", [("--speed", "2"), ("--loop",)])
def test_a_synthetic_venue_refuses_what_only_recordings_have(flags: tuple[str, ...]) -> None:
    with pytest.raises(SettingsError, match=f"{flags[0]} .*recordings"):
        read("simulate", "--synthetic", *flags)


@pytest.mark.parametrize("command", MODELS)
def test_every_setting_says_what_it_is(command: str) -> None:
    for field, facts in facts_of(MODELS[command]).items():
        assert facts.description.endswith("."), field
        assert facts.group, field
        assert is_one_run(MODELS[command].model_fields[field]) == (facts.env == "")
        assert facts.allowed or not facts.metavar, field
