"""Tokens before a login that does what its script says, on a clock that jumps; and the pool that lends them."""

from __future__ import annotations

import json
import random
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.fakes import OK, Crashes, generation, key, need
from actors.scripted import NEVER, Answer, Scripted, ScriptedMachine, Seen
from bifrost.actors.key_pool import KeyPool
from bifrost.actors.messages import (
    AttemptOutcome,
    Granted,
    Refusal,
    Refused,
    TokenLacking,
    TokenRefreshed,
    TokenRefused,
)
from bifrost.actors.supervisor import supervise
from bifrost.actors.tokens import Tokens, refresh_after_s
from bifrost.config.key_configs import AzureKeySettings
from bifrost.config.secret import Secret, Token
from bifrost.errors import ErrorClass, GatewayError, NetworkError
from bifrost.policy.token_sources import Principal, token_sources

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from bifrost.actors.messages import PoolMessage
    from bifrost.config.settings import KeySettings

SECRET = "very~secret"
HOUR_S = 3600.0


def principal(client_id: str = "c") -> Principal:
    return Principal(
        authority_host="https://login.example",
        tenant_id="t",
        client_id=client_id,
        client_secret=Secret(SECRET),
        scopes=("s",),
    )


ONE, TWO = principal("one"), principal("two")


def client_of(seen: Seen) -> str:
    return parse_qs(seen.body.decode())["client_id"][0]


def granting(*, lifetime_s: float = HOUR_S) -> Callable[[Seen], Answer]:
    """A login that gives ``one-1``, ``one-2`` and so on to client ``one``."""
    given: dict[str, int] = {}

    def script(seen: Seen) -> Answer:
        client = client_of(seen)
        given[client] = given.get(client, 0) + 1
        body = {"access_token": f"{client}-{given[client]}", "expires_in": lifetime_s}
        return Answer(pieces=(json.dumps(body).encode(),))

    return script


def following(*answers: Answer | Callable[[Seen], Answer]) -> Callable[[Seen], Answer]:
    """Answers in their order, the last for ever."""
    left: Iterator[Answer | Callable[[Seen], Answer]] = iter(answers[:-1])

    def script(seen: Seen) -> Answer:
        answer = next(left, answers[-1])
        return answer if isinstance(answer, Answer) else answer(seen)

    return script


DOWN = Answer(error=NetworkError("no way", cause="refused", sent=False))
BAD_SECRET = Answer(status=401, pieces=(b'{"error": "invalid_client"}',))


@attrs.define(eq=False)
class Desk:
    """Tokens under their supervisor, with what they push and complain of, by the time of it."""

    tokens: Tokens
    login: Scripted
    crashes: Crashes
    news: list[tuple[float, str]]
    complaints: list[tuple[float, str, float]]

    def follow(self, *sources: Principal) -> None:
        self.tokens.tell_follow(dict.fromkeys(sources, self.login))

    @property
    def asked_s(self) -> list[float]:
        return [round(seen.at_s, 3) for seen in self.login.seen]


def told(news: TokenRefreshed | TokenLacking) -> str:
    if isinstance(news, TokenRefreshed):
        return f"{news.token.reveal()} till {news.expires_s:g}"
    return f"lacking till {news.until_s:g}"


@asynccontextmanager
async def desk(script: Callable[[Seen], Answer], *sources: Principal) -> AsyncIterator[Desk]:
    news: list[tuple[float, str]] = []
    complaints: list[tuple[float, str, float]] = []

    def complain(provider: str, error: GatewayError, wait_s: float) -> None:
        complaints.append((trio.current_time(), error.message, wait_s))

    # Draws of 0: the shortest back-off, the latest refresh.
    rng = random.Random()
    rng.random = lambda: 0.0  # type: ignore[method-assign]  # a chance that is none
    tokens = Tokens("azure", rng=rng, machine=ScriptedMachine(), on_failure=complain)
    tokens.push_to(lambda one: news.append((trio.current_time(), told(one))))
    here = Desk(tokens, Scripted("azure", script), Crashes(), news, complaints)
    here.follow(*sources)
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(supervise, tokens, on_crash=here.crashes.on_crash))
        yield here
        nursery.cancel_scope.cancel()
    assert here.login.open_now == 0
    assert SECRET not in repr(here.complaints)


async def test_a_token_is_refreshed_before_its_end(autojump_clock: MockClock) -> None:
    async with desk(granting(), ONE) as here:
        await trio.sleep(2 * HOUR_S)

        assert here.asked_s == [0.0, 3300.0, 6600.0]
        assert here.news == [
            (0.0, "one-1 till 3570"),
            (3300.0, "one-2 till 6870"),
            (6600.0, "one-3 till 10170"),
        ]


async def test_each_source_has_a_fetch_of_its_own(autojump_clock: MockClock) -> None:
    slow = Answer(delay_s=5.0, pieces=(b'{"access_token": "slow"}',))
    script = granting()
    async with desk(lambda s: slow if client_of(s) == "one" else script(s), ONE, TWO) as here:
        await trio.sleep(10)

        assert here.news == [(0.0, "two-1 till 3570"), (5.0, "slow till 3570")]


async def test_there_is_one_fetch_at_a_time_a_source(autojump_clock: MockClock) -> None:
    async with desk(lambda seen: NEVER, ONE) as here:
        for _ in range(10):
            here.tokens.tell_refused(TokenRefused(ONE, Token("x")))
            await trio.sleep(1)

        assert len(here.login.seen) == here.login.open_now == 1


async def test_failures_are_repeated_after_longer_and_longer_waits(
    autojump_clock: MockClock,
) -> None:
    async with desk(lambda seen: DOWN, ONE) as here:
        await trio.sleep(200)

        waits = [wait_s for _, _, wait_s in here.complaints]
        assert waits[:7] == pytest.approx([0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 48.0])
        assert here.asked_s[:3] == pytest.approx([0.0, 0.8, 2.4])
        assert here.news[0] == (0.0, "lacking till 0.8")
        assert max(waits) <= 60.0


async def test_a_refused_login_is_not_worth_waiting_for(autojump_clock: MockClock) -> None:
    async with desk(following(BAD_SECRET, granting()), ONE) as here:
        await trio.sleep(2)

        assert here.news == [(0.0, "lacking till inf"), (0.8, "one-1 till 3570.8")]
        assert here.complaints == [(0.0, "no token: 401 invalid_client", 0.8)]


async def test_a_login_that_is_silent_is_given_up(autojump_clock: MockClock) -> None:
    async with desk(following(NEVER, granting()), ONE) as here:
        await trio.sleep(30)

        assert [text for _, text in here.news] == ["lacking till 20.8", "one-1 till 3590.8"]


async def test_a_failed_refresh_leaves_the_token(autojump_clock: MockClock) -> None:
    grant = granting()
    async with desk(following(grant, DOWN, DOWN, grant), ONE) as here:
        await trio.sleep(3400)

        assert [round(at_s, 3) for at_s, _ in here.news] == [0.0, 3300.0, 3300.8, 3302.4]
        assert here.news[-1][1] == "one-2 till 6872.4"


async def test_a_refused_token_is_replaced_at_once(autojump_clock: MockClock) -> None:
    async with desk(granting(), ONE) as here:
        await trio.sleep(100)
        for _ in range(5):
            here.tokens.tell_refused(TokenRefused(ONE, Token("one-1")))
        await trio.sleep(1)

        assert here.news[1:] == [(100.0, "one-2 till 3670")]


async def test_refusals_of_a_token_that_is_gone_or_young_change_nothing(
    autojump_clock: MockClock,
) -> None:
    async with desk(granting(), ONE) as here:
        await trio.sleep(1)
        here.tokens.tell_refused(TokenRefused(ONE, Token("one-1")))
        await trio.sleep(100)
        here.tokens.tell_refused(TokenRefused(ONE, Token("one-0")))
        here.tokens.tell_refused(TokenRefused(TWO, Token("two-1")))
        await trio.sleep(100)

        assert len(here.news) == 1


async def test_a_token_refused_while_it_is_replaced_is_replaced_once(
    autojump_clock: MockClock,
) -> None:
    grant = granting()
    slow = Answer(delay_s=5.0, pieces=(b'{"access_token": "slow"}',))
    async with desk(following(grant, slow, grant), ONE) as here:
        await trio.sleep(3302)
        here.tokens.tell_refused(TokenRefused(ONE, Token("one-1")))
        await trio.sleep(100)

        assert here.asked_s == [0.0, 3300.0]


async def test_a_crash_keeps_the_tokens_and_fetches_what_was_under_way(
    autojump_clock: MockClock,
) -> None:
    grant = granting()
    bug = Answer(delay_s=5.0, pieces=(RuntimeError("a bug"),))
    script = following(grant, bug, grant)
    async with desk(script, ONE) as here:
        await trio.sleep(1)
        here.follow(ONE, TWO)
        await trio.sleep(20)

        assert [name for name, _, _ in here.crashes.log] == ["azure"]
        assert [client_of(seen) for seen in here.login.seen] == ["one", "two", "two"]
        assert here.news == [(0.0, "one-1 till 3570"), (6.0, "two-1 till 3576")]


async def test_broken_it_rests_and_comes_back(autojump_clock: MockClock) -> None:
    def script(seen: Seen) -> Answer:
        if seen.at_s < 20:
            raise RuntimeError("a bug")
        return grant(seen)

    grant = granting()
    async with desk(script, ONE) as here:
        await trio.sleep(10)
        here.follow(TWO)
        await trio.sleep(60)

        assert len(here.crashes.log) == 6
        assert [text.split()[0] for _, text in here.news] == ["two-1"]


async def test_broken_it_can_be_stopped(autojump_clock: MockClock) -> None:
    def script(seen: Seen) -> Answer:
        raise RuntimeError("a bug")

    async with desk(script, ONE) as here:
        await trio.sleep(10)
        here.tokens.tell_stop()
        await trio.sleep(600)

        assert len(here.crashes.log) == 6


async def test_a_new_configuration_keeps_what_stays_and_drops_what_goes(
    autojump_clock: MockClock,
) -> None:
    async with desk(granting(), ONE) as here:
        await trio.sleep(100)
        here.follow(ONE, TWO)
        await trio.sleep(100)
        here.follow(TWO)
        await trio.sleep(HOUR_S)
        here.follow(ONE)
        await trio.sleep(1)

        asked = [(client_of(seen), seen.at_s) for seen in here.login.seen]
        assert asked == [("one", 0.0), ("two", 100.0), ("two", 3400.0), ("one", 3800.0)]


async def test_a_new_configuration_goes_by_its_own_door(autojump_clock: MockClock) -> None:
    other = Scripted("azure", granting())
    async with desk(granting(), ONE) as here:
        await trio.sleep(100)
        here.tokens.tell_follow({ONE: other})
        await trio.sleep(HOUR_S)

        assert [seen.at_s for seen in other.seen] == [3300.0]


async def test_stopped_it_ends_and_hears_no_more(autojump_clock: MockClock) -> None:
    login = Scripted("azure", lambda seen: NEVER)
    tokens = Tokens(
        "azure", rng=random.Random(), machine=ScriptedMachine(), on_failure=lambda *_: None
    )
    tokens.tell_follow({ONE: login})
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(supervise, tokens, on_crash=Crashes().on_crash))
        await trio.sleep(1)
        assert login.open_now == 1
        tokens.tell_stop()

    assert login.open_now == 0
    await tokens.wait_settled()
    tokens.tell_refused(TokenRefused(ONE, Token("x")))


async def test_settled_is_when_each_source_has_been_tried(autojump_clock: MockClock) -> None:
    slow = Answer(delay_s=3.0, error=NetworkError("no"))
    script = granting()
    async with desk(lambda s: slow if client_of(s) == "one" else script(s), ONE, TWO) as here:
        await here.tokens.wait_settled()
        assert trio.current_time() == 3.0

        here.follow(TWO)
        await here.tokens.wait_settled()
        assert trio.current_time() == 3.0


@given(st.floats(0.001, 86400.0), st.floats(0.0, 1.0, exclude_max=True))
def test_refreshing_is_neither_late_nor_frantic(lifetime_s: float, draw: float) -> None:
    after_s = refresh_after_s(lifetime_s, draw)

    assert after_s >= 5.0
    assert after_s >= lifetime_s / 2
    assert after_s <= max(5.0, lifetime_s - min(300.0, lifetime_s / 5))


# With the pool


def entra(key_id: str = "a", client_id: str = "one", **more: Any) -> KeySettings:
    azure = AzureKeySettings(
        endpoint="https://x.example",
        client_id=client_id,
        client_secret=Secret(SECRET),
        tenant_id="t",
        authority_host="https://login.example",
        scopes=("s",),
    )
    return key(key_id, value="", azure=azure, **more)


A = entra()
PLAIN = key("plain", azure=AzureKeySettings(endpoint="https://x.example"))
UNAUTHORIZED = AttemptOutcome(error_class=ErrorClass.AUTH, status=401)


@attrs.define(eq=False)
class Both:
    """A pool and its tokens."""

    pool: KeyPool
    tokens: Tokens
    login: Scripted
    crashes: Crashes

    async def lend(self, outcome: AttemptOutcome = OK, hold_s: float = 0.0) -> str:
        """The value that was lent, or why none was."""
        async with self.pool.lease(need(), draw=0.0, deadline_s=1e9) as lease:
            if isinstance(lease, Refused):
                return f"{lease.reason} {lease.retry_after_s}"
            granted: Granted = lease.granted
            assert granted.key is not None
            lease.outcome = outcome
            await trio.sleep(hold_s)
            return granted.key.value.reveal()

    async def state(self, key_id: str = "a") -> str:
        view = await self.pool.ask_snapshot()
        return next(one.state for one in view.keys if one.id == key_id)


@asynccontextmanager
async def both(script: Callable[[Seen], Answer], *keys: KeySettings) -> AsyncIterator[Both]:
    rng = random.Random(1)
    login, crashes = Scripted("azure", script), Crashes()
    tokens = Tokens("azure", rng=rng, machine=ScriptedMachine(), on_failure=lambda *_: None)
    pool = KeyPool(
        generation(*keys, name="azure"),
        drop_excess=False,
        max_waiting=9,
        on_token_refused=tokens.tell_refused,
        fault=crashes,
    )
    tokens.push_to(pool.send)
    tokens.tell_follow(dict.fromkeys(token_sources(keys, "azure"), login))
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(supervise, pool, on_crash=crashes.on_crash))
        await nursery.start(partial(supervise, tokens, on_crash=crashes.on_crash))
        yield Both(pool, tokens, login, crashes)
        nursery.cancel_scope.cancel()


async def test_a_key_is_lent_with_its_token(autojump_clock: MockClock) -> None:
    async with both(granting(), A) as here:
        await here.tokens.wait_settled()
        assert await here.lend() == "one-1"
        assert await here.state() == "healthy"

        await trio.sleep(HOUR_S)
        assert await here.lend() == "one-2"


async def test_before_its_token_a_key_rests_and_others_serve(autojump_clock: MockClock) -> None:
    slow = Answer(delay_s=5.0, pieces=(b'{"access_token": "slow"}',))
    async with both(lambda seen: slow, A) as here:
        assert await here.lend() == f"{Refusal.COOLING_DOWN} 1.0"
        assert await here.state() == "cooling"
        await trio.sleep(6)
        assert await here.lend() == "slow"

    async with both(lambda seen: slow, A, PLAIN) as here:
        assert await here.lend() == "sk-plain"


async def test_while_the_login_refuses_its_key_has_failed(autojump_clock: MockClock) -> None:
    async with both(lambda seen: BAD_SECRET, A) as here:
        await here.tokens.wait_settled()

        assert await here.lend() == f"{Refusal.COOLING_DOWN} None"
        view = await here.pool.ask_snapshot(need())
        assert (view.keys[0].state, view.keys[0].cool_down_left_s) == ("failed", 0.0)
        assert view.reasons == {"a": "failed: the upstream does not accept it"}


async def test_a_token_is_not_lent_past_its_end(autojump_clock: MockClock) -> None:
    async with both(following(granting(), DOWN), A) as here:
        await trio.sleep(3500)
        assert await here.lend() == "one-1"
        await trio.sleep(80)
        assert (await here.lend()).startswith(Refusal.COOLING_DOWN)


async def test_a_refused_token_rests_its_key_until_there_is_another(
    autojump_clock: MockClock,
) -> None:
    grant = granting()
    slow = Answer(delay_s=5.0, pieces=(b'{"access_token": "slow"}',))
    async with both(following(grant, slow, grant), A) as here:
        await trio.sleep(100)
        assert await here.lend(UNAUTHORIZED) == "one-1"
        await trio.sleep(1)
        assert (await here.lend()).startswith(Refusal.COOLING_DOWN)
        await trio.sleep(5)

        assert await here.lend() == "slow"


async def test_a_key_that_is_refused_with_every_token_fails_at_last(
    autojump_clock: MockClock,
) -> None:
    async with both(granting(), A) as here:
        for _ in range(3):
            await trio.sleep(100)
            await here.lend(UNAUTHORIZED)
        await trio.sleep(1)

        assert await here.state() == "failed"
        assert len(here.login.seen) == 4


async def test_a_late_refusal_of_the_former_token_says_nothing(autojump_clock: MockClock) -> None:
    async with both(granting(), A) as here:
        await trio.sleep(3200)
        assert await here.lend(UNAUTHORIZED, hold_s=200) == "one-1"

        assert await here.lend() == "one-2"
        assert len(here.login.seen) == 2


async def test_other_refusals_replace_no_token(autojump_clock: MockClock) -> None:
    forbidden = AttemptOutcome(error_class=ErrorClass.AUTH, status=403)
    async with both(granting(), A, PLAIN) as here:
        await trio.sleep(100)
        await here.lend(forbidden)
        await here.lend(UNAUTHORIZED)
        await trio.sleep(1)

        assert len(here.login.seen) == 1


@pytest.mark.parametrize("kind", [TokenRefreshed, TokenLacking])
async def test_news_of_tokens_survive_a_crash_of_the_pool(
    kind: type[PoolMessage], autojump_clock: MockClock
) -> None:
    script = granting() if kind is TokenRefreshed else (lambda seen: BAD_SECRET)
    async with both(script, A) as here:
        here.crashes.plan(kind)
        await here.tokens.wait_settled()
        await wait_all_tasks_blocked()

        told = "one-1" if kind is TokenRefreshed else f"{Refusal.COOLING_DOWN} None"
        assert await here.lend() == told
        assert len(here.crashes.log) == 1


async def test_tokens_follow_a_new_configuration_of_the_pool(autojump_clock: MockClock) -> None:
    async with both(granting(), A) as here:
        await trio.sleep(100)
        again = generation(attrs.evolve(A, weight=2.0), number=2, name="azure")
        await here.pool.ask_reconfigure(again, drop_excess=False)
        assert await here.lend() == "one-1"

        moved = generation(entra(client_id="two"), number=3, name="azure")
        here.tokens.tell_follow(
            dict.fromkeys(token_sources(moved.settings.keys, "azure"), here.login)
        )
        await here.pool.ask_reconfigure(moved, drop_excess=False)
        await here.tokens.wait_settled()
        assert await here.lend() == "two-1"


async def test_refusals_before_a_change_of_principal_are_not_held_against_it(
    autojump_clock: MockClock,
) -> None:
    async with both(granting(), A) as here:
        await trio.sleep(100)
        async with here.pool.lease(need(), draw=0.0, deadline_s=1e9) as lease:
            assert not isinstance(lease, Refused)
            moved = generation(entra(client_id="two"), number=2, name="azure")
            here.tokens.tell_follow(
                dict.fromkeys(token_sources(moved.settings.keys, "azure"), here.login)
            )
            await here.pool.ask_reconfigure(moved, drop_excess=False)
            lease.outcome = UNAUTHORIZED
        await here.tokens.wait_settled()

        assert await here.lend() == "two-1"
