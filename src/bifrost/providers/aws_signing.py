"""AWS's signatures (SigV4): who asks is proven by a hash over the request, its time and a secret. Pure.

Our own, and not botocore's, because that one reads the clock by itself and brings its HTTP client and 30 MB of service
descriptions for what is a few hashes; the tests hold it against botocore and against the vectors that AWS publishes.

Sources: AWS, "Create a signed AWS API request" and "Signature Version 4 test suite" (2026); Amazon S3, "Authenticating
requests", for what is different there.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_to_bytes

import attrs

from bifrost.config.secret import AwsCredentials
from bifrost.errors import ConfigurationMissing, UnsupportedOperation
from bifrost.policy.token_sources import AWS_REGION, aws_pair
from bifrost.providers.request_headers import header_line

if TYPE_CHECKING:
    from bifrost.config.settings import KeySettings
    from bifrost.providers.base import Headers, UpstreamRequest

__all__ = ["Signer", "authorization", "authorized", "credentials_of", "signed"]

ALGORITHM = "AWS4-HMAC-SHA256"

UNRESERVED = "-_.~"

UNSIGNED = b"UNSIGNED-PAYLOAD"
"""What S3 takes for the hash of a body that is not read beforehand."""

OWN = frozenset({b"authorization", b"x-amz-date", b"x-amz-content-sha256", b"x-amz-security-token"})
"""Set here; what a request has of them already is left out."""

BLOCKED = frozenset({b"x-amzn-trace-id"})
"""Begins like a header of AWS, and is changed on the way."""


def authorized(
    request: UpstreamRequest, key: KeySettings, *, region: str = "", service: str = "bedrock"
) -> UpstreamRequest:
    """``request`` with the credential of ``key``: a bearer for a plain value, else a signature put on when it is sent.

    ``region`` is the key's own where it is not given. Raises ConfigurationMissing if the key has no credential, or one
    that no header may hold.
    """
    credentials = credentials_of(key)
    if credentials is not None:
        region = region or (key.bedrock.region if key.bedrock is not None else "") or AWS_REGION
        return attrs.evolve(request, sign=Signer(credentials, region=region, service=service))
    value = key.value.reveal().strip()
    if not value:
        raise ConfigurationMissing(
            f'key "{key.name}" has no credential: its value, or access_key and secret_key of its bedrock_key_config'
        )
    try:
        line = header_line("authorization", f"Bearer {value}")
    except ValueError:
        # Not chained: the codec's own error would hold the key.
        raise ConfigurationMissing(
            f'key "{key.name}" holds characters that no header may hold'
        ) from None
    others = (each for each in request.headers if each[0] != b"authorization")
    return attrs.evolve(request, headers=(*others, line))


def credentials_of(key: KeySettings) -> AwsCredentials | None:
    """What ``key`` signs with: credentials it was lent with, or its own; ``None`` if it does not sign.

    It is also what is to be scrubbed out of errors. A plain value comes before the key's own pair.
    """
    if isinstance(key.value, AwsCredentials):
        return key.value
    if key.value.reveal().strip() or key.bedrock is None:
        return None
    return aws_pair(key.bedrock)


@attrs.frozen
class Signer:
    """Signs with one set of credentials, for one service of one region. A ``Sign`` for ``UpstreamRequest.sign``."""

    credentials: AwsCredentials
    region: str = attrs.field(kw_only=True)
    service: str = attrs.field(kw_only=True)

    def __call__(self, request: UpstreamRequest, now_unix_s: float) -> UpstreamRequest:
        return signed(
            request,
            self.credentials,
            region=self.region,
            service=self.service,
            now_unix_s=now_unix_s,
        )


def signed(
    request: UpstreamRequest,
    credentials: AwsCredentials,
    *,
    region: str,
    service: str,
    now_unix_s: float,
) -> UpstreamRequest:
    """``request`` with its signature, good for some minutes from ``now_unix_s``.

    Signed are method, target, body, ``host``, ``content-type`` and all ``x-amz-…``: what nobody on the way has a reason to
    change. Raises UnsupportedOperation for a body that is not in memory, save at S3, and ConfigurationMissing for
    credentials that no header may hold.
    """
    stamp = datetime.fromtimestamp(now_unix_s, UTC).strftime("%Y%m%dT%H%M%SZ")
    payload_hash = _payload_hash(request, service)
    lines: Headers = (
        *(line for line in request.headers if line[0] not in OWN),
        (b"x-amz-date", stamp.encode("ascii")),
        (b"x-amz-content-sha256", payload_hash),
        *_session(credentials),
    )
    value = authorization(
        request.method,
        request.target,
        tuple(line for line in lines if _is_signed(line[0])),
        payload_hash,
        credentials,
        region=region,
        service=service,
        stamp=stamp,
    )
    headers = (*lines, (b"authorization", value.encode("latin-1")))
    return attrs.evolve(request, headers=headers, sign=None)


def _payload_hash(request: UpstreamRequest, service: str) -> bytes:
    if isinstance(request.body, bytes):
        return hashlib.sha256(request.body).hexdigest().encode("ascii")
    if service == "s3":
        return UNSIGNED
    raise UnsupportedOperation("a body that is not JSON cannot be signed for AWS")


def _session(credentials: AwsCredentials) -> Headers:
    try:
        # The id is not sent in a line of its own, but has to be fit for the one it goes into.
        header_line("authorization", credentials.access_key_id)
        token = credentials.session_token
        return (header_line("x-amz-security-token", token),) if token else ()
    except ValueError:
        raise ConfigurationMissing(
            "credentials of AWS hold characters that no header may hold"
        ) from None


def _is_signed(name: bytes) -> bool:
    if name in {b"host", b"content-type"}:
        return True
    return name.startswith(b"x-amz") and name not in BLOCKED


def authorization(
    method: bytes,
    target: bytes,
    headers: Headers,
    payload_hash: bytes,
    credentials: AwsCredentials,
    *,
    region: str,
    service: str,
    stamp: str,
) -> str:
    """The value of ``authorization`` for a request whose signed headers are ``headers``.

    ``target`` is as it is sent, encoded; ``stamp`` is the time as ``x-amz-date`` has it.
    """
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    names, canonical = _canonical_headers(headers)
    path, _, query = target.decode("utf-8").partition("?")
    asked = "\n".join(
        (
            method.decode("ascii"),
            path or "/" if service == "s3" else quote(_normal(path), safe="/" + UNRESERVED),
            _canonical_query(query),
            canonical,
            names,
            payload_hash.decode("ascii"),
        )
    )
    digest = hashlib.sha256(asked.encode("latin-1")).hexdigest()
    text = "\n".join((ALGORITHM, stamp, scope, digest))
    key = f"AWS4{credentials.secret_access_key}".encode()
    for part in (*scope.split("/"), text):
        key = hmac.digest(key, part.encode("utf-8"), "sha256")
    return (
        f"{ALGORITHM} Credential={credentials.access_key_id}/{scope},"
        f" SignedHeaders={names}, Signature={key.hex()}"
    )


def _canonical_headers(headers: Headers) -> tuple[str, str]:
    """Names, joined; and the lines. Values of one name are joined in their order, runs of spaces in them are one."""
    merged: dict[str, list[str]] = {}
    for name, value in headers:
        text = " ".join(value.decode("latin-1").split())
        merged.setdefault(name.decode("ascii"), []).append(text)
    names = sorted(merged)
    return ";".join(names), "".join(f"{name}:{','.join(merged[name])}\n" for name in names)


def _canonical_query(query: str) -> str:
    if not query:
        return ""
    pairs = (pair.partition("=") for pair in query.split("&") if pair)
    return "&".join(
        f"{name}={value}"
        for name, value in sorted((_encoded(name), _encoded(value)) for name, _, value in pairs)
    )


def _encoded(text: str) -> str:
    """Encoded in the one way that counts, however it was before."""
    return quote(unquote_to_bytes(text), safe=UNRESERVED)


def _normal(path: str) -> str:
    """``path`` without empty segments, ``.`` and ``..``, as everybody but S3 reads it."""
    segments: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del segments[-1:]
        elif segment and segment != ".":
            segments.append(segment)
    tail = "/" if segments and path.endswith(("/", "/.", "/..")) else ""
    return f"/{'/'.join(segments)}{tail}"
