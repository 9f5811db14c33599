"""The Cohere integration: what a Cohere SDK asks for with ``base_url=…/cohere``."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from bifrost.dialects.cohere_incoming import (
    NAMES,
    TOKENIZE_NAMES,
    read_chat,
    read_embed,
    read_rerank,
    read_tokenize,
)
from bifrost.integrations.base import InferenceRoute, Integration, caller_of, members_of, query_of
from bifrost.integrations.requirements import REQUIREMENTS, small, token_limit
from bifrost.integrations.targets import check_model, fallbacks_of, target_of
from bifrost.schema.call import Call, Dialect, Native, Operation, Surface

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bifrost.catalog import Catalog
    from bifrost.dialects.cohere_incoming import Incoming
    from bifrost.integrations.base import Request
    from bifrost.integrations.headers import HeaderRules
    from bifrost.schema.call import RawMembers

__all__ = ["COHERE", "PREFIX", "ROUTES", "routes"]

COHERE = Integration(
    name="cohere",
    surface=Surface.COHERE,
    default_provider="cohere",
    bad_json="Invalid JSON: {reason}",
    takes_empty=False,
)

PREFIX = "/cohere"

PATHS: Mapping[str, Operation] = MappingProxyType(
    {
        "/v2/chat": Operation.CHAT,
        "/v2/embed": Operation.EMBEDDING,
        "/v2/rerank": Operation.RERANK,
        "/v1/tokenize": Operation.COUNT_TOKENS,
    }
)

READERS: Mapping[Operation, Callable[[RawMembers], Incoming]] = MappingProxyType(
    {
        Operation.CHAT: read_chat,
        Operation.EMBEDDING: read_embed,
        Operation.RERANK: read_rerank,
        Operation.COUNT_TOKENS: read_tokenize,
    }
)


def routes(integration: Integration, prefix: str) -> tuple[InferenceRoute, ...]:
    """All of them below ``prefix``, which comes without a version: ``/cohere``."""
    return tuple(
        InferenceRoute(
            path=prefix + path, operation=operation, integration=integration, parse=parse_cohere
        )
        for path, operation in PATHS.items()
    )


def parse_cohere(request: Request, catalog: Catalog, rules: HeaderRules) -> Call:
    """The call that ``request`` asks for: in OpenAI's words, and as it came. Raises BadRequest."""
    caller = caller_of(request, rules)
    route = request.route
    members = members_of(request)
    target = target_of(check_model(small(members, "model")), request, catalog, caller)
    fallbacks = fallbacks_of(small(members, "fallbacks"), target, request, catalog)
    members.pop("fallbacks", None)
    incoming = READERS[route.operation](members)
    needs = REQUIREMENTS[route.operation]
    names = TOKENIZE_NAMES if route.operation is Operation.COUNT_TOKENS else NAMES
    needs.check_as(dict(incoming.members), names)
    return Call(
        id=request.id,
        operation=route.operation,
        stream=needs.streams(members),
        target=target,
        fallbacks=fallbacks,
        members=incoming.members,
        native=Native(dialect=Dialect.COHERE, members=members, query=query_of(request)),
        lost=incoming.lost,
        names=names,
        body_bytes=len(request.body),
        caller=caller,
        surface=route.integration.surface,
        route=route.path,
        received_s=request.received_s,
        max_output_tokens=token_limit(small(members, "max_tokens")),
        asks_usage=True,
    )


ROUTES = routes(COHERE, PREFIX)
