"""Who may use the management API: the administrator's password, sessions, and a brake on guessing.

Passwords are compared in constant time and, where a hash is kept, by argon2id in a thread, two at a time. What was found good
once is remembered by a keyed digest, so that a client with basic auth does not cost a hash a request.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

import argon2
import attrs
import trio

from bifrost.config.governance_section import AuthSection
from bifrost.errors import Denial, Overloaded, Unauthorized
from bifrost.store.base import StoreError

if TYPE_CHECKING:
    from bifrost.config.secret import Secret

__all__ = ["COOKIE", "SESSION_S", "Brake", "Login", "SessionStore", "credentials_of"]

COOKIE = "token"

SESSION_S = 30 * 86400.0

MAX_CREDENTIAL = 1024
"""Bytes of a user's name and password, or of a session's token; longer ones are nobody's."""

HASHES_AT_A_TIME = 2
HASHES_WAITING = 16

LOOKUPS_AT_A_TIME = 32
"""Of sessions in the store. Whoever makes tokens up must not be able to keep it from everybody else."""

REMEMBERED = 256
"""Credentials that were found good, and sessions."""

HASH_PREFIX = "$argon2id$"


class SessionStore(Protocol):
    """Where sessions are kept. Raises StoreError."""

    async def add_session(self, token_hash: str, expires_unix_s: float, now_s: float) -> None: ...

    async def find_session(self, token_hash: str, now_s: float) -> float | None: ...

    async def end_session(self, token_hash: str) -> None: ...

    async def end_all_sessions(self) -> None: ...


@attrs.define(eq=False)
class Brake:
    """Slows down who guesses: after ``free`` failures in a row each one more doubles the wait, up to ``max_s``.

    Kept for each address, the ``most`` latest ones. Times are on trio's clock.
    """

    free: int = 5
    max_s: float = 300.0
    most: int = 10_000
    _failed: OrderedDict[str, tuple[int, float]] = attrs.field(factory=OrderedDict, init=False)

    def wait_s(self, address: str, now_s: float) -> float:
        """Seconds until ``address`` may try again; 0.0 for now."""
        _, until_s = self._failed.get(address, (0, 0.0))
        return max(0.0, until_s - now_s)

    def failed(self, address: str, now_s: float) -> None:
        """Note a wrong password."""
        times = self._failed.pop(address, (0, 0.0))[0] + 1
        over = times - self.free
        wait_s = 0.0 if over < 0 else min(2.0 ** min(over, 30), self.max_s)
        self._failed[address] = (times, now_s + wait_s)
        if len(self._failed) > self.most:
            self._failed.popitem(last=False)

    def passed(self, address: str) -> None:
        """Note a right one: what was before is forgotten."""
        self._failed.pop(address, None)


@attrs.define(eq=False)
class Login:
    """Answers whether credentials are good. ``auth`` is replaced by ``change``; without one nobody can log in.

    ``new_token`` makes a session's token, 32 random bytes in hexadecimal; ``pepper`` is random and known to this process only.
    """

    auth: AuthSection | None
    sessions: SessionStore | None
    wall: Callable[[], float]
    new_token: Callable[[], str]
    pepper: bytes = attrs.field(repr=False)
    brake: Brake = attrs.field(factory=Brake)
    _good: OrderedDict[bytes, None] = attrs.field(factory=OrderedDict, init=False)
    _known: OrderedDict[str, float] = attrs.field(factory=OrderedDict, init=False)
    """Sessions seen lately, with their ends: the store need not be asked again, nor be there."""
    _hashing: trio.CapacityLimiter = attrs.field(init=False)
    _looking: int = attrs.field(default=0, init=False)
    """Lookups under way."""

    def __attrs_post_init__(self) -> None:
        self._hashing = trio.CapacityLimiter(HASHES_AT_A_TIME)

    @property
    def is_enabled(self) -> bool:
        return self.auth is not None and self.auth.is_enabled

    @property
    def guards_inference(self) -> bool:
        return self.is_enabled and not (self.auth and self.auth.disable_auth_on_inference)

    async def change(self, auth: AuthSection | None) -> None:
        """Go by ``auth`` from now on. If who may log in is another, all sessions end. Raises StoreError."""
        former, self.auth = self.auth, auth
        if former == auth:
            return
        self._good.clear()
        self._known.clear()
        if self.sessions is not None and former is not None:
            await self.sessions.end_all_sessions()

    async def begin(self, username: str, password: str, address: str) -> str:
        """Log in; the new session's token.

        Raises Unauthorized for wrong credentials, Denial (429) for who has guessed too often or (403) where there is no login,
        StoreError.
        """
        if not self.is_enabled or self.sessions is None:
            raise Denial("Authentication is not enabled", kind="authentication_disabled")
        if not await self._is_password(username, password, address):
            raise Unauthorized("Invalid username or password")
        token, now_s = self.new_token(), self.wall()
        digest = self._digest_of(token)
        await self.sessions.add_session(digest, now_s + SESSION_S, now_s)
        self._remember(digest, now_s + SESSION_S)
        return token

    async def end(self, token: str) -> None:
        """Log out. Raises StoreError."""
        digest = self._digest_of(token)
        self._known.pop(digest, None)
        if self.sessions is not None:
            await self.sessions.end_session(digest)

    async def accepts(self, headers: Mapping[bytes, bytes], address: str) -> bool:
        """Whether one of the request's credentials is good.

        Raises Denial (429) for who has guessed too often, Overloaded.
        """
        for token, pair in credentials_of(headers):
            if token is not None and await self.is_session(token):
                return True
            if pair is not None and await self._is_password(*pair, address):
                return True
        return False

    async def is_session(self, token: str) -> bool:
        """Whether ``token`` is that of a session which has not ended. Raises Overloaded if too many ask at once."""
        if not 0 < len(token) <= MAX_CREDENTIAL:
            return False
        digest, now_s = self._digest_of(token), self.wall()
        if (until_s := self._known.get(digest)) is not None:
            return now_s < until_s
        until = None if self.sessions is None else await self._find(self.sessions, digest, now_s)
        if until is None:
            return False
        self._remember(digest, until)
        return True

    async def _find(self, sessions: SessionStore, digest: str, now_s: float) -> float | None:
        if self._looking >= LOOKUPS_AT_A_TIME:
            raise Overloaded("too many logins at once", retry_after_s=1.0)
        self._looking += 1
        try:
            return await sessions.find_session(digest, now_s)
        except StoreError:
            # Who is not known from before has to wait for the store; nobody is let in for its being away.
            return None
        finally:
            self._looking -= 1

    async def _is_password(self, username: str, password: str, address: str) -> bool:
        now_s = trio.current_time()
        if (wait_s := self.brake.wait_s(address, now_s)) > 0:
            text = "too many failed logins"
            raise Denial(text, kind="login_limited", status=429, retry_after_s=wait_s)
        if await self._matches(username, password):
            self.brake.passed(address)
            return True
        self.brake.failed(address, now_s)
        return False

    async def _matches(self, username: str, password: str) -> bool:
        auth = self.auth
        if auth is None or not auth.is_enabled or not auth.admin_password:
            return False
        pair = f"{username}\0{password}".encode()
        if len(pair) > MAX_CREDENTIAL:
            return False
        mark = hmac.digest(self.pepper, pair, "sha256")
        if mark in self._good:
            return True
        is_name = hmac.compare_digest(username.encode(), auth.admin_username.encode())
        # The password is looked at whatever the name is: how long it takes shall not tell whether that was right.
        is_password = await self._verify(auth.admin_password, password)
        # It takes its time, and who may log in may be another by then.
        if not (is_name and is_password) or self.auth is not auth:
            return False
        self._good[mark] = None
        if len(self._good) > REMEMBERED:
            self._good.popitem(last=False)
        return True

    async def _verify(self, kept: Secret, password: str) -> bool:
        secret = kept.reveal()
        if not secret.startswith(HASH_PREFIX):
            return hmac.compare_digest(_digest(secret), _digest(password))
        if self._hashing.statistics().tasks_waiting >= HASHES_WAITING:
            raise Overloaded("too many logins at once", retry_after_s=1.0)
        return await trio.to_thread.run_sync(_verify, secret, password, limiter=self._hashing)

    def _digest_of(self, token: str) -> str:
        """What a session is kept by. With another password it is another, so whatever comes between, none outlives its own."""
        auth, password = self.auth, ""
        if auth is not None and auth.admin_password:
            password = auth.admin_password.reveal()
        owner = _digest(f"{auth.admin_username if auth else ''}\0{password}")
        return hmac.digest(owner.encode(), token.encode(), "sha256").hex()

    def _remember(self, digest: str, until_s: float) -> None:
        self._known[digest] = until_s
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)


def _verify(hashed: str, password: str) -> bool:
    try:
        return argon2.PasswordHasher().verify(hashed, password)
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


Credential = tuple[str | None, tuple[str, str] | None]


def credentials_of(headers: Mapping[bytes, bytes]) -> list[Credential]:
    """What may be a session's token, or a user's name and password, in the order in which they are tried.

    The cookie ``token``; ``Authorization: Bearer``, a token or (as older clients have it) name and password in base64;
    ``Authorization: Basic``.
    """
    found: list[Credential] = []
    if token := _cookie(headers.get(b"cookie", b"")):
        found.append((token, None))
    scheme, _, value = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    value = value.strip()
    match scheme.lower():
        case "bearer" if value:
            found.append((value, _pair(value)))
        case "basic":
            found.append((None, _pair(value)))
        case _:
            # Another scheme is none of ours, and an upstream's key no session.
            pass
    return found


def _cookie(header: bytes) -> str | None:
    for part in header.decode("latin-1").split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE:
            return value
    return None


def _pair(value: str) -> tuple[str, str] | None:
    """Name and password out of base64; ``None`` if they are not in it."""
    if len(value) > 2 * MAX_CREDENTIAL:
        return None
    try:
        text = base64.b64decode(value, validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    name, colon, password = text.partition(":")
    return (name, password) if colon else None
