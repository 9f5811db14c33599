"""What must hold between the keys of the sections whose rooms are not built yet."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TypeVar

import attrs

from bifrost.config.faults import below
from bifrost.config.governance_section import (
    AuthSection,
    BudgetSection,
    GovernanceSection,
    ModelConfigSection,
    PricingOverrideSection,
    RateLimitSection,
    RoutingRuleSection,
    VirtualKeySection,
)
from bifrost.config.price_checks import pricing_override
from bifrost.config.secret import Secret
from bifrost.config.sections import (
    STORE_CONFIGS,
    AuditSection,
    McpClientSection,
    PluginSection,
    StoreSection,
    VectorStoreSection,
)
from bifrost.config.shape import shape_of
from bifrost.config.walk import Finish, Place, Walk, finishing

__all__ = ["section_finishes"]

AnyStore = TypeVar("AnyStore", StoreSection, VectorStoreSection)

BCRYPT = re.compile(r"\$2[abxy]?\$[0-9]{2}\$.{53}")
CALENDAR_UNITS = ("d", "w", "M", "Y")


def section_finishes() -> Iterator[tuple[type, Finish]]:
    """The checks, by the class of section they belong to."""
    yield finishing(AuthSection, _auth)
    yield finishing(BudgetSection, _budget)
    yield finishing(RateLimitSection, _rate_limit)
    yield finishing(VirtualKeySection, _virtual_key)
    yield finishing(RoutingRuleSection, _routing_rule)
    yield finishing(ModelConfigSection, _model_config)
    yield finishing(GovernanceSection, _governance)
    yield finishing(PricingOverrideSection, pricing_override)
    yield finishing(McpClientSection, _mcp_client)
    yield finishing(PluginSection, _plugin)
    yield finishing(StoreSection, _store)
    yield finishing(VectorStoreSection, _store)
    yield finishing(AuditSection, _audit)


def _auth(walk: Walk, auth: AuthSection, place: Place) -> AuthSection:
    if auth.is_enabled:
        unset = walk.take_unset(place.path)
        for member, variable in unset.items():
            walk.error(
                f"{place.path}.{member}", f"{variable}, which is not set", "a variable that is set"
            )
        for member, value in (
            ("admin_username", auth.admin_username),
            ("admin_password", auth.admin_password),
        ):
            if not value and member not in unset and walk.is_sound(place.path, member):
                walk.error(
                    below(place.path, member),
                    "nothing",
                    "a text or env.NAME, as is_enabled is true",
                )
    if auth.admin_password is not None and BCRYPT.fullmatch(auth.admin_password.reveal()):
        walk.error(
            below(place.path, "admin_password"),
            "a bcrypt hash",
            "the password, env.NAME, or an argon2id hash",
        )
    return auth


def _budget(walk: Walk, budget: BudgetSection, place: Place) -> BudgetSection:
    if budget.calendar_aligned and not budget.reset_duration.endswith(CALENDAR_UNITS):
        walk.error(
            below(place.path, "calendar_aligned"),
            f"true with a reset_duration of {budget.reset_duration!r}",
            "with durations in days (d), weeks (w), months (M) or years (Y)",
        )
    return budget


def _rate_limit(walk: Walk, limit: RateLimitSection, place: Place) -> RateLimitSection:
    for what in ("token", "request"):
        maximum, duration = f"{what}_max_limit", f"{what}_reset_duration"
        if place.raw.get(maximum) is not None and place.raw.get(duration) is None:
            walk.error(below(place.path, duration), "nothing", f"a duration, as {maximum} is set")
    return limit


def _virtual_key(walk: Walk, key: VirtualKeySection, place: Place) -> VirtualKeySection:
    if key.team_id is not None and key.customer_id is not None:
        walk.error(
            place.path, "team_id and customer_id", "one of them: a team belongs to its customer"
        )
    return key if key.id is not None else attrs.evolve(key, id=key.name)


def _model_config(_walk: Walk, config: ModelConfigSection, _place: Place) -> ModelConfigSection:
    """One without an id is named by what it is of."""
    name = f"{config.provider}/{config.model_name}" if config.provider else config.model_name
    return config if config.id is not None else attrs.evolve(config, id=name)


def _governance(walk: Walk, section: GovernanceSection, place: Place) -> GovernanceSection:
    for field, of in (
        ("virtual_keys", "id"),
        ("virtual_keys", "name"),
        ("teams", "id"),
        ("customers", "id"),
        ("model_configs", "id"),
        ("providers", "name"),
    ):
        _once(walk, below(place.path, field), of, [getattr(e, of) for e in getattr(section, field)])
    values = [key.value or None for key in section.virtual_keys]
    _once(walk, below(place.path, "virtual_keys"), "value", values)
    return section


def _once(walk: Walk, path: str, member: str, values: Sequence[Hashable | None]) -> None:
    """Each of ``values``, ``member`` of the entries of the list at ``path``, comes once."""
    seen: set[Hashable] = set()
    for index, value in enumerate(values):
        if value in seen:
            what = "the same value" if isinstance(value, Secret) else repr(value)
            walk.error(f"{path}[{index}].{member}", f"{what} again", "another one")
        elif value is not None:
            seen.add(value)


def _routing_rule(walk: Walk, rule: RoutingRuleSection, place: Place) -> RoutingRuleSection:
    if not walk.is_sound(place.path, "targets"):
        return rule
    total = sum(target.weight for target in rule.targets)
    if not rule.targets:
        walk.error(below(place.path, "targets"), "no target", "one or more")
    elif abs(total - 1) > 0.001:
        walk.error(
            below(place.path, "targets"),
            f"weights that sum to {total:.4f}",
            "weights that sum to 1",
        )
    seen: set[tuple[str | None, ...]] = set()
    for index, target in enumerate(rule.targets):
        at = f"{place.path}.targets[{index}]"
        if target.key_id is not None and target.provider is None:
            walk.error(
                below(at, "key_id"), "a key without a provider", "key_id together with provider"
            )
        identity = tuple(
            part and part.lower() for part in (target.provider, target.model, target.key_id)
        )
        if identity in seen:
            walk.error(at, "the same target again", "each target once")
        seen.add(identity)
    if rule.scope != "global" and rule.scope_id is None and walk.is_sound(place.path, "scope_id"):
        walk.error(below(place.path, "scope_id"), "nothing", f"the id of a {rule.scope}")
    return rule


def _mcp_client(walk: Walk, client: McpClientSection, place: Place) -> McpClientSection:
    if client.connection_type == "stdio":
        if client.stdio_config is None and walk.is_sound(place.path, "stdio_config"):
            walk.error(
                below(place.path, "stdio_config"),
                "nothing",
                "a command, as connection_type is stdio",
            )
    elif (
        client.connection_string is None
        and client.http_config is None
        and walk.is_sound(place.path, "connection_string", "http_config")
    ):
        walk.error(below(place.path, "connection_string"), "nothing", "an address or env.NAME")
    return client


def _plugin(walk: Walk, plugin: PluginSection, place: Place) -> PluginSection:
    """Headers of an exporter are credentials: going on without them would fail later and elsewhere."""
    headers = plugin.config.get("headers")
    if plugin.name == "otel" and plugin.enabled and isinstance(headers, Mapping):
        for name, value in headers.items():
            variable = (
                value.removeprefix("env.")
                if isinstance(value, str) and value.startswith("env.")
                else None
            )
            if variable is not None and not walk.environ.get(variable):
                at = below(below(below(place.path, "config"), "headers"), name)
                walk.error(at, f"{variable}, which is not set", "a variable that is set")
    return plugin


def _store(walk: Walk, store: AnyStore, place: Place) -> AnyStore:
    if store.enabled and walk.is_sound(place.path, "type", "config"):
        config = store.config
        walk.read(
            object, shape_of(STORE_CONFIGS[store.type]), dict(config), below(place.path, "config")
        )
    return store


def _audit(walk: Walk, audit: AuditSection, place: Place) -> AuditSection:
    key = audit.hmac_key
    if key and len(key.reveal().encode()) < 32:
        walk.error(below(place.path, "hmac_key"), "a text that is too short", "32 bytes or more")
    return audit
