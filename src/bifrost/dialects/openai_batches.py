"""Batches of OpenAI whose requests stand in them: the input file that is made of these, and the batch that is left.

OpenAI's own API takes a file only. Source: OpenAI API reference, "Batch", 2026-11.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import attrs

from bifrost.codecs import json
from bifrost.codecs.multipart import encode_form
from bifrost.dialects.batch_requests import batched, inline_requests, own_model
from bifrost.dialects.objects import COMPLETION_WINDOW, ENDPOINT
from bifrost.dialects.openai_edit import Encoded
from bifrost.errors import BadRequest
from bifrost.schema.call import Call, Operation
from bifrost.schema.payload import BLOCK_BYTES, Field, File, Payload

if TYPE_CHECKING:
    from bifrost.dialects.objects import Wanted

__all__ = [
    "FILENAME",
    "BatchInput",
    "LinesPayload",
    "batch_input",
    "batch_of_file",
    "endpoint_of",
    "has_requests",
]

FILENAME: Final = b"batch_requests.jsonl"
JSONL: Final = b"application/jsonl"

MAX_REQUESTS: Final = 50_000
"""Of one input file."""

MAX_ENDPOINT: Final = 128

OPERATIONS: Mapping[str, Operation] = MappingProxyType(
    {
        "/chat/completions": Operation.CHAT,
        "/completions": Operation.TEXT,
        "/embeddings": Operation.EMBEDDING,
        "/moderations": Operation.MODERATION,
        "/responses": Operation.RESPONSES,
    }
)
"""By what follows the version; what is not here goes as it came."""

TAKEN = frozenset({"requests", "input_file_id", "endpoint", "completion_window", "model"})
"""Members of such a batch that are read here."""

NULL = b"null"

Encode = Callable[[Call, str, str], Encoded]


@attrs.frozen
class BatchInput:
    """An upload with the input file, and what was lost in writing it."""

    form: Payload
    dropped: tuple[str, ...]


def has_requests(members: Mapping[str, bytes]) -> bool:
    """Whether the requests of the batch ``members`` stand in it. Raises BadRequest if there is a file of them as well."""
    if members.get("requests", NULL) == NULL:
        return False
    if members.get("input_file_id", NULL) != NULL:
        raise BadRequest("cannot specify both input_file_id and requests", param="requests")
    return True


def endpoint_of(members: Mapping[str, bytes], default: str = "") -> str:
    """What the requests of the batch ``members`` are for: its ``endpoint``, or the first request's ``url``.

    ``default`` is what they are for if neither says it. Raises BadRequest.
    """
    found = json.loads(members.get("endpoint", NULL)) or _first_url(members) or default
    if not found:
        raise BadRequest("endpoint is required for OpenAI batch API", param="endpoint")
    if not isinstance(found, str) or not found.startswith("/") or len(found) > MAX_ENDPOINT:
        raise BadRequest(f"endpoint must be a path such as {ENDPOINT}", param="endpoint")
    return found


def _first_url(members: Mapping[str, bytes]) -> object:
    try:
        items = json.split_array(members.get("requests", b"[]"))
        return json.loads(json.split_object(items[0]).get("url", NULL)) if items else None
    except json.InvalidJSON:
        # Whoever reads the requests says what is wrong with them, and where.
        return None


def batch_input(
    wanted: Wanted, endpoint: str, encoders: Callable[[Operation], Encode | None]
) -> BatchInput:
    """The input file of a batch whose requests are for ``endpoint``.

    ``encoders`` say how one request of an operation is put into the provider's words; ``None`` for none of them. Raises
    BadRequest with the place.
    """
    members = wanted.members()
    operation = OPERATIONS.get(endpoint.removeprefix("/v1"))
    encode = None if operation is None else encoders(operation)
    put = _as_it_came if encode is None or operation is None else partial(_put, operation, encode)
    lines: list[bytes] = []
    dropped: dict[str, None] = {}
    model = ""
    for request in inline_requests(
        members.get("requests", b"[]"),
        dialect=wanted.call.surface.dialect,
        urls=(endpoint,),
        most=MAX_REQUESTS,
    ):
        made = batched(request, wanted, put, own_model(members, wanted))
        if model not in ("", made.model):
            text = f"{request.place}: all requests of a batch must be for one model with OpenAI"
            raise BadRequest(text, param=request.place)
        model = made.model
        dropped.update(dict.fromkeys(made.sent.dropped))
        lines.append(_line(request.custom_id, endpoint, made.sent.body))
    file = File("file", FILENAME, JSONL, LinesPayload(tuple(lines)))
    form = (Field("purpose", b"batch"), file)
    return BatchInput(encode_form(form, wanted.call.boundary), tuple(dropped))


def _put(operation: Operation, encode: Encode, call: Call, model: str, provider: str) -> Encoded:
    return encode(attrs.evolve(call, operation=operation), model, provider)


def _as_it_came(call: Call, model: str, provider: str) -> Encoded:  # noqa: ARG001  as encoders do
    return Encoded(json.join_object({**call.members, "model": json.dumps(model)}))


def _line(custom_id: str, endpoint: str, body: bytes) -> bytes:
    head = json.dumps({"custom_id": custom_id, "method": "POST", "url": endpoint})
    return json.one_line(json.splice(head, b'"body":%b' % body)) + b"\n"


def batch_of_file(members: Mapping[str, bytes], file_id: str, endpoint: str) -> bytes:
    """The batch ``members`` with the input file ``file_id`` in place of its requests."""
    window = members.get("completion_window", NULL)
    told = {
        "input_file_id": json.dumps(file_id),
        "endpoint": json.dumps(endpoint),
        "completion_window": json.dumps(COMPLETION_WINDOW) if window == NULL else window,
    }
    rest = {name: raw for name, raw in members.items() if name not in TAKEN}
    return json.join_object({**told, **rest})


@attrs.frozen
class LinesPayload:
    """Lines one behind another, never put together. Implements ``Payload``."""

    lines: tuple[bytes, ...] = attrs.field(repr=False)

    @property
    def size(self) -> int:
        return sum(map(len, self.lines))

    def blocks(self) -> AsyncIterator[bytes]:
        return _LineBlocks(self.lines)


class _LineBlocks(AsyncIterator[bytes]):
    """Full blocks, and what is left."""

    def __init__(self, lines: tuple[bytes, ...]) -> None:
        self._lines = lines
        self._next = 0
        self._rest = b""

    async def __anext__(self) -> bytes:
        block = [self._rest]
        held = len(self._rest)
        while held < BLOCK_BYTES and self._next < len(self._lines):
            block.append(self._lines[self._next])
            held += len(block[-1])
            self._next += 1
        data = b"".join(block)
        if not data:
            raise StopAsyncIteration
        self._rest = data[BLOCK_BYTES:]
        return data[:BLOCK_BYTES]
