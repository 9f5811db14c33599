"""The gateway's own surface: OpenAI's shapes, with the provider always named in ``model``."""

from __future__ import annotations

from bifrost.integrations.base import Integration
from bifrost.integrations.openai import routes
from bifrost.schema.call import Surface

__all__ = ["NATIVE", "ROUTES"]

NATIVE = Integration(
    name="native",
    surface=Surface.NATIVE,
    default_provider="",
    bad_json="invalid request format: {reason}",
    takes_empty=False,
)

ROUTES = routes(NATIVE, "/v1")
