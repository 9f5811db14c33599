"""Names that the outside world has fixed: providers, operations of custom providers, security headers."""

from __future__ import annotations

__all__ = [
    "ALLOWED_REQUESTS",
    "BASE_TYPES",
    "BUILT_IN",
    "KEYLESS",
    "MAY_BE_BLANK",
    "NO_PATH_OVERRIDES",
    "SECURITY_HEADERS",
    "UNBUILT_DIALECTS",
    "WITHOUT_ADDRESS",
]

BUILT_IN = frozenset({
    "openai", "azure", "anthropic", "bedrock", "cohere", "vertex", "mistral", "ollama", "groq", "sgl", "parasail",
    "perplexity", "cerebras", "gemini", "openrouter", "elevenlabs", "huggingface", "nebius", "xai", "replicate", "vllm",
    "runway", "fireworks", "mock",
})  # fmt: skip
"""Providers known without ``custom_provider_config``."""

UNBUILT_DIALECTS = frozenset({
    "runway",
})  # fmt: skip
"""Known providers that the gateway does not speak to yet; their sections are checked and kept."""

BASE_TYPES = ("anthropic", "bedrock", "cohere", "gemini", "openai", "huggingface", "replicate")
"""What a custom provider may be made of."""

NO_PATH_OVERRIDES = frozenset({"bedrock", "gemini"})
"""Base types whose paths carry the model, so that ``request_path_overrides`` has no meaning."""

KEYLESS = frozenset({"mock", "ollama", "sgl"})
"""Served without any key configured."""

MAY_BE_BLANK = frozenset({"azure", "bedrock", "vertex", "vllm", "mock", "ollama", "sgl"})
"""Their keys may have no ``value``."""

WITHOUT_ADDRESS = frozenset({"ollama", "sgl", "vllm"})
"""Providers whose servers are the operator's own: no address is known unless it is configured."""

ALLOWED_REQUESTS = (
    "list_models", "text_completion", "text_completion_stream", "chat_completion", "chat_completion_stream",
    "responses", "responses_stream", "count_tokens", "embedding", "rerank", "speech", "speech_stream",
    "transcription", "transcription_stream", "image_generation", "image_generation_stream", "image_edit",
    "image_edit_stream", "image_variation", "video_generation", "video_retrieve", "video_download", "video_delete",
    "video_list", "video_remix", "batch_create", "batch_list", "batch_retrieve", "batch_cancel", "batch_delete",
    "batch_results", "file_upload", "file_list", "file_retrieve", "file_delete", "file_content", "container_create",
    "container_list", "container_retrieve", "container_delete", "container_file_create", "container_file_list",
    "container_file_retrieve", "container_file_content", "container_file_delete", "passthrough",
    "passthrough_stream", "websocket_responses", "realtime",
)  # fmt: skip
"""Operations of ``allowed_requests`` and ``request_path_overrides``."""

SECURITY_HEADERS = frozenset({
    "authorization", "proxy-authorization", "cookie", "set-cookie", "host", "content-length", "connection",
    "transfer-encoding", "api-key", "x-api-key", "x-goog-api-key", "x-bf-api-key", "x-bf-api-key-id", "x-bf-vk",
})  # fmt: skip
"""Never forwarded upstream, whatever the filter says."""
