"""The configuration read again: told to by SIGHUP, and when its store is back. What the steward changes goes the same way."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs
import trio

from bifrost.config.faults import ConfigErrors
from bifrost.config.options import ServeOptions
from bifrost.config.settings import Config
from bifrost.config.starting import notices, refusals
from bifrost.config_file import read_tree
from bifrost.gateway.in_force import ConfigInForce
from bifrost.gateway.kept import Kept
from bifrost.gateway.notes import Notes
from bifrost.gateway.prices import today
from bifrost.governance.policy import Policy
from bifrost.management.steward import Compiled, Steward
from bifrost.store.base import StoreError

if TYPE_CHECKING:
    from bifrost.policy.pricing import Sheet

__all__ = ["Reload"]


@attrs.define(eq=False, kw_only=True)
class Reload:
    """``read_config`` gives the configuration anew where there is no store; it blocks, and raises ConfigErrors or OSError.

    ``kept`` is the store's, and its steward then is ``steward``.
    """

    options: ServeOptions
    read_config: Callable[[], Config]
    kept: Kept | None
    steward: Steward
    in_force: ConfigInForce
    notes: Notes
    _nursery: trio.Nursery | None = attrs.field(default=None, init=False)
    """The pools', from ``open`` to ``close``."""

    def open(self, nursery: trio.Nursery) -> None:
        """From now on there is a house that goes by the configuration. New pools run in ``nursery``."""
        self._nursery = nursery

    def close(self) -> None:
        """A store that comes back now finds nobody to read it again."""
        self._nursery = None

    async def run(self) -> None:
        """Read the file again and go by it. What is wrong with it is logged, and changes nothing."""
        try:
            if self.kept is not None:
                tree = await trio.to_thread.run_sync(self.kept.read_tree)
                await self.kept.steward.reload(tree)
                return
            await self._read_file()
        except (ConfigErrors, OSError, StoreError) as error:
            self.notes.not_reloaded(str(error))

    async def _read_file(self) -> None:
        """Without a store."""
        fresh = await trio.to_thread.run_sync(self.read_config)
        if reasons := refusals(fresh, self.options):
            self.notes.not_reloaded("; ".join(reasons))
            return
        await self.take(Compiled(fresh, Policy.of(fresh, today(), self.steward.sheet)))
        await self.show_file()

    async def show_file(self) -> None:
        """Without a store: have the management API tell what the file says. Raises ConfigErrors, OSError."""
        path, folder = self.options.config_path, self.options.app_dir
        await trio.to_thread.run_sync(lambda: self.steward.show(read_tree(path, folder)))

    def store_turned(self, trouble: StoreError | None) -> None:
        """The store is away, or back."""
        self.notes.store_turned("config", trouble)
        if trouble is None and self._nursery is not None:
            # Others may have changed it meanwhile, or it has not been read at all yet.
            self._nursery.start_soon(self.run)

    async def take(self, compiled: Compiled) -> None:
        """Go by another configuration from now on, and say so."""
        assert self._nursery is not None  # noqa: S101  nobody changes what does not run yet
        change = await self.in_force.take(compiled, self._nursery)
        self.notes.configuration(notices(compiled.config))
        self.notes.logs.info("configuration reloaded", **change.summary())

    def take_prices(self, sheet: Sheet) -> None:
        """Charge by the operator's own price list from now on, and by configurations that are still to come."""
        self.steward.sheet = sheet
        self.in_force.take_prices(sheet)
        self.notes.logs.info("price list fetched", entries=len(sheet))
