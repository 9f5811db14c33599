"""Providers with a dialect of their own: one class, and a ``ForeignSpec`` for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlencode

import attrs

from bifrost.config.settings import KeySettings, NetworkSettings, ProviderSettings
from bifrost.dialects.base import AnswerFacts, Reading, StreamDecoder
from bifrost.dialects.bridge_request import responses_to_chat
from bifrost.dialects.hub import Answer, Teller
from bifrost.dialects.objects import ObjectCoder, Wanted
from bifrost.dialects.openai_edit import Encoded, refuse_loss
from bifrost.dialects.tellings import refuse_untold, retelling_of, retold_stream, told
from bifrost.errors import ConfigurationMissing, UnsupportedOperation
from bifrost.providers.base import FollowUp, Headers, PlainAnswer, RateHint, UpstreamRequest
from bifrost.providers.errors import decode_error
from bifrost.providers.passthrough import RelayPlace, relayed_place, relayed_request, verbatim_only
from bifrost.providers.place import Address, Place, address_of, place_of
from bifrost.providers.rate_headers import RateFamily, read_rate_hint
from bifrost.providers.request_headers import Accept, HeaderPlan, is_usual, plan_headers
from bifrost.providers.spec import is_allowed
from bifrost.schema.call import Call, Dialect, Operation

if TYPE_CHECKING:
    from bifrost.errors import GatewayError
    from bifrost.schema.call import Relay, Target

__all__ = ["Foreign", "ForeignCoder", "ForeignSpec", "Locate", "foreign", "own_last"]

IN_BYTES = frozenset({Operation.FILE_CONTENT, Operation.BATCH_RESULTS})
"""Whatever the answer is, it is the caller's."""


class Locate(Protocol):
    """Says where a request goes, and by which method."""

    def __call__(
        self, base: Place, operation: Operation, model: str, key: KeySettings, *, stream: bool
    ) -> Place:
        """The place below ``base``. Raises BadRequest for a model that no path can hold, ConfigurationMissing."""
        ...


@attrs.frozen(kw_only=True)
class ForeignCoder:
    """One operation of a foreign dialect.

    ``encode`` says a call, whose members are OpenAI's, for a model to a provider of this name; it raises BadRequest.
    ``read`` makes OpenAI's answer of a whole 2xx body; it raises UpstreamError. ``read_stream`` makes a decoder that tells
    a ``Teller``; without it the operation has no streaming form.
    """

    encode: Callable[[Call, str, str], Encoded]
    read: Callable[[bytes, AnswerFacts], Answer]
    read_stream: Callable[[AnswerFacts, Teller], StreamDecoder] | None = None
    native: NativeCoder | None = None
    """For callers who speak this dialect themselves."""
    make_stream: Callable[[AnswerFacts], StreamDecoder] | None = None
    """In place of ``read_stream``, where there is one way only to tell the stream: sound."""
    may_be_bytes: bool = False
    """Whether a whole answer that is no JSON is one all the same: sound."""
    method: bytes = b"POST"

    @property
    def streams(self) -> bool:
        return self.read_stream is not None or self.make_stream is not None


@attrs.frozen(kw_only=True)
class NativeCoder:
    """The same for callers of the same dialect: what they said goes upstream, and its answer goes back, as it came.

    ``relay`` checks a whole 2xx body and reads its usage; ``relay_stream`` does so for a stream.
    """

    encode: Callable[[Call, str, str], Encoded]
    relay: Callable[[bytes, AnswerFacts], PlainAnswer]
    relay_stream: Callable[[AnswerFacts], StreamDecoder] | None = None
    locate: Locate | None = None
    """Where they go, if not where the row says."""


def own_last(lines: Headers, own: Headers, network: NetworkSettings) -> Headers:  # noqa: ARG001  others go by it
    """``lines`` and ``own``, which stand in place of lines of their names."""
    names = {name for name, _ in own}
    return (*(line for line in lines if line[0] not in names), *own)


@attrs.frozen(kw_only=True)
class ForeignSpec:
    """One provider that does not speak OpenAI's dialect."""

    name: str
    dialect: Dialect | None
    """``None``: no caller speaks it."""
    base_url: str | None
    locate: Locate
    coders: Mapping[Operation, ForeignCoder]
    """Its operations. Responses are bridged through chat where they are not among them."""
    also_native: Mapping[tuple[Dialect, Operation], NativeCoder] = MappingProxyType({})
    """For callers of other dialects that it speaks as well, of operations that are among its own."""
    credential: Callable[[KeySettings], Headers]
    """The lines that a key is sent in; raises ConfigurationMissing where it cannot be."""
    authorize: Callable[[UpstreamRequest, KeySettings], UpstreamRequest] | None = None
    """A finished request with the credential of whoever signs; raises as ``credential``."""
    follow_up: Callable[[Call, UpstreamRequest, Place], FollowUp | None] | None = None
    """What is asked after a finished request, and where below the base."""
    headers: Callable[[Call, bytes], Headers] = lambda call, body: ()  # noqa: ARG005  others go by them
    """Further lines for a call with this body: the version."""
    join: Callable[[Headers, Headers, NetworkSettings], Headers] = own_last
    """Puts the row's own lines to those of operator and caller, where both may have a say in one."""
    has_hosted_tools: bool = False
    """Whether its ``encode`` judges tools that are no functions; else Responses lose them."""
    decode_error: Callable[[int, bytes], bytes] = lambda status, body: body  # noqa: ARG005  others go by it
    """A refusal's body in a shape that ``providers.errors`` reads."""
    read_refusal: Callable[[int, Headers, bytes], tuple[int, bytes]] | None = None
    """The same for whoever tells in headers what it is, or has a status for it that means something else."""
    decode_models: Callable[[bytes], tuple[dict[str, object], ...]]
    """As of an ``Adapter``."""
    rate_family: RateFamily = "openai"
    objects: Mapping[Operation, ObjectCoder] = MappingProxyType({})
    """Its files and batches."""
    absent: frozenset[int] = frozenset()
    """Statuses besides 404 by which it says that there is no such file."""
    native_objects: Mapping[Operation, ObjectCoder] = MappingProxyType({})
    """The same for callers of its own dialect, whose relay is ``call.native.relay``."""
    pages_by_token: bool = False
    """Whether its lists of them go on by cursors of its own, and not behind an object's id."""
    relay_place: RelayPlace | None = None
    """Where requests go that are passed through to it; ``None``: none are."""


@attrs.frozen(kw_only=True)
class Foreign:
    """An ``Adapter`` for one such provider under one configuration; made by ``foreign``."""

    spec: ForeignSpec
    settings: ProviderSettings
    _base: Place
    _plans: Mapping[Accept, HeaderPlan] = attrs.field(repr=False)

    @property
    def name(self) -> str:
        return self.settings.name

    def supports(self, operation: Operation, *, stream: bool) -> bool:
        return self._has(operation, stream=stream) and is_allowed(
            self.settings, operation, stream=stream
        )

    def _coder(self, operation: Operation) -> ForeignCoder | None:
        found = self.spec.coders.get(operation)
        if found is None and operation is Operation.RESPONSES:
            return self.spec.coders.get(Operation.CHAT)
        return found

    def _has(self, operation: Operation, *, stream: bool) -> bool:
        if operation is Operation.RELAY:
            return self.spec.relay_place is not None
        if operation in self.spec.objects or operation in self.spec.native_objects:
            return not stream
        coder = self._coder(operation)
        return coder is not None and (coder.streams or not stream)

    def encode(self, call: Call, target: Target, key: KeySettings) -> UpstreamRequest:
        is_relay = call.operation is Operation.RELAY or call.is_verbatim
        if is_relay and self.spec.relay_place is not None:
            return self._relayed(call, self.spec.relay_place, key)
        native = self._native_relay(call)
        if native is not None:
            coder = self.spec.native_objects[call.operation]
            return self._object(coder, _relaying(call), native, key)
        objects = self.spec.objects.get(call.operation)
        if objects is not None and call.relay is not None:
            return self._object(objects, call, call.relay, key)
        return self._translated(call, target, key)

    def _translated(self, call: Call, target: Target, key: KeySettings) -> UpstreamRequest:
        coder = self._coder(call.operation)
        if coder is None or not self._has(call.operation, stream=call.stream):
            raise UnsupportedOperation(
                f"{call.request_type} is not supported by {self.name} provider"
            )
        deployment = key.deployments.get(target.model)
        model = deployment or target.model
        native = None if call.native is None else self._native(call.operation, call.native.dialect)
        is_native = native is not None
        sent = self._encoded(coder, native, call, model)
        locate = (native and native.locate) or self.spec.locate
        address = self._address(locate, call, model, key, sent.path)
        request = UpstreamRequest(
            method=coder.method,
            origin=address.origin,
            target=address.with_query(urlencode(sent.query)) if sent.query else address.target,
            headers=self._headers(address, _speaking(call) if is_native else call, key, sent),
            body=sent.body if sent.payload is None else sent.payload,
            dropped_params=sent.dropped,
            is_native=is_native,
            reading=sent.reading or retelling_of(call),
            model_deployment=deployment,
            is_usual=self.spec.authorize is None and is_usual(call, key),
        )
        if self.spec.follow_up is not None:
            follow_up = self.spec.follow_up(call, request, self._base)
            request = attrs.evolve(request, follow_up=follow_up)
        return request if self.spec.authorize is None else self.spec.authorize(request, key)

    def _native_relay(self, call: Call) -> Relay | None:
        """The request about files or batches as it came, where it came in this provider's own dialect."""
        native = call.native
        if native is None or native.dialect is not self.spec.dialect:
            return None
        return native.relay if call.operation in self.spec.native_objects else None

    def _native(self, operation: Operation, dialect: Dialect) -> NativeCoder | None:
        """Who relays requests of callers of ``dialect``, if they are not to be told anew."""
        if dialect is not self.spec.dialect:
            return self.spec.also_native.get((dialect, operation))
        coder = self._coder(operation)
        return None if coder is None else coder.native

    def _encoded(
        self, coder: ForeignCoder, native: NativeCoder | None, call: Call, model: str
    ) -> Encoded:
        if native is not None:
            return native.encode(call, model, self.name)
        refuse_untold(call)
        if call.operation is Operation.RESPONSES and Operation.RESPONSES not in self.spec.coders:
            return self._bridged(coder, call, model)
        return coder.encode(call, model, self.name)

    def _bridged(self, coder: ForeignCoder, call: Call, model: str) -> Encoded:
        bridged = responses_to_chat(
            call.members, keeps_reasoning=True, keeps_tools=self.spec.has_hosted_tools
        )
        refuse_loss(bridged.dropped, call, self.name)
        sent = coder.encode(attrs.evolve(call, members=bridged.members), model, self.name)
        return attrs.evolve(sent, dropped=(*bridged.dropped, *sent.dropped))

    def _address(
        self, locate: Locate, call: Call, model: str, key: KeySettings, path: str
    ) -> Address:
        place = self._overridden(call) or locate(
            self._base, call.operation, model, key, stream=call.stream
        )
        return self._address_of(place.at(path) if path else place)

    def _relayed(self, call: Call, place: RelayPlace, key: KeySettings) -> UpstreamRequest:
        relay = verbatim_only(call, self.name)
        request = relayed_request(
            call,
            relay,
            self._address_of(place(self._base, relay, key)),
            self._plans,
            credentials=self.spec.credential(key),
            defaults=self.spec.headers(call, b""),
        )
        if call.operation is Operation.RELAY:
            return request
        return attrs.evolve(request, reading=Reading(absent=self.spec.absent))

    def _object(
        self, coder: ObjectCoder, call: Call, relay: Relay, key: KeySettings
    ) -> UpstreamRequest:
        asked = coder(Wanted(call=call, relay=relay, key=key, provider=self.name))
        refuse_loss(asked.dropped, call, self.name)
        query = urlencode(asked.query)
        address = self._address_of(relayed_place(self._base, asked.path, query))
        body = asked.body if isinstance(asked.body, bytes) else b""
        sent = Encoded(body, content_type=asked.content_type, headers=asked.headers)
        return UpstreamRequest(
            method=asked.method,
            origin=address.origin,
            target=address.target,
            headers=self._headers(address, call, key, sent),
            body=asked.body,
            dropped_params=asked.dropped,
            reading=asked.reading,
        )

    def _address_of(self, place: Place) -> Address:
        try:
            return address_of(place)
        except ValueError as error:
            raise ConfigurationMissing(f"provider {self.name}: {error}") from None

    def _overridden(self, call: Call) -> Place | None:
        """Where a custom provider has the operation, if not where its kind has it; a stream goes where the plain call goes."""
        custom = self.settings.custom
        if custom is None or not custom.request_path_overrides:
            return None
        told = custom.request_path_overrides
        path = told.get(call.request_type, told.get(call.operation.value, "")).strip()
        if not path:
            return None
        if path.startswith(("http://", "https://")):
            try:
                return place_of(path)
            except ValueError as error:
                raise ConfigurationMissing(f"provider {self.name}: {error}") from None
        return self._base.at(path if path.startswith("/") else f"/{path}")

    def _headers(self, address: Address, call: Call, key: KeySettings, sent: Encoded) -> Headers:
        plan = self._plans[self._accept(call)]
        own = (*self.spec.headers(call, sent.body), *sent.headers, *self.spec.credential(key))
        lines = plan.lines(address.host, call.caller.extra_headers, None, sent.content_type)
        return self.spec.join(lines, own, self.settings.network)

    def _accept(self, call: Call) -> Accept:
        if call.operation in IN_BYTES:
            return Accept.ANYTHING
        coder = self._coder(call.operation)
        if coder is not None and coder.may_be_bytes:
            return Accept.ANYTHING
        return Accept.EVENTS if call.stream else Accept.JSON

    def decode_plain(self, body: bytes, facts: AnswerFacts) -> PlainAnswer:
        if facts.reading is not None and facts.reading.plain is not None:
            return facts.reading.plain(body, facts)
        coder, native = self._known(facts), self._relaying(facts)
        if native is not None:
            return native.relay(body, facts)
        return told(coder.read(body, facts), facts)

    def answers_in_bytes(
        self, operation: Operation, content_type: bytes, *, stream: bool = False
    ) -> bool:
        if operation in IN_BYTES:
            return True
        coder = self._coder(operation)
        if stream or coder is None or not coder.may_be_bytes:
            return False
        return not content_type.lower().startswith(b"application/json")

    def stream_decoder(self, facts: AnswerFacts) -> StreamDecoder:
        coder, native = self._known(facts), self._relaying(facts)
        if native is not None and native.relay_stream is not None:
            return native.relay_stream(facts)
        if coder.make_stream is not None:
            return coder.make_stream(facts)
        if coder.read_stream is None:
            raise UnsupportedOperation(
                f"{facts.request_type} is not supported by {self.name} provider"
            )
        return retold_stream(facts, coder.read_stream)

    def _relaying(self, facts: AnswerFacts) -> NativeCoder | None:
        if not facts.is_native:
            return None
        asked = self.spec.dialect if facts.native is None else facts.native.dialect
        return None if asked is None else self._native(facts.operation, asked)

    def _known(self, facts: AnswerFacts) -> ForeignCoder:
        coder = self._coder(facts.operation)
        if coder is None:
            raise UnsupportedOperation(
                f"{facts.request_type} is not supported by {self.name} provider"
            )
        return coder

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
        body = self.spec.decode_error(status, body)
        if self.spec.read_refusal is not None:
            status, body = self.spec.read_refusal(status, headers, body)
        return decode_error(status, headers, body, key.value, now_unix_s=now_unix_s, raw=raw)

    def rate_hint(self, headers: Headers, now_unix_s: float) -> RateHint:
        return read_rate_hint(headers, now_unix_s, self.spec.rate_family)

    def decode_models(self, body: bytes) -> tuple[dict[str, object], ...]:
        return self.spec.decode_models(body)


def _speaking(call: Call) -> Call:
    """``call`` with the headers of its own dialect among those that go upstream."""
    if call.native is None or not call.native.headers:
        return call
    extra = (*call.caller.extra_headers, *call.native.headers)
    return attrs.evolve(call, caller=attrs.evolve(call.caller, extra_headers=extra))


def _relaying(call: Call) -> Call:
    """``call`` with the lines that go upstream as they came, in place of those that go to whomever."""
    lines = () if call.native is None else call.native.headers
    return attrs.evolve(call, caller=attrs.evolve(call.caller, extra_headers=lines))


def foreign(spec: ForeignSpec, settings: ProviderSettings) -> Foreign:
    """Bind ``spec`` to ``settings``. Raises ConfigurationMissing if an address is lacking or is none."""
    base_url = settings.network.base_url or spec.base_url
    if not base_url:
        raise ConfigurationMissing(f"base_url is required for provider: {settings.name}")
    try:
        base = place_of(base_url)
        plans = {accept: plan_headers(settings.network.extra_headers, accept) for accept in Accept}
    except ValueError as error:
        raise ConfigurationMissing(f"provider {settings.name}: {error}") from None
    return Foreign(spec=spec, settings=settings, base=base, plans=plans)
