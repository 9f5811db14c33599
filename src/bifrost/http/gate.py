"""Who is let in. Everything is shut that does not say of itself whom it is open to (``About.access``).

It goes by the endpoint that Quart or the finder has found, never by a path put together anew. Without a login the
management API is this machine's own: a page of another origin, or a name that is not this machine's, is turned away, for a
browser here would lend them its hand.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import attrs

from bifrost.errors import Denial, ProviderUnavailable, Unauthorized
from bifrost.http.doors import Doors
from bifrost.integrations.openapi import Access
from bifrost.management.login import Login

__all__ = ["Gate"]

_LOCAL_HOST = re.compile(rb"(localhost|127(\.[0-9]{1,3}){3}|\[::1\]|::1)(:[0-9]{1,5})?")

Sent = Mapping[bytes, bytes]
"""A request's headers, names in lower case."""


@attrs.define(eq=False)
class Gate:
    """Stands before every endpoint. ``is_valid_key`` tells whether the virtual key in the headers is one and active.

    ``local_only``: the gateway listens on this machine's own addresses.
    """

    login: Login
    doors: Doors
    is_valid_key: Callable[[Sent], bool]
    local_only: bool
    is_informed: Callable[[], bool] = lambda: True
    """Whether the configuration store has been read. Until then nobody knows whether it wants a login."""

    @property
    def guards_inference(self) -> bool:
        """Whether calls have to be looked at."""
        return self.login.guards_inference

    async def admit(self, access: Access, path: str, sent: Sent, address: str) -> None:
        """Let a request in that asks for something of this ``access``, or raise Unauthorized or Denial."""
        if access is Access.PUBLIC:
            return
        if access is Access.INFERENCE:
            if self.guards_inference and not self.is_valid_key(sent):
                await self._ask(sent, address)
            return
        if not self.login.is_enabled:
            if path.startswith("/api") and not self.is_informed():
                raise ProviderUnavailable("the configuration store is away", code="store_away")
            self._keep_strangers_out(sent)
        elif not self._is_whitelisted(path):
            await self._ask(sent, address)

    async def _ask(self, sent: Sent, address: str) -> None:
        if b"cookie" in sent and not self._is_own_page(sent):
            # A browser adds the cookie to what any page asks for; another port of this machine counts as the same site.
            raise Denial("pages of this origin may not use the management API", kind="not_local")
        if not await self.login.accepts(sent, address):
            raise Unauthorized("Unauthorized")

    def _is_whitelisted(self, path: str) -> bool:
        for route in self.doors.views.client.whitelisted_routes:
            if path == route or (route.endswith("*") and path.startswith(route[:-1])):
                return True
        return False

    def _is_own_page(self, sent: Sent) -> bool:
        origin = sent.get(b"origin")
        is_own = origin is None or origin.partition(b"://")[2] == sent.get(b"host", b"")
        return is_own or (origin is not None and self.doors.views.cors.lists(origin))

    def _keep_strangers_out(self, sent: Sent) -> None:
        host, origin = sent.get(b"host", b""), sent.get(b"origin")
        if self.local_only and not _LOCAL_HOST.fullmatch(host.lower()):
            raise Denial("the management API is for this machine only", kind="not_local")
        is_own = origin is None or origin.partition(b"://")[2] == host
        if not is_own and not self.doors.views.cors.names(origin):
            raise Denial("pages of this origin may not use the management API", kind="not_local")
