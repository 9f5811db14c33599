"""What becomes of each field of an OpenAI chat request in another dialect: one table a dialect, and what was lost by it.

The tables are what the documentation prints and what the tests hold the encoders to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import attrs

from bifrost.dialects.openai_edit import Encoded, merge_extra, refuse_loss
from bifrost.dialects.value_shape import written
from bifrost.values import Choice

if TYPE_CHECKING:
    from bifrost.schema.call import Call
    from bifrost.schema.chat import ChatRequest

__all__ = ["OURS", "Fate", "Field", "Fields", "Losses", "dropped", "mapped", "sealed"]


class Fate(Choice):
    """What becomes of a field."""

    MAPPED = "mapped"
    DROPPED = "dropped"
    """Left out, and named in ``extra_fields.dropped_params``; refused under ``x-bf-strict``."""


@attrs.frozen
class Field:
    """One field. ``to`` is what it is called there, ``note`` what else there is to know, for the documentation."""

    fate: Fate
    to: str = ""
    note: str = ""


Fields = Mapping[str, Field]
"""By the field's name at the top of an OpenAI request; one that is not in the table is dropped."""


def mapped(to: str, note: str = "") -> Field:
    return Field(Fate.MAPPED, to, note)


def dropped(note: str = "") -> Field:
    return Field(Fate.DROPPED, "", note)


OURS = frozenset(
    {
        "model",
        "messages",
        "stream",
        "stream_options",
        "fallbacks",
        "provider",
        "extra_params",
    }
)
"""Members that say whom is asked, what and how it is to be told: no dialect loses them."""

SILENT: Mapping[str, frozenset[object]] = {
    "background": frozenset({"auto"}),
    "moderation": frozenset({"auto"}),
    "n": frozenset({1}),
    "quality": frozenset({"auto"}),
    "store": frozenset({False}),
    "logprobs": frozenset({False}),
    "top_logprobs": frozenset({0}),
    "frequency_penalty": frozenset({0}),
    "presence_penalty": frozenset({0}),
    "parallel_tool_calls": frozenset({True}),
    "service_tier": frozenset({"auto", "default"}),
}
"""Values that ask for nothing but what is done anyhow, so that leaving them out loses nothing."""


@attrs.define(eq=False)
class Losses:
    """What is lost of a request on its way into another dialect: names, each once, in the order in which it was seen."""

    names: list[str] = attrs.field(factory=list)

    def lose(self, *names: str) -> None:
        """Name what lies deeper than the top: ``messages.content.input_audio``."""
        self.names.extend(name for name in names if name not in self.names)

    def of(self, request: ChatRequest, fields: Fields, used: Iterable[str] = ()) -> None:
        """Name the members of ``request`` that ``fields`` drop or do not know, but for those ``used`` all the same."""
        kept = {*OURS, *used}
        for name, value in request.members.items():
            field = fields.get(name)
            if name in kept or (field is not None and field.fate is Fate.MAPPED):
                continue
            if not _is_silent(name, value):
                self.lose(name)


def _is_silent(name: str, value: object) -> bool:
    if value in ([], {}):
        return True
    return isinstance(value, str | int | float) and value in SILENT.get(name, ())


def sealed(
    body: dict[str, object],
    request: ChatRequest,
    losses: Losses,
    call: Call,
    provider: str,
    *,
    fields: Fields,
    used: Iterable[str] = (),
) -> Encoded:
    """The finished upstream ``body``, with what ``request`` lost by ``fields``.

    ``extra_params`` are merged in where the caller asked for that; ``used`` are those that the dialect took by name.
    Raises BadRequest if something was lost that the caller insists on.
    """
    used = frozenset(used)
    if call.caller.passthrough_extra_params:
        merged = {name: value for name, value in request.extras.items() if name not in used}
        unknown = {
            name: value
            for name, value in request.members.items()
            if name not in OURS and name not in fields and name not in used
        }
        sent = merge_extra(written(body), {**unknown, **merged})
        used |= set(unknown)
    else:
        losses.lose(*(f"extra_params.{name}" for name in request.extras if name not in used))
        sent = written(body)
    losses.of(request, fields, used)
    losses.lose(*call.lost)
    refuse_loss(losses.names, call, provider)
    return Encoded(sent, tuple(losses.names))
