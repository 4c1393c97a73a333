"""All that the screen shows, and how it follows from what was read (pure: the time is handed in)."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from copy import copy, deepcopy
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import Final, TypeVar

from consumers.dashboard.choices import Sort
from consumers.dashboard.health import Facts, Health, health_of, is_silent, unwritten
from consumers.dashboard.hearing import Hearing
from consumers.dashboard.markets import MarketLine
from consumers.dashboard.members import GroupLine
from consumers.dashboard.opportunities import Opportunities
from consumers.dashboard.quotes import MarketView
from consumers.dashboard.ranking import Ranking
from consumers.dashboard.rates import Activity, LastMinute, Rates
from consumers.dashboard.reading import EngineWord, Page, Reading, Server, Wish
from consumers.dashboard.records import Counted, WorkerRecord
from consumers.dashboard.silence import is_cut_off
from consumers.dashboard.story import Story
from consumers.dashboard.watch import Watch

SPARK_S: Final = 120
"""Seconds of updates a second that are remembered."""

RANK_EVERY_MS: Final = 3_000
_Number = TypeVar("_Number", int, float)
_RANK_OFTEN_S: Final = 4


@dataclass(slots=True)
class Vitals:
    """The figures of the header, summed over the workers that are heard; None where no worker tells."""

    updates_per_s: float | None = None
    history: deque[float] = field(default_factory=lambda: deque(maxlen=SPARK_S))
    p50_ms: float | None = None
    p99_ms: float | None = None
    workers: Counter[str] = field(default_factory=Counter)
    connections: Counter[str] = field(default_factory=Counter)
    live: int = 0
    waiting: int = 0
    unlisted: int = 0
    stale: int | None = None
    quarantined: int | None = None
    gaps_last_minute: int | None = None
    pending: int = 0


class State:
    """Takes readings; pages read its attributes.

    Attributes:
        title: what runs.
        away: why Redis is not read now, and since when.
        workers: newest records.
        vitals: of the header.
        markets: the catalog.
        counted: by condition id, what the worker that writes it counts.
        views: markets whose streams are followed.
        order: condition ids as listed.
        read: what the last reading was asked for, besides the header.
    """

    def __init__(self, title: str = "bookstream") -> None:
        self.title = title
        self.away = ""
        self.away_since_ms = 0
        self.looked = False
        self.read = Wish()
        self.read_ms = 0
        self.workers: Sequence[WorkerRecord] = ()
        self.unreadable: Sequence[str] = ()
        self.vitals = Vitals()
        self.server: Server | None = None
        self.partitions: int | None = None
        self.markets: Mapping[str, MarketLine] = {}
        self.counted: Mapping[str, Counted] = {}
        self.views: dict[str, MarketView] = {}
        self.opportunities = Opportunities()
        self.engine: EngineWord | None = None
        self.groups: Sequence[GroupLine] | None = None
        self.story = Story()
        self.activity = Activity()
        self.frames = Rates()
        self.hearing = Hearing()
        self._watch = Watch()
        self._ranking = Ranking()
        self._ranked: tuple[Sort, bool, str, int] | None = None
        self._ranked_ms = 0
        self._clocks: Mapping[int, int] = {}
        self._updates = Rates()
        self._gaps = LastMinute()
        self._history_s = 0
        self._catalog = 0
        self._opened = ""

    @property
    def order(self) -> Sequence[str]:
        """Condition ids of the list, as of the last `rank`."""
        return self._ranking.order

    def lost(self, why: str, now_ms: int) -> None:
        """Redis does not answer; what was read stays."""
        if not self.away:
            self.away_since_ms = now_ms
            if self.looked:
                self.story.tell("redis", "", why, now_ms)
        self.away = why

    def take(self, reading: Reading, markets: Mapping[str, MarketLine], opened: str = "") -> None:
        """Takes the next reading."""
        self.take_vitals(reading)
        self.markets = markets
        self._catalog = reading.catalog
        if opened != self._opened and opened in self.views:
            # Its page begins with the stream's end, which is read anew.
            del self.views[opened]
        self._opened = opened
        for page in reading.pages:
            self._take_page(page, reading.at_ms)
        if reading.found_anew:
            self.opportunities = Opportunities()
        self.opportunities.take(reading.found)
        self.engine = reading.engine or self.engine
        if reading.groups is not None:
            self.groups = reading.groups
        if reading.workers is not None:
            self._count_markets(reading.workers)

    def take_vitals(self, reading: Reading) -> None:
        """Takes what tells whether the data can be trusted, which goes on while a picture is held."""
        if self.away and self.looked:
            away_s = (reading.at_ms - self.away_since_ms) / 1000
            self.story.tell("redis", "", f"answers again, after {away_s:.1f} s", reading.at_ms)
        self.away, self.looked, self.read_ms = "", True, reading.at_ms
        if reading.clocks is not None:
            self._clocks = reading.clocks
        self.server, self.partitions = reading.server, reading.partitions
        if reading.workers is not None:
            self.workers, self.unreadable = reading.workers, reading.unreadable
            self.hearing.update(reading.workers, reading.at_ms)
            self._take_words(reading.workers, reading.at_ms)
        self._refresh(reading.at_ms)

    def health(self, now_ms: int) -> Health:
        """The word of this moment."""
        ages = {word.worker: self.hearing.age_ms(word.worker, now_ms) for word in self.workers}
        behind_ms = self.behind_ms
        return health_of(
            Facts(
                looked=self.looked,
                read_age_ms=now_ms - self.read_ms,
                away=self.away,
                workers=self.workers,
                ages_ms=ages,
                unreadable=self.unreadable,
                partitions=self.partitions,
                clock_ages_ms={one: now_ms - behind_ms - ms for one, ms in self._clocks.items()},
                server=self.server,
            )
        )

    def is_old(self, now_ms: int) -> bool:
        """Whether nobody vouches for what is shown: Redis is away, or nobody writes, or nobody gets anything."""
        return bool(self.away) or not any(
            word.state == "running"
            and not is_silent(word, self.hearing.age_ms(word.worker, now_ms))
            and not is_cut_off(word)
            for word in self.workers
        )

    @property
    def behind_ms(self) -> int:
        """What to add to a time of the workers to have it in ours."""
        running = [word for word in self.workers if word.state == "running"]
        return self.hearing.behind_ms(running[-1].worker) if running else 0

    def is_followed(self, condition_id: str) -> bool:
        """Whether a worker writes it; of workers that do not tell it is believed."""
        return not self.counted or condition_id in self.counted

    def rank(self, sort: Sort, sought: str, now_ms: int, *, backwards: bool = False) -> None:
        """Orders the list, if it is time or the question is another one."""
        asked = (sort, backwards, sought, self._catalog)
        # In the first seconds every word of a worker tells much more of who is busy.
        every_ms = RANK_EVERY_MS if len(self.vitals.history) > _RANK_OFTEN_S else RANK_EVERY_MS // 4
        if asked == self._ranked and 0 <= now_ms - self._ranked_ms < every_ms:
            return
        if self._ranked is None or asked[:2] != self._ranked[:2]:
            self._ranking.forget_places()
        self._ranking.update(self.markets, self.counted, self.activity, sort, sought, backwards=backwards)
        self._ranked, self._ranked_ms = asked, now_ms

    def held(self) -> State:
        """A copy that stays as it is while this one goes on with `take_vitals`; the list can still be searched."""
        twin = copy(self)
        twin.hearing, twin.frames, twin._ranking = copy(self.hearing), copy(self.frames), copy(self._ranking)
        twin.story, twin.vitals = self.story.held(), deepcopy(self.vitals)
        # The reader goes on with the catalog in its place.
        twin.markets, twin.views = dict(self.markets), dict(self.views)
        return twin

    def keep_only(self, followed: Sequence[str]) -> None:
        """Drops the views of markets that left the screen."""
        for left in self.views.keys() - set(followed):
            del self.views[left]

    def _take_page(self, page: Page, at_ms: int) -> None:
        view = MarketView() if page.first else self.views.get(page.condition_id)
        if view is None:
            return
        self.views[page.condition_id] = view
        keep = page.condition_id == self._opened
        for seen in page.entries:
            view.apply(seen, 0 if page.first else at_ms, keep=keep)

    def _take_words(self, words: Sequence[WorkerRecord], at_ms: int) -> None:
        self._updates.update({word.key: (word.now_ms, word.count("updates")) for word in words})
        self.vitals.gaps_last_minute = self._gaps.update(words, at_ms)
        self.frames.update(
            {
                (*word.key, one.name): (word.now_ms, one.frames)
                for word in words
                for one in word.connections
                if one.frames is not None
            }
        )
        for told in self._watch.gaps(words):
            self.story.tell(*told, at_ms)
        for word in words:
            self.story.take(word, self.hearing.behind_ms(word.worker))

    def _count_markets(self, words: Sequence[WorkerRecord]) -> None:
        self.activity.update(words)
        counted: dict[str, Counted] = {}
        for word in sorted(words, key=lambda word: word.now_ms):
            counted.update(word.markets_counted)
        self.counted = counted

    def _refresh(self, at_ms: int) -> None:
        vitals = self.vitals
        silent = {
            word.worker for word in self.workers if is_silent(word, self.hearing.age_ms(word.worker, at_ms))
        }
        heard = [word for word in self.workers if word.worker not in silent and word.state != "stopped"]
        instead = "silent" if unwritten(heard, self.partitions) else "replaced"
        standings = {word.worker: instead if word.worker in silent else word.state for word in self.workers}
        for told in self._watch.workers(self.workers, standings):
            self.story.tell(*told, at_ms)
        vitals.workers = Counter(standings.values())
        writers = [word for word in heard if word.connections or word.state == "running"]
        vitals.updates_per_s = _known_sum([self._updates.get(word.key) for word in heard])
        # No latency is nothing: a worker that has measured none says 0.
        vitals.p50_ms = max((word.latency_ms.p50 for word in writers), default=None) or None
        vitals.p99_ms = max((word.latency_ms.p99 for word in writers), default=None) or None
        vitals.connections = Counter(one.state for word in heard for one in word.connections)
        vitals.live = sum(word.tokens_live for word in heard)
        # Stale ones are among those that wait.
        vitals.waiting = sum(word.tokens_waiting - (word.stale or 0) for word in heard)
        vitals.unlisted = sum(word.tokens_unlisted for word in heard)
        vitals.stale = _known_sum([word.stale for word in heard])
        vitals.quarantined = _known_sum([word.quarantined for word in heard])
        vitals.pending = sum(word.pending for word in heard)
        if self._history_s == 0:
            self._history_s = at_ms // 1000
        for _ in range(min(at_ms // 1000 - self._history_s, SPARK_S)):
            vitals.history.append(vitals.updates_per_s or 0.0)
        self._history_s = max(self._history_s, at_ms // 1000)


def _known_sum(counts: Sequence[_Number | None]) -> _Number | None:
    known = [count for count in counts if count is not None]
    return reduce(add, known) if known else None
