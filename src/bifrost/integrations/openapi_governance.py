"""Bodies of governance's management routes as the description has them.

What of a body only the whole configuration can judge (whether a team is there, whether weights sum to 1) is said in words.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from bifrost.integrations.openapi_parts import FLAG, OBJECT, SAID, TEXT, WHOLE, Schema

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["GOVERNANCE_SCHEMAS"]

MAYBE_TEXT: Schema = {"type": ["string", "null"]}
WHITELIST: Schema = {
    "type": "array",
    "items": SAID,
    "uniqueItems": True,
    "description": '`["*"]` is everything, `[]` nothing.',
}
DURATION: Schema = {
    "type": "string",
    "description": "`30s`, `5m`, `1h30m`; `1d`, `1w`, `1M` (30 days), `1Y` (365 days).",
}
WHOLE_LIMIT: Schema = {"type": ["integer", "null"], "minimum": 1}
MAYBE_DURATION: Schema = {**DURATION, "type": ["string", "null"]}

BUDGET: Schema = {
    "type": ["object", "null"],
    "description": "US dollars in a time. `{}` or null takes it away.",
    "properties": {
        "max_limit": {"type": "number", "exclusiveMinimum": 0},
        "reset_duration": DURATION,
        "calendar_aligned": FLAG,
    },
}
RATE_LIMIT: Schema = {
    "type": ["object", "null"],
    "description": "Tokens, requests, or both, in a time each. `{}` or null takes it away.",
    "properties": {
        "token_max_limit": WHOLE_LIMIT,
        "token_reset_duration": MAYBE_DURATION,
        "request_max_limit": WHOLE_LIMIT,
        "request_reset_duration": MAYBE_DURATION,
    },
}
LIMITS: dict[str, Schema] = {"budget": BUDGET, "rate_limit": RATE_LIMIT}

PROVIDER_CONFIG: Schema = {
    "type": "object",
    "required": ["provider"],
    "properties": {
        "id": {"type": "integer", "description": "Of the one to change; without it, a new one."},
        "provider": SAID,
        "weight": {"type": ["number", "null"], "minimum": 0},
        "allowed_models": WHITELIST,
        "key_ids": WHITELIST,
        **LIMITS,
    },
}
MCP_CONFIG: Schema = {
    "type": "object",
    "properties": {"id": WHOLE, "mcp_client_name": SAID, "tools_to_execute": WHITELIST},
}
TARGET: Schema = {
    "type": "object",
    "properties": {
        "provider": MAYBE_TEXT,
        "model": MAYBE_TEXT,
        "key_id": MAYBE_TEXT,
        "weight": {"type": "number", "minimum": 0},
    },
}

MEMBERS: Mapping[str, tuple[tuple[str, ...], Mapping[str, Schema]]] = MappingProxyType(
    {
        "virtual_key": (
            ("name",),
            {
                "name": SAID,
                "description": TEXT,
                "is_active": FLAG,
                "provider_configs": {"type": "array", "items": PROVIDER_CONFIG},
                "mcp_configs": {"type": "array", "items": MCP_CONFIG},
                "team_id": MAYBE_TEXT,
                "customer_id": MAYBE_TEXT,
                **LIMITS,
            },
        ),
        "team": (("name",), {"name": SAID, "customer_id": MAYBE_TEXT, **LIMITS}),
        "customer": (("name",), {"name": SAID, **LIMITS}),
        "routing_rule": (
            ("name", "targets"),
            {
                "name": SAID,
                "description": TEXT,
                "enabled": FLAG,
                "chain_rule": FLAG,
                "cel_expression": TEXT,
                "targets": {"type": "array", "minItems": 1, "items": TARGET},
                "fallbacks": {"type": "array", "items": SAID},
                "scope": {"enum": ["global", "team", "customer", "virtual_key"]},
                "scope_id": MAYBE_TEXT,
                "query": OBJECT,
                "priority": WHOLE,
            },
        ),
        "model_config": (
            ("model_name",),
            {"model_name": SAID, "provider": MAYBE_TEXT, **LIMITS},
        ),
        "provider_limit": ((), LIMITS),
        "pricing_override": (
            ("scope_kind", "match_type", "pattern", "request_types", "patch"),
            {
                "name": TEXT,
                "scope_kind": {
                    "enum": [
                        *("virtual_key_provider_key", "virtual_key_provider", "virtual_key"),
                        *("provider_key", "provider", "global"),
                    ]
                },
                "virtual_key_id": MAYBE_TEXT,
                "provider_id": MAYBE_TEXT,
                "provider_key_id": MAYBE_TEXT,
                "match_type": {"enum": ["exact", "wildcard"]},
                "pattern": SAID,
                "request_types": {"type": "array", "minItems": 1, "items": SAID},
                "patch": {**OBJECT, "description": "Prices in US dollars a unit."},
            },
        ),
    }
)
"""Of each kind: what has to be there, and what may be."""

LISTS = (
    *("virtual_keys", "teams", "customers", "rules", "model_configs", "providers"),
    *("pricing_overrides", "budgets", "rate_limits"),
)


def _listed(name: str) -> Schema:
    return {
        "type": "object",
        "required": [name, "count"],
        "properties": {
            name: {"type": "array", "items": OBJECT},
            **dict.fromkeys(("count", "total_count", "limit", "offset"), WHOLE),
        },
    }


GOVERNANCE_SCHEMAS: Mapping[str, Schema] = MappingProxyType(
    {
        **{
            f"governance_{kind}": {
                "type": "object",
                "required": list(needed),
                "properties": dict(members),
                "additionalProperties": False,
            }
            for kind, (needed, members) in MEMBERS.items()
            if needed
        },
        **{
            f"governance_{kind}_change": {
                "type": "object",
                "description": "What is not named stays, null clears, a list is the whole new list.",
                "properties": dict(members),
            }
            for kind, (_, members) in MEMBERS.items()
        },
        **{f"governance_{name}": _listed(name) for name in LISTS},
    }
)
