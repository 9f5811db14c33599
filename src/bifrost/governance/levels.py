"""Whose limits a hop is under, in the order they are looked at, and how it is told when one is exceeded. Pure."""

from __future__ import annotations

from operator import attrgetter
from types import MappingProxyType
from typing import TYPE_CHECKING

from bifrost.errors import Denial
from bifrost.governance.model import NANO, Governance, Limits, Unit, VirtualKey
from bifrost.governance.periods import Period
from bifrost.values import Choice, frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bifrost.schema.call import Target

__all__ = [
    "NOTHING",
    "Amounts",
    "Level",
    "Scope",
    "Violation",
    "general_levels",
    "key_levels",
    "told",
]


@frozen(kw_only=True)
class Amounts:
    """So much of everything that is counted."""

    requests: int = 0
    tokens: int = 0
    nano_usd: int = 0

    def of(self, unit: Unit) -> int:
        """The amount of ``unit``."""
        return AMOUNT[unit](self)


AMOUNT: Mapping[Unit, Callable[[Amounts], int]] = MappingProxyType(
    {
        Unit.REQUESTS: attrgetter("requests"),
        Unit.TOKENS: attrgetter("tokens"),
        Unit.NANO_USD: attrgetter("nano_usd"),
    }
)

NOTHING = Amounts()


class Scope(Choice):
    """Which part of the order a level belongs to; in each, rate limits come before budgets."""

    PROVIDER = "Provider"
    MODEL = "Model"
    KEY = "key"
    """The virtual key's own chain: its provider config, itself, its team, its customer."""


@frozen
class Level:
    """One holder of limits. ``ends_chain``: what it denies is denied at every other target too."""

    scope: Scope
    name: str
    """As it is told: ``VK``, ``Team``, ``openai``, ``Model:gpt-4o:Provider:openai``."""
    limits: Limits
    ends_chain: bool = False


@frozen
class Violation:
    """A limit that is exceeded: by how much, and when it starts anew."""

    unit: Unit
    used: int
    limit: int
    period: Period
    left_s: float


def general_levels(
    governance: Governance, target: Target, base_model: str = ""
) -> tuple[Level, ...]:
    """Those of the provider and of the model, whoever calls. ``base_model`` is the name that goes for all its versions."""
    found: list[Level] = []
    if (limits := governance.providers.get(target.provider)) is not None:
        found.append(Level(Scope.PROVIDER, target.provider, limits))
    models = governance.models
    if not models or not target.model:
        return tuple(found)
    if (config := models.get((target.model, target.provider))) is not None and config.limits:
        name = f"Model:{target.model}:Provider:{target.provider}"
        found.append(Level(Scope.MODEL, name, config.limits))
    config = models.get((base_model, None)) or models.get((target.model, None))
    if config is not None and config.limits:
        found.append(Level(Scope.MODEL, f"Model:{config.model}", config.limits))
    return tuple(found)


def key_levels(governance: Governance, key: VirtualKey, provider: str) -> tuple[Level, ...]:
    """Those of the virtual key: its provider config, itself, its team, its customer."""
    config = key.provider_configs.get(provider)
    team, customer = governance.owners(key)
    holders = (
        (provider, config.limits if config else None, False),
        ("VK", key.limits, True),
        ("Team", team.limits if team else None, True),
        ("Customer", customer.limits if customer else None, True),
    )
    return tuple(Level(Scope.KEY, name, limits, ends) for name, limits, ends in holders if limits)


# Telling


def told(level: Level, violations: tuple[Violation, ...]) -> Denial:
    """The error for ``violations``, one or more, all of ``level``'s budget or all of its rate limit."""
    first = violations[0]
    left_s = max(each.left_s for each in violations)
    if first.unit is Unit.NANO_USD:
        return Denial(
            _budget_text(level, first), kind="budget_exceeded", status=402, retry_after_s=left_s
        )
    kind = f"{first.unit.value}_limited" if len(violations) == 1 else "rate_limited"
    return Denial(
        _rate_text(level, violations),
        kind=kind,
        status=429,
        retry_after_s=left_s,
        headers=_rate_headers(violations),
    )


def _budget_text(level: Level, violation: Violation) -> str:
    used, limit = violation.used / NANO, violation.limit / NANO
    text = f"{level.name} budget exceeded: {used:.4f} >= {limit:.4f} dollars"
    if level.scope is Scope.KEY:
        return f"Budget exceeded: {text}"
    return f"{level.scope.value}-level budget exceeded: {text}"


def _rate_text(level: Level, violations: tuple[Violation, ...]) -> str:
    told_each = "; ".join(
        f"{each.unit.value} limit exceeded ({each.used}/{each.limit}, "
        f"resets every {each.period.text})"
        for each in violations
    )
    text = f"rate limit violated for {level.name}: {told_each}"
    if level.scope is Scope.KEY:
        return f"Rate limit check failed: {text}"
    return f"{level.scope.value}-level rate limit check failed: {text}"


def _rate_headers(violations: tuple[Violation, ...]) -> tuple[tuple[str, str], ...]:
    """The caller's own limits, in the words that SDKs of OpenAI know."""
    lines: list[tuple[str, str]] = []
    for each in violations:
        what = f"{each.unit.value}s"
        lines += [
            (f"x-ratelimit-limit-{what}", str(each.limit)),
            (f"x-ratelimit-remaining-{what}", str(max(0, each.limit - each.used))),
            (f"x-ratelimit-reset-{what}", f"{each.left_s:.3f}s"),
        ]
    return tuple(lines)
