"""JSON requests of the OpenAI dialect other than chat, on their way to an upstream of the same: members go as they came."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bifrost.codecs import json
from bifrost.dialects.openai_chat_request import effort_for, force_stream
from bifrost.dialects.openai_edit import Edit, Encoded, encoded, merge_extra_params, value_of
from bifrost.dialects.openai_extensions import bare_ids
from bifrost.errors import BadRequest
from bifrost.schema.call import Dialect, Operation

if TYPE_CHECKING:
    from bifrost.dialects.openai_chat_request import Quirks
    from bifrost.schema.call import Call

__all__ = ["encode_json"]

STORED = frozenset({Operation.RESPONSES})
"""What an upstream would keep, unless it is told not to."""

KNOWN = {
    Operation.EMBEDDING: frozenset(
        {"model", "input", "dimensions", "encoding_format", "user", "extra_params"}
    ),
    Operation.RERANK: frozenset(
        {
            "model",
            "query",
            "documents",
            "top_n",
            "max_tokens_per_doc",
            "priority",
            "return_documents",
            "user",
            "extra_params",
        }
    ),
}
"""Members that OpenAI's dialect has, of operations that callers of other dialects ask for as well."""

DEFAULT_MAX_TOKENS = 4096


def encode_json(
    call: Call, model: str, quirks: Quirks, *, provider: str, disable_store: bool = False
) -> Encoded:
    """The body for ``model``. Raises BadRequest as ``encode_chat`` does."""
    edit = Edit(dict(call.members))
    sent = quirks.rename_model(model) if quirks.rename_model else model
    edit.members["model"] = json.dumps_str(sent)
    if call.surface.dialect is not Dialect.OPENAI:
        _fit(edit, call)
    try:
        if b"_ts_" in edit.members.get("input", b""):
            edit.members["input"] = bare_ids(edit.members["input"])
        if call.operation in STORED:
            _edit_reasoning(edit, quirks, model)
            if disable_store:
                edit.members["store"] = b"false"
        if call.caller.passthrough_extra_params and "extra_params" in edit.members:
            merge_extra_params(edit)
        if call.stream and call.operation is Operation.TEXT:
            force_stream(edit.members)
    except json.InvalidJSON as error:
        raise BadRequest("Invalid JSON", cause=str(error)) from error
    return encoded(edit, call, provider)


def _fit(edit: Edit, call: Call) -> None:
    """Leave out what a caller of another dialect says and OpenAI's has not, unless he insists."""
    known = KNOWN.get(call.operation)
    if known is None or call.caller.passthrough_extra_params:
        return
    for name in [*edit.members]:
        if name not in known:
            edit.drop(name)


def _edit_reasoning(edit: Edit, quirks: Quirks, model: str) -> None:
    """The gateway's own ``reasoning.max_tokens`` as an effort, and what the provider has no word for."""
    raw = edit.members.get("reasoning", b"")
    if not raw.startswith(b"{"):
        return
    inner = json.split_object(raw)
    before = dict(inner)
    budget = value_of(inner.pop("max_tokens", b"null")) if not quirks.keeps_extensions else None
    if type(budget) is int and inner.get("effort", b"null") == b"null" and budget >= 0:
        inner["effort"] = json.dumps_str(effort_for(budget, _max_tokens(edit)))
    if not quirks.knows_minimal and inner.get("effort") == b'"minimal"':
        inner["effort"] = b'"low"'
    if quirks.is_grok and "grok-3-mini" not in model and inner.pop("effort", b"null") != b"null":
        edit.lose(["reasoning.effort"])
    if inner != before:
        edit.members["reasoning"] = json.join_object(inner)


def _max_tokens(edit: Edit) -> int:
    value = value_of(edit.members.get("max_output_tokens", b"null"))
    return value if type(value) is int else DEFAULT_MAX_TOKENS
