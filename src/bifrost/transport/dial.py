"""Opening connections: TCP with its options, and TLS on top."""

from __future__ import annotations

import ipaddress
import select
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import trio

from bifrost.errors import ConfigurationMissing
from bifrost.providers.base import Origin
from bifrost.quick_stream import QuickStream
from bifrost.transport.faults import not_public, unconnected
from bifrost.transport.wire import Line

if TYPE_CHECKING:
    from bifrost.config.settings import NetworkSettings

__all__ = ["Dial", "dial_with", "is_public", "tls_context"]

Dial = Callable[[Origin], Awaitable[Line]]
"""Opens a connection, or raises NetworkError. Leaves nothing open when cancelled."""

NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""RFC 6052, section 2.1."""

KEEP_ALIVE = (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))
"""A dead peer is found in about 25 s. Seconds, seconds, probes; not every platform has all."""


def tls_context(settings: NetworkSettings, *, more_ca_pem: str = "") -> ssl.SSLContext:
    """What TLS to an upstream goes by. Reads the system's certificates, so make it once.

    Raises ConfigurationMissing if ``ca_cert_pem`` is no certificate.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        for pem in filter(None, (settings.ca_cert_pem, more_ca_pem)):
            context.load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError) as error:
        raise ConfigurationMissing(
            "ca_cert_pem holds no certificate in PEM that can be read"
        ) from error
    if settings.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def dial_with(context: ssl.SSLContext, *, admits: Callable[[str], bool] | None = None) -> Dial:
    """Dials for real: happy eyeballs over all addresses of a name, TLS for ``https``.

    Origins that are ``public_only`` are reached at addresses that ``admits`` (``is_public``) says yes to.
    """
    may_connect = admits or is_public

    async def dial(origin: Origin) -> Line:
        tcp = await _connect(origin, may_connect)
        if origin.scheme != "https":
            return Line(QuickStream(tcp), tcp.socket.close, _look_out(tcp))
        try:
            tls = await _secure(tcp, origin, context)
        except BaseException:
            tcp.socket.close()
            raise
        is_readable = _look_out(tcp)
        return Line(tls, tcp.socket.close, lambda: is_readable() or _has_input(tls))

    return dial


def _look_out(tcp: trio.SocketStream) -> Callable[[], bool]:
    """Tells whether there is input, or an end, on ``tcp``. Asked before each exchange, so its poll is made once."""
    poll = select.poll()
    poll.register(tcp.socket.fileno(), select.POLLIN)
    return lambda: bool(poll.poll(0))


def _has_input(tls: trio.SSLStream[trio.SocketStream]) -> bool:
    """Whether records have been received that nobody has read: they would be taken for the next answer."""
    # SSLStream has no public word for the undecrypted part; `pending` knows the decrypted one only.
    return bool(tls._incoming.pending or tls.pending())  # noqa: SLF001  as said


async def _connect(origin: Origin, may_connect: Callable[[str], bool]) -> trio.SocketStream:
    try:
        if origin.public_only:
            stream = await _connect_in_public(origin, may_connect)
        else:
            stream = await trio.open_tcp_stream(origin.host, origin.port)
    except (OSError, UnicodeError) as error:
        raise unconnected(f"{origin.host}:{origin.port}: {_first_words(error)}") from error
    _keep_alive(stream)
    return stream


async def _connect_in_public(
    origin: Origin, may_connect: Callable[[str], bool]
) -> trio.SocketStream:
    """To a host that a caller named. Its name is resolved once, and what is connected to is what was looked at.

    Raises BadRequest if one of its addresses is not public: loopback, link-local, private, or of no use at all.
    """
    found = await trio.socket.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
    addresses = dict.fromkeys(str(address[0]) for *_, address in found)
    if not all(map(may_connect, addresses)):
        raise not_public()
    *others, last = addresses
    for address in others:
        try:
            return await trio.open_tcp_stream(address, origin.port)
        except OSError:
            continue
    return await trio.open_tcp_stream(last, origin.port)


def is_public(address: str) -> bool:
    """Whether an IP address, as the resolver writes it, can be somebody else's on the internet."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    inner = _inside(ip) if isinstance(ip, ipaddress.IPv6Address) else None
    return ip.is_global and not ip.is_multicast and (inner is None or inner.is_global)


def _inside(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 address leads to: mapped, or behind NAT64 or 6to4."""
    if ip in NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour


def _keep_alive(stream: trio.SocketStream) -> None:
    # TCP_NODELAY is set by trio.
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEP_ALIVE:
        if option := getattr(socket, name, None):
            stream.setsockopt(socket.IPPROTO_TCP, option, value)


async def _secure(
    tcp: trio.SocketStream, origin: Origin, context: ssl.SSLContext
) -> trio.SSLStream[trio.SocketStream]:
    # Not `https_compatible`: an end without the farewell of TLS is a cut, and must look like one.
    stream = trio.SSLStream(tcp, context, server_hostname=origin.host)
    try:
        await stream.do_handshake()
    except (trio.BrokenResourceError, ssl.CertificateError, ValueError) as error:
        raise unconnected(f"{origin.host}:{origin.port}: TLS: {_tls_words(error)}") from error
    return stream


def _tls_words(error: Exception) -> str:
    cause = error.__cause__ or error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"certificate not accepted: {cause.verify_message}"
    if isinstance(cause, ssl.SSLError) and cause.reason:
        return cause.reason
    return "handshake failed"


def _first_words(error: BaseException) -> str:
    """The system's own words. Several addresses failing make a group; its first member stands for all."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.exceptions[0] if isinstance(cause, BaseExceptionGroup) else cause.__cause__
    return type(error).__name__
