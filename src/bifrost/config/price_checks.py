"""What must hold of prices of the operator's own: of ``governance.pricing_overrides``, and of a provider's in version 1.4."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

from bifrost.config.faults import below, item, kind_of, nearest, shown
from bifrost.config.price_fields import PRICE_NAMES, is_price_name, patch_members, read_price

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bifrost.config.governance_section import PricingOverrideSection
    from bifrost.config.walk import Place, Walk

__all__ = ["OLD_MEMBERS", "SCOPES", "check_old_override", "pricing_override"]

SCOPES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "virtual_key_provider_key": frozenset({"virtual_key_id", "provider_key_id"}),
        "virtual_key_provider": frozenset({"virtual_key_id", "provider_id"}),
        "virtual_key": frozenset({"virtual_key_id"}),
        "provider_key": frozenset({"provider_key_id"}),
        "provider": frozenset({"provider_id"}),
        "global": frozenset(),
    }
)
"""The ids that a scope needs; it may have no others. The most specific first."""

IDS = ("virtual_key_id", "provider_id", "provider_key_id")
MATCH_TYPES = ("exact", "wildcard", "regex")
OLD_MEMBERS = frozenset({"model_pattern", "match_type", "request_types"})
"""Of version 1.4's overrides, which have their prices beside these."""

REQUEST_TYPES = (
    "chat_completion",
    "text_completion",
    "responses",
    "embedding",
    "rerank",
    "speech",
    "transcription",
    "image_generation",
    "image_variation",
    "image_edit",
    "video_generation",
    "video_remix",
)
A_REQUEST_TYPE = ", ".join(REQUEST_TYPES)


def pricing_override(
    walk: Walk, section: PricingOverrideSection, place: Place
) -> PricingOverrideSection:
    """Check one of ``governance.pricing_overrides``."""
    path = place.path
    if walk.is_sound(path, "scope_kind", *IDS):
        _check_ids(walk, section, path)
    if walk.is_sound(path, "request_types"):
        if not section.request_types:
            walk.error(below(path, "request_types"), "none", f"at least one of {A_REQUEST_TYPE}")
        _check_types(walk, section.request_types, path)
    if walk.is_sound(path, "match_type", "pattern") and section.match_type == "wildcard":
        _check_wildcard(walk, section.pattern, below(path, "pattern"))
    if walk.is_sound(path, "pricing_patch"):
        _check_patch(walk, section.pricing_patch, below(path, "pricing_patch"))
    return section


def _check_ids(walk: Walk, section: PricingOverrideSection, path: str) -> None:
    scope = section.scope_kind
    for name in IDS:
        value = getattr(section, name)
        if value is None and name in SCOPES[scope]:
            walk.error(below(path, name), "nothing", f"an id, for scope {scope}")
        if value is not None and name not in SCOPES[scope]:
            walk.error(below(path, name), "an id", f"nothing, for scope {scope}")


def _check_types(walk: Walk, types: Iterable[object], path: str) -> None:
    for index, each in enumerate(types):
        if each not in REQUEST_TYPES:
            walk.error(item(below(path, "request_types"), index), shown(each), A_REQUEST_TYPE)


def _check_wildcard(walk: Walk, pattern: str, path: str) -> None:
    if pattern.find("*") != len(pattern) - 1:
        walk.error(path, "no single * at its end", "the beginning of a name, and a *")


def _check_patch(walk: Walk, patch: str | Mapping[str, object], path: str) -> None:
    try:
        members = patch_members(patch)
    except ValueError as error:
        walk.error(path, str(error), "an object of prices, or its JSON text")
        return
    _check_prices(walk, members, path)


def _check_prices(walk: Walk, members: Mapping[str, object], path: str) -> None:
    for name, value in members.items():
        if not is_price_name(name):
            like = nearest(name, PRICE_NAMES)
            walk.error(below(path, name), "no price of that name", "the name of a price", like)
        elif read_price(value) is None:
            walk.error(below(path, name), shown(value), "a price in US dollars, 0 or more")


def check_old_override(walk: Walk, members: Mapping[str, object], path: str) -> None:
    """Check one of a provider's ``pricing_overrides``: a pattern, how it matches, and prices beside these."""
    pattern, match_type = members.get("model_pattern"), members.get("match_type")
    if not isinstance(pattern, str):
        walk.error(below(path, "model_pattern"), kind_of(pattern), "a model's name or pattern")
    elif match_type == "wildcard":
        _check_wildcard(walk, pattern, below(path, "model_pattern"))
    elif match_type == "regex":
        _check_expression(walk, pattern, below(path, "model_pattern"))
    if match_type not in MATCH_TYPES:
        walk.error(below(path, "match_type"), shown(match_type), " or ".join(MATCH_TYPES))
    types = members.get("request_types", ())
    if isinstance(types, list | tuple):
        _check_types(walk, types, path)
    else:
        walk.error(below(path, "request_types"), kind_of(types), "a list")
    prices = {name: value for name, value in members.items() if name not in OLD_MEMBERS}
    _check_prices(walk, prices, path)


def _check_expression(walk: Walk, pattern: str, path: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        walk.error(path, str(error), "a regular expression")
