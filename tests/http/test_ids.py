from __future__ import annotations

import uuid

from bifrost.http.ids import AT_ONCE, RandomIds


def test_ids_are_uuids_of_version_4_and_never_the_same() -> None:
    new_id = RandomIds()
    made = [new_id() for _ in range(3 * AT_ONCE)]

    assert len(set(made)) == len(made)
    for each in made:
        parsed = uuid.UUID(each)
        assert (str(parsed), parsed.version, parsed.variant) == (each, 4, uuid.RFC_4122)
