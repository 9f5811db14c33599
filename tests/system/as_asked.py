"""Upstreams that answer what they are asked, as strict as the real ones: OpenAI, Gemini, Bedrock and Cohere.

The last turn decides: a tool's result is told back, a tool that may be called is called, a picture is named by its type, and
all else is greeted. ``system.anthropic_upstream.claude`` does the same.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pydantic

from dialects import cohere_wire
from dialects.cohere_wire import check_chat
from dialects.converse import event
from system import bedrock_like, gemini_upstream, openai_rules
from system.anthropic_rules import signature_of
from system.upstream import chat_answer, plain, raw, status, stream, stream_chunks

if TYPE_CHECKING:
    from collections.abc import Iterator

    import trio

    from system.upstream import Behaviour, Received

__all__ = ["bedrock", "cohere", "gemini", "openai"]

GREETING = "Hello"
ARGUMENTS = {"city": "Oslo", "days": 2}
THOUGHT = "A city: I call the tool."
UNSIGNED = "skip_thought_signature_validator"
"""What Gemini takes for calls that another model made."""

SIGNATURE = base64.b64encode(b"signed by who thought it").decode()


# OpenAI


def openai() -> Behaviour:
    """Chat completions of OpenAI."""

    async def behave(conn: trio.SocketStream, received: Received) -> None:
        wrong = openai_rules.complaint(received.json)
        error = {"message": wrong, "type": "invalid_request_error", "param": None, "code": None}
        then = _completion(received.json) if wrong is None else status(400, {"error": error})
        await then(conn, received)

    return behave


def _completion(body: dict[str, Any]) -> Behaviour:
    calls, text = _chat_turn(body)
    if not body.get("stream"):
        answer = chat_answer(text)
        if calls:
            answer["choices"][0] |= {"finish_reason": "tool_calls"}
            answer["choices"][0]["message"] |= {"content": None, "tool_calls": calls}
        return plain(answer)
    chunks = stream_chunks([] if calls else [text[:3], text[3:]])
    for call in calls:
        arguments = call["function"].pop("arguments")
        began = {**call, "index": 0, "function": {**call["function"], "arguments": ""}}
        deltas = [began, *({"index": 0, "function": {"arguments": t}} for t in (arguments[:5], arguments[5:]))]  # fmt: skip
        chunks[-2]["choices"][0]["finish_reason"] = "tool_calls"
        chunks[1:1] = [_delta_of(chunks[0], {"tool_calls": [delta]}) for delta in deltas]
    return stream(chunks)


def _delta_of(chunk: dict[str, Any], delta: dict[str, Any]) -> dict[str, Any]:
    return {**chunk, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}


def _chat_turn(body: dict[str, Any]) -> tuple[list[dict[str, Any]], str]:
    """The calls, or the text, that answer the last of ``messages`` in OpenAI's words, or in Cohere's."""
    last = body["messages"][-1]
    parts = last["content"] if isinstance(last["content"], list) else []
    pictures = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    if last["role"] == "tool":
        return [], f"It is {_text_of(last['content'])}"
    if body.get("tools"):
        name = body["tools"][0]["function"]["name"]
        function = {"name": name, "arguments": json.dumps(ARGUMENTS)}
        return [{"id": "call_1", "type": "function", "function": function}], ""
    if pictures:
        return [], f"A picture of type {pictures[0][5:].partition(';')[0]}"
    return [], GREETING


def _text_of(content: str | list[Any]) -> str:
    """A result, which Cohere may also be given as a document."""
    if isinstance(content, str):
        return content
    return "".join(part.get("text") or str(part["document"]["data"]) for part in content)


# Gemini


def gemini() -> Behaviour:
    """Gemini, which signs its calls, and wants its own signatures back."""

    async def behave(conn: trio.SocketStream, received: Received) -> None:
        if received.method == "GET":
            await plain({"models": [{"name": "models/gemini-2.5-flash"}]})(conn, received)
            return
        told = gemini_upstream.answer(*_gemini_parts(received.json))
        is_stream = ":streamGenerateContent" in received.path
        then = gemini_upstream.strict_stream([told]) if is_stream else gemini_upstream.strict(told)
        if _forged(received.json):
            error = {"code": 400, "message": "Corrupted thought signature.", "status": "INVALID_ARGUMENT"}  # fmt: skip
            then = status(400, {"error": error})
        await then(conn, received)

    return behave


def _forged(body: dict[str, Any]) -> bool:
    parts = (part for content in body["contents"] for part in content["parts"])
    return any(
        part.get("thoughtSignature", SIGNATURE) not in {SIGNATURE, UNSIGNED} for part in parts
    )


def _gemini_parts(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    last = body["contents"][-1]["parts"]
    result = next((p["functionResponse"]["response"] for p in last if "functionResponse" in p), None)  # fmt: skip
    pictures = [part["inlineData"]["mimeType"] for part in last if "inlineData" in part]
    if result is not None:
        yield {"text": f"It is {result}"}
    elif "tools" in body:
        yield {"text": THOUGHT, "thought": True}
        name = body["tools"][0]["functionDeclarations"][0]["name"]
        call = {"id": "c1", "name": name, "args": ARGUMENTS}
        yield {"functionCall": call, "thoughtSignature": SIGNATURE}
    elif pictures:
        yield {"text": f"A picture of type {pictures[0]}"}
    else:
        yield {"text": GREETING}


# Bedrock


def bedrock() -> Behaviour:
    """Converse, behind ``BedrockLike``, which knows the shapes."""

    async def behave(conn: trio.SocketStream, received: Received) -> None:
        wrong = next(_converse_faults(received.json), None)
        then = bedrock_like.refused(400, "ValidationException", wrong or "")
        if wrong is None:
            then = _converse(received)
        await then(conn, received)

    return behave


def _converse_faults(body: dict[str, Any]) -> Iterator[str]:
    """Turns by turns, the user first; each use has its result in the next turn; tools are told while they are used."""
    asked: set[str] = set()
    for n, message in enumerate(body["messages"]):
        if message["role"] != ("user", "assistant")[n % 2]:
            yield "A conversation must alternate between user and assistant roles, and start with a user message."
        told = {b["toolResult"]["toolUseId"] for b in message["content"] if "toolResult" in b}
        if told != asked:
            yield "The number of toolResult blocks exceeds or misses the toolUse blocks of previous turn."
        asked = {b["toolUse"]["toolUseId"] for b in message["content"] if "toolUse" in b}
        if (told or asked) and "toolConfig" not in body:
            yield "The toolConfig field must be defined when using toolUse and toolResult content blocks."
        yield from _thought_faults(message["content"])
    thinks = body.get("additionalModelRequestFields", {}).get("thinking", {}).get("type")
    if thinks == "enabled" and _told_back(body) and "reasoningContent" not in body["messages"][-2]["content"][0]:  # fmt: skip
        yield "Expected `thinking` or `redacted_thinking`, but found `tool_use`."


def _told_back(body: dict[str, Any]) -> bool:
    return any("toolResult" in block for block in body["messages"][-1]["content"])


def _thought_faults(content: list[dict[str, Any]]) -> Iterator[str]:
    """Claude's signatures are the same wherever it runs."""
    for block in content:
        match block:
            case {"reasoningContent": {"reasoningText": {"text": text, "signature": signature}}}:
                if signature != signature_of(text):
                    yield "Invalid `signature` in `thinking` block"
            case {"reasoningContent": {"redactedContent": str(data)}}:
                if not data.startswith("Redacted"):
                    yield "Invalid `data` in `redacted_thinking` block"
            case {"reasoningContent": _}:
                yield "Missing `signature` in `thinking` block"
            case _:
                pass


def _converse(received: Received) -> Behaviour:
    blocks = [*_converse_blocks(received.json)]
    stop = "tool_use" if "toolUse" in blocks[-1] else "end_turn"
    if received.path.endswith("/converse"):
        return bedrock_like.answer(*blocks, stop=stop)
    frames = (f for n, block in enumerate(blocks) for f in _frames_of(n, block))
    return bedrock_like.frames(*frames, stop=stop)


def _converse_blocks(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    last = body["messages"][-1]["content"]
    results = [block["toolResult"]["content"] for block in last if "toolResult" in block]
    pictures = [block["image"]["format"] for block in last if "image" in block]
    if "thinking" in body.get("additionalModelRequestFields", {}):
        thought = {"text": THOUGHT, "signature": signature_of(THOUGHT)}
        yield {"reasoningContent": {"reasoningText": thought}}
    if results:
        [content] = results[0]
        yield {"text": f"It is {content.get('text') or content['json']}"}
    elif "toolConfig" in body:
        name = body["toolConfig"]["tools"][0]["toolSpec"]["name"]
        yield {"toolUse": {"toolUseId": "tooluse_1", "name": name, "input": ARGUMENTS}}
    elif pictures:
        yield {"text": f"A picture of type image/{pictures[0]}"}
    else:
        yield {"text": GREETING}


def _frames_of(index: int, block: dict[str, Any]) -> Iterator[bytes]:
    def delta(value: dict[str, Any]) -> bytes:
        return event("contentBlockDelta", {"contentBlockIndex": index, "delta": value})

    match block:
        case {"text": text}:
            yield delta({"text": text[:3]})
            yield delta({"text": text[3:]})
        case {"reasoningContent": {"reasoningText": {"text": text, "signature": signature}}}:
            yield delta({"reasoningContent": {"text": text}})
            yield delta({"reasoningContent": {"signature": signature}})
        case {"toolUse": {"input": value, **use}}:
            yield event("contentBlockStart", {"contentBlockIndex": index, "start": {"toolUse": use}})  # fmt: skip
            told = json.dumps(value)
            yield delta({"toolUse": {"input": told[:5]}})
            yield delta({"toolUse": {"input": told[5:]}})
        case _:
            raise AssertionError(block)
    yield event("contentBlockStop", {"contentBlockIndex": index})


# Cohere


def cohere() -> Behaviour:
    """Chat of Cohere's API v2."""

    async def behave(conn: trio.SocketStream, received: Received) -> None:
        try:
            check_chat(received.json)
        except (AssertionError, pydantic.ValidationError) as error:
            then = status(400, {"message": f"invalid request: {error}"})
        else:
            then = _cohere_answer(received.json)
        await then(conn, received)

    return behave


def _cohere_answer(body: dict[str, Any]) -> Behaviour:
    calls, text = _chat_turn(body)
    if not body.get("stream"):
        content = {"tool_plan": THOUGHT, "tool_calls": calls} if calls else {"content": [{"type": "text", "text": text}]}  # fmt: skip
        usage = {"tokens": {"input_tokens": 7, "output_tokens": 3}}
        message = {"role": "assistant", **content}
        reason = "TOOL_CALL" if calls else "COMPLETE"
        return plain({"id": "msg-1", "finish_reason": reason, "message": message, "usage": usage})
    if not calls:
        return _events(cohere_wire.stream(cohere_wire.block(0, "text", text[:3], text[3:])))
    [call] = calls
    told = call["function"]["arguments"]
    part = cohere_wire.call(0, call["id"], call["function"]["name"], told[:5], told[5:])
    return _events(cohere_wire.stream(part, reason="TOOL_CALL"))


def _events(body: bytes) -> Behaviour:
    head = b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n"
    half = len(body) // 2
    return raw(head % len(body), body[:half], 0.01, body[half:], close=False)
