"""A call of the gateway's own, made on the way to answer another one: its whole answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bifrost.errors import UpstreamError
from bifrost.service import Began, Chunk, Failed, Finished

if TYPE_CHECKING:
    from bifrost.schema.call import Call
    from bifrost.service import Service

__all__ = ["whole_answer"]


async def whole_answer(service: Service, call: Call) -> bytes:
    """The body of the plain answer to ``call``. Raises GatewayError."""
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
                case Began():
                    pass
    if not body:
        raise UpstreamError("empty response received from provider")
    return body
