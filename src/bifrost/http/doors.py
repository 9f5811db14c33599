"""What the doors share: the views compiled from the configuration, and whether the gateway takes requests."""

from __future__ import annotations

import enum

import attrs

from bifrost.catalog import Catalog
from bifrost.config.settings import ClientSettings, Config
from bifrost.http.cors import CorsRules
from bifrost.integrations.headers import HeaderRules

__all__ = ["Doors", "Phase", "Views", "compile_views"]


@attrs.frozen(kw_only=True)
class Views:
    """One configuration as the doors see it. Replaced as a whole."""

    client: ClientSettings
    catalog: Catalog
    headers: HeaderRules
    cors: CorsRules


def compile_views(config: Config) -> Views:
    """Everything that would otherwise be worked out again for each request."""
    return Views(
        client=config.client,
        catalog=Catalog.of(config),
        headers=HeaderRules.of(config.client),
        cors=CorsRules.of(config.client),
    )


class Phase(enum.Enum):
    """Where the gateway is in its life."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"


@attrs.define(eq=False)
class Doors:
    """Held by every door; ``gateway`` writes it."""

    views: Views
    phase: Phase = Phase.STARTING

    @property
    def is_ready(self) -> bool:
        return self.phase is Phase.READY
