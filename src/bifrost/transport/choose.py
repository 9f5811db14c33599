"""Which door a provider's configuration asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bifrost.transport.mock import MockUpstream
from bifrost.transport.pool import connections

if TYPE_CHECKING:
    from bifrost.config.settings import ProviderSettings
    from bifrost.transport.base import Upstream

__all__ = ["upstream_for"]

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
        from bifrost.transport.httpx import HttpxUpstream  # noqa: PLC0415  heavy, and few need it

        return HttpxUpstream(settings)
    return connections(settings.network)
