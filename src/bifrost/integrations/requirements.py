"""What each JSON operation needs of its body, how it asks for a stream, and what bounds its output: the table.

The texts are contract.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import attrs

from bifrost.codecs.json import InvalidJSON, loads
from bifrost.errors import BadRequest
from bifrost.schema.call import Names, Operation, own_name

__all__ = ["ABSENT", "REQUIREMENTS", "Members", "Requirement", "small", "streams", "token_limit"]

Members = dict[str, bytes]

ABSENT = frozenset({None, b"null"})
"""A member that is null says no more than one that is not there."""

_EMPTY_LIST = re.compile(rb"\[\s*\]")

MAX_DOCUMENTS = 10_000
"""Of a rerank; looked through one by one."""

LIMITS = ("max_completion_tokens", "max_tokens")


@attrs.frozen(kw_only=True)
class Requirement:
    """One operation. ``check`` raises BadRequest."""

    check: Callable[[Members], None]
    limits: tuple[str, ...] = ()
    """Members that bound the output, in the order in which they count."""
    streams: Callable[[Members], bool] = lambda _: False
    """Whether a stream is asked for. Raises BadRequest where that cannot be told."""

    def check_as(self, members: Members, names: Names) -> None:
        """``check``, for a caller who has other ``names`` for them. Raises BadRequest in his words."""
        try:
            self.check(members)
        except BadRequest as error:
            error.rename(partial(own_name, names))
            raise


def small(members: Members, name: str) -> Any:  # noqa: ANN401  a JSON value
    """The decoded value of a member that is small by nature; ``None`` if it is not there. Raises BadRequest."""
    raw = members.get(name)
    if raw is None:
        return None
    try:
        return loads(raw)
    except InvalidJSON as error:
        raise BadRequest(f"invalid value for {name}", param=name, cause=str(error)) from error


def token_limit(value: object) -> int | None:
    """The caller's own bound of the output; what is no number of tokens is left for the upstream to refuse."""
    return value if type(value) is int and value > 0 else None


def streams(members: Members) -> bool:
    """Whether the member ``stream`` asks for one. Raises BadRequest."""
    match members.get("stream", b"null"):
        case b"true":
            return True
        case b"false" | b"null":
            return False
        case _:
            raise BadRequest("stream must be true or false", param="stream")


def _by_format(members: Members) -> bool:
    return members.get("stream_format") == b'"sse"' or streams(members)


def _needs(name: str, text: str, *others: str) -> Callable[[Members], None]:
    """``name`` has to be there and not empty, or one of ``others`` has to be there."""

    def check(members: Members) -> None:
        raw = members.get(name)
        is_empty = raw in ABSENT or raw == b'""' or _EMPTY_LIST.fullmatch(raw or b"") is not None
        if is_empty and all(members.get(other) in ABSENT for other in others):
            raise BadRequest(text, param=name)

    return check


def _check_messages(members: Members) -> None:
    raw = members.get("messages", b"")
    if not raw.startswith(b"[") or _EMPTY_LIST.fullmatch(raw):
        raise BadRequest("messages is required for chat completion", param="messages")


def _check_speech(members: Members) -> None:
    _needs("input", "input is required for speech completion")(members)
    _needs("voice", "voice is required for speech completion")(members)


def _check_rerank(members: Members) -> None:
    query = small(members, "query")
    if not isinstance(query, str) or not query.strip():
        raise BadRequest("query is required for rerank", param="query")
    _check_documents(small(members, "documents"))
    top_n = small(members, "top_n")
    if top_n is not None and (type(top_n) is not int or top_n < 1):
        raise BadRequest("top_n must be at least 1", param="top_n")


def _check_documents(documents: object) -> None:
    if not isinstance(documents, list) or not documents:
        raise BadRequest("documents are required for rerank", param="documents")
    if len(documents) > MAX_DOCUMENTS:
        raise BadRequest(f"at most {MAX_DOCUMENTS} documents can be ranked", param="documents")
    for index, document in enumerate(documents):
        text = document.get("text") if isinstance(document, dict) else document
        if not isinstance(text, str) or not text.strip():
            raise BadRequest(
                f"document text is required for rerank at index {index}", param="documents"
            )


_PROMPT = _needs("prompt", "prompt cannot be empty")
_RESPONSES = _needs("input", "input is required for responses", "prompt", "previous_response_id")

REQUIREMENTS: Mapping[Operation, Requirement] = MappingProxyType(
    {
        Operation.CHAT: Requirement(check=_check_messages, limits=LIMITS, streams=streams),
        Operation.TEXT: Requirement(
            check=_needs("prompt", "prompt is required for text completion"),
            limits=("max_tokens",),
            streams=streams,
        ),
        Operation.RESPONSES: Requirement(
            check=_RESPONSES, limits=("max_output_tokens",), streams=streams
        ),
        Operation.COUNT_TOKENS: Requirement(check=_RESPONSES),
        Operation.EMBEDDING: Requirement(check=_needs("input", "input is required for embeddings")),
        Operation.RERANK: Requirement(check=_check_rerank),
        Operation.MODERATION: Requirement(
            check=_needs("input", "input is required for moderation")
        ),
        Operation.SPEECH: Requirement(check=_check_speech, streams=_by_format),
        Operation.IMAGE: Requirement(check=_PROMPT, streams=streams),
        Operation.IMAGE_EDIT: Requirement(check=_PROMPT, streams=streams),
    }
)
