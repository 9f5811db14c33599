"""Whole JSON answers of the OpenAI dialect: checked to be what was asked for, read for their usage, handed on as they came.

Chat has a file of its own, for it is read with more care (``openai_chat_answer``). Source of the shapes: OpenAI API
reference, 2026-11.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

from bifrost.codecs import json
from bifrost.dialects import extra_fields
from bifrost.dialects.base import PlainAnswer
from bifrost.dialects.openai_errors import read_error_body, told_error
from bifrost.dialects.openai_usage import read_duration, read_usage
from bifrost.dialects.scrub import scrubber
from bifrost.errors import UpstreamError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bifrost.dialects.base import AnswerFacts

__all__ = ["BOM", "checked", "decode_answer", "looks_like_html"]

T = TypeVar("T")

BOM = b"\xef\xbb\xbf"

HTML = re.compile(rb"\s*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)


def decode_answer(body: bytes, facts: AnswerFacts, *, holds: str) -> PlainAnswer:
    """Read a 2xx ``body`` that should hold the member ``holds``. Raises UpstreamError if it is no JSON object.

    One without that member is an error, if it can be read as one. With it, ``error`` is a member like others: a response
    that failed in the background has one.
    """
    body = body.removeprefix(BOM)
    members = checked(body, json.split_object)
    if holds not in members:
        scrub = scrubber(facts.key)
        told = read_error_body(body, scrub)
        if told is not None:
            return PlainAnswer(body=body, error=told_error(told, None, scrub))
    usage = read_usage(members.get("usage", b"null"))
    if usage is None and "duration" in members:
        usage = read_duration(members["duration"])
    if facts.raw_verbatim:
        return PlainAnswer(body=body, usage=usage)
    edited = body
    if members.pop(extra_fields.NAME, None) is not None:
        edited = json.join_object(members)
    if facts.send_extra_fields:
        edited = json.splice(edited, extra_fields.of_whole(facts, body))
    return PlainAnswer(body=edited, usage=usage)


def checked(body: bytes, decode: Callable[[bytes], T]) -> T:
    """What ``decode`` (a door of ``codecs.json``) makes of a 2xx ``body``. Raises UpstreamError if that is not JSON."""
    if not body.strip():
        raise UpstreamError("empty response received from provider")
    try:
        value = decode(body)
    except json.InvalidJSON as error:
        if looks_like_html(body):
            raise UpstreamError("HTML response received from provider") from None
        raise UpstreamError(
            "failed to unmarshal response from provider API", cause=str(error)
        ) from None
    if not json.is_utf8(body):
        raise UpstreamError(
            "failed to unmarshal response from provider API", cause="not valid UTF-8"
        )
    return value


def looks_like_html(body: bytes) -> bool:
    return HTML.match(body[:512]) is not None
