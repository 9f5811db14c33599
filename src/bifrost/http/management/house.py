"""The management API of the house itself, put together: a blueprint for each family."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import attrs

from bifrost.http.management.config import Condition, config_routes
from bifrost.http.management.desk import Desk
from bifrost.http.management.models import known_model_routes
from bifrost.http.management.plugins import plugin_routes
from bifrost.http.management.providers import provider_routes
from bifrost.http.management.session import session_routes
from bifrost.http.management.standing import Standing
from bifrost.management.login import Login
from bifrost.management.plugins import Plugins
from bifrost.policy.pricing import Prices

if TYPE_CHECKING:
    from quart import Blueprint


__all__ = ["House"]


@attrs.frozen(kw_only=True)
class House:
    """What its routes are about."""

    desk: Desk
    login: Login
    standing: Standing
    condition: Condition
    prices: Callable[[], Prices]
    """Those of now."""
    new_id: Callable[[], str]
    plugins: Plugins

    def blueprints(self) -> Sequence[Blueprint]:
        """All of them."""
        return (
            provider_routes(self.desk, self.standing, self.new_id),
            config_routes(self.desk, self.condition),
            session_routes(self.login),
            known_model_routes(self.standing.book, self.prices),
            plugin_routes(self.desk, self.plugins, self.login),
        )
