"""What a call will cost, guessed before it is made: so much is held until it is known."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import OrderedDict, deque
from typing import TYPE_CHECKING

import attrs

from bifrost.policy.pricing_cost import MAX_NANO_USD, CallFacts, cost
from bifrost.record import MediaUsage, Usage
from bifrost.schema.call import Operation
from bifrost.values import frozen

if TYPE_CHECKING:
    from bifrost.policy.pricing_rates import Rates

__all__ = ["UNLEARNED_TOKENS", "Estimate", "OutputSizes", "ToldCosts", "estimate"]

BYTES_PER_TOKEN = 4
UNLEARNED_TOKENS = 1024
"""What a model is taken to answer before it has been seen to answer."""

MAX_CHOICES = 128
MAX_TOKENS = 2**40

WITHOUT_OUTPUT = frozenset(
    {
        Operation.EMBEDDING,
        Operation.RERANK,
        Operation.MODERATION,
        Operation.COUNT_TOKENS,
        Operation.LIST_MODELS,
    }
)


@frozen
class Estimate:
    """Tokens of prompt and answer, and what they cost in nano-dollars."""

    prompt_tokens: int
    output_tokens: int
    nano_usd: int
    searches: int = 0
    media: MediaUsage | None = None

    @property
    def tokens(self) -> int:
        """Both together."""
        return self.prompt_tokens + self.output_tokens

    @property
    def whole(self) -> Usage:
        """The usage of an answer that is as it was estimated, to its end."""
        return attrs.evolve(
            self.delivered(self.output_tokens), searches=self.searches, media=self.media
        )

    def delivered(self, output_tokens: int) -> Usage:
        """The usage of an answer of which so much was delivered."""
        return Usage(
            prompt_tokens=self.prompt_tokens,
            completion_tokens=output_tokens,
            total_tokens=self.prompt_tokens + output_tokens,
        )


def estimate(rates: Rates | None, facts: CallFacts, learned: int = UNLEARNED_TOKENS) -> Estimate:
    """What a call is likely to come to, rather too much than too little.

    Its prompt by its bytes, four a token, rounded up; images and sound inside of it by ``facts.media_tokens``. Its answer is
    what the caller allows or what the model was seen to answer (``OutputSizes.learned``), whichever is less, for each of
    the answers asked for.
    """
    usage = _guess(facts, _output(facts, learned))
    nano_usd = cost(rates, usage, facts.operation, facts)
    return Estimate(
        usage.prompt_tokens, usage.completion_tokens, nano_usd, usage.searches, usage.media
    )


def _guess(facts: CallFacts, output_tokens: int) -> Usage:
    media = None
    if facts.characters or facts.audio_ms:
        media = MediaUsage(characters=facts.characters, audio_ms=facts.audio_ms)
    prompt = min(-(-facts.text_bytes // BYTES_PER_TOKEN) + facts.media_tokens, MAX_TOKENS)
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=output_tokens,
        total_tokens=prompt + output_tokens,
        searches=1 if facts.operation is Operation.RERANK else 0,
        media=media,
    )


def _output(facts: CallFacts, learned: int) -> int:
    if facts.operation in WITHOUT_OUTPUT:
        return 0
    allowed = facts.max_output_tokens
    one = learned if allowed is None else min(allowed, learned)
    return one * min(max(facts.choices, 1), MAX_CHOICES)


@attrs.define(eq=False)
class _Sizes:
    """The last outputs of a model, as they came and in order."""

    recent: deque[int] = attrs.field(factory=deque, init=False)
    ordered: list[int] = attrs.field(factory=list, init=False)

    def note(self, tokens: int, window: int) -> None:
        if len(self.recent) >= window:
            oldest = self.recent.popleft()
            del self.ordered[bisect_left(self.ordered, oldest)]
        self.recent.append(tokens)
        insort(self.ordered, tokens)


@attrs.define(eq=False)
class OutputSizes:
    """How much the models answer: of each the 95th percentile of its last outputs.

    Keeps ``window`` outputs of each of at most ``models`` models, and forgets the one longest unused. A note costs
    O(log window) and a move of a few hundred bytes.
    """

    window: int = 256
    enough: int = 16
    """Outputs that must have been seen; before that a model has not been learned."""
    models: int = 2000
    _known: OrderedDict[tuple[str, str], _Sizes] = attrs.field(factory=OrderedDict, init=False)

    def __len__(self) -> int:
        return len(self._known)

    def note(self, provider: str, model: str, output_tokens: int) -> None:
        """``model`` has answered so much, of all choices together divided by their number. Nothing is no answer."""
        if output_tokens <= 0:
            return
        key = (provider, model)
        sizes = self._known.get(key)
        if sizes is None:
            sizes = self._known[key] = _Sizes()
            if len(self._known) > self.models:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(key)
        sizes.note(min(output_tokens, MAX_TOKENS), self.window)

    def learned(self, provider: str, model: str) -> int:
        """No more than that many tokens were 95 of 100 recent outputs; 1,024 while there are too few to tell."""
        sizes = self._known.get((provider, model))
        if sizes is None or len(sizes.ordered) < self.enough:
            return UNLEARNED_TOKENS
        # Rounded up: of 16 outputs it is the largest.
        return sizes.ordered[-(-len(sizes.ordered) * 95 // 100) - 1]


@attrs.define(eq=False)
class ToldCosts:
    """What answers cost whose provider says so himself, for models that have no price: else nothing would be held for them.

    The dearest of the last ``window`` of each of at most ``models`` models.
    """

    window: int = 16
    models: int = 2000
    _known: OrderedDict[tuple[str, str], deque[int]] = attrs.field(factory=OrderedDict, init=False)

    def note(self, provider: str, model: str, nano_usd: int) -> None:
        """An answer of ``model`` cost so much."""
        costs = self._known.pop((provider, model), None)
        if costs is None:
            costs = deque(maxlen=self.window)
        costs.append(min(nano_usd, MAX_NANO_USD))
        self._known[provider, model] = costs
        if len(self._known) > self.models:
            self._known.popitem(last=False)

    def expected(self, provider: str, model: str) -> int:
        """What the next is likely to cost; 0 where none is known."""
        return max(self._known.get((provider, model), (0,)))
