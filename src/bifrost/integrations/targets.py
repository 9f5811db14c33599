"""Whom a request is for: its model as a target, and the targets after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bifrost.catalog import MAX_MODEL
from bifrost.errors import BadRequest
from bifrost.schema.call import Operation, Surface, Target

if TYPE_CHECKING:
    from bifrost.catalog import Catalog
    from bifrost.integrations.base import Request
    from bifrost.schema.call import Call, Caller

__all__ = ["check_model", "fallbacks_of", "target_of", "undecided"]

AZURE_CLIENT = "AzureOpenAI"
"""In ``user-agent``: what OpenAI's SDKs call themselves where they speak to Azure."""

AZURE_BY_CLIENT = frozenset({Operation.RESPONSES, Operation.COUNT_TOKENS})


def check_model(model: object) -> str:
    """``model`` if it can be the name of one. Raises BadRequest."""
    if not isinstance(model, str) or not model.strip():
        raise BadRequest("model is required", param="model")
    if len(model) > MAX_MODEL:
        raise BadRequest(f"model must have at most {MAX_MODEL} characters", param="model")
    return model


def target_of(model: str, request: Request, catalog: Catalog, caller: Caller) -> Target:
    """The provider and its model that ``model`` means on this surface. Raises BadRequest.

    Where the catalog defers, a model of nobody's has the provider ``""``: see ``undecided``.
    """
    default = default_provider(request, caller)
    if caller.own_key(default) is None and default not in catalog.available:
        default = ""
    target = catalog.parse(model, default)
    if not target.provider and not catalog.defers:
        raise _nobodys(request.route.integration.surface)
    if not target.model:
        raise BadRequest("model is required", param="model")
    return target


def undecided(call: Call) -> BadRequest:
    """What the caller is told if, after all, nobody has said who serves the model of ``call``."""
    return _nobodys(call.surface)


def _nobodys(surface: Surface) -> BadRequest:
    if surface is Surface.NATIVE:
        return BadRequest("model should be in provider/model format", param="model")
    return BadRequest("provider is required", param="model")


def default_provider(request: Request, caller: Caller) -> str:
    """Who serves a model without a prefix. Azure's clients name no deployment for responses, but themselves."""
    route = request.route
    default = route.integration.default_provider
    is_azures = route.operation in AZURE_BY_CLIENT and AZURE_CLIENT in caller.user_agent
    return "azure" if default and is_azures else default


def fallbacks_of(
    entries: object, primary: Target, request: Request, catalog: Catalog
) -> tuple[Target, ...]:
    """The targets that the value of ``fallbacks`` names; ``None`` is none. Raises BadRequest."""
    if entries is None:
        return ()
    if not isinstance(entries, list):
        raise BadRequest("fallbacks must be a list", param="fallbacks")
    if request.route.integration.surface is Surface.NATIVE:
        return catalog.parse_fallbacks(entries, "")
    return catalog.parse_fallbacks(entries, primary.provider or None)
