"""Requests after the first: what they share with it, and what goes to addresses that an upstream named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from bifrost.providers.base import Ask, UpstreamRequest
from bifrost.providers.place import Place, address_of

if TYPE_CHECKING:
    from bifrost.providers.base import Headers

__all__ = ["Unversioned", "elsewhere", "further", "shared_lines"]

OF_ONE = frozenset({b"host", b"content-type", b"prefer", b"accept"})
"""Lines that say something of one request only."""

ANYBODYS = frozenset({b"accept-encoding", b"user-agent"})
"""Lines that may be sent to whomever."""

NOT_THERE = frozenset({404, 405, 501})


@attrs.frozen
class Unversioned:
    """Sends the same request to its path without the version, where nothing is at that. Implements ``FollowUp``."""

    _first: UpstreamRequest
    begins: bool = attrs.field(default=False, init=False)

    def next(self, status: int, body: bytes) -> Ask | None:  # noqa: ARG002  others judge by it
        if status not in NOT_THERE:
            return None
        head, _, tail = self._first.target.rpartition(b"/v1/")
        return Ask(request=attrs.evolve(self._first, target=b"%b/%b" % (head, tail)))


def shared_lines(first: UpstreamRequest) -> Headers:
    """What ``first`` has in common with requests after it, the credential among it."""
    return tuple(line for line in first.headers if line[0] not in OF_ONE)


def further(method: bytes, place: Place, lines: Headers, accept: bytes) -> UpstreamRequest:
    """A request without a body. Raises ValueError if the place's host is no name."""
    address = address_of(place)
    return UpstreamRequest(
        method=method,
        origin=address.origin,
        target=address.target,
        headers=((b"host", address.host), *lines, (b"accept", accept)),
    )


def elsewhere(place: Place, lines: Headers, accept: bytes) -> UpstreamRequest:
    """The same by GET to a place that an upstream named: without a credential, and not into a private network."""
    public = attrs.evolve(place, origin=attrs.evolve(place.origin, public_only=True))
    return further(b"GET", public, tuple(line for line in lines if line[0] in ANYBODYS), accept)
