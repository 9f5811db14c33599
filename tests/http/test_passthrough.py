from __future__ import annotations

import pytest

from bifrost.http.passthrough import looked_at
from bifrost.http.received import JSON_BYTES
from bifrost.integrations.passthrough import NOTHING_SAID, TOO_LONG, Said
from bifrost.schema.payload import BytesPayload


class Long(BytesPayload):
    """Says that it is longer than may be read."""

    @property
    def size(self) -> int:
        return JSON_BYTES + 1


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (BytesPayload(b""), NOTHING_SAID),
        (BytesPayload(b"a file"), NOTHING_SAID),
        (Long(b"a file"), NOTHING_SAID),
        (Long(b" {"), TOO_LONG),
        (BytesPayload(b'{"model":"m"}'), Said(model="m", json=b'{"model":"m"}')),
    ],
)
async def test_what_could_be_an_object_is_looked_at(payload: BytesPayload, said: Said) -> None:
    body, found = await looked_at(payload, b"text/plain")

    assert found == said
    assert body in {payload, b"", said.json}
