"""The configuration's text to a ``Config``: pure, and the whole truth about its mistakes at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import attrs

from bifrost.config.document import parse_document
from bifrost.config.faults import ConfigError, ConfigErrors
from bifrost.config.lost_references import STRICT, Kept, find_lost
from bifrost.config.names import UNBUILT_DIALECTS
from bifrost.config.placed_limits import place_limits
from bifrost.config.provider_checks import provider_finishes
from bifrost.config.secret import Secret
from bifrost.config.section_checks import section_finishes
from bifrost.config.sections import PostgresSection
from bifrost.config.settings import (
    Config,
    ConfigStoreSettings,
    KeySettings,
    LogsStoreSettings,
    ProviderSettings,
)
from bifrost.config.shape import shape_of
from bifrost.config.walk import Walk
from bifrost.config.whole import BUILT_SECTIONS, WholeFile

if TYPE_CHECKING:
    from bifrost.config.sections import PluginSection, StoreSection

__all__ = ["ConfigError", "ConfigErrors", "detect_providers", "parse_config", "parse_tree"]

ENCRYPTION_KEY = "BIFROST_ENCRYPTION_KEY"

ALWAYS_ON = frozenset({"telemetry", "logging", "governance"})
BUILT_IN_PLUGINS = ALWAYS_ON | {"otel", "semantic_cache", "compat", "maxim", "litellm", "mocker"}
"""Names that mean something of the gateway's own, without a path."""

DETECTED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "openai": ("OPENAI_API_KEY", "OPENAI_KEY"),
        "anthropic": ("ANTHROPIC_API_KEY", "ANTHROPIC_KEY"),
        "mistral": ("MISTRAL_API_KEY", "MISTRAL_KEY"),
    }
)
"""Variables that make a provider by themselves; the first that is set counts."""


def parse_config(text: str, environ: Mapping[str, str], kept: Kept = STRICT) -> Config:
    """Read and check a configuration. A file without providers gets those whose keys ``environ`` has.

    ``kept`` excuses references to what is not there. Raises ConfigErrors with every mistake there is.
    """
    tree, mistakes = parse_document(text)
    return parse_tree(tree, environ, mistakes, kept)


def parse_tree(
    tree: object,
    environ: Mapping[str, str],
    mistakes: Iterable[ConfigError] = (),
    kept: Kept = STRICT,
) -> Config:
    """The same for what ``config.document`` or ``config.merge`` has made of it; ``mistakes`` are those found until then."""
    placed = place_limits(tree)
    tree = placed.tree
    walk = Walk(environ, errors=[*mistakes, *placed.errors], warnings=list(placed.warnings))
    compat = isinstance(tree, dict) and tree.get("compat_empty_allows_all") is True
    walk.finish = dict([*provider_finishes(empty_allows_all=compat), *section_finishes()])
    whole = walk.read(WholeFile, shape_of(WholeFile), tree)
    if (
        whole is not None
        and whole.auth_config
        and whole.governance
        and whole.governance.auth_config
    ):
        walk.error(
            "auth_config", "a second place", "governance.auth_config or auth_config, not both"
        )
    _refuse_unset_store(walk)
    if whole is not None:
        _refuse_lost_values(walk, whole)
        _look_after_references(walk, tree, whole, kept)
    if whole is None or walk.errors:
        raise ConfigErrors(walk.errors)
    walk.warnings += [f"{path}: {name} is not set" for path, name in walk.unset.items()]
    providers = whole.providers or detect_providers(environ)
    return Config(
        client=whole.client,
        providers=providers,
        logs_store=_logs_store(whole.logs_store),
        governance=whole.governance,
        plugins=tuple(each for each in whole.plugins if not _is_built_in(each)),
        pricing=whole.framework.pricing if whole.framework else None,
        auth=whole.auth_config or (whole.governance.auth_config if whole.governance else None),
        config_store=_config_store(whole.config_store, environ),
        encryption_key=whole.encryption_key or _encryption_key(environ),
        unbuilt=(*_unbuilt_sections(whole), *_unbuilt_providers(providers)),
        unguarded=tuple(_unguarded(whole)),
        warnings=tuple(walk.warnings),
    )


def _logs_store(section: StoreSection | None) -> LogsStoreSettings | None:
    if section is None:
        return LogsStoreSettings()
    if not section.enabled or section.type != "sqlite":
        return None
    return LogsStoreSettings(path=str(section.config["path"]))


def _config_store(
    section: StoreSection | None, environ: Mapping[str, str]
) -> ConfigStoreSettings | None:
    if section is None:
        return ConfigStoreSettings()
    if not section.enabled:
        return None
    if section.type == "sqlite":
        return ConfigStoreSettings(path=str(section.config["path"]))
    # It was checked with the section; this is for its values.
    shape = shape_of(PostgresSection)
    return ConfigStoreSettings(
        postgres=Walk(environ).read(PostgresSection, shape, dict(section.config))
    )


def _refuse_unset_store(walk: Walk) -> None:
    """No other place and no open secrets, because a variable is missing."""
    for path in ("config_store", "encryption_key"):
        for at, name in list(walk.unset.items()):
            if at == path or at.startswith(f"{path}."):
                walk.error(at, f"{name}, which is not set", "a variable that is set")


def _refuse_lost_values(walk: Walk, whole: WholeFile) -> None:
    """A virtual key without a value gets one, and only a store keeps it: without a store it would be another at each start."""
    if whole.governance is None or whole.config_store is None or whole.config_store.enabled:
        return
    for index, key in enumerate(whole.governance.virtual_keys):
        path = f"governance.virtual_keys[{index}].value"
        if key.value is None and walk.is_sound(path):
            walk.error(path, "nothing", "a text or env.NAME, as config_store is not enabled")


def _look_after_references(walk: Walk, tree: object, whole: WholeFile, kept: Kept) -> None:
    """Without a store there is nothing but what the document says."""
    if whole.config_store is not None and not whole.config_store.enabled:
        kept = attrs.evolve(kept, may_be_more=False)
    detected = {} if whole.providers else detect_providers(walk.environ)
    found = find_lost(tree, detected, kept)
    wrong = {error.path for error in walk.errors}
    walk.errors += [error for error in found.errors if error.path not in wrong]
    walk.warnings += found.warnings


def _encryption_key(environ: Mapping[str, str]) -> Secret | None:
    value = environ.get(ENCRYPTION_KEY, "").strip()
    return Secret(value, reference=f"env.{ENCRYPTION_KEY}") if value else None


def detect_providers(environ: Mapping[str, str]) -> Mapping[str, ProviderSettings]:
    """Providers with one key each for all models, from well-known variables."""
    found: dict[str, ProviderSettings] = {}
    for provider, names in DETECTED.items():
        name = next((name for name in names if environ.get(name, "").strip()), None)
        if name is not None:
            key = KeySettings(
                id=f"{name}_auto_detected",
                name=f"{name}_auto_detected",
                value=Secret(environ[name].strip(), reference=f"env.{name}"),
            )
            found[provider] = ProviderSettings(name=provider, keys=(key,))
    return MappingProxyType(found)


def _unbuilt_sections(whole: WholeFile) -> Iterator[str]:
    """Sections that ask for something nobody does yet: present, not empty, not switched off."""
    for field in attrs.fields(WholeFile):
        value = getattr(whole, field.name)
        if field.name not in BUILT_SECTIONS and _asks(value):
            yield field.name
    for plugin in whole.plugins:
        if _is_built_in(plugin) and plugin.enabled and plugin.name not in ALWAYS_ON:
            yield f"plugins ({plugin.name})"
    if whole.logs_store and whole.logs_store.enabled and whole.logs_store.type != "sqlite":
        yield f"logs_store ({whole.logs_store.type})"
    if whole.client.enable_litellm_fallbacks:
        yield "client.enable_litellm_fallbacks"


def _is_built_in(plugin: PluginSection) -> bool:
    return plugin.path is None and plugin.name in BUILT_IN_PLUGINS


def _asks(section: object) -> bool:
    """Whether there is anything in a section to be done."""
    match section:
        case None | Secret():
            return bool(section)
        case tuple():
            return any(getattr(each, "enabled", True) for each in section)
        case Mapping():
            return bool(section) and section.get("enabled", True) is not False
        case _:
            return _section_asks(section)


def _section_asks(section: object) -> bool:
    if getattr(section, "enabled", True) is False or getattr(section, "disabled", False):
        return False
    if getattr(section, "is_enabled", True) is False:
        return False
    return hasattr(section, "enabled") or section != type(section)()


def _unbuilt_providers(providers: Mapping[str, ProviderSettings]) -> Iterator[str]:
    for name, provider in providers.items():
        base = provider.custom.base_provider_type if provider.custom else name
        if base in UNBUILT_DIALECTS:
            yield f"providers.{name}"


def _unguarded(whole: WholeFile) -> Iterator[str]:
    """Protections that somebody counts on and that are not built yet."""
    rules = whole.guardrails_config.guardrail_rules if whole.guardrails_config else ()
    if any(rule.enabled for rule in rules):
        yield "guardrails_config.guardrail_rules"
    if whole.saml_config and whole.saml_config.get("enabled") is True:
        yield "saml_config.enabled"
