"""Files and batches of providers that do not speak OpenAI's dialect: how they are asked for, and told in its words.

An ``ObjectCoder`` makes the provider's request of what OpenAI's client asked, and says with it how the answer is to be read.
Source of OpenAI's shapes: OpenAI API reference, "Files" and "Batch", 2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import parse_qsl

import attrs

from bifrost.codecs import json
from bifrost.config.settings import KeySettings
from bifrost.dialects.base import AnswerFacts, PlainAnswer, Reading
from bifrost.dialects.hub import Answer
from bifrost.dialects.openai_answer import BOM, checked
from bifrost.dialects.tellings import told
from bifrost.errors import BadRequest, ErrorClass, UpstreamError
from bifrost.schema.call import Call, Relay, Surface
from bifrost.schema.payload import Field, File, Payload

if TYPE_CHECKING:
    from bifrost.dialects.hub import Object

__all__ = [
    "RESULTS",
    "ObjectCoder",
    "ObjectRequest",
    "Wanted",
    "batch_object",
    "counted",
    "deleted",
    "file_object",
    "listed",
    "listing",
    "no_such_object",
    "read_object",
    "reading",
    "results_of",
    "unix_s",
    "uploaded",
]

RESULTS = "batch-results-"
"""How the id of a file begins that does not exist: what comes of a batch, told as OpenAI's output file."""

COMPLETION_WINDOW = "24h"
ENDPOINT = "/v1/chat/completions"

DEFAULT_LIMIT = 30
"""Of a list whose ``limit`` is no number."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,255}")
"""What a path can hold in one way only."""


@attrs.frozen(kw_only=True)
class Wanted:
    """What is asked, with which key, of which provider."""

    call: Call
    relay: Relay
    key: KeySettings
    provider: str

    @property
    def id(self) -> str:
        """The object that the path names, as the caller spells it. Raises BadRequest for what no provider would call one."""
        found = self.call.ids[0] if self.call.ids else ""
        if _ID.fullmatch(found) is None:
            raise no_such_object(found)
        return found

    @property
    def is_native(self) -> bool:
        """Whether the caller came by the gateway's own routes: he is told the provider's own words where they differ."""
        return self.call.surface is Surface.NATIVE

    @property
    def query(self) -> Mapping[str, str]:
        return dict(parse_qsl(self.relay.query))

    def members(self) -> dict[str, bytes]:
        """The body's. Raises BadRequest if it is no JSON object."""
        body = self.relay.body if isinstance(self.relay.body, bytes) else b""
        try:
            return json.split_object(body)
        except json.InvalidJSON as error:
            raise BadRequest("failed to parse request", cause=str(error)) from None


@attrs.frozen(kw_only=True)
class ObjectRequest:
    """What the provider is asked. ``path`` begins with a version of its API and is encoded."""

    path: str
    reading: Reading
    method: bytes = b"GET"
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | Payload = attrs.field(default=b"", repr=False)
    content_type: bytes | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()
    dropped: tuple[str, ...] = ()
    """What was asked and cannot be said."""


ObjectCoder: TypeAlias = Callable[[Wanted], ObjectRequest]
"""Raises BadRequest for what cannot be asked."""


def no_such_object(name: str) -> BadRequest:
    """The error for an id that nothing has."""
    return BadRequest(
        f"No such object: {name[:64]}",
        status=404,
        code="not_found",
        param="id",
        error_class=ErrorClass.NOT_FOUND,
    )


def results_of(name: str) -> str | None:
    """The id that is meant by ``name``, if that is of a batch's results; ``None`` for an ordinary file's."""
    return name.removeprefix(RESULTS) or None if name.startswith(RESULTS) else None


def read_object(body: bytes) -> Object:
    """A 2xx body that should be a JSON object. Raises UpstreamError if it is none."""
    value = checked(body.removeprefix(BOM), json.loads)
    if not isinstance(value, dict):
        raise UpstreamError("failed to unmarshal response from provider API")
    return value


def reading(
    read: Callable[[Object, AnswerFacts], Object], absent: frozenset[int] = frozenset()
) -> Reading:
    """Of a JSON object, out of which ``read`` makes OpenAI's."""

    def plain(body: bytes, facts: AnswerFacts) -> PlainAnswer:
        return told(Answer(value=read(read_object(body), facts), body=body), facts)

    return Reading(plain=plain, absent=absent)


def unix_s(moment: object) -> int | None:
    """Whole seconds since the epoch of an RFC 3339 ``moment``; ``None`` for what is none."""
    try:
        at = datetime.fromisoformat(str(moment))
        return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return None


def counted(value: object) -> int:
    """A count, which Google writes as text; 0 for what is none."""
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0


def listing(wanted: Wanted, most: int) -> int | None:
    """How many items a page is to have, at most ``most``; ``None`` where the caller does not say."""
    asked = wanted.query.get("limit")
    if asked is None:
        return None
    count = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 10 else DEFAULT_LIMIT
    return min(max(count, 1), most)


def listed(items: list[Object], *, has_more: bool, **more: object) -> Object:
    """A page of a list."""
    known = {name: value for name, value in more.items() if value is not None}
    ends = {"first_id": items[0]["id"], "last_id": items[-1]["id"]} if items else {}
    return {"object": "list", "data": items, **ends, "has_more": has_more, **known}


def deleted(name: str) -> Object:
    return {"id": name, "object": "file", "deleted": True}


def file_object(**told: object) -> Object:
    """A file; what is ``None`` is left out but for what OpenAI's clients expect."""
    value: Object = {
        "id": "",
        "object": "file",
        "bytes": 0,
        "created_at": 0,
        "filename": "",
        "purpose": "user_data",
        "status": "processed",
        "storage_backend": "api",
    }
    return value | {name: item for name, item in told.items() if item is not None}


def batch_object(**told: object) -> Object:
    """A batch with every member that OpenAI's has; what is not told is ``null``."""
    value: Object = {
        "id": "",
        "object": "batch",
        "endpoint": ENDPOINT,
        "errors": None,
        "input_file_id": None,
        "completion_window": COMPLETION_WINDOW,
        "status": "validating",
        "output_file_id": None,
        "error_file_id": None,
        "created_at": None,
        "in_progress_at": None,
        "expires_at": None,
        "finalizing_at": None,
        "completed_at": None,
        "failed_at": None,
        "expired_at": None,
        "cancelling_at": None,
        "cancelled_at": None,
        "request_counts": {"total": 0, "completed": 0, "failed": 0},
        "metadata": None,
    }
    return value | {name: item for name, item in told.items() if item is not None}


@attrs.frozen
class Upload:
    """A file to be uploaded, and what else the form says of it."""

    file: File
    purpose: str
    others: tuple[str, ...]
    """Names of fields that a foreign provider has no word for."""


def uploaded(wanted: Wanted) -> Upload:
    """The file in the form. Raises BadRequest if there is none."""
    form = wanted.call.form or ()
    file = next((part for part in form if isinstance(part, File) and part.name == "file"), None)
    if file is None:
        raise BadRequest("file is required", param="file")
    fields = [part for part in form if isinstance(part, Field)]
    purpose = next((part.value for part in fields if part.name == "purpose"), b"user_data")
    others = dict.fromkeys(part.name for part in fields if part.name not in {"purpose", "provider"})
    return Upload(file, purpose.decode("utf-8", "replace"), tuple(others))
