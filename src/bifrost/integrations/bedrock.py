"""The Bedrock integration: what boto3 and AWS's other SDKs ask for with an endpoint URL that ends in ``/bedrock``.

A path names model and action: ``/bedrock/model/openai%2Fgpt-5/converse``. AWS's signatures are not looked at.
Source: AWS, Amazon Bedrock API reference, 2026-11.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import attrs

from bifrost.dialects.bedrock_incoming import Incoming, read_converse_request, read_count_request
from bifrost.dialects.invoke_incoming import (
    Invoked,
    read_invoked,
    read_rerank_request,
    rerank_model,
)
from bifrost.errors import BadRequest
from bifrost.integrations.base import (
    NO_PARAMS,
    InferenceRoute,
    Integration,
    caller_of,
    members_of,
)
from bifrost.integrations.requirements import REQUIREMENTS, small
from bifrost.integrations.targets import check_model, fallbacks_of, target_of
from bifrost.schema.call import Call, Dialect, Native, Operation, RawMembers, Surface

if TYPE_CHECKING:
    from bifrost.catalog import Catalog
    from bifrost.integrations.base import Request
    from bifrost.integrations.finder import Found
    from bifrost.integrations.headers import HeaderRules

__all__ = ["BEDROCK", "INVOKE", "PREFIX", "ROUTES", "Routes", "routes"]

BEDROCK = Integration(
    name="bedrock",
    surface=Surface.BEDROCK,
    default_provider="bedrock",
    bad_json="Invalid JSON: {reason}",
    takes_empty=False,
)

INVOKE = attrs.evolve(BEDROCK, name="bedrock-invoke", surface=Surface.INVOKE)
"""Where a body is in its model's own words."""

PREFIX = "/bedrock"

ASYNC = (b"x-bf-async", b"true")

MODEL = "/model/"


RERANK = "/rerank"


@attrs.frozen
class Action:
    """What is behind the model in a path. ``read`` takes the body's members and the model's name."""

    operation: Operation
    read: Callable[[RawMembers, str], Invoked]
    dialect: Dialect = Dialect.BEDROCK
    """The body's: what an upstream has to speak to get it as it came."""
    streams: bool = False


def _chat(members: RawMembers, model: str) -> Invoked:
    return _of_chat(Operation.CHAT, read_converse_request(members, model))


def _count(members: RawMembers, model: str) -> Invoked:
    return _of_chat(Operation.COUNT_TOKENS, read_count_request(members, model))


def _of_chat(operation: Operation, incoming: Incoming) -> Invoked:
    if incoming.members.get("messages", b"[]") == b"[]":
        raise BadRequest("messages is required", param="messages")
    return Invoked(operation, incoming)


def _rerank(members: RawMembers, model: str) -> Invoked:
    return Invoked(Operation.RERANK, read_rerank_request(members, model))


ACTIONS: Mapping[str, Action] = {
    "converse": Action(Operation.CHAT, _chat),
    "converse-stream": Action(Operation.CHAT, _chat, streams=True),
    "count-tokens": Action(Operation.COUNT_TOKENS, _count),
    "invoke": Action(Operation.CHAT, read_invoked, dialect=Dialect.INVOKE),
    "invoke-with-response-stream": Action(
        Operation.CHAT, read_invoked, dialect=Dialect.INVOKE, streams=True
    ),
}

RERANKING = Action(Operation.RERANK, _rerank)
"""The one whose model is in its body."""


@attrs.frozen
class Routes:
    """The routes below one prefix."""

    prefix: str
    by_action: Mapping[str, InferenceRoute]
    rerank: InferenceRoute

    @property
    def templates(self) -> tuple[InferenceRoute, ...]:
        """All that ``find`` finds."""
        return (*self.by_action.values(), self.rerank)

    def find(self, path: str) -> Found | None:
        """The route of a path that names a model and an action, and the model that is meant by it.

        Model ids may be ARNs, which have slashes.
        """
        if path == self.rerank.path:
            return self.rerank, NO_PARAMS
        if not path.startswith(self.prefix):
            return None
        model, slash, action = path[len(self.prefix) :].rpartition("/")
        route = self.by_action.get(action)
        if route is None or not slash or not model:
            return None
        return route, {"model": model}


def routes(prefix: str) -> Routes:
    """All of them below ``prefix``: ``/bedrock``."""
    rerank = InferenceRoute(
        path=prefix + RERANK,
        operation=Operation.RERANK,
        integration=BEDROCK,
        parse=_parser(RERANKING),
    )
    found = {
        name: InferenceRoute(
            path=f"{prefix}{MODEL}{{model}}/{name}",
            operation=action.operation,
            integration=BEDROCK if action.dialect is Dialect.BEDROCK else INVOKE,
            parse=_parser(action),
        )
        for name, action in ACTIONS.items()
    }
    return Routes(prefix + MODEL, found, rerank)


def _parser(action: Action) -> Callable[[Request, Catalog, HeaderRules], Call]:
    def parse(request: Request, catalog: Catalog, rules: HeaderRules) -> Call:
        return _parse(request, catalog, rules, action)

    return parse


def _parse(request: Request, catalog: Catalog, rules: HeaderRules, action: Action) -> Call:
    """The call that ``request`` asks for: in the words of chat, and as it came. Raises BadRequest."""
    if ASYNC in request.headers:
        raise BadRequest("x-bf-async is not supported here")
    caller = caller_of(request, rules)
    members = members_of(request)
    model = check_model(request.params.get("model") or rerank_model(members))
    target = target_of(model, request, catalog, caller)
    fallbacks = fallbacks_of(small(members, "fallbacks"), target, request, catalog)
    members.pop("fallbacks", None)
    invoked = action.read(members, model)
    incoming = invoked.incoming
    if incoming.members and invoked.operation is not Operation.COUNT_TOKENS:
        REQUIREMENTS[invoked.operation].check_as(dict(incoming.members), incoming.names)
    return Call(
        id=request.id,
        operation=invoked.operation,
        stream=action.streams,
        target=target,
        fallbacks=fallbacks,
        members=incoming.members,
        native=Native(dialect=action.dialect, members=members),
        lost=incoming.lost,
        names=incoming.names,
        body_bytes=len(request.body),
        caller=caller,
        surface=request.route.integration.surface,
        route=request.route.path,
        received_s=request.received_s,
        max_output_tokens=incoming.max_tokens,
        asks_usage=True,
    )


ROUTES = routes(PREFIX)
