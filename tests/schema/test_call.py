from __future__ import annotations

from typing import Any

import attrs
import pytest

from bifrost.schema.call import (
    Call,
    Caller,
    Dialect,
    Identity,
    Native,
    Operation,
    Relay,
    Routing,
    Target,
)

TARGET = Target("openai", "gpt")


@pytest.mark.parametrize(
    "shared",
    [
        TARGET,
        Caller(),
        Identity(),
        Routing(),
        Relay(method="GET", path="/v1/files"),
        Native(dialect=Dialect.ANTHROPIC, members={}),
        Call(id="1", operation=Operation.CHAT, stream=False, target=TARGET),
    ],
    ids=lambda shared: type(shared).__name__,
)
def test_nobody_changes_what_calls_share(shared: Any) -> None:
    """A plugin is no friend of the type checker's, and a caller who says the same again is the same ``Caller``."""
    for field in attrs.fields(type(shared)):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(shared, field.name, None)
