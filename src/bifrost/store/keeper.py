"""The configuration store as the house sees it: there, or away for a while.

While it is away, what was loaded last is served on; counters and sessions that change wait here, each in its latest state
and so bounded by their number, and are written when it is back. Nouns do not wait: whoever changes the configuration is told
at once that it was not done, for a change that is said to be made and is lost with the process would be a lie.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TypeVar

import attrs
import trio

from bifrost.config.nouns import Change, Noun, Remove
from bifrost.store.base import StoreAway, StoreBusy, StoreError, StoreFull
from bifrost.store.config_base import (
    MAX_COUNTERS,
    MAX_SESSIONS,
    ConfigStore,
    CounterRow,
    Loaded,
)

__all__ = ["StoreKeeper"]

T = TypeVar("T")

IDLE_S = 30.0
"""Between two looks at whether it is there, if nobody asks it for anything."""
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
JITTER = 0.2

GONE = (StoreAway, StoreBusy)


@attrs.define(eq=False)
class _Waiting:
    """What is to be written. One that is told anew takes the place of what was told before."""

    counters: dict[str, CounterRow] = attrs.field(factory=dict)
    forgotten: set[str] = attrs.field(factory=set)
    begun: dict[str, tuple[float, float]] = attrs.field(factory=dict)
    """Sessions, with their end and when they were begun."""
    ended: set[str] = attrs.field(factory=set)
    all_ended: bool = False

    def __bool__(self) -> bool:
        return bool(self.counters or self.forgotten or self.is_of_sessions)

    @property
    def sessions(self) -> int:
        return len(self.begun) + len(self.ended)

    @property
    def is_of_sessions(self) -> bool:
        return bool(self.sessions or self.all_ended)

    def count(self, counters: Mapping[str, CounterRow]) -> None:
        self.counters |= counters
        self.forgotten -= counters.keys()

    def forget(self, ids: Iterable[str]) -> None:
        for name in ids:
            self.counters.pop(name, None)
            self.forgotten.add(name)

    def end_all(self) -> None:
        self.begun.clear()
        self.ended.clear()
        self.all_ended = True

    def put_back(self, former: _Waiting) -> None:
        """``former`` was not written after all: what was told meanwhile is newer."""
        self.counters = {
            **{name: row for name, row in former.counters.items() if name not in self.forgotten},
            **self.counters,
        }
        self.forgotten |= former.forgotten - self.counters.keys()
        if not self.all_ended:
            begun = {name: at for name, at in former.begun.items() if name not in self.ended}
            self.begun = {**begun, **self.begun}
            self.ended |= former.ended - self.begun.keys()
            self.all_ended = former.all_ended


@attrs.define(eq=False)
class StoreKeeper:
    """Keeps ``store``. ``run`` writes what waits; without it nothing is written but what ``flush`` and ``write`` do.

    ``chance`` gives a number from 0 to 1, so that gateways do not come back all at once. ``on_turn`` hears when the store
    goes away, with the reason, and with ``None`` when it is back: then others may have changed it meanwhile.
    """

    store: ConfigStore
    chance: Callable[[], float]
    on_turn: Callable[[StoreError | None], None] = lambda _: None
    trouble: StoreError | None = attrs.field(default=None, init=False)
    """Why it is away."""
    latest: Loaded | None = attrs.field(default=None, init=False)
    """What was loaded last, with the nouns written since. Its counters are as they were then."""
    lost: int = attrs.field(default=0, init=False)
    """Counters that did not fit any more; the ones that were there before were kept."""
    _waiting: _Waiting = attrs.field(factory=_Waiting, init=False)
    _taken: _Waiting = attrs.field(factory=_Waiting, init=False)
    """What is being written."""
    _known: dict[str, float] = attrs.field(factory=dict, init=False)
    """Sessions that were found or begun, for when the store is away. The one found last is the last."""
    _written: dict[str, CounterRow] = attrs.field(factory=dict, init=False)
    """Counters as the store has them."""
    _wake: trio.Event = attrs.field(factory=trio.Event, init=False)
    _writing: trio.Lock = attrs.field(factory=trio.Lock, init=False)

    @property
    def is_away(self) -> bool:
        """Whether the store did not do what it was asked for last."""
        return self.trouble is not None

    @property
    def waiting(self) -> int:
        """Counters and sessions that are not written yet."""
        waiting = self._waiting
        return len(waiting.counters) + len(waiting.forgotten) + waiting.sessions

    async def load(self) -> Loaded:
        """Everything, which is ``latest`` then. Raises StoreError: then ``latest`` is as it was."""
        self.latest = await self._ask(self.store.load)
        self._written = dict(self.latest.counters)
        return self.latest

    async def write(self, changes: Sequence[Change], now_s: float) -> tuple[Noun, ...]:
        """As ``ConfigStore.write``. While the store is away it raises StoreAway at once."""
        if self.trouble is not None:
            raise StoreAway(f"the configuration store is away: {self.trouble}")
        nouns = await self._ask(lambda: self.store.write(changes, now_s))
        if self.latest is not None:
            self.latest = _applied(self.latest, changes, nouns)
        return nouns

    def written(self, ids: Iterable[str]) -> Mapping[str, CounterRow]:
        """What these counters stand at in the store; those it does not have are left out."""
        return {name: self._written[name] for name in ids if name in self._written}

    def tell_counters(self, counters: Mapping[str, CounterRow]) -> None:
        """Have these written soon. Never waits."""
        fits = MAX_COUNTERS - len(self._waiting.counters)
        if len(counters) > fits:
            known = self._waiting.counters.keys()
            taken = {name: row for name, row in counters.items() if name in known}
            self.lost += len(counters) - len(taken)
            counters = taken
        self._waiting.count(counters)
        self._wake.set()

    def tell_forgotten(self, ids: Iterable[str]) -> None:
        """Have these counters deleted soon. Never waits."""
        self._waiting.forget(ids)
        self._wake.set()

    async def flush(self) -> None:
        """Write what waits, within the store's own bounds. Raises StoreError: then it still waits."""
        async with self._writing:
            taken, self._waiting = self._waiting, _Waiting()
            self._taken = taken
            try:
                await self._ask(lambda: self._write_all(taken))
            except BaseException:
                self._waiting.put_back(taken)
                raise
            finally:
                self._taken = _Waiting()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Write what is told, as it is told; while the store is away, try again, ever more seldom."""
        task_status.started()
        pause_s = FIRST_PAUSE_S
        while True:
            if self.is_away:
                await trio.sleep(pause_s * (1 + JITTER * (2 * self.chance() - 1)))
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
            else:
                pause_s = FIRST_PAUSE_S
                with trio.move_on_after(IDLE_S):
                    await self._wake.wait()
            self._wake = trio.Event()
            try:
                await self.flush()
            except StoreError:
                continue  # it is noted, and everything still waits

    # Sessions

    async def add_session(self, token_hash: str, expires_unix_s: float, now_s: float) -> None:
        """As ``ConfigStore.add_session``; while the store is away, it waits. Raises StoreFull."""

        def wait() -> None:
            self._make_room(token_hash)
            self._waiting.ended.discard(token_hash)
            self._waiting.begun[token_hash] = (expires_unix_s, now_s)

        add = self.store.add_session
        await self._now_or_later(lambda: add(token_hash, expires_unix_s, now_s), wait)
        self._know(token_hash, expires_unix_s)

    async def find_session(self, token_hash: str, now_s: float) -> float | None:
        """When it ends, ``None`` if there is none. Raises StoreError if the store is away and it was never seen here."""
        for waiting in (self._waiting, self._taken):
            if token_hash in waiting.begun:
                return _if_later(waiting.begun[token_hash][0], now_s)
            if waiting.all_ended or token_hash in waiting.ended:
                return None
        try:
            expires_s = await self._ask(lambda: self.store.find_session(token_hash, now_s))
        except GONE:
            if token_hash not in self._known:
                raise
            return _if_later(self._known[token_hash], now_s)
        if expires_s is None:
            self._known.pop(token_hash, None)
        else:
            self._know(token_hash, expires_s)
        return expires_s

    async def end_session(self, token_hash: str) -> None:
        """As ``ConfigStore.end_session``; while the store is away, it waits, and holds here at once. Raises StoreFull."""

        def wait() -> None:
            self._make_room(token_hash)
            self._waiting.begun.pop(token_hash, None)
            self._waiting.ended.add(token_hash)

        self._known.pop(token_hash, None)
        await self._now_or_later(lambda: self.store.end_session(token_hash), wait)

    async def end_all_sessions(self) -> None:
        """As ``ConfigStore.end_all_sessions``; while the store is away, it waits, and holds here at once."""
        self._known.clear()
        await self._now_or_later(self.store.end_all_sessions, self._waiting.end_all)

    async def _now_or_later(
        self, now: Callable[[], Awaitable[None]], later: Callable[[], None]
    ) -> None:
        # What waits already would come after it and undo it.
        if not self.is_away and not self._waiting.is_of_sessions and not self._taken.is_of_sessions:
            try:
                await self._ask(now)
            except GONE:
                pass
            else:
                return
        later()
        self._wake.set()

    def _make_room(self, token_hash: str) -> None:
        waiting = self._waiting
        known = token_hash in waiting.begun or token_hash in waiting.ended
        if not known and waiting.sessions >= MAX_SESSIONS:
            raise StoreFull("the configuration store is away, and too many sessions wait for it")

    def _know(self, token_hash: str, expires_unix_s: float) -> None:
        self._known.pop(token_hash, None)
        self._known[token_hash] = expires_unix_s
        while len(self._known) > MAX_SESSIONS:
            del self._known[next(iter(self._known))]

    # The store

    async def _write_all(self, waiting: _Waiting) -> None:
        if not waiting:
            await self.store.find_session("", 0.0)  # only to see whether it is there
        if waiting.all_ended:
            await self.store.end_all_sessions()
        for token_hash in waiting.ended:
            await self.store.end_session(token_hash)
        for token_hash, (expires_s, now_s) in waiting.begun.items():
            await self.store.add_session(token_hash, expires_s, now_s)
        if waiting.counters:
            await self.store.write_counters(waiting.counters)
            self._written |= waiting.counters
        if waiting.forgotten:
            await self.store.forget_counters(waiting.forgotten)
            for name in waiting.forgotten:
                self._written.pop(name, None)

    async def _ask(self, what: Callable[[], Awaitable[T]]) -> T:
        try:
            value = await what()
        except GONE as error:
            self._note(error)
            raise
        self._note(None)
        return value

    def _note(self, trouble: StoreError | None) -> None:
        former, self.trouble = self.trouble, trouble
        if (former is None) != (trouble is None):
            self.on_turn(trouble)


def _if_later(expires_unix_s: float, now_s: float) -> float | None:
    return expires_unix_s if expires_unix_s > now_s else None


def _applied(loaded: Loaded, changes: Sequence[Change], nouns: Sequence[Noun]) -> Loaded:
    gone = {(each.kind, each.id) for each in changes if isinstance(each, Remove)}
    put = {(noun.kind, noun.id): noun for noun in nouns}
    former = {(noun.kind, noun.id): noun for noun in loaded.nouns}
    now = {name: noun for name, noun in {**former, **put}.items() if name not in gone}
    revision = max([loaded.revision, *(noun.version for noun in nouns)])
    return attrs.evolve(loaded, nouns=tuple(now.values()), revision=revision)
