"""What becomes of each field of an OpenAI request in Gemini's dialect.

Source: Gemini API reference, "GenerateContent", "GenerationConfig" and "Embeddings", 2026-11.
"""

from __future__ import annotations

from types import MappingProxyType

from bifrost.dialects.fields import Fields, dropped, mapped

__all__ = ["EMBEDDING_FIELDS", "FIELDS", "USED", "USED_BY_EMBEDDINGS"]

FIELDS: Fields = MappingProxyType(
    {
        "max_completion_tokens": mapped("generationConfig.maxOutputTokens", "no default"),
        "max_tokens": mapped("generationConfig.maxOutputTokens"),
        "temperature": mapped("generationConfig.temperature"),
        "top_p": mapped("generationConfig.topP"),
        "top_k": mapped("generationConfig.topK"),
        "presence_penalty": mapped("generationConfig.presencePenalty"),
        "frequency_penalty": mapped("generationConfig.frequencyPenalty"),
        "seed": mapped("generationConfig.seed"),
        "stop": mapped("generationConfig.stopSequences", "at most 5"),
        "n": mapped("generationConfig.candidateCount", "at most 8"),
        "logprobs": mapped("generationConfig.responseLogprobs"),
        "top_logprobs": mapped("generationConfig.logprobs", "at most 20"),
        "modalities": mapped("generationConfig.responseModalities"),
        "response_format": mapped(
            "generationConfig.responseMimeType, responseJsonSchema",
            "keywords that Gemini does not know are taken out of the schema and named",
        ),
        "response_mime_type": mapped("generationConfig.responseMimeType"),
        "response_json_schema": mapped("generationConfig.responseJsonSchema", "as it is"),
        "reasoning": mapped("generationConfig.thinkingConfig", "of models that think"),
        "reasoning_effort": mapped("generationConfig.thinkingConfig", "of models that think"),
        "reasoning_max_tokens": mapped("generationConfig.thinkingConfig", "of models that think"),
        "tools": mapped(
            "tools",
            "functions; google_search, code_execution and url_context by their types, before Gemini 3 only where there are no functions",
        ),
        "tool_choice": mapped("toolConfig.functionCallingConfig"),
        "web_search_options": mapped("tools.googleSearch", "what is in it is dropped"),
        "safety_settings": mapped("safetySettings"),
        "cached_content": mapped("cachedContent"),
        "labels": mapped("labels"),
        "audio": dropped(),
        "logit_bias": dropped(),
        "metadata": dropped(),
        "parallel_tool_calls": dropped("true is what Gemini does anyhow"),
        "prediction": dropped(),
        "prompt_cache_key": dropped(),
        "prompt_cache_retention": dropped(),
        "safety_identifier": dropped(),
        "service_tier": dropped(),
        "store": dropped(),
        "user": dropped(),
        "verbosity": dropped(),
    }
)

USED = frozenset(
    {
        "top_k",
        "response_mime_type",
        "response_json_schema",
        "safety_settings",
        "cached_content",
        "labels",
    }
)
"""What chat takes by name out of ``extra_params``."""

EMBEDDING_FIELDS: Fields = MappingProxyType(
    {
        "input": mapped("requests.content", "texts, no tokens"),
        "dimensions": mapped("requests.outputDimensionality"),
        "encoding_format": mapped("", "base64 is made by the gateway"),
        "task_type": mapped("requests.taskType"),
        "title": mapped("requests.title"),
        "user": dropped(),
    }
)

USED_BY_EMBEDDINGS = frozenset({"task_type", "title"})
