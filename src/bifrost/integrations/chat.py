"""A chat request's body to a ``Call``: only what the gateway needs is read, the messages stay as they came."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from bifrost.catalog import MAX_MODEL
from bifrost.codecs.json import InvalidJSON, loads, split_object
from bifrost.errors import BadRequest
from bifrost.schema.call import Call, Surface, Target

if TYPE_CHECKING:
    from bifrost.catalog import Catalog
    from bifrost.integrations.base import Request
    from bifrost.integrations.headers import HeaderRules
    from bifrost.schema.call import Caller

__all__ = ["parse_chat"]

Members = dict[str, bytes]

ABSENT = frozenset({None, b"null"})
"""A member that is null says no more than one that is not there."""

_EMPTY_LIST = re.compile(rb"\[\s*\]")


def parse_chat(request: Request, catalog: Catalog, rules: HeaderRules) -> Call:
    """The call that ``request`` asks for. Raises BadRequest."""
    caller = rules.read(request.headers, request.remote_addr)
    integration = request.route.integration
    members = _members(request)
    target = _target(_model(members), request, catalog, caller)
    _check_messages(members)
    fallbacks = _fallbacks(members, target, request, catalog)
    if integration.surface is Surface.NATIVE:
        members = _with_native_limit(members)
    return Call(
        id=request.id,
        operation=request.route.operation,
        stream=_stream(members),
        target=target,
        fallbacks=fallbacks,
        members=members,
        body_bytes=len(request.body),
        caller=caller,
        surface=integration.surface,
        route=request.route.path,
        received_s=request.received_s,
        max_output_tokens=_limit(members),
        asks_usage=_asks_usage(members),
    )


def _members(request: Request) -> Members:
    integration = request.route.integration
    if not request.body and integration.takes_empty:
        return {}
    try:
        return split_object(request.body)
    except InvalidJSON as error:
        text = integration.bad_json.format(reason=error)
        raise BadRequest(text, cause=str(error)) from error


def _model(members: Members) -> str:
    model = _small(members, "model")
    if not isinstance(model, str) or not model.strip():
        raise BadRequest("model is required", param="model")
    if len(model) > MAX_MODEL:
        raise BadRequest(f"model must have at most {MAX_MODEL} characters", param="model")
    return model


def _target(model: str, request: Request, catalog: Catalog, caller: Caller) -> Target:
    integration = request.route.integration
    default = integration.default_provider
    if caller.direct_key is None and default not in catalog.available:
        default = ""
    target = catalog.parse(model, default)
    if not target.provider:
        if integration.surface is Surface.NATIVE:
            raise BadRequest("model should be in provider/model format", param="model")
        raise BadRequest("provider is required", param="model")
    if not target.model:
        raise BadRequest("model is required", param="model")
    return target


def _check_messages(members: Members) -> None:
    raw = members.get("messages", b"")
    if not raw.startswith(b"[") or _EMPTY_LIST.fullmatch(raw):
        raise BadRequest("messages is required for chat completion", param="messages")


def _stream(members: Members) -> bool:
    match members.get("stream", b"null"):
        case b"true":
            return True
        case b"false" | b"null":
            return False
        case _:
            raise BadRequest("stream must be true or false", param="stream")


def _fallbacks(
    members: Members, primary: Target, request: Request, catalog: Catalog
) -> tuple[Target, ...]:
    """What ``fallbacks`` names. The member is the gateway's own, and is taken out."""
    entries = _small(members, "fallbacks")
    members.pop("fallbacks", None)
    if entries is None:
        return ()
    if not isinstance(entries, list):
        raise BadRequest("fallbacks must be a list", param="fallbacks")
    is_native = request.route.integration.surface is Surface.NATIVE
    return catalog.parse_fallbacks(entries, "" if is_native else primary.provider)


def _with_native_limit(members: Members) -> Members:
    """The native surface's legacy ``max_tokens`` under its present name, at the place where it stood."""
    is_given = members.get("max_tokens") not in ABSENT
    if not is_given or members.get("max_completion_tokens") not in ABSENT:
        return members
    members.pop("max_completion_tokens", None)
    renamed = {"max_tokens": "max_completion_tokens"}
    return {renamed.get(name, name): value for name, value in members.items()}


def _limit(members: Members) -> int | None:
    """The caller's own bound of the output; what is no number of tokens is left for the upstream to refuse."""
    for name in ("max_completion_tokens", "max_tokens"):
        value = _small(members, name)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return None


def _asks_usage(members: Members) -> bool:
    options = _small(members, "stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True


def _small(members: Members, name: str) -> Any:  # noqa: ANN401  a JSON value
    """The decoded value of a member that is small by nature; ``None`` if it is not there."""
    raw = members.get(name)
    if raw is None:
        return None
    try:
        return loads(raw)
    except InvalidJSON as error:
        raise BadRequest(f"invalid value for {name}", param=name, cause=str(error)) from error
