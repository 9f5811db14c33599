"""What an adapter needs for requests that go on as they came: an address and the lines that prove who asks.

An adapter that has them says ``True`` to ``supports(Operation.RELAY)`` and hands a call with a ``relay`` to
``relayed_request``; a ``Foreign`` one needs no more than ``relay_place`` in its row. All else is done by others: ``integrations.passthrough`` has taken off what the provider is not to see,
``actors.attempt`` hands the answer on without asking the adapter, whatever its status. Refusals are shown to
``Adapter.decode_error`` all the same, for pool and record; the caller sees them as they came.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

import attrs

from bifrost.errors import UnsupportedOperation
from bifrost.providers.base import UpstreamRequest
from bifrost.providers.request_headers import Accept

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bifrost.config.settings import KeySettings
    from bifrost.providers.base import Headers
    from bifrost.providers.place import Address, Place
    from bifrost.providers.request_headers import HeaderPlan
    from bifrost.schema.call import Call, Relay

__all__ = ["RelayPlace", "relayed_below", "relayed_place", "relayed_request", "verbatim_only"]

_VERSION_AT_END = re.compile(r"/v\d[a-z0-9]*$")
_VERSIONED = re.compile(r"/(?:upload/|download/)?v\d[a-z0-9]*(?:/|$)")
"""Google's uploads and downloads have the version behind a word of their own."""


class RelayPlace(Protocol):
    """Says where a request goes that is passed through."""

    def __call__(self, base: Place, relay: Relay, key: KeySettings) -> Place:
        """The place at ``base``, or wherever ``key`` has its own. Raises ConfigurationMissing."""
        ...


def relayed_below(version: str) -> RelayPlace:
    """For a provider whose base is the same for all keys; ``version`` is as of ``relayed_place``."""

    def place(base: Place, relay: Relay, key: KeySettings) -> Place:  # noqa: ARG001  others go by it
        return relayed_place(base, relay.path, relay.query, version=version)

    return place


def relayed_place(base: Place, path: str, query: str, *, version: str = "") -> Place:
    """Where a relayed request goes below ``base``, whose API's version the caller's own replaces.

    ``path`` begins with a slash; it and ``query`` are encoded. ``version`` (``"v1beta"``) goes in front where neither has one.
    """
    own = _VERSION_AT_END.search(base.path)
    if _VERSIONED.match(path) is None:
        prefix = "" if own or not version else f"/{version}"
        return base.at(prefix + path).asking(query)
    root = base if own is None else attrs.evolve(base, path=base.path[: own.start()])
    return root.at(path).asking(query)


def relayed_request(
    call: Call,
    relay: Relay,
    address: Address,
    plans: Mapping[Accept, HeaderPlan],
    *,
    credentials: Headers,
    defaults: Headers = (),
) -> UpstreamRequest:
    """``relay`` (that of ``call``) to ``address``.

    ``credentials`` are the key's lines, which nobody else's stand beside; ``defaults`` lines that are added where neither
    caller nor operator has one of the name (``anthropic-version``). Raises BadRequest for a header that cannot be sent.
    """
    plan = plans[Accept.EVENTS if call.stream else Accept.ANYTHING]
    lines = plan.lines(address.host, call.caller.extra_headers, None, relay.content_type)
    proving = {name for name, _ in credentials}
    told = tuple(line for line in lines if line[0] not in proving)
    names = {name for name, _ in told}
    return UpstreamRequest(
        method=relay.method.encode("ascii"),
        origin=address.origin,
        target=address.target,
        headers=(*told, *(line for line in defaults if line[0] not in names), *credentials),
        body=relay.body,
    )


def verbatim_only(call: Call, provider: str) -> Relay:
    """The relay of ``call``, for an adapter whose provider does not speak OpenAI's dialect.

    Raises UnsupportedOperation unless it came by a passthrough route: what is relayed of ``/openai`` means nothing there.
    """
    if call.relay is None or not call.relay.verbatim:
        text = f"{call.request_type} is not supported by {provider} provider"
        raise UnsupportedOperation(text)
    return call.relay
