"""The results of a batch as the gateway's own routes tell them: one JSON object, made of the lines of OpenAI's output file."""

from __future__ import annotations

from typing import ClassVar, Final, Protocol

import attrs

from bifrost.codecs.json import InvalidJSON, dumps, join_object, loads, split_object
from bifrost.dialects.batch_results import LineCutter
from bifrost.errors import UpstreamError

__all__ = ["NOT_RUN", "Results", "ResultsAnswer", "result_files"]

PARSE_ERRORS_MAX: Final = 100
"""Lines that cannot be read and are told of; further ones are only counted."""

NOT_RUN = {"batch_expired": "expired", "batch_cancelled": "canceled"}
"""OpenAI's codes of requests that were not run."""


class Results(Protocol):
    """An answer growing out of the bytes of a batch's files, whose lines are OpenAI's. Any split gives the same answer."""

    content_type: ClassVar[bytes]

    def feed(self, data: bytes) -> bytes:
        """What ``data`` adds to the answer. Raises UpstreamError for a line that is too long."""
        ...

    def file_ends(self) -> bytes:
        """What is left of a file: its last line need not have an end."""
        ...

    def end(self) -> bytes:
        """The end of the answer, and its beginning too if there was no result."""
        ...


def result_files(batch: bytes) -> tuple[str, ...]:
    """The ids of the files in which the results of ``batch``, a batch object, stand. Raises UpstreamError."""
    try:
        members = split_object(batch)
    except InvalidJSON as error:
        text = "failed to unmarshal response from provider API"
        raise UpstreamError(text, cause=str(error)) from None
    names = (loads(members.get(name, b"null")) for name in ("output_file_id", "error_file_id"))
    return tuple(name for name in names if isinstance(name, str) and name)


@attrs.define(eq=False)
class ResultsAnswer:
    """The gateway's own, one JSON object. At most one line is held. Implements ``Results``."""

    content_type: ClassVar[bytes] = b"application/json"

    batch_id: str
    provider: str
    extra_fields: bool
    _lines: LineCutter = attrs.field(factory=LineCutter, init=False)
    _count: int = attrs.field(default=0, init=False)
    _seen: int = attrs.field(default=0, init=False)
    _errors: list[dict[str, object]] = attrs.field(factory=list, init=False)
    _unread: int = attrs.field(default=0, init=False)
    _begun: bool = attrs.field(default=False, init=False)

    def feed(self, data: bytes) -> bytes:
        return self._told(self._lines.feed(data))

    def file_ends(self) -> bytes:
        return self._told(self._lines.close())

    def end(self) -> bytes:
        tail = b"]"
        if self.extra_fields:
            told: dict[str, object] = {"request_type": "batch_results", "provider": self.provider}
            if self._unread:
                told["parse_errors"] = self._errors
            tail += b',"extra_fields":%b' % dumps(told)
        return self._head() + tail + b"}"

    def _head(self) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        return b'{"batch_id":%b,"results":[' % dumps(self.batch_id)

    def _told(self, lines: list[bytes]) -> bytes:
        out: list[bytes] = []
        for line in lines:
            self._seen += 1
            try:
                told = _result(line)
            except InvalidJSON as error:
                self._note(str(error))
                continue
            out.append(b"," + told if self._count else told)
            self._count += 1
        return self._head() + b"".join(out) if out else b""

    def _note(self, why: str) -> None:
        self._unread += 1
        if self._unread <= PARSE_ERRORS_MAX:
            self._errors.append({"line": self._seen, "message": why})


def _result(line: bytes) -> bytes:
    """One line as a result; what is ``null`` is left out. Raises InvalidJSON."""
    members = split_object(line)
    names = ("custom_id", "response", "error")
    told = {name: members[name] for name in names if members.get(name, b"null") != b"null"}
    return join_object({**told, "result": dumps({"type": _type(told)})})


def _type(told: dict[str, bytes]) -> str:
    """How it went, in a word."""
    response = split_object(told["response"]) if "response" in told else {}
    status = loads(response.get("status_code", b"null"))
    if isinstance(status, int) and 200 <= status < 300:
        return "succeeded"
    error = split_object(told["error"]) if "error" in told else {}
    return NOT_RUN.get(str(loads(error.get("code", b"null"))), "errored")
