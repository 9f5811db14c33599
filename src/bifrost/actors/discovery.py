"""Asks every usable key of a provider for its models: the list that ``GET …/models`` shows, and a probe of each key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

import attrs
import trio

from bifrost.actors.key_pool import KeyPool
from bifrost.actors.messages import AttemptOutcome, Granted, Need, Refused
from bifrost.config.settings import KeySettings
from bifrost.errors import ConfigurationMissing, GatewayError, UnsupportedOperation
from bifrost.schema.call import Call, Operation, Target
from bifrost.transport.base import Limits

__all__ = ["Discovery", "KeyModels"]

UNLISTABLE = frozenset({"disabled", "blank"})
"""States of keys that nobody is asked with."""


@attrs.frozen(kw_only=True)
class KeyModels:
    """What one key may use, in its provider's own words; or the error that came instead."""

    provider: str
    key: KeySettings = attrs.field(repr=False)
    models: tuple[dict[str, object], ...] = ()
    error: GatewayError | None = None


@attrs.define(eq=False)
class Discovery:
    """Lists models. Takes a lease for each key like any other call; one attempt each, all keys of a provider at a time."""

    pools: Mapping[str, KeyPool]
    rng: Random
    wall: Callable[[], float]

    async def list_all(self, providers: tuple[str, ...], call: Call) -> tuple[KeyModels, ...]:
        """Every key of ``providers``; a provider that cannot be asked gives one row with its error."""
        rows: list[KeyModels] = []
        async with trio.open_nursery() as nursery:
            for provider in providers:
                nursery.start_soon(self._list_provider, provider, call, rows)
        return tuple(sorted(rows, key=lambda row: (row.provider, row.key.id)))

    async def _list_provider(self, provider: str, call: Call, rows: list[KeyModels]) -> None:
        pool = self.pools.get(provider)
        if pool is None:
            text = f"failed to get config for provider: {provider}"
            rows.append(_failed(provider, ConfigurationMissing(text)))
            return
        if not pool.generation.adapter.supports(Operation.LIST_MODELS, stream=False):
            text = f"{Operation.LIST_MODELS.value} is not supported by {provider} provider"
            rows.append(_failed(provider, UnsupportedOperation(text)))
            return
        view = await pool.ask_snapshot()
        key_ids = [key.id for key in view.keys if key.state not in UNLISTABLE]
        if not key_ids:
            text = f"no keys found for provider: {provider} and model: "
            rows.append(_failed(provider, ConfigurationMissing(text)))
        async with trio.open_nursery() as nursery:
            for key_id in key_ids:
                nursery.start_soon(self._list_key, pool, key_id, call, rows)

    async def _list_key(
        self, pool: KeyPool, key_id: str, call: Call, rows: list[KeyModels]
    ) -> None:
        need = Need(model="", operation=Operation.LIST_MODELS, pin_id=key_id)
        lease = pool.lease(need, draw=self.rng.random(), deadline_s=call.deadline_s)
        async with lease as held:
            if isinstance(held, Refused) or held.granted.key is None:
                rows.append(_failed(pool.name, ConfigurationMissing("key is resting")))
                return
            key = held.granted.key
            try:
                models = await self._ask(held.granted, call)
            except GatewayError as error:
                held.outcome = AttemptOutcome(error_class=error.error_class, status=error.status)
                rows.append(KeyModels(provider=pool.name, key=key, error=error))
                return
            held.outcome = AttemptOutcome(status=200)
            rows.append(KeyModels(provider=pool.name, key=key, models=models))
        pool.tell_probe(key.id, ok=True)

    async def _ask(self, granted: Granted, call: Call) -> tuple[dict[str, object], ...]:
        adapter, network = granted.generation.adapter, granted.generation.settings.network
        key = granted.key or KeySettings(id="", name="")
        request = adapter.encode(call, Target(adapter.name, ""), key)
        timeout_s = network.default_request_timeout_in_seconds
        limits = Limits(
            connect_s=network.connect_timeout_s,
            first_byte_s=timeout_s,
            idle_s=timeout_s,
            deadline_s=min(call.deadline_s, trio.current_time() + 2 * timeout_s),
        )
        async with granted.generation.upstream.open(request, limits) as answer:
            body = await answer.read()
            if not 200 <= answer.status < 300:
                raise adapter.decode_error(
                    answer.status, answer.headers, body, key, now_unix_s=self.wall()
                )
        return adapter.decode_models(body)


def _failed(provider: str, error: GatewayError) -> KeyModels:
    return KeyModels(provider=provider, key=KeySettings(id="", name=""), error=error)
