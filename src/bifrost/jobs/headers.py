"""Which of a caller's headers a job takes along, and which of those may be written down."""

from __future__ import annotations

import re

import attrs

from bifrost.config.secret import Secret
from bifrost.integrations.headers import (
    CREDENTIALS,
    OURS,
    VIRTUAL_KEY_PREFIX,
    HeaderLines,
    HeaderRules,
)

__all__ = ["Kept", "sift"]

DROPPED = frozenset([
    # Whose it is says ``virtual_key_id``.
    b"x-bf-vk",
    # The submission's own: the job is not to be submitted again.
    b"x-bf-async", b"x-bf-async-id", b"x-bf-async-job-result-ttl",
    # Of the connection and of the body as it came; the body is unpacked by now.
    b"connection", b"content-encoding", b"content-length", b"expect", b"host", b"keep-alive", b"te", b"trailer",
    b"transfer-encoding", b"upgrade",
    # Nobody upstream ever gets these.
    b"cookie", b"set-cookie",
])  # fmt: skip

PLAIN = frozenset([b"x-bf-api-key", b"x-bf-api-key-id"])
"""Names of stored keys, not keys."""

SECRET = re.compile(
    rb"auth(?!or(?!iz))|api[-_]?key|password|secret|token|credential|signature|session-?key|access[-_]?key"
)
"""Names of lines that are forwarded for somebody who asked for it, and had better not be written down."""


@attrs.frozen
class Kept:
    """``headers`` for the store, ``secrets`` for the memory."""

    headers: HeaderLines
    secrets: tuple[tuple[bytes, Secret], ...]


def sift(lines: HeaderLines, rules: HeaderRules) -> Kept:
    """Part a request's header lines, names in lower case. Read again by ``rules`` they say the same but for virtual keys.

    Read them without ``rules.required``: what was required was there when the job was handed in.
    """
    kept: list[tuple[bytes, bytes]] = []
    secrets: list[tuple[bytes, Secret]] = []
    for name, value in lines:
        if name in DROPPED or name.startswith(b"proxy-"):
            continue
        if not _is_secret(name):
            kept.append((name, value))
        elif _is_read(name, value, rules):
            secrets.append((name, Secret(value.decode("latin-1"))))
    return Kept(tuple(kept), tuple(secrets))


def _is_secret(name: bytes) -> bool:
    return name not in PLAIN and SECRET.search(name) is not None


def _is_read(name: bytes, value: bytes, rules: HeaderRules) -> bool:
    """Whether a line that is secret says anything to the gateway."""
    if name in CREDENTIALS:
        return rules.allow_direct_keys and not _is_virtual(value)
    return name.startswith(OURS) or rules.forwarding.takes_plain or name in rules.logged


def _is_virtual(value: bytes) -> bool:
    text = value.decode("latin-1").strip()
    scheme, _, token = text.partition(" ")
    key = token.strip() if scheme.lower() == "bearer" else text
    return key.lower().startswith(VIRTUAL_KEY_PREFIX)
