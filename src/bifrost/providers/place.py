"""Where a request goes: an origin and a path, out of a base URL, an operation's path and its override."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

import attrs

from bifrost.providers.base import Origin

__all__ = ["Address", "Place", "address_of", "place_of"]

PORTS = {"http": 80, "https": 443}

SAFE = "/%:@!$&'()*+,;=~-._"
"""Characters of a path that stay as they are (RFC 3986, section 3.3); ``%`` as it is encoded already."""


@attrs.frozen
class Place:
    """An address without credentials. ``path`` has no trailing slash, ``query`` no question mark."""

    origin: Origin
    path: str = ""
    query: str = ""

    def at(self, path: str) -> Place:
        """This base with ``path``, which begins with a slash and may have a query of its own.

        A base that ends in ``/v1`` already, as many write it, gets no second one.
        """
        path, _, query = path.partition("?")
        if self.path.endswith("/v1") and path.startswith("/v1/"):
            path = path.removeprefix("/v1")
        both = "&".join(filter(None, (self.query, query)))
        return attrs.evolve(self, path=self.path + quote(path, safe=SAFE), query=both)

    def asking(self, query: str) -> Place:
        """This place with ``query``, which is encoded, behind its own."""
        return attrs.evolve(self, query="&".join(filter(None, (self.query, query))))


@attrs.frozen
class Address:
    """A place as it is written: in a request line and in ``host``."""

    origin: Origin
    target: bytes
    host: bytes

    def with_query(self, query: str) -> bytes:
        """The target with ``query``, which is encoded, added."""
        return b"%b%b%b" % (
            self.target,
            b"&" if b"?" in self.target else b"?",
            query.encode("ascii"),
        )


def address_of(place: Place) -> Address:
    """Raises ValueError if the place's host is no name."""
    target = place.path or "/"
    if place.query:
        target = f"{target}?{place.query}"
    return Address(place.origin, target.encode("ascii"), host_header(place.origin))


def place_of(url: str) -> Place:
    """The place that ``url`` names: http or https, a host, perhaps port, path and query.

    Raises ValueError, with a text for the operator that does not repeat the URL.
    """
    parts = urlsplit(url.strip())
    if parts.scheme not in PORTS:
        raise ValueError("a URL must begin with http:// or https://")
    if not parts.hostname:
        raise ValueError("a URL must name a host")
    if "@" in parts.netloc:
        raise ValueError("a URL must not hold credentials")
    port = parts.port or PORTS[parts.scheme]
    origin = Origin(parts.scheme, parts.hostname, port)
    query = quote(parts.query, safe=SAFE + "?")
    return Place(origin, quote(parts.path.rstrip("/"), safe=SAFE), query)


def host_header(origin: Origin) -> bytes:
    """``host``, with the port where it is not the scheme's own. Raises ValueError if the host is no name."""
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    text = host if host.isascii() else host.encode("idna").decode("ascii")
    return (text if origin.port == PORTS[origin.scheme] else f"{text}:{origin.port}").encode(
        "ascii"
    )
