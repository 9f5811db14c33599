"""Everyone who speaks the OpenAI API: one class, and a row of ``providers.table`` for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import attrs

from bifrost.codecs import json
from bifrost.config.settings import ProviderSettings
from bifrost.dialects.openai_operations import CODERS, Coder
from bifrost.errors import ConfigurationMissing, GatewayError, UnsupportedOperation, UpstreamError
from bifrost.providers.base import Headers, PlainAnswer, RateHint, UpstreamRequest
from bifrost.providers.errors import decode_error
from bifrost.providers.place import Address, Place, address_of, place_of
from bifrost.providers.rate_headers import read_rate_hint
from bifrost.providers.request_headers import HeaderPlan, header_line, plan_headers
from bifrost.providers.spec import ProviderSpec
from bifrost.schema.call import Operation

if TYPE_CHECKING:
    from bifrost.config.settings import KeySettings
    from bifrost.dialects.base import AnswerFacts, StreamDecoder
    from bifrost.schema.call import Call, Target

__all__ = ["OpenAICompatible", "openai_compatible"]

MAX_MODELS = 100_000
"""Of a list; what comes after them is left out."""


@attrs.frozen(kw_only=True)
class OpenAICompatible:
    """An ``Adapter`` for one provider of the family under one configuration; made by ``openai_compatible``.

    All that can be known beforehand is: ``_plans`` are header plans by method and by whether a stream is asked for.
    """

    spec: ProviderSpec
    settings: ProviderSettings
    _addresses: Mapping[tuple[str | None, str], Address]
    """By a key's own URL (``None``: the provider's) and request type."""
    _plans: Mapping[tuple[bytes, bool], HeaderPlan] = attrs.field(repr=False)
    _coders: Mapping[Operation, Coder] = attrs.field(repr=False)

    @property
    def name(self) -> str:
        return self.settings.name

    def supports(self, operation: Operation, *, stream: bool) -> bool:
        if not self._has(operation, stream=stream):
            return False
        custom = self.settings.custom
        if custom is None or custom.allowed_requests is None:
            return True
        return custom.allowed_requests.get(_request_type(operation, stream=stream), False)

    def _has(self, operation: Operation, *, stream: bool) -> bool:
        if operation is Operation.LIST_MODELS:
            return operation in self.spec.paths
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
            return self._request(b"GET", call.request_type, call, key)
        coder = self._coders[call.operation]
        deployment = key.deployments.get(target.model)
        sent = coder.encode(
            call,
            deployment or target.model,
            self.spec.quirks,
            provider=self.name,
            disable_store=self.settings.disable_store,
        )
        asked = _request_type(coder.via or call.operation, stream=call.stream)
        query = urlencode(sent.query) if sent.query else ""
        request = self._request(b"POST", asked, call, key, sent.body, query)
        if deployment is None and not sent.dropped:
            return request
        return attrs.evolve(request, dropped_params=sent.dropped, model_deployment=deployment)

    def _request(
        self,
        method: bytes,
        request_type: str,
        call: Call,
        key: KeySettings,
        body: bytes = b"",
        query: str = "",
    ) -> UpstreamRequest:
        address = self._address(request_type, key)
        plan = self._plans[method, call.stream]
        return UpstreamRequest(
            method=method,
            origin=address.origin,
            target=address.with_query(query) if query else address.target,
            headers=plan.lines(address.host, call.caller.extra_headers, self._credential(key)),
            body=body,
        )

    def _address(self, request_type: str, key: KeySettings) -> Address:
        own = self._addresses.get((key.url, request_type)) if key.url else None
        address = own or self._addresses.get((None, request_type))
        if address is None:
            raise ConfigurationMissing(f"base_url is required for provider: {self.name}")
        return address

    def _credential(self, key: KeySettings) -> tuple[bytes, bytes] | None:
        value = key.value.reveal().strip()
        if not value or self.spec.auth == "none":
            return None
        try:
            return header_line("authorization", f"Bearer {value}")
        except ValueError:
            # Not chained: the codec's own error would hold the key.
            raise ConfigurationMissing(
                f'key "{key.name}" holds characters that no header may hold'
            ) from None

    def decode_plain(self, body: bytes, facts: AnswerFacts) -> PlainAnswer:
        return self._coders[facts.operation].plain(body, facts)

    def answers_in_bytes(self, operation: Operation, content_type: bytes) -> bool:
        if not self._coders[operation].may_be_bytes:
            return False
        return not content_type.lower().startswith((b"application/json", b"text/event-stream"))

    def stream_decoder(self, facts: AnswerFacts) -> StreamDecoder:
        if self.spec.ends_without_done:
            facts = attrs.evolve(facts, ends_without_done=True)
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


def _request_type(operation: Operation, *, stream: bool) -> str:
    return f"{operation.value}_stream" if stream else operation.value


def openai_compatible(spec: ProviderSpec, settings: ProviderSettings) -> OpenAICompatible:
    """Bind ``spec`` to ``settings``. Raises ConfigurationMissing if an address is lacking or is none."""
    base_url = settings.network.base_url or spec.base_url
    urls: dict[str | None, str] = {None: base_url} if base_url else {}
    if spec.has_key_urls:
        urls.update((key.url, key.url) for key in settings.keys if key.url)
    if not urls:
        raise ConfigurationMissing(f"base_url is required for provider: {settings.name}")
    try:
        return OpenAICompatible(
            spec=spec,
            settings=settings,
            addresses={
                (whose, request_type): address_of(_join(place_of(url), path))
                for whose, url in urls.items()
                for request_type, path in _paths(spec, settings).items()
            },
            plans=_plans(settings.network.extra_headers),
            coders=_coders(spec),
        )
    except ValueError as error:
        raise ConfigurationMissing(f"provider {settings.name}: {error}") from None


def _coders(spec: ProviderSpec) -> dict[Operation, Coder]:
    return {name: CODERS[name] for name in spec.paths if name is not Operation.LIST_MODELS}


def _join(base: Place, path: str) -> Place:
    return place_of(path) if path.startswith(("http://", "https://")) else base.at(path)


def _paths(spec: ProviderSpec, settings: ProviderSettings) -> dict[str, str]:
    """Path or absolute URL by request type. A stream without an override goes where the plain call goes."""
    overrides = {} if settings.custom is None else settings.custom.request_path_overrides
    told = {name: path.strip() for name, path in overrides.items() if path.strip()}
    paths: dict[str, str] = {}
    for operation, path in spec.paths.items():
        plain = _rooted(told.get(operation.value, path))
        paths[operation.value] = plain
        streaming = _request_type(operation, stream=True)
        paths[streaming] = _rooted(told.get(streaming, plain))
    return paths


def _rooted(path: str) -> str:
    return path if path.startswith(("/", "http://", "https://")) else f"/{path}"


def _plans(operators: Mapping[str, str]) -> dict[tuple[bytes, bool], HeaderPlan]:
    return {
        (method, stream): plan_headers(operators, stream=stream, has_body=method == b"POST")
        for method in (b"GET", b"POST")
        for stream in (False, True)
    }
