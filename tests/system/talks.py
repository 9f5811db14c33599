"""Talks with a gateway through the providers' own SDKs, all alike: what is said goes in, the text of the answer comes out.

Each keeps its history as plain code with that SDK does: what came is given back as it came, so that a gateway that loses a
signature or an id on the way is refused at the next turn.
"""

from __future__ import annotations

import base64
import json
from abc import ABC, abstractmethod
from contextlib import closing
from typing import TYPE_CHECKING, Any

import anthropic
import boto3
import httpx
from botocore.config import Config
from cohere import ClientV2
from google import genai
from google.genai import types

from system.sdk import OPENED, sdk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from system.process import Gateway

__all__ = ["PNG", "TALKS", "Talk"]

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PICTURE_URL = f"data:image/png;base64,{PNG}"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOL: dict[str, Any] = {"name": "weather", "description": "The weather of a city."}
OPENAI_TOOL = {"type": "function", "function": {**TOOL, "parameters": SCHEMA}}

Call = tuple[str, str, dict[str, Any]]
"""The id, the name and the arguments."""


def weather(city: str, days: int) -> str:
    return f"sunny in {city} for {days} days"


class Talk(ABC):
    """A conversation. ``thinks`` asks for thinking."""

    def __init__(self, gateway: Gateway, model: str, *, thinks: bool = False) -> None:
        self.gateway = gateway
        self.model = model
        self.thinks = thinks
        self.history: list[Any] = []

    def say(
        self, text: str, *, picture: bool = False, tools: bool = False, streams: bool = False
    ) -> str:
        """Blocks until the answer is there, the tool called in between."""
        self.add(text, picture=picture)
        said, calls = self.ask(tools=tools, streams=streams)
        if calls:
            self.add_results([(call, weather(**call[2])) for call in calls])
            said, calls = self.ask(tools=tools, streams=streams)
            assert not calls
        return said

    @abstractmethod
    def add(self, text: str, *, picture: bool) -> None:
        """The user's turn into the history."""

    @abstractmethod
    def add_results(self, results: list[tuple[Call, str]]) -> None:
        """The tool's turn into the history."""

    @abstractmethod
    def ask(self, *, tools: bool, streams: bool) -> tuple[str, list[Call]]:
        """The model's turn; it is in the history then."""


class ByChat(Talk):
    """OpenAI's SDK, chat completions."""

    def add(self, text: str, *, picture: bool) -> None:
        parts: list[Any] = [{"type": "text", "text": text}]
        if picture:
            parts.append({"type": "image_url", "image_url": {"url": PICTURE_URL}})
        self.history.append({"role": "user", "content": parts})

    def add_results(self, results: list[tuple[Call, str]]) -> None:
        self.history.extend(
            {"role": "tool", "tool_call_id": id_, "content": text} for (id_, _, _), text in results
        )

    def ask(self, *, tools: bool, streams: bool) -> tuple[str, list[Call]]:
        chat = sdk(self.gateway).chat.completions
        asked: dict[str, Any] = {"model": self.model, "messages": self.history}
        if tools:
            asked["tools"] = [OPENAI_TOOL]
        if self.thinks:
            asked["reasoning_effort"] = "low"
        if streams:
            with chat.stream(**asked) as events:
                message: Any = events.get_final_completion().choices[0].message
        else:
            message = chat.create(**asked).choices[0].message
        kept = message.to_dict()
        # Its helper for streams adds something of its own.
        kept.pop("parsed", None)
        for call in kept.get("tool_calls") or ():
            call.pop("index", None)
            call["function"].pop("parsed_arguments", None)
        self.history.append(kept)
        calls = message.tool_calls or []
        return message.content or "", [
            (c.id, c.function.name, json.loads(c.function.arguments)) for c in calls
        ]


class ByResponses(Talk):
    """OpenAI's SDK, Responses, nothing stored: as Codex does it."""

    def add(self, text: str, *, picture: bool) -> None:
        parts: list[Any] = [{"type": "input_text", "text": text}]
        if picture:
            parts.append({"type": "input_image", "image_url": PICTURE_URL})
        self.history.append({"role": "user", "content": parts})

    def add_results(self, results: list[tuple[Call, str]]) -> None:
        self.history.extend(
            {"type": "function_call_output", "call_id": id_, "output": text}
            for (id_, _, _), text in results
        )

    def ask(self, *, tools: bool, streams: bool) -> tuple[str, list[Call]]:
        create = sdk(self.gateway).responses.create
        asked: dict[str, Any] = {"model": self.model, "input": self.history, "store": False}
        asked["include"] = ["reasoning.encrypted_content"]
        if tools:
            asked["tools"] = [{"type": "function", "strict": False, **TOOL, "parameters": SCHEMA}]
        if self.thinks:
            asked["reasoning"] = {"effort": "low", "summary": "auto"}
        answer: Any
        if streams:
            *_, last = create(**asked, stream=True)
            assert last.type == "response.completed", last
            answer = last.response
        else:
            answer = create(**asked)
        self.history.extend(item.to_dict() for item in answer.output)
        return answer.output_text, [
            (item.call_id, item.name, json.loads(item.arguments))
            for item in answer.output
            if item.type == "function_call"
        ]


class ByMessages(Talk):
    """Anthropic's SDK."""

    def add(self, text: str, *, picture: bool) -> None:
        blocks: list[Any] = [{"type": "text", "text": text}]
        if picture:
            source = {"type": "base64", "media_type": "image/png", "data": PNG}
            blocks.insert(0, {"type": "image", "source": source})
        self.history.append({"role": "user", "content": blocks})

    def add_results(self, results: list[tuple[Call, str]]) -> None:
        blocks = [
            {"type": "tool_result", "tool_use_id": id_, "content": text}
            for (id_, _, _), text in results
        ]
        self.history.append({"role": "user", "content": blocks})

    def ask(self, *, tools: bool, streams: bool) -> tuple[str, list[Call]]:
        asked: dict[str, Any] = {"model": self.model, "messages": self.history, "max_tokens": 4096}
        if tools:
            asked["tools"] = [{**TOOL, "input_schema": SCHEMA}]
        if self.thinks:
            asked["thinking"] = {"type": "enabled", "budget_tokens": 1024}
        url = f"{self.gateway.url}/anthropic"
        with anthropic.Anthropic(base_url=url, api_key="unused", max_retries=0) as client:
            if streams:
                with client.messages.stream(**asked) as events:
                    message: Any = events.get_final_message()
            else:
                message = client.messages.create(**asked)
        self.history.append(
            {"role": "assistant", "content": [b.to_dict() for b in message.content]}
        )
        text = "".join(block.text for block in message.content if block.type == "text")
        return text, [(b.id, b.name, b.input) for b in message.content if b.type == "tool_use"]


class ByGenerateContent(Talk):
    """Google's SDK."""

    def add(self, text: str, *, picture: bool) -> None:
        parts = [types.Part.from_text(text=text)]
        if picture:
            data = base64.b64decode(PNG)
            parts.append(types.Part.from_bytes(data=data, mime_type="image/png"))
        self.history.append(types.Content(role="user", parts=parts))

    def add_results(self, results: list[tuple[Call, str]]) -> None:
        parts = [
            types.Part(
                function_response=types.FunctionResponse(
                    id=id_ or None, name=name, response={"result": text}
                )
            )
            for (id_, name, _), text in results
        ]
        self.history.append(types.Content(role="user", parts=parts))

    def ask(self, *, tools: bool, streams: bool) -> tuple[str, list[Call]]:
        parts = [*self._parts(tools=tools, streams=streams)]
        self.history.append(types.Content(role="model", parts=parts))
        text = "".join(part.text or "" for part in parts if not part.thought)
        called = [part.function_call for part in parts if part.function_call]
        return text, [(c.id or "", c.name or "", dict(c.args or {})) for c in called]

    def _parts(self, *, tools: bool, streams: bool) -> Iterator[types.Part]:
        declared = types.FunctionDeclaration(**TOOL, parameters_json_schema=SCHEMA)
        thinking = types.ThinkingConfig(include_thoughts=True, thinking_budget=1024)
        config = types.GenerateContentConfig(
            tools=[types.Tool(function_declarations=[declared])] if tools else None,
            thinking_config=thinking if self.thinks else None,
        )
        asked: Any = {"model": self.model, "contents": self.history, "config": config}
        options = types.HttpOptions(base_url=f"{self.gateway.url}/genai")
        with genai.Client(api_key="unused", http_options=options) as client:
            generate = client.models.generate_content
            many = client.models.generate_content_stream
            for answer in many(**asked) if streams else [generate(**asked)]:
                assert answer.candidates
                content = answer.candidates[0].content
                yield from (content.parts or ()) if content else ()


class ByConverse(Talk):
    """AWS's SDK."""

    def add(self, text: str, *, picture: bool) -> None:
        blocks: list[Any] = [{"text": text}]
        if picture:
            source = {"bytes": base64.b64decode(PNG)}
            blocks.append({"image": {"format": "png", "source": source}})
        self.history.append({"role": "user", "content": blocks})

    def add_results(self, results: list[tuple[Call, str]]) -> None:
        blocks = [
            {"toolResult": {"toolUseId": id_, "content": [{"text": text}]}}
            for (id_, _, _), text in results
        ]
        self.history.append({"role": "user", "content": blocks})

    def ask(self, *, tools: bool, streams: bool) -> tuple[str, list[Call]]:
        asked: dict[str, Any] = {"modelId": self.model, "messages": self.history}
        asked["inferenceConfig"] = {"maxTokens": 4096}
        if tools:
            spec = {"toolSpec": {**TOOL, "inputSchema": {"json": SCHEMA}}}
            asked["toolConfig"] = {"tools": [spec]}
        if self.thinks:
            thinking = {"type": "enabled", "budget_tokens": 1024}
            asked["additionalModelRequestFields"] = {"thinking": thinking}
        client = self._client()
        if streams:
            with closing(client.converse_stream(**asked)["stream"]) as events:
                content = _converse_blocks(events)
        else:
            content = client.converse(**asked)["output"]["message"]["content"]
        self.history.append({"role": "assistant", "content": content})
        uses = [block["toolUse"] for block in content if "toolUse" in block]
        text = "".join(block.get("text", "") for block in content)
        return text, [(use["toolUseId"], use["name"], use["input"]) for use in uses]

    def _client(self) -> Any:
        client = boto3.client(
            "bedrock-runtime",
            endpoint_url=f"{self.gateway.url}/bedrock",
            region_name="us-east-1",
            aws_access_key_id="dummy",
            aws_secret_access_key="dummy",
            config=Config(retries={"total_max_attempts": 1}),
        )
        OPENED.append(client)
        return client


def _converse_blocks(events: Any) -> list[dict[str, Any]]:
    """The blocks that a stream of Converse tells, as a caller puts them together."""
    blocks: dict[int, dict[str, Any]] = {}
    for event in events:
        match event:
            case {"contentBlockStart": {"contentBlockIndex": n, "start": {"toolUse": use}}}:
                blocks[n] = {"toolUse": {**use, "input": ""}}
            case {"contentBlockDelta": {"contentBlockIndex": n, "delta": {"text": text}}}:
                block = blocks.setdefault(n, {"text": ""})
                block["text"] += text
            case {"contentBlockDelta": {"contentBlockIndex": n, "delta": {"toolUse": use}}}:
                blocks[n]["toolUse"]["input"] += use["input"]
            case {"contentBlockDelta": {"contentBlockIndex": n, "delta": {"reasoningContent": more}}}:  # fmt: skip
                _add_thought(blocks.setdefault(n, {"reasoningContent": {}}), more)
            case _:
                pass
    for block in blocks.values():
        if "toolUse" in block:
            block["toolUse"]["input"] = json.loads(block["toolUse"]["input"])
    return [block for _, block in sorted(blocks.items())]


def _add_thought(block: dict[str, Any], more: dict[str, Any]) -> None:
    if "redactedContent" in more:
        block["reasoningContent"] = more
        return
    told = block["reasoningContent"].setdefault("reasoningText", {"text": ""})
    told["text"] += more.get("text", "")
    if "signature" in more:
        told["signature"] = more["signature"]


class ByCohere(Talk):
    """Cohere's SDK."""

    def add(self, text: str, *, picture: bool) -> None:
        blocks: list[Any] = [{"type": "text", "text": text}]
        if picture:
            blocks.append({"type": "image_url", "image_url": {"url": PICTURE_URL}})
        self.history.append({"role": "user", "content": blocks})

    def add_results(self, results: list[tuple[Call, str]]) -> None:
        self.history.extend(
            {"role": "tool", "tool_call_id": id_, "content": text} for (id_, _, _), text in results
        )

    def ask(self, *, tools: bool, streams: bool) -> tuple[str, list[Call]]:
        asked: dict[str, Any] = {"model": self.model, "messages": self.history, "max_tokens": 4096}
        if tools:
            asked["tools"] = [OPENAI_TOOL]
        if self.thinks:
            asked["thinking"] = {"type": "enabled", "token_budget": 1024}
        with httpx.Client(timeout=30) as http:
            client = ClientV2(
                api_key="unused",
                base_url=f"{self.gateway.url}/cohere",
                httpx_client=http,
                max_retries=0,
            )
            if streams:
                message = _cohere_message(client.chat_stream(**asked))
            else:
                message = client.chat(**asked).message.dict()
        self.history.append(message)
        blocks = message.get("content") or []
        text = "".join(block["text"] for block in blocks if block["type"] == "text")
        calls = [(c["id"], c["function"]) for c in message.get("tool_calls") or []]
        return text, [(id_, f["name"], json.loads(f["arguments"])) for id_, f in calls]


def _cohere_message(events: Any) -> dict[str, Any]:
    """The message that a stream of Cohere tells, as a caller puts it together."""
    blocks: dict[int, dict[str, Any]] = {}
    calls: dict[int, dict[str, Any]] = {}
    for event in events:
        told = event.dict()
        match told:
            case {"type": "content-start", "index": n, "delta": {"message": {"content": begun}}}:
                blocks[n] = begun
            case {"type": "content-delta", "index": n, "delta": {"message": {"content": more}}}:
                for name, text in more.items():
                    blocks[n][name] = blocks[n].get(name, "") + text
            case {"type": "tool-call-start", "index": n, "delta": {"message": {"tool_calls": call}}}:  # fmt: skip
                calls[n] = call
            case {"type": "tool-call-delta", "index": n, "delta": {"message": {"tool_calls": more}}}:  # fmt: skip
                calls[n]["function"]["arguments"] += more["function"]["arguments"]
            case _:
                pass
    message: dict[str, Any] = {"role": "assistant"}
    if blocks:
        message["content"] = [block for _, block in sorted(blocks.items())]
    if calls:
        message["tool_calls"] = [call for _, call in sorted(calls.items())]
    return message


TALKS: dict[str, type[Talk]] = {
    "openai": ByChat,
    "openai-responses": ByResponses,
    "anthropic": ByMessages,
    "google-genai": ByGenerateContent,
    "boto3": ByConverse,
    "cohere": ByCohere,
}
"""By what a caller installs."""
