"""Whether a configuration may be served as it is asked for, and what is to be said of it."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bifrost.config.options import ServeOptions
    from bifrost.config.settings import Config

__all__ = ["is_loopback", "notices", "refusals", "refuse_workers"]


def refusals(config: Config, options: ServeOptions) -> tuple[str, ...]:
    """Why serving is refused, a sentence each; none with ``--insecure``."""
    if options.insecure:
        return ()
    found = [
        f"{name}: asked for, but not built yet, so nobody would be protected by it; "
        "take it out, or serve without it by --insecure"
        for name in config.unguarded
    ]
    has_login = config.auth is not None and config.auth.is_enabled
    if not is_loopback(options.host) and not has_login:
        found.append(
            f"host {options.host!r}: reachable from other machines, without a login (auth_config); "
            "bind to localhost, or serve open by --insecure"
        )
    return tuple(found)


def refuse_workers(workers: int) -> str | None:
    """Why there is no second worker; ``None`` for one."""
    if workers == 1:
        return None
    return (
        f"--workers {workers}: only 1 is served yet. Limits, cool-downs, circuits and sessions are counted in one "
        "process; several would each spend them in full until they share a store"
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``. An empty one stands for every address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def notices(config: Config) -> tuple[str, ...]:
    """What the operator should know at a start: each warning, and once what is not built yet."""
    if not config.unbuilt:
        return config.warnings
    return (
        *config.warnings,
        f"not built yet, so without effect: {', '.join(config.unbuilt)}",
    )
