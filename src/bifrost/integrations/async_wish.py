"""Whether a request's headers ask for an asynchronous job; and how a route says that it has none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bifrost.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bifrost.integrations.headers import HeaderLines

__all__ = ["NOT_FOR_FILES", "NOT_HERE", "asks_async", "polled_id", "refuse_async"]

SUBMIT = b"x-bf-async"
POLL = b"x-bf-async-id"

OFF = frozenset({b"", b"0", b"false"})

NOT_HERE = "async operation is not supported on this route"
NOT_FOR_FILES = "async is not supported for batch, file, or container operations"


def asks_async(sent: Mapping[bytes, bytes]) -> bool:
    """Whether ``sent`` (header names in lower case; the first of a name) hands a job in or asks for one."""
    if SUBMIT not in sent and POLL not in sent:
        return False
    return polled_id(sent) != "" or sent.get(SUBMIT, b"").strip().lower() not in OFF


def polled_id(sent: Mapping[bytes, bytes]) -> str:
    """The job that is asked for, which counts more than the wish to hand one in; empty for none."""
    return sent.get(POLL, b"").strip().decode("latin-1")


def refuse_async(headers: HeaderLines, why: str) -> None:
    """For routes without jobs. Raises BadRequest saying ``why`` if ``headers`` (names in lower case) ask for one."""
    if asks_async(dict(reversed(headers))):
        raise BadRequest(why)
