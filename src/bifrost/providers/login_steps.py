"""A login is a conversation: it yields what it needs next, is told what came of it, and returns a ``Grant``. Pure.

Whoever drives it has the wire and the disk. A step that fails is thrown into the login, which may know another way.

    def log_in(source, here) -> Login:
        answer = yield Ask(request)
        return Grant(token=sendable(...), lifetime_s=...)
"""

from __future__ import annotations

import math
import re
from collections.abc import Generator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from urllib.parse import urlencode, urlsplit

import attrs

from bifrost.codecs import json
from bifrost.config.secret import Secret, Token
from bifrost.dialects.scrub import scrubber
from bifrost.errors import ConfigurationMissing, ErrorClass, GatewayError, UpstreamError
from bifrost.providers.base import UpstreamRequest
from bifrost.providers.place import Place, address_of, place_of
from bifrost.providers.request_headers import USER_AGENT, header_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "LIFETIME_S",
    "Answer",
    "Ask",
    "Grant",
    "Here",
    "Login",
    "Part",
    "Read",
    "Step",
    "advance",
    "asked",
    "lifetime_s",
    "members_of",
    "posted",
    "refusal",
    "seconds_until",
    "sendable",
    "text_of_file",
]

LIFETIME_S = 3600.0
"""Of a token whose answer does not tell."""

MAX_LIFETIME_S = 86400.0
MAX_TOLD = 300

VISIBLE = re.compile(r"[!-~]{1,16384}")
"""What a header can hold as one word."""

FORM = b"application/x-www-form-urlencoded"


@attrs.frozen(kw_only=True)
class Grant:
    """A token, and the seconds it is good for from when it was asked for."""

    token: Token
    lifetime_s: float


@attrs.frozen
class Ask:
    """A step over HTTP. ``is_local``: to a service of this machine, past every proxy."""

    request: UpstreamRequest
    is_local: bool = False


@attrs.frozen
class Read:
    """A step that reads a file of this machine. It is read each time, for others replace it."""

    path: str


@attrs.frozen
class Answer:
    """What came of a step, in HTTP's words: 404 is a file that is not there, 403 one that cannot be read."""

    status: int
    body: bytes = attrs.field(repr=False, default=b"")


@attrs.frozen
class Here:
    """Where and when a login takes place."""

    environ: Mapping[str, str] = attrs.field(repr=False)
    now_unix_s: float


Step = Ask | Read

T = TypeVar("T")
Part: TypeAlias = Generator[Step, Answer, T]
"""A stretch of a login that gives a ``T``, for ``yield from``. Raises ConfigurationMissing and UpstreamError."""

Login: TypeAlias = Part[Grant]


def advance(login: Login, told: Answer | GatewayError | None) -> Step | Grant:
    """What ``login`` wants next, after what the step before gave (``None`` at its beginning), or what it comes to.

    Raises GatewayError, whose text holds no secret, where it comes to nothing.
    """
    try:
        if told is None:
            return next(login)
        return login.throw(told) if isinstance(told, GatewayError) else login.send(told)
    except StopIteration as end:
        grant: Grant = end.value
        return grant


# Asking


def asked(
    url: str,
    *,
    what: str,
    method: bytes = b"GET",
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
) -> UpstreamRequest:
    """A request to ``url``, which ``what`` calls by its setting. Raises ConfigurationMissing if it cannot be sent."""
    try:
        address = address_of(_place_of(url))
        lines = tuple(header_line(name, value) for name, value in headers)
    except ValueError as error:
        # Not chained: the codec's own error would hold what is secret.
        raise ConfigurationMissing(f"{what}: {error}") from None
    return UpstreamRequest(
        method=method,
        origin=address.origin,
        target=address.target,
        headers=(
            (b"host", address.host),
            (b"accept", b"application/json"),
            (b"user-agent", USER_AGENT),
            *lines,
        ),
        body=body,
    )


def _place_of(url: str) -> Place:
    """As ``place_of``; but a slash at the end stays, for it may tell a list from its members."""
    place = place_of(url)
    is_list = bool(place.path) and urlsplit(url.strip()).path.endswith("/")
    return attrs.evolve(place, path=f"{place.path}/") if is_list else place


def posted(
    url: str,
    form: Mapping[str, str],
    *,
    what: str,
    headers: Iterable[tuple[str, str]] = (),
) -> UpstreamRequest:
    """A form to ``url``. Raises as ``asked``."""
    lines = (("content-type", FORM.decode("ascii")), *headers)
    body = urlencode(form).encode("ascii")
    return asked(url, what=what, method=b"POST", headers=lines, body=body)


# Reading


def text_of_file(path: str, *, what: str) -> Part[str | None]:
    """The text of a file; ``None`` if it is not there. Raises ConfigurationMissing if it cannot be read."""
    answer = yield Read(path)
    if answer.status == 404:
        return None
    if answer.status != 200:
        raise ConfigurationMissing(f"{what}: {path} cannot be read")
    try:
        return answer.body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigurationMissing(f"{what}: {path} is no text") from None


def members_of(body: bytes | str) -> dict[str, Any]:
    """The members of a JSON object; none for what is no such thing."""
    try:
        told = json.loads(body)
    except json.InvalidJSON:
        return {}
    return told if isinstance(told, dict) else {}


def sendable(value: object) -> Token:
    """``value`` as a token. Raises UpstreamError if it is none that a header can hold."""
    if isinstance(value, str) and VISIBLE.fullmatch(value):
        return Token(value)
    raise UpstreamError("the answer holds no token that can be sent", status=502)


def lifetime_s(value: Any) -> float:  # noqa: ANN401  a JSON value
    """Seconds, from a number or a text that holds one."""
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        return LIFETIME_S
    return min(seconds, MAX_LIFETIME_S) if math.isfinite(seconds) and seconds > 0 else LIFETIME_S


def seconds_until(value: object, now_unix_s: float) -> float:
    """Seconds to an end that is told as RFC 3339 has it. Raises UpstreamError if it is over already."""
    try:
        end = datetime.fromisoformat(str(value))
    except ValueError:
        return LIFETIME_S
    left_s = end.replace(tzinfo=end.tzinfo or UTC).timestamp() - now_unix_s
    if left_s <= 0:
        raise UpstreamError("the answer holds credentials that are over already", status=502)
    return min(left_s, MAX_LIFETIME_S)


def refusal(
    status: int, words: Sequence[object], secrets: Iterable[Secret | None] = ()
) -> UpstreamError:
    """That a step was refused, told in ``words`` without ``secrets``."""
    text = ": ".join(str(word) for word in words if word)
    text = text.partition("\n")[0].partition("\r")[0]
    for secret in secrets:
        text = scrubber(secret)(text)
    text = scrubber(None)(text)[:MAX_TOLD]
    is_ours = status in {400, 401, 403}
    return UpstreamError(
        f"no token: {status} {text}".rstrip(),
        status=status,
        error_class=ErrorClass.AUTH if is_ours else ErrorClass.SERVER,
    )
