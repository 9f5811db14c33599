"""Everyone who speaks the OpenAI API: one class, and a row of ``providers.table`` for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import attrs

from bifrost.codecs import json
from bifrost.codecs.multipart import form_content_type
from bifrost.config.secret import Token
from bifrost.config.settings import ProviderSettings
from bifrost.dialects.objects import Wanted
from bifrost.dialects.openai_batches import batch_input
from bifrost.dialects.openai_edit import Encoded, refuse_loss
from bifrost.dialects.openai_operations import BRIDGED_RESPONSES, CODERS, OBJECTS, Coder
from bifrost.dialects.openai_told import ToldStream
from bifrost.dialects.tellings import refuse_untold, retelling_of, retold, retold_stream
from bifrost.errors import ConfigurationMissing, GatewayError, UnsupportedOperation, UpstreamError
from bifrost.providers.addresses import Addresses, fixed_addresses
from bifrost.providers.base import Headers, PlainAnswer, RateHint, UpstreamRequest
from bifrost.providers.errors import decode_error
from bifrost.providers.further import Unversioned
from bifrost.providers.passthrough import relayed_request
from bifrost.providers.rate_headers import read_rate_hint
from bifrost.providers.request_headers import (
    Accept,
    HeaderPlan,
    header_line,
    is_usual,
    plan_headers,
)
from bifrost.providers.spec import ProviderSpec, is_allowed
from bifrost.schema.call import Dialect, Operation, request_type

if TYPE_CHECKING:
    from bifrost.config.settings import KeySettings
    from bifrost.dialects.base import AnswerFacts, StreamDecoder
    from bifrost.schema.call import Call, Relay, Target

__all__ = ["OpenAICompatible", "openai_compatible"]

RELAYED = frozenset({Operation.RELAY, *OBJECTS})

AS_IT_COMES = frozenset({Operation.RELAY, Operation.FILE_CONTENT})
"""Whatever the answer is, it is the caller's: a file may well be JSON."""

READ_KINDS = (b"application/json", b"text/event-stream", b"text/html")
"""Answers that are read even where sound or subtitles may come: a page is no answer at all, and is told to be none."""

NO_BODY = Encoded(b"", content_type=None)

MAX_MODELS = 100_000
"""Of a list; what comes after them is left out."""


@attrs.frozen(kw_only=True)
class OpenAICompatible:
    """An ``Adapter`` for one provider of the family under one configuration; made by ``openai_compatible``.

    All that can be known beforehand is: ``_plans`` are header plans by the answer that is wanted.
    """

    spec: ProviderSpec
    settings: ProviderSettings
    _addresses: Addresses
    _plans: Mapping[Accept, HeaderPlan] = attrs.field(repr=False)
    _coders: Mapping[Operation, Coder] = attrs.field(repr=False)

    @property
    def name(self) -> str:
        return self.settings.name

    def supports(self, operation: Operation, *, stream: bool) -> bool:
        return self._has(operation, stream=stream) and is_allowed(
            self.settings, operation, stream=stream
        )

    def _has(self, operation: Operation, *, stream: bool) -> bool:
        if operation is Operation.LIST_MODELS:
            return operation in self.spec.paths
        if operation in RELAYED:
            return self.spec.relays
        coder = self._coders.get(operation)
        if coder is None:
            return False
        streams = coder.stream is not None and operation not in self.spec.plain_only
        return streams or not stream

    def encode(self, call: Call, target: Target, key: KeySettings) -> UpstreamRequest:
        if not self._has(call.operation, stream=call.stream):
            text = f"{call.request_type} is not supported by {self.name} provider"
            raise UnsupportedOperation(text)
        if call.operation is Operation.LIST_MODELS:
            return self._request(b"GET", call.request_type, call, key, target.model, NO_BODY)
        if call.relay is not None:
            relay = call.relay
            write = self._batch_input if relay.batch_endpoint else self._relay
            return write(call, relay, key)
        refuse_untold(call)
        coder = self._coders[call.operation]
        deployment = key.deployments.get(target.model)
        sent = coder.encode(
            call,
            deployment or target.model,
            self.spec.quirks,
            provider=self.name,
            disable_store=self.settings.disable_store,
        )
        asked = request_type(coder.via or call.operation, stream=call.stream)
        request = self._request(b"POST", asked, call, key, deployment or target.model, sent)
        if call.operation in self.spec.perhaps_unversioned and b"/v1/" in request.target:
            request = attrs.evolve(request, follow_up=Unversioned(request))
        reading = retelling_of(call)
        if deployment is None and not sent.dropped and reading is None:
            return request
        return attrs.evolve(
            request, dropped_params=sent.dropped, model_deployment=deployment, reading=reading
        )

    def _request(
        self, method: bytes, asked: str, call: Call, key: KeySettings, model: str, sent: Encoded
    ) -> UpstreamRequest:
        address = self._addresses.of(asked, key, model)
        plan = self._plans[self._accept(call)]
        credential = self._credential(key)
        return UpstreamRequest(
            method=method,
            origin=address.origin,
            target=address.with_query(urlencode(sent.query)) if sent.query else address.target,
            headers=plan.lines(
                address.host, call.caller.extra_headers, credential, sent.content_type
            ),
            body=sent.body if sent.payload is None else sent.payload,
            is_usual=is_usual(call, key),
        )

    def _relay(self, call: Call, relay: Relay, key: KeySettings) -> UpstreamRequest:
        address = self._addresses.below(relay.path, relay.query, key)
        credential = self._credential(key)
        credentials = () if credential is None else (credential,)
        request = relayed_request(call, relay, address, self._plans, credentials=credentials)
        return attrs.evolve(request, dropped_params=call.lost) if call.lost else request

    def _batch_input(self, call: Call, relay: Relay, key: KeySettings) -> UpstreamRequest:
        """An upload of the file that the batch in ``relay`` makes."""
        wanted = Wanted(call=call, relay=relay, key=key, provider=self.name)
        made = batch_input(wanted, relay.batch_endpoint, self._encoder)
        refuse_loss(made.dropped, call, self.name)
        kind = form_content_type(call.boundary)
        upload = attrs.evolve(relay, body=made.form, content_type=kind, batch_endpoint="")
        return attrs.evolve(self._relay(call, upload, key), dropped_params=made.dropped)

    def _encoder(self, operation: Operation) -> Callable[[Call, str, str], Encoded] | None:
        """How a request of ``operation`` is encoded that stands in a batch."""
        coder = self._coders.get(operation)
        if coder is None:
            return None

        def encode(call: Call, model: str, provider: str) -> Encoded:
            store = self.settings.disable_store
            return coder.encode(
                call, model, self.spec.quirks, provider=provider, disable_store=store
            )

        return encode

    def _accept(self, call: Call) -> Accept:
        if call.stream:
            return Accept.EVENTS
        coder = self._coders.get(call.operation)
        return Accept.ANYTHING if coder is not None and coder.may_be_bytes else Accept.JSON

    def _credential(self, key: KeySettings) -> tuple[bytes, bytes] | None:
        value = key.value.reveal().strip()
        if not value or self.spec.auth == "none":
            return None
        try:
            if self.spec.auth == "api-key" and not isinstance(key.value, Token):
                return header_line("api-key", value)
            return header_line("authorization", f"Bearer {value}")
        except ValueError:
            # Not chained: the codec's own error would hold the key.
            raise ConfigurationMissing(
                f'key "{key.name}" holds characters that no header may hold'
            ) from None

    def decode_plain(self, body: bytes, facts: AnswerFacts) -> PlainAnswer:
        coder = OBJECTS.get(facts.operation) or self._coders[facts.operation]
        if facts.dialect is Dialect.OPENAI:
            return coder.plain(body, facts)
        bare = attrs.evolve(facts, send_extra_fields=False)
        return retold(coder.plain(body, bare), body, facts)

    def answers_in_bytes(
        self,
        operation: Operation,
        content_type: bytes,
        *,
        stream: bool = False,  # noqa: ARG002  sound that comes instead of events is sound all the same
    ) -> bool:
        if operation in AS_IT_COMES:
            return True
        coder = OBJECTS.get(operation) or self._coders[operation]
        if not coder.may_be_bytes:
            return False
        return not content_type.lower().startswith(READ_KINDS)

    def stream_decoder(self, facts: AnswerFacts) -> StreamDecoder:
        if self.spec.ends_without_done:
            facts = attrs.evolve(facts, ends_without_done=True)
        if facts.dialect is not Dialect.OPENAI:
            return retold_stream(facts, ToldStream)
        make = self._coders[facts.operation].stream
        if make is None:
            raise UnsupportedOperation(
                f"{facts.request_type} is not supported by {self.name} provider"
            )
        return make(facts)

    def decode_error(
        self,
        status: int,
        headers: Headers,
        body: bytes,
        key: KeySettings,
        *,
        now_unix_s: float | None = None,
        raw: bool = False,
    ) -> GatewayError:
        raw = raw or self.settings.send_back_raw_response
        return decode_error(status, headers, body, key.value, now_unix_s=now_unix_s, raw=raw)

    def rate_hint(self, headers: Headers, now_unix_s: float) -> RateHint:
        return read_rate_hint(headers, now_unix_s, self.spec.rate_family)

    def decode_models(self, body: bytes) -> tuple[dict[str, object], ...]:
        """Raises UpstreamError if ``body`` is no list of models.

        Lists come as OpenAI's ``{data: [{id}]}``, as a bare array, or as Ollama's own ``{models: [{name}]}``.
        """
        try:
            value = json.loads(body)
        except json.InvalidJSON as error:
            raise UpstreamError(
                "failed to unmarshal response from provider API", cause=str(error)
            ) from None
        if isinstance(value, dict):
            value = value.get("data", value.get("models"))
        if not isinstance(value, list):
            raise UpstreamError("failed to unmarshal response from provider API")
        found = (_model(item) for item in value[:MAX_MODELS])
        return tuple(model for model in found if model is not None)


def _model(item: object) -> dict[str, object] | None:
    if not isinstance(item, dict):
        return None
    name = item.get("id", item.get("name"))
    return {**item, "id": name} if isinstance(name, str) and name else None


def openai_compatible(
    spec: ProviderSpec, settings: ProviderSettings, addresses: Addresses | None = None
) -> OpenAICompatible:
    """Bind ``spec`` to ``settings``; ``addresses`` are those of its base URL if not given.

    Raises ConfigurationMissing if an address is lacking or is none.
    """
    try:
        plans = {accept: plan_headers(settings.network.extra_headers, accept) for accept in Accept}
    except ValueError as error:
        raise ConfigurationMissing(f"provider {settings.name}: {error}") from None
    return OpenAICompatible(
        spec=spec,
        settings=settings,
        addresses=addresses or fixed_addresses(spec, settings),
        plans=plans,
        coders=_coders(spec),
    )


def _coders(spec: ProviderSpec) -> dict[Operation, Coder]:
    coders: dict[Operation, Coder] = {
        name: CODERS[name] for name in spec.paths if name is not Operation.LIST_MODELS
    }
    for name, stream in spec.streams.items():
        coders[name] = attrs.evolve(coders[name], stream=stream)
    if Operation.CHAT in coders:
        coders.setdefault(Operation.RESPONSES, BRIDGED_RESPONSES)
    return coders
