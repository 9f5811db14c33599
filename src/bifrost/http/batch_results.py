"""What came of a batch: its output file, and that of its errors, as one answer that is written as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import attrs

from bifrost.errors import BadRequest, GatewayError
from bifrost.http.whole import whole_answer
from bifrost.integrations.batch_results import Results, result_files
from bifrost.schema.call import Operation
from bifrost.service import Began, Chunk, Failed, Finished, Service

if TYPE_CHECKING:
    from bifrost.http.reply import Reply
    from bifrost.schema.call import Call, Relay

__all__ = ["BatchResults"]

NOT_AVAILABLE = "batch results not available: output_file_id is empty (batch may not be completed)"


@attrs.define(eq=False)
class BatchResults:
    """Answers for the results of a batch by two or three calls: for the batch, and for each of its files."""

    service: Service

    async def write(self, call: Call, relay: Relay, reply: Reply, answer: Results) -> None:
        """Write ``answer`` to ``reply``, at most one result being held at a time.

        ``call`` and ``relay`` are OpenAI's, for the results of a batch.
        Raises GatewayError while nothing has been written; what breaks off later marks the reply as cut.
        """
        try:
            for name in await self._files(call, relay):
                await self._pass(_content(call, relay, name), answer, reply)
        except GatewayError:
            if not reply.is_started:
                raise
            reply.is_cut = True
            return
        await _write(reply, answer, answer.end())
        if not reply.is_started:
            await _begin(reply, answer)
        await reply.end()

    async def _files(self, call: Call, relay: Relay) -> tuple[str, ...]:
        path = relay.path.removesuffix("/results")
        onward = attrs.evolve(relay, path=path, query="")
        asked = attrs.evolve(call, operation=Operation.BATCH_RETRIEVE, relay=onward)
        files = result_files(await whole_answer(self.service, asked))
        if not files:
            raise BadRequest(NOT_AVAILABLE)
        return files

    async def _pass(self, call: Call, answer: Results, reply: Reply) -> None:
        """Write what is in one file. Raises GatewayError."""
        async with self.service(call) as exchange:
            while True:
                match await exchange.receive():
                    case Chunk(data):
                        await _write(reply, answer, answer.feed(data))
                    case Finished():
                        await _write(reply, answer, answer.file_ends())
                        return
                    case Failed(error):
                        raise error
                    case Began():
                        pass


def _content(call: Call, relay: Relay, name: str) -> Call:
    """The call for the content of the file ``name``."""
    onward = attrs.evolve(relay, path=f"/v1/files/{quote(name, safe='')}/content", query="")
    return attrs.evolve(call, operation=Operation.FILE_CONTENT, ids=(name, *call.ids), relay=onward)


async def _write(reply: Reply, answer: Results, data: bytes) -> None:
    if not data:
        return
    if not reply.is_started:
        await _begin(reply, answer)
    await reply.part(data)


async def _begin(reply: Reply, answer: Results) -> None:
    await reply.start_bytes(200, [(b"content-type", answer.content_type)], None)
