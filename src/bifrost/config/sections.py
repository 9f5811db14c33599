"""The shape of the sections whose rooms are not built yet: files are checked, and what they ask for is named."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal

import attrs

from bifrost.config.rules import Mark, at_least, between
from bifrost.config.secret import Secret
from bifrost.config.texts import ADDRESS, MCP_NAME, NAME

__all__ = [
    "STORE_CONFIGS",
    "AuditSection",
    "CompatSection",
    "FrameworkSection",
    "GuardrailsSection",
    "LargePayloadSection",
    "McpSection",
    "PluginSection",
    "PostgresSection",
    "StoreSection",
    "VectorStoreSection",
    "WebsocketSection",
]

NOTHING: Mapping[str, object] = MappingProxyType({})

EnvText = Annotated[str, Mark.FROM_ENV]
Tools = Annotated[tuple[Annotated[str, NAME], ...], Mark.WHITELIST]


@attrs.frozen(kw_only=True)
class PricingSection:
    pricing_url: Annotated[str | None, Mark.FROM_ENV, ADDRESS] = None
    """Where prices are fetched; absent, the bundled ones are used."""
    pricing_sync_interval: Annotated[int, at_least(3600)] = 86400
    """Seconds."""


@attrs.frozen(kw_only=True)
class FrameworkSection:
    """What the gateway knows of models."""

    pricing: PricingSection | None = None


@attrs.frozen(kw_only=True)
class StdioSection:
    command: Annotated[str, NAME]
    args: tuple[str, ...] = ()
    envs: tuple[Annotated[str, NAME], ...] = ()
    """Names of variables that must be set."""


@attrs.frozen(kw_only=True)
class HttpSection:
    url: Annotated[str, Mark.FROM_ENV, ADDRESS]


@attrs.frozen(kw_only=True)
class McpClientSection:
    """An MCP server whose tools are offered to models."""

    client_id: Annotated[str | None, NAME] = None
    name: Annotated[str, MCP_NAME]
    connection_type: Literal["http", "sse", "stdio"]
    connection_string: Secret | None = None
    """The server's address; needed for http and sse."""
    http_config: HttpSection | None = None
    stdio_config: StdioSection | None = None
    """Needed for stdio."""
    auth_type: Literal["none", "headers", "oauth"] = "headers"
    headers: Mapping[str, Secret] = attrs.field(factory=lambda: MappingProxyType({}))
    oauth_config_id: str | None = None
    tools_to_execute: Tools = ()
    tools_to_auto_execute: Tools = ()
    is_code_mode_client: bool = False
    is_ping_available: bool = True
    tool_sync_interval: int | str = 0
    """Minutes, or a duration; 0 is the global one, negative off."""
    tool_pricing: Mapping[str, Annotated[float, at_least(0)]] = attrs.field(
        factory=lambda: MappingProxyType({})
    )
    """Tool to US dollars for each successful execution."""
    allow_on_all_virtual_keys: bool = False


@attrs.frozen(kw_only=True)
class ToolManagerSection:
    max_agent_depth: Annotated[int, at_least(1)] = 10
    tool_execution_timeout: Annotated[int | str, at_least(1)] = 30
    """Seconds, or a duration."""
    code_mode_binding_level: Literal["server", "tool"] = "server"
    disable_auto_tool_inject: bool = False


@attrs.frozen(kw_only=True)
class McpSection:
    """MCP servers and what is done with their tools."""

    client_configs: tuple[McpClientSection, ...] = ()
    tool_manager_config: ToolManagerSection | None = None
    tool_sync_interval: int | str = 10
    """Minutes, or a duration."""


@attrs.frozen(kw_only=True)
class SqliteSection:
    path: Annotated[str, NAME]


@attrs.frozen(kw_only=True)
class PostgresSection:
    """Where Postgres is. Texts may be ``env.NAME``."""

    host: EnvText
    port: int | EnvText
    user: EnvText
    password: Secret | None = None
    db_name: EnvText
    ssl_mode: EnvText
    max_idle_conns: Annotated[int, at_least(1)] = 5
    max_open_conns: Annotated[int, at_least(1)] = 50


@attrs.frozen(kw_only=True)
class StoreSection:
    """Where configuration or logs are kept."""

    enabled: bool = True
    type: Literal["sqlite", "postgres"] = "sqlite"
    config: Mapping[str, object] = NOTHING
    """SQLite: ``path``. Postgres: ``host``, ``port``, ``user``, ``password``, ``db_name``, ``ssl_mode``, ``max_idle_conns``,
    ``max_open_conns``."""


@attrs.frozen(kw_only=True)
class GrpcSection:
    host: EnvText = ""
    secured: bool = False


@attrs.frozen(kw_only=True)
class WeaviateSection:
    scheme: EnvText
    host: EnvText
    api_key: Secret | None = None
    grpc_config: GrpcSection | None = None
    headers: Mapping[str, Secret] = attrs.field(factory=lambda: MappingProxyType({}))
    timeout: int | str | None = None
    class_name: str = "BifrostStore"
    properties: tuple[Mapping[str, object], ...] = ()


@attrs.frozen(kw_only=True)
class RedisSection:
    """Redis or Valkey. Times are durations or numbers."""

    addr: EnvText
    username: EnvText = ""
    password: Secret | None = None
    db: int | EnvText = 0
    pool_size: int | None = None
    max_active_conns: int | None = None
    min_idle_conns: int | None = None
    max_idle_conns: int | None = None
    conn_max_lifetime: int | str | None = None
    conn_max_idle_time: int | str | None = None
    dial_timeout: int | str | None = None
    read_timeout: int | str | None = None
    write_timeout: int | str | None = None
    context_timeout: int | str | None = None


@attrs.frozen(kw_only=True)
class QdrantSection:
    host: EnvText
    port: int | EnvText = 6334
    api_key: Secret | None = None
    use_tls: bool = False


@attrs.frozen(kw_only=True)
class PineconeSection:
    api_key: Secret
    index_host: EnvText


@attrs.frozen(kw_only=True)
class VectorStoreSection:
    """Where the semantic cache keeps its vectors."""

    enabled: bool = True
    type: Literal["weaviate", "redis", "qdrant", "pinecone"] = "weaviate"
    config: Mapping[str, object] = NOTHING
    """The keys of the chosen type."""


STORE_CONFIGS: Mapping[str, type] = MappingProxyType(
    {
        "sqlite": SqliteSection,
        "postgres": PostgresSection,
        "weaviate": WeaviateSection,
        "redis": RedisSection,
        "qdrant": QdrantSection,
        "pinecone": PineconeSection,
    }
)
"""What ``config`` of a store is, by its ``type``."""


@attrs.frozen(kw_only=True)
class PluginSection:
    """A filter, built in or your own."""

    name: Annotated[str, NAME]
    enabled: bool
    config: Mapping[str, object] = NOTHING
    path: str | None = None
    """A ``.py`` file or ``package.module:factory``."""
    version: Annotated[int, between(-32768, 32767)] = 1
    placement: Literal["pre_builtin", "post_builtin"] = "post_builtin"
    order: int = 0


@attrs.frozen(kw_only=True)
class WebsocketPoolSection:
    max_idle_per_key: Annotated[int, at_least(0)] = 50
    max_total_connections: Annotated[int, at_least(1)] = 1000
    idle_timeout_seconds: Annotated[int, at_least(1)] = 600
    max_connection_lifetime_seconds: Annotated[int, at_least(1)] = 7200


@attrs.frozen(kw_only=True)
class WebsocketSection:
    """Connections of the realtime API."""

    max_connections_per_user: Annotated[int, at_least(1)] = 100
    transcript_buffer_size: Annotated[int, at_least(1)] = 100
    pool: WebsocketPoolSection | None = None


@attrs.frozen(kw_only=True)
class LargePayloadSection:
    """Bodies that are relayed without being read."""

    enabled: bool = False
    request_threshold_bytes: Annotated[int, at_least(1)] = 10485760
    response_threshold_bytes: Annotated[int, at_least(1)] = 10485760
    prefetch_size_bytes: Annotated[int, at_least(1)] = 65536
    max_payload_bytes: Annotated[int, at_least(1)] = 524288000
    truncated_log_bytes: Annotated[int, at_least(0)] = 1048576


@attrs.frozen(kw_only=True)
class CompatSection:
    """Translations between kinds of request."""

    convert_text_to_chat: bool = False
    convert_chat_to_responses: bool = False
    should_drop_params: bool = False


@attrs.frozen(kw_only=True)
class GuardrailRuleSection:
    """When a guard looks at a call."""

    id: int | str
    name: Annotated[str, NAME]
    description: str = ""
    enabled: bool = True
    cel_expression: str = ""
    apply_to: Literal["input", "output", "both"] = "both"
    sampling_rate: Annotated[float, between(0, 100)] = 100.0
    timeout: Annotated[int, at_least(0)] = 0
    """Milliseconds."""
    provider_config_ids: tuple[int | str, ...] = ()


@attrs.frozen(kw_only=True)
class GuardrailProviderSection:
    """Who looks."""

    id: int | str
    provider_name: Literal["bedrock", "azure", "grayswan", "patronus"]
    policy_name: str = ""
    enabled: bool = True
    timeout: Annotated[int, at_least(0)] = 0
    config: Mapping[str, object] = NOTHING


@attrs.frozen(kw_only=True)
class GuardrailsSection:
    """Guards of requests and answers."""

    guardrail_rules: tuple[GuardrailRuleSection, ...] = ()
    guardrail_providers: tuple[GuardrailProviderSection, ...] = ()


@attrs.frozen(kw_only=True)
class AuditSection:
    """A trail of what administrators did."""

    disabled: bool = False
    hmac_key: Secret | None = None
    retention_days: Annotated[int, at_least(0)] = 0
    """0 keeps it for ever."""
