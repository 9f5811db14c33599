"""The Anthropic integration: what an Anthropic SDK, or Claude Code, asks for with ``base_url=…/anthropic``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bifrost.dialects.anthropic_incoming import NAMES, read_messages
from bifrost.errors import BadRequest, UnsupportedOperation
from bifrost.integrations.base import (
    NO_PARAMS,
    InferenceRoute,
    Integration,
    caller_of,
    members_of,
    query_of,
)
from bifrost.integrations.forwarding import is_plain_text
from bifrost.integrations.json_body import object_ids
from bifrost.integrations.requirements import small, streams, token_limit
from bifrost.integrations.targets import check_model, fallbacks_of, target_of
from bifrost.schema.call import Call, Dialect, Native, Operation, Surface

if TYPE_CHECKING:
    from bifrost.catalog import Catalog
    from bifrost.integrations.base import Params, Request
    from bifrost.integrations.headers import HeaderRules

__all__ = ["ANTHROPIC", "PREFIX", "ROUTES", "find_refused", "routes"]

ANTHROPIC = Integration(
    name="anthropic",
    surface=Surface.ANTHROPIC,
    default_provider="anthropic",
    bad_json="Invalid JSON: {reason}",
    takes_empty=False,
)

PREFIX = "/anthropic"

PATHS = {
    "/v1/messages": Operation.CHAT,
    "/v1/messages/count_tokens": Operation.COUNT_TOKENS,
}

OWN_HEADERS = frozenset(
    {b"anthropic-beta", b"anthropic-version", b"anthropic-dangerous-direct-browser-access"}
)
"""What goes to an upstream of the same dialect without being asked for."""


def routes(integration: Integration, prefix: str) -> tuple[InferenceRoute, ...]:
    """All of them below ``prefix``, which comes without a version: ``/anthropic``."""
    return tuple(
        InferenceRoute(
            path=prefix + path, operation=operation, integration=integration, parse=parse_messages
        )
        for path, operation in PATHS.items()
    )


def parse_messages(request: Request, catalog: Catalog, rules: HeaderRules) -> Call:
    """The call that ``request`` asks for: in the words of chat, and as it came. Raises BadRequest."""
    caller = caller_of(request, rules)
    route = request.route
    members = members_of(request)
    target = target_of(check_model(small(members, "model")), request, catalog, caller)
    fallbacks = fallbacks_of(small(members, "fallbacks"), target, request, catalog)
    members.pop("fallbacks", None)
    incoming = read_messages(members)
    is_stream = route.operation is Operation.CHAT and streams(members)
    return Call(
        id=request.id,
        operation=route.operation,
        stream=is_stream,
        target=target,
        fallbacks=fallbacks,
        members=incoming.members,
        native=Native(
            dialect=Dialect.ANTHROPIC,
            members=members,
            query=query_of(request),
            headers=_own_headers(request, rules),
        ),
        lost=incoming.lost,
        names=NAMES,
        body_bytes=len(request.body),
        caller=caller,
        surface=route.integration.surface,
        route=route.path,
        received_s=request.received_s,
        max_output_tokens=token_limit(small(members, "max_tokens")),
        asks_usage=True,
        ids=object_ids(request.body),
    )


def refuse_complete(request: Request, catalog: Catalog, rules: HeaderRules) -> Call:  # noqa: ARG001  a route's parse
    """Text completions of the old kind, which Anthropic itself has given up. Raises UnsupportedOperation."""
    raise UnsupportedOperation("text completions are not supported here; use /v1/messages")


def _own_headers(request: Request, rules: HeaderRules) -> tuple[tuple[str, str], ...]:
    """Headers of this dialect; one that goes upstream as one of everybody's already is not among them."""
    denied = rules.forwarding.denied
    found: list[tuple[str, str]] = []
    for raw_name, raw_value in request.headers:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if raw_name not in OWN_HEADERS or name in denied or rules.forwarding.takes_plain_of(name):
            continue
        if not is_plain_text(value):
            raise BadRequest(f"header {name} has control characters in its value")
        found.append((name, value))
    return tuple(found)


ROUTES = routes(ANTHROPIC, PREFIX)

COMPLETE = InferenceRoute(
    path=f"{PREFIX}/v1/complete",
    operation=Operation.TEXT,
    integration=ANTHROPIC,
    parse=refuse_complete,
)


def find_refused(path: str) -> tuple[InferenceRoute, Params] | None:
    """The route of what Anthropic's SDKs ask for and nobody serves; it tells so."""
    return (COMPLETE, NO_PARAMS) if path == COMPLETE.path else None
