"""What came of another provider's batch, told as the lines of Anthropic's results, out of those of OpenAI's output file.

Source: Anthropic API reference, "Retrieve Message Batch results", 2026-11.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import attrs

from bifrost.codecs.json import InvalidJSON, dumps, join_object, loads, split_object
from bifrost.dialects.anthropic_telling import tell_message
from bifrost.dialects.base import AnswerFacts
from bifrost.dialects.batch_results import LineCutter
from bifrost.dialects.hub import Answer
from bifrost.errors import GatewayError
from bifrost.integrations.anthropic_errors import type_of_status
from bifrost.integrations.batch_results import NOT_RUN
from bifrost.schema.call import Dialect

if TYPE_CHECKING:
    from bifrost.dialects.hub import Object

__all__ = ["MessageResults"]


@attrs.define(eq=False)
class MessageResults:
    """The lines of a batch of ``provider``. At most one of OpenAI's is held. Implements ``Results``."""

    provider: str
    content_type: ClassVar[bytes] = b"application/x-jsonl"
    _lines: LineCutter = attrs.field(factory=LineCutter, init=False)

    def feed(self, data: bytes) -> bytes:
        return self._told(self._lines.feed(data))

    def file_ends(self) -> bytes:
        return self._told(self._lines.close())

    def end(self) -> bytes:
        return b""

    def _told(self, lines: list[bytes]) -> bytes:
        return b"".join(self._line(line) + b"\n" for line in lines)

    def _line(self, line: bytes) -> bytes:
        """One result; a line that cannot be read is told as the failure of a request without a name."""
        try:
            members = split_object(line)
            name = members.get("custom_id", b'""')
            result = self._result(members)
        except InvalidJSON:
            name, result = b'""', _errored("api_error", "this line of the results cannot be read")
        return join_object({"custom_id": name, "result": result})

    def _result(self, members: dict[str, bytes]) -> bytes:
        response = loads(members.get("response", b"null"))
        error = loads(members.get("error", b"null"))
        told: Object = response if isinstance(response, dict) else {}
        body, status = told.get("body"), told.get("status_code")
        if isinstance(status, int) and 200 <= status < 300 and isinstance(body, dict):
            return self._succeeded(body)
        code = error.get("code") if isinstance(error, dict) else None
        if code in NOT_RUN:
            return dumps({"type": NOT_RUN[code]})
        inner = body.get("error") if isinstance(body, dict) else None
        said: Object = next((e for e in (inner, error) if isinstance(e, dict)), {})
        message = str(said.get("message") or "the request failed")
        return _errored(type_of_status(status if isinstance(status, int) else 500), message)

    def _succeeded(self, body: Object) -> bytes:
        if not isinstance(body.get("choices"), list):
            return _errored(
                "api_error", "the answer is no chat completion: it cannot be told as a message"
            )
        facts = AnswerFacts(
            request_type="batch_results",
            provider=self.provider,
            model_requested="",
            sent_s=0.0,
            dialect=Dialect.ANTHROPIC,
        )
        try:
            message = tell_message(Answer(value=body, body=dumps(body)), facts)
        except GatewayError as error:
            return _errored("api_error", error.message)
        return join_object({"type": b'"succeeded"', "message": message})


def _errored(kind: str, message: str) -> bytes:
    error = {"type": "error", "error": {"type": kind, "message": message}}
    return dumps({"type": "errored", "error": error})
