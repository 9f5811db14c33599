"""Secrets at rest: a configuration store whose rows have them sealed, with a key that is not in the database.

The key is derived from the operator's ``encryption_key`` by Argon2id and seals with AES-256-GCM, each text with a nonce of
its own and bound to its place, so that a sealed text cannot be put where another one stands. Rows say which key they were
sealed with; the key's name is derived too and gives nothing away that trying to open would not.
"""

from __future__ import annotations

import base64
import binascii
import os
from typing import TYPE_CHECKING

import attrs
from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bifrost.config.bodies import change_secrets, is_reference
from bifrost.config.fingerprints import Fingerprints
from bifrost.config.nouns import Noun, Put, claims
from bifrost.store.base import StoreError
from bifrost.store.config_base import ConfigStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bifrost.config.nouns import Change
    from bifrost.config.secret import Secret
    from bifrost.store.config_base import CounterRow, Loaded

__all__ = ["SealedConfigStore", "Sealer", "StoreSealed", "sealing_notices"]

SALT = b"bifrost-trio configuration store"
PASSES, MEMORY_KIB, LANES = 3, 64 * 1024, 4
"""RFC 9106, section 4, second recommendation."""
KEY_BYTES, NONCE_BYTES, NAME_BYTES = 32, 12, 6
PREFIX = "sealed:1"
SHORT_BYTES = 16
UNSEALED = (
    "encryption_key: not set, so the configuration store keeps provider keys and virtual keys in clear; "
    "set it, or BIFROST_ENCRYPTION_KEY"
)
MISSING = "the configuration store is sealed: set encryption_key or BIFROST_ENCRYPTION_KEY to the key it was sealed with"
OTHER = "the configuration store was sealed with another encryption_key (BIFROST_ENCRYPTION_KEY) than there is now"


class StoreSealed(StoreError):
    """What is in the store cannot be opened with the encryption key there is. No waiting will help."""


def sealing_notices(encryption_key: Secret | None) -> tuple[str, ...]:
    """What the operator should know of his key."""
    if not encryption_key:
        return (UNSEALED,)
    if len(encryption_key.reveal().encode()) < SHORT_BYTES:
        return (f"encryption_key: shorter than {SHORT_BYTES} bytes, so it can be guessed",)
    return ()


@attrs.frozen
class Sealer:
    """Seals and opens. ``name`` is the key's; ``fingerprints`` are made with another key, derived from the same."""

    name: str
    fingerprints: Fingerprints
    _cipher: AESGCM = attrs.field(repr=False)

    @classmethod
    def of(cls, encryption_key: Secret) -> Sealer:
        """Derive the keys. Blocks for some 100 ms, and takes 64 MiB meanwhile."""
        derived = hash_secret_raw(
            encryption_key.reveal().encode(),
            SALT,
            time_cost=PASSES,
            memory_cost=MEMORY_KIB,
            parallelism=LANES,
            hash_len=2 * KEY_BYTES + NAME_BYTES,
            type=Type.ID,
        )
        keys, name = derived[: 2 * KEY_BYTES], derived[2 * KEY_BYTES :]
        return cls(name.hex(), Fingerprints(keys[KEY_BYTES:]), AESGCM(keys[:KEY_BYTES]))

    def seal(self, text: str, place: str) -> str:
        """``text``, for nobody to read and for no other ``place``."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, text.encode(), place.encode())
        return f"{PREFIX}:{self.name}:{base64.b64encode(nonce + sealed).decode()}"

    def open(self, sealed: str, place: str) -> str:
        """What ``seal`` was given. Raises StoreSealed."""
        prefix, _, coded = sealed.rpartition(":")
        if prefix != f"{PREFIX}:{self.name}":
            raise StoreSealed(f"{place}: not sealed with this encryption key")
        try:
            data = base64.b64decode(coded, validate=True)
            text = self._cipher.decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], place.encode())
        except (InvalidTag, binascii.Error, ValueError):
            raise StoreSealed(f"{place}: the sealed text was tampered with") from None
        return text.decode()


@attrs.frozen
class SealedConfigStore:
    """A ``ConfigStore`` that keeps secrets sealed in ``inner``; without a sealer, in clear.

    What it takes and gives is plain.
    """

    inner: ConfigStore
    sealer: Sealer | None = None

    async def load(self) -> Loaded:
        """Everything, opened. Raises StoreSealed if the encryption key is missing, or is not the one."""
        loaded = await self.inner.load()
        return attrs.evolve(loaded, nouns=tuple(self._opened(noun) for noun in loaded.nouns))

    async def write(self, changes: Sequence[Change], now_s: float) -> tuple[Noun, ...]:
        sealed = [self._sealed(each) if isinstance(each, Put) else each for each in changes]
        nouns = await self.inner.write(sealed, now_s)
        puts = (each for each in changes if isinstance(each, Put))
        return tuple(
            attrs.evolve(noun, body=put.body, sealed_with=None)
            for noun, put in zip(nouns, puts, strict=True)
        )

    async def seal_rows(self, now_s: float) -> int:
        """Seal the rows that are kept in clear from before there was a key, and have no trace left of that; how many.

        Their versions change. Raises StoreSealed, and seals nothing, if another key has sealed any.
        """
        if self.sealer is None:
            return 0
        await self.load()
        plain = [noun for noun in (await self.inner.load()).nouns if noun.sealed_with is None]
        if plain:
            await self.write([_again(noun) for noun in plain], now_s)
            await self.inner.scrub()
        return len(plain)

    async def write_counters(self, counters: Mapping[str, CounterRow]) -> None:
        await self.inner.write_counters(counters)

    async def forget_counters(self, ids: Iterable[str]) -> None:
        await self.inner.forget_counters(ids)

    async def write_settings(self, settings: Mapping[str, str | None]) -> None:
        await self.inner.write_settings(settings)

    async def add_session(self, token_hash: str, expires_unix_s: float, now_s: float) -> None:
        await self.inner.add_session(token_hash, expires_unix_s, now_s)

    async def find_session(self, token_hash: str, now_s: float) -> float | None:
        return await self.inner.find_session(token_hash, now_s)

    async def end_session(self, token_hash: str) -> None:
        await self.inner.end_session(token_hash)

    async def end_all_sessions(self) -> None:
        await self.inner.end_all_sessions()

    async def scrub(self) -> None:
        await self.inner.scrub()

    def _sealed(self, put: Put) -> Put:
        sealer = self.sealer
        if sealer is None:
            return put

        def seal(path: str, text: str) -> str:
            is_plain = is_reference(text)
            return text if is_plain else sealer.seal(text, f"{put.kind} {put.id}: {path}")

        body = change_secrets(put.kind, put.body, seal)
        return attrs.evolve(put, body=body, sealed_with=sealer.name)

    def _opened(self, noun: Noun) -> Noun:
        sealer = self.sealer
        if noun.sealed_with is None:
            return noun
        if sealer is None:
            raise StoreSealed(MISSING)
        if noun.sealed_with != sealer.name:
            raise StoreSealed(OTHER)

        def open_(path: str, text: str) -> str:
            # What an older version did not take for a secret is still in clear.
            is_sealed = text.startswith(f"{PREFIX}:")
            return sealer.open(text, f"{noun.kind} {noun.id}: {path}") if is_sealed else text

        body = change_secrets(noun.kind, noun.body, open_)
        return attrs.evolve(noun, body=body, sealed_with=None)


def _again(noun: Noun) -> Put:
    return Put(
        kind=noun.kind,
        id=noun.id,
        body=noun.body,
        expected=noun.version,
        unique=claims(noun.kind, noun.body),
        file_hash=noun.file_hash,
        changed_by_api=noun.changed_by_api,
    )
