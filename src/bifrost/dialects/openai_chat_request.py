"""A chat request of the OpenAI dialect on its way to an upstream of the same: members go through as they came.

Taken out are the gateway's own extensions, which no OpenAI-speaking server knows; what a provider is known to refuse is
its ``Quirks``. Whatever is lost is named. The ordinary body is never decoded: cheap searches say what need be looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bifrost.codecs import json
from bifrost.dialects import openai_extensions, openai_foreign
from bifrost.dialects.openai_edit import Edit, Encoded, encoded, merge_extra_params, value_of
from bifrost.errors import BadRequest
from bifrost.values import frozen

if TYPE_CHECKING:
    from bifrost.schema.call import Call

__all__ = ["STANDARD", "Quirks", "effort_for", "encode_chat", "force_stream"]

DEFAULT_MAX_TOKENS = 4096
"""What a reasoning budget is measured against where the caller sets no bound."""

OPENAI_ITSELF = frozenset({"openai", "azure"})
"""Whose models are OpenAI's own."""

GROK_REASONING = ("grok-3", "grok-4", "grok-code-fast-1")


@frozen(kw_only=True)
class Quirks:
    """Where a provider's chat API is not OpenAI's. The defaults are OpenAI's own."""

    drops: tuple[str, ...] = ()
    """Members it refuses."""
    keeps_extensions: bool = False
    """It knows cache markers, reasoning details and the ``reasoning`` object itself."""
    knows_minimal: bool = True
    """Whether there is an effort ``minimal``; else it becomes ``low``."""
    estimates_effort: bool = True
    """Whether a reasoning budget becomes an effort; else it is dropped."""
    old_max_tokens: bool = False
    """``max_completion_tokens`` is called ``max_tokens``."""
    any_tool: bool = False
    """A tool choice that is an object becomes ``any``."""
    is_grok: bool = False
    user_from_cache_key: bool = False
    """``prompt_cache_key`` goes as ``user``, if there is none."""
    drops_reasoning_text: bool = False
    """``reasoning`` is not taken back in assistant messages."""
    query_params: tuple[str, ...] = ()
    """Extras that go into the query."""
    rename_model: Callable[[str], str] | None = None
    also_takes: tuple[str, ...] = ()
    """Members that are not OpenAI's and that it knows, for callers whose own dialect has them."""


STANDARD = Quirks()


def encode_chat(
    call: Call, model: str, quirks: Quirks, *, provider: str, disable_store: bool = False
) -> Encoded:
    """The body for ``model``. ``provider`` is named to the caller.

    Raises BadRequest if the reasoning is given twice, if something would be lost that the caller insists on, or if what
    has to be looked at is nested too deeply.
    """
    edit = Edit(dict(call.members))
    sent = quirks.rename_model(model) if quirks.rename_model else model
    edit.members["model"] = json.dumps_str(sent)
    try:
        if call.native is not None:
            _fit(edit, call, quirks, model, provider)
        if provider in OPENAI_ITSELF:
            _strip_reasoning_text(edit)
        _edit_all(edit, quirks, model, merges=call.caller.passthrough_extra_params)
        if disable_store:
            edit.members["store"] = b"false"
        if call.stream:
            force_stream(edit.members)
    except json.InvalidJSON as error:
        raise BadRequest("Invalid JSON", cause=str(error)) from error
    return encoded(edit, call, provider)


def _fit(edit: Edit, call: Call, quirks: Quirks, model: str, provider: str) -> None:
    openai_foreign.fit(
        edit,
        model,
        also=quirks.also_takes,
        merges=call.caller.passthrough_extra_params,
        is_openai=provider in OPENAI_ITSELF,
    )


def _edit_all(edit: Edit, quirks: Quirks, model: str, *, merges: bool) -> None:
    _lift(edit, quirks)
    _edit_reasoning(edit, quirks)
    _strip_extensions(edit, quirks)
    if quirks is not STANDARD:
        _edit_quirks(edit, quirks, model)
        _take_query(edit, quirks)
    if merges and "extra_params" in edit.members:
        merge_extra_params(edit)


def _lift(edit: Edit, quirks: Quirks) -> None:
    """What the provider knows is taken out of ``extra_params``, unless it stands at the top already."""
    raw = edit.members.get("extra_params", b"")
    if not quirks.also_takes or not raw.startswith(b"{"):
        return
    extra = json.split_object(raw)
    for name in quirks.also_takes:
        value = extra.pop(name, None)
        if value is not None:
            edit.members.setdefault(name, value)
    if extra:
        edit.members["extra_params"] = json.join_object(extra)
    else:
        del edit.members["extra_params"]


def _edit_reasoning(edit: Edit, quirks: Quirks) -> None:
    """The gateway's ways of asking for reasoning, all into ``reasoning_effort``."""
    members = edit.members
    if "reasoning" in members and members["reasoning"].startswith(b"{"):
        _open_reasoning(edit, quirks)
    elif members.get("reasoning") == b"null":
        del members["reasoning"]
    if "reasoning_max_tokens" in edit.members:
        _estimate(edit, quirks, "reasoning_max_tokens", edit.members["reasoning_max_tokens"])
    if not quirks.knows_minimal and edit.members.get("reasoning_effort") == b'"minimal"':
        edit.members["reasoning_effort"] = b'"low"'


def _open_reasoning(edit: Edit, quirks: Quirks) -> None:
    inner = {n: v for n, v in json.split_object(edit.members["reasoning"]).items() if v != b"null"}
    for alias, name in (("reasoning_effort", "effort"), ("reasoning_max_tokens", "max_tokens")):
        if name in inner and edit.members.get(alias, b"null") != b"null":
            text = f"both {alias} and reasoning.{name} cannot be present at the same time"
            raise BadRequest(text, param=alias)
    if quirks.keeps_extensions:
        return
    effort, budget = inner.pop("effort", None), inner.pop("max_tokens", None)
    is_off = inner.pop("enabled", b"true") == b"false"
    edit.lose(f"reasoning.{name}" for name in inner)
    if effort is not None or is_off:
        edit.rename("reasoning", "reasoning_effort", effort or b'"none"')
        if budget is not None:
            edit.lose(["reasoning.max_tokens"])
    elif budget is not None:
        _estimate(edit, quirks, "reasoning", budget)
    else:
        del edit.members["reasoning"]


def _estimate(edit: Edit, quirks: Quirks, member: str, raw: bytes) -> None:
    """Put an effort in the place of ``member``, from the budget ``raw``."""
    if quirks.keeps_extensions or raw == b"null":
        if raw == b"null":
            edit.members.pop(member)
        return
    budget = value_of(raw)
    has_effort = edit.members.get("reasoning_effort", b"null") != b"null"
    if has_effort or not quirks.estimates_effort or type(budget) is not int:
        edit.members.pop(member)
        edit.lose([member if member != "reasoning" else "reasoning.max_tokens"])
    elif budget == -1:
        edit.members.pop(member)
    else:
        effort = effort_for(budget, _max_tokens(edit.members))
        edit.rename(member, "reasoning_effort", json.dumps_str(effort))


def _max_tokens(members: dict[str, bytes]) -> int:
    for name in ("max_completion_tokens", "max_tokens"):
        value = value_of(members.get(name, b"null"))
        if type(value) is int:
            return value
    return DEFAULT_MAX_TOKENS


def effort_for(budget: int, max_tokens: int) -> str:
    """The effort that a reasoning budget out of ``max_tokens`` stands for."""
    if budget <= 0:
        return "none"
    if max_tokens <= 0:
        return "medium"
    if max_tokens == 1:
        return "high"
    share = (min(budget, max_tokens) - 1) / (max_tokens - 1)
    if share <= 0.25:
        return "low"
    return "medium" if share <= 0.60 else "high"


def _strip_extensions(edit: Edit, quirks: Quirks) -> None:
    messages = edit.members.get("messages", b"")
    if b"_ts_" in messages:
        edit.members["messages"] = messages = openai_extensions.bare_ids(messages)
    if not quirks.keeps_extensions:
        tools = edit.members.get("tools", b"")
        if openai_extensions.may_be_in(messages):
            edit.members["messages"], lost = openai_extensions.strip_messages(messages)
            edit.lose(lost)
        if openai_extensions.may_be_in(tools):
            edit.members["tools"], lost = openai_extensions.strip_tools(tools)
            edit.lose(lost)
    if quirks.drops_reasoning_text:
        _strip_reasoning_text(edit)


def _strip_reasoning_text(edit: Edit) -> None:
    """Answers of other models have it, so that it comes back in conversations that they began."""
    messages = edit.members.get("messages", b"")
    if b'"reasoning"' in messages:
        edit.members["messages"], lost = openai_extensions.strip_reasoning(messages)
        edit.lose(lost)


def _edit_quirks(edit: Edit, quirks: Quirks, model: str) -> None:
    if quirks.user_from_cache_key and not edit.text("user") and edit.text("prompt_cache_key"):
        edit.rename("prompt_cache_key", "user", edit.members["prompt_cache_key"])
    for name in quirks.drops:
        edit.drop(name)
    if quirks.is_grok:
        _edit_grok(edit, model)
    if quirks.old_max_tokens and "max_completion_tokens" in edit.members:
        if edit.members.get("max_tokens", b"null") != b"null":
            edit.lose(["max_tokens"])
        edit.rename("max_completion_tokens", "max_tokens", edit.members["max_completion_tokens"])
    if quirks.any_tool and edit.members.get("tool_choice", b"").startswith(b"{"):
        edit.members["tool_choice"] = b'"any"'
        edit.lose(["tool_choice"])


def _edit_grok(edit: Edit, model: str) -> None:
    """xAI's reasoning models refuse what they have no use for."""
    if "non-reasoning" in model or not any(name in model for name in GROK_REASONING):
        return
    is_mini = "grok-3-mini" in model
    edit.drop("presence_penalty")
    if is_mini or "grok-3" not in model:
        edit.drop("frequency_penalty")
        edit.drop("stop")
    if not is_mini:
        edit.drop("reasoning_effort")


def _take_query(edit: Edit, quirks: Quirks) -> None:
    """Move what belongs into the query, from the body itself or from its ``extra_params``."""
    for name in quirks.query_params:
        value = edit.text(name)
        if value is not None:
            del edit.members[name]
        else:
            value = _take_extra(edit, name)
        if value is not None:
            edit.query.append((name, value))


def _take_extra(edit: Edit, name: str) -> str | None:
    raw = edit.members.get("extra_params", b"")
    if not raw.startswith(b"{"):
        return None
    extra = json.split_object(raw)
    value = value_of(extra.pop(name, b"null"))
    if not isinstance(value, str):
        return None
    if extra:
        edit.members["extra_params"] = json.join_object(extra)
    else:
        del edit.members["extra_params"]
    return value


def force_stream(members: dict[str, bytes]) -> None:
    """A stream with its usage, and without padding against eavesdroppers, which the last hop can add again."""
    members["stream"] = b"true"
    raw = members.get("stream_options", b"")
    options = json.split_object(raw) if raw.startswith(b"{") else {}
    options.pop("include_obfuscation", None)
    options["include_usage"] = b"true"
    members["stream_options"] = json.join_object(options)
