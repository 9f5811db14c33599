"""What several providers with a dialect of their own do alike: keys sent as bearers, lists of models asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bifrost.config.secret import Token
from bifrost.dialects.openai_edit import Encoded
from bifrost.errors import ConfigurationMissing, UpstreamError
from bifrost.providers.foreign import ForeignCoder
from bifrost.providers.request_headers import header_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bifrost.config.settings import KeySettings
    from bifrost.dialects.base import AnswerFacts
    from bifrost.dialects.hub import Answer
    from bifrost.providers.base import Headers
    from bifrost.providers.foreign import Locate
    from bifrost.providers.place import Place
    from bifrost.schema.call import Call, Operation

__all__ = ["MAX_MODELS", "at_paths", "bearer", "key_in", "list_models"]

NO_BODY = Encoded(b"", content_type=None)

MAX_MODELS = 100_000
"""Of a list; what comes after them is left out."""


def at_paths(paths: Mapping[Operation, str]) -> Locate:
    """Places that depend on the operation only; ``paths`` have it for all that are asked for."""

    def locate(
        base: Place,
        operation: Operation,
        model: str,  # noqa: ARG001  others go by these
        key: KeySettings,  # noqa: ARG001  a Locate's
        *,
        stream: bool,  # noqa: ARG001  a Locate's
    ) -> Place:
        return base.at(paths[operation])

    return locate


def bearer(key: KeySettings) -> Headers:
    """``authorization``. Raises ConfigurationMissing for a key that no header may hold."""
    return key_in("authorization", key, "Bearer ")


def key_in(name: str, key: KeySettings, before: str = "") -> Headers:
    """The key in the header ``name``, behind ``before``; no line for one without a value. Raises ConfigurationMissing."""
    value = key.value.reveal().strip()
    if not value:
        return ()
    try:
        return (header_line(name, before + value),)
    except ValueError:
        what = "was lent a token" if isinstance(key.value, Token) else "holds characters"
        # Not chained: the codec's own error would hold the key.
        raise ConfigurationMissing(f'key "{key.name}" {what} that no header may hold') from None


def list_models() -> ForeignCoder:
    """A list of models that is got by GET; it is read by the row's ``decode_models``."""
    return ForeignCoder(encode=_no_body, read=_unread, method=b"GET")


def _no_body(call: Call, model: str, provider: str) -> Encoded:  # noqa: ARG001  a coder's
    return NO_BODY


def _unread(body: bytes, facts: AnswerFacts) -> Answer:  # noqa: ARG001  a coder's
    raise UpstreamError("a list of models is no answer")
