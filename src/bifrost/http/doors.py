"""What the doors share: the views compiled from the configuration, and whether the gateway takes requests."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import attrs

from bifrost.catalog import Catalog
from bifrost.config.settings import ClientSettings, Config
from bifrost.governance.model import Governance
from bifrost.governance.routing import RoutingTable
from bifrost.http.cors import CorsRules
from bifrost.integrations.headers import HeaderRules, LoginPlace

if TYPE_CHECKING:
    from bifrost.config.governance_section import AuthSection

__all__ = ["Doors", "Phase", "Views", "compile_views"]


@attrs.frozen(kw_only=True)
class Views:
    """One configuration as the doors see it. Replaced as a whole."""

    client: ClientSettings
    catalog: Catalog
    governance: Governance
    headers: HeaderRules
    cors: CorsRules


def compile_views(config: Config, table: RoutingTable | None = None) -> Views:
    """Everything that would otherwise be worked out again for each request. ``table`` is what governance routes by."""
    if table is None:
        table = RoutingTable(catalog=Catalog.of(config))
    return Views(
        client=config.client,
        catalog=table.catalog,
        governance=table.governance,
        headers=HeaderRules.of(config.client, table.rules.mentions, _login_place(config.auth)),
        cors=CorsRules.of(config.client),
    )


def _login_place(auth: AuthSection | None) -> LoginPlace:
    if auth is None or not auth.is_enabled:
        return LoginPlace()
    return LoginPlace(
        takes_authorization=not auth.disable_auth_on_inference, username=auth.admin_username
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
