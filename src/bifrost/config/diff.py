"""What is different between two configurations: what a reload has to do, and what it cannot."""

from __future__ import annotations

import attrs

from bifrost.config.rules import Mark
from bifrost.config.settings import ClientSettings, Config
from bifrost.config.shape import marked

__all__ = ["ConfigDiff", "applied", "diff"]

RESTART = marked(ClientSettings, Mark.RESTART)
"""Keys of ``client`` that a reload does not apply."""


@attrs.frozen(kw_only=True)
class ConfigDiff:
    """Names of providers that came, went and are configured otherwise; names of ``client`` keys that changed.

    ``client`` are those that hold at once, ``needs_restart`` those that do not; ``logs_store`` is one of these.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    client: tuple[str, ...] = ()
    needs_restart: tuple[str, ...] = ()

    def summary(self) -> dict[str, list[str]]:
        """What changed, for a log line: only what there is."""
        found = attrs.asdict(self, recurse=False)
        return {name: list(values) for name, values in found.items() if values}


def diff(old: Config, new: Config) -> ConfigDiff:
    """Compare two configurations. A key's value counts, not only its reference."""
    changed = [
        field.name
        for field in attrs.fields(ClientSettings)
        if getattr(old.client, field.name) != getattr(new.client, field.name)
    ]
    return ConfigDiff(
        added=tuple(name for name in new.providers if name not in old.providers),
        removed=tuple(name for name in old.providers if name not in new.providers),
        changed=tuple(
            name
            for name, settings in new.providers.items()
            if name in old.providers and settings != old.providers[name]
        ),
        client=tuple(name for name in changed if name not in RESTART),
        needs_restart=(
            *(name for name in changed if name in RESTART),
            *(("logs_store",) if old.logs_store != new.logs_store else ()),
        ),
    )


def applied(old: Config, new: Config) -> Config:
    """``new`` as far as a running gateway takes it: keys that need a restart keep their old values."""
    kept = {name: getattr(old.client, name) for name in RESTART}
    return attrs.evolve(new, client=attrs.evolve(new.client, **kept), logs_store=old.logs_store)
