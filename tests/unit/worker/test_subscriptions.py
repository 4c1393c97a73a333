"""What is asked of the venue: nothing before the first subscription, and never more than 100 ids at once."""

from __future__ import annotations

import json
from typing import Any

from worker.notices import Command, Send
from worker.subscriptions import Subscriptions


class Asked:
    """Subscriptions of one connection, and what went out."""

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.subscriptions = Subscriptions(self.commands)

    def take(self) -> list[dict[str, Any]]:
        sent = [json.loads(one.text) for one in self.commands if isinstance(one, Send)]
        assert len(sent) == len(self.commands)
        self.commands.clear()
        return sent


def tokens(count: int) -> list[str]:
    return [str(number) for number in range(count)]


def test_only_the_first_frame_of_a_connection_has_the_initial_form() -> None:
    asked = Asked()
    asked.subscriptions.opened()
    asked.subscriptions.subscribe(["1", "2"])
    asked.subscriptions.subscribe(["3"])
    assert asked.take() == [
        {"assets_ids": ["1", "2"], "type": "market", "custom_feature_enabled": True},
        {"operation": "subscribe", "assets_ids": ["3"], "custom_feature_enabled": True},
    ]
    asked.subscriptions.opened()
    asked.subscriptions.subscribe(["1"])
    assert asked.take()[0]["type"] == "market", "a new connection knows nothing of the last one"


def test_no_frame_has_more_than_100_ids_and_each_id_is_in_one() -> None:
    asked = Asked()
    asked.subscriptions.opened()
    for ask in (asked.subscriptions.subscribe, asked.subscriptions.unsubscribe):
        ask(tokens(201))
        sent = asked.take()
        assert [len(one["assets_ids"]) for one in sent] == [100, 100, 1]
        assert [token for one in sent for token in one["assets_ids"]] == tokens(201)


def test_what_is_not_open_or_not_begun_is_not_written_to() -> None:
    asked = Asked()
    asked.subscriptions.subscribe(["1"])
    asked.subscriptions.opened()
    asked.subscriptions.unsubscribe(["1"])
    assert asked.take() == []
    assert (asked.subscriptions.is_open, asked.subscriptions.begun) == (True, False)
    asked.subscriptions.subscribe(["1"])
    asked.subscriptions.closed()
    asked.take()
    asked.subscriptions.subscribe(["1"])
    asked.subscriptions.unsubscribe(["1"])
    assert asked.take() == []
    assert (asked.subscriptions.is_open, asked.subscriptions.begun) == (False, False)


def test_an_empty_change_is_no_subscription() -> None:
    asked = Asked()
    asked.subscriptions.opened()
    asked.subscriptions.subscribe([])
    assert not asked.subscriptions.begun, "the venue answers an empty first message with a complaint"
    asked.subscriptions.subscribe(["1"])
    asked.take()
    asked.subscriptions.unsubscribe([])
    asked.subscriptions.subscribe([])
    assert asked.take() == []
