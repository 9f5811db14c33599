"""Whatever happens in whatever order, crashes included: slots, line and answers of a pool stay in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.fakes import AUTH, OK, SERVER, generation, key, need, rate_limited
from bifrost.actors.key_pool import KeyPool
from bifrost.actors.mailbox import ActorDied, Reply
from bifrost.actors.messages import (
    Abandon,
    Acquire,
    AttemptOutcome,
    Generation,
    Granted,
    Opened,
    PoolMessage,
    Probe,
    Reconfigure,
    Refused,
    Settle,
    Snapshot,
)
from bifrost.actors.pool_state import PoolState

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_WAITING = 4
CONCURRENCY = 2
SEAMS = ("survey", "choose", "lend", "learn", "reload")
"""Where learning may go wrong, in the middle of a message."""

KEYS = (key("a"), key("b", weight=0.2))
GENERATIONS = (
    {"keys": KEYS},
    {"keys": (key("a", value="sk-other"),), "balancing": "adaptive"},
    {"keys": KEYS, "count_streams": False},
)


class Answers(Reply[Granted | Refused]):
    """A reply that counts how often it was really answered."""

    answers = 0

    def put(self, value: Granted | Refused) -> None:
        self.answers += 1
        super().put(value)

    def fail(self, error: BaseException) -> None:
        self.answers += not self.is_put
        super().fail(error)


@attrs.define(eq=False)
class World:
    """A pool driven by hand, and what its borrowers know."""

    pool: KeyPool
    state: PoolState
    now_s: float = 100.0
    asked: list[tuple[Answers, bool]] = attrs.field(factory=list)
    lent: list[Granted] = attrs.field(factory=list)
    number: int = 1
    fault: str | None = None

    @classmethod
    def new(cls) -> World:
        pool = KeyPool(_generation(0, 1), drop_excess=False, max_waiting=MAX_WAITING)
        return cls(pool, PoolState(pool._book))

    def send(self, message: PoolMessage) -> None:
        """As the loop does it; ``fault`` is the seam that gives way, once, if it is reached."""
        if self.fault is not None:
            _break(self.state, self.fault)
        self.pool.send(message)
        try:
            self.pool._take_some(self.state, self.now_s)
        except RuntimeError as error:
            self.restart(error)
        self.fault = None
        self.state.ring.__class__ = self.state.ring.__class__.__mro__[-2]
        self.collect()
        self.check()

    def restart(self, error: Exception) -> None:
        self.pool.recover(error)
        self.state = PoolState(self.pool._book)
        self.state.on_time(self.now_s)

    def collect(self) -> None:
        """Borrowers read their answers; those who are gone do not."""
        for reply, is_gone in self.asked:
            answer = reply.peek()
            if isinstance(answer, Granted) and not is_gone and not reply.is_taken:
                reply.is_taken = True
                self.lent.append(answer)

    def check(self) -> None:
        book = self.pool._book
        assert 0 <= book.running <= CONCURRENCY
        assert len(book.line) <= MAX_WAITING + sum(w.ask.priority for w in book.line)
        assert not (len(book.line) and book.has_slot)
        assert book.serving is None
        assert sum(book.in_flight.values()) == len(book.leases) == book.granted - book.settled
        assert set(book.leases) == {granted.lease_id for granted in self.lent}
        assert all(reply.answers <= 1 for reply, _ in self.asked)
        waiting = {waiter.ask.reply for waiter in book.line}
        for reply, is_gone in self.asked:
            assert is_gone or reply.is_put is (reply not in waiting)


def _generation(which: int, number: int) -> Generation:
    chosen: dict[str, Any] = dict(GENERATIONS[which])
    return generation(*chosen.pop("keys"), number=number, concurrency=CONCURRENCY, **chosen)


def _break(state: PoolState, seam: str) -> None:
    """Let ``seam`` raise the next time it is used, and be whole again after that."""
    whole = type(state.ring)

    def gives_way(self: object, *_: object) -> None:
        state.ring.__class__ = whole
        raise RuntimeError(f"crash in {seam}")

    state.ring.__class__ = type("Brittle", (whole,), {seam: gives_way, "__slots__": ()})


OUTCOMES = st.sampled_from([OK, SERVER, AUTH, rate_limited(3.0), rate_limited()])
STEPS = st.one_of(
    st.tuples(
        st.just("acquire"),
        st.floats(0, 1, exclude_max=True),
        st.booleans(),
        st.booleans(),
        st.booleans(),
    ),
    st.tuples(st.just("settle"), st.integers(0, 9), OUTCOMES),
    st.tuples(st.just("abandon"), st.integers(0, 9)),
    st.tuples(st.just("opened"), st.integers(0, 9)),
    st.tuples(st.just("reconfigure"), st.integers(0, 2)),
    st.tuples(st.just("sleep"), st.floats(0, 400)),
    st.tuples(st.just("look")),
    st.tuples(st.just("probe")),
    st.tuples(st.just("crash")),
    st.tuples(st.just("weaken"), st.sampled_from(SEAMS)),
)


def acquire(world: World, draw: float, sticky: bool, priority: bool, may_wait: bool) -> None:
    reply = Answers()
    world.asked.append((reply, False))
    wish = need(session="s" if sticky else None)
    world.send(
        Acquire(
            need=wish,
            reply=reply,
            draw=draw,
            deadline_s=world.now_s + 50,
            priority=priority,
            may_wait=may_wait,
        )
    )


def settle(world: World, which: int, outcome: AttemptOutcome) -> None:
    if world.lent:
        granted = world.lent.pop(which % len(world.lent))
        world.send(Settle(lease_id=granted.lease_id, outcome=outcome))
        world.send(Settle(lease_id=granted.lease_id, outcome=outcome))


def abandon(world: World, which: int) -> None:
    waiting = [i for i, (reply, gone) in enumerate(world.asked) if not gone and not reply.is_taken]
    if waiting:
        index = waiting[which % len(waiting)]
        reply, _ = world.asked[index]
        world.asked[index] = (reply, True)
        world.send(Abandon(reply))


def opened(world: World, which: int) -> None:
    if world.lent:
        world.send(Opened(world.lent[which % len(world.lent)].lease_id))


def reconfigure(world: World, which: int) -> None:
    world.number += 1
    world.send(Reconfigure(generation=_generation(which, world.number), reply=Reply()))
    assert world.pool.generation.number == world.number


def sleep(world: World, seconds: float) -> None:
    world.now_s += seconds
    world.state.on_time(world.now_s)
    world.collect()
    world.check()


def look(world: World) -> None:
    reply: Reply[Any] = Reply()
    world.send(Snapshot(reply=reply, need=need()))
    assert "sk-" not in repr(reply.peek())


def probe(world: World) -> None:
    world.send(Probe(key_id="a", ok=True))


def crash(world: World) -> None:
    world.restart(RuntimeError("out of the blue"))
    world.collect()
    world.check()


def weaken(world: World, seam: str) -> None:
    world.fault = seam


PLAYS: dict[str, Callable[..., None]] = {
    "acquire": acquire,
    "settle": settle,
    "abandon": abandon,
    "opened": opened,
    "reconfigure": reconfigure,
    "sleep": sleep,
    "look": look,
    "probe": probe,
    "crash": crash,
    "weaken": weaken,
}


@settings(deadline=None)
@given(st.lists(STEPS, max_size=60))
def test_slots_line_and_answers_stay_in_order(steps: list[tuple[Any, ...]]) -> None:
    world = World.new()
    for name, *details in steps:
        PLAYS[name](world, *details)

    while world.lent:
        settle(world, 0, OK)

    book = world.pool._book
    assert book.granted == book.settled
    assert book.running == len(book.line) == len(book.leases) == 0
    assert all(gone or reply.answers == 1 for reply, gone in world.asked)


@given(st.lists(STEPS, max_size=40))
@settings(deadline=None)
def test_the_same_story_has_the_same_grants(steps: list[tuple[Any, ...]]) -> None:
    def story() -> list[str]:
        world = World.new()
        for name, *details in steps:
            PLAYS[name](world, *details)
        return [_told(reply) for reply, _ in world.asked]

    assert story() == story()


def _told(reply: Answers) -> str:
    answer = reply.peek()
    return f"{answer.lease_id} {answer.key_id}" if isinstance(answer, Granted) else repr(answer)


def test_a_crash_is_told_to_whoever_was_in_hand() -> None:
    world = World.new()
    weaken(world, "choose")
    acquire(world, 0.5, sticky=False, priority=False, may_wait=True)

    reply, _ = world.asked[0]
    assert isinstance(reply._error, ActorDied)
