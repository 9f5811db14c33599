"""A body of whatever kind, received before anything is sent on: JSON in memory, a form part by part, all else in a spool."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import attrs

from bifrost.http.form import reading_form
from bifrost.http.inference import MIB
from bifrost.http.spool import spooled
from bifrost.integrations.relay import BodyKind
from bifrost.schema.payload import Form, Payload

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from hypercorn.typing import ASGIReceiveCallable

    from bifrost.http.doors import Views
    from bifrost.http.reply import Reply
    from bifrost.integrations.headers import HeaderLines

__all__ = ["JSON_BYTES", "Received", "received"]

JSON_BYTES = 64 * 1024 * 1024
"""Of a JSON body to be relayed, which is read in full; the gateway's own bound may be lower."""


@attrs.frozen(kw_only=True)
class Received:
    """A body, as far as its kind lets it be read."""

    json: bytes = attrs.field(default=b"", repr=False)
    form: Form | None = None
    payload: Payload | None = None


@asynccontextmanager
async def received(
    kind: BodyKind,
    headers: HeaderLines,
    receive: ASGIReceiveCallable,
    reply: Reply,
    views: Views,
) -> AsyncIterator[Received]:
    """The body, which is there until this is left. Raises as ``spooled`` does."""

    def tell_size(size: int) -> None:
        reply.request_bytes = size

    client = views.client
    max_bytes = client.max_request_body_size_mb * MIB
    timeout_s = client.body_timeout_s
    if kind is BodyKind.FORM:
        async with reading_form(
            receive, headers, max_bytes=max_bytes, timeout_s=timeout_s, tell_size=tell_size
        ) as form:
            yield Received(form=form)
        return
    if kind is BodyKind.JSON:
        max_bytes = min(max_bytes, JSON_BYTES)
    async with spooled(
        receive, headers, max_bytes=max_bytes, timeout_s=timeout_s, tell_size=tell_size
    ) as payload:
        if kind is BodyKind.JSON:
            yield Received(json=b"".join([block async for block in payload.blocks()]))
        else:
            yield Received(payload=payload)
