"""A conversation as Converse wants it: the system's words apart, user and assistant in turn, results behind their calls.

What Converse would refuse for its order is put in order where that changes nothing, else refused with its place.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import attrs

from bifrost.codecs import json
from bifrost.dialects.bedrock_parts import Blocks, json_result
from bifrost.dialects.fields import Losses
from bifrost.dialects.thinking_seals import seal_of
from bifrost.errors import BadRequest
from bifrost.schema.chat import CachePoint, Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bifrost.schema.chat import Message, ReasoningDetail, ToolCall

__all__ = ["Conversed", "converse_messages"]

Block = dict[str, object]

NOTHING: list[Block] = [{"text": "(empty)"}]
"""A result has to say something."""

_TOOL_ID = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


@attrs.define(eq=False)
class Turn:
    """One message of Converse's. ``asked`` are the ids of the tools it calls, ``answered`` those it has results of."""

    role: str
    place: str
    results: list[Block] = attrs.field(factory=list)
    """What tools said, with the cache points behind them: first in their turn, whatever a user may have said meanwhile."""
    content: list[Block] = attrs.field(factory=list)
    asked: list[str] = attrs.field(factory=list)
    answered: list[str] = attrs.field(factory=list)

    def told(self) -> Block:
        return {"role": self.role, "content": [*self.results, *self.content]}

    def join(self, other: Turn) -> None:
        self.results += other.results
        self.content += other.content
        self.asked += other.asked
        self.answered += other.answered


@attrs.frozen
class Conversed:
    """``system`` and ``messages`` of a request; ``tool_names`` are of the tools that were called, each once."""

    system: list[Block]
    messages: list[Block]
    tool_names: tuple[str, ...]
    """Converse wants their tools described whenever there are calls in the conversation."""

    began_unthinking: bool
    """Whether the turn that goes on here began without thoughts: with a call, or with the answer itself."""


def converse_messages(messages: Iterable[Message], losses: Losses) -> Conversed:
    """The conversation. Raises BadRequest with the place for what Converse cannot be told."""
    telling = _Telling(losses)
    for message in messages:
        telling.take(message)
    return telling.done()


@attrs.define(eq=False)
class _Telling:
    losses: Losses
    system: list[Block] = attrs.field(factory=list)
    turns: list[Turn] = attrs.field(factory=list)
    names: list[str] = attrs.field(factory=list)
    blocks: Blocks = attrs.field(factory=Blocks)

    def take(self, message: Message) -> None:
        if message.name and message.role != "tool":
            self.losses.lose("messages.name")
        match message.role:
            case "system":
                self._take_system(message)
            case "tool":
                self._take_result(message)
            case "assistant":
                self._take_assistant(message)
            case _:
                self._turn("user", message).content += self.blocks.of_message(message)

    def _turn(self, role: str, message: Message) -> Turn:
        """Where a message of ``role`` goes: adjacent ones are one."""
        if not self.turns or self.turns[-1].role != role:
            self.turns.append(Turn(role, message.place))
        return self.turns[-1]

    def _take_system(self, message: Message) -> None:
        for block in self.blocks.of_message(message):
            if "text" in block or "cachePoint" in block:
                self.system.append(block)
            else:
                self.losses.lose("messages.content." + "".join(block))

    def _take_assistant(self, message: Message) -> None:
        turn = self._turn("assistant", message)
        # The upstream wants a turn's thinking before its words, and both before its calls.
        content = [*self._reasoning(message), *self.blocks.of_message(message)]
        for index, call in enumerate(message.tool_calls):
            content.append(self._tool_use(call, turn, f"{message.place}.tool_calls[{index}]"))
        turn.content += content

    def _reasoning(self, message: Message) -> Iterator[Block]:
        details = [block for d in message.reasoning_details if (block := _thought(d)) is not None]
        if len(details) < len(message.reasoning_details):
            self.losses.lose("messages.reasoning_details")
        elif message.reasoning and not message.reasoning_details:
            self.losses.lose("messages.reasoning")
        for detail in details:
            yield {"reasoningContent": detail}

    def _tool_use(self, call: ToolCall, turn: Turn, place: str) -> Block:
        name, told = checked_name(call.name, place), tool_id(call.id, place)
        if name not in self.names:
            self.names.append(name)
        turn.asked.append(told)
        return {"toolUse": {"toolUseId": told, "name": name, "input": _input(call)}}

    def _take_result(self, message: Message) -> None:
        turn = self._turn("user", message)
        told = tool_id(message.tool_call_id or "", message.place, "tool_call_id")
        turn.answered.append(told)
        content, marks = self._result(message)
        result = {"toolUseId": told, "content": content or NOTHING, "status": "success"}
        turn.results += [{"toolResult": result}, *marks]

    def _result(self, message: Message) -> tuple[list[Block], list[Block]]:
        """What a result holds, and the cache points to stand behind it."""
        blocks = self.blocks.of_message(message)
        marks = [block for block in blocks if "cachePoint" in block]
        if all(isinstance(part, Text | CachePoint) for part in message.parts):
            return ([json_result(message.text)] if message.text.strip() else []), marks
        return [block for block in blocks if "cachePoint" not in block], marks

    def done(self) -> Conversed:
        turns = _alternating(turn for turn in self.turns if turn.content or turn.results)
        _check(turns)
        told = [turn.told() for turn in turns]
        return Conversed(self.system, told, tuple(self.names), _began_unthinking(turns))


def _alternating(turns: Iterable[Turn]) -> list[Turn]:
    """``turns``, joined where one between them had nothing to say."""
    joined: list[Turn] = []
    for turn in turns:
        if joined and joined[-1].role == turn.role:
            joined[-1].join(turn)
        else:
            joined.append(turn)
    return joined


def _check(turns: list[Turn]) -> None:
    """Raises BadRequest for a conversation that Converse refuses."""
    if not turns:
        raise BadRequest("messages must have something from the user", param="messages")
    if turns[0].role != "user":
        words = "a conversation must start with a user message"
        raise BadRequest(f"{turns[0].place}: {words}", param=turns[0].place)
    before = Turn("assistant", "")
    for turn in turns:
        if turn.role == "user":
            _check_results(turn, before)
            _check_documents(turn)
        before = turn
    if before.asked:
        raise BadRequest(f"{before.place}: its tool calls have no results", param=before.place)


def _began_unthinking(turns: list[Turn]) -> bool:
    spoke = turns[-2] if turns[-1].answered else turns[-1]
    return spoke.role == "assistant" and "reasoningContent" not in spoke.content[0]


def _check_results(turn: Turn, before: Turn) -> None:
    missing = set(before.asked) - set(turn.answered)
    if missing:
        words = f"has no result for the tool call {min(missing)!r}"
        raise BadRequest(f"{turn.place} {words}", param=turn.place)
    if set(turn.answered) - set(before.asked) or len(turn.answered) > len(before.asked):
        words = "has a result of no tool call in the message before it"
        raise BadRequest(f"{turn.place} {words}", param=turn.place)


def _check_documents(turn: Turn) -> None:
    has_document = any("document" in block for block in turn.content)
    if has_document and not any("text" in block for block in turn.content):
        words = "a document needs a text beside it"
        raise BadRequest(f"{turn.place}: {words}", param=turn.place)


def _thought(detail: ReasoningDetail) -> Block | None:
    """A block of thinking. Without a signature it is another model's, which the upstream refuses."""
    seal = seal_of(detail)
    if seal is None:
        return None
    if detail.kind == "reasoning.text":
        return {"reasoningText": {"text": detail.text, "signature": seal}}
    return {"redactedContent": seal}


def _input(call: ToolCall) -> object:
    """The arguments as they came, key for key."""
    if call.is_custom:
        # A tool of free text has no equal: its text is the only member of an object.
        return {"input": call.arguments}
    arguments = call.arguments.strip() or "{}"
    return json.verbatim(arguments.encode("utf-8", "replace"))


def tool_id(given: str, place: str, member: str = "id") -> str:
    """An id that Converse takes. Another provider's may have to be another, the same for call and result."""
    if not given:
        raise BadRequest(f"{place}.{member} is required", param=f"{place}.{member}")
    if _TOOL_ID.fullmatch(given):
        return given
    return f"call_{hashlib.sha256(given.encode('utf-8', 'replace')).hexdigest()[:32]}"


def checked_name(name: str, place: str) -> str:
    """``name`` if a tool may be called that. Raises BadRequest."""
    if _TOOL_NAME.fullmatch(name) is None:
        words = "must have 1 to 64 letters, digits, underscores and hyphens"
        raise BadRequest(f"{place}: a tool's name {words}", param=place)
    return name
