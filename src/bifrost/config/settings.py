"""What a configuration is once it is read: frozen, checked, with every default written down.

One class a section of ``config.yaml``; one attribute a key, with the file's own name where it has one. The
reference in ``docs/configuration.md`` and the JSON Schema are generated from these classes, so each
attribute's docstring is documentation for users, and what ``Annotated`` says beside its type (``config.rules``) is
what ``config.load`` checks.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal

import attrs

from bifrost.config.governance_section import AuthSection, GovernanceSection
from bifrost.config.key_configs import (
    AzureKeySettings,
    BedrockKeySettings,
    DeploymentSettings,
    ServerSettings,
    VertexKeySettings,
    VllmKeySettings,
)
from bifrost.config.names import ALLOWED_REQUESTS
from bifrost.config.rules import (
    AlsoSpelt,
    Inside,
    Mark,
    Named,
    Names,
    Range,
    at_least,
    between,
    positive,
)
from bifrost.config.secret import Secret
from bifrost.config.sections import PluginSection, PostgresSection, PricingSection
from bifrost.config.texts import (
    ADDRESS,
    HEADER_NAME,
    HEADER_PATTERN,
    HEADER_VALUE,
    LABEL_NAME,
    NAME,
    ORIGIN,
    PEM,
    PROXY_ADDRESS,
    ROUTE,
)

__all__ = [
    "EMPTY",
    "BreakerSettings",
    "ClientSettings",
    "Config",
    "ConfigStoreSettings",
    "CustomProviderSettings",
    "HeaderFilterSettings",
    "KeySettings",
    "LogsStoreSettings",
    "NetworkSettings",
    "ProviderSettings",
    "ProxySettings",
]

EMPTY: Mapping[str, str] = MappingProxyType({})


@attrs.frozen(kw_only=True)
class KeySettings:
    """One upstream credential of a provider."""

    id: Annotated[str, Mark.GENERATED]
    """Stable identity; generated from provider and name when the file has none."""
    name: Annotated[str, NAME]
    """Handle for people and for the header ``x-bf-api-key``; unique over all providers."""
    value: Secret = attrs.field(factory=lambda: Secret(""))
    """The credential, or ``env.NAME``."""
    models: Annotated[tuple[Annotated[str, NAME], ...], Mark.WHITELIST] = ("*",)
    """Models this key may serve, as callers name them. ``["*"]`` all, ``[]`` none."""
    blacklisted_models: Annotated[tuple[Annotated[str, NAME], ...], Mark.NO_DUPLICATES] = ()
    """Models this key must not serve; wins over ``models``."""
    weight: Annotated[float, at_least(0)] = 1.0
    """Share of the traffic among usable keys; 0 is drawn only if all are 0, and can still be pinned."""
    enabled: bool = True
    """A disabled key is as if it were not there."""
    use_for_batch_api: bool = True
    """Whether batch and file calls may use this key."""
    url: Annotated[str | None, Mark.DERIVED] = None
    """Where this key's own server is (vllm, ollama, sgl); else the provider's ``base_url``."""
    model_name: Annotated[str | None, Mark.DERIVED] = None
    """The one model a vllm server runs; requests for others pass this key over."""
    deployments: Annotated[Mapping[str, str], Mark.DERIVED] = EMPTY
    """Requested model to the provider's deployment, where it has such."""
    azure: Annotated[AzureKeySettings | None, Named("azure_key_config")] = None
    """Where an Azure resource is, and how to log in to it."""
    vertex: Annotated[VertexKeySettings | None, Named("vertex_key_config")] = None
    """Which Google Cloud project serves, and how to log in to it."""
    bedrock: Annotated[BedrockKeySettings | None, Named("bedrock_key_config")] = None
    """Which AWS region serves, and how to sign."""
    replicate: Annotated[DeploymentSettings | None, Named("replicate_key_config")] = None
    """Deployments at Replicate."""
    huggingface: Annotated[DeploymentSettings | None, Named("huggingface_key_config")] = None
    """Deployments at Hugging Face."""
    vllm: Annotated[VllmKeySettings | None, Named("vllm_key_config")] = None
    """A vLLM server of your own."""
    ollama: Annotated[ServerSettings | None, Named("ollama_key_config")] = None
    """An Ollama server of your own."""
    sgl: Annotated[ServerSettings | None, Named("sgl_key_config")] = None
    """An SGLang server of your own."""


@attrs.frozen(kw_only=True)
class NetworkSettings:
    """How a provider's upstream is reached."""

    base_url: Annotated[str | None, Mark.FROM_ENV, ADDRESS] = None
    """Another address than the provider's own. An operator's address is trusted, private ones too. May be ``env.NAME``."""
    extra_headers: Mapping[str, Annotated[str, Mark.FROM_ENV, HEADER_VALUE]] = EMPTY
    """Sent with every request that has no such header of its own; never replaces the credential. Values may be ``env.NAME``."""
    connect_timeout_s: Annotated[float, positive(3600)] = 10.0
    """To open a connection, TLS included."""
    default_request_timeout_in_seconds: Annotated[
        float, positive(86400), Mark.DEFAULT_UNLESS_POSITIVE
    ] = 30.0
    """One attempt: until the response's head is there, and between two reads of a plain body. From 4 s on, kept to half a second."""
    stream_idle_timeout_in_seconds: Annotated[
        float, positive(3600), Mark.DEFAULT_UNLESS_POSITIVE
    ] = 60.0
    """Between two reads of a stream, counted only while the gateway waits for the upstream. From 4 s on, kept to half a second."""
    total_timeout_s: Annotated[float, positive(604800)] = 3600.0
    """One attempt, from connect to its last byte."""
    max_retries: Annotated[int, between(0, 100)] = 2
    """Tries after the first on the same target."""
    retry_backoff_initial: Annotated[
        int, AlsoSpelt("retry_backoff_initial_ms"), between(0, 3600000)
    ] = 500
    """Milliseconds before the first retry; doubles each time, with 20 % jitter."""
    retry_backoff_max: Annotated[int, AlsoSpelt("retry_backoff_max_ms"), between(0, 3600000)] = 5000
    """Milliseconds; no back-off is longer."""
    max_conns_per_host: Annotated[
        int, Range(low=1, high=10000, clamps=True), Mark.DEFAULT_UNLESS_POSITIVE
    ] = 5000
    """Connections to one address at a time; more than 10000 is read as 10000."""
    insecure_skip_verify: bool = False
    """Accept any certificate. Warned about at every start."""
    ca_cert_pem: Annotated[str, Mark.FROM_ENV, PEM] = ""
    """Certificate authorities in PEM, in addition to the system's."""
    enforce_http2: bool = False
    """Speak HTTP/2 through httpx; needs the extra ``proxy``."""
    beta_header_overrides: Mapping[str, bool] = attrs.field(factory=lambda: MappingProxyType({}))
    """Anthropic beta header prefixes, to whether they are sent on."""


@attrs.frozen(kw_only=True)
class ProxySettings:
    """A proxy between the gateway and the provider; needs the extra ``proxy``."""

    type: Literal["none", "http", "socks5", "environment"] = "none"
    """``environment`` reads ``HTTP_PROXY``, ``HTTPS_PROXY`` and ``NO_PROXY``."""
    url: Annotated[str | None, Mark.FROM_ENV, PROXY_ADDRESS] = None
    """Where the proxy is; needed for ``http`` and ``socks5``."""
    username: Annotated[str | None, Mark.FROM_ENV] = None
    """Together with ``password``, or not at all."""
    password: Secret | None = None
    ca_cert_pem: Annotated[str, Mark.FROM_ENV, PEM] = ""
    """Certificate authorities of the proxy's own TLS, in PEM."""


@attrs.frozen(kw_only=True)
class CustomProviderSettings:
    """Makes a provider of your own out of a known dialect."""

    base_provider_type: Annotated[str, Mark.GENERATED]
    """``openai``, ``anthropic``, ``bedrock``, ``cohere``, ``gemini``, ``huggingface`` or ``replicate``."""
    is_key_less: bool = False
    """Called without a credential; has no meaning for bedrock."""
    allowed_requests: Annotated[Mapping[str, bool] | None, Names(ALLOWED_REQUESTS)] = None
    """Absent allows every operation; present, only those set to true."""
    request_path_overrides: Annotated[Mapping[str, str], Names(ALLOWED_REQUESTS)] = EMPTY
    """Operation to path (a leading ``/`` is added) or absolute URL."""


@attrs.frozen(kw_only=True)
class BreakerSettings:
    """When a key is taken out of rotation for failing, and how it comes back."""

    failure_threshold: Annotated[int, at_least(1)] = 5
    """Failures in a row that open the circuit."""
    open_seconds: Annotated[float, positive(300)] = 10.0
    """How long it stays open; doubles up to 300 each time a probe fails."""
    half_open_max: Annotated[int, at_least(1)] = 1
    """Trial requests at a time while half-open."""
    success_to_close: Annotated[int, at_least(1)] = 2
    """Successful trials that close it."""


@attrs.frozen(kw_only=True)
class ProviderSettings:
    """A provider and its pool of keys."""

    name: Annotated[str, Mark.MAP_KEY]
    keys: tuple[KeySettings, ...] = ()
    """Its credentials; traffic is spread over those that can serve a call, by weight."""
    network: Annotated[NetworkSettings, Named("network_config")] = attrs.field(
        factory=NetworkSettings
    )
    """How its upstream is reached."""
    proxy: Annotated[ProxySettings | None, Named("proxy_config")] = None
    """A proxy in between."""
    custom: Annotated[CustomProviderSettings | None, Named("custom_provider_config")] = None
    """Makes a provider of your own, under any name that is not built in."""
    concurrency: Annotated[int, Inside("concurrency_and_buffer_size"), at_least(1)] = 1000
    """Attempts at a time, open streams counted; at most ``buffer_size``."""
    buffer_size: Annotated[int, Inside("concurrency_and_buffer_size"), at_least(1)] = 5000
    """Waiting callers where ``drop_excess_requests`` is on."""
    send_back_raw_request: bool = False
    """Answers show the request as it went upstream."""
    send_back_raw_response: bool = False
    """Answers show the upstream's answer as it came."""
    store_raw_request_response: bool = False
    """Both are kept for the log, and not shown."""
    key_retry_policy: Literal["rotate", "sticky"] = "rotate"
    """``rotate``: another key by error class; ``sticky``: retries stay on the first key."""
    retry_on_timeout: bool = False
    """Whether silence of the upstream is retried on the same target."""
    retry_after_cap: Annotated[float, between(0, 86400)] = 60.0
    """Seconds; a longer ``Retry-After`` is not waited for, the call falls back instead."""
    retry_budget: Annotated[float, between(0, 1)] = 0.2
    """Retries as a share of recent traffic; a floor of 10 a second keeps quiet gateways retrying. 0 turns the budget off."""
    hedge_after_ms: Annotated[int | None, at_least(1)] = None
    """Race a second key against a first that is silent for so long. Off when absent."""
    balancing: Literal["static", "adaptive"] = "static"
    """``adaptive`` lets errors and slowness lower a key's weight."""
    count_streams: bool = True
    """Whether an open stream holds its slot to its end."""
    breaker: Annotated[BreakerSettings, Mark.SPREAD] = attrs.field(factory=BreakerSettings)
    """When a key is taken out of rotation. Its four keys stand among the provider's own."""
    disable_store: Annotated[bool, Inside("openai_config")] = False
    """Forces ``store: false``."""
    pricing_overrides: tuple[Mapping[str, object], ...] = ()
    """Prices of this provider's models, in the shape of version 1.4."""


@attrs.frozen(kw_only=True)
class HeaderFilterSettings:
    """Which of a caller's headers go upstream. Patterns: exact or with a trailing ``*``; deny wins."""

    allowlist: tuple[Annotated[str, HEADER_PATTERN], ...] = ()
    """If not empty, only these go upstream, and these do without the prefix ``x-bf-eh-`` too."""
    denylist: tuple[Annotated[str, HEADER_PATTERN], ...] = ()
    """These never go upstream."""


@attrs.frozen(kw_only=True)
class ClientSettings:
    """How the gateway treats those who call it."""

    drop_excess_requests: bool = False
    """A full provider line refuses (429) instead of keeping callers waiting."""
    prometheus_labels: Annotated[
        tuple[Annotated[str, LABEL_NAME], ...], Mark.NO_DUPLICATES, Mark.RESTART
    ] = ()
    """Labels of your own on every request metric; their values come in ``x-bf-prom-<label>``."""
    allowed_origins: Annotated[tuple[Annotated[str, ORIGIN], ...], Mark.RESTART] = ("*",)
    """Who may call from a browser: ``*``, an origin, or ``https://*.example.com``. Localhost always may."""
    allowed_headers: Annotated[tuple[Annotated[str, HEADER_NAME], ...], Mark.RESTART] = ()
    """Further request headers that browsers may send."""
    enable_logging: Annotated[bool, Mark.RESTART] = True
    """Whether requests are logged."""
    disable_content_logging: bool = False
    """Keep what was asked and answered out of the log."""
    disable_db_pings_in_health: bool = False
    """``/health`` does not ask the stores."""
    log_retention_days: Annotated[int, at_least(1), Mark.RESTART] = 365
    """Days that log rows are kept."""
    enforce_auth_on_inference: Annotated[
        bool, AlsoSpelt("enforce_governance_header", "enforce_scim_auth")
    ] = False
    """Refuse calls without a virtual key."""
    allow_direct_keys: bool = False
    """Accept a provider's own key in the caller's headers."""
    max_request_body_size_mb: Annotated[int, between(1, 4096), Mark.RESTART] = 100
    """Larger bodies are refused with 413."""
    enable_litellm_fallbacks: bool = False
    """Older spelling of ``compat.convert_text_to_chat``."""
    header_filter_config: HeaderFilterSettings = attrs.field(factory=HeaderFilterSettings)
    """Which of a caller's headers go upstream."""
    async_job_result_ttl: Annotated[int, between(1, 315_360_000)] = 3600
    """Seconds that the result of an asynchronous job is kept."""
    async_job_concurrency: Annotated[int, between(1, 10_000)] = 64
    """Asynchronous jobs run at a time; the others wait, in the order of their coming."""
    async_job_max_open: Annotated[int, between(1, 1_000_000)] = 10_000
    """Asynchronous jobs that wait or run; beyond it 429 ``queue_full``."""
    async_job_max_body_mb: Annotated[int, between(1, 512)] = 100
    """Larger bodies of asynchronous jobs are refused with 413."""
    async_job_max_result_mb: Annotated[int, between(1, 512)] = 100
    """An asynchronous job with a larger result fails."""
    async_job_max_stored_mb: Annotated[int, between(1, 1_048_576)] = 4096
    """Bodies and results of all asynchronous jobs together; beyond it no more are taken (429 ``queue_full``)."""
    required_headers: tuple[Annotated[str, HEADER_NAME], ...] = ()
    """Calls that lack one of these are refused with 400."""
    logging_headers: tuple[Annotated[str, HEADER_NAME], ...] = ()
    """Request headers that go into the log."""
    whitelisted_routes: tuple[Annotated[str, ROUTE], ...] = ()
    """Management routes that need no login; a trailing ``*`` stands for the rest."""
    hide_deleted_virtual_keys_in_filters: bool = False
    """Leave deleted virtual keys out of the log page's filters."""
    mcp_agent_depth: Annotated[int, at_least(1)] = 10
    """Rounds of tool calls that the gateway makes by itself."""
    mcp_tool_execution_timeout: Annotated[int, at_least(1)] = 30
    """Seconds for one tool call."""
    mcp_code_mode_binding_level: Literal["server", "tool"] = "server"
    """How code mode groups its files."""
    mcp_tool_sync_interval: Annotated[int, at_least(0), Mark.RESTART] = 10
    """Minutes between two looks at the servers' tools; 0 turns it off."""
    initial_pool_size: Annotated[int, at_least(1), Mark.RESTART] = 5000
    """Accepted for the original's files; there are no object pools here."""
    max_inflight: Annotated[int, at_least(1)] = 10000
    """Exchanges served at a time; beyond it 503 ``overloaded``."""
    sse_keepalive_s: Annotated[float, between(0, 3600)] = 15.0
    """Silence on a stream before a comment line is sent; 0 turns it off. From 4 s on, kept to half a second."""
    body_timeout_s: Annotated[float, positive(86400)] = 60.0
    """For a caller to send the whole body."""
    send_extra_fields: bool = True
    """Whether answers carry ``extra_fields``."""
    fallback_on: Literal["server", "all"] = "server"
    """``all`` also tries fallbacks after the caller's own 400, 413 and 422."""
    include_attempts: bool = False
    """Whether errors list their attempts in ``extra_fields``."""
    drain_timeout_s: Annotated[float, between(0, 86400)] = 30.0
    """How long running exchanges may go on after SIGTERM."""
    allow_private_network: bool = False
    """Whether URLs named by callers may resolve to private addresses."""
    relay_admin_routes: bool = False
    """Whether routes that govern a provider's account (organization, projects, webhooks, vaults) are relayed."""


@attrs.frozen(kw_only=True)
class LogsStoreSettings:
    """Where asynchronous jobs, and one day logs, are kept: a SQLite file."""

    path: str | None = None
    """As the file has it, relative to the working directory; ``None`` is ``logs.db`` in the app directory."""


@attrs.frozen(kw_only=True)
class ConfigStoreSettings:
    """Where the configuration is kept: in Postgres, or else in a SQLite file."""

    path: str | None = None
    """As the file has it, relative to the working directory; ``None`` is ``config.db`` in the app directory."""
    postgres: PostgresSection | None = None


@attrs.frozen(kw_only=True)
class Config:
    """A whole configuration, as read."""

    client: ClientSettings = attrs.field(factory=ClientSettings)
    providers: Mapping[str, ProviderSettings] = attrs.field(factory=lambda: MappingProxyType({}))
    logs_store: LogsStoreSettings | None = attrs.field(factory=LogsStoreSettings)
    """``None`` if it is switched off, or of a kind that is not built yet."""
    governance: GovernanceSection | None = None
    """Budgets and rate limits are with their owners; the login is in ``auth``."""
    auth: AuthSection | None = None
    """From ``governance.auth_config``, or its older place."""
    plugins: tuple[PluginSection, ...] = ()
    """Those of the operator's own; what is built in is no plugin here."""
    pricing: PricingSection | None = None
    """From ``framework.pricing``."""
    config_store: ConfigStoreSettings | None = attrs.field(factory=ConfigStoreSettings)
    """``None`` if it is switched off: then the file is all there is."""
    encryption_key: Secret | None = None
    """What the configuration store's secrets are sealed with; from the file or ``BIFROST_ENCRYPTION_KEY``."""
    unbuilt: tuple[str, ...] = ()
    """Sections that were checked but whose room is not built yet; named in one warning."""
    unguarded: tuple[str, ...] = ()
    """Protections the file asks for that are not built yet; serving refuses without ``--insecure``."""
    warnings: tuple[str, ...] = ()
    """What the operator should know: unset references, empty model lists, certificates unchecked."""
