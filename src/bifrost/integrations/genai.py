"""The GenAI integration: what Google's ``google-genai`` SDK, or Gemini CLI, asks for with a base URL that ends in ``/genai``.

A path names model and method: ``/genai/v1beta/models/openai/gpt-5:generateContent``. Source: Google, Gemini API reference,
2026-11.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote_plus

import attrs

from bifrost.codecs.json import InvalidJSON, split_object
from bifrost.dialects.gemini_incoming import (
    NAMES,
    Incoming,
    read_count,
    read_embed,
    read_embed_batch,
    read_generate,
)
from bifrost.dialects.gemini_predict import fit_model, read_predict
from bifrost.dialects.gemini_spoken import read_spoken, wants_sound
from bifrost.dialects.gemini_thoughts import without_ours
from bifrost.errors import BadRequest, UnsupportedOperation
from bifrost.integrations.base import InferenceRoute, Integration, caller_of, query_of
from bifrost.integrations.object_ids import google_files
from bifrost.integrations.requirements import small
from bifrost.integrations.targets import check_model, fallbacks_of, target_of
from bifrost.schema.call import Call, Dialect, Native, Operation, RawMembers, Surface

if TYPE_CHECKING:
    from bifrost.catalog import Catalog
    from bifrost.integrations.base import Request
    from bifrost.integrations.finder import Found
    from bifrost.integrations.headers import HeaderLines, HeaderRules

__all__ = ["GENAI", "PREFIX", "ROUTES", "VERSIONS", "Routes", "model_name", "routes", "with_key"]

GENAI = Integration(
    name="genai",
    surface=Surface.GENAI,
    default_provider="gemini",
    bad_json="Invalid JSON payload received: {reason}",
    takes_empty=False,
)

PREFIX = "/genai"

VERSIONS = ("v1beta", "v1", "v1alpha")
"""All of them mean the same here."""

COLLECTION = "models/"
"""Where models are, in Google's names of resources; SDKs put it before whatever has it not yet."""

GOOGLE_KEY = b"x-goog-api-key"

ASYNC = (b"x-bf-async", b"true")

GOOGLES = frozenset({"gemini", "vertex"})
"""Providers that are asked as the caller asks."""

OURS_TO_SAY = frozenset({"key", "alt", "$alt", "access_token", "oauth_token"})
"""Of the query: what is secret, and in which form the answer comes. The rest goes to an upstream of this dialect."""


@attrs.frozen
class Method:
    """What a path asks for behind its colon, and how its body is read."""

    operation: Operation
    read: Callable[[RawMembers], Incoming]
    streams: bool = False
    fit: Callable[[RawMembers, str], RawMembers] = lambda members, model: members  # noqa: ARG005  others go by it
    """What was read, for the model that is meant."""


METHODS: Mapping[str, Method] = {
    "generateContent": Method(Operation.CHAT, read_generate),
    "streamGenerateContent": Method(Operation.CHAT, read_generate, streams=True),
    "countTokens": Method(Operation.COUNT_TOKENS, read_count),
    "embedContent": Method(Operation.EMBEDDING, read_embed),
    "batchEmbedContents": Method(Operation.EMBEDDING, read_embed_batch),
    "predict": Method(Operation.IMAGE, read_predict, fit=fit_model),
}

UNSUPPORTED = (
    "predictLongRunning",
    "batchGenerateContent",
    "asyncBatchEmbedContent",
    "computeTokens",
    "generateAnswer",
    "bidiGenerateContent",
)
"""Methods of Google's that are not served: videos, batches, and what is no more."""


@attrs.frozen
class Routes:
    """The routes below one prefix."""

    prefix: str
    by_method: Mapping[tuple[str, str], InferenceRoute]
    """By version and method."""

    @property
    def templates(self) -> tuple[InferenceRoute, ...]:
        """All that ``find`` finds and that is served."""
        return tuple(route for (_, method), route in self.by_method.items() if method in METHODS)

    def find(self, path: str) -> Found | None:
        """The route of a path that names a model and a method, and the model that is meant by it."""
        if not path.startswith(self.prefix):
            return None
        rest = path[len(self.prefix) :]
        # LiteLLM puts no version between its base and the model.
        rest = f"{VERSIONS[0]}/{rest}" if rest.startswith(COLLECTION) else rest
        version, _, resource = rest.partition("/")
        name, _, method = resource.rpartition(":")
        route = self.by_method.get((version, method))
        if route is None or not name.startswith(COLLECTION):
            return None
        return route, {"model": model_name(name)}


def model_name(resource: str) -> str:
    """The model that the name of a resource means: ``models/openai/gpt-5`` is ``openai/gpt-5``."""
    while resource.startswith(COLLECTION):
        resource = resource.removeprefix(COLLECTION)
    return resource


def routes(integration: Integration, prefix: str) -> Routes:
    """All of them below ``prefix``, which comes without a version: ``/genai``."""
    parsers: dict[str, tuple[Operation, Callable[[Request, Catalog, HeaderRules], Call]]] = {
        name: (method.operation, partial(_parse, method=method)) for name, method in METHODS.items()
    }
    parsers |= {name: (Operation.CHAT, partial(_refuse, name=name)) for name in UNSUPPORTED}
    found = {
        (version, name): InferenceRoute(
            path=f"{prefix}/{version}/models/{{model}}:{name}",
            operation=operation,
            integration=integration,
            parse=parse,
        )
        for version in VERSIONS
        for name, (operation, parse) in parsers.items()
    }
    return Routes(f"{prefix}/", found)


def _parse(request: Request, catalog: Catalog, rules: HeaderRules, *, method: Method) -> Call:
    """The call that ``request`` asks for: in the gateway's words, and as it came. Raises BadRequest."""
    if ASYNC in request.headers:
        raise BadRequest("x-bf-async is not supported here")
    keyed = attrs.evolve(request, headers=with_key(request.headers, query_of(request)))
    caller = caller_of(keyed, rules)
    members = _members(request)
    model = check_model(request.params.get("model"))
    target = target_of(model, request, catalog, caller)
    fallbacks = fallbacks_of(small(members, "fallbacks"), target, request, catalog)
    members.pop("fallbacks", None)
    operation, incoming = _read(method, members, catalog.base(target.provider))
    route = request.route
    return Call(
        id=request.id,
        operation=operation,
        stream=method.streams,
        target=target,
        fallbacks=fallbacks,
        members=method.fit(incoming.members, target.model),
        native=_native(request, members, method),
        ids=google_files(request.body) if method.operation is Operation.CHAT else (),
        lost=incoming.lost,
        names=NAMES,
        body_bytes=len(request.body),
        caller=caller,
        surface=route.integration.surface,
        route=route.path,
        received_s=request.received_s,
        max_output_tokens=incoming.max_output_tokens,
        asks_usage=True,
    )


def _read(method: Method, members: RawMembers, whose: str) -> tuple[Operation, Incoming]:
    """What is asked, in the gateway's words. Raises BadRequest, or UnsupportedOperation for a stream of sound.

    Google's own models speak by chat; others that speak do nothing else.
    """
    if method.operation is not Operation.CHAT or whose in GOOGLES or not wants_sound(members):
        return method.operation, method.read(members)
    if method.streams:
        raise UnsupportedOperation("speech of other providers than Google is not streamed here")
    return Operation.SPEECH, read_spoken(members)


def _refuse(request: Request, catalog: Catalog, rules: HeaderRules, *, name: str) -> Call:  # noqa: ARG001  a route's parse
    raise UnsupportedOperation(f"the method {name} is not supported here")


def with_key(headers: HeaderLines, query: str) -> HeaderLines:
    """``headers`` with the key that ``query`` has, where the SDK would have put it; a header's own counts more."""
    if "key=" not in query or any(name == GOOGLE_KEY for name, _ in headers):
        return headers
    key = dict(parse_qsl(query)).get("key", "")
    return (*headers, (GOOGLE_KEY, key.encode())) if key else headers


def _native(request: Request, members: RawMembers, method: Method) -> Native | None:
    """The request as it came, for an upstream that knows the method. Embeddings have one form upstream and two here."""
    if method.operation is Operation.EMBEDDING:
        return None
    pairs = parse_qsl(query_of(request), keep_blank_values=True)
    kept = [pair for pair in pairs if pair[0] not in OURS_TO_SAY]
    return Native(
        dialect=Dialect.GEMINI,
        members={name: without_ours(raw) for name, raw in members.items()},
        query="&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in kept),
    )


def _members(request: Request) -> dict[str, bytes]:
    try:
        return split_object(request.body)
    except InvalidJSON as error:
        text = request.route.integration.bad_json.format(reason=error)
        raise BadRequest(text, cause=str(error)) from error


ROUTES = routes(GENAI, PREFIX)
