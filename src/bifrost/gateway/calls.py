"""What every call goes through, from the outermost filter to the router, and what counts and lists beside it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import attrs

from bifrost.actors.discovery import Discovery
from bifrost.actors.hop import Means
from bifrost.actors.ledger import Ledger
from bifrost.actors.model_book import ModelBook
from bifrost.actors.router import Router
from bifrost.gateway.lists import model_book
from bifrost.governance.filter import Governor
from bifrost.management.books import Books
from bifrost.management.plugins import Plugins
from bifrost.observe.filter import Observer
from bifrost.observe.prometheus import Metrics
from bifrost.service import Service, chain

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from random import Random

    from bifrost.config.settings import Config
    from bifrost.gateway.notes import Notes
    from bifrost.gateway.pools import Pools
    from bifrost.governance.policy import Policy
    from bifrost.store.keeper import StoreKeeper

__all__ = ["Calls", "built_calls"]


@attrs.frozen(eq=False, kw_only=True)
class Calls:
    """``service`` is how a call is made, by whoever makes one. The others are for whoever runs, asks or changes them."""

    service: Service
    router: Router
    means: Means
    governor: Governor
    books: Books
    plugins: Plugins
    metrics: Metrics
    discovery: Discovery
    models: ModelBook


def built_calls(
    config: Config,
    policy: Policy,
    *,
    pools: Pools,
    keeper: StoreKeeper | None,
    rng: Random,
    plugin_folder: Path,
    notes: Notes,
    new_id: Callable[[], str],
) -> Calls:
    """All of them, none running yet. ``keeper`` is ``None`` where nothing is kept in a store."""
    plugins = Plugins(plugin_folder, notes.no_plugin)
    governor = _governor(policy, keeper, rng, notes)
    means = Means(pools.by_name, config.client, rng, time.time)
    router = _router(means, plugins, governor, notes)
    metrics = Metrics.of(
        config.client,
        inflight=lambda: router.inflight,
        log_lines_dropped=lambda: notes.logs.sink.dropped,
    )
    discovery = Discovery(pools.by_name, rng, time.time, notes.unlisted)
    return Calls(
        service=_service(router, plugins, governor, metrics, notes),
        router=router,
        means=means,
        governor=governor,
        books=_books(governor.ledger, keeper),
        plugins=plugins,
        metrics=metrics,
        discovery=discovery,
        models=model_book(pools.by_name, discovery, new_id),
    )


def _governor(policy: Policy, keeper: StoreKeeper | None, rng: Random, notes: Notes) -> Governor:
    return Governor(
        Ledger(wall=time.time),
        policy,
        draw=rng.random,
        wall=time.time,
        on_warning=notes.routing,
        # Whether there is nothing in a store that nobody knows of yet.
        is_complete=keeper is None or keeper.latest is not None,
    )


def _books(ledger: Ledger, keeper: StoreKeeper | None) -> Books:
    books = Books(ledger, keeper)
    if keeper is not None and keeper.latest is not None:
        books.open(keeper.latest.counters)
    return books


def _router(means: Means, plugins: Plugins, governor: Governor, notes: Notes) -> Router:
    filters = (plugins.before.around_hop, governor.around_hop, plugins.after.around_hop)
    return Router(means, on_defect=notes.defect, hop_filters=filters)


def _service(
    router: Router, plugins: Plugins, governor: Governor, metrics: Metrics, notes: Notes
) -> Service:
    observer = Observer(
        readers=(metrics.record, notes.call),
        on_shed=metrics.shed,
        on_defect=notes.front_defect,
    )
    filters = (
        observer.around,
        plugins.before.around,
        governor.around,
        plugins.after.around,
    )
    return chain(filters, router.dispatch)
