"""A database that one thread at a time may use: who waits for it, for how long, and whether it is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

import attrs
import trio

from bifrost.store.base import StoreAway, StoreBusy, StoreError

__all__ = ["MAX_WAITING", "OLDER", "TIMEOUT_S", "OneThread", "Turn"]

T = TypeVar("T")

TIMEOUT_S = 10.0
"""For one piece of work, the wait for those before it included."""
CLOSE_S = 5.0
MAX_WAITING = 1000
OLDER = "the database is of an older version: start the gateway, or run `bifrost migrate`"


class Turn(Protocol):
    """One piece of work in its thread."""

    def give_up(self) -> None:
        """Called from another thread, at once done: what is not committed by then will not be."""
        ...


@attrs.define(eq=False, kw_only=True)
class OneThread:
    """The front of such a database; what is done in the thread is a subclass's."""

    timeout_s: float = TIMEOUT_S
    on_turn: Callable[[StoreError | None], None] = lambda _: None
    """Hears when the database goes away, with the reason, and with ``None`` when it is back."""
    is_guest: bool = False
    """Only looks, beside the gateway that it belongs to, and leaves its tables as they are."""
    trouble: StoreError | None = attrs.field(default=None, init=False)
    """Why the latest piece of work was not done; ``None`` if it was, or if there was none yet."""
    _limiter: trio.CapacityLimiter = attrs.field(
        factory=lambda: trio.CapacityLimiter(1), init=False
    )

    async def take_turn(self, work: Callable[[], T], turn: Turn) -> T:
        """``work``'s value, done in a thread within ``timeout_s``. Raises StoreBusy, and what ``work`` does."""
        try:
            value = await self._turn(work, turn)
        except (StoreAway, StoreBusy) as error:
            self._note(error)
            raise
        self._note(None)
        return value

    async def close_by(self, close: Callable[[], None]) -> None:
        """Run ``close`` when its turn has come, within ``CLOSE_S`` and even when cancelled."""
        with trio.CancelScope(shield=True, deadline=trio.current_time() + CLOSE_S):
            await trio.to_thread.run_sync(close, abandon_on_cancel=True, limiter=self._limiter)

    def _note(self, trouble: StoreError | None) -> None:
        former, self.trouble = self.trouble, trouble
        if (former is None) != (trouble is None):
            self.on_turn(trouble)

    async def _turn(self, work: Callable[[], T], turn: Turn) -> T:
        if self._limiter.statistics().tasks_waiting >= MAX_WAITING:
            raise StoreBusy("too many are waiting for the store")
        try:
            with trio.fail_after(self.timeout_s):
                return await trio.to_thread.run_sync(
                    work, abandon_on_cancel=True, limiter=self._limiter
                )
        except trio.TooSlowError:
            raise StoreBusy(f"the store did not answer within {self.timeout_s:g} s") from None
        finally:
            turn.give_up()
