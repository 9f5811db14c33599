"""Forms of the OpenAI dialect on their way to an upstream of the same: every part goes as it came, but the model's name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bifrost.codecs.multipart import InvalidForm, encode_form, form_content_type
from bifrost.dialects.openai_edit import Encoded
from bifrost.dialects.openai_json_request import encode_json
from bifrost.errors import BadRequest
from bifrost.schema.payload import Field, File, Form

if TYPE_CHECKING:
    from bifrost.dialects.openai_chat_request import Quirks
    from bifrost.schema.call import Call

__all__ = ["encode_form_call"]


def encode_form_call(
    call: Call, model: str, quirks: Quirks, *, provider: str, disable_store: bool = False
) -> Encoded:
    """The form for ``model``; a call that came as JSON goes as JSON. Raises BadRequest."""
    if call.form is None:
        return encode_json(call, model, quirks, provider=provider, disable_store=disable_store)
    sent = quirks.rename_model(model) if quirks.rename_model else model
    try:
        body = encode_form(_with_model(call.form, sent), call.boundary)
    except InvalidForm as error:
        raise BadRequest("failed to parse request", cause=str(error)) from error
    return Encoded(b"", content_type=form_content_type(call.boundary), payload=body)


def _with_model(form: Form, model: str) -> Form:
    """``form`` with ``model`` in the place of the first that it names and no other, or before all if it names none."""
    parts: list[Field | File] = []
    is_told = False
    for part in form:
        if part.name != "model":
            parts.append(part)
        elif not is_told:
            parts.append(Field("model", model.encode("utf-8", "replace")))
            is_told = True
    if not is_told:
        parts.insert(0, Field("model", model.encode("utf-8", "replace")))
    return tuple(parts)
