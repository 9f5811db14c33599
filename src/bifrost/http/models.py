"""The model list, on both surfaces, and one model of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, cast

import trio
from quart import Blueprint, Response, request

from bifrost.codecs.json import dumps
from bifrost.errors import BadRequest, ErrorClass, GatewayError, NoUsableKey
from bifrost.governance.access import allows_model
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
from bifrost.schema.call import Call, Operation, Surface, Target

if TYPE_CHECKING:
    from bifrost.actors.discovery import Discovery, KeyModels
    from bifrost.config.settings import KeySettings
    from bifrost.governance.model import ProviderConfig, VirtualKey
    from bifrost.http.doors import Doors

__all__ = ["model_routes"]

OPENAI_PREFIXES = (
    *("/openai/v1", "/openai", "/openai/openai", "/openai/openai/v1"),
    *MODEL_PREFIXES,
)
CHOICE_HEADERS = ("x-bf-model-provider", "x-bf-list-models-provider")
TIMEOUT_S = 60.0

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

Gather = Callable[[Surface], Awaitable[list[lists.Model]]]

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
        call = _call(doors, surface)
        providers = _chosen(doors, of)
        if not call.virtual_key_hash:
            return _merged(await discovery.list_all(providers, call))
        key = doors.views.governance.by_hash.get(call.virtual_key_hash)
        if key is None or not key.is_active:
            return []
        held = tuple(name for name in providers if name in key.provider_configs)
        return _allowed(key, await discovery.list_all(held, call)) if held else []

    @described(_about("Models of all providers", "openai", "models"))
    async def openai_list() -> Response:
        return _json(lists.openai_list(await gather(Surface.OPENAI)))

    @described(_about("Models of Azure", "azure", "models"))
    async def azure_list(deployment: str) -> Response:  # noqa: ARG001  Azure's lists are the same for each
        return _json(lists.openai_list(await gather(Surface.OPENAI, "azure")))

    @described(_about("One model", "openai", "model"))
    async def openai_one(model: str) -> Response:
        found = lists.find(await gather(Surface.OPENAI), model)
        if found is None:
            text = f"The model '{model[:256]}' does not exist"
            raise BadRequest(text, status=404, code="model_not_found", type="invalid_request_error")
        return _json(lists.openai_model(found))

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

    @described(
        _about(
            "Models of all providers",
            "anthropic",
            "anthropic_models",
            *ANTHROPIC_PAGE,
            errors=ANTHROPIC,
        )
    )
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
    _add_genai(routes, gather, discovery.has)
    _add(routes, "openai", OPENAI_PREFIXES, openai_list, openai_one)
    for n, prefix in enumerate(PREFIXES):
        path = f"{prefix}<path:deployment>/models"
        routes.add_url_rule(path, f"azure-{n}", azure_list, methods=["GET"])
    routes.add_url_rule("/v1/models", "native-list", native_list, methods=["GET"])
    routes.add_url_rule("/v1/models/<path:model>", "native-one", native_one, methods=["GET"])
    return routes


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


def _merged(rows: tuple[KeyModels, ...]) -> list[lists.Model]:
    """All lists as one. A provider that fails is left out, unless nothing at all was found."""
    merged = lists.merge(
        lists.of_key(row.provider, row.key, row.models) for row in rows if row.error is None
    )
    errors = [row.error for row in rows if row.error is not None]
    if not merged and errors and not any(row.error is None for row in rows):
        error = _worst(errors)
        error.key_statuses = tuple(key_status(r.key.id, r.provider, r.error) for r in rows)
        raise error
    return merged


def _allowed(key: VirtualKey, rows: tuple[KeyModels, ...]) -> list[lists.Model]:
    """What ``key`` may ask for, of what the provider's keys it may use have."""
    configs = key.provider_configs
    usable = tuple(
        row for row in rows if row.error is not None or _may_use(configs[row.provider], row.key)
    )
    return [
        model
        for model in _merged(usable)
        for provider, _, name in (str(model["id"]).partition("/"),)
        if allows_model(configs[provider], name)
    ]


def _may_use(config: ProviderConfig, key: KeySettings) -> bool:
    only = config.include_only
    return only is None or key.id in only or key.name in only


def _worst(errors: list[GatewayError]) -> GatewayError:
    """The error to tell: one of an upstream before one of the configuration."""
    told = [error for error in errors if error.error_class is not ErrorClass.CONFIG]
    return (told or errors or [NoUsableKey("no keys found")])[0]


def _json(value: object) -> Response:
    return Response(dumps(value), content_type="application/json")
