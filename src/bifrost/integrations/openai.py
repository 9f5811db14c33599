"""The OpenAI integration: what an OpenAI SDK asks for with ``base_url=…/openai`` or ``…/openai/v1``."""

from __future__ import annotations

from bifrost.integrations.base import InferenceRoute, Integration
from bifrost.integrations.chat import parse_chat
from bifrost.schema.call import Operation, Surface

__all__ = ["OPENAI", "ROUTES"]

OPENAI = Integration(
    name="openai",
    surface=Surface.OPENAI,
    default_provider="openai",
    bad_json="Invalid JSON",
    takes_empty=True,
)

ROUTES = tuple(
    InferenceRoute(path=path, operation=Operation.CHAT, integration=OPENAI, parse=parse_chat)
    for path in ("/openai/v1/chat/completions", "/openai/chat/completions")
)
