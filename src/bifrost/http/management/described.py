"""How management routes are described."""

from __future__ import annotations

from bifrost.integrations.openapi import ERROR_STATUSES, About, Access, Parameter
from bifrost.integrations.openapi_parts import JSON

__all__ = ["FAILURES", "PAGING", "about"]

FAILURES = tuple(sorted({*ERROR_STATUSES, "404"}))
"""What a management request may fail with."""

PAGING = (
    Parameter(
        "limit", "How many, 1000 at most.", {"type": "integer", "minimum": 1, "maximum": 1000}
    ),
    Parameter("offset", "How many to pass over.", {"type": "integer", "minimum": 0}),
)


def about(
    summary: str,
    tag: str,
    answer: str = "",
    *,
    body: str = "",
    query: tuple[Parameter, ...] = (),
    access: Access = Access.MANAGEMENT,
) -> About:
    """``answer`` and ``body`` name schemas of the management API, without ``management_``; an answer is else any object."""
    return About(
        summary=summary,
        tag=tag,
        bodies={JSON: f"management_{body}"} if body else {},
        answers={JSON: f"management_{answer}" if answer else "object"},
        query=query,
        statuses=FAILURES,
        access=access,
        is_open=access is Access.PUBLIC,
    )
