"""A call of the gateway's own, made on the way to answer another one: its whole answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from bifrost.errors import UpstreamError
from bifrost.service import Began, Chunk, Failed, Finished

if TYPE_CHECKING:
    from bifrost.schema.call import Call
    from bifrost.service import Service

__all__ = ["WholeAnswer", "answered", "relayed_answer", "whole_answer"]

RELAYED_BYTES = 4 * 1024 * 1024
"""Of an answer that is relayed and still has to be looked at."""


@attrs.frozen(kw_only=True)
class WholeAnswer:
    """An answer, and what was told before it."""

    began: Began
    body: bytes = attrs.field(repr=False)
    key_id: str
    """The key that it was got with."""


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
    return WholeAnswer(began=found, body=body, key_id=exchange.record.key_id)


async def whole_answer(service: Service, call: Call) -> bytes:
    """The body of the plain answer to ``call``. Raises GatewayError."""
    return (await answered(service, call)).body


async def relayed_answer(service: Service, call: Call) -> WholeAnswer:
    """The answer to a call that is relayed verbatim. Raises GatewayError, also where it is longer than ``RELAYED_BYTES``."""
    body = bytearray()
    began: Began | None = None
    async with service(call) as exchange:
        while True:
            match await exchange.receive():
                case Began() as began:
                    pass
                case Chunk(data):
                    body += data
                    if len(body) > RELAYED_BYTES:
                        raise UpstreamError("the provider's answer is too large")
                case Finished():
                    break
                case Failed(error):
                    raise error
    if began is None:
        raise UpstreamError("empty response received from provider")
    return WholeAnswer(began=began, body=bytes(body), key_id=exchange.record.key_id)
