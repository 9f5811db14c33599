"""A login played against what its steps are answered with."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import attrs

from bifrost.errors import GatewayError, NetworkError
from bifrost.providers.login_steps import Answer, Ask, Grant, Here, Read, advance
from bifrost.providers.logins import login

if TYPE_CHECKING:
    from bifrost.policy.token_sources import TokenSource

__all__ = ["NOW_S", "UNREACHABLE", "Place", "Sent", "answer"]

NOW_S = 1_800_000_000.0
UNREACHABLE = NetworkError("connection refused")


def answer(status: int = 200, /, **members: Any) -> Answer:
    """JSON."""
    return Answer(status, json.dumps(members).encode())


@attrs.frozen
class Sent:
    """A request of a login."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: str
    is_local: bool

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body, strict_parsing=True))


Reply = Answer | GatewayError


@attrs.define
class Place:
    """Where logins take place. ``replies`` are by the beginning of the URL, a file that is ``None`` cannot be read."""

    replies: Mapping[str, Reply | Callable[[Sent], Reply]] = attrs.field(factory=dict)
    files: Mapping[str, bytes | str | None] = attrs.field(factory=dict)
    environ: Mapping[str, str] = attrs.field(factory=dict)
    sent: list[Sent] = attrs.field(factory=list)

    def log_in(self, source: TokenSource) -> Grant:
        """What ``source`` gives. Raises what its login does; a URL without a reply is unreachable."""
        steps = login(source, Here(self.environ, NOW_S))
        step = advance(steps, None)
        while not isinstance(step, Grant):
            step = advance(steps, self._read(step) if isinstance(step, Read) else self._ask(step))
        return step

    def _read(self, step: Read) -> Answer:
        if step.path not in self.files:
            return Answer(404)
        data = self.files[step.path]
        if data is None:
            return Answer(403)
        return Answer(200, data.encode() if isinstance(data, str) else data)

    def _ask(self, step: Ask) -> Reply:
        request = step.request
        assert isinstance(request.body, bytes)
        headers = {name.decode(): value.decode() for name, value in request.headers}
        origin = request.origin
        sent = Sent(
            request.method.decode(),
            f"{origin.scheme}://{headers['host']}{request.target.decode()}",
            headers,
            request.body.decode(),
            step.is_local,
        )
        self.sent.append(sent)
        found = [begin for begin in self.replies if sent.url.startswith(begin)]
        if not found:
            return UNREACHABLE
        reply = self.replies[max(found, key=len)]
        return reply(sent) if callable(reply) else reply
