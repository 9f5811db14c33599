"""What there is to know of a provider apart from its configuration: a row of ``providers.table``."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import attrs

from bifrost.dialects.openai_chat_request import STANDARD, Quirks
from bifrost.providers.rate_headers import RateFamily
from bifrost.schema.call import Operation

__all__ = ["PATHS", "ProviderSpec"]

PATHS: Mapping[Operation, str] = MappingProxyType(
    {Operation.CHAT: "/v1/chat/completions", Operation.LIST_MODELS: "/v1/models"}
)
"""OpenAI's own."""


@attrs.frozen(kw_only=True)
class ProviderSpec:
    """One provider of the OpenAI family."""

    name: str
    base_url: str | None
    """``None``: it is where the operator says, nowhere else."""
    paths: Mapping[Operation, str] = PATHS
    """Its operations, each with its path."""
    auth: Literal["bearer", "none"] = "bearer"
    """How the key is sent; one without a value is not sent."""
    may_be_blank: bool = False
    """Whether its keys may have no value."""
    has_key_urls: bool = False
    """Whether a key may have an address of its own."""
    quirks: Quirks = STANDARD
    ends_without_done: bool = False
    """Its streams end at the finish reason, without ``[DONE]``."""
    rate_family: RateFamily = "openai"
