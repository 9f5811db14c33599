"""Small things that a key pool can be run with: generations, needs and outcomes, and a pool under its supervisor."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import attrs
import trio

from bifrost.actors.key_pool import KeyPool
from bifrost.actors.messages import AttemptOutcome, Generation, Need, PoolMessage
from bifrost.actors.supervisor import supervise
from bifrost.config.secret import Secret
from bifrost.config.settings import KeySettings, ProviderSettings
from bifrost.errors import ErrorClass
from bifrost.schema.call import Operation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bifrost.providers.base import Adapter
    from bifrost.transport.base import Upstream

__all__ = [
    "AUTH",
    "OK",
    "SERVER",
    "Crashes",
    "failed",
    "generation",
    "key",
    "living",
    "need",
    "provider",
    "rate_limited",
]


class FakeAdapter:
    """Stands for an adapter where nothing is encoded."""


class FakeUpstream:
    """Stands for connections where none are opened."""


def key(key_id: str, *, weight: float = 1.0, value: str | None = None, **more: Any) -> KeySettings:
    secret = Secret(f"sk-{key_id}" if value is None else value)
    return KeySettings(id=key_id, name=f"name-{key_id}", value=secret, weight=weight, **more)


def provider(*keys: KeySettings, name: str = "openai", **more: Any) -> ProviderSettings:
    return ProviderSettings(name=name, keys=keys, **more)


def generation(*keys: KeySettings, number: int = 1, **more: Any) -> Generation:
    return Generation(
        number=number,
        settings=provider(*keys, **more),
        adapter=cast("Adapter", FakeAdapter()),
        upstream=cast("Upstream", FakeUpstream()),
    )


def need(model: str = "m", **more: Any) -> Need:
    return Need(model=model, operation=Operation.CHAT, **more)


def failed(error_class: ErrorClass, **more: Any) -> AttemptOutcome:
    return AttemptOutcome(error_class=error_class, **more)


def rate_limited(retry_after_s: float | None = None) -> AttemptOutcome:
    return AttemptOutcome(
        error_class=ErrorClass.RATE_LIMIT, status=429, retry_after_s=retry_after_s
    )


OK = AttemptOutcome(status=200)
SERVER = failed(ErrorClass.SERVER, status=500)
AUTH = failed(ErrorClass.AUTH, status=401)


@attrs.define(eq=False)
class Crashes:
    """Crashes a pool at the messages it is told to: by kind, so many times."""

    left: dict[type[object], int] = attrs.field(factory=dict)
    log: list[tuple[str, str, int]] = attrs.field(factory=list)

    def plan(self, kind: type[object], times: int = 1) -> None:
        self.left[kind] = times

    def __call__(self, message: PoolMessage) -> None:
        if self.left.get(type(message), 0) > 0:
            self.left[type(message)] -= 1
            raise RuntimeError(f"crash at {type(message).__name__}")

    def on_crash(self, name: str, error: Exception, restarts: int) -> None:
        self.log.append((name, str(error), restarts))


@asynccontextmanager
async def living(
    first: Generation,
    *,
    drop_excess: bool = False,
    max_waiting: int = 5000,
    crashes: Crashes | None = None,
) -> AsyncIterator[KeyPool]:
    """A pool that runs under its supervisor for as long as the context lasts."""
    crashes = crashes or Crashes()
    pool = KeyPool(first, drop_excess=drop_excess, max_waiting=max_waiting, fault=crashes)
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(supervise, pool, on_crash=crashes.on_crash))
        yield pool
        nursery.cancel_scope.cancel()
