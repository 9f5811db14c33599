"""Logins: passwords, sessions, and the brake on guessing."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import argon2
import attrs
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from bifrost.config.governance_section import AuthSection
from bifrost.config.secret import Secret
from bifrost.errors import Denial, Overloaded, Unauthorized
from bifrost.management.login import SESSION_S, Brake, Login, credentials_of
from bifrost.store.base import StoreAway

if TYPE_CHECKING:
    from trio.testing import MockClock

T0 = 1_700_000_000.0
HERE = "127.0.0.1"
HASHED = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("hunter2")


@attrs.define(eq=False)
class Sessions:
    """A store of sessions that can be away."""

    kept: dict[str, float] = attrs.field(factory=dict)
    is_away: bool = False

    def _check(self) -> None:
        if self.is_away:
            raise StoreAway("away")

    async def add_session(self, token_hash: str, expires_unix_s: float, now_s: float) -> None:
        self._check()
        self.kept[token_hash] = expires_unix_s

    async def find_session(self, token_hash: str, now_s: float) -> float | None:
        self._check()
        until = self.kept.get(token_hash)
        return until if until is not None and now_s < until else None

    async def end_session(self, token_hash: str) -> None:
        self._check()
        self.kept.pop(token_hash, None)

    async def end_all_sessions(self) -> None:
        self._check()
        self.kept.clear()


def auth(password: str = "hunter2", **more: bool) -> AuthSection:
    said = {"is_enabled": True} | more
    return AuthSection(admin_username="admin", admin_password=Secret(password), **said)


def login(section: AuthSection | None = None, sessions: Sessions | None = None) -> Login:
    numbers = iter(range(100))
    return Login(
        section or auth(),
        sessions or Sessions(),
        wall=lambda: T0 + trio.current_time(),
        new_token=lambda: f"token-{next(numbers)}",
        pepper=b"p" * 32,
    )


def basic(username: str, password: str) -> str:
    return base64.b64encode(f"{username}:{password}".encode()).decode()


def sent(value: str) -> dict[bytes, bytes]:
    return {b"authorization": value.encode()}


async def test_a_session_from_its_beginning_to_its_end(autojump_clock: MockClock) -> None:
    sessions = Sessions()
    one = login(sessions=sessions)
    token = await one.begin("admin", "hunter2", HERE)
    assert token not in sessions.kept
    for headers in (
        {b"cookie": f"a=b; token={token}".encode()},
        sent(f"Bearer {token}"),
        sent(f"bearer  {token}"),
    ):
        assert await one.accepts(headers, HERE)
    await one.end(token)
    assert not await one.is_session(token)
    assert sessions.kept == {}


async def test_a_session_is_over_in_its_time(autojump_clock: MockClock) -> None:
    one = login()
    token = await one.begin("admin", "hunter2", HERE)
    await trio.sleep(SESSION_S - 1)
    assert await one.is_session(token)
    await trio.sleep(2)
    assert not await one.is_session(token)


async def test_a_session_is_found_by_another_process(autojump_clock: MockClock) -> None:
    sessions = Sessions()
    token = await login(sessions=sessions).begin("admin", "hunter2", HERE)
    other = login(sessions=sessions)
    assert await other.is_session(token)
    sessions.is_away = True
    assert await other.is_session(token), "known from before"
    assert not await login(sessions=sessions).is_session(token)
    with pytest.raises(StoreAway):
        await other.begin("admin", "hunter2", HERE)


async def test_a_session_ends_with_its_password_also_if_that_changes_between_two_processes(
    autojump_clock: MockClock,
) -> None:
    sessions = Sessions()
    token = await login(sessions=sessions).begin("admin", "hunter2", HERE)
    assert not await login(auth("another"), sessions).is_session(token)
    assert await login(sessions=sessions).is_session(token)


async def test_tokens_that_are_made_up_do_not_crowd_the_store(autojump_clock: MockClock) -> None:
    @attrs.define(eq=False)
    class Slow(Sessions):
        asked: int = 0

        async def find_session(self, token_hash: str, now_s: float) -> float | None:
            self.asked += 1
            await trio.sleep(1)
            return await super().find_session(token_hash, now_s)

    sessions = Slow()
    one = login(sessions=sessions)
    known = await one.begin("admin", "hunter2", HERE)
    refused = 0

    async def ask(token: str) -> None:
        nonlocal refused
        try:
            assert not await one.accepts(sent(f"Bearer {token}"), HERE)
        except Overloaded:
            refused += 1

    async with trio.open_nursery() as nursery:
        for number in range(100):
            nursery.start_soon(ask, f"made-up-{number}")
        await wait_all_tasks_blocked()
        assert await one.is_session(known), "who is known is let in all the same"
    assert (sessions.asked, refused) == (32, 68)
    assert not await one.is_session("another")


async def test_a_password_that_is_changed_while_it_is_looked_at_is_good_no_more(
    autojump_clock: MockClock,
) -> None:
    one = login(auth(HASHED))
    accepted: list[bool] = []

    async def ask() -> None:
        accepted.append(await one.accepts(sent(f"Basic {basic('admin', 'hunter2')}"), HERE))

    hashing = one._hashing
    for who in "ab":
        await hashing.acquire_on_behalf_of(who)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        await one.change(auth("another"))
        for who in "ab":
            hashing.release_on_behalf_of(who)
    assert accepted == [False]
    assert not await one.accepts(sent(f"Basic {basic('admin', 'hunter2')}"), HERE)


@pytest.mark.parametrize("password", ["hunter2", HASHED], ids=["plain", "hashed"])
async def test_basic_credentials(password: str, autojump_clock: MockClock) -> None:
    one = login(auth(password))
    good = basic("admin", "hunter2")
    for _ in range(2):
        assert await one.accepts(sent(f"Basic {good}"), HERE)
        assert await one.accepts(sent(f"Bearer {good}"), HERE)
    for bad in (basic("admin", "wrong"), basic("root", "hunter2"), basic("", "")):
        assert not await one.accepts(sent(f"Basic {bad}"), HERE)


@pytest.mark.parametrize(
    "value",
    ["", "Basic", "Basic %%%", "Basic " + "YQ==", "Digest x", "Bearer ", "Basic " + "A" * 9000],
)
async def test_what_is_no_credential(value: str, autojump_clock: MockClock) -> None:
    assert not await login().accepts(sent(value), HERE)


def test_a_cookie_among_others() -> None:
    assert credentials_of({b"cookie": b"x=1;token=t; y=2"}) == [("t", None)]
    assert credentials_of({b"cookie": b"nottoken=t"}) == []
    assert credentials_of({}) == []


async def test_who_guesses_is_slowed_down(autojump_clock: MockClock) -> None:
    one = login()
    for _ in range(5):
        with pytest.raises(Unauthorized):
            await one.begin("admin", "wrong", "10.0.0.9")
    with pytest.raises(Denial) as refused:
        await one.begin("admin", "hunter2", "10.0.0.9")
    assert (refused.value.status, refused.value.kind) == (429, "login_limited")
    assert refused.value.retry_after_s == 1.0
    assert await one.begin("admin", "hunter2", HERE), "another address is not slowed down"
    await trio.sleep(1)
    assert await one.begin("admin", "hunter2", "10.0.0.9")
    with pytest.raises(Unauthorized):
        await one.begin("admin", "wrong", "10.0.0.9")


def test_the_brake_doubles_and_is_bounded() -> None:
    brake = Brake(most=2)
    waits = []
    for _ in range(16):
        brake.failed("a", 0.0)
        waits.append(brake.wait_s("a", 0.0))
    assert waits[:8] == [0, 0, 0, 0, 1, 2, 4, 8]
    assert waits[-1] == 300.0
    brake.failed("b", 0.0)
    brake.failed("c", 0.0)
    assert brake.wait_s("a", 0.0) == 0.0
    brake.passed("b")
    assert brake.wait_s("b", 0.0) == 0.0


async def test_without_a_login_nobody_logs_in(autojump_clock: MockClock) -> None:
    off = login(auth(is_enabled=False))
    assert not off.is_enabled
    assert not off.guards_inference
    with pytest.raises(Denial) as refused:
        await off.begin("admin", "hunter2", HERE)
    assert (refused.value.status, refused.value.message) == (403, "Authentication is not enabled")
    assert not await off.accepts(sent(f"Basic {basic('admin', 'hunter2')}"), HERE)
    assert login().guards_inference
    assert not login(auth(disable_auth_on_inference=True)).guards_inference


async def test_a_new_password_ends_all_sessions(autojump_clock: MockClock) -> None:
    sessions = Sessions()
    one = login(sessions=sessions)
    token = await one.begin("admin", "hunter2", HERE)
    await one.change(auth())
    assert await one.is_session(token), "nothing changed"
    await one.change(auth("other"))
    assert not await one.is_session(token)
    assert not await one.accepts(sent(f"Basic {basic('admin', 'hunter2')}"), HERE)
    assert await one.accepts(sent(f"Basic {basic('admin', 'other')}"), HERE)


async def test_hashes_are_made_a_few_at_a_time(autojump_clock: MockClock) -> None:
    one = login(auth(HASHED))
    outcomes: list[bool | type[Exception]] = []

    async def ask(number: int) -> None:
        try:
            good = sent(f"Basic {basic('admin', f'wrong-{number}')}")
            outcomes.append(await one.accepts(good, f"10.0.0.{number}"))
        except Overloaded:
            outcomes.append(Overloaded)

    async with trio.open_nursery() as nursery:
        for number in range(40):
            nursery.start_soon(ask, number)
    assert set(outcomes) == {False, Overloaded}


def test_a_login_never_shows_its_password() -> None:
    assert "hunter2" not in repr(login())
