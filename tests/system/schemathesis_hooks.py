"""Loaded into the process of schemathesis: where a request names somebody, it is somebody who is there.

Without that, nearly all that is ever asked for is a provider or a key that nobody knows.
"""

from __future__ import annotations

from typing import Any

import schemathesis

SERVED = {
    "provider": "openai",
    "x-model-provider": "openai",
    "x-bf-model-provider": "openai",
    "x-bf-list-models-provider": "openai",
}

NAMING = ("/v1/files", "/v1/batches", "/openai/deployments", "/openai/openai/deployments")
"""Where there is no provider by default, or none of those here."""

GOVERNANCE = "/api/governance/"
THERE = "there"
"""The id of one noun of each kind. It is never taken away, so that others find it."""

FOREIGN = ("/anthropic", "/genai", "/langchain", "/litellm", "/pydanticai")


@schemathesis.hook
def before_call(_: schemathesis.HookContext, case: schemathesis.Case[Any], **kwargs: Any) -> None:
    provider = _provider(case.path)
    headers: Any = case.headers or {}
    if "_passthrough/" in case.path:
        headers["x-model-provider"] = "openai"
        case.headers = headers
    headers.pop("x-bf-api-key-id", None)
    if "x-bf-api-key" in headers:
        headers["x-bf-api-key"] = f"{provider}-0"
    for named in (headers, case.query or {}):
        named.update({name: SERVED[name] for name in SERVED if _is_word(named.get(name))})
    headers.pop("x-bf-azure-endpoint", None)
    if case.path.startswith(FOREIGN) or "/model/" in case.path:
        # Who insists is refused what OpenAI's models have no word for, and that is much of it.
        headers.pop("x-bf-strict", None)
    parts: Any = case.path_parameters or {}
    if case.path.startswith(GOVERNANCE):
        if "id" in parts:
            parts["id"] = "nobody" if case.method == "DELETE" else THERE
        if "provider" in parts:
            parts["provider"] = "openai"
        return
    for name in ("path", "model"):
        if name in parts and case.method == "POST":
            parts[name] = f"{provider}/m"
    if case.path.startswith("/genai"):
        parts["model"] = "openai/m"
    if case.path.startswith(NAMING):
        case.query = {**(case.query or {}), "provider": "openai"}
    body: Any = case.body
    if isinstance(body, dict) and _is_word(body.get("model")):
        body["model"] = f"{provider}/m"
    if case.path == "/bedrock/rerank":
        _rank(body, f"{provider}/m")
        headers.pop("x-bf-strict", None)
    # A job is no stream, and the description can say that in words only.
    if isinstance(body, dict) and (case.path.startswith("/v1/async") or "x-bf-async" in headers):
        body.pop("stream", None)
        body.pop("stream_format", None)


def _rank(body: Any, model: str) -> None:
    """Name ``model`` where Bedrock's Rerank does, if there is one."""
    try:
        config = body["rerankingConfiguration"]["bedrockRerankingConfiguration"]
        named = config["modelConfiguration"]
        if _is_word(named["modelArn"]):
            named["modelArn"] = model
    except (LookupError, TypeError):
        pass


def _provider(path: str) -> str:
    if path.endswith("/rerank"):
        return "vllm"
    return "mock" if path == "/v1/chat/completions" else "openai"


def _is_word(value: object) -> bool:
    return isinstance(value, str) and value.strip() != ""
