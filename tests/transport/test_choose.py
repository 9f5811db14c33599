from __future__ import annotations

import pytest

from bifrost.config.settings import (
    CustomProviderSettings,
    NetworkSettings,
    ProviderSettings,
    ProxySettings,
)
from bifrost.errors import ConfigurationMissing
from bifrost.transport.choose import upstream_for
from bifrost.transport.httpx import HttpxUpstream
from bifrost.transport.mock import MockUpstream
from bifrost.transport.pool import Connections

PROXY = ProxySettings(type="http", url="http://proxy.test:3128")

CHOICES: dict[str, tuple[ProviderSettings, type[object]]] = {
    "nothing special": (ProviderSettings(name="openai"), Connections),
    "a proxy of type none": (ProviderSettings(name="openai", proxy=ProxySettings()), Connections),
    "a proxy": (ProviderSettings(name="openai", proxy=PROXY), HttpxUpstream),
    "the environment's proxy": (
        ProviderSettings(name="openai", proxy=ProxySettings(type="environment")),
        HttpxUpstream,
    ),
    "HTTP/2": (
        ProviderSettings(name="bedrock", network=NetworkSettings(enforce_http2=True)),
        HttpxUpstream,
    ),
    "the mock": (ProviderSettings(name="mock"), MockUpstream),
    "made of the mock": (
        ProviderSettings(name="mine", custom=CustomProviderSettings(base_provider_type="mock")),
        MockUpstream,
    ),
    "made of another": (
        ProviderSettings(
            name="mock-like", custom=CustomProviderSettings(base_provider_type="openai")
        ),
        Connections,
    ),
}


@pytest.mark.parametrize(("settings", "kind"), CHOICES.values(), ids=CHOICES)
def test_configuration_has_its_door(settings: ProviderSettings, kind: type[object]) -> None:
    assert type(upstream_for(settings)) is kind


def test_proxy_that_cannot_be_used_is_not_passed_by() -> None:
    with pytest.raises(ConfigurationMissing):
        upstream_for(ProviderSettings(name="openai", proxy=ProxySettings(type="http")))
