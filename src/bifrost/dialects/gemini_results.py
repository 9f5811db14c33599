"""What came of Gemini's batches, as the content of a file; and how its files and batches are called here.

``files/abc`` is ``files-abc`` and ``batches/x`` is ``batches-x``, for an id has to be one segment of a path.
Source: Gemini API reference, "Batch API" and "Files", 2026-11.
"""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from bifrost.codecs import json
from bifrost.dialects.base import Reading
from bifrost.dialects.batch_results import ResultLines, WholeResults, told_error, told_result
from bifrost.dialects.gemini_answer import read_chat
from bifrost.dialects.gemini_errors import refusal_in
from bifrost.dialects.gemini_parts import listed as objects_in
from bifrost.dialects.gemini_parts import mapping
from bifrost.dialects.objects import (
    RESULTS,
    ObjectRequest,
    Wanted,
    counted,
    no_such_object,
    read_object,
    results_of,
)
from bifrost.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bifrost.dialects.base import AnswerFacts, Retelling
    from bifrost.dialects.hub import Object

__all__ = [
    "ABSENT",
    "BATCHES",
    "FILES",
    "VERSION",
    "content",
    "id_of",
    "name_of",
    "output_of",
    "told_item",
    "told_line",
]

VERSION = "/v1beta"
FILES = "files"
BATCHES = "batches"

ABSENT = frozenset({403})
"""Of a file or batch that another project has, or nobody, Google says that it is forbidden."""

NO_CONTENT = (
    "Gemini Files API doesn't support direct content download. Only the results of a batch can be read: by the "
    "batch's output_file_id"
)

HTTP_STATUS: Mapping[int, int] = MappingProxyType(
    {1: 499, 3: 400, 4: 504, 5: 404, 7: 403, 8: 429, 9: 400, 11: 400, 12: 501, 14: 503, 16: 401}
)
"""By gRPC's codes, which stand in the error of a single request. Source: google.rpc.Code, 2026-11."""


def id_of(name: object) -> str:
    """Google's ``name`` as an id: its first slash is a dash."""
    return str(name or "").replace("/", "-", 1)


def name_of(name: str, family: str) -> str:
    """The path of an object of ``family`` whose id is ``name``, as Google or as we spell it."""
    rest = name.removeprefix(f"{family}-").removeprefix(f"{family}/")
    if not rest or "/" in rest:
        raise no_such_object(name)
    return f"{family}/{rest}"


def output_of(value: Object) -> Object:
    """Where the results are, as far as there are any."""
    about = mapping(value.get("metadata")) or value
    return mapping(value.get("response")) or mapping(about.get("output"))


def content(wanted: Wanted) -> ObjectRequest:
    """The results of a batch: in a file of their own, or in the batch itself."""
    name = results_of(wanted.id)
    if name is None:
        raise BadRequest(NO_CONTENT, code="unsupported_operation", param="file_id")
    if name.startswith(f"{FILES}-"):
        return ObjectRequest(
            path=f"/download{VERSION}/{name_of(name, FILES)}:download",
            query=(("alt", "media"),),
            reading=Reading(retell=_lines, absent=ABSENT),
        )
    return ObjectRequest(
        path=f"{VERSION}/{name_of(name, BATCHES)}",
        reading=Reading(retell=_inlined, absent=ABSENT),
    )


def _lines(facts: AnswerFacts) -> Retelling:
    return ResultLines(partial(told_line, facts=facts))


def _inlined(facts: AnswerFacts) -> Retelling:
    return WholeResults(partial(_inlined_lines, facts=facts))


def _inlined_lines(body: bytes, facts: AnswerFacts) -> list[Object]:
    value = read_object(body)
    error = refusal_in(value, facts)
    output = output_of(value)
    if "responsesFile" in output:
        there = f"{RESULTS}{id_of(output['responsesFile'])}"
        raise BadRequest(f"the results of this batch are the content of {there}", param="file_id")
    found = mapping(output.get("inlinedResponses")).get("inlinedResponses")
    if found is None and error is not None:
        raise error
    if found is None:
        raise BadRequest("batch results not available: the batch is not completed", param="file_id")
    return [told_item(item, facts) for item in objects_in(found)]


def told_line(line: bytes, facts: AnswerFacts) -> Object:
    """A line of a file of results as one of OpenAI's; what cannot be read is told as an error of that line."""
    try:
        value = json.loads(line)
    except json.InvalidJSON:
        value = None
    if not isinstance(value, dict):
        return told_error("", 502, "unreadable_result", "this line of the results cannot be read")
    return told_item(value, facts)


def told_item(value: Object, facts: AnswerFacts) -> Object:
    """One result: a response or an error, and the key that it was asked with."""
    key = mapping(value.get("metadata")).get("key", value.get("key"))
    custom_id = "" if key is None else str(key)
    if isinstance(value.get("response"), dict):
        body = json.dumps(value["response"])
        return told_result(custom_id, lambda: read_chat(body, facts))
    error = mapping(value.get("error"))
    number = counted(error.get("code"))
    status = number if number >= 400 else HTTP_STATUS.get(number, 500)
    code = str(error.get("status") or number or "unknown_error")
    message = str(error.get("message") or "the request failed")
    return told_error(custom_id, status, code, message)
