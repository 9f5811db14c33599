"""Batches that bring their requests along, for providers that take a file only: upload, then create, both with one key."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import attrs
import trio

from bifrost.codecs.json import InvalidJSON, loads, split_object
from bifrost.dialects.objects import ENDPOINT
from bifrost.dialects.openai_batches import batch_of_file, endpoint_of, has_requests
from bifrost.errors import BadRequest, GatewayError, UpstreamError
from bifrost.http.form import new_boundary
from bifrost.http.inference import JSON_TYPE
from bifrost.http.relay import answer_lines
from bifrost.http.whole import WholeAnswer, answered, whole_answer
from bifrost.integrations.manners import manner_of
from bifrost.providers.answer_headers import dropped_names
from bifrost.schema.call import Call, Dialect, Operation, RawMembers, Relay
from bifrost.service import Service

if TYPE_CHECKING:
    from bifrost.http.reply import Reply

__all__ = ["InlineBatch", "InlineBatches"]

JSON = b"application/json"

DEFAULT_ENDPOINTS = {"openai": ENDPOINT, "azure": "/chat/completions"}
"""By whose API it is: what Messages in a batch become requests for. Azure spells it so, too, in its reference of 2026-11."""


@attrs.frozen(kw_only=True)
class InlineBatch:
    """A batch to be created whose requests stand in it."""

    call: Call
    relay: Relay
    members: RawMembers = attrs.field(repr=False)
    """The body's."""
    endpoint: str


@attrs.define(eq=False)
class InlineBatches:
    """Creates a batch by two calls: one uploads the requests as a file, the other names it.

    That the second gets the key of the first is the work of the memory of objects (``actors.objects``).
    """

    service: Service

    @staticmethod
    def find(call: Call, base: str) -> InlineBatch | None:
        """The batch that ``call`` brings to a provider whose API is that of ``base``; ``None`` if it is not for here.

        Raises BadRequest.
        """
        relay, default = call.relay, DEFAULT_ENDPOINTS.get(base)
        if call.operation is not Operation.BATCH_CREATE or relay is None or default is None:
            return None
        members = _members(relay)
        if members is None:
            # Whoever is asked says what is wrong with it.
            return None
        if members.keys().isdisjoint({"requests", "input_file_id"}):
            text = "either input_file_id or requests array is required for OpenAI batch API"
            raise BadRequest(text, param="input_file_id")
        if not has_requests(members):
            return None
        is_openais = call.surface.dialect is Dialect.OPENAI
        endpoint = endpoint_of(members, "" if is_openais else default)
        return InlineBatch(call=call, relay=relay, members=members, endpoint=endpoint)

    async def create(self, batch: InlineBatch, reply: Reply) -> None:
        """Create ``batch`` and answer with it, whether or not the caller is still there. Raises GatewayError.

        A batch that is refused leaves no file behind; where that cannot be told, or the file cannot be deleted, the
        error names it.
        """
        reply.is_accounted = True
        with trio.CancelScope(shield=True):
            answer = await self._created(batch)
            manner = manner_of(batch.call.surface)
            lines = manner.with_id(answer_lines(answer.began), reply.request_id)
            await reply.whole(200, [JSON_TYPE, *lines], answer.body)

    async def _created(self, batch: InlineBatch) -> WholeAnswer:
        file_id, dropped = await self._upload(batch)
        body = batch_of_file(batch.members, file_id, batch.endpoint)
        made = attrs.evolve(
            batch.call,
            relay=attrs.evolve(batch.relay, content_type=JSON, body=body),
            ids=(file_id, *batch.call.ids),
            lost=dropped,
            native=None,
            body_bytes=len(body),
        )
        try:
            return await answered(self.service, made)
        except GatewayError as error:
            refused = error
        await self._clean_up(made, file_id, refused)
        raise refused

    async def _upload(self, batch: InlineBatch) -> tuple[str, tuple[str, ...]]:
        """The file's id, and what was dropped of the requests."""
        upload = attrs.evolve(
            batch.call,
            operation=Operation.FILE_UPLOAD,
            relay=attrs.evolve(batch.relay, path="/v1/files", batch_endpoint=batch.endpoint),
            boundary=new_boundary(),
            native=None,
        )
        answer = await answered(self.service, upload)
        name = loads(split_object(answer.body).get("id", b"null"))
        if not isinstance(name, str) or not name:
            raise UpstreamError("the provider did not tell the id of the batch's input file")
        return name, dropped_names(answer.began.headers)

    async def _clean_up(self, made: Call, file_id: str, error: GatewayError) -> None:
        """Delete the file of a batch that was refused; a batch of which nothing is known may still need it."""
        if error.status < 500 and await self._deleted(made, file_id):
            return
        provider = made.target.provider
        error.message += f" (its input file {file_id} is left with {provider})"

    async def _deleted(self, made: Call, file_id: str) -> bool:
        relay = Relay(method="DELETE", path=f"/v1/files/{quote(file_id, safe='')}")
        ids = (file_id,)
        delete = attrs.evolve(made, operation=Operation.FILE_DELETE, relay=relay, ids=ids, lost=())
        try:
            await whole_answer(self.service, delete)
        except GatewayError:
            # The caller is told of the file; what was wrong in the first place matters more.
            return False
        return True


def _members(relay: Relay) -> dict[str, bytes] | None:
    """The body's; ``None`` if it is no JSON object."""
    try:
        return split_object(relay.body) if isinstance(relay.body, bytes) else None
    except InvalidJSON:
        return None
