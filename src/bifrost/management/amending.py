"""What a change by hand makes of a noun's body. Pure.

A change says what is to be otherwise: what it does not name stays, ``null`` takes away, a list is the whole new list, and a
section is changed member by member. Source of the rule: RFC 7396.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bifrost.config.bodies import canonical
from bifrost.config.redaction import restored

if TYPE_CHECKING:
    from bifrost.config.nouns import Body

__all__ = ["amended", "created", "merged"]


def merged(present: Body, change: Body) -> dict[str, Any]:
    """``present`` with ``change`` merged in. A ``null`` for what is not there stays, for a check to see its name."""
    result = dict(present)
    for name, value in change.items():
        if value is None and name in result:
            del result[name]
        elif isinstance(value, Mapping):
            former = result.get(name)
            result[name] = merged(former if isinstance(former, Mapping) else {}, value)
        else:
            result[name] = value
    return result


def amended(kind: str, present: Body, change: Body) -> dict[str, Any]:
    """The body of a noun after ``change``, in the spelling that is written back.

    What is shown redacted and sent back is unchanged. Raises ConfigErrors for something redacted that there is nothing
    behind; everything else is checked with the whole configuration.
    """
    former = canonical(kind, present)
    return canonical(kind, merged(former, restored(kind, change, former)))


def created(kind: str, sent: Body) -> dict[str, Any]:
    """The body of a new noun. Raises ConfigErrors for something redacted, which stands for nothing yet."""
    return amended(kind, {}, sent)
