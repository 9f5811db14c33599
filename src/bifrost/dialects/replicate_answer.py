"""Finished predictions of Replicate's in OpenAI's words.

Source: Replicate HTTP API reference, "Predictions", 2026-11.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from bifrost.codecs import json
from bifrost.dialects.hub import Answer
from bifrost.dialects.openai_answer import checked
from bifrost.dialects.openai_errors import Told, read_error, told_error
from bifrost.dialects.scrub import scrubber
from bifrost.errors import ErrorClass, GatewayError, UpstreamError

if TYPE_CHECKING:
    from bifrost.dialects.base import AnswerFacts

__all__ = [
    "RUNNING",
    "logged_usage",
    "picture",
    "pictures_of",
    "read_chat_answer",
    "read_images",
    "read_prediction",
    "read_text_answer",
    "text_of",
    "usage_of",
]

Object = dict[str, Any]

FINISHED = frozenset({"succeeded", "canceled"})
"""Canceled by somebody else: what has come of it by then is what there is."""

RUNNING = frozenset({"starting", "processing"})

PROMPT = re.compile(
    r"(?:input token count|number of tokens in prompt)\D{1,8}(\d{1,12})", re.IGNORECASE
)
MADE = re.compile(
    r"(?:output token count|number of tokens generated)\D{1,8}(\d{1,12})", re.IGNORECASE
)
"""What models write into their logs."""

INLINE = re.compile(r"data:[^,]{0,200};base64,([A-Za-z0-9+/=]*)")


def read_chat_answer(body: bytes, facts: AnswerFacts) -> Answer:
    """The chat completion that a prediction made. Raises UpstreamError if ``body`` is none."""
    value, error = read_prediction(body, facts)
    message = {"role": "assistant", "content": text_of(value.get("output")), "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return _answer(value, error, body, facts, {"object": "chat.completion", "choices": [choice]})


def read_text_answer(body: bytes, facts: AnswerFacts) -> Answer:
    """The completion that a prediction made. Raises UpstreamError."""
    value, error = read_prediction(body, facts)
    told = {"index": 0, "text": text_of(value.get("output")), "logprobs": None}
    choice = {**told, "finish_reason": "stop"}
    return _answer(value, error, body, facts, {"object": "text_completion", "choices": [choice]})


def read_images(body: bytes, facts: AnswerFacts) -> Answer:
    """The pictures that a prediction made: their addresses, as a rule. Raises UpstreamError."""
    value, error = read_prediction(body, facts)
    data = pictures_of(value.get("output"))
    return Answer(value={"created": int(facts.sent_unix_s), "data": data}, body=body, error=error)


def pictures_of(output: object) -> list[Object]:
    """Each picture of an output, as OpenAI's object of one."""
    urls = output if isinstance(output, list) else [output]
    return [picture(url) for url in urls if isinstance(url, str)]


def picture(url: str) -> Object:
    """OpenAI's object of one picture: ``b64_json`` of a data URI, ``url`` of any other."""
    found = INLINE.fullmatch(url)
    return {"url": url} if found is None else {"b64_json": found[1]}


def _answer(
    value: Object, error: GatewayError | None, body: bytes, facts: AnswerFacts, told: Object
) -> Answer:
    head = {"id": str(value.get("id", "")), "created": int(facts.sent_unix_s)}
    usage = usage_of(value)
    whole = {**head, "model": facts.model_requested, **told}
    return Answer(value={**whole, "usage": usage} if usage else whole, body=body, error=error)


def read_prediction(body: bytes, facts: AnswerFacts) -> tuple[Object, GatewayError | None]:
    """The prediction, and what is wrong with it: that it failed, or is not finished. Raises UpstreamError if it is none."""
    value = checked(body, json.loads)
    if not isinstance(value, dict):
        raise UpstreamError("failed to unmarshal response from provider API")
    status = str(value.get("status"))
    if status in FINISHED:
        return value, None
    if status in RUNNING:
        text = f"the prediction {str(value.get('id'))[:64]} was not finished"
        return value, UpstreamError(text, status=504, error_class=ErrorClass.TIMEOUT)
    scrub = scrubber(facts.key)
    told = Told(message=text_of(value.get("error")))
    if status != "failed":
        told = read_error(value) or told
    return value, told_error(told, None, scrub)


def text_of(output: object) -> str:
    """A text, the pieces of one, or one under a name."""
    match output:
        case str():
            return output
        case list():
            return "".join(piece for piece in output if isinstance(piece, str))
        case {"text": inner}:
            return text_of(inner)
        case _:
            return ""


def usage_of(value: Object) -> Object:
    """By the metrics where they count tokens, else by what the model wrote into its logs; empty where neither says."""
    prompt, completion = _counted(value.get("metrics")) or _logged(value.get("logs"))
    return _told(prompt, completion)


def logged_usage(logs: str) -> Object:
    """What a model wrote into its logs; empty where it wrote nothing of it."""
    return _told(*_logged(logs))


def _told(prompt: int | None, completion: int | None) -> Object:
    if prompt is None and completion is None:
        return {}
    prompt, completion = prompt or 0, completion or 0
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def _counted(metrics: object) -> tuple[int | None, int | None] | None:
    """Tokens in and out; ``None`` where the metrics count none."""
    match metrics:
        case {"input_token_count": int(prompt), "output_token_count": int(completion)}:
            return prompt, completion
        case _:
            return None


def _logged(logs: object) -> tuple[int | None, int | None]:
    text = logs if isinstance(logs, str) else ""
    found = (each.search(text) for each in (PROMPT, MADE))
    prompt, completion = (None if match is None else int(match[1]) for match in found)
    return prompt, completion
