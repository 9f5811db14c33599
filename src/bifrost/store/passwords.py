"""Passwords of administrators: argon2id hashes, in the form that says how they were made.

Parameters: argon2-cffi's own, RFC 9106's second recommendation (3 passes, 64 MiB, 4 lanes). A hash takes a core for some
50 ms and 64 MiB, so it is not made in the event loop's thread, and few at a time.
"""

from __future__ import annotations

import argon2

__all__ = ["MAX_PASSWORD_BYTES", "ArgonPasswords", "hash_password", "is_hash", "verify_password"]

MAX_PASSWORD_BYTES = 1024

_HASHER = argon2.PasswordHasher()


def hash_password(password: str) -> str:
    """The hash to write into the configuration. Blocks."""
    return _HASHER.hash(password)


def is_hash(text: str) -> bool:
    """Whether ``text`` is an argon2id hash already."""
    try:
        return argon2.extract_parameters(text).type is argon2.Type.ID
    except argon2.exceptions.InvalidHashError:
        return False


def verify_password(hashed: str, password: str) -> bool:
    """Whether ``hashed`` is of ``password``. Blocks; takes as long for a wrong one as for the right one."""
    try:
        return _HASHER.verify(hashed, password)
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False


class ArgonPasswords:
    """The same as ``config.merge`` asks for it."""

    def hash(self, password: str) -> str:
        """``password`` as it is kept; a hash stays one."""
        return password if is_hash(password) else hash_password(password)

    def fits(self, hashed: str, password: str) -> bool:
        """Whether ``password``, or the hash of one, is what is kept."""
        return hashed == password or verify_password(hashed, password)
