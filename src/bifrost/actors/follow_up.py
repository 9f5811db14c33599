"""Calls that take several requests: asked one after the other, and called off where nobody waits for them any more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import attrs
import trio
from outcome import Error, Value

from bifrost.actors.reading import read_some
from bifrost.errors import BadRequest, GatewayError, UpstreamError
from bifrost.providers.base import Ask, FollowUp, Headers, Told, UpstreamRequest
from bifrost.transport.base import Limits, Upstream, UpstreamAnswer
from bifrost.transport.faults import deadline_passed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

__all__ = ["CALL_OFF_S", "MAX_REQUESTS", "followed"]

MAX_REQUESTS = 2000
"""Of one call; at two seconds each that is more than an hour."""

CALL_OFF_S = 2.0
"""For the request that calls off, and before it for the answer that says what is to be called off."""

T = TypeVar("T")


@asynccontextmanager
async def followed(
    upstream: Upstream, first: UpstreamRequest, limits: Limits, wall: Callable[[], float]
) -> AsyncIterator[UpstreamAnswer]:
    """As ``upstream.open(first, limits)``, but that the answer is what the whole course of requests comes to.

    The deadline holds for all of them together, the other limits for each. What was begun and has not come to its end is
    called off where this is left by cancellation or any failure but the upstream's own word: that takes at most twice
    ``CALL_OFF_S``.
    """
    course = _Course(upstream, limits, wall)
    try:
        async with AsyncExitStack() as stack:
            answer = await course.run(first, stack)
            try:
                yield answer
            except UpstreamError:
                # An answer that tells its own failure is over. A refusal is not: what was begun goes on.
                course.is_over = 200 <= answer.status < 300
                raise
    except BaseException:  # whoever left, cancelled too, must not leave work behind at the upstream
        with trio.move_on_after(CALL_OFF_S, shield=True):
            await course.call_off()
        raise


@attrs.define(eq=False)
class _Course:
    """The requests of one call; ``_waited_s`` is what went by so far, waiting for the upstream.

    ``is_over`` says that nothing is left to be called off.
    """

    _upstream: Upstream
    _limits: Limits
    _wall: Callable[[], float]
    is_over: bool = attrs.field(default=False, init=False)
    _waited_s: float = attrs.field(default=0.0, init=False)
    _call_off: UpstreamRequest | None = attrs.field(default=None, init=False)

    async def run(self, first: UpstreamRequest, stack: AsyncExitStack) -> UpstreamAnswer:
        """The answer in the end; ``stack`` keeps it open, where it is read as it comes. Raises GatewayError."""
        ask = Ask(request=first)
        for _ in range(MAX_REQUESTS):
            self._call_off = ask.call_off
            await self._pause(ask.after_s)
            try:
                found = await self._ask(ask.request, stack)
            except BadRequest as error:
                if not ask.request.origin.public_only:
                    raise
                # Nobody but the upstream named such an address.
                text = "the provider named an address that cannot be used"
                raise UpstreamError(text, cause=error.message) from None
            if not isinstance(found, Ask):
                return found
            ask = found
        raise deadline_passed()

    async def _ask(self, request: UpstreamRequest, stack: AsyncExitStack) -> Ask | UpstreamAnswer:
        """What comes after ``request``, or the answer in the end."""
        follow_up = request.follow_up
        if follow_up is None:
            answer = await stack.enter_async_context(self._open(request))
            return _Late(answer, self._waited_s)
        judge = partial(self._judged, request, follow_up)
        return await (_with_grace(judge, CALL_OFF_S) if follow_up.begins else judge())

    async def call_off(self) -> None:
        """Send what calls off, if there is anything to be called off. What comes of it is nobody's news."""
        if self._call_off is None or self.is_over:
            return
        # The attempt's own deadline may be what led here.
        limits = attrs.evolve(self._limits, deadline_s=trio.current_time() + CALL_OFF_S)
        try:
            async with self._open(self._call_off, limits) as answer:
                await read_some(answer)
        except GatewayError:
            # The failure that led here is the one to be told.
            pass

    def _open(
        self, request: UpstreamRequest, limits: Limits | None = None
    ) -> AbstractAsyncContextManager[UpstreamAnswer]:
        return self._upstream.open(request.signed(self._wall()), limits or self._limits)

    async def _pause(self, seconds: float) -> None:
        left_s = self._limits.deadline_s - trio.current_time()
        if seconds > 0:
            await trio.sleep(max(0.0, min(seconds, left_s)))
            self._waited_s += seconds
        if seconds > left_s:
            raise deadline_passed()

    async def _judged(self, request: UpstreamRequest, follow_up: FollowUp) -> Ask | _Heard:
        """What comes after ``request``, or the answer if that is it."""
        async with self._open(request) as answer:
            is_good = 200 <= answer.status < 300
            body = await answer.read() if is_good else b""
            found = follow_up.next(answer.status, body)
            if found is None and not is_good:
                body, _ = await read_some(answer)
            self._waited_s += answer.waited_s
        if isinstance(found, Ask):
            self._call_off = found.call_off
            return found
        self.is_over = is_good
        heard = _Heard(answer.status, answer.headers, self._waited_s, body)
        return heard if found is None else heard.retold(found)


@attrs.define(eq=False)
class _Heard:
    """An answer whose body has been read. Implements ``UpstreamAnswer``."""

    status: int
    headers: Headers
    waited_s: float
    _body: bytes

    def retold(self, told: Told) -> _Heard:
        """This answer with another body."""
        others = (
            line for line in self.headers if line[0] not in {b"content-type", b"content-length"}
        )
        headers = ((b"content-type", told.content_type), *others)
        return _Heard(self.status, headers, self.waited_s, told.body)

    async def receive(self) -> bytes:
        body, self._body = self._body, b""
        return body

    async def read(self) -> bytes:
        return await self.receive()


@attrs.define(eq=False)
class _Late:
    """The last answer, which is read as it comes. Implements ``UpstreamAnswer``; ``_before_s`` went by before it."""

    _answer: UpstreamAnswer
    _before_s: float

    @property
    def status(self) -> int:
        return self._answer.status

    @property
    def headers(self) -> Headers:
        return self._answer.headers

    @property
    def waited_s(self) -> float:
        return self._before_s + self._answer.waited_s

    async def receive(self) -> bytes:
        return await self._answer.receive()

    async def read(self) -> bytes:
        return await self._answer.read()


async def _with_grace(work: Callable[[], Awaitable[T]], grace_s: float) -> T:
    """Do ``work``; a cancellation reaches it ``grace_s`` seconds late, so that it may still come to its end.

    Raises GatewayError as ``work`` does.
    """
    scope = trio.CancelScope(shield=True)
    told: Value[T] | Error | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_limit_when_cancelled, scope, grace_s)
        with scope:
            try:
                told = Value(await work())
            except GatewayError as error:
                # Told outside: a nursery would wrap it.
                told = Error(error)
        nursery.cancel_scope.cancel()
    assert told is not None  # noqa: S101  whoever is cancelled leaves the nursery in an exception
    return told.unwrap()


async def _limit_when_cancelled(scope: trio.CancelScope, grace_s: float) -> None:
    try:
        await trio.sleep_forever()
    finally:
        scope.deadline = trio.current_time() + grace_s
