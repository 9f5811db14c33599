"""What a request makes of a governance noun's body. Pure.

What is not named stays, ``null`` clears, and a list is the whole new list. What is sent back as it was shown is unchanged,
so whoever puts what he got changes nothing. Everything else that may be wrong the check of the whole configuration finds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import attrs

from bifrost.config.bodies import canonical
from bifrost.config.entry_numbers import entry_id
from bifrost.config.faults import ConfigError, ConfigErrors, item, kind_of
from bifrost.config.redaction import restored
from bifrost.errors import BadRequest
from bifrost.management.amending import merged
from bifrost.management.governance_telling import KEY_LISTS, numbered, told_body
from bifrost.management.limit_bodies import JSON, LIMITS, patched_limit, refuse_unknown

__all__ = ["NATURES", "Nature", "Patching"]


@attrs.frozen(kw_only=True)
class Nature:
    """A kind of noun as the management API knows it.

    ``one`` and ``many`` are the members of answers that hold it, ``title`` is how texts call it. ``taken`` are the members
    that a request may set, ``told`` those that are shown besides.
    """

    kind: str
    one: str
    many: str
    path: str
    title: str
    taken: tuple[str, ...]
    needed: tuple[str, ...] = ("name",)
    told: tuple[str, ...] = ()
    has_limits: bool = True

    @property
    def known(self) -> tuple[str, ...]:
        """Every member."""
        ids = tuple(f"{each}_id" for each in LIMITS) if self.has_limits else ()
        return (*self.taken, *self.told, *ids, "id", "created_at", "updated_at")


NATURES: Mapping[str, Nature] = MappingProxyType(
    {
        nature.kind: nature
        for nature in (
            Nature(
                kind="virtual_key",
                one="virtual_key",
                many="virtual_keys",
                path="virtual-keys",
                title="Virtual key",
                taken=(
                    *("name", "description", "value", "is_active", "provider_configs"),
                    *("mcp_configs", "team_id", "customer_id", *LIMITS),
                ),
            ),
            Nature(
                kind="team",
                one="team",
                many="teams",
                path="teams",
                title="Team",
                taken=("name", "customer_id", *LIMITS, "profile", "config", "claims"),
            ),
            Nature(
                kind="customer",
                one="customer",
                many="customers",
                path="customers",
                title="Customer",
                taken=("name", *LIMITS),
                told=("teams", "virtual_keys"),
            ),
            Nature(
                kind="routing_rule",
                one="rule",
                many="rules",
                path="routing-rules",
                title="Routing rule",
                taken=(
                    *("name", "description", "enabled", "chain_rule", "cel_expression", "targets"),
                    *("fallbacks", "scope", "scope_id", "query", "priority"),
                ),
                needed=("name", "targets"),
                has_limits=False,
            ),
            Nature(
                kind="model_config",
                one="model_config",
                many="model_configs",
                path="model-configs",
                title="Model config",
                taken=("model_name", "provider", *LIMITS),
                needed=("model_name",),
            ),
            Nature(
                kind="provider_limit",
                one="provider",
                many="providers",
                path="providers",
                title="Provider",
                taken=LIMITS,
                needed=(),
                told=("provider",),
            ),
            Nature(
                kind="pricing_override",
                one="pricing_override",
                many="pricing_overrides",
                path="pricing-overrides",
                title="Pricing override",
                taken=(
                    *("name", "scope_kind", "virtual_key_id", "provider_id", "provider_key_id"),
                    *("match_type", "pattern", "request_types", "patch"),
                ),
                needed=("scope_kind", "match_type", "pattern", "request_types", "patch"),
                has_limits=False,
            ),
        )
    }
)

OF_PROVIDER_CONFIG = ("id", "provider", "weight", "allowed_models", "key_ids", *LIMITS)
TOLD_OF_PROVIDER_CONFIG = ("virtual_key_id", "keys", *(f"{each}_id" for each in LIMITS))
OF_MCP_CONFIG = ("id", "mcp_client_id", "mcp_client_name", "tools_to_execute")

NEVER_TAKEN = frozenset({"created_at", "updated_at", "teams", "virtual_keys", "keys"})
"""Shown, and may be another by the time it is sent back."""

OWNERS = ("team_id", "customer_id")
"""Of a virtual key: one of them at most."""

WEIGHTS_OFF = 0.001

ALIASES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {"pricing_override": {"pricing_patch": "patch", "model_pattern": "pattern"}}
)


@attrs.frozen
class Patching:
    """Makes bodies.

    ``new_id`` gives the id of a new limit, ``new_value`` the value of a virtual key, ``keys_of`` the ids of a provider's
    keys, ``None`` if there cannot be such a provider.
    """

    new_id: Callable[[], str]
    new_value: Callable[[], str]
    keys_of: Callable[[str], frozenset[str] | None]

    def made(self, kind: str, noun_id: str, sent: JSON) -> dict[str, Any]:
        """The body of a new noun. Raises BadRequest, ConfigErrors."""
        nature = NATURES[kind]
        sent = _spelt(kind, sent)
        missing = [name for name in nature.needed if sent.get(name) in (None, "")]
        if missing:
            text = f"{missing[0]} is required"
            raise BadRequest(text, param=missing[0])
        return self.patched(kind, noun_id, {}, sent)

    def patched(self, kind: str, noun_id: str, present: JSON, sent: JSON) -> dict[str, Any]:
        """The body of a noun after ``sent``; ``present`` is empty for a new one. Raises BadRequest, ConfigErrors."""
        nature = NATURES[kind]
        sent = _spelt(kind, sent)
        refuse_unknown(sent, nature.known, "")
        if kind == "virtual_key" and all(sent.get(name) is not None for name in OWNERS):
            text = "VirtualKey cannot be attached to both Team and Customer"
            raise BadRequest(text, param="customer_id")
        # A provider is there before it has limits, and so is its name.
        is_there = bool(present) or kind == "provider_limit"
        shown = _shown(nature, noun_id, present) if is_there else {}
        change = {
            name: value
            for name, value in sent.items()
            if name not in NEVER_TAKEN and not (name in shown and shown[name] == value)
        }
        _refuse_others_ids(change, nature, shown)
        body = {"name" if kind == "provider_limit" else "id": noun_id, **present}
        for name, value in change.items():
            self._set(kind, body, name, value, shown)
        match kind:
            case "virtual_key":
                self._settle_key(body, change, is_new=not present)
            case "routing_rule":
                _settle_rule(body)
            case _:
                pass
        return canonical(kind, body)

    def _settle_key(self, body: dict[str, Any], change: JSON, *, is_new: bool) -> None:
        if is_new and not body.get("value"):
            body["value"] = self.new_value()
        if not body.get("value"):
            raise BadRequest("a virtual key has to have a value", param="value")
        wanted = [name for name in OWNERS if change.get(name) is not None]
        if wanted:
            # Whoever names the one means: instead of the other.
            body |= dict.fromkeys(set(OWNERS) - set(wanted))

    def _set(self, kind: str, body: dict[str, Any], name: str, value: object, shown: JSON) -> None:
        match name:
            case "budget" | "rate_limit":
                body[name] = patched_limit(name, body.get(name), value, name, self.new_id)
            case "provider_configs":
                configs = _Entries(name, "provider", OF_PROVIDER_CONFIG, TOLD_OF_PROVIDER_CONFIG)
                body[name] = self._entries(configs, body, value, shown)
                for at, each in enumerate(body[name]):
                    self._check_keys(each, item(name, at), shown)
            case "mcp_configs":
                clients = _Entries(name, "mcp_client_name", OF_MCP_CONFIG, ())
                body[name] = self._entries(clients, body, value, shown)
            case "value":
                body[name] = restored(kind, {name: value}, body)[name]
            case "patch":
                body["pricing_patch"] = value
            case _ if isinstance(value, Mapping):
                former = body.get(name)
                body[name] = merged(former if isinstance(former, Mapping) else {}, value)
            case _:
                body[name] = value

    # Entries of a virtual key

    def _entries(
        self, entries: _Entries, body: JSON, sent: object, shown: JSON
    ) -> list[dict[str, Any]]:
        if sent is None:
            return []
        entries.refuse_malformed(sent)
        assert isinstance(sent, list)  # noqa: S101  looked at
        listed = numbered(str(body["id"]), body.get(entries.name, ()), entries.key)
        present = {each["id"]: each for each in listed}
        former = {each["id"]: each for each in shown.get(entries.name, ())}
        taken = frozenset(present)
        result = []
        for at, each in enumerate(sent):
            number = each.get("id")
            path = item(entries.name, at)
            if number is None:
                number = entry_id(str(body["id"]), str(each.get(entries.key)), taken)
                taken |= {number}
                result.append(self._entry(number, {}, each, {}, path))
            elif not isinstance(number, int) or number not in present:
                allowed = f"the id of one of its {entries.name}, or none for a new one"
                raise ConfigErrors([ConfigError(f"{path}.id", str(number)[:24], allowed)])
            else:
                result.append(self._entry(number, present[number], each, former[number], path))
        return result

    def _entry(
        self, number: int, present: JSON, sent: JSON, shown: JSON, path: str
    ) -> dict[str, Any]:
        entry: dict[str, Any] = {**present, "id": number}
        if "keys" in sent and "key_ids" not in sent:
            raise ConfigErrors([ConfigError(f"{path}.keys", "keys alone", "key_ids")])
        if present:
            shown = {**shown, **_limit_ids(present)}
        for name, value in sent.items():
            if name == "keys" or (name in shown and shown[name] == value):
                continue
            if name in TOLD_OF_PROVIDER_CONFIG and shown.get(name) != value:
                at = f"{path}.{name}"
                raise ConfigErrors([ConfigError(at, "another id", "the id that it has, or none")])
            if name in LIMITS:
                at = f"{path}.{name}"
                entry[name] = patched_limit(name, entry.get(name), value, at, self.new_id)
                continue
            if name == "key_ids":
                # These are one thing in answers, however the file spells it.
                entry = {key: each for key, each in entry.items() if key not in KEY_LISTS}
            entry[name] = value
        return {name: value for name, value in entry.items() if value is not None}

    def _check_keys(self, config: JSON, path: str, shown: JSON) -> None:
        ids = config.get("key_ids")
        if not isinstance(ids, list) or ids == ["*"]:
            return
        known = self.keys_of(str(config.get("provider")))
        if known is None:
            # The check of the whole says so.
            return
        # A key may be gone, and the file may have called it by its name: what stands there may stay.
        known |= _former_keys(config, shown)
        named = [each for each in ids if isinstance(each, str) and each != "*"]
        found = [each for each in named if each in known]
        if len(found) < len(named):
            text = (
                f"some keys not found for provider {config.get('provider')}: "
                f"expected {len(named)}, found {len(found)}"
            )
            raise BadRequest(text[:300], param=f"{path}.key_ids")


@attrs.frozen
class _Entries:
    """A list of a virtual key. ``key`` is the member by which each comes once."""

    name: str
    key: str
    taken: tuple[str, ...]
    told: tuple[str, ...]

    def refuse_malformed(self, sent: object) -> None:
        if not isinstance(sent, list):
            raise ConfigErrors([ConfigError(self.name, kind_of(sent), "a list of mappings")])
        odd = [(at, each) for at, each in enumerate(sent) if not isinstance(each, Mapping)]
        if odd:
            raise ConfigErrors(
                ConfigError(item(self.name, at), kind_of(each), "a mapping") for at, each in odd
            )
        for member in ("id", self.key):
            seen = set[object]()
            for at, each in enumerate(sent):
                path, value = item(self.name, at), each.get(member)
                refuse_unknown(each, (*self.taken, *self.told), path)
                if isinstance(value, str | int) and value in seen:
                    allowed = f"each {member} once"
                    raise ConfigErrors([ConfigError(f"{path}.{member}", "it again", allowed)])
                if isinstance(value, str | int):
                    seen.add(value)


def _former_keys(config: JSON, shown: JSON) -> frozenset[str]:
    """What the entry called the keys of the same provider until now."""
    same = ("id", "provider")
    for each in shown.get("provider_configs", ()):
        if all(each[name] == config.get(name) for name in same):
            return frozenset(each["key_ids"])
    return frozenset()


def _spelt(kind: str, sent: JSON) -> JSON:
    """With the first spelling of each member. Raises ConfigErrors where both are used."""
    aliases = ALIASES.get(kind, {})
    spelt = dict(sent)
    for alias, name in aliases.items():
        if alias in spelt:
            if name in spelt:
                allowed = f"{name} or {alias}, not both"
                raise ConfigErrors([ConfigError(alias, "a second spelling", allowed)])
            spelt[name] = spelt.pop(alias)
    return spelt


def _shown(nature: Nature, noun_id: str, body: JSON) -> dict[str, Any]:
    told = told_body(nature.kind, noun_id, body)
    if nature.has_limits:
        told |= _limit_ids(body)
    return told


def _limit_ids(body: JSON) -> dict[str, str | None]:
    return {f"{each}_id": body[each]["id"] if body.get(each) else None for each in LIMITS}


def _refuse_others_ids(change: JSON, nature: Nature, shown: JSON) -> None:
    """The ids of a noun and of its limits are the gateway's to give."""
    for name in change:
        if name not in nature.taken:
            allowed = "the id that it has, or none" if shown else "none: it is given one"
            raise ConfigErrors([ConfigError(name, "another id", allowed)])


def _settle_rule(body: dict[str, Any]) -> None:
    """Raises BadRequest in the words that targets have; the rest is the check's."""
    if body.get("scope", "global") == "global":
        body.pop("scope_id", None)
    targets = body.get("targets")
    if not isinstance(targets, list) or not all(isinstance(each, Mapping) for each in targets):
        return
    for at, target in enumerate(targets):
        if target.get("key_id") is not None and target.get("provider") is None:
            path = f"{item('targets', at)}.key_id"
            raise BadRequest("key_id requires provider to be set", param=path)
    weights = [target.get("weight", 1.0) for target in targets]
    if not weights or not all(isinstance(each, int | float) for each in weights):
        return
    if abs(sum(weights) - 1) > WEIGHTS_OFF:
        text = f"target weights must sum to 1, got {sum(weights):.4f}"
        raise BadRequest(text, param="targets")
