"""The OpenAI integration: what an OpenAI SDK asks for with ``base_url=…/openai`` or ``…/openai/v1``."""

from __future__ import annotations

from bifrost.integrations.base import InferenceRoute, Integration
from bifrost.integrations.json_body import parse_json
from bifrost.schema.call import Operation, Surface

__all__ = ["JSON_PATHS", "OPENAI", "ROUTES"]

OPENAI = Integration(
    name="openai",
    surface=Surface.OPENAI,
    default_provider="openai",
    bad_json="Invalid JSON",
    takes_empty=True,
)

JSON_PATHS = {
    "/chat/completions": Operation.CHAT,
    "/completions": Operation.TEXT,
    "/responses": Operation.RESPONSES,
    "/responses/input_tokens": Operation.COUNT_TOKENS,
    "/embeddings": Operation.EMBEDDING,
    "/rerank": Operation.RERANK,
    "/moderations": Operation.MODERATION,
    "/audio/speech": Operation.SPEECH,
    "/images/generations": Operation.IMAGE,
}
"""Operations with a JSON body, by their path below the version."""

PREFIXES = ("/openai/v1", "/openai", "/openai/openai/v1", "/openai/openai")
"""With and without a version; the doubled ones are what an Azure client makes of its endpoint."""

ROUTES = tuple(
    InferenceRoute(path=prefix + path, operation=operation, integration=OPENAI, parse=parse_json)
    for path, operation in JSON_PATHS.items()
    for prefix in PREFIXES
)
