"""The OpenAI integration: what an OpenAI SDK asks for with ``base_url=…/openai`` or ``…/openai/v1``."""

from __future__ import annotations

from bifrost.integrations.base import InferenceRoute, Integration
from bifrost.integrations.form_body import parse_form
from bifrost.integrations.json_body import parse_json
from bifrost.schema.call import Operation, Surface

__all__ = ["OPENAI", "ROUTES", "routes"]

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

FORM_PATHS = {
    "/audio/transcriptions": Operation.TRANSCRIPTION,
    "/audio/translations": Operation.TRANSLATION,
    "/images/edits": Operation.IMAGE_EDIT,
    "/images/variations": Operation.IMAGE_VARIATION,
}
"""Those whose body is a form."""

PREFIXES = ("/openai/v1", "/openai", "/openai/openai/v1", "/openai/openai")
"""With and without a version; the doubled ones are what an Azure client makes of its endpoint."""


def routes(integration: Integration, prefix: str) -> tuple[InferenceRoute, ...]:
    """All of them below ``prefix``."""
    json = (
        InferenceRoute(
            path=prefix + path, operation=operation, integration=integration, parse=parse_json
        )
        for path, operation in JSON_PATHS.items()
    )
    forms = (
        InferenceRoute(
            path=prefix + path,
            operation=operation,
            integration=integration,
            parse=parse_form,
            takes_form=True,
        )
        for path, operation in FORM_PATHS.items()
    )
    return (*json, *forms)


ROUTES = tuple(route for prefix in PREFIXES for route in routes(OPENAI, prefix))
