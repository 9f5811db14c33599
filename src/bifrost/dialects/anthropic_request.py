"""A chat request as a request of Anthropic's Messages API, or of its count of tokens.

Sources: Anthropic API reference, "Messages" and "Count tokens", 2026-11.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import attrs

from bifrost.codecs import json
from bifrost.dialects.anthropic_betas import betas_of
from bifrost.dialects.anthropic_fields import ANTHROPIC_FIELDS, NATIVE
from bifrost.dialects.anthropic_messages import Thread, thread_of
from bifrost.dialects.anthropic_schema import normalised
from bifrost.dialects.anthropic_thinking import Thinking, takes_sampling, thinking_of
from bifrost.dialects.anthropic_tools import choice_of, tools_of
from bifrost.dialects.bridge_request import responses_to_chat
from bifrost.dialects.chat_request import read_chat
from bifrost.dialects.fields import Losses, sealed
from bifrost.dialects.openai_edit import Encoded, refuse_loss
from bifrost.dialects.structured_tool import structured_tool
from bifrost.dialects.thinking_seals import without_unsealed
from bifrost.errors import BadRequest
from bifrost.schema.chat import ChatRequest

if TYPE_CHECKING:
    from bifrost.dialects.anthropic_content import Block
    from bifrost.schema.call import Call, Caller
    from bifrost.schema.chat import ResponseFormat

__all__ = ["ANTHROPIC", "ClaudeHost", "encode_count", "encode_messages", "encode_native"]

TIERS = {"auto": "auto", "standard_only": "standard_only", "default": "standard_only"}

COUNTED = ("model", "system", "messages", "tools", "tool_choice", "thinking", "output_config")
"""What a count of tokens takes of a request."""

MIN_TOP_P = 0.95
"""What a model that thinks takes at least."""


@attrs.frozen(kw_only=True)
class ClaudeHost:
    """Who serves Claude, as far as his requests differ from Anthropic's."""

    has_formats: bool = True
    """Whether a schema for the answer can be given; else a tool has to stand for it (``structured_tool``)."""
    version: str | None = None
    """``anthropic_version``, where it stands in the body, and the model does not."""
    betas_in_body: bool = False
    """Whether features to be tried stand in the body (``anthropic_beta``) rather than in a header."""
    without_betas: frozenset[str] = frozenset()
    """Features that he does not know."""


ANTHROPIC = ClaudeHost()


def encode_messages(call: Call, model: str, provider: str, host: ClaudeHost = ANTHROPIC) -> Encoded:
    """The Messages request for a chat ``call``. Raises BadRequest with the place of what cannot be said.

    Features that it uses are in the header ``anthropic-beta``, unless ``host`` wants them elsewhere.
    """
    request = read_chat(call.members)
    losses = Losses()
    body = _Encoder(request, model, losses, host).body(stream=call.stream)
    used = {name for name in (*NATIVE, "service_tier") if request.extra(name) is not None}
    betas = betas_of(body, host.without_betas)
    if betas and host.betas_in_body:
        body["anthropic_beta"] = list(betas)
    sent = sealed(body, request, losses, call, provider, fields=ANTHROPIC_FIELDS, used=used)
    if not betas or host.betas_in_body:
        return sent
    return attrs.evolve(sent, headers=((b"anthropic-beta", ",".join(betas).encode()),))


def encode_count(call: Call, model: str, provider: str) -> Encoded:
    """The same for a count of tokens of a chat or, without ``messages``, a Responses request.

    What bears on no count (a temperature, say) is left out without being called lost.
    """
    members = call.members
    if "messages" not in members:
        members = responses_to_chat(members, keeps_reasoning=True).members
    asked = attrs.evolve(call, members=members, stream=False, caller=_lenient(call))
    sent = encode_messages(asked, model, provider)
    body = json.split_object(sent.body)
    counted = {name: body[name] for name in COUNTED if name in body}
    return attrs.evolve(sent, body=json.join_object(counted), dropped=())


def _lenient(call: Call) -> Caller:
    return attrs.evolve(call.caller, strict=False, passthrough_extra_params=False)


def encode_native(call: Call, model: str, provider: str) -> Encoded:
    """A request that came in Anthropic's own dialect, as it came but for the model's name, and thoughts without a signature.

    Raises BadRequest for such thoughts if the caller wants nothing left out.
    """
    if call.native is None:
        raise BadRequest("the request did not come in Anthropic's dialect")
    members = {**call.native.members, "model": json.dumps(model)}
    lost: tuple[str, ...] = ()
    if "messages" in members:
        members["messages"], lost = without_unsealed(members["messages"])
        refuse_loss(lost, call, provider)
    query = parse_qsl(call.native.query, keep_blank_values=True)
    return Encoded(json.join_object(members), query=tuple(query), dropped=lost)


@attrs.frozen
class _Encoder:
    """One request being told anew."""

    request: ChatRequest
    model: str
    losses: Losses
    host: ClaudeHost

    def body(self, *, stream: bool) -> dict[str, Any]:
        thread = thread_of(self.request.messages, self.losses)
        thinking = self._thinking(thread)
        body: dict[str, Any] = self._head(thinking)
        if thread.system:
            body["system"] = _system(thread.system)
        body["messages"] = thread.messages
        body |= self._tools(thinking)
        body |= self._sampling(thinking)
        body |= self._others()
        if stream:
            body["stream"] = True
        return body

    def _head(self, thinking: Thinking) -> dict[str, Any]:
        version = self.host.version
        head = {"model": self.model} if version is None else {"anthropic_version": version}
        return {**head, "max_tokens": thinking.max_tokens}

    def _thinking(self, thread: Thread) -> Thinking:
        made = thinking_of(self.request, self.model)
        if self.request.reasoning is not None and self.request.extra("thinking") is not None:
            self.losses.lose("reasoning")
        if made.has_budget and thread.began_unthinking():
            # Sent on, the request would be refused: whoever keeps no thoughts gets none till his turn is over.
            self.losses.lose("reasoning")
            return Thinking(max_tokens=made.max_tokens)
        return made

    def _tools(self, thinking: Thinking) -> dict[str, Any]:
        tools = tools_of(self.request, self.model, self.losses)
        choice = choice_of(self.request, tools, self.losses)
        if thinking.is_on and choice is not None and choice["type"] in {"any", "tool"}:
            text = "tool_choice cannot force a tool while the model thinks: leave out reasoning, or choose auto or none"
            raise BadRequest(text, param="tool_choice")
        made: dict[str, Any] = {"tools": tools, "tool_choice": choice}
        output, forced = self._format(thinking)
        if forced is not None:
            made["tools"] = [*tools, forced]
            made["tool_choice"] = {"type": "tool", "name": forced["name"]}
        if thinking.thinking is not None:
            made["thinking"] = thinking.thinking
        if output:
            made["output_config"] = output
        return {name: value for name, value in made.items() if value}

    def _format(self, thinking: Thinking) -> tuple[dict[str, Any], Block | None]:
        """``output_config``, and the tool that stands for a schema where there is no word for one."""
        output: dict[str, Any] = {} if thinking.effort is None else {"effort": thinking.effort}
        wanted = self.request.response_format
        if wanted is None or wanted.kind == "text":
            return output, None
        if wanted.kind == "json_object" or self._cites():
            # Of "any JSON" Anthropic knows nothing, and with citations it refuses all forms.
            self.losses.lose("response_format")
            return output, None
        if self.host.has_formats:
            return {**output, "format": self._schema_format(wanted)}, None
        return output, self._forced(wanted, thinking)

    def _schema_format(self, wanted: ResponseFormat) -> dict[str, Any]:
        place = "response_format.json_schema.schema"
        schema = normalised(wanted.schema or {}, place, self.losses.lose)
        return {"type": "json_schema", "schema": schema}

    def _forced(self, wanted: ResponseFormat, thinking: Thinking) -> Block | None:
        tool = structured_tool(wanted)
        if tool is None:
            return None
        if thinking.is_on:
            text = "response_format cannot be had while the model thinks: leave out reasoning"
            raise BadRequest(text, param="response_format")
        return {
            "name": tool.name,
            "description": tool.description,
            "input_schema": tool.schema,
        }

    def _cites(self) -> bool:
        """Whether citations of a document are asked for."""
        return any(
            (getattr(part, "citations", None) or {}).get("enabled") is True
            for message in self.request.messages
            for part in message.parts
        )

    def _sampling(self, thinking: Thinking) -> dict[str, Any]:
        """Temperature and the like, as far as the model takes them beside its thinking."""
        request = self.request
        told = {
            "temperature": request.temperature,
            "top_p": request.top_p,
            "top_k": request.extra("top_k"),
        }
        kept: dict[str, Any] = {name: value for name, value in told.items() if value is not None}
        if not takes_sampling(self.model):
            refused = [name for name in kept if kept[name] != 1]
        elif thinking.is_on:
            refused = [name for name in kept if not _goes_with_thinking(name, kept[name])]
        else:
            refused = []
        if "temperature" in kept and "temperature" not in refused and "top_p" in kept:
            refused.append("top_p")
        self.losses.lose(*refused)
        silent = frozenset() if takes_sampling(self.model) else frozenset(kept)
        return {n: value for n, value in kept.items() if n not in refused and n not in silent}

    def _others(self) -> dict[str, Any]:
        request = self.request
        made: dict[str, Any] = {}
        stops = [stop for stop in request.stop if stop.strip()]
        if len(stops) < len(request.stop):
            self.losses.lose("stop")
        if stops:
            made["stop_sequences"] = stops
        user = request.members.get("user") or request.members.get("safety_identifier")
        if request.members.get("user") and request.members.get("safety_identifier"):
            self.losses.lose("safety_identifier")
        if user:
            made["metadata"] = {"user_id": user}
        tier = request.extra("service_tier")
        if tier in TIERS:
            made["service_tier"] = TIERS[tier]
        elif tier is not None:
            self.losses.lose("service_tier")
        taken = ("top_k", "thinking")
        native = {name: request.extra(name) for name in NATIVE if name not in taken}
        return made | {name: value for name, value in native.items() if value is not None}


def _goes_with_thinking(name: str, value: float) -> bool:
    return value == 1 if name == "temperature" else name == "top_p" and value >= MIN_TOP_P


def _system(blocks: list[Block]) -> object:
    """One text without a mark goes as a string."""
    only = blocks[0]
    return only["text"] if len(blocks) == 1 and "cache_control" not in only else blocks
