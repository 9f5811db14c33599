"""The Response object round an output: what the upstream told, and the request's own values as OpenAI echoes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from bifrost.codecs import json
from bifrost.dialects.bridge_shape import NULL
from bifrost.dialects.openai_stream import sound
from bifrost.dialects.openai_usage import read_usage
from bifrost.schema.call import RawMembers

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Ending", "Envelope", "carried", "ending_of"]

DEFAULTS: Mapping[str, bytes] = {
    "background": b"false",
    "instructions": NULL,
    "max_output_tokens": NULL,
    "max_tool_calls": NULL,
    "parallel_tool_calls": b"true",
    "previous_response_id": NULL,
    "prompt_cache_key": NULL,
    "reasoning": b"{}",
    "safety_identifier": NULL,
    "service_tier": b'"auto"',
    "store": b"true",
    "temperature": b"1.0",
    "text": b"{}",
    "tool_choice": b'"auto"',
    "tools": b"[]",
    "top_logprobs": b"0",
    "top_p": b"1.0",
    "truncation": b'"disabled"',
    "user": NULL,
    "metadata": b"{}",
    "presence_penalty": b"0",
    "frequency_penalty": b"0",
}
"""What a Response says where the request said nothing."""

TEXT: Mapping[str, bytes] = {"format": b'{"type":"text"}', "verbosity": b'"medium"'}

TOOL: Mapping[str, bytes] = {"parameters": NULL, "strict": NULL}
"""Members that a function tool of a Response always has."""

CARRIED = ("service_tier", "citations", "search_results", "videos")
"""Members beside the choices that go as they are. Perplexity's texts refer to its citations by number."""

USAGE_READ = frozenset(
    {
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "prompt_tokens_details",
        "completion_tokens_details",
        "reasoning_tokens",
    }
)


@attrs.frozen
class Ending:
    """How an answer ended: ``status``, and the members that explain it."""

    status: str
    incomplete: str | None = None
    error: str | None = None


def ending_of(finish_reason: object) -> Ending:
    """What a chat finish reason means. One that chat does not define is an end like any other."""
    match finish_reason:
        case "length":
            return Ending("incomplete", incomplete="max_output_tokens")
        case "content_filter":
            return Ending("incomplete", incomplete="content_filter")
        case "error":
            return Ending("failed", error="the provider broke off its answer with an error")
        case _:
            return Ending("completed")


@attrs.frozen(kw_only=True)
class Envelope:
    """What is the same in every telling of one Response."""

    id: str
    created_at: int
    model: str
    echo: RawMembers

    @classmethod
    def of(
        cls, value: Mapping[str, Any], model: str, request: RawMembers, spare_id: str
    ) -> Envelope:
        """From the chat answer ``value``, and for what it lacks ``model`` and ``spare_id``."""
        return cls(
            id=sound(value.get("id"), "") or spare_id,
            created_at=sound(value.get("created"), 0),
            model=sound(value.get("model"), "") or model,
            echo=_echo(request),
        )

    def encode(
        self,
        status: str,
        *,
        output: bytes = b"[]",
        usage: bytes = NULL,
        ending: Ending | None = None,
        told: Mapping[str, bytes] | None = None,
    ) -> bytes:
        """The Response in JSON. ``usage`` is chat's; ``told`` are members of the upstream that go as they are."""
        incomplete = ending and ending.incomplete and {"reason": ending.incomplete}
        error = ending and ending.error and {"code": "server_error", "message": ending.error}
        members = {
            "id": json.dumps_str(self.id),
            "object": b'"response"',
            "created_at": b"%d" % self.created_at,
            "status": json.dumps(status),
            "completed_at": NULL,
            "error": json.dumps(error),
            "incomplete_details": json.dumps(incomplete),
            "model": json.dumps_str(self.model),
            "output": output,
            "usage": _encode_usage(usage),
        }
        return json.join_object({**members, **self.echo, **(told or {})})


def carried(value: Mapping[str, Any]) -> dict[str, bytes]:
    """Of the chat answer or chunk ``value``, what goes into the Response as it is."""
    return {name: json.dumps(value[name]) for name in CARRIED if value.get(name) is not None}


def _echo(request: RawMembers) -> dict[str, bytes]:
    """The request's values on one line, and the defaults. ``responses_to_chat`` has seen to their shapes."""
    echo = dict(DEFAULTS)
    for name in DEFAULTS:
        raw = request.get(name, NULL)
        if raw != NULL:
            echo[name] = json.one_line(raw)
    given = {n: v for n, v in json.split_object(echo["text"]).items() if v != NULL}
    echo["text"] = json.join_object({**TEXT, **given})
    echo["tools"] = json.join_array([_tool(raw) for raw in json.split_array(echo["tools"])])
    return echo


def _tool(raw: bytes) -> bytes:
    tool = json.split_object(raw)
    is_function = tool.get("type") == b'"function"'
    return json.join_object({**tool, **TOOL, **tool}) if is_function else raw


def _encode_usage(raw: bytes) -> bytes:
    """Chat's usage under the names of Responses; what else stands in it is kept."""
    usage = read_usage(raw)
    if usage is None:
        return NULL
    told = json.split_object(json.one_line(raw))
    given, made = (
        _details(told, "prompt_tokens_details"),
        _details(told, "completion_tokens_details"),
    )
    written = given.pop("cache_write_tokens", None) or given.pop("cached_write_tokens", b"0")
    members = {
        "input_tokens": b"%d" % usage.prompt_tokens,
        "input_tokens_details": json.join_object(
            {
                **given,
                "cached_tokens": b"%d" % usage.cached_read_tokens,
                "cache_write_tokens": written if written.isdigit() else b"0",
            }
        ),
        "output_tokens": b"%d" % usage.completion_tokens,
        "output_tokens_details": json.join_object(
            {**made, "reasoning_tokens": b"%d" % usage.reasoning_tokens}
        ),
        "total_tokens": b"%d" % usage.total_tokens,
    }
    rest = {n: v for n, v in told.items() if n not in USAGE_READ and v != NULL}
    return json.join_object({**rest, **members})


def _details(told: Mapping[str, bytes], name: str) -> dict[str, bytes]:
    raw = told.get(name, NULL)
    return {n: v for n, v in json.split_object(raw).items() if v != NULL} if raw != NULL else {}
