"""The composition root: builds every room, opens the nurseries in order, and takes the house down again.

Order of opening: log writer, pools, router, jobs, front end. They close the other way round, because the nurseries are
nested in that order; the jobs' file last. Nobody but ``cli`` imports this module.
"""

from __future__ import annotations

import gc
import os
import random
import signal
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import trio
from hypercorn.config import Config as HypercornConfig

from bifrost.actors.discovery import Discovery, KeyModels
from bifrost.actors.hop import Means
from bifrost.actors.key_pool import KeyPool
from bifrost.actors.ledger import Ledger
from bifrost.actors.mailbox import ActorDied
from bifrost.actors.messages import Generation, Need, PoolView
from bifrost.actors.model_book import ModelBook
from bifrost.actors.router import Router
from bifrost.actors.supervisor import supervise
from bifrost.actors.tokens import Tokens
from bifrost.config.diff import applied, diff
from bifrost.config.faults import ConfigErrors
from bifrost.config.fingerprints import Fingerprints
from bifrost.config.options import ServeOptions
from bifrost.config.settings import Config, ProviderSettings
from bifrost.config.starting import is_loopback, notices, refusals
from bifrost.config_file import read_config, read_tree
from bifrost.errors import ConfigurationMissing, GatewayError
from bifrost.explain import explain
from bifrost.governance.filter import Governor
from bifrost.governance.policy import Policy
from bifrost.http.anthropic_objects import AnthropicObjectsDoor
from bifrost.http.app import Front
from bifrost.http.async_jobs import AsyncJobs
from bifrost.http.batch_results import BatchResults
from bifrost.http.doors import Doors, Phase, compile_views
from bifrost.http.gate import Gate
from bifrost.http.genai_files import GenaiFilesDoor
from bifrost.http.health import StoreHealth, health_routes
from bifrost.http.ids import RandomIds
from bifrost.http.inference import Inference
from bifrost.http.inline_batches import InlineBatches
from bifrost.http.job_calls import JobCalls
from bifrost.http.listing import Listing
from bifrost.http.management.config import Condition
from bifrost.http.management.desk import Desk
from bifrost.http.management.governance import Collaborators, governance_routes
from bifrost.http.management.house import House
from bifrost.http.management.standing import Standing
from bifrost.http.models import model_routes
from bifrost.http.openapi import openapi_routes
from bifrost.http.passthrough import PassthroughDoor
from bifrost.http.relayed import RelayDoor
from bifrost.http.responses_socket import ResponsesDoor
from bifrost.http.server import serve as serve_http
from bifrost.http.usage import usage_routes
from bifrost.http.watch import Limits
from bifrost.integrations.headers import SESSION_PREFIX
from bifrost.integrations.mounted import DESCRIBED, FINDER
from bifrost.jobs.room import Jobs, JobWatch
from bifrost.management.books import Books
from bifrost.management.login import Login
from bifrost.management.plugins import Plugins
from bifrost.management.price_list import NoPrices, PriceList
from bifrost.management.steward import Compiled, Steward
from bifrost.observe.filter import Observer
from bifrost.observe.http import HttpMeter
from bifrost.observe.lines import call_level, call_line, models_line
from bifrost.observe.logs import LEVELS, Logs, Sink
from bifrost.observe.prometheus import JobsView, Metrics, StoreView, custom_labels
from bifrost.policy.eligibility import base_type, eligible
from bifrost.policy.pricing import Sheet
from bifrost.policy.pricing import load as load_prices
from bifrost.policy.pricing_sheet import MAX_SHEET_BYTES
from bifrost.policy.token_sources import token_sources
from bifrost.providers.foreign import Foreign
from bifrost.providers.table import build_adapter
from bifrost.schema.call import Call, Caller, Operation, Target
from bifrost.service import Service, chain
from bifrost.store.base import StoreAway, StoreBusy, StoreError
from bifrost.store.config_open import Opened, means, open_config_store
from bifrost.store.keeper import StoreKeeper
from bifrost.store.sealing import StoreSealed, sealing_notices
from bifrost.store.sqlite import SqliteFile
from bifrost.store.sqlite_jobs import SqliteJobStore
from bifrost.transport.choose import upstream_for
from bifrost.transport.credentials import ThisMachine

if TYPE_CHECKING:
    from bifrost.config.diff import ConfigDiff
    from bifrost.policy.token_sources import TokenSource
    from bifrost.record import CallRecord
    from bifrost.transport.base import Upstream

__all__ = ["Gateway", "explain", "serve"]

MIB = 1024 * 1024

HURRY_S = 5.0
"""For exchanges to end once they have been told to."""

FIRST_TOKENS_S = 5.0
"""For short-lived tokens at a start; the house is opened without them after that."""

PRICES_S = 10.0
"""Between two looks at the calendar, and at whether prices are wanted by now."""

LIST_S = 60.0
"""For a provider to tell its models."""

PRICE_LIST_S = 45.0
"""For the operator's price list to come."""

SNAPSHOT_S = 1.0
"""For a pool, or the store, to show itself to a scrape."""

BACKLOG = 4096
"""Connections that may wait to be accepted, as far as the kernel's own bound lets them.

With hypercorn's 100, callers who all come at once lost their first packet now and then, and a second with it.
"""

POOL_DRAIN_S = 300.0
"""For the leases of a removed provider to end; its pool is closed after that."""


@attrs.frozen
class Kept:
    """A configuration that is kept in a store: who changes it, and where it is."""

    steward: Steward
    keeper: StoreKeeper
    opened: Opened
    read_tree: Callable[[], object]
    """The file's document. Blocks; raises ConfigErrors, OSError."""


@attrs.define(eq=False)
class Gateway:
    """One gateway. ``run`` is its whole life.

    ``read_config`` gives the configuration anew, or raises ConfigErrors or OSError.
    """

    config: Config
    options: ServeOptions
    read_config: Callable[[], Config]
    logs: Logs
    kept: Kept | None = None
    """Where the configuration is kept, if that is not its file alone."""
    _pools: dict[str, KeyPool] = attrs.field(factory=dict, init=False)
    _scopes: dict[str, trio.CancelScope] = attrs.field(factory=dict, init=False)
    _tokens: dict[str, Tokens] = attrs.field(factory=dict, init=False)
    _machine: ThisMachine = attrs.field(factory=ThisMachine, init=False)
    _generations: int = attrs.field(default=0, init=False)
    _stopping: trio.Event = attrs.field(factory=trio.Event, init=False)
    _hurried: trio.Event = attrs.field(factory=trio.Event, init=False)
    _served: trio.Event = attrs.field(factory=trio.Event, init=False)
    _rng: random.Random = attrs.field(factory=random.Random, init=False)
    _new_id: RandomIds = attrs.field(factory=RandomIds, init=False)
    _metrics: Metrics = attrs.field(init=False)
    _doors: Doors = attrs.field(init=False)
    _means: Means = attrs.field(init=False)
    _router: Router = attrs.field(init=False)
    _service: Service = attrs.field(init=False)
    _ledger: Ledger = attrs.field(init=False)
    _plugins: Plugins = attrs.field(init=False)
    _governor: Governor = attrs.field(init=False)
    _books: Books = attrs.field(init=False)
    _login: Login = attrs.field(init=False)
    steward: Steward = attrs.field(init=False)
    _discovery: Discovery = attrs.field(init=False)
    _models: ModelBook = attrs.field(init=False)
    _wanted: Config = attrs.field(init=False)
    """The configuration with what holds after a restart only."""
    _price_list: PriceList = attrs.field(init=False)
    _sheet: Sheet | None = attrs.field(default=None, init=False)
    _nursery: trio.Nursery | None = attrs.field(default=None, init=False)
    """The pools'."""
    _file: SqliteFile | None = attrs.field(default=None, init=False)
    _jobs: Jobs | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._metrics = Metrics.of(
            self.config.client,
            inflight=lambda: self._router.inflight,
            log_lines_dropped=lambda: self.logs.sink.dropped,
        )
        policy = Policy.of(self.config, _today())
        self._doors = Doors(compile_views(self.config, policy.table))
        self._ledger = Ledger(wall=time.time)
        self._governor = Governor(
            self._ledger,
            policy,
            draw=self._rng.random,
            wall=time.time,
            on_warning=self._note_routing,
        )
        keeper = None if self.kept is None else self.kept.keeper
        self._wanted = self.config
        self.steward = Steward({}, None, means(Fingerprints()), os.environ, time.time)
        if self.kept is not None:
            self.steward = self.kept.steward
            self.steward.apply = self._take
            self.kept.keeper.on_turn = self._note_config_store
        self._books = Books(self._ledger, keeper)
        self._price_list = PriceList(
            lambda: self.config.pricing, _fetch_prices, self._take_prices, self._note_no_prices
        )
        if keeper is not None and keeper.latest is not None:
            self._books.open(keeper.latest.counters)
        self._governor.is_complete = keeper is None or keeper.latest is not None
        self._login = Login(
            self.config.auth,
            keeper,
            wall=time.time,
            new_token=lambda: SESSION_PREFIX + os.urandom(32).hex(),
            pepper=os.urandom(32),
        )
        self._discovery = Discovery(self._pools, self._rng, time.time, self._note_unlisted)
        self._models = ModelBook(lambda: tuple(self._pools), self._list_models)
        self._means = Means(self._pools, self.config.client, self._rng, time.time)
        self._plugins = Plugins(_folder(self.options), self._note_no_plugin)
        self._router = Router(
            self._means,
            on_defect=self._note_defect,
            hop_filters=(
                self._plugins.before.around_hop,
                self._governor.around_hop,
                self._plugins.after.around_hop,
            ),
        )
        observer = Observer(
            readers=self._readers(),
            on_shed=self._metrics.shed,
            on_defect=self._note_front_defect,
        )
        filters = (
            observer.around,
            self._plugins.before.around,
            self._governor.around,
            self._plugins.after.around,
        )
        self._service = chain(filters, self._router.dispatch)
        if self.config.logs_store is not None:
            path = self.config.logs_store.path
            self._file = SqliteFile(
                self.options.app_dir / "logs.db" if path is None else Path(path),
                on_turn=self._note_store,
            )
            self._jobs = self._job_room(self._file)

    async def run(self, *, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until stopped by a signal, then drain. Gives its URL once it takes requests."""
        try:
            await self._live(task_status)
        finally:
            # A store that comes back now finds nobody to read it again.
            self._nursery = None
            await self._books.close()  # noqa: ASYNC102  shields itself, for a bounded time
            if self._file is not None:
                await self._file.aclose()  # noqa: ASYNC102  shields itself, for a bounded time
            if self.kept is not None:
                await self.kept.opened.database.aclose()  # noqa: ASYNC102  shields itself, for a bounded time
        self.logs.info("stopped")

    async def _live(self, task_status: trio.TaskStatus[str]) -> None:
        async with trio.open_nursery() as pools:
            self._nursery = pools
            pools.start_soon(partial(supervise, self._ledger, on_crash=self._note_ledger_crash))
            for settings in self.config.providers.values():
                self._start_pool(settings, pools)
            async with trio.open_nursery() as core:
                await core.start(self._router.run)
                if self._jobs is not None:
                    # Opening the file takes its time, and only those who hand in a job have to wait for it.
                    core.start_soon(self._jobs.run)
                core.start_soon(self._books.run)
                core.start_soon(self._models.run)
                core.start_soon(self._keep_prices)
                core.start_soon(self._price_list.run)
                if self.kept is not None:
                    core.start_soon(self.kept.keeper.run)
                await core.start(self._signals)
                await self._plugins.follow(self.config.plugins)
                await self._await_tokens()
                url = await core.start(self._serve_http)
                self._doors.phase = Phase.READY
                self.logs.info("listening", url=url)
                task_status.started(url)
                await self._stopping.wait()
                await self._drain()
                core.cancel_scope.cancel()
            pools.cancel_scope.cancel()
        for pool in self._pools.values():
            pool.generation.upstream.retire()
        self._machine.retire()

    # Pools

    def _start_pool(self, settings: ProviderSettings, nursery: trio.Nursery) -> None:
        try:
            generation = self._generation(settings)
        except ConfigurationMissing as error:
            if f"providers.{settings.name}" not in self.config.unbuilt:
                self.logs.line(
                    "warning",
                    "provider not served",
                    {"provider": settings.name, "reason": error.message},
                )
            return
        tokens = Tokens(
            settings.name,
            rng=self._rng,
            machine=self._machine,
            on_failure=self._note_no_token,
        )
        pool = KeyPool(
            generation,
            drop_excess=self.config.client.drop_excess_requests,
            max_waiting=max(1, self.config.client.max_inflight // 2),
            on_token_refused=tokens.tell_refused,
        )
        tokens.push_to(pool.send)
        tokens.tell_follow(self._doors_of(generation))
        scope = trio.CancelScope()
        nursery.start_soon(self._keep_pool, pool, tokens, scope)
        self._pools[settings.name] = pool
        self._tokens[settings.name] = tokens
        self._scopes[settings.name] = scope

    async def _keep_pool(self, pool: KeyPool, tokens: Tokens, scope: trio.CancelScope) -> None:
        with scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(partial(supervise, tokens, on_crash=self._note_tokens_crash))
                await supervise(pool, on_crash=self._note_crash)
                tokens.tell_stop()

    def _doors_of(self, generation: Generation) -> Mapping[TokenSource, Upstream]:
        settings = generation.settings
        sources = token_sources(settings.keys, base_type(settings))
        return dict.fromkeys(sources, generation.upstream)

    async def _await_tokens(self) -> None:
        """Give the tokens of this start some time to come, so that the first callers find keys that can be used."""
        with trio.move_on_after(FIRST_TOKENS_S):
            for tokens in tuple(self._tokens.values()):
                await tokens.wait_settled()

    def _generation(self, settings: ProviderSettings) -> Generation:
        """A provider built anew. Raises ConfigurationMissing if it cannot be served."""
        self._generations += 1
        return Generation(
            number=self._generations,
            settings=settings,
            adapter=build_adapter(settings),
            upstream=upstream_for(settings),
        )

    async def _change_pool(self, settings: ProviderSettings, nursery: trio.Nursery) -> None:
        pool = self._pools.get(settings.name)
        if pool is None:
            self._start_pool(settings, nursery)
            return
        try:
            generation = self._generation(settings)
        except ConfigurationMissing as error:
            self.logs.warning("provider not changed", provider=settings.name, reason=error.message)
            return
        await self._replace(pool, generation)

    async def _replace(self, pool: KeyPool, generation: Generation) -> None:
        former = pool.generation
        if former is not generation:
            self._tokens[pool.name].tell_follow(self._doors_of(generation))
        drop_excess = self.config.client.drop_excess_requests
        await pool.ask_reconfigure(generation, drop_excess=drop_excess)
        if former.upstream is not generation.upstream:
            former.upstream.retire()

    async def _end_pool(self, name: str) -> None:
        """Take a provider out: no new calls at once, its leases run to their end."""
        pool, scope = self._pools.pop(name), self._scopes.pop(name)
        del self._tokens[name]
        with trio.move_on_after(POOL_DRAIN_S):
            await pool.ask_drain()
        pool.generation.upstream.retire()
        scope.cancel()

    async def _keep_prices(self) -> None:
        """Have the list of prices there before somebody asks for one, and say each day what day it is."""
        is_loaded = False
        while True:
            prices, governance = self._governor.policy.prices, self._governor.policy.governance
            if not is_loaded and (governance.virtual_keys or governance.is_limiting):
                # It takes half a second and some memory, so who counts nothing goes without.
                await trio.to_thread.run_sync(load_prices)
                is_loaded = True
            prices.turn_to(_today())
            await trio.sleep(PRICES_S)

    def _take_prices(self, sheet: Sheet) -> None:
        """Charge by the operator's own price list from now on."""
        self._sheet = sheet
        if self.kept is not None:
            self.kept.steward.sheet = sheet
        policy = Policy.of(self.config, _today(), sheet)
        self._governor.policy = policy
        self._doors.views = compile_views(self.config, policy.table)
        self.logs.info("price list fetched", entries=len(sheet))

    # Reload

    async def _reload(self) -> None:
        """Read the file again and go by it. What is wrong with it is logged, and changes nothing."""
        try:
            if self.kept is not None:
                tree = await trio.to_thread.run_sync(self.kept.read_tree)
                await self.kept.steward.reload(tree)
                return
            fresh = await trio.to_thread.run_sync(self.read_config)
            if reasons := refusals(fresh, self.options):
                self.logs.error("configuration not reloaded", reason="; ".join(reasons))
                return
            await self._take(Compiled(fresh, Policy.of(fresh, _today(), self._sheet)))
            await self.show_file()
        except (ConfigErrors, OSError, StoreError) as error:
            self.logs.line("error", "configuration not reloaded", {"reason": str(error)})

    async def show_file(self) -> None:
        """Without a store: have the management API tell what the file says. Raises ConfigErrors, OSError."""
        path, folder = self.options.config_path, self.options.app_dir
        await trio.to_thread.run_sync(lambda: self.steward.show(read_tree(path, folder)))

    async def _take(self, compiled: Compiled) -> None:
        """Go by another configuration from now on."""
        self._wanted = fresh = compiled.config
        change = diff(self.config, fresh)
        await self._apply(applied(self.config, fresh), change, compiled.policy)
        for notice in notices(fresh):
            self.logs.warning("configuration", notice=notice)
        self.logs.info("configuration reloaded", **change.summary())

    async def _apply(self, fresh: Config, change: ConfigDiff, policy: Policy) -> None:
        nursery = self._nursery
        assert nursery is not None  # noqa: S101  nobody changes what does not run yet
        drop_changed = fresh.client.drop_excess_requests != self.config.client.drop_excess_requests
        if not self._governor.is_complete and self.kept is not None:
            latest = self.kept.keeper.latest
            self._books.open(latest.counters if latest else {})
        if fresh.plugins != self.config.plugins:
            await self._plugins.follow(fresh.plugins)
        self._books.change(self._governor.policy.governance, policy.governance, time.time())
        self.config = fresh
        self._governor.policy = policy
        self._governor.is_complete = True
        self._doors.views = compile_views(fresh, policy.table)
        self._means.client = fresh.client
        with suppress(StoreError):
            # The sessions of who could log in before; while the store is away that waits for it.
            await self._login.change(fresh.auth)
        if self._jobs is not None:
            self._jobs.reconfigure(fresh.client)
        self._models.tell_changed((*change.added, *change.changed, *change.removed))
        for name in change.removed:
            if name in self._pools:
                nursery.start_soon(self._end_pool, name)
        for name in (*change.added, *change.changed):
            await self._change_pool(fresh.providers[name], nursery)
        if drop_changed:
            for pool in tuple(self._pools.values()):
                await self._replace(pool, pool.generation)

    # Lifetime

    async def _signals(self, *, task_status: trio.TaskStatus[None]) -> None:
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
            task_status.started()
            async for number in signals:
                if number == signal.SIGHUP:
                    await self._reload()
                elif self._stopping.is_set():
                    self._hurried.set()
                else:
                    self._stopping.set()

    async def _drain(self) -> None:
        """Let what runs finish, for so long; then end it, and tell its callers why."""
        self._doors.phase = Phase.DRAINING
        grace_s = self.config.client.drain_timeout_s
        self.logs.info("draining", inflight=self._router.inflight, grace_s=grace_s)
        if self._jobs is not None:
            self._jobs.close()
        self._router.close()
        async with trio.open_nursery() as nursery:
            for pool in tuple(self._pools.values()):
                nursery.start_soon(pool.ask_drain)
            nursery.start_soon(self._on_hurry, nursery.cancel_scope)
            with trio.move_on_after(grace_s):
                await self._wait_idle()
            nursery.cancel_scope.cancel()
        if self._jobs is not None:
            # Before their calls are: so they fail with what became of the job.
            self._jobs.hurry()
        self._router.hurry()
        with trio.move_on_after(HURRY_S):
            await self._wait_idle()
            await self._served.wait()

    async def _wait_idle(self) -> None:
        await self._router.wait_idle()
        if self._jobs is not None:
            await self._jobs.wait_idle()

    # Asynchronous jobs

    def _job_room(self, file: SqliteFile) -> Jobs:
        calls = JobCalls(finder=FINDER, doors=self._doors, service=self._service)
        watch = JobWatch(
            on_defect=self._note_job_defect,
            on_trouble=lambda doing, _: self._metrics.store_failed(doing),
            on_lost=self._note_lost_job,
        )
        return Jobs(
            store=SqliteJobStore(file),
            work=calls.run,
            client=self.config.client,
            watch=watch,
            wall=time.time,
            new_id=self._new_id,
        )

    async def _show_jobs(self) -> JobsView | None:
        if self._jobs is None or self._file is None:
            return None
        counts = None
        with trio.move_on_after(SNAPSHOT_S), suppress(StoreError):
            counts = await self._jobs.store.counts()
        return JobsView(
            running=self._jobs.running, counts=counts, is_store_up=self._file.trouble is None
        )

    def _stores(self) -> tuple[StoreHealth, ...]:
        found: list[StoreHealth] = []
        if self.kept is not None:
            keeper, ping = self.kept.keeper, self.kept.opened.database.ping
            found.append(StoreHealth(name="config", is_away=lambda: keeper.is_away, ping=ping))
        if (file := self._file) is not None:
            away = lambda: file.trouble is not None  # noqa: E731  one line of a table
            found.append(StoreHealth(name="log", is_away=away, ping=file.ping))
        return tuple(found)

    # The front

    async def _serve_http(self, *, task_status: trio.TaskStatus[str]) -> None:
        settings = HypercornConfig()
        settings.bind = [f"{self.options.host}:{self.options.port}"]
        settings.backlog = BACKLOG
        # A few seconds above our own grace, so that callers see the router's error event and not a cut.
        settings.graceful_timeout = self.config.client.drain_timeout_s + HURRY_S + 5.0
        serve_front = partial(
            serve_http,
            self._front(),
            settings,
            self._stopping,
            limits=Limits(message_bytes=self.config.client.max_request_body_size_mb * MIB),
            on_defect=self._note_front_defect,
        )
        async with trio.open_nursery() as nursery:
            urls = await nursery.start(serve_front)
            task_status.started(urls[0])
        self._served.set()

    def _front(self) -> Front:
        discovery = self._discovery
        inference = Inference(
            finder=FINDER, doors=self._doors, service=self._service, new_id=self._new_id
        )
        async_jobs = AsyncJobs(finder=FINDER, doors=self._doors, jobs=self._jobs)
        listing = self._listing(inference.service)
        results = BatchResults(inference.service)
        inline = InlineBatches(inference.service)
        front = Front(
            doors=self._doors,
            gate=self._gate(),
            inference=inference,
            async_jobs=async_jobs,
            responses=ResponsesDoor(FINDER, self._doors, self._service),
            relays=RelayDoor(inference, listing, results, inline),
            passthrough=PassthroughDoor(inference),
            genai_files=GenaiFilesDoor(inference, listing),
            anthropic_objects=AnthropicObjectsDoor(inference, listing, results, inline),
            meter=HttpMeter(self._metrics),
            new_id=self._new_id,
            log=lambda level, fields: self.logs.line(level, "request completed", fields),
            on_defect=self._note_front_defect,
        )
        front.register_blueprint(health_routes(self._doors, self._render_metrics, self._stores()))
        front.register_blueprint(model_routes(self._doors, discovery))
        front.register_blueprint(
            usage_routes(
                self._doors,
                self._ledger.ask_usage,
                time.time,
                lambda: self._governor.is_complete,
            )
        )
        for blueprint in self._house().blueprints():
            front.register_blueprint(blueprint)
        front.register_blueprint(governance_routes(Desk(self.steward), self._of_governance()))
        front.register_blueprint(openapi_routes(front, DESCRIBED, async_jobs))
        return front

    def _house(self) -> House:
        def restart_reasons() -> tuple[str, ...]:
            return diff(self.config, self._wanted).needs_restart

        return House(
            desk=Desk(self.steward),
            login=self._login,
            standing=Standing(self._pools, self._models),
            condition=Condition(self._stores(), restart_reasons),
            prices=lambda: self._governor.policy.prices,
            new_id=self._new_id,
            plugins=self._plugins,
        )

    def _of_governance(self) -> Collaborators:
        return Collaborators(
            config=lambda: self.config,
            read_usage=self._books.usage,
            new_id=self._new_id,
            new_value=self.steward.means.new_value,
            wall=time.time,
        )

    async def _list_models(self, provider: str) -> tuple[KeyModels, ...]:
        """For the house itself."""
        now_s = trio.current_time()
        call = Call(
            id=self._new_id(),
            operation=Operation.LIST_MODELS,
            stream=False,
            target=Target("", ""),
            caller=Caller(),
            received_s=now_s,
            deadline_s=now_s + LIST_S,
        )
        return await self._discovery.list_all((provider,), call)

    def _gate(self) -> Gate:
        def is_valid_key(sent: Mapping[bytes, bytes]) -> bool:
            views = self._doors.views
            caller = views.headers.without_required().read(tuple(sent.items()), "")
            key = views.governance.by_hash.get(caller.virtual_key_hash)
            return key is not None and key.is_active

        return Gate(
            self._login,
            self._doors,
            is_valid_key,
            local_only=is_loopback(self.options.host),
            is_informed=lambda: self._governor.is_complete,
        )

    def _listing(self, service: Service) -> Listing:
        def keys_of(provider: str, operation: Operation) -> tuple[str, ...]:
            pool = self._pools.get(provider)
            if pool is None:
                return ()
            wish = Need(model="", operation=operation)
            return tuple(key.id for key in eligible(pool.generation.settings, wish).keys)

        def owner_of(name: str, provider: str) -> str | None:
            return self._router.objects.owners.owner((name,), provider, trio.current_time())

        def pages_by_token(provider: str) -> bool:
            pool = self._pools.get(provider)
            adapter = None if pool is None else pool.generation.adapter
            return isinstance(adapter, Foreign) and adapter.spec.pages_by_token

        return Listing(service, keys_of, owner_of, pages_by_token)

    def _readers(self) -> tuple[Callable[[CallRecord], None], ...]:
        return (self._metrics.record, self._log_call)

    def _log_call(self, record: CallRecord) -> None:
        level = call_level(record)
        if self.logs.is_on(level):
            self.logs.line(level, "request completed", call_line(record))

    async def _render_metrics(self, accept: str) -> tuple[bytes, str]:
        views: list[PoolView] = []
        for pool in tuple(self._pools.values()):
            # A pool that keeps crashing is left out: the others must still be seen.
            with trio.move_on_after(SNAPSHOT_S), suppress(ActorDied):
                views.append(await pool.ask_snapshot())
        store = None
        if self.kept is not None:
            keeper = self.kept.keeper
            store = StoreView(is_up=not keeper.is_away, waiting=keeper.waiting)
        return self._metrics.render(views, accept, await self._show_jobs(), store)

    # Defects: told in the log, never to a caller

    def _note_crash(self, name: str, error: Exception, crashes: int) -> None:
        self.logs.error("key pool crashed", provider=name, crashes=crashes, reason=_defect(error))

    def _note_ledger_crash(self, name: str, error: Exception, crashes: int) -> None:
        self.logs.error("actor crashed", actor=name, crashes=crashes, reason=_defect(error))

    def _note_no_plugin(self, name: str, reason: str) -> None:
        self.logs.error("plugin not loaded", plugin=name, reason=reason)

    def _note_no_prices(self, reason: str) -> None:
        self.logs.warning("price list not fetched", reason=reason)

    def _note_routing(self, warning: str) -> None:
        self.logs.warning("routing", reason=warning)

    def _note_tokens_crash(self, name: str, error: Exception, crashes: int) -> None:
        self.logs.error("tokens crashed", provider=name, crashes=crashes, reason=_defect(error))

    def _note_no_token(self, name: str, error: GatewayError, wait_s: float) -> None:
        reason = ": ".join(filter(None, (error.message, error.cause)))
        self.logs.warning(
            "token not fetched", provider=name, reason=reason, retry_s=round(wait_s, 1)
        )

    def _note_unlisted(self, call: Call, failed: tuple[KeyModels, ...]) -> None:
        self.logs.line("warning", "models not listed", models_line(call.id, failed))

    def _note_defect(self, error: BaseException, call: Call) -> None:
        self.logs.error("defect", request_id=call.id, reason=_defect(error))

    def _note_job_defect(self, error: Exception, request_id: str) -> None:
        self.logs.error("defect", request_id=request_id, reason=_defect(error))

    def _note_lost_job(self, job_id: str) -> None:
        self.logs.error("job not written", job_id=job_id)

    def _note_config_store(self, trouble: StoreError | None) -> None:
        _note_turn(self.logs, "config", trouble)
        if trouble is None and self._nursery is not None:
            # Others may have changed it meanwhile, or it has not been read at all yet.
            self._nursery.start_soon(self._reload)

    def _note_store(self, trouble: StoreError | None) -> None:
        _note_turn(self.logs, "logs", trouble)

    def _note_front_defect(self, error: BaseException) -> None:
        self.logs.error("defect", reason=_defect(error))

    async def _on_hurry(self, grace: trio.CancelScope) -> None:
        await self._hurried.wait()
        self.logs.info("hurrying", inflight=self._router.inflight)
        grace.cancel()


def serve(options: ServeOptions) -> int:
    """Serve until told to stop; the exit status. Raises ConfigErrors if the configuration is broken."""
    read = partial(read_config, options.config_path, options.app_dir, is_all=False)
    config = read()
    logs = Logs(LEVELS[options.log_level], options.log_style, Sink())
    return trio.run(_live, config, options, read, logs)


def _calm_collector() -> None:
    """Have the cycle collector look seldom, and never at what was there before the first request.

    A request leaves few cycles behind and makes hundreds of objects; at Python's own threshold of 700 the collector runs
    with nearly each of them.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


async def _live(
    config: Config, options: ServeOptions, read: Callable[[], Config], logs: Logs
) -> int:
    """Run a gateway with its log written beside it; the exit status."""
    status = 0
    async with trio.open_nursery() as nursery:
        await nursery.start(logs.sink.run)
        try:
            gateway = await _built(config, options, read, logs)
            _calm_collector()
            await gateway.run()
        except* (OSError, StoreSealed) as group:
            logs.line("error", "cannot serve", {"reason": str(_first(group))})
            status = 1
        except* ConfigErrors as group:
            # What the file says is good by itself, and is not beside what the store says.
            for error in str(_first(group)).splitlines():
                logs.line("error", "cannot serve", {"reason": error})
            status = 2
        nursery.cancel_scope.cancel()
    return status


async def _built(
    config: Config, options: ServeOptions, read: Callable[[], Config], logs: Logs
) -> Gateway:
    """The gateway, by file and store together. Raises ConfigErrors, and StoreSealed if the store's key is missing."""
    kept = None
    if config.config_store is not None:
        kept, config = await _kept(config, options, logs)
    for notice in notices(config):
        logs.warning("configuration", notice=notice)
    for name in custom_labels(config.client.prometheus_labels)[1]:
        notice = f"client.prometheus_labels: {name} is a label already, so it is left out"
        logs.warning("configuration", notice=notice)
    gateway = Gateway(config, options, read, logs, kept)
    if kept is None:
        await gateway.show_file()
    return gateway


async def _kept(config: Config, options: ServeOptions, logs: Logs) -> tuple[Kept, Config]:
    """The store of ``config``, and the configuration that file and store make together.

    If the store is away, the file alone is served until it is back.
    """
    assert config.config_store is not None  # noqa: S101  asked for by who has looked
    for notice in sealing_notices(config.encryption_key):
        logs.warning("configuration", notice=notice)
    opened = await trio.to_thread.run_sync(
        open_config_store, config.config_store, options.app_dir, config.encryption_key
    )
    on_turn = partial(_note_turn, logs, "config")
    keeper = StoreKeeper(opened.store, random.random, on_turn)  # noqa: TID251  chance enters the house here
    read_again = partial(read_tree, options.config_path, options.app_dir)
    steward = Steward(
        await trio.to_thread.run_sync(read_again),
        keeper,
        opened.means,
        os.environ,
        time.time,
        refuse=partial(refusals, options=options),
    )
    kept = Kept(steward, keeper, opened, read_again)
    try:
        # Before they are read: they have other versions then.
        await opened.store.seal_rows(time.time())
        compiled = await steward.open()
    except (StoreAway, StoreBusy):
        # The keeper has said so. What the file says is served; whoever is known to the store alone has to wait.
        return kept, config
    return kept, compiled.config


def _note_turn(logs: Logs, name: str, trouble: StoreError | None) -> None:
    if trouble is None:
        logs.info("store is back", store=name)
    else:
        logs.warning("store is away", store=name, reason=str(trouble))


def _first(group: BaseExceptionGroup[Exception]) -> BaseException:
    """The first of what happened, for one line of a log."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def _fetch_prices(url: str) -> bytes:
    """What is at ``url``. Raises NoPrices."""
    # Few ask for a list, and all would wait for the import.
    from bifrost.transport.download import NotFetched, download  # noqa: PLC0415  as said

    try:
        return await download(url, MAX_SHEET_BYTES, PRICE_LIST_S)
    except NotFetched as error:
        raise NoPrices(str(error)) from None


def _folder(options: ServeOptions) -> Path:
    """What relative paths of plugins start from: where the file is."""
    return options.app_dir if options.config_path is None else options.config_path.parent


def _today() -> date:
    """In UTC: prices begin on days."""
    return datetime.fromtimestamp(time.time(), UTC).date()


def _defect(error: BaseException) -> str:
    """What and where, without values: a traceback's last frames, and the exception's class."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    where = " < ".join(
        f"{frame.name} ({frame.filename}:{frame.lineno})" for frame in reversed(frames)
    )
    return f"{type(error).__name__} in {where}"
