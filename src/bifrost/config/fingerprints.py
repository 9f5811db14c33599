"""Whether something is what it was, without keeping it."""

from __future__ import annotations

import hashlib
import hmac

import attrs

__all__ = ["Fingerprints"]


@attrs.frozen
class Fingerprints:
    """Made with ``key`` if there is one, so that nobody can try short secrets against them who has only the database.

    A fingerprint says how it was made, so that those from before there was a key still hold.
    """

    key: bytes | None = attrs.field(default=None, repr=False)

    def of(self, data: bytes) -> str:
        """The fingerprint of ``data``."""
        if self.key is None:
            return f"sha256:{hashlib.sha256(data).hexdigest()}"
        return f"hmac:{hmac.new(self.key, data, 'sha256').hexdigest()}"

    def fits(self, fingerprint: str, data: bytes) -> bool:
        """Whether ``fingerprint`` is one of ``data``. Without the key it was made with, it is of nothing."""
        of_old = Fingerprints() if fingerprint.startswith("sha256:") else self
        return hmac.compare_digest(of_old.of(data), fingerprint)
