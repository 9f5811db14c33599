"""What a caller of another dialect asked for, made fit for an upstream that speaks OpenAI's.

Callers of OpenAI's own dialect are not touched: what they send is theirs to answer for. Here the words are the gateway's, so
it leaves out, and names, what OpenAI's API would refuse for its name or its place. Source: OpenAI API reference, "Chat
completions", 2026-11.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bifrost.codecs import json
from bifrost.errors import BadRequest

if TYPE_CHECKING:
    from bifrost.dialects.openai_edit import Edit

__all__ = ["fit", "is_reasoning_model"]

KNOWN = frozenset(
    [
        "model",
        "messages",
        "stream",
        "stream_options",
        "audio",
        "frequency_penalty",
        "logit_bias",
        "logprobs",
        "max_completion_tokens",
        "max_tokens",
        "metadata",
        "modalities",
        "n",
        "parallel_tool_calls",
        "prediction",
        "presence_penalty",
        "prompt_cache_key",
        "prompt_cache_retention",
        "reasoning",
        "reasoning_effort",
        "reasoning_max_tokens",
        "response_format",
        "safety_identifier",
        "seed",
        "service_tier",
        "stop",
        "store",
        "temperature",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "user",
        "verbosity",
        "web_search_options",
        "extra_params",
    ]
)
"""OpenAI's members, and the gateway's ways of asking for reasoning."""

OF_TOOLS = ("tools", "tool_choice", "parallel_tool_calls")

TOOLS = frozenset({b'"function"', b'"custom"'})

MAX_USER = 64
"""Characters of ``user``; OpenAI refuses longer ones, and other dialects' are."""

REASONING_MODEL = re.compile(r"gpt-oss|(?:^|[/-])o[134](?:$|-)|(?:^|/)gpt-5")

KNOWS_NONE = re.compile(r"(?:^|/)gpt-5\.\d")
"""Models with an effort ``none``; OpenAI's older ones always think."""

IN_NEXT = b'"The pictures are in the next message."'
"""What a tool is said to have answered whose answer was nothing but pictures."""

SPARE_NAME = b'"document.pdf"'
"""OpenAI takes no file without a name."""


def is_reasoning_model(model: str) -> bool:
    """Whether OpenAI takes a wish about reasoning for ``model``; it refuses one for others."""
    return REASONING_MODEL.search(model) is not None


def fit(edit: Edit, model: str, *, also: tuple[str, ...], merges: bool, is_openai: bool) -> None:
    """Leave out of ``edit`` what OpenAI's dialect does not have, but for the members ``also``.

    ``merges``: members of no known name are to stay, for the caller said so. ``is_openai``: the upstream is OpenAI's own,
    which refuses what others take. Raises BadRequest for what cannot be said and would change what is asked.
    """
    for name in [*edit.members]:
        if name not in KNOWN and name not in also and not merges:
            edit.drop(name)
    _fit_tools(edit)
    if len(edit.text("user") or "") > MAX_USER:
        edit.drop("user")
    _fit_reasoning(edit, model, is_openai=is_openai)
    messages = edit.members.get("messages", b"[]")
    edit.members["messages"] = _fit_messages(messages)


def _fit_tools(edit: Edit) -> None:
    raw = edit.members.get("tools", b"")
    if not raw.startswith(b"["):
        return
    kept: list[bytes] = []
    for tool in json.split_array(raw):
        kind = json.split_object(tool).get("type", b"null")
        if kind in TOOLS:
            kept.append(tool)
        else:
            edit.lose([f"tools.{json.loads(kind)}"])
    if kept:
        edit.members["tools"] = json.join_array(kept)
        return
    for name in OF_TOOLS:
        edit.members.pop(name, None)


def _fit_reasoning(edit: Edit, model: str, *, is_openai: bool) -> None:
    raw = edit.members.get("reasoning", b"")
    if not raw.startswith(b"{"):
        return
    wish = json.split_object(raw)
    is_off = wish.get("enabled") == b"false"
    if is_openai and not is_reasoning_model(model):
        # Not to think is what such a model does anyhow.
        del edit.members["reasoning"]
        if not is_off:
            edit.lose(["reasoning"])
    elif is_openai and is_off and not KNOWS_NONE.search(model):
        edit.drop("reasoning")
    elif wish.get("effort") == b'"max"':
        edit.members["reasoning"] = json.join_object({**wish, "effort": b'"high"'})


def _fit_messages(raw: bytes) -> bytes:
    """``messages`` with files as OpenAI takes them, and pictures where it takes them: in a user's message."""
    fitted: list[bytes] = []
    pictures: list[bytes] = []
    for index, message in enumerate(json.split_array(raw)):
        members = json.split_object(message)
        is_result = members.get("role") == b'"tool"'
        if pictures and not is_result:
            fitted.append(_shown(pictures))
            pictures = []
        content = members.get("content", b"")
        if content.startswith(b"["):
            parts = [
                _fit_part(part, f"messages[{index}].content[{n}]")
                for n, part in enumerate(json.split_array(content))
            ]
            if is_result:
                pictures += [part for part in parts if not _is_text(part)]
                parts = [part for part in parts if _is_text(part)]
            members["content"] = json.join_array(parts) if parts else IN_NEXT
            fitted.append(json.join_object(members))
        else:
            fitted.append(message)
    return json.join_array([*fitted, _shown(pictures)] if pictures else fitted)


def _shown(pictures: list[bytes]) -> bytes:
    return b'{"role":"user","content":%b}' % json.join_array(pictures)


def _is_text(part: bytes) -> bool:
    return json.split_object(part).get("type") == b'"text"'


def _fit_part(part: bytes, place: str) -> bytes:
    """A file under a name, and one of plain text as the text that it is."""
    members = json.split_object(part)
    if members.get("type") != b'"file"':
        return part
    file = json.split_object(members["file"])
    if "file_url" in file:
        raise BadRequest(
            f"{place}: documents have to be in the request for this provider", param=place
        )
    if file.get("file_type") == b'"text/plain"':
        told = {"type": b'"text"', "text": file["file_data"]}
        return json.join_object(told | {n: members[n] for n in members if n == "cache_control"})
    if "file_data" in file:
        file.setdefault("filename", SPARE_NAME)
    return json.join_object({**members, "file": json.join_object(file)})
