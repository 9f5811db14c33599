"""Which door a provider's configuration asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from bifrost.config.settings import NetworkSettings
from bifrost.policy.token_sources import ManagedIdentity
from bifrost.transport.httpx import HttpxUpstream
from bifrost.transport.mock import MockUpstream
from bifrost.transport.pool import Connections, connections

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bifrost.config.settings import ProviderSettings
    from bifrost.policy.token_sources import TokenSource
    from bifrost.transport.base import Upstream

__all__ = ["TokenDoors", "upstream_for"]

MOCK = "mock"


def upstream_for(settings: ProviderSettings) -> Upstream:
    """The upstream of one configuration of a provider. Reads certificates: not on the hot path.

    Raises ConfigurationMissing if the configuration cannot be followed: a proxy is never passed by in silence.
    """
    kind = settings.name if settings.custom is None else settings.custom.base_provider_type
    if kind == MOCK:
        return MockUpstream(settings)
    is_proxied = settings.proxy is not None and settings.proxy.type != "none"
    if is_proxied or settings.network.enforce_http2:
        return HttpxUpstream(settings)
    return connections(settings.network)


@attrs.define(eq=False)
class TokenDoors:
    """Where tokens are asked for: by the provider's own upstream, or past its proxy where that is on this machine."""

    _machine: Connections | None = attrs.field(default=None, init=False)

    def of(self, sources: Iterable[TokenSource], upstream: Upstream) -> dict[TokenSource, Upstream]:
        """The door of each of ``sources``. Reads certificates once, for the first that is on this machine."""
        return {
            source: self._here() if isinstance(source, ManagedIdentity) else upstream
            for source in sources
        }

    def _here(self) -> Connections:
        if self._machine is None:
            self._machine = connections(NetworkSettings())
        return self._machine

    def retire(self) -> None:
        """Close what is kept here; the providers' upstreams are not this one's."""
        if self._machine is not None:
            self._machine.retire()
