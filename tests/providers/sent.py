"""What a request says, for tests."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bifrost.providers.base import UpstreamRequest


def sent_json(request: UpstreamRequest) -> Any:
    """The JSON body of ``request``."""
    assert isinstance(request.body, bytes)
    return json.loads(request.body)
