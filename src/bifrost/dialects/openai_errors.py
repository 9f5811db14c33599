"""Error bodies of the OpenAI family: which shapes there are, what class of failure they tell.

The shapes are tried in one order for all providers of the family, as none of them contradicts another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from bifrost.codecs import json
from bifrost.dialects.scrub import scrub_value
from bifrost.errors import ErrorClass, UpstreamError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Told", "classify", "json_text", "read_error", "read_error_body", "told_error"]

MAX_TEXT = 4000
"""Characters of an upstream's message that are told on."""

PHRASES = (
    "rate limit",
    "rate_limit",
    "ratelimit",
    "too many requests",
    "quota exceeded",
    "quota_exceeded",
    "request limit",
    "throttled",
    "throttling",
    "rate exceeded",
    "limit exceeded",
    "requests per",
    "rpm exceeded",
    "tpm exceeded",
    "tokens per minute",
    "usage limit",
    "burst_rate",
    "rate increased",
    "concurrent requests limit",
)
"""What providers say instead of a 429. The contract's list, less those that contain another of it."""

HOPELESS = ("context", "token limit of the model")
"""With these words a limit is the model's own, and waiting does not help."""

QUOTA = frozenset(
    {
        "insufficient_quota",
        "insufficient_balance",
        "insufficient_credits",
        "billing_hard_limit_reached",
        "billing_not_active",
        "payment_required",
        "exceeded_current_quota_error",
    }
)
AUTH = frozenset(
    {
        "invalid_api_key",
        "api_key_invalid",
        "incorrect_api_key",
        "authentication_error",
        "invalid_authentication",
        "invalid_authentication_error",
        "unauthorized",
        "unauthenticated",
        "account_deactivated",
        "permission_error",
        "permission_denied",
    }
)
LIMITED = frozenset({"tokens", "requests", "resource_exhausted", "429"})
"""``tokens`` and ``requests`` are OpenAI's error types for its two limits."""
UNKNOWN_MODEL = frozenset(
    {"not_found", "not_found_error", "notfounderror", "unknown_model", "invalid_model"}
)
CALLERS_FAULT = frozenset(
    {
        "invalid_request_error",
        "invalid_argument",
        "badrequesterror",
        "bad_request",
        "bad_request_error",
        "context_length_exceeded",
        "content_filter",
        "content_policy_violation",
        "string_above_max_length",
        "unsupported_parameter",
        "unsupported_value",
        "validation_error",
        "unprocessable_entity",
    }
)

KEY_REFUSED = ("incorrect api key", "invalid api key")
"""xAI answers a wrong key with status 400 and nothing but this text to tell it by."""


@attrs.frozen(kw_only=True)
class Told:
    """What an error body says. ``status`` is one named in the body itself."""

    message: str = ""
    type: str | None = None
    code: str | None = None
    param: Any = None
    event_id: str | None = None
    status: int | None = None
    retry_after_s: float | None = None


def read_error(value: Any) -> Told | None:  # noqa: ANN401  any JSON value
    """The error in the decoded JSON ``value``; ``None`` if it has the shape of none."""
    match value:
        case [dict(), *_]:
            return _read_list([item for item in value if isinstance(item, dict)])
        case {"error": dict() as error} if error:
            return _read_object(error, value)
        case {"error": str() | list() as text} if text:
            return Told(message=_text(text), code=_word(value.get("code")), **_outer(value))
        case {"message": str() | dict() as message} if message:
            return _read_flat(_text(message) or _text(value.get("detail")), value)
        case {"detail": str() | list() | dict() as detail} if detail:
            return _read_flat(_text(detail), value)
        case _:
            return None


def _read_list(items: list[dict[str, Any]]) -> Told | None:
    told = [error for item in items if (error := read_error(item)) is not None]
    if not told:
        return None
    return attrs.evolve(told[0], message=_cut("\n".join(one.message for one in told)))


def _read_object(error: dict[str, Any], outer: dict[str, Any]) -> Told | None:
    told = Told(
        message=_text(error.get("message")),
        # Google's ``status`` is a word such as RESOURCE_EXHAUSTED.
        type=_word(error.get("type")) or _name(error.get("status")),
        code=_word(error.get("code")),
        param=error.get("param"),
        event_id=_word(error.get("event_id")) or _word(outer.get("event_id")),
        status=_status(error.get("code"), error.get("status"), outer.get("status_code")),
        retry_after_s=_retry_delay(error.get("details")),
    )
    return told if told.message or told.type or told.code else None


def _read_flat(message: str, value: dict[str, Any]) -> Told:
    return Told(
        message=message,
        type=_word(value.get("type")),
        code=_word(value.get("code")),
        param=value.get("param"),
        **_outer(value),
    )


def _outer(value: dict[str, Any]) -> dict[str, Any]:
    status = _status(value.get("code"), value.get("status_code"), value.get("status"))
    return {"event_id": _word(value.get("event_id")), "status": status}


def _text(value: object) -> str:
    """A text out of the places where providers hide it: FastAPI's ``[{loc, msg}]`` among them."""
    match value:
        case str():
            return _cut(value)
        case list():
            return _cut("; ".join(filter(None, map(_text, value))))
        case {"msg": str(text), "loc": list(path)} if path:
            return _cut(f"{text} [{'.'.join(map(str, path))}]")
        case {"message": inner} | {"msg": inner} | {"detail": inner} | {"error": inner}:
            return _text(inner)
        case _:
            return ""


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"


def _word(value: object) -> str | None:
    """A code or type: text, or a number told as text."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return str(value)
    return _name(value)


def _name(value: object) -> str | None:
    return value[:200] if isinstance(value, str) and value else None


def _status(*candidates: object) -> int | None:
    for value in candidates:
        if isinstance(value, str) and len(value) == 3 and value.isascii() and value.isdigit():
            value = int(value)  # noqa: PLW2901  some tell it as text
        if isinstance(value, int) and 400 <= value <= 599:
            return value
    return None


def _retry_delay(details: object) -> float | None:
    """``google.rpc.RetryInfo``: seconds with an ``s``, in the details of an error."""
    if not isinstance(details, list):
        return None
    for detail in details:
        delay = detail.get("retryDelay") if isinstance(detail, dict) else None
        if isinstance(delay, str) and delay.endswith("s"):
            seconds = delay[:-1]
            if seconds.isascii() and seconds.replace(".", "", 1).isdigit() and len(seconds) < 12:
                return float(seconds)
    return None


def classify(status: int | None, told: Told) -> ErrorClass:
    """The class of a failure with HTTP ``status``; ``None`` (or a 2xx) if only the body tells it.

    409 is NOT_FOUND: it falls back, is not retried, and is no key's fault. 408 is SERVER: it is retried.
    """
    words = {word.lower() for word in (told.code, told.type) if word}
    if words & QUOTA or status == 402:
        return ErrorClass.QUOTA
    if status == 401 or (status == 400 and _is_about_key(told, words)):
        return ErrorClass.AUTH
    if status in {400, 403, 404} and _is_about_model(told, words):
        return ErrorClass.NOT_FOUND
    # 413: groq calls a body above a key's tokens a minute a rate limit; every key it goes to would rest for it.
    if status == 429 or (status not in {404, 409, 413} and _is_limit(told, words, status)):
        return ErrorClass.RATE_LIMIT
    if status is None or status < 400 or status > 599:
        return _by_words(words) if status is None or 200 <= status < 300 else ErrorClass.SERVER
    return _by_status(status)


def _is_about_key(told: Told, words: set[str]) -> bool:
    """Whether a 400 is about the key: xAI says so in words only, Google by a reason."""
    return "api_key_invalid" in words or told.message.lower().startswith(KEY_REFUSED)


def _is_about_model(told: Told, words: set[str]) -> bool:
    """Whether the key may do everything but use this model, or nobody can."""
    return (told.param == "model" and "model_not_found" in words) or any(
        word in UNKNOWN_MODEL or word.startswith("model_") for word in words
    )


def _is_limit(told: Told, words: set[str], status: int | None) -> bool:
    if status == 400 and "context_length_exceeded" in words:
        return False
    texts = (told.message.lower(), *words)
    if any(word in text for text in texts for word in HOPELESS):
        return False
    return bool(words & LIMITED) or any(phrase in text for text in texts for phrase in PHRASES)


def _by_status(status: int) -> ErrorClass:
    match status:
        case 403:
            return ErrorClass.AUTH
        case 404 | 409:
            return ErrorClass.NOT_FOUND
        case 408:
            return ErrorClass.SERVER
        case _:
            return ErrorClass.CLIENT if status < 500 else ErrorClass.SERVER


def _by_words(words: set[str]) -> ErrorClass:
    if words & AUTH:
        return ErrorClass.AUTH
    if words & UNKNOWN_MODEL or any(word.startswith("model_not") for word in words):
        return ErrorClass.NOT_FOUND
    return ErrorClass.CLIENT if words & CALLERS_FAULT else ErrorClass.SERVER


HONEST_STATUS = {
    ErrorClass.RATE_LIMIT: 429,
    ErrorClass.AUTH: 401,
    ErrorClass.QUOTA: 402,
    ErrorClass.NOT_FOUND: 404,
    ErrorClass.CLIENT: 400,
}


def told_error(
    told: Told,
    status: int | None,
    scrub: Callable[[str], str],
    *,
    retry_after_s: float | None = None,
    cause: str | None = None,
    raw_response: bytes | None = None,
) -> UpstreamError:
    """The error to raise for ``told``. ``status`` is the HTTP status, ``None`` inside a 200.

    Told to the caller is the upstream's own 4xx or 5xx, else the one in the body, else what its class stands for.
    """
    known = status if status is not None and 400 <= status <= 599 else told.status
    error_class = classify(status if known is None else known, told)
    if known is None:
        known = HONEST_STATUS.get(error_class, 502)
    return UpstreamError(
        scrub(told.message) if told.message.strip() else f"provider API error (status {known})",
        status=known,
        type=told.type and scrub(told.type),
        code=told.code and scrub(told.code),
        param=scrub_value(scrub, told.param),
        event_id=told.event_id and scrub(told.event_id),
        cause=cause and scrub(cause),
        retry_after_s=told.retry_after_s if retry_after_s is None else retry_after_s,
        error_class=error_class,
        raw_response=raw_response and scrub(json_text(raw_response)).encode(),
    )


def json_text(body: bytes) -> str:
    """A body as text, whatever it is."""
    return body.decode("utf-8", "replace")


def read_error_body(body: bytes, scrub: Callable[[str], str] = str) -> Told | None:
    """As ``read_error``, from the bytes; ``None`` also if they are no JSON.

    They are scrubbed before anything is cut, lest half a key be left standing at the cut.
    """
    try:
        return read_error(json.loads(scrub(json_text(body))))
    except json.InvalidJSON:
        return None
