"""Uploads that take several requests: with which key each was begun, and what its later requests have to say."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import attrs

from bifrost.schema.call import Caller

__all__ = ["EXPIRES_S", "SESSIONS_MAX", "UploadSession", "UploadSessions"]

SESSIONS_MAX: Final = 10_000
"""Uploads remembered; the one longest unused is forgotten."""

EXPIRES_S: Final = 3600.0
"""Since its last request."""


@attrs.frozen(kw_only=True)
class UploadSession:
    """One upload. Whoever has its token may go on with it, since later requests bring no key of their own."""

    provider: str
    caller: Caller
    """Who began it, held to the key that it was begun with."""
    path: str
    """The upstream's, with ``query``: encoded, and without credentials."""
    query: str = attrs.field(repr=False)


@attrs.define(eq=False)
class UploadSessions:
    """A bounded memory by tokens that nobody can guess. Times are on the caller's clock."""

    limit: int = SESSIONS_MAX
    expires_s: float = EXPIRES_S
    _sessions: OrderedDict[str, tuple[UploadSession, float]] = attrs.field(
        factory=OrderedDict, init=False, repr=False
    )
    """With when each expires; the one used last stands last, and so the one that expires first stands first."""

    def __len__(self) -> int:
        return len(self._sessions)

    def begin(self, token: str, session: UploadSession, now_s: float) -> None:
        """Remember ``session``; those whose time is over are forgotten, and of too many the one longest unused."""
        self._sessions[token] = (session, now_s + self.expires_s)
        while self._is_first_over(now_s) or len(self._sessions) > self.limit:
            self._sessions.popitem(last=False)

    def find(self, token: str, now_s: float) -> UploadSession | None:
        """The session of ``token``, which is used by that; ``None`` if it is not known, or not any more."""
        session, expires_s = self._sessions.pop(token, (None, now_s))
        if session is None or expires_s <= now_s:
            return None
        self._sessions[token] = (session, now_s + self.expires_s)
        return session

    def _is_first_over(self, now_s: float) -> bool:
        _, expires_s = next(iter(self._sessions.values()))
        return expires_s <= now_s
