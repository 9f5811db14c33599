"""What a client of Azure OpenAI asks for: its paths name a deployment, which is the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from bifrost.errors import BadRequest
from bifrost.integrations.base import NO_PARAMS, InferenceRoute
from bifrost.integrations.openai import OPENAI, routes
from bifrost.schema.call import Operation

if TYPE_CHECKING:
    from bifrost.catalog import Catalog
    from bifrost.integrations.base import Params, Request
    from bifrost.integrations.headers import HeaderRules
    from bifrost.schema.call import Call

__all__ = ["AZURE", "PREFIXES", "TEMPLATES", "find_deployment"]

AZURE = attrs.evolve(OPENAI, name="azure", default_provider="azure")

PREFIXES = ("/openai/deployments/", "/openai/openai/deployments/")
"""The second is what a client makes of ``azure_endpoint=…/openai``."""

FAMILIES = frozenset(
    {"chat", "audio", "images", "completions", "embeddings", "responses", "models"}
)
"""Where the deployment ends and the operation begins."""

TEMPLATE = f"{PREFIXES[0]}{{path}}"

ROUTES = {
    route.path.removeprefix(TEMPLATE): route
    for route in routes(AZURE, TEMPLATE)
    if route.path.removeprefix(TEMPLATE).split("/")[1] in FAMILIES
}
"""By what stands behind the deployment."""

TEMPLATES = tuple(
    attrs.evolve(route, path=f"{prefix}{{path}}{rest}")
    for prefix in PREFIXES
    for rest, route in ROUTES.items()
)
"""All that ``find_deployment`` finds, spelt out."""


def find_deployment(path: str) -> tuple[InferenceRoute, Params] | None:
    """The route of a path that names a deployment, and the model that is meant by it.

    ``None`` for other paths, for a list of models and for an operation that nobody knows. A deployment that is not named
    properly finds a route that tells so.
    """
    prefix = next(filter(path.startswith, PREFIXES), None)
    if prefix is None:
        return None
    segments = path.removeprefix(prefix).split("/")
    end = next((n for n, segment in enumerate(segments) if segment in FAMILIES), None)
    if end is None:
        return INVALID, NO_PARAMS
    if not end or not all(segments[:end]):
        return MISSING, NO_PARAMS
    route = ROUTES.get("/".join(("", *segments[end:])))
    return None if route is None else (route, {"model": _model(segments[:end])})


def _model(deployment: list[str]) -> str:
    """One segment is a deployment of Azure; of several the first is the provider."""
    return "/".join(("azure", *deployment) if len(deployment) == 1 else deployment)


def _refusing(text: str) -> InferenceRoute:
    def refuse(request: Request, catalog: Catalog, rules: HeaderRules) -> Call:  # noqa: ARG001  nothing can be made of it
        raise BadRequest(text)

    return InferenceRoute(
        path=f"{TEMPLATE}/{{other}}", operation=Operation.CHAT, integration=AZURE, parse=refuse
    )


INVALID = _refusing("invalid azure deployment path")
MISSING = _refusing("missing deployment id")
