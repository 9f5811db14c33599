"""The key pool of each provider that is served, with the tokens beside it: begun, replaced, drained and taken out."""

from __future__ import annotations

from functools import partial
from random import Random
from typing import TYPE_CHECKING

import attrs
import trio

from bifrost.actors.key_pool import KeyPool
from bifrost.actors.messages import Generation
from bifrost.actors.supervisor import supervise
from bifrost.actors.tokens import Tokens
from bifrost.errors import ConfigurationMissing
from bifrost.gateway.notes import Notes
from bifrost.policy.eligibility import base_type
from bifrost.policy.token_sources import token_sources
from bifrost.providers.table import build_adapter
from bifrost.transport.choose import upstream_for
from bifrost.transport.credentials import ThisMachine

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bifrost.actors.messages import PoolView
    from bifrost.config.diff import ConfigDiff
    from bifrost.config.settings import ClientSettings, Config, ProviderSettings
    from bifrost.policy.token_sources import TokenSource
    from bifrost.transport.base import Upstream

__all__ = ["Pools"]

FIRST_TOKENS_S = 5.0
"""For short-lived tokens at a start; the house is opened without them after that."""

DRAIN_S = 300.0
"""For the leases of a removed provider to end; its pool is closed after that."""


@attrs.frozen(eq=False)
class _Beside:
    """What goes with a pool and ends with it."""

    tokens: Tokens
    scope: trio.CancelScope


@attrs.define(eq=False)
class Pools:
    """Owns the pools. Their tasks run in the nursery that ``start`` and ``follow`` are handed.

    A provider that cannot be served is noted and left out, the others are served all the same.
    """

    rng: Random
    notes: Notes
    by_name: dict[str, KeyPool] = attrs.field(factory=dict, init=False)
    """Those there are now, for everybody to look up; changed by nobody else."""
    _beside: dict[str, _Beside] = attrs.field(factory=dict, init=False)
    _machine: ThisMachine = attrs.field(factory=ThisMachine, init=False)
    _generations: int = attrs.field(default=0, init=False)

    def start(self, config: Config, nursery: trio.Nursery) -> None:
        """Begin all of ``config``."""
        for settings in config.providers.values():
            self._begin(config, settings, nursery)

    async def follow(self, config: Config, change: ConfigDiff, nursery: trio.Nursery) -> None:
        """Go by ``config``, of which ``change`` says what is new in it. Waits for pools to take it, not for leases to end."""
        for name in change.removed:
            if name in self.by_name:
                nursery.start_soon(self._end, name)
        for name in (*change.added, *change.changed):
            await self._change(config, config.providers[name], nursery)
        if "drop_excess_requests" in change.client:
            for pool in tuple(self.by_name.values()):
                await self._replace(pool, pool.generation, config.client)

    async def await_tokens(self) -> None:
        """Give the tokens of this start some time to come, so that the first callers find keys that can be used."""
        with trio.move_on_after(FIRST_TOKENS_S):
            for beside in tuple(self._beside.values()):
                await beside.tokens.wait_settled()

    async def views(self) -> list[PoolView]:
        """How each of them stands, for as many as tell it in time."""
        # A pool that keeps crashing is left out: the others must still be seen.
        views = [await pool.look() for pool in tuple(self.by_name.values())]
        return [view for view in views if view is not None]

    def start_draining(self, nursery: trio.Nursery) -> None:
        """Have each refuse its waiters and let its leases run; a task a pool, over when they have ended."""
        for pool in tuple(self.by_name.values()):
            nursery.start_soon(pool.ask_drain)

    def retire(self) -> None:
        """Let all connections go, when no pool runs any more."""
        for pool in self.by_name.values():
            pool.generation.upstream.retire()
        self._machine.retire()

    # One of them

    def _begin(self, config: Config, settings: ProviderSettings, nursery: trio.Nursery) -> None:
        try:
            generation = self._generation(settings)
        except ConfigurationMissing as error:
            if f"providers.{settings.name}" not in config.unbuilt:
                self.notes.not_served(settings.name, error.message)
            return
        tokens = Tokens(
            settings.name,
            rng=self.rng,
            machine=self._machine,
            on_failure=self.notes.no_token,
        )
        pool = KeyPool(
            generation,
            drop_excess=config.client.drop_excess_requests,
            max_waiting=max(1, config.client.max_inflight // 2),
            on_token_refused=tokens.tell_refused,
        )
        tokens.push_to(pool.send)
        tokens.tell_follow(_doors_of(generation))
        beside = _Beside(tokens, trio.CancelScope())
        nursery.start_soon(self._keep, pool, beside)
        self.by_name[settings.name] = pool
        self._beside[settings.name] = beside

    async def _keep(self, pool: KeyPool, beside: _Beside) -> None:
        with beside.scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(
                    partial(supervise, beside.tokens, on_crash=self.notes.tokens_crashed)
                )
                await supervise(pool, on_crash=self.notes.pool_crashed)
                beside.tokens.tell_stop()

    def _generation(self, settings: ProviderSettings) -> Generation:
        """A provider built anew. Raises ConfigurationMissing if it cannot be served."""
        self._generations += 1
        return Generation(
            number=self._generations,
            settings=settings,
            adapter=build_adapter(settings),
            upstream=upstream_for(settings),
        )

    async def _change(
        self, config: Config, settings: ProviderSettings, nursery: trio.Nursery
    ) -> None:
        pool = self.by_name.get(settings.name)
        if pool is None:
            self._begin(config, settings, nursery)
            return
        try:
            generation = self._generation(settings)
        except ConfigurationMissing as error:
            self.notes.not_changed(settings.name, error.message)
            return
        await self._replace(pool, generation, config.client)

    async def _replace(self, pool: KeyPool, generation: Generation, client: ClientSettings) -> None:
        former = pool.generation
        if former is not generation:
            self._beside[pool.name].tokens.tell_follow(_doors_of(generation))
        await pool.ask_reconfigure(generation, drop_excess=client.drop_excess_requests)
        if former.upstream is not generation.upstream:
            former.upstream.retire()

    async def _end(self, name: str) -> None:
        """Take a provider out: no new calls at once, its leases run to their end."""
        pool, beside = self.by_name.pop(name), self._beside.pop(name)
        with trio.move_on_after(DRAIN_S):
            await pool.ask_drain()
        pool.generation.upstream.retire()
        beside.scope.cancel()


def _doors_of(generation: Generation) -> Mapping[TokenSource, Upstream]:
    settings = generation.settings
    sources = token_sources(settings.keys, base_type(settings))
    return dict.fromkeys(sources, generation.upstream)
