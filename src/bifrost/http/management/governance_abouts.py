"""How governance's management routes are described."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from bifrost.http.management.described import FAILURES
from bifrost.integrations.openapi import About, Parameter
from bifrost.integrations.openapi_parts import JSON, Schema
from bifrost.management.governance_listing import ORDERS, SORTS
from bifrost.management.governance_nouns import NATURES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bifrost.management.governance_nouns import Nature

__all__ = ["ABOUTS"]

TAG = "governance"
MESSAGE = "management_message"

FLAG: Schema = {"type": "string", "enum": ["true", "false"]}
FROM_MEMORY = Parameter(
    "from_memory", "`true`: what is used at this moment, not as it was last written.", FLAG
)
PAGE = (
    Parameter("limit", "How many.", {"type": "integer", "minimum": 1, "maximum": 100}),
    Parameter("offset", "How many to pass over.", {"type": "integer", "minimum": 0}),
)
SEARCH = Parameter("search", "Those with this in their name.")

LISTS: Mapping[str, tuple[Parameter, ...]] = MappingProxyType(
    {
        "virtual_key": (
            SEARCH,
            Parameter("customer_id", "Those of this customer, or of the team."),
            Parameter("team_id", "Those of this team, or of the customer."),
            Parameter("sort_by", "By what.", {"type": "string", "enum": list(SORTS)}),
            Parameter("order", "In which direction.", {"type": "string", "enum": list(ORDERS)}),
            Parameter("export", "`true`: up to 10000 at once.", FLAG),
        ),
        "team": (SEARCH, Parameter("customer_id", "Those of this customer.")),
        "customer": (SEARCH,),
        "routing_rule": (
            SEARCH,
            Parameter("scope", "Those of this scope."),
            Parameter("scope_id", "Those for this virtual key, team or customer."),
        ),
        "model_config": (SEARCH,),
        "provider_limit": (SEARCH,),
        "pricing_override": (
            SEARCH,
            Parameter("scope_kind", "Those of this scope."),
            Parameter("virtual_key_id", "Those of this virtual key."),
            Parameter("provider_id", "Those of this provider."),
            Parameter("provider_key_id", "Those of this provider key."),
        ),
    }
)

NAMES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "virtual_key": ("a virtual key", "virtual keys"),
        "team": ("a team", "teams"),
        "customer": ("a customer", "customers"),
        "routing_rule": ("a routing rule", "routing rules"),
        "model_config": ("limits of a model", "models with limits"),
        "provider_limit": ("limits of a provider", "providers with limits"),
        "pricing_override": ("a price of your own", "prices of your own"),
    }
)


def _abouts() -> Iterator[tuple[tuple[str, str], About]]:
    for nature in NATURES.values():
        for what, described in _of(nature):
            yield (nature.kind, what), described
    page = (FROM_MEMORY, *PAGE)
    yield ("budget", "list"), _about("All budgets", "governance_budgets", query=page)
    yield ("rate_limit", "list"), _about("All rate limits", "governance_rate_limits", query=page)


def _of(nature: Nature) -> Iterator[tuple[str, About]]:
    one, many = NAMES[nature.kind]
    usage = (FROM_MEMORY,) if nature.has_limits else ()
    query = (*usage, *PAGE, *LISTS[nature.kind])
    body = f"governance_{nature.kind}"
    yield "list", _about(f"All {many}", f"governance_{nature.many}", query=query)
    yield "get", _about(f"Read {one}", query=usage)
    yield "delete", _about(f"Remove {one}", MESSAGE)
    yield "put", _about(f"Change {one}", MESSAGE, body=f"{body}_change")
    status = 201 if nature.kind == "pricing_override" else 200
    yield "create", _about(f"Make {one}", MESSAGE, body=body, status=status)


def _about(
    summary: str,
    answer: str = "object",
    *,
    body: str = "",
    status: int = 200,
    query: tuple[Parameter, ...] = (),
) -> About:
    return About(
        summary=summary,
        tag=TAG,
        bodies={JSON: body} if body else {},
        answers={JSON: answer},
        status=status,
        query=query,
        statuses=FAILURES,
    )


ABOUTS: Mapping[tuple[str, str], About] = MappingProxyType(dict(_abouts()))
"""By the kind of noun and what is done."""
