"""The tries inside one hop: lease, attempt, verdict, and again; with a hedge where it is wanted."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from random import Random
from typing import TYPE_CHECKING

import attrs
import trio

from bifrost.actors.attempt import Attempt
from bifrost.actors.exchange import LiveHop
from bifrost.actors.key_pool import KeyPool, Lease
from bifrost.actors.messages import Need, Refusal, Refused
from bifrost.actors.objects import Objects
from bifrost.actors.telling import Telling
from bifrost.config.settings import ClientSettings
from bifrost.errors import (
    ConfigurationMissing,
    DeadlineExceeded,
    ErrorClass,
    GatewayError,
    NoUsableKey,
    ProviderUnavailable,
    QueueFull,
    ShuttingDown,
    UnsupportedOperation,
)
from bifrost.policy.retry import Backoff, History, Over, Retry, RetryBudget, RetryRules, verdict
from bifrost.values import frozen

if TYPE_CHECKING:
    from bifrost.config.settings import ProviderSettings

__all__ = ["HopRunner", "Means"]

DEPLOYING = frozenset({"azure", "bedrock", "vertex", "replicate", "vllm"})
"""Providers whose refusals speak of deployments."""

ESTIMATE_BYTES_PER_TOKEN = 4
ESTIMATE_MAX_TOKENS = 8192
"""Larger bodies are mostly images, whose bytes say nothing of tokens."""


@frozen
class Tried:
    """What one try came to. ``error`` is ``None`` for an answer; ``key_id`` is ``None`` if no key was granted."""

    error: GatewayError | None
    key_id: str | None = None
    untried_left: int = 0
    exhausted: bool = False


@attrs.define(eq=False)
class Means:
    """What the router works with. ``pools`` and ``client`` change when the configuration does."""

    pools: Mapping[str, KeyPool]
    client: ClientSettings
    rng: Random
    """The only source of chance."""
    wall: Callable[[], float]
    """The calendar's clock: seconds since 1970."""


@attrs.define(eq=False)
class HopRunner:
    """Runs hops. Holds the retry budget of each provider."""

    means: Means
    objects: Objects = attrs.field(factory=Objects, init=False)
    _budgets: dict[str, RetryBudget] = attrs.field(factory=dict, init=False)

    async def run(self, hop: LiveHop) -> GatewayError | None:
        """Try until there is an answer, or no point in trying; the error if there was none."""
        pool = self.means.pools.get(hop.target.provider)
        if pool is None:
            return ConfigurationMissing(f"failed to get config for provider: {hop.target.provider}")
        if not pool.generation.adapter.supports(hop.call.operation, stream=hop.call.stream):
            return _unsupported(hop)
        return await self._tries(hop, pool)

    async def _tries(self, hop: LiveHop, pool: KeyPool) -> GatewayError | None:
        owner = self.objects.owner(hop.call, hop.target, trio.current_time())
        need = _need(hop, owner)
        history, asking, told = History(), _Asking(), None
        budget = self._budget(pool.generation.settings)
        budget.request(trio.current_time())
        while True:
            tried = await self._try_or_race(hop, pool, need, history, asking, budget)
            if tried.error is None:
                return None
            if tried.exhausted and told is not None:
                return told
            if tried.key_id is not None or told is None:
                told = tried.error
            if hop.live.committed:
                return told
            decision = self._verdict(tried, tried.error, history, hop, pool, owner)
            if not isinstance(decision, Retry):
                return told
            if decision.costs and not budget.take(trio.current_time()):
                return told
            history, asking = _after(history, tried, decision)
            await self._back_off(hop, decision.after_s)

    def _verdict(
        self,
        tried: Tried,
        error: GatewayError,
        history: History,
        hop: LiveHop,
        pool: KeyPool,
        owner: str | None,
    ) -> Retry | Over:
        settings = pool.generation.settings
        return verdict(
            error,
            history,
            _rules(settings, hop, owner),
            key_id=tried.key_id,
            untried_left=tried.untried_left,
            patience_s=_patience_s(settings, hop),
            draw=self.means.rng.random(),
        )

    async def _back_off(self, hop: LiveHop, after_s: float) -> None:
        if after_s <= 0:
            return
        began_s = trio.current_time()
        try:
            await trio.sleep(after_s)
        finally:
            hop.live.tally.backoff_s += trio.current_time() - began_s

    def _budget(self, settings: ProviderSettings) -> RetryBudget:
        budget = self._budgets.get(settings.name)
        if budget is None or budget.ratio != settings.retry_budget:
            budget = self._budgets[settings.name] = RetryBudget(settings.retry_budget)
        return budget

    async def _try_or_race(
        self,
        hop: LiveHop,
        pool: KeyPool,
        need: Need,
        history: History,
        asking: _Asking,
        budget: RetryBudget,
    ) -> Tried:
        hedge_ms = pool.generation.settings.hedge_after_ms
        if hedge_ms is None or history.tried or _is_sticky(hop) or not hop.call.may_race:
            return await self._try(_Trial(hop, pool, need, history, asking))
        return await self._race(_Trial(hop, pool, need, history, asking), hedge_ms / 1000.0, budget)

    async def _race(self, first: _Trial, hedge_after_s: float, budget: RetryBudget) -> Tried:
        """The first try, and a second on another key if the first is silent for ``hedge_after_s``.

        Whoever has the first event ready wins; the other is cancelled. If one fails, the other goes on.
        """
        race = _Race()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._run_in_race, race, first)
            with trio.move_on_after(hedge_after_s):
                await race.decided.wait()
            if not race.decided.is_set() and first.key_id is not None:
                second = first.hedge()
                if budget.take(trio.current_time()):
                    nursery.start_soon(self._run_in_race, race, second)
        return race.result()

    async def _run_in_race(self, race: _Race, trial: _Trial) -> None:
        with race.enter(trial):
            tried = await self._try(trial)
            race.report(trial, tried)

    async def _try(self, trial: _Trial) -> Tried:
        hop, asking = trial.hop, trial.asking
        began_s = trio.current_time()
        lease = trial.pool.lease(
            trial.need,
            draw=self.means.rng.random(),
            deadline_s=hop.call.deadline_s,
            avoid=trial.history.avoid,
            tried=trial.history.tried,
            prefer_not=asking.prefer_not,
            priority=asking.priority,
            may_wait=not trial.is_hedge,
        )
        async with lease as held:
            if isinstance(held, Refused):
                hop.live.tally.queue_wait_s += trio.current_time() - began_s
                return _refused(held, hop)
            if not trial.is_hedge:
                hop.live.tally.queue_wait_s += held.granted.queue_wait_s
            trial.key_id = held.granted.key_id
            attempt = self._attempt(trial, held)
            error_class: ErrorClass | None = ErrorClass.CANCELLED
            try:
                await attempt.run()
                error_class = None
            except GatewayError as error:
                error_class = error.error_class
                error.let_go()
                return Tried(error, held.granted.key_id, held.granted.untried_left)
            finally:
                if error_class is not ErrorClass.CANCELLED:
                    held.outcome = attempt.outcome()
                _note(trial, attempt, error_class)
            return Tried(None, held.granted.key_id)

    def _attempt(self, trial: _Trial, lease: Lease) -> Attempt:
        return Attempt(
            hop=trial.hop,
            lease=lease,
            claim=trial.claim,
            hedge=trial.is_hedge,
            wall=self.means.wall,
            send_extra_fields=self.means.client.send_extra_fields,
            sighting=self.objects.sighting(trial.hop.call, trial.hop.target, lease.granted.key_id),
            telling=_telling(trial.hop, lease.granted.key_id),
        )


def _telling(hop: LiveHop, key_id: str) -> Telling | None:
    on_told = hop.on_told
    if on_told is None:
        return None
    return Telling.of(hop.call, hop.target, lambda told: on_told(told, key_id))


@frozen
class _Asking:
    """How to ask for the next lease."""

    prefer_not: str | None = None
    priority: bool = False


@attrs.define(eq=False)
class _Trial:
    """One try about to be made."""

    hop: LiveHop
    pool: KeyPool
    need: Need
    history: History
    asking: _Asking
    is_hedge: bool = False
    key_id: str | None = None
    race: _Race | None = None

    def hedge(self) -> _Trial:
        """The second try of a race: another key, at once or not at all."""
        assert self.key_id is not None  # noqa: S101  a race is only joined once its first key is known
        avoid = self.history.avoid | {self.key_id}
        history = attrs.evolve(self.history, avoid=avoid, tried=self.history.tried | {self.key_id})
        return _Trial(self.hop, self.pool, self.need, history, self.asking, is_hedge=True)

    async def claim(self) -> None:
        if self.race is not None:
            await self.race.claim(self)


@attrs.define(eq=False)
class _Race:
    """Two tries, of which one may answer."""

    decided: trio.Event = attrs.field(factory=trio.Event)
    _scopes: dict[_Trial, trio.CancelScope] = attrs.field(factory=dict)
    _winner: _Trial | None = None
    _reports: list[tuple[_Trial, Tried]] = attrs.field(factory=list)

    def enter(self, trial: _Trial) -> trio.CancelScope:
        """Take part. Whoever loses is cancelled by the scope."""
        trial.race = self
        self._scopes[trial] = scope = trio.CancelScope()
        return scope

    async def claim(self, trial: _Trial) -> None:
        """Return only in the try that has won; the other is cancelled here."""
        if self._winner is None:
            self._winner = trial
            self.decided.set()
            for other, scope in self._scopes.items():
                if other is not trial:
                    scope.cancel()
        if self._winner is not trial:
            await trio.sleep_forever()

    def counts(self, trial: _Trial) -> bool:
        """Whether the time of ``trial`` is the exchange's: of two at once one does, the first where none has won."""
        return self._winner is trial or (self._winner is None and not trial.is_hedge)

    def report(self, trial: _Trial, tried: Tried) -> None:
        self._reports.append((trial, tried))
        self.decided.set()

    def result(self) -> Tried:
        """The winner's, else that of the first try: a hedge's own failure is nobody's news."""
        for trial, tried in self._reports:
            if trial is self._winner:
                return tried
        return next(tried for trial, tried in self._reports if not trial.is_hedge)


def _after(history: History, tried: Tried, decision: Retry) -> tuple[History, _Asking]:
    tried_keys = history.tried if tried.key_id is None else history.tried | {tried.key_id}
    retries = history.retries + (1 if decision.costs else 0)
    return (
        History(retries=retries, tried=tried_keys, avoid=decision.avoid),
        _Asking(prefer_not=decision.prefer_not, priority=True),
    )


def _note(trial: _Trial, attempt: Attempt, error_class: ErrorClass | None) -> None:
    """Enter a finished attempt into the exchange's account, however it ended."""
    live = trial.hop.live
    trial.hop.attempts.append(attempt.account(error_class))
    if trial.race is None or trial.race.counts(trial):
        live.tally.upstream_s += attempt.upstream_s
    if attempt.usage is not None:
        live.usage = attempt.usage


def _rules(settings: ProviderSettings, hop: LiveHop, owner: str | None) -> RetryRules:
    network = settings.network
    return RetryRules(
        max_retries=network.max_retries,
        backoff=Backoff(network.retry_backoff_initial, network.retry_backoff_max),
        retry_on_timeout=settings.retry_on_timeout,
        retry_after_cap_s=settings.retry_after_cap,
        sticky=settings.key_retry_policy == "sticky" or owner is not None or _is_sticky(hop),
        creates=hop.call.creates,
        searches=hop.call.relay is not None and bool(hop.call.ids),
    )


def _is_sticky(hop: LiveHop) -> bool:
    caller = hop.call.caller
    pinned = caller.key_id or caller.key_name or caller.own_key(hop.target.provider)
    return hop.index == 0 and pinned is not None


def _patience_s(settings: ProviderSettings, hop: LiveHop) -> float:
    """The longest wait worth while. With a fallback ready, no longer than the longest back-off."""
    left_s = hop.call.deadline_s - trio.current_time()
    if hop.hops_left > 0:
        return min(left_s, settings.network.retry_backoff_max / 1000.0)
    return left_s


def _need(hop: LiveHop, owner: str | None) -> Need:
    """What the hop wants of a pool. Pins, session and the caller's own key hold for the primary alone."""
    call, caller, is_primary = hop.call, hop.call.caller, hop.index == 0
    same_provider = hop.target.provider == call.target.provider
    return Need(
        model=hop.target.model,
        operation=call.operation,
        need_tokens=min(call.body_bytes // ESTIMATE_BYTES_PER_TOKEN, ESTIMATE_MAX_TOKENS),
        pin_id=caller.key_id if is_primary else None,
        pin_name=caller.key_name if is_primary else None,
        include_only=hop.include_only,
        session=_session(caller.session_id, hop.target.model) if is_primary else None,
        session_ttl_s=caller.session_ttl_s or 3600.0,
        owner=owner,
        direct=same_provider and caller.own_key(hop.target.provider) is not None,
    )


def _session(session_id: str | None, model: str) -> str | None:
    if session_id is None:
        return None
    parts = (session_id, model or "__modelless__")
    return ":".join(hashlib.sha256(part.encode()).hexdigest() for part in parts)


def _unsupported(hop: LiveHop) -> UnsupportedOperation:
    return UnsupportedOperation(
        f"{hop.call.request_type} is not supported by {hop.target.provider} provider"
    )


def _refused(refused: Refused, hop: LiveHop) -> Tried:
    return Tried(_refusal_error(refused, hop), exhausted=refused.reason == Refusal.EXHAUSTED)


def _refusal_error(refused: Refused, hop: LiveHop) -> GatewayError:
    provider, model = hop.target.provider, hop.target.model
    match refused.reason:
        case Refusal.QUEUE_FULL | Refusal.NO_SLOT:
            return QueueFull("request dropped: queue is full", retry_after_s=1.0)
        case Refusal.WAIT_DEADLINE:
            return DeadlineExceeded("request timed out while waiting for queue space")
        case Refusal.SHUTTING_DOWN:
            return ShuttingDown("provider is shutting down", code="provider_shutting_down")
        case Refusal.COOLING_DOWN | Refusal.EXHAUSTED:
            return ProviderUnavailable(
                "all keys are cooling down", retry_after_s=refused.retry_after_s
            )
        case Refusal.BROKEN:
            return ProviderUnavailable(f"provider {provider} is unavailable", code="pool_broken")
        case reason:
            return NoUsableKey(_no_key_text(reason, hop, provider, model))


def _no_key_text(reason: str, hop: LiveHop, provider: str, model: str) -> str:
    whose = f"for provider: {provider} and model: {model}"
    what = "model/deployment" if provider in DEPLOYING else "model"
    return {
        Refusal.NO_KEYS: f"no keys found {whose}",
        Refusal.UNKNOWN_KEY_ID: f'no supported key found with id "{hop.call.caller.key_id}" {whose}',
        Refusal.UNKNOWN_KEY_NAME: (
            f'no supported key found with name "{hop.call.caller.key_name}" {whose}'
        ),
        Refusal.NOT_FOR_BATCH: (
            "no config found for batch APIs. Please enable 'Use for Batch APIs' on at least one key"
            f" for provider: {provider}"
        ),
    }.get(reason, f"no keys found that support {what}: {model}")
