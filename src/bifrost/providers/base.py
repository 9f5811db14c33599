"""What a provider is to the rest of the house: it turns a call into an upstream request, and reads refusals.

Everything here is pure. ``ProviderSpec`` is a row of ``providers.table``; ``Adapter`` is that row bound to
one configuration.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeAlias

import attrs

from bifrost.dialects.base import PlainAnswer, Reading
from bifrost.schema.payload import Payload
from bifrost.values import frozen

if TYPE_CHECKING:
    from bifrost.config.settings import KeySettings, ProviderSettings
    from bifrost.dialects.base import AnswerFacts, StreamDecoder
    from bifrost.errors import GatewayError
    from bifrost.schema.call import Call, Operation, Target

__all__ = [
    "Adapter",
    "Ask",
    "FollowUp",
    "Headers",
    "Origin",
    "PlainAnswer",
    "RateHint",
    "Sign",
    "Told",
    "UpstreamRequest",
]

Headers = tuple[tuple[bytes, bytes], ...]
"""Header lines in order; names in lower case."""


@frozen
class Origin:
    """Where a connection goes: what a pool of connections is kept by."""

    scheme: str
    host: str
    port: int
    public_only: bool = False
    """Whether it is connected to only where its host has none but public addresses: a caller named it."""


@frozen(kw_only=True)
class UpstreamRequest:
    """One HTTP request, ready to be written. ``target`` is path and query. Its repr must show neither headers nor these.

    ``body`` is a ``Payload`` where it is not JSON: sent block by block, and from its beginning for each attempt.
    """

    method: bytes
    origin: Origin
    target: bytes = attrs.field(repr=False)
    """A key of Vertex may be in it."""
    headers: Headers = attrs.field(repr=False)
    body: bytes | Payload = attrs.field(repr=False, default=b"")
    dropped_params: tuple[str, ...] = ()
    """Members of the call that this provider cannot take and that were left out."""
    is_native: bool = False
    """Whether it says the call in the caller's own dialect, which is not OpenAI's."""
    model_deployment: str | None = None
    """The model's name as sent, where the key maps it to a deployment."""
    reading: Reading | None = attrs.field(repr=False, default=None)
    """How its answer is to be read, where the adapter's operations do not say it."""
    sign: Sign | None = attrs.field(repr=False, default=None)
    """Puts on what depends on the time of sending, for upstreams that want a signature."""
    follow_up: FollowUp | None = attrs.field(repr=False, default=None)
    """What is asked after its answer. Without it the answer is read as it comes."""
    is_usual: bool = False
    """Whether others with the very same lines are to be expected. Never where a caller's own key is in them."""

    def signed(self, now_unix_s: float) -> UpstreamRequest:
        """This request as it is sent now. Raises what ``sign`` does."""
        return self if self.sign is None else self.sign(self, now_unix_s)


Sign: TypeAlias = Callable[[UpstreamRequest, float], UpstreamRequest]
"""Signs a finished request; the time is Unix's, in seconds."""


class FollowUp(Protocol):
    """Judges the answer to a request that may be one of several which the call takes."""

    @property
    def begins(self) -> bool:
        """Whether the request begins what goes on by itself, and can be called off once its answer is known."""
        ...

    def next(self, status: int, body: bytes) -> Ask | Told | None:
        """What comes after an answer: a further request, an answer made of this one, or ``None`` to take it as it came.

        ``body`` is the whole of a 2xx answer, and empty for others. Raises UpstreamError.
        """
        ...


@frozen(kw_only=True)
class Ask:
    """A further request, to be sent after ``after_s`` seconds. With a ``follow_up`` of its own it is not the last."""

    request: UpstreamRequest
    after_s: float = 0.0
    call_off: UpstreamRequest | None = None
    """To be sent if the attempt is given up from now on, before it has come to its end."""


@frozen(kw_only=True)
class Told:
    """A whole answer in place of the one that came."""

    body: bytes = attrs.field(repr=False)
    content_type: bytes


@frozen(kw_only=True)
class RateHint:
    """What an answer's headers say of the key's limits. Times are seconds from now."""

    retry_after_s: float | None = None
    limit_requests: int | None = None
    remaining_requests: int | None = None
    reset_requests_s: float | None = None
    limit_tokens: int | None = None
    remaining_tokens: int | None = None
    reset_tokens_s: float | None = None


class Adapter(Protocol):
    """One provider under one configuration. Stateless; shared by all tasks."""

    @property
    def name(self) -> str: ...

    @property
    def settings(self) -> ProviderSettings: ...

    def supports(self, operation: Operation, *, stream: bool) -> bool:
        """Whether provider and configuration (``allowed_requests``) have the operation."""
        ...

    def encode(self, call: Call, target: Target, key: KeySettings) -> UpstreamRequest:
        """The request to send for ``call`` to ``target`` with ``key``.

        Raises BadRequest where the call cannot be said in the provider's dialect (or would lose something under
        ``x-bf-strict``), ConfigurationMissing where an address is lacking.
        """
        ...

    def decode_plain(self, body: bytes, facts: AnswerFacts) -> PlainAnswer:
        """A whole 2xx body, as the caller is to see it. Raises UpstreamError if it is not what was asked for."""
        ...

    def answers_in_bytes(
        self, operation: Operation, content_type: bytes, *, stream: bool = False
    ) -> bool:
        """Whether a 2xx answer of this type is no JSON but something to be relayed as it comes: sound, text, a file.

        ``stream``: events were asked for, which some make of sound.
        """
        ...

    def stream_decoder(self, facts: AnswerFacts) -> StreamDecoder:
        """A fresh push machine for one streamed answer."""
        ...

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
        """The refusal in ``body``, classified, with the key's value scrubbed out of its texts.

        ``now_unix_s`` is for dates in ``retry-after``; without it the answer's own ``date`` serves. ``raw`` attaches
        the body as ``raw_response``, as the provider's own setting does.
        """
        ...

    def rate_hint(self, headers: Headers, now_unix_s: float) -> RateHint:
        """What the headers say of limits; garbage is ignored."""
        ...

    def decode_models(self, body: bytes) -> tuple[dict[str, object], ...]:
        """The provider's model list: one mapping a model, its ``id`` as the provider spells it."""
        ...
