"""The gateway's own surface: OpenAI's shapes, with the provider always named in ``model``."""

from __future__ import annotations

from bifrost.integrations.base import InferenceRoute, Integration
from bifrost.integrations.chat import parse_chat
from bifrost.schema.call import Operation, Surface

__all__ = ["NATIVE", "ROUTES"]

NATIVE = Integration(
    name="native",
    surface=Surface.NATIVE,
    default_provider="",
    bad_json="invalid request format: {reason}",
    takes_empty=False,
)

ROUTES = (
    InferenceRoute(
        path="/v1/chat/completions",
        operation=Operation.CHAT,
        integration=NATIVE,
        parse=parse_chat,
    ),
)
