"""Restarts an actor that crashes: at once, then after longer and longer waits, and at long intervals if it goes on.

What is in the actor's hand when it crashes is the actor's to tell (``recover``); what it must not lose lies in its book.
A crash never leaves the supervisor, so it never touches the actor's neighbours.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

import attrs
import trio

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Intensity", "Supervised", "supervise"]


class Supervised(Protocol):
    """What a supervisor needs of an actor."""

    @property
    def name(self) -> str: ...

    async def run(self) -> None:
        """One life. Returns when the actor has nothing more to do, raises when it crashes."""
        ...

    def recover(self, error: Exception) -> None:
        """Straighten things out after a crash: above all answer the ask that was in hand. Must not raise."""
        ...

    async def rest(self, until_s: float) -> None:
        """Be broken until then, on trio's clock: answer what comes at once, as unavailable."""
        ...

    def close(self) -> None:
        """It will not run again: answer what is left, and answer at once from now on."""
        ...


@attrs.frozen(kw_only=True)
class Intensity:
    """How many crashes are borne, and what is done about them. Times in seconds."""

    crashes: int = 5
    within_s: float = 60.0
    first_delay_s: float = 0.1
    """Before the second restart in a row; doubles. The first is at once."""
    max_delay_s: float = 5.0
    broken_rest_s: float = 30.0
    """Between restarts of an actor that crashed more often than that."""

    def delay_s(self, crashes: int) -> float:
        """The wait after so many crashes within the window, this one counted."""
        return (
            0.0
            if crashes <= 1
            else min(self.first_delay_s * 2.0 ** (crashes - 2), self.max_delay_s)
        )


@attrs.define
class CrashLog:
    """The latest crashes. ``is_broken`` from one too many until the actor has lived through a whole window."""

    intensity: Intensity
    total: int = 0
    is_broken: bool = False
    _recent: deque[float] = attrs.field(factory=deque, init=False)

    def note(self, born_s: float, now_s: float) -> int:
        """An actor that came to life at ``born_s`` crashed; how many have, within the window."""
        self.total += 1
        self._recent.append(now_s)
        while self._recent[0] <= now_s - self.intensity.within_s:
            self._recent.popleft()
        survived = now_s - born_s >= self.intensity.within_s
        self.is_broken = len(self._recent) > self.intensity.crashes or (
            self.is_broken and not survived
        )
        return len(self._recent)


DEFAULT = Intensity()


async def supervise(
    actor: Supervised,
    *,
    on_crash: Callable[[str, Exception, int], None],
    intensity: Intensity = DEFAULT,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run ``actor`` until it ends of itself, or this is cancelled; either way it is closed.

    ``on_crash`` is told its name, the exception and how often it has crashed so far.
    """
    log = CrashLog(intensity)
    task_status.started()
    try:
        while not await _lived(actor, log, on_crash):
            pass
    finally:
        actor.close()


async def _lived(
    actor: Supervised, log: CrashLog, on_crash: Callable[[str, Exception, int], None]
) -> bool:
    """One life, and the wait after it; whether it was the last."""
    born_s = trio.current_time()
    try:
        await actor.run()
    except Exception as error:  # noqa: BLE001  the actor's root: a crash is reported, and ends here
        recent = log.note(born_s, trio.current_time())
        actor.recover(error)
        on_crash(actor.name, error, log.total)
    else:
        return True
    if log.is_broken:
        await actor.rest(trio.current_time() + log.intensity.broken_rest_s)
    else:
        await trio.sleep(log.intensity.delay_s(recent))
    return False
