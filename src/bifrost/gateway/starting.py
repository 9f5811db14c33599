"""The process: the configuration read, the log writer beside the gateway, the exit status."""

from __future__ import annotations

import gc
from functools import partial
from typing import TYPE_CHECKING

import trio

from bifrost.config.faults import ConfigErrors
from bifrost.config.starting import notices
from bifrost.config_file import read_config
from bifrost.gateway.kept import open_kept
from bifrost.gateway.notes import Notes
from bifrost.gateway.root import Gateway
from bifrost.observe.logs import LEVELS, Logs, Sink
from bifrost.observe.prometheus import custom_labels
from bifrost.store.sealing import StoreSealed

if TYPE_CHECKING:
    from collections.abc import Callable

    from bifrost.config.options import ServeOptions
    from bifrost.config.settings import Config

__all__ = ["built", "live", "serve"]


def serve(options: ServeOptions) -> int:
    """Serve until told to stop; the exit status. Raises ConfigErrors if the configuration is broken."""
    read = partial(read_config, options.config_path, options.app_dir, is_all=False)
    config = read()
    logs = Logs(LEVELS[options.log_level], options.log_style, Sink())
    return trio.run(live, config, options, read, logs)


async def live(
    config: Config, options: ServeOptions, read: Callable[[], Config], logs: Logs
) -> int:
    """Run a gateway with its log written beside it; the exit status."""
    status = 0
    async with trio.open_nursery() as nursery:
        await nursery.start(logs.sink.run)
        try:
            gateway = await built(config, options, read, logs)
            _calm_collector()
            await gateway.run()
        except* (OSError, StoreSealed) as group:
            logs.line("error", "cannot serve", {"reason": str(_first(group))})
            status = 1
        except* ConfigErrors as group:
            # What the file says is good by itself, and is not beside what the store says.
            for error in str(_first(group)).splitlines():
                logs.line("error", "cannot serve", {"reason": error})
            status = 2
        nursery.cancel_scope.cancel()
    return status


async def built(
    config: Config, options: ServeOptions, read: Callable[[], Config], logs: Logs
) -> Gateway:
    """The gateway, by file and store together. Raises ConfigErrors, and StoreSealed if the store's key is missing."""
    notes, kept = Notes(logs), None
    if config.config_store is not None:
        kept, config = await open_kept(config, options, notes)
    notes.configuration(notices(config))
    notes.configuration(
        f"client.prometheus_labels: {name} is a label already, so it is left out"
        for name in custom_labels(config.client.prometheus_labels)[1]
    )
    gateway = Gateway(config, options, read, logs, kept)
    if kept is None:
        await gateway.show_file()
    return gateway


def _calm_collector() -> None:
    """Have the cycle collector look seldom, and never at what was there before the first request.

    A request leaves few cycles behind and makes hundreds of objects; at Python's own threshold of 700 the collector runs
    with nearly each of them.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    gc.enable()


def _first(group: BaseExceptionGroup[Exception]) -> BaseException:
    """The first of what happened, for one line of a log."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
