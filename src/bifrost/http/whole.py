"""A call of the gateway's own, made on the way to answer another one: its whole answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from bifrost.errors import UpstreamError
from bifrost.service import Began, Chunk, Failed, Finished

if TYPE_CHECKING:
    from bifrost.schema.call import Call
    from bifrost.service import Service

__all__ = ["WholeAnswer", "answered", "whole_answer"]


@attrs.frozen
class WholeAnswer:
    """A plain answer, and what was told before it."""

    began: Began
    body: bytes = attrs.field(repr=False)


async def answered(service: Service, call: Call) -> WholeAnswer:
    """The plain answer to ``call``. Raises GatewayError."""
    found: Began | None = None
    body = b""
    async with service(call) as exchange:
        while True:
            match await exchange.receive():
                case Chunk(data):
                    body = data
                case Finished():
                    break
                case Failed(error):
                    raise error
                case Began() as began:
                    found = began
    if not body or found is None:
        raise UpstreamError("empty response received from provider")
    return WholeAnswer(found, body)


async def whole_answer(service: Service, call: Call) -> bytes:
    """The body of the plain answer to ``call``. Raises GatewayError."""
    return (await answered(service, call)).body
