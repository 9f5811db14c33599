"""Whom the gateway can call: one row a provider."""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

import attrs

from bifrost.dialects.mistral_transcript import MistralTranscript
from bifrost.dialects.openai_chat_request import Quirks
from bifrost.errors import ConfigurationMissing
from bifrost.providers.anthropic import ANTHROPIC_PROVIDER
from bifrost.providers.azure import azure
from bifrost.providers.bedrock import BEDROCK
from bifrost.providers.cohere import COHERE
from bifrost.providers.elevenlabs import ELEVENLABS
from bifrost.providers.foreign import ForeignSpec, foreign
from bifrost.providers.gemini import GEMINI
from bifrost.providers.huggingface import hugging_face
from bifrost.providers.openai_compatible import openai_compatible
from bifrost.providers.replicate import REPLICATE
from bifrost.providers.spec import OPENAI_PATHS, ProviderSpec, paths
from bifrost.providers.vertex import vertex
from bifrost.schema.call import Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bifrost.config.settings import CustomProviderSettings, ProviderSettings
    from bifrost.providers.base import Adapter

__all__ = ["BASE_TYPES", "BUILT", "KNOWN_PROVIDERS", "build_adapter"]

UNKNOWN_TO_MOST = (
    "prediction",
    "prompt_cache_key",
    "prompt_cache_retention",
    "verbosity",
    "store",
    "web_search_options",
)
"""OpenAI's own parameters that the other vendors refuse or ignore."""


def _without(*names: str) -> tuple[str, ...]:
    return tuple(name for name in UNKNOWN_TO_MOST if name not in names)


COMPATIBLE = Quirks(drops=UNKNOWN_TO_MOST, knows_minimal=False)

TOP_K = ("top_k",)
"""What these know besides. Sources: OpenRouter's, Fireworks', SGLang's and vLLM's documentation, 2026-11."""

OF_PERPLEXITY = (
    "search_mode",
    "language_preference",
    "search_domain_filter",
    "return_images",
    "return_related_questions",
    "search_recency_filter",
    "search_after_date_filter",
    "search_before_date_filter",
    "last_updated_after_filter",
    "last_updated_before_filter",
    "top_k",
    "disable_search",
    "enable_search_classifier",
    "num_search_results",
    "num_images",
    "search_language_filter",
    "image_format_filter",
    "image_domain_filter",
    "safe_search",
    "stream_mode",
    "media_response",
)
"""What Perplexity knows besides. Source: its API reference, "Chat completions", 2026-11."""

Op = Operation
"""The table has it in every line."""

CHAT_AND_TEXT = paths(Op.LIST_MODELS, Op.TEXT)
SELF_HOSTED = paths(Op.LIST_MODELS, Op.TEXT, Op.EMBEDDING)
EVERYTHING_OF_OPENAI: Mapping[Operation, str] = MappingProxyType(
    {name: path for name, path in OPENAI_PATHS.items() if name is not Op.RERANK}
)

ROWS = (
    ProviderSpec(
        name="openai", base_url="https://api.openai.com", paths=EVERYTHING_OF_OPENAI, relays=True
    ),
    ProviderSpec(
        name="mock",
        base_url="http://mock.invalid",
        paths=paths(Op.LIST_MODELS),
        auth="none",
        may_be_blank=True,
        quirks=Quirks(also_takes=("mock",)),
    ),
    ProviderSpec(
        name="groq",
        plain_only=frozenset({Op.SPEECH, Op.TRANSCRIPTION}),
        base_url="https://api.groq.com/openai",
        paths=paths(Op.LIST_MODELS, Op.SPEECH, Op.TRANSCRIPTION, Op.TRANSLATION),
        quirks=COMPATIBLE,
    ),
    ProviderSpec(
        name="mistral",
        base_url="https://api.mistral.ai",
        paths=paths(Op.LIST_MODELS, Op.EMBEDDING, Op.TRANSCRIPTION),
        quirks=attrs.evolve(COMPATIBLE, old_max_tokens=True, any_tool=True),
        streams=MappingProxyType({Op.TRANSCRIPTION: MistralTranscript}),
    ),
    ProviderSpec(
        name="openrouter",
        base_url="https://openrouter.ai/api",
        paths=paths(Op.LIST_MODELS, Op.TEXT, Op.RESPONSES),
        quirks=attrs.evolve(COMPATIBLE, keeps_extensions=True, also_takes=TOP_K),
    ),
    ProviderSpec(
        name="xai",
        plain_only=frozenset({Op.IMAGE}),
        base_url="https://api.x.ai",
        paths=paths(Op.LIST_MODELS, Op.TEXT, Op.RESPONSES, Op.IMAGE),
        quirks=attrs.evolve(COMPATIBLE, is_grok=True),
    ),
    ProviderSpec(
        name="cerebras",
        base_url="https://api.cerebras.ai",
        paths=CHAT_AND_TEXT,
        quirks=COMPATIBLE,
        ends_without_done=True,
        rate_family="cerebras",
    ),
    ProviderSpec(
        name="perplexity",
        base_url="https://api.perplexity.ai",
        paths=MappingProxyType({Op.CHAT: "/chat/completions"}),
        quirks=attrs.evolve(
            COMPATIBLE,
            drops=_without("web_search_options"),
            old_max_tokens=True,
            estimates_effort=False,
            also_takes=OF_PERPLEXITY,
        ),
        ends_without_done=True,
    ),
    ProviderSpec(
        name="fireworks",
        base_url="https://api.fireworks.ai/inference",
        paths=paths(Op.LIST_MODELS),
        quirks=attrs.evolve(
            COMPATIBLE,
            drops=_without("prediction"),
            user_from_cache_key=True,
            also_takes=TOP_K,
            drops_reasoning_text=True,
        ),
    ),
    ProviderSpec(
        name="nebius",
        plain_only=frozenset({Op.IMAGE}),
        base_url="https://api.tokenfactory.nebius.com",
        paths=paths(Op.LIST_MODELS, Op.TEXT, Op.EMBEDDING, Op.IMAGE),
        quirks=attrs.evolve(COMPATIBLE, query_params=("ai_project_id",)),
    ),
    ProviderSpec(
        name="parasail",
        base_url="https://api.parasail.io",
        paths=paths(Op.LIST_MODELS),
        quirks=COMPATIBLE,
    ),
    ProviderSpec(
        name="ollama",
        base_url=None,
        paths=SELF_HOSTED,
        quirks=COMPATIBLE,
        may_be_blank=True,
        has_key_urls=True,
    ),
    ProviderSpec(
        name="sgl",
        base_url=None,
        paths=SELF_HOSTED,
        quirks=attrs.evolve(COMPATIBLE, also_takes=TOP_K),
        may_be_blank=True,
        has_key_urls=True,
    ),
    ProviderSpec(
        name="vllm",
        base_url=None,
        paths=paths(Op.LIST_MODELS, Op.TEXT, Op.EMBEDDING, Op.RERANK, Op.TRANSCRIPTION),
        perhaps_unversioned=frozenset({Op.RERANK}),
        quirks=attrs.evolve(COMPATIBLE, also_takes=TOP_K),
        may_be_blank=True,
        has_key_urls=True,
    ),
)

BUILT: Mapping[str, ProviderSpec] = MappingProxyType({row.name: row for row in ROWS})
"""Rows by name."""

FOREIGN: Mapping[str, ForeignSpec] = MappingProxyType(
    {
        "anthropic": ANTHROPIC_PROVIDER,
        BEDROCK.name: BEDROCK,
        COHERE.name: COHERE,
        ELEVENLABS.name: ELEVENLABS,
        REPLICATE.name: REPLICATE,
        GEMINI.name: GEMINI,
    }
)
"""Rows of those who do not speak OpenAI's dialect, by name."""

MIXED: Mapping[str, Callable[[ProviderSettings], Adapter]] = MappingProxyType(
    {
        "azure": azure,
        "huggingface": partial(hugging_face, quirks=COMPATIBLE),
        "vertex": partial(
            vertex,
            quirks=COMPATIBLE,
            mistral=attrs.evolve(COMPATIBLE, old_max_tokens=True, any_tool=True),
        ),
    }
)
"""Those who speak several dialects, by the model or the operation asked for."""

UNBUILT = frozenset(
    [
        "runway",
    ]
)
"""Providers with a dialect of their own that is still to come."""

KNOWN_PROVIDERS = frozenset(BUILT) | frozenset(FOREIGN) | frozenset(MIXED) | UNBUILT
"""Names that no custom provider may take."""

BASE_TYPES = frozenset(
    ["anthropic", "bedrock", "cohere", "gemini", "huggingface", "openai", "replicate"]
)
"""What a custom provider may be made of."""


def build_adapter(settings: ProviderSettings) -> Adapter:
    """The adapter for ``settings``.

    Raises ConfigurationMissing if the provider is unknown or not built, or an address is lacking.
    """
    if settings.custom is not None and settings.name not in KNOWN_PROVIDERS:
        foreign_row = FOREIGN.get(settings.custom.base_provider_type)
        if foreign_row is not None:
            return foreign(foreign_row, settings)
        if settings.custom.base_provider_type == "huggingface":
            return MIXED["huggingface"](settings)
        return openai_compatible(_custom_spec(settings.name, settings.custom), settings)
    if settings.name in MIXED:
        return MIXED[settings.name](settings)
    if settings.name in FOREIGN:
        return foreign(FOREIGN[settings.name], settings)
    row = BUILT.get(settings.name)
    if row is None:
        raise ConfigurationMissing(_why_not(settings.name))
    return openai_compatible(row, settings)


def _custom_spec(name: str, custom: CustomProviderSettings) -> ProviderSpec:
    base = custom.base_provider_type
    if not base:
        raise ConfigurationMissing(f"provider {name}: missing base provider type")
    if base not in BASE_TYPES:
        raise ConfigurationMissing(f"provider {name}: unsupported base provider type: {base}")
    row = BUILT[base]
    # OpenAI itself has no rerank; a server of one's own that speaks its dialect may.
    paths = OPENAI_PATHS if base == "openai" else row.paths
    return attrs.evolve(row, name=name, paths=paths)


def _why_not(name: str) -> str:
    if name in UNBUILT:
        return f"provider {name} is known, but its API is not built yet; built are: {', '.join(sorted({*BUILT, *FOREIGN, *MIXED}))}"
    return f"unknown provider: {name}; a provider of your own needs custom_provider_config"
