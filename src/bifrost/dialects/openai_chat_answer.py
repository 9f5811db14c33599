"""A whole chat answer of the OpenAI dialect: checked to be one, read for its usage, and handed on as it came."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from bifrost.codecs import json
from bifrost.dialects import extra_fields
from bifrost.dialects.base import PlainAnswer
from bifrost.dialects.openai_answer import BOM, checked
from bifrost.dialects.openai_errors import read_error_body, told_error
from bifrost.dialects.openai_usage import read_usage
from bifrost.dialects.scrub import scrubber

if TYPE_CHECKING:
    from bifrost.dialects.base import AnswerFacts
    from bifrost.errors import GatewayError

__all__ = ["Plain", "decode_chat_answer", "read_plain", "refusal_in"]

NO_RAW = msgspec.Raw(b"null")
"""Stands for a member that is not there; told by identity."""

CONTENT_LIST = re.compile(rb'"content"\s*:\s*\[')


class Plain(msgspec.Struct, gc=False):
    """What is read of every whole answer."""

    choices: msgspec.Raw = NO_RAW
    usage: msgspec.Raw = NO_RAW
    error: Any = None
    extra_fields: msgspec.Raw = NO_RAW


_decode_plain = json.decoder(Plain)


def decode_chat_answer(body: bytes, facts: AnswerFacts) -> PlainAnswer:
    """Read a 2xx ``body``. Raises UpstreamError if it is no JSON object.

    A missing ``choices`` becomes an empty list; a first message whose content is a list of nothing but texts gets
    them joined, for callers index and print it.
    """
    body = body.removeprefix(BOM)
    plain = read_plain(body)
    error = refusal_in(body, plain, facts)
    if error is not None:
        return PlainAnswer(body=body, error=error)
    usage = read_usage(bytes(plain.usage))
    if facts.raw_verbatim:
        return PlainAnswer(body=body, usage=usage)
    edited = _edited(body, plain)
    if facts.send_extra_fields:
        edited = json.splice(edited, extra_fields.of_whole(facts, body))
    return PlainAnswer(body=edited, usage=usage)


def refusal_in(body: bytes, plain: Plain, facts: AnswerFacts) -> GatewayError | None:
    """The error that a 2xx ``body`` tells instead of an answer, if it does."""
    if not plain.error and plain.choices is not NO_RAW:
        return None
    scrub = scrubber(facts.key)
    told = read_error_body(body, scrub)
    return None if told is None else told_error(told, None, scrub)


def read_plain(body: bytes) -> Plain:
    """The head of a 2xx ``body`` without its BOM. Raises UpstreamError if it is no JSON object."""
    return checked(body, _decode_plain)


def _edited(body: bytes, plain: Plain) -> bytes:
    if plain.extra_fields is not NO_RAW:
        members = json.split_object(body)
        del members[extra_fields.NAME]
        body = json.join_object(members)
    if plain.choices is NO_RAW:
        return json.splice(body, b'"choices":[]')
    if CONTENT_LIST.search(body) is not None:
        return _flattened(body)
    return body


def _flattened(body: bytes) -> bytes:
    """``body`` with the first message's list of texts as one text; as it is, if that is not what it has."""
    try:
        members = json.split_object(body)
        choices = json.split_array(members["choices"])
        choice = json.split_object(choices[0])
        message = json.split_object(choice["message"])
        parts = json.loads(message["content"])
    except (json.InvalidJSON, LookupError):
        return body
    texts = _texts(parts)
    if texts is None:
        return body
    message["content"] = json.dumps("\n\n".join(texts))
    choice["message"] = json.join_object(message)
    members["choices"] = json.join_array([json.join_object(choice), *choices[1:]])
    return json.join_object(members)


def _texts(parts: object) -> list[str] | None:
    if not isinstance(parts, list):
        return None
    texts = [
        part["text"]
        for part in parts
        if isinstance(part, dict)
        and part.get("type") == "text"
        and isinstance(part.get("text"), str)
    ]
    return texts if len(texts) == len(parts) else None
