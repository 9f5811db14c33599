"""Keeps a provider's short-lived tokens fresh, and pushes them to its key pool.

The pool never does I/O, so this one does it for it: one task a source, which fetches, waits until shortly before the
token's end, and fetches again. What fails is tried again after longer and longer waits; a token that the upstream does not
accept is replaced at once. The tokens themselves are the book: they survive a crash, and need not be fetched again after it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, assert_never

import attrs
import trio

from bifrost.actors.mailbox import Mailbox
from bifrost.actors.messages import TokenLacking, TokenRefreshed, TokenRefused
from bifrost.config.secret import Token
from bifrost.errors import ErrorClass, GatewayError, UpstreamTimeout
from bifrost.policy.retry import Backoff
from bifrost.policy.token_sources import TokenSource
from bifrost.providers.login_steps import Answer, Ask, Grant, Here, Read, Step, advance
from bifrost.providers.logins import login
from bifrost.transport.base import Limits, Upstream

if TYPE_CHECKING:
    from random import Random

    from bifrost.transport.credentials import Machine

__all__ = ["Doors", "Tokens", "refresh_after_s"]

Doors = Mapping[TokenSource, Upstream]
"""Sources of tokens, each with the door to the world outside of this machine."""

Push = Callable[[TokenRefreshed | TokenLacking], None]

BACKOFF = Backoff(initial_ms=1_000, max_ms=60_000)

MARGIN_S = 300.0
"""Before its end a token is refreshed, at the latest; up to twice that at the soonest, so that not all are at once."""

SPARE_S = 30.0
"""Before its end a token is lent no more: a request takes its time, and clocks differ."""

MIN_FETCH_EVERY_S = 5.0
"""Between two tokens of a source, however short-lived they are."""

YOUNG_S = 10.0
"""A token refused this soon would not be better for being fetched again."""

FETCH_S = 20.0
"""For a login with all its steps."""

CONNECT_S = 10.0

LOCAL_CONNECT_S = 3.0
"""To reach a service of this machine: what is there answers at once, and what is not may never refuse."""

MAX_BODY = 64 * 1024


@attrs.frozen
class Follow:
    """Tell to keep the tokens of these sources, and no others."""

    doors: Doors


@attrs.frozen
class Stop:
    """Tell that nobody wants tokens any more."""


@attrs.frozen(kw_only=True)
class Held:
    """A token, and when it is to be replaced."""

    token: Token
    got_s: float
    refresh_s: float


def refresh_after_s(lifetime_s: float, draw: float) -> float:
    """Seconds after which a token that lives so long is replaced; ``draw`` in [0, 1).

    Within a margin before its end that is a fifth of its life at most; never before half of it is over.
    """
    margin_s = min(MARGIN_S, lifetime_s / 5)
    after_s = max(lifetime_s - margin_s * (1 + draw), lifetime_s / 2)
    return max(after_s, MIN_FETCH_EVERY_S)


class Tokens:
    """The tokens of one provider. Say where they go with ``push_to``, and run it under ``supervise``.

    ``on_failure`` is told what went wrong, and when it is tried again, in seconds from then; no secret is in it.
    """

    def __init__(
        self,
        provider: str,
        *,
        rng: Random,
        machine: Machine,
        on_failure: Callable[[str, GatewayError, float], None],
    ) -> None:
        self._provider = provider
        self._rng = rng
        self._machine = machine
        self._on_failure = on_failure
        self._mailbox: Mailbox[Follow | TokenRefused | Stop] = Mailbox()
        self._doors: Doors = {}
        self._held: dict[TokenSource, Held] = {}
        self._hurries: dict[TokenSource, trio.Event] = {}
        self._untried: set[TokenSource] = set()
        self._settled = trio.Event()
        self._is_over = False
        self._push: Push = lambda _: None

    # The front

    @property
    def name(self) -> str:
        """The provider's."""
        return self._provider

    def push_to(self, push: Push) -> None:
        """Where news go: the pool's ``send``. It must not wait. To be called before ``run``."""
        self._push = push

    def tell_follow(self, doors: Doors) -> None:
        """Keep the tokens of the sources in ``doors``. Those that are held already are not fetched anew."""
        self._untried = {source for source in doors if source not in self._held}
        self._settled = trio.Event()
        self._note_tried(None)
        self._send(Follow(doors))

    def tell_refused(self, refused: TokenRefused) -> None:
        """Replace a token that the upstream did not accept, unless it has been already."""
        self._send(refused)

    def tell_stop(self) -> None:
        """Fetch no more; what is under way is given up. ``run`` then ends."""
        self._send(Stop())

    async def wait_settled(self) -> None:
        """Until each source that is followed has given a token, or failed once. May take the time limits of a fetch."""
        await self._settled.wait()

    def _send(self, message: Follow | TokenRefused | Stop) -> None:
        if not self._is_over:
            self._mailbox.send(message)

    # The loop

    async def run(self) -> None:
        """One life: until stopped. Raises whatever goes wrong."""
        while not self._is_over:
            async with trio.open_nursery() as nursery:
                for source, door in self._doors.items():
                    nursery.start_soon(self._keep, source, door)
                while not self._take():
                    await self._mailbox.wait()
                nursery.cancel_scope.cancel()

    def _take(self) -> bool:
        """Take what lies in the mailbox; whether other tasks are needed now."""
        is_changed = False
        while (message := self._mailbox.take()) is not None:
            match message:
                case Follow(doors=doors):
                    self._doors = doors
                    self._held = {key: held for key, held in self._held.items() if key in doors}
                    self._hurries.clear()
                    is_changed = True
                case TokenRefused():
                    self._hurry(message)
                case Stop():
                    self._is_over = is_changed = True
                case _:
                    assert_never(message)
        return is_changed

    def _hurry(self, refused: TokenRefused) -> None:
        held = self._held.get(refused.source)
        if held is None or held.token != refused.token:
            return
        now_s = trio.current_time()
        if now_s - held.got_s >= YOUNG_S:
            self._held[refused.source] = attrs.evolve(held, refresh_s=now_s)
            if refused.source in self._hurries:
                self._hurries[refused.source].set()

    # One source

    async def _keep(self, source: TokenSource, door: Upstream) -> None:
        failures = 0
        while True:
            await self._wait_until_due(source)
            asked_s = trio.current_time()
            try:
                grant = await self._fetch(source, door)
            except GatewayError as error:
                wait_s = BACKOFF.delay_s(failures, self._rng.random())
                failures += 1
                self._fail(source, error, wait_s)
                await trio.sleep(wait_s)
            else:
                failures = 0
                self._hold(source, grant, asked_s)

    async def _wait_until_due(self, source: TokenSource) -> None:
        hurry = self._hurries[source] = trio.Event()
        held = self._held.get(source)
        if held is not None:
            with trio.move_on_at(held.refresh_s):
                await hurry.wait()

    async def _fetch(self, source: TokenSource, door: Upstream) -> Grant:
        """A token. Raises GatewayError; is over within ``FETCH_S``."""
        deadline_s = trio.current_time() + FETCH_S
        here = Here(self._machine.environ, self._machine.wall())
        with closing(login(source, here)) as steps:
            step = advance(steps, None)
            while not isinstance(step, Grant):
                step = advance(steps, await self._take_step(step, door, deadline_s))
            return step

    async def _take_step(
        self, step: Step, door: Upstream, deadline_s: float
    ) -> Answer | GatewayError:
        """What came of ``step``; the login may know what to do about an error."""
        try:
            match step:
                case Read(path=path):
                    with trio.move_on_at(deadline_s):
                        return await self._machine.read(path)
                    raise UpstreamTimeout(f"{path} could not be read in time")
                case Ask(request=request, is_local=is_local):
                    open_ = self._machine.open if is_local else door.open
                    async with open_(request, _limits(step, deadline_s)) as answer:
                        return Answer(answer.status, await answer.read())
                case _:
                    assert_never(step)
        except GatewayError as error:
            return error

    def _hold(self, source: TokenSource, grant: Grant, asked_s: float) -> None:
        """The token's life is counted from when it was asked for, so that it is not thought longer than it is."""
        after_s = refresh_after_s(grant.lifetime_s, self._rng.random())
        self._held[source] = Held(
            token=grant.token, got_s=trio.current_time(), refresh_s=asked_s + after_s
        )
        spare_s = min(SPARE_S, grant.lifetime_s / 10)
        expires_s = asked_s + grant.lifetime_s - spare_s
        self._push(TokenRefreshed(source=source, token=grant.token, expires_s=expires_s))
        self._note_tried(source)

    def _fail(self, source: TokenSource, error: GatewayError, wait_s: float) -> None:
        is_refused = error.error_class in {ErrorClass.AUTH, ErrorClass.CONFIG}
        until_s = float("inf") if is_refused else trio.current_time() + wait_s
        self._push(TokenLacking(source=source, until_s=until_s))
        self._on_failure(self._provider, error, wait_s)
        self._note_tried(source)

    def _note_tried(self, source: TokenSource | None) -> None:
        if source is not None:
            self._untried.discard(source)
        if not self._untried:
            self._settled.set()

    # After a crash, and at the end

    def recover(self, error: Exception) -> None:
        """Nothing to straighten out: nobody waits for an answer, and the tokens are kept."""

    async def rest(self, until_s: float) -> None:
        """Broken: only take down what is to be done later."""
        with trio.move_on_at(until_s):
            while not self._is_over:
                self._take()
                await self._mailbox.wait()

    def close(self) -> None:
        """No more runs: what is told from now on is not heard."""
        self._is_over = True
        self._untried.clear()
        self._settled.set()


def _limits(step: Ask, deadline_s: float) -> Limits:
    return Limits(
        connect_s=LOCAL_CONNECT_S if step.is_local else CONNECT_S,
        first_byte_s=FETCH_S,
        idle_s=FETCH_S,
        deadline_s=deadline_s,
        max_body_bytes=MAX_BODY,
    )
