"""A value that cannot be printed."""

from __future__ import annotations

import hmac
from typing import NoReturn

__all__ = ["AwsCredentials", "Secret", "Token"]


class Secret:
    """A credential. Its text leaves only through ``reveal()``; printing, formatting and pickling show stars.

    ``reference`` is the ``env.NAME`` it came from, if it did: what is written back instead of the value.
    An empty secret is false.
    """

    __slots__ = ("_value", "reference")

    def __init__(self, value: str, *, reference: str | None = None) -> None:
        self._value = value
        self.reference = reference

    def reveal(self) -> str:
        """The text itself. Call it only where it goes on a wire or into a hash."""
        return self._value

    def redacted(self) -> str:
        """For display: empty stays empty, up to 8 characters become stars, longer ones keep 4 at each end."""
        if len(self._value) <= 8:
            return "*" * len(self._value)
        return f"{self._value[:4]}{'*' * 24}{self._value[-4:]}"

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode()) and (
            self.reference == other.reference
        )

    def __hash__(self) -> int:
        return hash((Secret, self._value, self.reference))

    def __repr__(self) -> str:
        return "Secret('***')"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return format("***", spec)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled")


class Token(Secret):
    """A short-lived credential: it goes upstream as a bearer, whatever header the provider has for its keys.

    ``AwsCredentials`` do not: they sign.
    """

    __slots__ = ()


class AwsCredentials(Token):
    """What requests to AWS are signed with; ``session_token`` is empty where they are for good.

    Its text is all three, a line each, and is never sent: no header can hold it.
    """

    __slots__ = ()

    def __init__(self, access_key_id: str, secret_access_key: str, session_token: str = "") -> None:
        super().__init__("\n".join((access_key_id, secret_access_key, session_token)))

    @property
    def access_key_id(self) -> str:
        return self._value.split("\n", 2)[0]

    @property
    def secret_access_key(self) -> str:
        return self._value.split("\n", 2)[1]

    @property
    def session_token(self) -> str:
        return self._value.split("\n", 2)[2]
