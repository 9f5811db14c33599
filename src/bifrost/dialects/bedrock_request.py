"""A chat request as Bedrock's Converse API wants it. The model is in the path, whether it streams as well.

Source: AWS, Amazon Bedrock API reference, "Converse" (API of 2023-09-30), 2026-11.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from bifrost.codecs import json
from bifrost.dialects.bedrock_fields import FIELDS, OWN, Family, family_of
from bifrost.dialects.bedrock_messages import converse_messages
from bifrost.dialects.bedrock_reasoning import Sampling, thinking_of
from bifrost.dialects.bedrock_tools import tool_config
from bifrost.dialects.bridge_request import responses_to_chat
from bifrost.dialects.chat_request import read_chat
from bifrost.dialects.fields import Losses, sealed
from bifrost.dialects.openai_edit import Encoded, refuse_loss
from bifrost.dialects.thinking_seals import without_unsealed_content
from bifrost.dialects.value_shape import obj
from bifrost.errors import BadRequest
from bifrost.schema.chat import ChatRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bifrost.schema.call import Call

__all__ = ["encode_converse", "encode_count", "encode_native"]

Body = dict[str, object]

EXTRA_FIELDS = ("additionalModelRequestFields", "additionalModelRequestFieldPaths")
"""Both names are in use for the same."""

COUNTED = ("messages", "system", "toolConfig", "additionalModelRequestFields")
"""What of a request its tokens are counted by."""

TIERS = frozenset({"default", "flex", "priority", "reserved"})


def encode_converse(call: Call, model: str, provider: str) -> Encoded:
    """The body for ``model``. Raises BadRequest for what Converse cannot be told, or would refuse for its shape."""
    request = read_chat(call.members)
    telling = _Telling(request, family_of(model), model)
    body = telling.body()
    return sealed(body, request, telling.losses, call, provider, fields=FIELDS, used=telling.used())


def encode_count(call: Call, model: str, provider: str) -> Encoded:
    """A request whose tokens are to be counted: of the Responses API, or a chat of a caller of another dialect.

    Raises as ``encode_converse``.
    """
    lost: tuple[str, ...] = ()
    if call.native is None or "messages" not in call.members:
        bridged = responses_to_chat(call.members, keeps_reasoning=True)
        call, lost = attrs.evolve(call, members=bridged.members), bridged.dropped
    refuse_loss(lost, call, provider)
    sent = encode_converse(call, model, provider)
    members = json.split_object(sent.body)
    counted = json.join_object({name: members[name] for name in COUNTED if name in members})
    body = b'{"input":{"converse":%b}}' % counted
    return attrs.evolve(sent, body=body, dropped=(*lost, *sent.dropped))


def encode_native(call: Call, model: str, provider: str) -> Encoded:
    """What a caller said in this dialect, as he said it; but for Claude no thoughts without a signature.

    Raises BadRequest for such thoughts if the caller wants nothing left out.
    """
    members = {} if call.native is None else {**call.native.members}
    lost: tuple[str, ...] = ()
    if "messages" in members and family_of(model) is Family.CLAUDE:
        members["messages"], lost = without_unsealed_content(members["messages"])
        refuse_loss(lost, call, provider)
    return Encoded(json.join_object(members), dropped=lost)


@attrs.define(eq=False)
class _Telling:
    """One request on its way."""

    request: ChatRequest
    family: Family
    model: str
    losses: Losses = attrs.field(factory=Losses, init=False)
    _top_k: object = attrs.field(default=None, init=False)

    def body(self) -> Body:
        request, losses = self.request, self.losses
        sampling = self._sampling()
        conversed = converse_messages(request.messages, losses)
        thinking = thinking_of(
            request,
            self.model,
            self.family,
            sampling,
            losses,
            began_unthinking=conversed.began_unthinking,
        )
        tools = tool_config(
            request, conversed.tool_names, self.family, losses, thinks=thinking.is_on
        )
        body: Body = {
            "messages": conversed.messages,
            "system": conversed.system,
            "inferenceConfig": self._inference(sampling),
            "toolConfig": tools,
            "additionalModelRequestFields": self._additional(thinking.fields, sampling),
            "serviceTier": self._tier(),
            **{name: self._given(name) for name in OWN},
        }
        return {name: value for name, value in body.items() if value not in (None, [], {})}

    def _given(self, name: str) -> object:
        """A parameter that has no attribute of its own."""
        value: object = self.request.extra(name)
        return value

    def used(self) -> tuple[str, ...]:
        """Parameters that Converse takes though the table or the caller has them elsewhere."""
        names = [*OWN, *EXTRA_FIELDS]
        return (*names, "top_k") if self._top_k is not None else tuple(names)

    def _sampling(self) -> Sampling:
        request = self.request
        for name, value in (("temperature", request.temperature), ("top_p", request.top_p)):
            if value is not None and not 0 <= value <= 1:
                raise BadRequest(f"{name} must be between 0 and 1 for Converse", param=name)
        top_p = request.top_p
        if self.family is Family.CLAUDE and request.temperature is not None and top_p is not None:
            # Claude's newer models refuse the two together.
            top_p = None
            self.losses.lose("top_p")
        if self.family in {Family.CLAUDE, Family.NOVA}:
            self._top_k = self._given("top_k")
        return Sampling(request.max_tokens, request.temperature, top_p, self._top_k)

    def _inference(self, sampling: Sampling) -> Body:
        config: Body = {
            "maxTokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "topP": sampling.top_p,
            "stopSequences": list(self.request.stop),
        }
        return {name: value for name, value in config.items() if value not in (None, [])}

    def _additional(self, thinking: Body, sampling: Sampling) -> Body:
        """What the model's family wants, and over it what the caller says himself."""
        fields = dict(thinking)
        if sampling.top_k is not None:
            is_nova = self.family is Family.NOVA
            top_k = sampling.top_k
            fields |= {"inferenceConfig": {"topK": top_k}} if is_nova else {"top_k": top_k}
        for name in EXTRA_FIELDS:
            given = self._given(name)
            if given is not None:
                fields = _merged(fields, obj(given, name))
        return fields

    def _tier(self) -> Body | None:
        tier = self.request.members.get("service_tier")
        if tier is None or tier == "auto":
            return None
        if tier not in TIERS:
            known = ", ".join(sorted({"auto", *TIERS}))
            raise BadRequest(f"service_tier must be one of {known}", param="service_tier")
        return {"type": tier}


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> Body:
    """Objects merge, anything else replaces."""
    merged: Body = dict(base)
    for name, value in over.items():
        before = merged.get(name)
        is_both = isinstance(before, dict) and isinstance(value, dict)
        merged[name] = {**before, **value} if is_both else value  # type: ignore[dict-item]  # both are objects, which is_both says
    return merged
