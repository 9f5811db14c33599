"""What an answer costs, in nano-dollars: the formulas, by what was asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from bifrost.policy.pricing_rates import ATTO_PER_NANO, Card, Rates
from bifrost.record import NO_USAGE, MediaUsage, Usage
from bifrost.schema.call import Operation
from bifrost.values import frozen

__all__ = ["MAX_NANO_USD", "NO_FACTS", "CallFacts", "cost"]

MAX_NANO_USD = 10**18
"""A thousand million dollars. No answer costs more, whatever counts a provider tells."""

NO_MEDIA = MediaUsage()


@frozen(kw_only=True)
class CallFacts:
    """What of a request bears upon its price."""

    operation: Operation = Operation.CHAT
    text_bytes: int = 0
    """Of the body, without the images and sounds inside of it."""
    media_tokens: int = 0
    """A guess for those."""
    max_output_tokens: int | None = None
    choices: int = 1
    """Answers asked for at once; of images, how many."""
    service: str = ""
    """``priority``, ``flex`` or ``batch``; empty for the ordinary."""
    quality: str = ""
    """Of images: ``low``, ``medium``, ``high`` or ``auto``."""
    pixels: int | None = None
    """Of an image asked for."""
    characters: int = 0
    """Of text to be spoken."""
    audio_ms: int = 0
    """A guess at the length of the sound sent."""


NO_FACTS = CallFacts()


def cost(
    rates: Rates | None, usage: Usage | None, operation: Operation, facts: CallFacts = NO_FACTS
) -> int:
    """Nano-dollars that an answer costs: rounded once, at the end, to the nearest.

    What the provider itself says it costs wins. ``usage`` is ``None`` where the answer told none: that costs nothing,
    but for images and speech, which are priced by what was asked for. Without ``rates`` all costs 0.
    """
    if usage is not None and usage.cost_nano_usd:
        return min(usage.cost_nano_usd, MAX_NANO_USD)
    if rates is None or (usage is None and operation not in BY_REQUEST):
        return 0
    used = NO_USAGE if usage is None else usage
    card = rates.card(
        prompt_tokens=used.prompt_tokens,
        total_tokens=used.total_tokens,
        service=facts.service,
    )
    total = FORMULAS.get(operation, _tokens)(card, used, facts) + card.request
    return min((total + ATTO_PER_NANO // 2) // ATTO_PER_NANO, MAX_NANO_USD)


def _tokens(card: Card, used: Usage, _facts: CallFacts) -> int:
    return _input(card, used) + _output(card, used) + used.searches * card.search


def _input(card: Card, used: Usage) -> int:
    """Cached tokens at their own rates, then those of sound and images, and what is left as text.

    No part is larger than what is left of the whole, whatever the provider says.
    """
    left = used.prompt_tokens
    media = used.media
    if media is not None:
        left = max(left, media.audio_in_tokens + media.image_in_tokens)
    read = min(used.cached_read_tokens, left)
    left -= read
    write = min(used.cached_write_tokens, left)
    left -= write
    total = read * card.cache_read + write * card.cache_write
    if media is not None:
        audio = min(media.audio_in_tokens, left)
        image = min(media.image_in_tokens, left - audio)
        left -= audio + image
        total += audio * card.input_audio + image * card.input_image
    return total + left * (card.input or 0)


def _output(card: Card, used: Usage) -> int:
    left = used.completion_tokens
    media = used.media
    if media is not None:
        left = max(left, media.audio_out_tokens + media.image_out_tokens)
    total = 0
    if media is not None:
        audio = min(media.audio_out_tokens, left)
        image = min(media.image_out_tokens, left - audio)
        left -= audio + image
        total = audio * card.output_audio + image * card.output_image
    thought = min(used.reasoning_tokens, left)
    return total + thought * card.reasoning + (left - thought) * (card.output or 0)


def _has_input(used: Usage) -> bool:
    media = used.media or NO_MEDIA
    return bool(used.prompt_tokens or media.audio_in_tokens or media.image_in_tokens)


def _embedding(card: Card, used: Usage, _facts: CallFacts) -> int:
    return _input(card, used)


def _speech(card: Card, used: Usage, facts: CallFacts) -> int:
    media = used.media or NO_MEDIA
    characters = media.characters or facts.characters
    if card.character is not None and characters:
        total = characters * card.character
    elif used.prompt_tokens:
        total = _input(card, used)
    else:
        total = characters * (card.input or 0)
    if used.completion_tokens and card.output_audio:
        # All that is made is sound, whether the provider says so or not.
        return total + used.completion_tokens * card.output_audio
    return total + _seconds(media.audio_ms, card.output_second)


def _transcription(card: Card, used: Usage, _facts: CallFacts) -> int:
    made = _output(card, used)
    # Some are priced by the second and tell tokens all the same: voxtral, 2026-11.
    if _has_input(used) and (card.input_audio or card.input):
        return made + _input(card, used)
    return made + _seconds((used.media or NO_MEDIA).audio_ms, card.input_second)


def _seconds(length_ms: int, rate: int | None) -> int:
    return length_ms * (rate or 0) // 1000


def _image(card: Card, used: Usage, facts: CallFacts) -> int:
    """By tokens where they are told and have a price, else by the pixel, else by the piece: both ways apart."""
    media = used.media or NO_MEDIA
    count = media.images or facts.choices
    made = used.completion_tokens or media.image_out_tokens
    if _has_input(used) and (card.input_image or card.input):
        given = _input(card, used)
    else:
        given = _each(count, facts.pixels, card.input_pixel, card.input_each)
    if made and (card.output_image or card.output):
        return given + _drawn(card, used)
    return given + _each(count, facts.pixels, card.output_pixel, _per_image(card, facts))


def _drawn(card: Card, used: Usage) -> int:
    """Tokens of an image answer: where the provider does not tell text from image, all of them are image."""
    media = used.media or NO_MEDIA
    if media.image_out_tokens:
        return _output(card, used)
    return used.completion_tokens * card.output_image


def _each(count: int, pixels: int | None, per_pixel: int | None, per_image: int | None) -> int:
    if pixels and per_pixel is not None:
        return count * pixels * per_pixel
    return count * (per_image or 0)


def _per_image(card: Card, facts: CallFacts) -> int | None:
    """By quality, else by the largest size that it reaches, else by the piece."""
    by_quality = card.output_each.get(facts.quality or "auto")
    if by_quality is not None:
        return by_quality
    for side in (4096, 2048, 1024, 512):
        rate = card.output_each.get(str(side))
        if rate is not None and facts.pixels is not None and facts.pixels >= side * side:
            return rate
    return card.output_each.get("")


def _video(card: Card, used: Usage, _facts: CallFacts) -> int:
    return _seconds((used.media or NO_MEDIA).video_ms, card.video_second)


Formula = Callable[[Card, Usage, CallFacts], int]

FORMULAS: Mapping[Operation, Formula] = MappingProxyType(
    {
        Operation.EMBEDDING: _embedding,
        Operation.SPEECH: _speech,
        Operation.TRANSCRIPTION: _transcription,
        Operation.TRANSLATION: _transcription,
        Operation.IMAGE: _image,
        Operation.IMAGE_EDIT: _image,
        Operation.IMAGE_VARIATION: _image,
        Operation.VIDEO: _video,
    }
)
"""All others are priced as chat is."""

BY_REQUEST = frozenset(
    {Operation.SPEECH, Operation.IMAGE, Operation.IMAGE_EDIT, Operation.IMAGE_VARIATION}
)
"""Priced by what was asked for where the answer tells no usage, as sound and old image models do not."""
