"""Asks every usable key of a provider for its models: the list that ``GET …/models`` shows, and a probe of each key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

import attrs
import trio

from bifrost.actors.key_pool import KeyPool
from bifrost.actors.mailbox import ActorDied
from bifrost.actors.messages import AttemptOutcome, Granted, Need, Refused
from bifrost.codecs.json import dumps
from bifrost.config.secret import Secret
from bifrost.config.settings import KeySettings
from bifrost.errors import (
    ConfigurationMissing,
    ErrorClass,
    GatewayError,
    ProviderUnavailable,
    UnsupportedOperation,
    UpstreamError,
)
from bifrost.policy.eligibility import base_type
from bifrost.policy.health import UPSTREAM_FAILURES
from bifrost.policy.token_sources import token_source
from bifrost.schema.call import Call, Operation, Target
from bifrost.transport.base import Limits

__all__ = ["Discovery", "KeyModels"]

UNLISTABLE = frozenset({"disabled", "blank"})
"""States of keys that nobody is asked with."""

FAILED = "failed"

NOBODY = KeySettings(id="", name="")
"""Where there is no key to name."""


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
    on_failed: Callable[[Call, tuple[KeyModels, ...]], None]
    """Told of the keys that brought no list, once for each ``list_all``: without those that nothing was expected of."""

    def has(self, provider: str, operation: Operation, stream: bool) -> bool:
        """Whether ``provider`` has ``operation``, as it is configured now."""
        pool = self.pools.get(provider)
        return pool is not None and pool.generation.adapter.supports(operation, stream=stream)

    async def list_all(self, providers: tuple[str, ...], call: Call) -> tuple[KeyModels, ...]:
        """Every key of ``providers``; a provider that cannot be asked gives one row with its error."""
        rows: list[KeyModels] = []
        async with trio.open_nursery() as nursery:
            for provider in providers:
                nursery.start_soon(self._list_provider, provider, call, rows)
        rows.sort(key=lambda row: (row.provider, row.key.id))
        if failed := tuple(row for row in rows if _is_news(row)):
            self.on_failed(call, failed)
        return tuple(rows)

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
        try:
            view = await pool.ask_snapshot()
        except ActorDied:
            text = f"provider {provider} is unavailable"
            rows.append(_failed(provider, ProviderUnavailable(text, code="pool_broken")))
            return
        keys = [key for key in view.keys if key.state not in UNLISTABLE]
        if not keys:
            text = f"no keys found for provider: {provider} and model: "
            rows.append(_failed(provider, ConfigurationMissing(text)))
        async with trio.open_nursery() as nursery:
            for key in keys:
                # A failed key is lent to nobody, yet this is what may bring it back: it is taken past the pool's choice.
                need = Need(
                    model="",
                    operation=Operation.LIST_MODELS,
                    pin_id=key.id,
                    direct=key.state == FAILED,
                )
                nursery.start_soon(self._list_key, pool, key.id, need, call, rows)

    async def _list_key(
        self, pool: KeyPool, key_id: str, need: Need, call: Call, rows: list[KeyModels]
    ) -> None:
        lease = pool.lease(need, draw=self.rng.random(), deadline_s=call.deadline_s)
        async with lease as held:
            if isinstance(held, Refused):
                text = f"provider {pool.name} lends no key to list its models: {held.reason}"
                resting = ProviderUnavailable(text, retry_after_s=held.retry_after_s)
                key = attrs.evolve(NOBODY, id=key_id)
                rows.append(KeyModels(provider=pool.name, key=key, error=resting))
                return
            key = held.granted.key or _stored(held.granted, key_id)
            try:
                models = await self._ask(held.granted, key, call)
            except GatewayError as error:
                held.outcome = _outcome(error)
                rows.append(KeyModels(provider=pool.name, key=key, error=error))
                return
            held.outcome = AttemptOutcome(status=200)
            rows.append(KeyModels(provider=pool.name, key=key, models=models))
        pool.tell_probe(key.id, ok=True)

    async def _ask(
        self, granted: Granted, key: KeySettings, call: Call
    ) -> tuple[dict[str, object], ...]:
        adapter, network = granted.generation.adapter, granted.generation.settings.network
        request = adapter.encode(call, Target(adapter.name, ""), key).signed(self.wall())
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
        return _tellable(adapter.decode_models(body))


def _outcome(error: GatewayError) -> AttemptOutcome:
    """What a list that failed says of its key: whether it is accepted, and when it is to come back, and nothing of its health.

    Chat may be well where the list is not, and whoever may read the list must not be able to bring chat down by it.
    """
    is_upstreams = error.error_class in UPSTREAM_FAILURES
    return AttemptOutcome(
        error_class=ErrorClass.INTERNAL if is_upstreams else error.error_class,
        status=error.status,
        retry_after_s=error.retry_after_s,
    )


def _stored(granted: Granted, key_id: str) -> KeySettings:
    """The configured key of that id; nobody's, which its provider will refuse, if it went with a reload just now."""
    settings = granted.generation.settings
    key = next((key for key in settings.keys if key.id == key_id), NOBODY)
    # Its token is the pool's to lend, and a failed key is not: without one it is refused.
    is_lent = token_source(key, base_type(settings)) is not None
    return attrs.evolve(key, value=Secret("")) if is_lent else key


def _tellable(models: tuple[dict[str, object], ...]) -> tuple[dict[str, object], ...]:
    """``models``, if they can be written again. Raises UpstreamError for what is nested too deeply for that."""
    try:
        dumps(models)
    except TypeError as error:
        text = "failed to unmarshal response from provider API"
        raise UpstreamError(text, cause=str(error)) from None
    return models


def _is_news(row: KeyModels) -> bool:
    """Whether the row tells of a failure: to have no key, or no list at all, is how things are configured."""
    return row.error is not None and row.error.error_class is not ErrorClass.CONFIG


def _failed(provider: str, error: GatewayError) -> KeyModels:
    return KeyModels(provider=provider, key=NOBODY, error=error)
