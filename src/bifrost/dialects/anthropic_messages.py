"""The messages of a chat request as Anthropic takes them: the system apart, roles by turns, tool results first.

Sources: Anthropic API reference, "Messages"; "Tool use: handling tool results"; "Extended thinking: preserving thinking
blocks", 2026-11.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

import attrs

from bifrost.codecs import json
from bifrost.dialects.anthropic_content import Block, Blocks, marked
from bifrost.dialects.fields import Losses
from bifrost.dialects.thinking_seals import seal_of
from bifrost.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bifrost.schema.chat import Message, ReasoningDetail, ToolCall

__all__ = ["Thread", "thread_of"]

THINKING = frozenset({"thinking", "redacted_thinking"})

_TOOL_ID = re.compile(r"[a-zA-Z0-9_-]+")
"""Anthropic refuses other ids. Source: its API's own errors for ``tool_use.id``, 2026-11."""


@attrs.define(eq=False)
class _Turn:
    """What one side says until it is the other's turn. ``place`` is that of its first message."""

    role: str
    place: str
    blocks: list[Block] = attrs.field(factory=list)

    def ids(self, kind: str, name: str) -> list[str]:
        return [block[name] for block in self.blocks if block["type"] == kind]


@attrs.frozen
class Thread:
    """A conversation: ``system`` blocks, and ``messages`` whose roles take turns."""

    system: list[Block]
    messages: list[dict[str, Any]]

    def began_unthinking(self) -> bool:
        """Whether the turn that goes on here began without thinking, so that Anthropic would refuse to think in it now."""
        last = self.messages[-1]
        if last["role"] == "user":
            if last["content"][0]["type"] != "tool_result":
                return False
            last = self.messages[-2]
        return last["content"][0]["type"] not in THINKING


def thread_of(messages: Iterable[Message], losses: Losses) -> Thread:
    """Raises BadRequest naming the message that cannot be said, or that stands where Anthropic would refuse it."""
    return _Threader(losses).thread(messages)


@attrs.define(eq=False)
class _Threader:
    _losses: Losses
    _blocks: Blocks = attrs.field(init=False)
    _system: list[Block] = attrs.field(factory=list, init=False)
    _turns: list[_Turn] = attrs.field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self._blocks = Blocks(self._losses)

    def thread(self, messages: Iterable[Message]) -> Thread:
        for message in messages:
            self._take(message)
        if not self._turns:
            text = "messages must have one with content that is not the system's"
            raise BadRequest(text, param="messages")
        self._mend()
        self._check()
        told = [{"role": turn.role, "content": turn.blocks} for turn in self._turns]
        return Thread(self._system, told)

    def _take(self, message: Message) -> None:
        if message.name:
            self._losses.lose("messages.name")
        where = f"{message.place}.content"
        match message.role:
            case "system":
                self._system += self._blocks.texts(message.parts, where)
            case "user":
                self._add("user", self._blocks.of(message.parts, where), message)
            case "assistant":
                self._add("assistant", self._assistant(message), message)
            case "tool":
                self._add("user", [self._result(message)], message)

    def _add(self, role: str, blocks: list[Block], message: Message) -> None:
        if not blocks:
            return
        if not self._turns or self._turns[-1].role != role:
            self._turns.append(_Turn(role, message.place))
        self._turns[-1].blocks += blocks

    def _assistant(self, message: Message) -> list[Block]:
        thoughts = [
            block
            for detail in _joined(message.reasoning_details)
            if (block := self._thought(detail)) is not None
        ]
        if message.reasoning and not message.reasoning_details:
            self._losses.lose("messages.reasoning")
        texts = self._blocks.texts(message.parts, f"{message.place}.content")
        calls = [
            _tool_use(call, f"{message.place}.tool_calls[{index}]")
            for index, call in enumerate(message.tool_calls)
        ]
        said = [*texts, *calls]
        # Thoughts alone are no turn: what they led to was nothing.
        return [*thoughts, *said] if said else []

    def _thought(self, detail: ReasoningDetail) -> Block | None:
        """The block that ``detail`` once was; what was never Anthropic's is lost, for it would be refused."""
        seal = seal_of(detail)
        if seal is None:
            self._losses.lose("messages.reasoning_details")
            return None
        if detail.kind == "reasoning.text":
            return {"type": "thinking", "thinking": detail.text, "signature": seal}
        return {"type": "redacted_thinking", "data": seal}

    def _result(self, message: Message) -> Block:
        if not message.tool_call_id:
            where = f"{message.place}.tool_call_id"
            raise BadRequest(f"{where} is required", param=where)
        block: Block = {"type": "tool_result", "tool_use_id": _tool_id(message.tool_call_id)}
        content = self._blocks.of(message.parts, f"{message.place}.content")
        if len(content) == 1 and content[0]["type"] == "text":
            return marked({**block, "content": content[0]["text"]}, content[0].get("cache_control"))
        return {**block, "content": content} if content else block

    def _mend(self) -> None:
        """Put right what would be refused for its order alone."""
        for turn in self._turns:
            turn.blocks.sort(key=lambda block: block["type"] != "tool_result")
        last = self._turns[-1]
        if last.role == "assistant" and last.blocks[-1]["type"] == "text":
            # The beginning of the answer to come: it may not end in white space.
            last.blocks[-1]["text"] = last.blocks[-1]["text"].rstrip()

    def _check(self) -> None:
        """Each call has its result in the next turn, and each result its call in the one before."""
        asked: list[str] = []
        before = ""
        for turn in (*self._turns, _Turn("user", "messages")):
            answered = turn.ids("tool_result", "tool_use_id")
            for call_id in answered:
                if call_id not in asked:
                    text = f"{turn.place} answers the tool call {call_id[:100]!r}, which the message before did not make"
                    raise BadRequest(text, param=turn.place)
            for call_id in asked:
                if call_id not in answered:
                    text = f"{before} calls a tool ({call_id[:100]!r}) that no message after it answers"
                    raise BadRequest(text, param=before)
            asked, before = turn.ids("tool_use", "id"), turn.place


def _joined(details: Iterable[ReasoningDetail]) -> list[ReasoningDetail]:
    """``details`` in whole: of a stream whose pieces were kept one by one, those of one block are put together."""
    whole: list[ReasoningDetail] = []
    for detail in details:
        last = whole[-1] if whole else None
        if last is not None and _goes_on(last, detail):
            signature = detail.signature or last.signature
            whole[-1] = attrs.evolve(last, text=last.text + detail.text, signature=signature)
        else:
            whole.append(detail)
    return whole


def _goes_on(last: ReasoningDetail, detail: ReasoningDetail) -> bool:
    is_text = last.kind == detail.kind == "reasoning.text"
    return is_text and not last.signature and last.raw.get("index") == detail.raw.get("index")


def _tool_use(call: ToolCall, place: str) -> Block:
    if not call.id:
        raise BadRequest(f"{place}.id is required", param=f"{place}.id")
    block: Block = {"type": "tool_use", "id": _tool_id(call.id), "name": call.name}
    if call.is_custom:
        # A tool of free text has no equal: its text is the only member of an object.
        return {**block, "input": {"input": call.arguments}}
    # Byte for byte: the prompt cache goes by it.
    arguments = call.arguments.strip() or "{}"
    return {**block, "input": json.verbatim(arguments.encode("utf-8", "replace"))}


def _tool_id(given: str) -> str:
    """An id that Anthropic takes. Another provider's may have to be another, the same for call and result."""
    if _TOOL_ID.fullmatch(given):
        return given
    return f"toolu_{hashlib.sha256(given.encode('utf-8', 'replace')).hexdigest()[:32]}"
