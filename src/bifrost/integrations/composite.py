"""Prefixes below which several dialects are spoken at once: for LangChain, LiteLLM and Pydantic AI.

They have no dialect of their own: each of their classes for a vendor asks as that vendor's SDK does. So ``/litellm/v1/messages``
is Anthropic's and ``/litellm/chat/completions`` OpenAI's. With the vendor's name between (``/litellm/anthropic/v1/messages``)
it is the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs

from bifrost.integrations import anthropic, bedrock, cohere, genai, openai
from bifrost.integrations.base import InferenceRoute
from bifrost.integrations.finder import Finder, Pattern

if TYPE_CHECKING:
    from bifrost.integrations.finder import Found

__all__ = [
    "ANTHROPIC_PREFIXES",
    "DESCRIBED",
    "GENAI_PREFIXES",
    "MODEL_PREFIXES",
    "PREFIXES",
    "find",
]

PREFIXES = ("/langchain", "/litellm", "/pydanticai")


@attrs.frozen
class Made:
    """Routes that are ``exact``, known by their whole path; ``patterns`` for the others; those to be ``described``."""

    exact: tuple[InferenceRoute, ...]
    described: tuple[InferenceRoute, ...]
    patterns: tuple[Pattern, ...] = ()


@attrs.frozen
class Part:
    """A dialect that is spoken there. ``name`` may stand behind the prefix; ``make`` mounts it below one."""

    name: str
    make: Callable[[str], Made]


def _openai(prefix: str) -> Made:
    versioned = openai.routes(openai.OPENAI, f"{prefix}/v1")
    return Made((*versioned, *openai.routes(openai.OPENAI, prefix)), versioned)


def _anthropic(prefix: str) -> Made:
    routes = anthropic.routes(anthropic.ANTHROPIC, prefix)
    return Made(routes, routes)


def _bedrock(prefix: str) -> Made:
    routes = bedrock.routes(prefix)
    # Without the vendor's name between, rerank is OpenAI's.
    return Made((), (*routes.by_action.values(),), (routes.find,))


def _genai(prefix: str) -> Made:
    routes = genai.routes(genai.GENAI, prefix)
    return Made((), routes.templates, (routes.find,))


def _cohere(prefix: str) -> Made:
    routes = cohere.routes(cohere.COHERE, prefix)
    return Made(routes, routes)


PARTS = (
    Part("openai", _openai),
    Part("anthropic", _anthropic),
    Part("genai", _genai),
    Part("bedrock", _bedrock),
    Part("cohere", _cohere),
)
"""A line each."""


def _finder(prefix: str) -> Finder:
    """Of all parts below ``prefix``, with and without the vendor's name."""
    mounts = [part.make(at) for part in PARTS for at in (prefix, f"{prefix}/{part.name}")]
    patterns = (pattern for made in mounts for pattern in made.patterns)
    return Finder.of((route for made in mounts for route in made.exact), *patterns)


GOOGLES_OWN = tuple(version for version in genai.VERSIONS if version != "v1")

FINDERS = {prefix: _finder(prefix) for prefix in PREFIXES}

DESCRIBED = tuple(
    route for prefix in PREFIXES for part in PARTS for route in part.make(prefix).described
)
"""What the description tells of: each route once, without the vendor's name in its path."""

MODEL_PREFIXES = tuple(
    f"{prefix}{part}{version}"
    for prefix in PREFIXES
    for part in ("", "/openai")
    for version in ("", "/v1")
)
"""Below which models are listed as OpenAI does."""

ANTHROPIC_PREFIXES = tuple(f"{prefix}/anthropic" for prefix in PREFIXES)
"""Below which they are listed as Anthropic does; its version is OpenAI's too, so that it takes the name to tell them apart."""

GENAI_PREFIXES = tuple(
    f"{prefix}{part}/{version}"
    for prefix in PREFIXES
    for part, versions in (("/genai", genai.VERSIONS), ("", GOOGLES_OWN))
    for version in versions
)
"""Below which they are listed as Google does, by its own versions without the name as well."""


def find(path: str) -> Found | None:
    """The route of a path below one of the prefixes."""
    finder = FINDERS.get(f"/{path.removeprefix('/').partition('/')[0]}")
    return None if finder is None else finder.find(path)
