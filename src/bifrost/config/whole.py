"""The file's top level: every section there is."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

import attrs

from bifrost.config.governance_section import AuthSection, GovernanceSection
from bifrost.config.rules import Mark, Named
from bifrost.config.secret import Secret
from bifrost.config.sections import (
    AuditSection,
    CompatSection,
    FrameworkSection,
    GuardrailsSection,
    LargePayloadSection,
    McpSection,
    PluginSection,
    StoreSection,
    VectorStoreSection,
    WebsocketSection,
)
from bifrost.config.settings import ClientSettings, ProviderSettings

__all__ = ["BUILT_SECTIONS", "WholeFile"]

BUILT_SECTIONS = frozenset(
    {
        "schema",
        "client",
        "providers",
        "compat_empty_allows_all",
        "logs_store",
        "governance",
        "auth_config",
        "framework",
        "plugins",
        "config_store",
        "encryption_key",
    }
)
"""Those that have an effect."""


@attrs.frozen(kw_only=True)
class WholeFile:
    """``config.yaml``, or a ``config.json``: JSON is YAML."""

    schema: Annotated[str, Named("$schema")] = ""
    """For editors; not looked at."""
    client: ClientSettings = attrs.field(factory=ClientSettings)
    """How the gateway treats those who call it."""
    providers: Annotated[Mapping[str, ProviderSettings], Mark.LOWER_CASE_NAMES] = attrs.field(
        factory=lambda: MappingProxyType({})
    )
    """Whom the gateway calls, by name. Without any, keys are looked for in ``OPENAI_API_KEY`` and the like."""
    compat_empty_allows_all: bool = False
    """Read an empty ``models`` list as *all*, as version 1.4 did; warned about for each key."""
    governance: GovernanceSection | None = None
    """Who may spend what."""
    auth_config: AuthSection | None = None
    """Older place of ``governance.auth_config``."""
    mcp: McpSection | None = None
    """MCP servers and what is done with their tools."""
    plugins: tuple[PluginSection, ...] = ()
    """Filters, in their order."""
    config_store: StoreSection | None = None
    """Where configuration is kept."""
    logs_store: StoreSection | None = None
    """Where asynchronous jobs are kept, and one day logs. Without it SQLite's ``logs.db`` in the app directory; ``enabled:
    false`` turns asynchronous jobs off. *Postgres is not built yet, and turns them off too.*"""
    vector_store: VectorStoreSection | None = None
    """Where the semantic cache keeps its vectors."""
    framework: FrameworkSection | None = None
    """What the gateway knows of models."""
    websocket: WebsocketSection | None = None
    """Connections of the realtime API."""
    compat: CompatSection | None = None
    """Translations between kinds of request."""
    large_payload_optimization: LargePayloadSection | None = None
    """Bodies that are relayed without being read."""
    guardrails_config: GuardrailsSection | None = None
    """Guards of requests and answers."""
    audit_logs: AuditSection | None = None
    """A trail of what administrators did."""
    cluster_config: Mapping[str, object] | None = None
    """Several gateways that know of each other."""
    saml_config: Mapping[str, object] | None = None
    """Login through an identity provider."""
    load_balancer_config: Mapping[str, object] | None = None
    """Balancing across gateways."""
    encryption_key: Secret | None = None
    """Encrypts what the stores keep."""
