"""botocore's own idea of Converse, for tests: what a request may look like, and what an answer says."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore.eventstream import EventStream
from botocore.parsers import EventStreamJSONParser, RestJSONParser
from botocore.validate import ParamValidator

from bifrost.codecs.eventstream import encode_frame

if TYPE_CHECKING:
    from botocore.model import Shape

__all__ = ["SERVICE", "event", "events_of", "exception", "parsed", "parsed_error", "problems"]

SERVICE = botocore.session.get_session().get_service_model("bedrock-runtime")


def problems(body: Any, model: str = "m", operation: str = "Converse") -> str:
    """What botocore has against ``body``; nothing, if a client of AWS could have sent it."""
    shape = SERVICE.operation_model(operation).input_shape
    report = ParamValidator().validate({"modelId": model, **_bytes_of(body, shape)}, shape)
    return str(report.generate_report())


def _bytes_of(value: Any, shape: Shape) -> Any:
    """JSON as the SDK's caller has it: blobs are bytes."""
    match shape.type_name, value:
        case "structure", dict() if not getattr(shape, "is_document_type", False):
            members: Any = shape.members
            return {n: _bytes_of(v, members[n]) if n in members else v for n, v in value.items()}
        case "list", list():
            return [_bytes_of(item, shape.member) for item in value]
        case "blob", str():
            return base64.b64decode(value, validate=True)
        case _:
            return value


def parsed(body: bytes, operation: str = "Converse") -> Any:
    """What botocore reads in an answer."""
    shape = SERVICE.operation_model(operation).output_shape
    answer = {"body": body, "headers": {}, "status_code": 200}
    return RestJSONParser().parse(answer, shape)


def parsed_error(status: int, headers: dict[str, str], body: bytes) -> Any:
    """What botocore reads in a refusal."""
    answer = {"body": body, "headers": headers, "status_code": status}
    return RestJSONParser().parse(answer, SERVICE.operation_model("Converse").output_shape)["Error"]


class _Raw:
    def __init__(self, body: bytes) -> None:
        self.body = body

    def stream(self) -> Any:
        yield self.body


def events_of(body: bytes, operation: str = "ConverseStream") -> list[Any]:
    """The events that botocore reads in a stream. Raises botocore's EventStreamError for an exception in it."""
    output: Any = SERVICE.operation_model(operation).output_shape
    shape = output.members["stream" if operation == "ConverseStream" else "body"]
    return list(EventStream(_Raw(body), shape, EventStreamJSONParser(), operation))


def event(kind: str, value: Any) -> bytes:
    """A frame as Bedrock sends it."""
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return encode_frame(headers, json.dumps(value).encode())


def exception(kind: str, message: str) -> bytes:
    """A frame with a failure, likewise."""
    headers = {
        ":exception-type": kind,
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    return encode_frame(headers, json.dumps({"message": message}).encode())
