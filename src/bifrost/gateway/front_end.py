"""The front end: every door and every route, put together, and the server before them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

import attrs
import trio
from hypercorn.config import Config as HypercornConfig

from bifrost.config.options import ServeOptions
from bifrost.config.starting import is_loopback
from bifrost.gateway.calls import Calls
from bifrost.gateway.in_force import ConfigInForce
from bifrost.gateway.kept import Kept
from bifrost.gateway.lists import object_listing
from bifrost.gateway.log_store import LogStore
from bifrost.gateway.notes import Notes
from bifrost.gateway.pools import Pools
from bifrost.gateway.scrape import Scrape
from bifrost.http.anthropic_objects import AnthropicObjectsDoor
from bifrost.http.app import Front
from bifrost.http.async_jobs import AsyncJobs
from bifrost.http.batch_results import BatchResults
from bifrost.http.doors import Doors
from bifrost.http.gate import Gate
from bifrost.http.genai_files import GenaiFilesDoor
from bifrost.http.health import health_routes
from bifrost.http.inference import Inference
from bifrost.http.inline_batches import InlineBatches
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
from bifrost.http.server import serve
from bifrost.http.usage import usage_routes
from bifrost.http.watch import Limits
from bifrost.integrations.mounted import DESCRIBED, FINDER
from bifrost.management.login import Login
from bifrost.management.steward import Steward
from bifrost.observe.http import HttpMeter

if TYPE_CHECKING:
    from bifrost.http.health import StoreHealth

__all__ = ["FrontEnd"]

MIB = 1024 * 1024

BACKLOG = 4096
"""Connections that may wait to be accepted, as far as the kernel's own bound lets them.

With hypercorn's 100, callers who all come at once lost their first packet now and then, and a second with it.
"""


@attrs.frozen(eq=False, kw_only=True)
class FrontEnd:
    """Everybody whom a route may ask. ``served`` is set once the server has closed its last connection."""

    options: ServeOptions
    doors: Doors
    calls: Calls
    pools: Pools
    steward: Steward
    login: Login
    in_force: ConfigInForce
    log_store: LogStore | None
    kept: Kept | None
    notes: Notes
    new_id: Callable[[], str]
    served: trio.Event = attrs.field(factory=trio.Event, init=False)

    async def serve(
        self,
        stopping: trio.Event,
        hurry_s: float,
        *,
        task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until ``stopping``; gives the URL once it listens. Raises OSError if it cannot bind.

        ``hurry_s`` is what exchanges get beyond the configured grace to end in.
        """
        client = self.in_force.config.client
        settings = HypercornConfig()
        settings.bind = [f"{self.options.host}:{self.options.port}"]
        settings.backlog = BACKLOG
        # A few seconds above our own grace, so that callers see the router's error event and not a cut.
        settings.graceful_timeout = client.drain_timeout_s + hurry_s + 5.0
        serve_front = partial(
            serve,
            self.built(),
            settings,
            stopping,
            limits=Limits(message_bytes=client.max_request_body_size_mb * MIB),
            on_defect=self.notes.front_defect,
        )
        async with trio.open_nursery() as nursery:
            urls = await nursery.start(serve_front)
            task_status.started(urls[0])
        self.served.set()

    def built(self) -> Front:
        """The ASGI application, with all its routes."""
        inference = Inference(
            finder=FINDER, doors=self.doors, service=self.calls.service, new_id=self.new_id
        )
        jobs = None if self.log_store is None else self.log_store.jobs
        async_jobs = AsyncJobs(finder=FINDER, doors=self.doors, jobs=jobs)
        front = self._with_doors(inference, async_jobs)
        self._add_routes(front)
        front.register_blueprint(openapi_routes(front, DESCRIBED, async_jobs))
        return front

    def _with_doors(self, inference: Inference, async_jobs: AsyncJobs) -> Front:
        service = inference.service
        listing = object_listing(service, self.pools.by_name, self.calls.router.objects.owners)
        results = BatchResults(service)
        inline = InlineBatches(service)
        return Front(
            doors=self.doors,
            gate=self._gate(),
            inference=inference,
            async_jobs=async_jobs,
            responses=ResponsesDoor(FINDER, self.doors, self.calls.service),
            relays=RelayDoor(inference, listing, results, inline),
            passthrough=PassthroughDoor(inference),
            genai_files=GenaiFilesDoor(inference, listing),
            anthropic_objects=AnthropicObjectsDoor(inference, listing, results, inline),
            meter=HttpMeter(self.calls.metrics),
            new_id=self.new_id,
            log=self.notes.request,
            on_defect=self.notes.front_defect,
        )

    def _gate(self) -> Gate:
        def is_valid_key(sent: Mapping[bytes, bytes]) -> bool:
            views = self.doors.views
            caller = views.headers.without_required().read(tuple(sent.items()), "")
            key = views.governance.by_hash.get(caller.virtual_key_hash)
            return key is not None and key.is_active

        return Gate(
            self.login,
            self.doors,
            is_valid_key,
            local_only=is_loopback(self.options.host),
            is_informed=self._is_informed,
        )

    def _is_informed(self) -> bool:
        return self.calls.governor.is_complete

    # Routes

    def _add_routes(self, front: Front) -> None:
        scrape = Scrape(self.calls.metrics, self.pools, self.log_store, self.kept)
        usage = self.calls.governor.ledger.ask_usage
        desk = Desk(self.steward)
        for blueprint in (
            health_routes(self.doors, scrape.render, self._stores()),
            model_routes(self.doors, self.calls.discovery),
            usage_routes(self.doors, usage, time.time, self._is_informed),
            *self._house(desk).blueprints(),
            governance_routes(desk, self._collaborators()),
        ):
            front.register_blueprint(blueprint)

    def _stores(self) -> tuple[StoreHealth, ...]:
        return tuple(store.health for store in (self.kept, self.log_store) if store is not None)

    def _house(self, desk: Desk) -> House:
        return House(
            desk=desk,
            login=self.login,
            standing=Standing(self.pools.by_name, self.calls.models),
            condition=Condition(self._stores(), self.in_force.restart_reasons),
            prices=lambda: self.calls.governor.policy.prices,
            new_id=self.new_id,
            plugins=self.calls.plugins,
        )

    def _collaborators(self) -> Collaborators:
        return Collaborators(
            config=lambda: self.in_force.config,
            read_usage=self.calls.books.usage,
            new_id=self.new_id,
            new_value=self.steward.means.new_value,
            wall=time.time,
        )
