"""Where a provider's operations are: worked out once for a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

import attrs

from bifrost.errors import ConfigurationMissing
from bifrost.providers.place import Address, Place, address_of, place_of
from bifrost.schema.call import request_type

if TYPE_CHECKING:
    from bifrost.config.settings import KeySettings, ProviderSettings
    from bifrost.providers.spec import ProviderSpec

__all__ = ["Addresses", "FixedAddresses", "fixed_addresses"]


class Addresses(Protocol):
    """Knows every operation's address."""

    def of(self, asked: str, key: KeySettings, model: str) -> Address:
        """Where the request type ``asked`` for ``model`` goes with ``key``. Raises ConfigurationMissing."""
        ...

    def below(self, path: str, query: str, key: KeySettings) -> Address:
        """Where a relayed request goes: ``path`` begins with ``/v1/``; both are encoded. Raises ConfigurationMissing."""
        ...


@attrs.frozen
class FixedAddresses:
    """Addresses that depend on no model. ``known`` has them by a key's own URL (``None``: the provider's) and request type."""

    provider: str
    known: Mapping[tuple[str | None, str], Address]
    bases: Mapping[str | None, Place]
    """By a key's own URL."""

    def of(self, asked: str, key: KeySettings, model: str) -> Address:  # noqa: ARG002  others go by it
        own = self.known.get((key.url, asked)) if key.url else None
        address = own or self.known.get((None, asked))
        if address is None:
            raise self._missing()
        return address

    def below(self, path: str, query: str, key: KeySettings) -> Address:
        base = self.bases.get(key.url) or self.bases.get(None)
        if base is None:
            raise self._missing()
        return address_of(base.at(path).asking(query))

    def _missing(self) -> ConfigurationMissing:
        return ConfigurationMissing(f"base_url is required for provider: {self.provider}")


def fixed_addresses(spec: ProviderSpec, settings: ProviderSettings) -> FixedAddresses:
    """Of ``spec`` under ``settings``. Raises ConfigurationMissing if an address is lacking or is none."""
    base_url = settings.network.base_url or spec.base_url
    urls: dict[str | None, str] = {None: base_url} if base_url else {}
    if spec.has_key_urls:
        urls.update((key.url, key.url) for key in settings.keys if key.url)
    if not urls:
        raise ConfigurationMissing(f"base_url is required for provider: {settings.name}")
    try:
        bases = {whose: place_of(url) for whose, url in urls.items()}
        known = {
            (whose, asked): address_of(_join(base, path))
            for whose, base in bases.items()
            for asked, path in _paths(spec, settings).items()
        }
    except ValueError as error:
        raise ConfigurationMissing(f"provider {settings.name}: {error}") from None
    return FixedAddresses(settings.name, known, bases)


def _join(base: Place, path: str) -> Place:
    return place_of(path) if path.startswith(("http://", "https://")) else base.at(path)


def _paths(spec: ProviderSpec, settings: ProviderSettings) -> dict[str, str]:
    """Path or absolute URL by request type. A stream without an override goes where the plain call goes."""
    overrides = {} if settings.custom is None else settings.custom.request_path_overrides
    told = {name: path.strip() for name, path in overrides.items() if path.strip()}
    paths: dict[str, str] = {}
    for operation, path in spec.paths.items():
        plain = _rooted(told.get(operation.value, path))
        paths[operation.value] = plain
        streaming = request_type(operation, stream=True)
        paths[streaming] = _rooted(told.get(streaming, plain))
    return paths


def _rooted(path: str) -> str:
    return path if path.startswith(("/", "http://", "https://")) else f"/{path}"
