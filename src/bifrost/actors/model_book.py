"""Which models the keys of all providers may use, as far as it was asked: at the start, after changes, and now and then.

Lists cost nothing, and asking for one is how a key that was refused is found to be good again (``actors.discovery``).
Nobody waits for them: what is not known yet is looked up when it is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterable
from itertools import islice

import attrs
import trio

from bifrost.actors.discovery import KeyModels
from bifrost.integrations.models import of_key

__all__ = ["KeyList", "ModelBook"]

EVERY_S = 3600.0
"""Between two looks at all of them."""

SETTLE_S = 20.0
"""After a start, and after a change of a provider: several changes are often made one after the other."""

MAX_MODELS = 5000
"""Of one key; the rest is not kept."""

MAX_TOLD = 512
"""Characters of an error."""

Listing = Callable[[str], Awaitable[tuple[KeyModels, ...]]]
"""Asks the keys of a provider. Takes a bounded time; raises nothing."""


@attrs.frozen(kw_only=True)
class KeyList:
    """What one key may use, by the names it is asked for at the gateway but for the provider; or why that is not known."""

    provider: str
    key_id: str
    models: tuple[str, ...] = ()
    listed: tuple[str, ...] = ()
    """What its provider has, whether the key may use it or not."""
    error: str = ""


@attrs.define(eq=False)
class ModelBook:
    """``providers`` gives the names of those there are now."""

    providers: Callable[[], Iterable[str]]
    list_provider: Listing
    every_s: float = EVERY_S
    settle_s: float = SETTLE_S
    _rows: dict[str, tuple[KeyList, ...]] = attrs.field(factory=dict, init=False)
    _due: dict[str, float] = attrs.field(factory=dict, init=False)
    """Providers, and when they are to be asked, on trio's clock."""
    _changed: trio.Event = attrs.field(factory=trio.Event, init=False)
    _asking: dict[str, trio.Event] = attrs.field(factory=dict, init=False)
    """Providers that are being asked, and the end of that."""

    def rows(self, provider: str) -> tuple[KeyList, ...]:
        """What is known of the keys of ``provider``, now."""
        return self._rows.get(provider, ())

    def tell_changed(self, providers: Iterable[str]) -> None:
        """Providers came, went, or are configured otherwise: what was known of them is so no more."""
        for name in providers:
            self._rows.pop(name, None)
            self._due[name] = trio.current_time() + self.settle_s
        self._changed.set()
        self._changed = trio.Event()

    async def known(self, provider: str) -> tuple[KeyList, ...]:
        """What is known, after asking if nothing is."""
        return self._rows.get(provider) or await self._ask(provider)

    async def run(self) -> None:
        """Ask, one provider after the other, until cancelled."""
        self.tell_changed(self.providers())
        while True:
            with trio.move_on_at(min(self._due.values(), default=math.inf)):
                await self._changed.wait()
            for name in [name for name, at_s in self._due.items() if at_s <= trio.current_time()]:
                del self._due[name]
                if name in self.providers():
                    await self._ask(name)
                    self._due.setdefault(name, trio.current_time() + self.every_s)

    async def _ask(self, provider: str) -> tuple[KeyList, ...]:
        """Once at a time: who comes while somebody asks is given what that one finds."""
        while (asking := self._asking.get(provider)) is not None:
            await asking.wait()
            if provider in self._rows:
                return self._rows[provider]
        asking = self._asking[provider] = trio.Event()
        try:
            rows = tuple(map(_row, await self.list_provider(provider)))
            if provider in self.providers():
                self._rows[provider] = rows
            return rows
        finally:
            # Given up, somebody who waits asks in its place.
            del self._asking[provider]
            asking.set()


def _row(found: KeyModels) -> KeyList:
    cut = len(found.provider) + 1
    served = of_key(found.provider, found.key, found.models) if found.key.id else ()
    error = "" if found.error is None else found.error.message
    return KeyList(
        provider=found.provider,
        key_id=found.key.id,
        models=tuple(name[cut:] for name in _names(each["id"] for each in served)),
        listed=_names(each.get("id") for each in found.models),
        error=error[:MAX_TOLD],
    )


def _names(found: Iterable[object]) -> tuple[str, ...]:
    return tuple(islice((name for name in found if isinstance(name, str) and name), MAX_MODELS))
