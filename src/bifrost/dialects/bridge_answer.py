"""A whole chat answer as the Response that the caller asked for."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from bifrost.codecs import json
from bifrost.dialects.base import PlainAnswer
from bifrost.dialects.bridge_output import Output, stem_of
from bifrost.dialects.bridge_response import Envelope, carried, ending_of
from bifrost.dialects.chat_teller import with_extra_fields
from bifrost.dialects.openai_answer import BOM
from bifrost.dialects.openai_chat_answer import read_plain, refusal_in
from bifrost.dialects.openai_usage import read_usage
from bifrost.errors import UpstreamError

if TYPE_CHECKING:
    from bifrost.dialects.base import AnswerFacts
    from bifrost.dialects.bridge_output import Event
    from bifrost.dialects.hub import Answer
    from bifrost.schema.call import RawMembers

__all__ = ["chat_to_responses", "tell_response"]


def chat_to_responses(body: bytes, facts: AnswerFacts, members: RawMembers) -> PlainAnswer:
    """Read a 2xx chat ``body``; ``members`` are the Responses request's, to be echoed.

    The first choice counts: Responses knows no others. Raises UpstreamError as ``decode_chat_answer`` does. A raw echo
    stands in ``extra_fields`` even where it would be verbatim, for it is not in the caller's dialect.
    """
    body = body.removeprefix(BOM)
    plain = read_plain(body)
    error = refusal_in(body, plain, facts)
    if error is not None:
        return PlainAnswer(body=body, error=error)
    usage = bytes(plain.usage)
    try:
        value = json.loads(body)
    except json.InvalidJSON as error_:
        text = "failed to unmarshal response from provider API"
        raise UpstreamError(text, cause=str(error_)) from None
    response = _translated(value, body, usage, facts.model_requested, members)
    return PlainAnswer(body=with_extra_fields(response, body, facts), usage=read_usage(usage))


def tell_response(answer: Answer, facts: AnswerFacts) -> bytes:
    """The Response that a chat ``answer`` of a foreign upstream becomes; ``facts`` have the Responses request's members."""
    usage = json.dumps(answer.value.get("usage"))
    response = _translated(answer.value, answer.body, usage, facts.model_requested, facts.members)
    return with_extra_fields(response, answer.body, facts)


def _translated(
    value: dict[str, Any], body: bytes, usage: bytes, model: str, members: RawMembers
) -> bytes:
    """The chat completion ``value`` as a Response. The id is made of ``body`` where there is none."""
    spare_id = f"resp_{hashlib.sha256(body).hexdigest()[:24]}"
    envelope = Envelope.of(value, model, members, spare_id)
    choice = _first(value.get("choices"))
    ending = ending_of(choice.get("finish_reason"))
    return envelope.encode(
        ending.status,
        output=_output(envelope.id, choice, is_incomplete=ending.status != "completed"),
        usage=usage,
        ending=ending,
        told=carried(value),
    )


def _output(answer_id: str, choice: dict[str, Any], *, is_incomplete: bool) -> bytes:
    output = Output(stem_of(answer_id))
    untold: list[Event] = []
    output.take(_numbered(choice.get("message")), choice.get("logprobs"), untold.append)
    output.finish(untold.append, is_incomplete=is_incomplete)
    return json.dumps(output.items)


def _first(choices: object) -> dict[str, Any]:
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, dict) else {}


def _numbered(message: object) -> dict[str, Any]:
    """``message`` with the index of each tool call, which tells apart calls that share an id."""
    if not isinstance(message, dict):
        return {}
    calls = message.get("tool_calls")
    if isinstance(calls, list):
        calls = [
            {**call, "index": index} if isinstance(call, dict) else call
            for index, call in enumerate(calls)
        ]
    return {**message, "tool_calls": calls}
