"""The gateway: its parts built and given their collaborators, the nurseries opened in order, and the house taken down again.

Order of opening: log writer, pools, router, jobs, front end. They close the other way round, because the nurseries are
nested in that order; the jobs' file last.
"""

from __future__ import annotations

import os
import time
from functools import partial
from random import Random
from typing import TYPE_CHECKING

import trio

from bifrost.actors.supervisor import supervise
from bifrost.config.fingerprints import Fingerprints
from bifrost.gateway.calls import Calls, built_calls
from bifrost.gateway.drain import HURRY_S, Drain, Signals
from bifrost.gateway.front_end import FrontEnd
from bifrost.gateway.in_force import ConfigInForce
from bifrost.gateway.log_store import LogStore, log_store
from bifrost.gateway.notes import Notes
from bifrost.gateway.pools import Pools
from bifrost.gateway.prices import fetch_prices, keep_prices, today
from bifrost.gateway.reload import Reload
from bifrost.governance.policy import Policy
from bifrost.http.doors import Doors, Phase, compile_views
from bifrost.http.ids import RandomIds
from bifrost.integrations.headers import SESSION_PREFIX
from bifrost.management.login import Login
from bifrost.management.price_list import PriceList
from bifrost.management.steward import Steward
from bifrost.store.config_open import means

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bifrost.config.options import ServeOptions
    from bifrost.config.settings import Config
    from bifrost.gateway.kept import Kept
    from bifrost.observe.logs import Logs
    from bifrost.store.keeper import StoreKeeper

__all__ = ["Gateway"]


class Gateway:
    """One gateway. ``run`` is its whole life.

    ``read_config`` gives the configuration anew, or raises ConfigErrors or OSError. ``kept`` is where it is kept, if that is
    not its file alone.
    """

    def __init__(
        self,
        config: Config,
        options: ServeOptions,
        read_config: Callable[[], Config],
        logs: Logs,
        kept: Kept | None = None,
    ) -> None:
        self.options = options
        self.logs = logs
        self.kept = kept
        self.steward = _steward_of_file() if kept is None else kept.steward
        self._keeper = None if kept is None else kept.keeper
        self._new_id = RandomIds()
        self._notes = Notes(logs)
        rng = Random()  # noqa: S311  no secret hangs on it
        policy = Policy.of(config, today())
        self._doors = Doors(compile_views(config, policy.table))
        self._pools = Pools(rng, self._notes)
        self._calls = self._built_calls(config, policy, rng)
        self._log_store = self._built_log_store(config)
        self._jobs = None if self._log_store is None else self._log_store.jobs
        self._login = _login(config, self._keeper)
        self._in_force = self._built_in_force(config)
        self._reload = self._built_reload(read_config)
        self._price_list = self._built_price_list()
        self._front_end = self._built_front_end()
        self._signals = Signals(self._reload.run)
        self._drain = self._built_drain()

    @property
    def config(self) -> Config:
        """The one in force."""
        return self._in_force.config

    async def show_file(self) -> None:
        """Without a store: have the management API tell what the file says. Raises ConfigErrors, OSError."""
        await self._reload.show_file()

    async def run(self, *, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until stopped by a signal, then drain. Gives its URL once it takes requests."""
        try:
            await self._live(task_status)
        finally:
            self._reload.close()
            await self._calls.books.close()  # noqa: ASYNC102  shields itself, for a bounded time
            if self._log_store is not None:
                await self._log_store.file.aclose()  # noqa: ASYNC102  shields itself, for a bounded time
            if self.kept is not None:
                await self.kept.opened.database.aclose()  # noqa: ASYNC102  shields itself, for a bounded time
        self.logs.info("stopped")

    async def _live(self, task_status: trio.TaskStatus[str]) -> None:
        async with trio.open_nursery() as pools:
            self._reload.open(pools)
            ledger = partial(
                supervise, self._calls.governor.ledger, on_crash=self._notes.actor_crashed
            )
            pools.start_soon(ledger)
            self._pools.start(self.config, pools)
            async with trio.open_nursery() as core:
                await core.start(self._calls.router.run)
                self._start_rounds(core)
                await core.start(self._signals.listen)
                await self._calls.plugins.follow(self.config.plugins)
                await self._pools.await_tokens()
                url = await core.start(self._front_end.serve, self._signals.stopping, HURRY_S)
                self._doors.phase = Phase.READY
                self.logs.info("listening", url=url)
                task_status.started(url)
                await self._signals.stopping.wait()
                await self._drain.run(self.config.client.drain_timeout_s)
                core.cancel_scope.cancel()
            pools.cancel_scope.cancel()
        self._pools.retire()

    def _start_rounds(self, core: trio.Nursery) -> None:
        """What goes on beside calls, in ``core`` until it is cancelled."""
        if self._jobs is not None:
            # Opening the file takes its time, and only those who hand in a job have to wait for it.
            core.start_soon(self._jobs.run)
        core.start_soon(self._calls.books.run)
        core.start_soon(self._calls.models.run)
        core.start_soon(keep_prices, lambda: self._calls.governor.policy)
        core.start_soon(self._price_list.run)
        if self._keeper is not None:
            core.start_soon(self._keeper.run)

    # Parts, from others that there are already

    def _built_calls(self, config: Config, policy: Policy, rng: Random) -> Calls:
        return built_calls(
            config,
            policy,
            pools=self._pools,
            keeper=self._keeper,
            rng=rng,
            plugin_folder=_folder(self.options),
            notes=self._notes,
            new_id=self._new_id,
        )

    def _built_log_store(self, config: Config) -> LogStore | None:
        return log_store(
            config,
            self.options.app_dir,
            doors=self._doors,
            service=self._calls.service,
            metrics=self._calls.metrics,
            notes=self._notes,
            new_id=self._new_id,
        )

    def _built_in_force(self, config: Config) -> ConfigInForce:
        return ConfigInForce(
            config=config,
            keeper=self._keeper,
            doors=self._doors,
            calls=self._calls,
            login=self._login,
            jobs=self._jobs,
            pools=self._pools,
        )

    def _built_reload(self, read_config: Callable[[], Config]) -> Reload:
        reload = Reload(
            options=self.options,
            read_config=read_config,
            kept=self.kept,
            steward=self.steward,
            in_force=self._in_force,
            notes=self._notes,
        )
        if self.kept is not None:
            self.kept.steward.apply = reload.take
            self.kept.keeper.on_turn = reload.store_turned
        return reload

    def _built_price_list(self) -> PriceList:
        return PriceList(
            lambda: self.config.pricing,
            fetch_prices,
            self._reload.take_prices,
            self._notes.no_prices,
        )

    def _built_front_end(self) -> FrontEnd:
        return FrontEnd(
            options=self.options,
            doors=self._doors,
            calls=self._calls,
            pools=self._pools,
            steward=self.steward,
            login=self._login,
            in_force=self._in_force,
            log_store=self._log_store,
            kept=self.kept,
            notes=self._notes,
            new_id=self._new_id,
        )

    def _built_drain(self) -> Drain:
        return Drain(
            doors=self._doors,
            router=self._calls.router,
            jobs=self._jobs,
            pools=self._pools,
            notes=self._notes,
            hurried=self._signals.hurried,
            served=self._front_end.served,
        )


def _steward_of_file() -> Steward:
    """Where nothing is kept in a store: it shows what the file says, and changes nothing."""
    return Steward({}, None, means(Fingerprints()), os.environ, time.time)


def _login(config: Config, keeper: StoreKeeper | None) -> Login:
    return Login(
        config.auth,
        keeper,
        wall=time.time,
        new_token=lambda: SESSION_PREFIX + os.urandom(32).hex(),
        pepper=os.urandom(32),
    )


def _folder(options: ServeOptions) -> Path:
    """What relative paths of plugins start from: where the file is."""
    return options.app_dir if options.config_path is None else options.config_path.parent
