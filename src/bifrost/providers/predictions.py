"""Predictions of Replicate's after they were begun: asked for until they are done, or read as a stream.

Sources: Replicate HTTP API reference, "Get a prediction" and "Cancel a prediction"; Replicate, "Streaming output", 2026-11.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import attrs

from bifrost.codecs import json
from bifrost.dialects.replicate_answer import RUNNING
from bifrost.dialects.replicate_stream import as_stream
from bifrost.providers.base import Ask, Headers, Told, UpstreamRequest
from bifrost.providers.further import elsewhere, further, shared_lines
from bifrost.providers.place import Place, place_of

if TYPE_CHECKING:
    from bifrost.providers.base import Origin
    from bifrost.schema.call import Call

__all__ = ["Prediction"]

POLLS_S = (0.25, 0.5, 0.5, 1.0, 1.0)
"""Between the first requests for what has come of it; after them ``POLL_S``."""

POLL_S = 2.0

MAX_FAILURES = 5
"""Requests in a row that may fail without the prediction being given up."""

HOSTS = ".replicate.com"
"""Streams are on hosts of their own below it. A key is sent to no others but the base's."""

ID = re.compile(r"[A-Za-z0-9]{1,128}")


@attrs.frozen(kw_only=True)
class Prediction:
    """What comes after the request that begins a prediction, and after each that asks for it. Implements ``FollowUp``."""

    base: Place
    lines: Headers = attrs.field(repr=False)
    """Those of all its requests, the credential among them."""
    stream: bool
    begins: bool = True
    asked: int = 0
    failed: int = 0
    id: str = ""
    """Known once it has begun."""

    @classmethod
    def of(cls, call: Call, request: UpstreamRequest, base: Place) -> Prediction:
        return cls(base=base, lines=shared_lines(request), stream=call.stream)

    def next(self, status: int, body: bytes) -> Ask | Told | None:
        """Ask again while it runs; a stream is read where there is one."""
        if not 200 <= status < 300:
            return self._again_after(status)
        value = _object(body)
        match value:
            case {"status": str(state), "id": str(name)} if state in RUNNING and ID.fullmatch(name):
                return self._while_running(name, value)
            case {**members} if self.stream and members:
                return Told(body=as_stream(body), content_type=b"text/event-stream")
            case _:
                return None

    def _while_running(self, name: str, value: dict[str, Any]) -> Ask:
        match value:
            case {"urls": {"stream": str(url)}} if self.stream:
                request = self._streamed(url)
            case _:
                request = None
        if request is None:
            return self._poll(name)
        return Ask(request=request, call_off=self._cancel(name))

    def _again_after(self, status: int) -> Ask | None:
        """A prediction goes on, whatever became of one request that asked for it."""
        if not self.id or self.failed >= MAX_FAILURES or (status < 500 and status != 429):
            return None
        return self._poll(self.id, self.failed + 1)

    def _poll(self, name: str, failed: int = 0) -> Ask:
        after_s = POLLS_S[self.asked] if self.asked < len(POLLS_S) else POLL_S
        then = attrs.evolve(self, id=name, begins=False, asked=self.asked + 1, failed=failed)
        request = attrs.evolve(self._request(b"GET", f"/{name}"), follow_up=then)
        return Ask(request=request, after_s=after_s, call_off=self._cancel(name))

    def _cancel(self, name: str) -> UpstreamRequest:
        return self._request(b"POST", f"/{name}/cancel")

    def _request(self, method: bytes, tail: str) -> UpstreamRequest:
        place = self.base.at(f"/v1/predictions{tail}")
        return further(method, place, self.lines, b"application/json")

    def _streamed(self, url: str) -> UpstreamRequest | None:
        """The stream at ``url``, if that is an address."""
        try:
            place = place_of(url)
            if self._is_trusted(place.origin):
                return further(b"GET", place, self.lines, b"text/event-stream")
            # Such an address lets in whoever knows it: the key stays here.
            return elsewhere(place, self.lines, b"text/event-stream")
        except ValueError:
            return None

    def _is_trusted(self, origin: Origin) -> bool:
        is_replicates = origin.scheme == "https" and origin.host.endswith(HOSTS)
        return is_replicates or origin == self.base.origin


def _object(body: bytes) -> dict[str, Any]:
    """What ``body`` is, if that is an object; what it is not is for others to say."""
    try:
        value = json.loads(body)
    except json.InvalidJSON:
        return {}
    return value if isinstance(value, dict) else {}
