"""A JSON body to a ``Call``: only what the gateway needs is read, all else stays as it came."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bifrost.integrations.base import caller_of, members_of
from bifrost.integrations.object_ids import request_ids
from bifrost.integrations.requirements import ABSENT, REQUIREMENTS, Members, small, token_limit
from bifrost.integrations.targets import check_model, fallbacks_of, target_of
from bifrost.schema.call import Call, Operation, Surface

if TYPE_CHECKING:
    from bifrost.catalog import Catalog
    from bifrost.integrations.base import Request
    from bifrost.integrations.headers import HeaderRules
    from bifrost.schema.call import Target

__all__ = ["object_ids", "parse_json"]

DEFAULT_MODELS = {Operation.MODERATION: "omni-moderation-latest"}
"""What OpenAI takes where none is named, for the operations whose SDK method asks for none."""

OBJECT_SIGNS = (
    b'"previous_response_id"',
    b'"conversation"',
    b'"file_id"',
    b'"file_ids"',
    b'"vector_store_ids"',
    b'"container"',
)
"""Members that name a response, a conversation, files or stores."""


def parse_json(request: Request, catalog: Catalog, rules: HeaderRules) -> Call:
    """The call that ``request`` asks for. Raises BadRequest."""
    caller = caller_of(request, rules)
    route = request.route
    needs = REQUIREMENTS[route.operation]
    members = _members(request)
    named = request.params.get("model") or small(members, "model")
    model = check_model(named or DEFAULT_MODELS.get(route.operation))
    target = target_of(model, request, catalog, caller)
    needs.check(members)
    fallbacks = _fallbacks(members, target, request, catalog)
    if route.integration.surface is Surface.NATIVE and route.operation is Operation.CHAT:
        members = _with_native_limit(members)
    return Call(
        id=request.id,
        operation=route.operation,
        stream=needs.streams(members),
        target=target,
        fallbacks=fallbacks,
        members=members,
        body_bytes=len(request.body),
        caller=caller,
        surface=route.integration.surface,
        route=route.path,
        received_s=request.received_s,
        max_output_tokens=_limit(members, needs.limits),
        asks_usage=_asks_usage(members),
        ids=object_ids(request.body),
    )


def object_ids(body: bytes) -> tuple[str, ...]:
    """What ``body`` names that lives with a provider. A search is cheap; in texts the quotes are escaped."""
    is_named = any(sign in body for sign in OBJECT_SIGNS)
    return request_ids((), json=body) if is_named else ()


def _members(request: Request) -> Members:
    is_empty = not request.body and request.route.integration.takes_empty
    return {} if is_empty else members_of(request)


def _fallbacks(
    members: Members, primary: Target, request: Request, catalog: Catalog
) -> tuple[Target, ...]:
    """What ``fallbacks`` names. The member is the gateway's own, and is taken out."""
    entries = small(members, "fallbacks")
    members.pop("fallbacks", None)
    return fallbacks_of(entries, primary, request, catalog)


def _with_native_limit(members: Members) -> Members:
    """The native surface's legacy ``max_tokens`` under its present name, at the place where it stood."""
    is_given = members.get("max_tokens") not in ABSENT
    if not is_given or members.get("max_completion_tokens") not in ABSENT:
        return members
    members.pop("max_completion_tokens", None)
    renamed = {"max_tokens": "max_completion_tokens"}
    return {renamed.get(name, name): value for name, value in members.items()}


def _limit(members: Members, names: tuple[str, ...]) -> int | None:
    for name in names:
        limit = token_limit(small(members, name))
        if limit is not None:
            return limit
    return None


def _asks_usage(members: Members) -> bool:
    options = small(members, "stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True
