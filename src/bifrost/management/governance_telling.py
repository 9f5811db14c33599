"""Governance nouns as answers show them. Pure; nothing in here has a virtual key's value in clear."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import attrs

from bifrost.config.entry_numbers import entry_ids
from bifrost.config.redaction import hidden
from bifrost.management.limit_bodies import JSON, Usage, counters_of, moment

if TYPE_CHECKING:
    from bifrost.config.nouns import Noun

__all__ = ["KEY_LISTS", "Telling", "counters", "numbered", "told_body"]

KEY_LISTS = ("key_ids", "allowed_keys", "keys")
"""Where a file may name the keys of a provider config. Answers have the first."""

NOTHING: Mapping[str, object] = MappingProxyType({})

PLAIN: Mapping[str, Mapping[str, object]] = MappingProxyType(
    {
        "virtual_key": {
            "id": "",
            "name": "",
            "description": "",
            "value": "",
            "is_active": True,
            "provider_configs": (),
            "mcp_configs": (),
            "team_id": None,
            "customer_id": None,
        },
        "team": {
            "id": "",
            "name": "",
            "customer_id": None,
            "profile": NOTHING,
            "config": NOTHING,
            "claims": NOTHING,
        },
        "customer": {"id": "", "name": ""},
        "routing_rule": {
            "id": "",
            "name": "",
            "description": "",
            "enabled": True,
            "chain_rule": False,
            "cel_expression": "",
            "targets": (),
            "fallbacks": (),
            "scope": "global",
            "scope_id": None,
            "query": NOTHING,
            "priority": 0,
        },
        "model_config": {"id": "", "model_name": "", "provider": None},
        "provider_limit": {"provider": ""},
        "pricing_override": {
            "id": "",
            "name": "",
            "scope_kind": "",
            "virtual_key_id": None,
            "provider_id": None,
            "provider_key_id": None,
            "match_type": "",
            "pattern": "",
            "request_types": (),
            "patch": NOTHING,
        },
    }
)
"""The members of each kind with what is told where a body says nothing."""

TARGET: Mapping[str, object] = MappingProxyType(
    {"provider": None, "model": None, "key_id": None, "weight": 1.0}
)


def told_body(kind: str, noun_id: str, body: JSON) -> dict[str, Any]:
    """``body`` with every member that it may have, but for limits."""
    told: dict[str, Any] = {
        name: _plain(body.get(name, default)) for name, default in PLAIN[kind].items()
    }
    match kind:
        case "provider_limit":
            told["provider"] = noun_id
        case "virtual_key":
            told["id"] = noun_id
            told["value"] = hidden(str(body.get("value") or ""))
            configs = numbered(noun_id, told["provider_configs"], "provider")
            told["provider_configs"] = [_config(noun_id, each) for each in configs]
            clients = numbered(noun_id, told["mcp_configs"], "mcp_client_name")
            told["mcp_configs"] = [_client(each) for each in clients]
        case "routing_rule":
            told["id"] = noun_id
            told["targets"] = [{**TARGET, **target} for target in told["targets"]]
        case "pricing_override":
            told["id"] = noun_id
            told["patch"] = _patch(body.get("pricing_patch"))
        case _:
            told["id"] = noun_id
    return told


def _plain(value: object) -> object:
    """What JSON has for it."""
    match value:
        case tuple():
            return list(value)
        case Mapping():
            return dict(value)
        case _:
            return value


def _patch(patch: object) -> object:
    """The prices of an override, which a file may have as text."""
    return json.loads(patch) if isinstance(patch, str) else patch


def _config(owner: str, config: JSON) -> dict[str, Any]:
    return {
        "id": config["id"],
        "virtual_key_id": owner,
        "provider": config["provider"],
        "weight": config.get("weight"),
        "allowed_models": list(config.get("allowed_models", ())),
        "key_ids": list(_key_ids(config)),
    }


def _client(config: JSON) -> dict[str, Any]:
    return {
        "id": config["id"],
        "mcp_client_id": config.get("mcp_client_id"),
        "mcp_client_name": config.get("mcp_client_name"),
        "tools_to_execute": list(config.get("tools_to_execute", ())),
    }


def _key_ids(config: JSON) -> Iterable[str]:
    for name in KEY_LISTS:
        for each in config.get(name, ()):
            yield each if isinstance(each, str) else each.get("key_id") or each["name"]


# Numbers of entries


def numbered(owner: str, entries: Sequence[JSON], key: str) -> list[dict[str, Any]]:
    """``entries`` of a virtual key, each with its number: those of a file, and new ones, may have none yet."""
    numbers = entry_ids(owner, ((each.get("id"), str(each.get(key))) for each in entries))
    return [{**each, "id": number} for each, number in zip(entries, numbers, strict=True)]


# With what is used


def counters(nouns: Iterable[Noun]) -> frozenset[str]:
    """The ids of the counters that ``Telling`` of these wants to know."""
    return frozenset(each for noun in nouns for each in counters_of(noun.body))


@attrs.frozen
class Telling:
    """Shows nouns whole. ``keys`` are the names of all providers' keys by their ids."""

    usage: Usage
    keys: Mapping[str, str]

    def told(self, noun: Noun) -> dict[str, Any]:
        """The noun as an answer has it."""
        told = told_body(noun.kind, noun.id, noun.body)
        if noun.kind not in ("routing_rule", "pricing_override"):
            told |= self.usage.told(noun.body)
        if noun.kind == "virtual_key":
            bodies: Any = noun.body.get("provider_configs", ())
            told["provider_configs"] = [
                self._config(config, body)
                for config, body in zip(told["provider_configs"], bodies, strict=True)
            ]
        if noun.kind != "provider_limit":
            told["created_at"] = moment(noun.created_unix_s)
            told["updated_at"] = moment(noun.updated_unix_s)
        return told

    def customer(
        self, noun: Noun, teams: Iterable[Noun], virtual_keys: Iterable[Noun]
    ) -> dict[str, Any]:
        """A customer with its teams, and the virtual keys that are its own and no team's."""
        return {
            **self.told(noun),
            "teams": [self.told(each) for each in teams],
            "virtual_keys": [self.told(each) for each in virtual_keys],
        }

    def _config(self, told: dict[str, Any], body: JSON) -> dict[str, Any]:
        keys = [
            {"key_id": each, "name": self.keys[each]}
            for each in told["key_ids"]
            if each in self.keys
        ]
        return {**told, "keys": keys, **self.usage.told(body)}
