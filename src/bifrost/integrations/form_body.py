"""A form to a ``Call``: sound to be written down, pictures to be changed. Files stay where they are."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from bifrost.errors import BadRequest
from bifrost.integrations.base import caller_of
from bifrost.integrations.json_body import parse_json
from bifrost.integrations.targets import check_model, fallbacks_of, target_of
from bifrost.schema.call import Call, Operation
from bifrost.schema.payload import Field, File, Form

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bifrost.catalog import Catalog
    from bifrost.integrations.base import Request
    from bifrost.integrations.headers import HeaderRules

__all__ = ["parse_form"]

TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False", ""})
"""As the original reads them."""

FALLBACKS = ("fallbacks", "fallbacks[]")


def parse_form(request: Request, catalog: Catalog, rules: HeaderRules) -> Call:
    """The call that ``request`` asks for. Raises BadRequest. A body that is no form is JSON, where that is possible."""
    operation = request.route.operation
    if request.form is None:
        if operation is Operation.IMAGE_EDIT:
            return parse_json(request, catalog, rules)
        raise BadRequest("failed to parse request", cause="the body has to be multipart/form-data")
    caller = caller_of(request, rules)
    form = request.form
    named = request.params.get("model") or _text(form, "model")
    target = target_of(check_model(named), request, catalog, caller)
    CHECKS[operation](form)
    entries: list[object] = [text for name in FALLBACKS for text in _texts(form, name)]
    return Call(
        id=request.id,
        operation=operation,
        stream=_stream(form),
        target=target,
        fallbacks=fallbacks_of(entries, target, request, catalog),
        form=tuple(part for part in form if part.name not in FALLBACKS),
        boundary=request.boundary,
        body_bytes=request.body_bytes,
        caller=caller,
        surface=request.route.integration.surface,
        route=request.route.path,
        received_s=request.received_s,
    )


def _texts(form: Form, name: str) -> list[str]:
    parts = [part for part in form if isinstance(part, Field) and part.name == name]
    try:
        return [part.value.decode() for part in parts]
    except UnicodeDecodeError as error:
        raise BadRequest(f"invalid value for {name}", param=name, cause=str(error)) from error


def _text(form: Form, name: str) -> str | None:
    """The last value of ``name``, as browsers' servers take it."""
    texts = _texts(form, name)
    return texts[-1] if texts else None


def _stream(form: Form) -> bool:
    text = _text(form, "stream") or ""
    if text in TRUE:
        return True
    if text in FALSE:
        return False
    raise BadRequest("invalid stream value", param="stream")


def _has_file(form: Form, *names: str) -> bool:
    return any(isinstance(part, File) and part.name in names for part in form)


def _check_sound(form: Form) -> None:
    if not _has_file(form, "file"):
        raise BadRequest("file is required", param="file")


def _check_images(form: Form) -> None:
    if not _has_file(form, "image", "image[]"):
        raise BadRequest("at least one image is required", param="image")


def _check_edit(form: Form) -> None:
    _check_images(form)
    if not _text(form, "prompt") and _text(form, "type") != "background_removal":
        raise BadRequest("prompt cannot be empty", param="prompt")


CHECKS: Mapping[Operation, Callable[[Form], None]] = MappingProxyType(
    {
        Operation.TRANSCRIPTION: _check_sound,
        Operation.TRANSLATION: _check_sound,
        Operation.IMAGE_EDIT: _check_edit,
        Operation.IMAGE_VARIATION: _check_images,
    }
)
