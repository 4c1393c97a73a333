"""The market channel's rules for one connection, as texts in and answers out."""

from __future__ import annotations

import orjson
import pytest

from simulator.venue.protocol import MAX_IDS_BEFORE_CUT, Answer, Subscription


def text(**request: object) -> str:
    return orjson.dumps(request).decode()


def subscribed(*tokens: str, **more: object) -> Subscription:
    subscription = Subscription()
    subscription.receive(text(assets_ids=list(tokens), type="market", **more))
    assert subscription.accepted
    return subscription


def test_first_subscription_is_answered_with_a_dump() -> None:
    subscription = Subscription()
    answer = subscription.receive(text(assets_ids=["1", "2", "1"], type="market"))
    assert answer == Answer(dump=("1", "2"), added=("1", "2"))
    assert (subscription.accepted, subscription.custom) == (True, False)


@pytest.mark.parametrize(
    "payload",
    [
        "PING",
        "",
        "{",
        "[]",
        b'{"type":"market"}',
        '{"assets_ids":["1"]}',
        '{"operation":"subscribe","assets_ids":["1"]}',
        '{"type":"user","assets_ids":["1"]}',
    ],
)
def test_anything_else_first_is_closed_with_1008(payload: str | bytes) -> None:
    answer = Subscription().receive(payload)
    assert answer == Answer(close=1008, reason="invalid subscription payload")


@pytest.mark.parametrize("ids", [[], None, [""], ["1", 2], "1"])
def test_first_subscription_without_ids_is_an_invalid_operation(ids: object) -> None:
    subscription = Subscription()
    assert subscription.receive(text(assets_ids=ids, type="market")) == Answer(text="INVALID OPERATION")
    assert subscription.receive(text(assets_ids=["1"], type="market")).added == ("1",)


def test_discovery_only() -> None:
    subscription = Subscription()
    assert subscription.receive(text(assets_ids=[], type="market", custom_feature_enabled=True)) == Answer()
    assert (subscription.accepted, subscription.custom) == (True, True)


def test_official_rust_client_repeats_type_and_operation() -> None:
    subscription = Subscription()
    request = {"type": "market", "operation": "subscribe", "markets": [], "initial_dump": True}
    assert subscription.receive(text(assets_ids=["1"], **request)).added == ("1",)
    assert subscription.receive(text(assets_ids=["2"], **request)).dump == ("2",)


def test_ping_is_answered() -> None:
    assert subscribed("1").receive("PING") == Answer(text="PONG")


@pytest.mark.parametrize(
    "payload",
    [
        text(assets_ids=["2"], type="market"),
        text(assets_ids=[], operation="subscribe"),
        text(operation="subscribe"),
        text(operation="unsubscribe", assets_ids=[]),
        text(operation="dance", assets_ids=["2"]),
        "pong",
        b"PING",
    ],
)
def test_invalid_operations_leave_the_subscription_as_it_is(payload: str | bytes) -> None:
    subscription = subscribed("1")
    assert subscription.receive(payload) == Answer(text="INVALID OPERATION")
    assert subscription.tokens == {"1"}


def test_subscribe_that_adds_nothing() -> None:
    answer = subscribed("1", "2").receive(text(operation="subscribe", assets_ids=["2", "1"]))
    assert answer == Answer(text="NO NEW ASSETS")


def test_only_new_tokens_are_dumped() -> None:
    answer = subscribed("1").receive(text(operation="subscribe", assets_ids=["1", "2"]))
    assert answer == Answer(dump=("2",), added=("2",))


def test_unsubscribe_and_subscribe_again_dumps_again() -> None:
    subscription = subscribed("1", "2")
    assert subscription.receive(text(operation="unsubscribe", assets_ids=["1", "9"])) == Answer(
        removed=("1",)
    )
    assert subscription.receive(text(operation="subscribe", assets_ids=["1"])).dump == ("1",)


def test_no_dump_where_none_is_wanted() -> None:
    subscription = subscribed("1", initial_dump=False)
    assert subscription.receive(text(operation="subscribe", assets_ids=["2"])).dump is None


def test_custom_features_may_be_asked_for_later() -> None:
    subscription = subscribed("1")
    subscription.receive(text(operation="subscribe", assets_ids=["2"], custom_feature_enabled=True))
    assert subscription.custom


def test_frame_with_too_many_ids_is_cut() -> None:
    ids = [str(number) for number in range(MAX_IDS_BEFORE_CUT + 1)]
    assert Subscription().receive(text(assets_ids=ids, type="market")) == Answer(close=1006)
    assert subscribed("x").receive(text(assets_ids=ids, operation="subscribe")) == Answer(close=1006)


def test_first_books_stop_coming_beyond_500_tokens() -> None:
    subscription = subscribed(*(str(number) for number in range(499)))
    beyond = subscription.receive(text(operation="subscribe", assets_ids=["a", "b"]))
    assert (beyond.added, beyond.dump) == (("a", "b"), ("a",))
    assert subscription.receive(text(operation="subscribe", assets_ids=["c"])).dump is None
