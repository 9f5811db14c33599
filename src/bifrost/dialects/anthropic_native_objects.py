"""Files and batches of Anthropic for callers who speak its dialect themselves: what they say goes on as it came.

Two things are changed. A request of a batch goes to the model that its key has under that name; and ``results_url`` of a batch
becomes a path below the caller's own base URL, for SDKs fetch results from wherever it points.
Sources: Anthropic API reference, "Message Batches" and "Files", 2026-11; its SDK for Python 2.14 (``batches.results``).
"""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from bifrost.codecs import json
from bifrost.dialects.anthropic_object_telling import results_path
from bifrost.dialects.anthropic_objects import FILES, FILES_BETA
from bifrost.dialects.base import PlainAnswer, Reading
from bifrost.dialects.batch_requests import check_model, named_model
from bifrost.dialects.objects import ObjectCoder, ObjectRequest, Wanted
from bifrost.dialects.openai_answer import BOM, checked
from bifrost.errors import BadRequest
from bifrost.schema.call import Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bifrost.dialects.base import AnswerFacts
    from bifrost.schema.payload import Payload

__all__ = ["NATIVE_OBJECTS"]

URL = "results_url"


def _asked(wanted: Wanted, reading: Reading, body: bytes | Payload | None = None) -> ObjectRequest:
    relay = wanted.relay
    is_file = relay.path.startswith(FILES)
    return ObjectRequest(
        method=relay.method.encode("ascii"),
        path=relay.path,
        query=tuple(parse_qsl(relay.query, keep_blank_values=True)),
        body=relay.body if body is None else body,
        content_type=relay.content_type if relay.body else None,
        headers=FILES_BETA if is_file else (),
        reading=reading,
    )


def _reading(wanted: Wanted, edit: Callable[[bytes, str], bytes]) -> Reading:
    """Of a JSON object, which ``edit`` changes for a caller of a provider of that name."""

    def plain(body: bytes, facts: AnswerFacts) -> PlainAnswer:  # noqa: ARG001  a reading's
        body = body.removeprefix(BOM)
        checked(body, json.split_object)
        return PlainAnswer(body=edit(body, wanted.provider))

    return Reading(plain=plain)


def _unchanged(body: bytes, provider: str) -> bytes:  # noqa: ARG001  an edit
    return body


def _with_path(body: bytes, provider: str) -> bytes:
    """The batch ``body`` with its results at the gateway; what is no batch stays as it is."""
    members = json.split_object(body)
    name, url = members.get("id", b""), members.get(URL, b"null")
    if not (name.startswith(b'"') and url.startswith(b'"')):
        return body
    path = results_path(str(json.loads(name)), provider)
    return json.join_object({**members, URL: json.dumps(path)})


def _page(body: bytes, provider: str) -> bytes:
    members = json.split_object(body)
    data = members.get("data", b"")
    if URL.encode() not in data:
        return body
    try:
        items = [_with_path(item, provider) for item in json.split_array(data)]
    except json.InvalidJSON:
        return body
    return json.join_object({**members, "data": json.join_array(items)})


def _as_it_came(wanted: Wanted, edit: Callable[[bytes, str], bytes] = _unchanged) -> ObjectRequest:
    return _asked(wanted, _reading(wanted, edit))


def _in_bytes(wanted: Wanted) -> ObjectRequest:
    return _asked(wanted, Reading())


def _create(wanted: Wanted) -> ObjectRequest:
    """A batch whose requests name models as the key has them; a request that needs no change keeps its bytes."""
    members = wanted.members()
    try:
        items = json.split_array(members.get("requests", b""))
    except json.InvalidJSON:
        raise BadRequest("requests must be an array", param="requests") from None
    told = [_item(item, f"requests[{n}]", wanted) for n, item in enumerate(items)]
    if told != items:
        members["requests"] = json.join_array(told)
        body = json.join_object(members)
    else:
        body = wanted.relay.body if isinstance(wanted.relay.body, bytes) else b""
    return _asked(wanted, _reading(wanted, _with_path), body)


def _item(item: bytes, place: str, wanted: Wanted) -> bytes:
    """Raises BadRequest for a model that the key does not serve; all else is for Anthropic to judge."""
    try:
        members = json.split_object(item)
        params = json.split_object(members.get("params", b"{}"))
    except json.InvalidJSON:
        return item
    named = params.get("model", b"")
    if not named.startswith(b'"'):
        return item
    asked = named_model(str(json.loads(named)), wanted)
    check_model(asked, wanted.key, f"{place}.params")
    model = json.dumps(wanted.key.deployments.get(asked, asked))
    if model == named:
        return item
    params["model"] = model
    return json.join_object({**members, "params": json.join_object(params)})


_one_batch = partial(_as_it_came, edit=_with_path)

NATIVE_OBJECTS: Mapping[Operation, ObjectCoder] = MappingProxyType(
    {
        Operation.FILE_UPLOAD: _as_it_came,
        Operation.FILE_LIST: _as_it_came,
        Operation.FILE_RETRIEVE: _as_it_came,
        Operation.FILE_DELETE: _as_it_came,
        Operation.FILE_CONTENT: _in_bytes,
        Operation.BATCH_CREATE: _create,
        Operation.BATCH_LIST: partial(_as_it_came, edit=_page),
        Operation.BATCH_RETRIEVE: _one_batch,
        Operation.BATCH_CANCEL: _one_batch,
        Operation.BATCH_DELETE: _as_it_came,
        Operation.BATCH_RESULTS: _in_bytes,
    }
)
"""The table."""
