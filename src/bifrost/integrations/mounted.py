"""Every inference route there is: a line for each integration."""

from __future__ import annotations

from bifrost.integrations import (
    anthropic,
    azure,
    bedrock,
    cohere,
    composite,
    genai,
    native,
    openai,
)
from bifrost.integrations.finder import Finder

__all__ = ["DESCRIBED", "FINDER"]

ROUTES = (*openai.ROUTES, *native.ROUTES, *anthropic.ROUTES, *cohere.ROUTES)
"""Known by their whole path."""

PATTERNS = (
    azure.find_deployment,
    anthropic.find_refused,
    genai.ROUTES.find,
    bedrock.ROUTES.find,
    composite.find,
)
"""Those whose path says something besides."""

DESCRIBED = (
    *ROUTES,
    *azure.TEMPLATES,
    *genai.ROUTES.templates,
    *bedrock.ROUTES.templates,
    *composite.DESCRIBED,
)
"""All of them for the OpenAPI description, patterns by their templates."""

FINDER = Finder.of(ROUTES, *PATTERNS)
