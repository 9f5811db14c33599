"""Anthropic: Claude by the Messages API.

Source: Anthropic API reference, "Getting started", "Models", "Rate limits", 2026-11.
"""

from __future__ import annotations

from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from bifrost.codecs import json
from bifrost.dialects.anthropic_answer import read_answer, read_count
from bifrost.dialects.anthropic_betas import joined_betas
from bifrost.dialects.anthropic_errors import refusal_body
from bifrost.dialects.anthropic_native_objects import NATIVE_OBJECTS
from bifrost.dialects.anthropic_objects import ANTHROPIC_OBJECTS
from bifrost.dialects.anthropic_relay import RelayStream, relay_answer
from bifrost.dialects.anthropic_request import encode_count, encode_messages, encode_native
from bifrost.dialects.anthropic_stream import read_stream
from bifrost.dialects.openai_edit import Encoded
from bifrost.errors import ConfigurationMissing, UnsupportedOperation, UpstreamError
from bifrost.providers.foreign import ForeignCoder, ForeignSpec, NativeCoder, own_last
from bifrost.providers.passthrough import relayed_below
from bifrost.providers.request_headers import header_line
from bifrost.schema.call import Dialect, Operation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bifrost.config.settings import KeySettings, NetworkSettings
    from bifrost.dialects.base import AnswerFacts
    from bifrost.dialects.hub import Answer
    from bifrost.providers.base import Headers
    from bifrost.providers.place import Place
    from bifrost.schema.call import Call

__all__ = ["ANTHROPIC_PROVIDER", "MESSAGES"]

VERSION = b"2023-06-01"

BETA = b"anthropic-beta"

PATHS: Mapping[Operation, str] = MappingProxyType(
    {
        Operation.CHAT: "/v1/messages",
        Operation.RESPONSES: "/v1/messages",
        Operation.COUNT_TOKENS: "/v1/messages/count_tokens",
        Operation.LIST_MODELS: "/v1/models",
    }
)

MAX_MODELS = 1000
"""The most that a page of the list may have; there is no second."""

MESSAGES = ForeignCoder(
    encode=encode_messages,
    read=read_answer,
    read_stream=read_stream,
    native=NativeCoder(encode=encode_native, relay=relay_answer, relay_stream=RelayStream),
)
"""Chat with Claude, and Messages for those who speak it."""


def locate(
    base: Place,
    operation: Operation,
    model: str,  # noqa: ARG001  a Locate
    key: KeySettings,  # noqa: ARG001  a Locate's
    *,
    stream: bool,  # noqa: ARG001  a Locate's
) -> Place:
    """The same for all models and keys."""
    return base.at(PATHS[operation])


def credential(key: KeySettings) -> Headers:
    """The key as ``x-api-key``; without one, nothing. Raises ConfigurationMissing for one that no header can hold."""
    value = key.value.reveal().strip()
    if not value:
        return ()
    try:
        return (header_line("x-api-key", value),)
    except ValueError:
        # Not chained: the codec's own error would hold the key.
        raise ConfigurationMissing(
            f'key "{key.name}" holds characters that no header may hold'
        ) from None


def version_header(call: Call, body: bytes) -> Headers:  # noqa: ARG001  a ForeignSpec's
    return ((b"anthropic-version", VERSION),)


def join(lines: Headers, own: Headers, network: NetworkSettings) -> Headers:
    """As ``own_last``; but features to be tried are all sent: the operator's, the caller's, and what the request needs."""
    operators = (v for n, v in network.extra_headers.items() if n.lower() == BETA.decode())
    told = (*operators, *(value.decode("latin-1") for name, value in lines if name == BETA))
    ours = [beta for n, value in own if n == BETA for beta in value.decode().split(",")]
    value = joined_betas(told, ours, network.beta_header_overrides)
    kept = own_last(
        tuple(line for line in lines if line[0] != BETA),
        tuple(line for line in own if line[0] != BETA),
        network,
    )
    return (*kept, (BETA, value.encode("latin-1"))) if value else kept


def _encode_list(call: Call, model: str, provider: str) -> Encoded:  # noqa: ARG001  a coder's
    return Encoded(b"", query=(("limit", str(MAX_MODELS)),), content_type=None)


def _read_nothing(body: bytes, facts: AnswerFacts) -> Answer:  # noqa: ARG001  a coder's
    raise UnsupportedOperation("a list of models is read by decode_models")


def decode_models(body: bytes) -> tuple[dict[str, object], ...]:
    """Anthropic's list in OpenAI's words, its own beside them. Raises UpstreamError if it is none."""
    try:
        value = json.loads(body)
    except json.InvalidJSON as error:
        text = "failed to unmarshal response from provider API"
        raise UpstreamError(text, cause=str(error)) from None
    found = value.get("data") if isinstance(value, dict) else None
    if not isinstance(found, list):
        raise UpstreamError("failed to unmarshal response from provider API")
    return tuple(_model(item) for item in found[:MAX_MODELS] if _is_model(item))


def _is_model(item: object) -> bool:
    return isinstance(item, dict) and isinstance(item.get("id"), str) and item["id"] != ""


def _model(item: dict[str, object]) -> dict[str, object]:
    told = {name: value for name, value in item.items() if name != "type"}
    known = {"created": _unix_s(item.get("created_at")), "owned_by": "anthropic"}
    return {**told, **known, "name": item.get("display_name") or item["id"]}


def _unix_s(moment: object) -> int:
    """Seconds since the epoch of an RFC 3339 ``moment``; 0 for what is none."""
    try:
        at = datetime.fromisoformat(str(moment))
        return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return 0


ANTHROPIC_PROVIDER = ForeignSpec(
    name="anthropic",
    dialect=Dialect.ANTHROPIC,
    base_url="https://api.anthropic.com",
    locate=locate,
    coders=MappingProxyType(
        {
            Operation.CHAT: MESSAGES,
            Operation.COUNT_TOKENS: ForeignCoder(
                encode=encode_count,
                read=read_count,
                native=NativeCoder(encode=encode_native, relay=relay_answer),
            ),
            Operation.LIST_MODELS: ForeignCoder(
                encode=_encode_list, read=_read_nothing, method=b"GET"
            ),
        }
    ),
    objects=ANTHROPIC_OBJECTS,
    native_objects=NATIVE_OBJECTS,
    credential=credential,
    headers=version_header,
    join=join,
    has_hosted_tools=True,
    decode_error=refusal_body,
    decode_models=decode_models,
    rate_family="anthropic",
    relay_place=relayed_below("v1"),
)
"""The row."""
