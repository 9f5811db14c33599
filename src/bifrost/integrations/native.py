"""The gateway's own surface: OpenAI's shapes, with the provider always named in ``model``."""

from __future__ import annotations

from bifrost.integrations.base import InferenceRoute, Integration
from bifrost.integrations.json_body import parse_json
from bifrost.integrations.openai import JSON_PATHS
from bifrost.schema.call import Surface

__all__ = ["NATIVE", "ROUTES"]

NATIVE = Integration(
    name="native",
    surface=Surface.NATIVE,
    default_provider="",
    bad_json="invalid request format: {reason}",
    takes_empty=False,
)

ROUTES = tuple(
    InferenceRoute(path=f"/v1{path}", operation=operation, integration=NATIVE, parse=parse_json)
    for path, operation in JSON_PATHS.items()
)
