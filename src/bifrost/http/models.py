"""The model list, on both surfaces, and one model of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast

import trio
from quart import Blueprint, Response, request

from bifrost.codecs.json import dumps
from bifrost.errors import BadRequest, ErrorClass, GatewayError, NoUsableKey
from bifrost.governance.access import allows_model, allows_provider
from bifrost.governance.admission import NoAccess, holder
from bifrost.governance.model import VirtualKey
from bifrost.http.openapi import described
from bifrost.http.reply import REQUEST_ID
from bifrost.integrations import genai
from bifrost.integrations import models as lists
from bifrost.integrations.anthropic import PREFIX as ANTHROPIC_PREFIX
from bifrost.integrations.anthropic_models import anthropic_find, anthropic_page
from bifrost.integrations.azure import PREFIXES
from bifrost.integrations.composite import ANTHROPIC_PREFIXES, GENAI_PREFIXES, MODEL_PREFIXES
from bifrost.integrations.envelope import key_status
from bifrost.integrations.genai_models import Has, genai_find, genai_page
from bifrost.integrations.openapi import (
    ANTHROPIC,
    ERROR_STATUSES,
    GENAI,
    OF_CALLS,
    About,
    Access,
    Parameter,
)
from bifrost.integrations.openapi_shapes import JSON
from bifrost.policy.eligibility import KEYLESS
from bifrost.schema.call import Call, Operation, Surface, Target

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from bifrost.actors.discovery import Discovery, KeyModels
    from bifrost.http.doors import Doors, Views

__all__ = ["model_routes"]

OPENAI_PREFIXES = (
    *("/openai/v1", "/openai", "/openai/openai", "/openai/openai/v1"),
    *MODEL_PREFIXES,
)
CHOICE_HEADERS = ("x-bf-model-provider", "x-bf-list-models-provider")
TIMEOUT_S = 60.0

REQUIRED = "virtual_key_required"
NOBODYS = VirtualKey(id="", name="", hash="")
"""May ask nobody for anything."""

PROVIDER = Parameter("provider", "Whose models; all providers' by default.")
PAGE = (
    Parameter("page_size", "How many; 0 for all.", {"type": "integer", "minimum": 0}),
    Parameter("page_token", "Go on where the page before ended."),
)
ANTHROPIC_PAGE = (
    Parameter("limit", "How many.", {"type": "integer", "minimum": 1, "maximum": 1000}),
    Parameter("after_id", "Go on behind this model."),
    Parameter("before_id", "Those before this model."),
)

GENAI_PAGE = (
    Parameter("pageSize", "How many; all by default.", {"type": "integer", "minimum": 0}),
    Parameter("pageToken", "Go on where the page before ended."),
)


class Gather(Protocol):
    """Gives the models that a caller may have: those of one provider, or of all."""

    def __call__(self, surface: Surface, of: str = "all") -> Awaitable[list[lists.Model]]: ...


PROBE = About(
    summary="Whether anybody is there; Claude Code asks before it begins",
    tag="anthropic",
    answers={"text/plain": "text"},
    is_open=True,
    access=Access.PUBLIC,
)


def _about(summary: str, tag: str, schema: str, *query: Parameter, errors: str = "") -> About:
    return About(
        summary=summary,
        tag=tag,
        answers={JSON: schema},
        headers=(*OF_CALLS, *CHOICE_HEADERS),
        query=(PROVIDER, *query),
        statuses=tuple(sorted({*ERROR_STATUSES, "404"})),
        errors=errors,
        access=Access.INFERENCE,
    )


def model_routes(doors: Doors, discovery: Discovery) -> Blueprint:
    """The blueprint."""
    routes = Blueprint("models", __name__)

    async def gather(surface: Surface, of: str = "all") -> list[lists.Model]:
        call, chosen = _call(doors, surface), _chosen(doors, of)
        key = _holder(doors.views, call)
        if key is not None:
            chosen = tuple(name for name in chosen if allows_provider(key, name))
        return _merged(await discovery.list_all(chosen, call), key)

    _add_openai(routes, gather)
    _add_azure(routes, gather)
    _add_native(routes, gather)
    _add_anthropic(routes, gather)
    _add_genai(routes, gather, discovery.has)
    return routes


def _add_openai(routes: Blueprint, gather: Gather) -> None:
    @described(_about("Models of all providers", "openai", "models"))
    async def openai_list() -> Response:
        return _json(lists.openai_list(await gather(Surface.OPENAI)))

    @described(_about("One model", "openai", "model"))
    async def openai_one(model: str) -> Response:
        found = lists.find(await gather(Surface.OPENAI), model)
        if found is None:
            text = f"The model '{model[:256]}' does not exist"
            raise BadRequest(text, status=404, code="model_not_found", type="invalid_request_error")
        return _json(lists.openai_model(found))

    _add(routes, "openai", OPENAI_PREFIXES, openai_list, openai_one)


def _add_azure(routes: Blueprint, gather: Gather) -> None:
    @described(_about("Models of Azure", "azure", "models"))
    async def azure_list(deployment: str) -> Response:  # noqa: ARG001  Azure's lists are the same for each
        return _json(lists.openai_list(await gather(Surface.OPENAI, "azure")))

    for n, prefix in enumerate(PREFIXES):
        path = f"{prefix}<path:deployment>/models"
        routes.add_url_rule(path, f"azure-{n}", azure_list, methods=["GET"])


def _add_native(routes: Blueprint, gather: Gather) -> None:
    @described(_about("Models of all providers", "native", "models", *PAGE))
    async def native_list() -> Response:
        models = await gather(Surface.NATIVE)
        page = lists.native_page(
            models, request.args.get("page_size"), request.args.get("page_token")
        )
        extra = {"request_type": Operation.LIST_MODELS.value, "latency": 0, "chunk_index": 0}
        return _json({**page, "extra_fields": extra})

    @described(_about("One model", "native", "model"))
    async def native_one(model: str) -> Response:
        found = next((m for m in await gather(Surface.NATIVE) if m["id"] == model), None)
        if found is None:
            raise BadRequest(f"The model '{model[:256]}' does not exist", status=404)
        return _json(found)

    routes.add_url_rule("/v1/models", "native-list", native_list, methods=["GET"])
    routes.add_url_rule("/v1/models/<path:model>", "native-one", native_one, methods=["GET"])


def _add_anthropic(routes: Blueprint, gather: Gather) -> None:
    whole = ("anthropic", "anthropic_models")

    @described(_about("Models of all providers", *whole, *ANTHROPIC_PAGE, errors=ANTHROPIC))
    async def anthropic_list() -> Response:
        return _json(anthropic_page(await gather(Surface.ANTHROPIC), request.args))

    @described(_about("One model", "anthropic", "anthropic_model", errors=ANTHROPIC))
    async def anthropic_one(model: str) -> Response:
        return _json(anthropic_find(await gather(Surface.ANTHROPIC), model))

    @described(PROBE)
    async def anthropic_probe() -> Response:
        return Response(b"", content_type="text/plain")

    routes.add_url_rule(ANTHROPIC_PREFIX, "anthropic-probe", anthropic_probe, methods=["GET"])
    versioned = (f"{prefix}/v1" for prefix in (ANTHROPIC_PREFIX, *ANTHROPIC_PREFIXES))
    _add(routes, "anthropic", versioned, anthropic_list, anthropic_one)


def _add_genai(routes: Blueprint, gather: Gather, has: Has) -> None:
    @described(
        _about("Models of all providers", "genai", "genai_models", *GENAI_PAGE, errors=GENAI)
    )
    async def genai_list() -> Response:
        return _json(genai_page(await gather(Surface.GENAI), request.args, has))

    @described(_about("One model", "genai", "genai_model", errors=GENAI))
    async def genai_one(model: str) -> Response:
        return _json(genai_find(await gather(Surface.GENAI), model, has))

    own = (f"{genai.PREFIX}/{version}" for version in genai.VERSIONS)
    _add(routes, "genai", (*own, *GENAI_PREFIXES), genai_list, genai_one)


def _add(
    routes: Blueprint,
    name: str,
    prefixes: Iterable[str],
    whole: Callable[[], Awaitable[Response]],
    one: Callable[[str], Awaitable[Response]],
) -> None:
    """The list and one model of it, below each of ``prefixes``."""
    for n, prefix in enumerate(prefixes):
        path = f"{prefix}/models"
        routes.add_url_rule(path, f"{name}-list-{n}", whole, methods=["GET"])
        routes.add_url_rule(f"{path}/<path:model>", f"{name}-one-{n}", one, methods=["GET"])


def _chosen(doors: Doors, of: str) -> tuple[str, ...]:
    """The providers asked for: one by header or query, else ``of``, where "all" are those that are configured."""
    named = next((request.headers[h] for h in CHOICE_HEADERS if h in request.headers), None)
    name = (named or request.args.get("provider") or of).strip().lower()
    catalog = doors.views.catalog
    if name == "all":
        return catalog.configured
    if name not in catalog.known:
        raise BadRequest(f"unknown provider: {name[:64]}", param="provider")
    return (name,)


def _call(doors: Doors, surface: Surface) -> Call:
    headers = tuple(
        (name.lower().encode("latin-1"), value.encode("latin-1", "replace"))
        for name, value in request.headers.items()
    )
    if surface is Surface.GENAI:
        headers = genai.with_key(headers, request.query_string.decode("latin-1"))
    views = doors.views
    return Call(
        id=str(cast("dict[str, Any]", request.scope)[REQUEST_ID]),
        operation=Operation.LIST_MODELS,
        stream=False,
        target=Target("", ""),
        caller=views.headers.read(headers, request.remote_addr or ""),
        surface=surface,
        received_s=trio.current_time(),
        deadline_s=trio.current_time() + TIMEOUT_S,
    )


def _holder(views: Views, call: Call) -> VirtualKey | None:
    """Whose list it is to be; ``None`` for everybody's. A key that is unknown or switched off has none.

    Raises Denial where there has to be one.
    """
    found = holder(views.governance, call, enforce=views.client.enforce_auth_on_inference)
    if not isinstance(found, NoAccess):
        return found
    if found.error.kind == REQUIRED:
        raise found.error
    return NOBODYS


def _merged(rows: tuple[KeyModels, ...], holding: VirtualKey | None) -> list[lists.Model]:
    """All lists as one. A provider that fails is left out, unless nothing at all was found."""
    told = [row for row in rows if row.error is None]
    merged = lists.merge(_visible(row, holding) for row in told)
    errors = [row.error for row in rows if row.error is not None]
    if errors and not told:
        error = _worst(errors)
        error.key_statuses = tuple(key_status(r.key.id, r.provider, r.error) for r in rows)
        raise error
    return merged


def _visible(row: KeyModels, holding: VirtualKey | None) -> list[lists.Model]:
    """The models of one key, as far as whoever holds a virtual key may ask for them."""
    models = lists.of_key(row.provider, row.key, row.models)
    if holding is None:
        return models
    config = holding.provider_configs[row.provider]
    keys = config.include_only
    if keys is not None and row.key != KEYLESS and keys.isdisjoint((row.key.id, row.key.name)):
        return []
    prefix = f"{row.provider}/"
    return [m for m in models if allows_model(config, str(m["id"]).removeprefix(prefix))]


def _worst(errors: list[GatewayError]) -> GatewayError:
    """The error to tell: one of an upstream before one of the configuration."""
    told = [error for error in errors if error.error_class is not ErrorClass.CONFIG]
    return (told or errors or [NoUsableKey("no keys found")])[0]


def _json(value: object) -> Response:
    return Response(dumps(value), content_type="application/json")
