"""What every configuration store does, whatever engine is below it."""

from __future__ import annotations

import pytest
import trio

from bifrost.config.nouns import ANY, NONE, Noun, Put
from bifrost.store import config_table
from bifrost.store.config_base import (
    MAX_BODY_BYTES,
    ConfigStore,
    CounterRow,
    Loaded,
    StoreConflict,
    StoreError,
    StoreFull,
    StoreTaken,
)
from store.config_fakes import NOW_S, bodies, put, remove


async def test_a_new_store_is_empty(store: ConfigStore) -> None:
    assert await store.load() == Loaded()


async def test_what_was_put_comes_back_in_the_order_of_its_making(store: ConfigStore) -> None:
    body = {"id": "b", "name": "ü\0€", "deep": [1, 2.5, None, True, {"a": "'; DROP TABLE x"}]}

    made = await store.write([put("b", body=body), put("a")], NOW_S)
    again = await store.write([put("b", made[0].version, body=body, file_hash="h")], NOW_S + 1)

    loaded = await store.load()
    assert loaded.nouns == (*again, made[1])
    assert again[0] == Noun(
        kind="team",
        id="b",
        body=body,
        version=3,
        file_hash="h",
        changed_by_api=True,
        created_unix_s=NOW_S,
        updated_unix_s=NOW_S + 1,
    )
    assert loaded.revision == 3


@pytest.mark.parametrize("expected", [ANY, 1])
async def test_a_change_is_made_at_the_version_expected(
    store: ConfigStore, expected: int | None
) -> None:
    await store.write([put("a")], NOW_S)

    await store.write([put("a", expected, body={"id": "new"})], NOW_S)

    assert bodies(await store.load()) == {"a": {"id": "new"}}
    await store.write([remove("a", 2)], NOW_S)
    assert (await store.load()).nouns == ()


@pytest.mark.parametrize(
    ("is_there", "expected", "present"), [(True, 2, 1), (True, NONE, 1), (False, 1, None)]
)
async def test_a_change_is_refused_at_another_version(
    store: ConfigStore, is_there: bool, expected: int, present: int | None
) -> None:
    await store.write([put("a")] if is_there else [], NOW_S)
    before = await store.load()

    for change in (put("a", expected, body={"id": "new"}), remove("a", expected)):
        with pytest.raises(StoreConflict, match=r"team 'a' was changed meanwhile") as caught:
            await store.write([put("x"), change], NOW_S)
        assert caught.value.present == present
        assert await store.load() == before


async def test_of_two_who_change_the_same_the_second_is_told(store: ConfigStore) -> None:
    (made,) = await store.write([put("a")], NOW_S)
    (mine,) = await store.write([put("a", made.version)], NOW_S)

    with pytest.raises(StoreConflict) as caught:
        await store.write([put("a", made.version)], NOW_S)

    assert caught.value.present == mine.version


async def test_a_version_never_comes_twice(store: ConfigStore) -> None:
    (first,) = await store.write([put("a")], NOW_S)
    await store.write([remove("a")], NOW_S)
    (second,) = await store.write([put("a")], NOW_S)

    assert second.version > first.version
    with pytest.raises(StoreConflict):
        await store.write([remove("a", first.version)], NOW_S)


async def test_a_name_is_one_nouns(store: ConfigStore) -> None:
    await store.write([put("a", unique=("key.name:prod", "key.id:1"))], NOW_S)

    with pytest.raises(StoreTaken, match=r"^key\.name is taken by team 'a'$") as caught:
        await store.write([put("x"), put("b", unique=("key.name:prod",))], NOW_S)

    assert (caught.value.kind, caught.value.id) == ("team", "a")
    assert bodies(await store.load()).keys() == {"a"}


async def test_two_of_one_write_cannot_share_a_name(store: ConfigStore) -> None:
    with pytest.raises(StoreTaken):
        await store.write([put("a", unique=("n:1",)), put("b", unique=("n:1",))], NOW_S)

    assert await store.load() == Loaded()


async def test_names_can_be_swapped_and_are_free_once_given_up(store: ConfigStore) -> None:
    await store.write([put("a", unique=("n:1",)), put("b", unique=("n:2",))], NOW_S)

    await store.write([put("a", ANY, unique=("n:2",)), put("b", ANY, unique=("n:1",))], NOW_S)
    await store.write([remove("a"), put("c", unique=("n:2",))], NOW_S)

    assert list(bodies(await store.load())) == ["b", "c"]


async def test_what_the_file_has_leaves_a_mark_when_it_is_removed(store: ConfigStore) -> None:
    await store.write([put("a", file_hash="h", unique=("n:1",), sealed_with="k")], NOW_S)

    await store.write([remove("a"), put("b", unique=("n:1",))], NOW_S + 5)
    await store.write([remove("a")], NOW_S + 9)

    loaded = await store.load()
    (mark,) = loaded.removed
    assert bodies(loaded).keys() == {"b"}
    assert (mark.id, mark.body, mark.file_hash, mark.changed_by_api) == ("a", {}, "h", True)
    assert (mark.sealed_with, mark.updated_unix_s) == (None, NOW_S + 5)
    with pytest.raises(StoreConflict):
        await store.write([put("a", 1)], NOW_S)


async def test_a_removed_noun_can_be_made_again_and_removed_for_good(store: ConfigStore) -> None:
    await store.write([put("a", file_hash="h")], NOW_S)
    await store.write([put("b")], NOW_S)
    await store.write([remove("a")], NOW_S)

    (made,) = await store.write([put("a")], NOW_S + 7)

    assert list(bodies(await store.load())) == ["b", "a"]
    assert (made.file_hash, made.created_unix_s) == ("h", NOW_S + 7)
    await store.write([remove("a", for_good=True)], NOW_S)
    loaded = await store.load()
    assert list(bodies(loaded)) == ["b"]
    assert loaded.removed == ()


async def test_a_mark_can_be_taken_away(store: ConfigStore) -> None:
    await store.write([put("a", file_hash="h")], NOW_S)
    await store.write([remove("a")], NOW_S)
    (mark,) = (await store.load()).removed

    await store.write([remove("a", mark.version, for_good=True)], NOW_S)

    assert (await store.load()).removed == ()


async def test_a_write_of_nothing_does_nothing(store: ConfigStore) -> None:
    assert await store.write([], NOW_S) == ()
    assert await store.load() == Loaded()


@pytest.mark.parametrize(
    ("change", "kind", "told"),
    [
        (put("a\0"), StoreError, "a name with a NUL character"),
        (put("a", unique=("n:\0",)), StoreError, "a name with a NUL character"),
        (put("a", body={"a": {1, 2}}), StoreError, "no JSON"),
        (put("a", body={"a": "\ud800"}), StoreError, "no Unicode"),
        (put("a\ud800", body={}), StoreError, "no Unicode"),
        (put("a", body={"a": "x" * MAX_BODY_BYTES}), StoreFull, "more than 1048576 bytes"),
    ],
)
async def test_what_cannot_be_kept_is_refused(
    store: ConfigStore, change: Put, kind: type[StoreError], told: str
) -> None:
    with pytest.raises(kind, match=told):
        await store.write([put("x"), change], NOW_S)

    assert await store.load() == Loaded()


async def test_the_same_noun_twice_is_refused(store: ConfigStore) -> None:
    with pytest.raises(StoreError, match="twice"):
        await store.write([put("a"), remove("a")], NOW_S)


async def test_there_is_a_bound(store: ConfigStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config_table, "MAX_NOUNS", 2)
    monkeypatch.setattr(config_table, "MAX_COUNTERS", 1)

    with pytest.raises(StoreFull, match="more than 2 nouns"):
        await store.write([put("a"), put("b"), put("c")], NOW_S)
    with pytest.raises(StoreFull, match="too many counters"):
        await store.write_counters({"a": CounterRow(1, 1.0), "b": CounterRow(1, 1.0)})

    assert await store.load() == Loaded()


async def test_counters_are_replaced_but_never_by_a_former_period(store: ConfigStore) -> None:
    large = 2**62
    await store.write_counters({"a": CounterRow(5, 10.0), "b": CounterRow(large, 10.25)})

    await store.write_counters({"a": CounterRow(3, 10.0), "b": CounterRow(9, 9.0)})
    loaded = await store.load()
    await store.write_counters({"b": CounterRow(0, 11.0)})
    await store.forget_counters(["a", "unknown"])

    assert loaded.counters == {"a": CounterRow(3, 10.0), "b": CounterRow(large, 10.25)}
    assert loaded.revision == 0
    assert (await store.load()).counters == {"b": CounterRow(0, 11.0)}


async def test_settings_are_put_and_taken_away(store: ConfigStore) -> None:
    await store.write_settings({"a": "1", "b": "x"})
    await store.write_settings({"a": "2", "b": None, "c": None})

    assert (await store.load()).settings == {"a": "2"}


async def test_a_session_lasts_until_its_end(store: ConfigStore) -> None:
    await store.add_session("s", NOW_S + 10, NOW_S)

    assert await store.find_session("s", NOW_S + 9.5) == NOW_S + 10
    assert await store.find_session("s", NOW_S + 10) is None
    assert await store.find_session("t", NOW_S) is None


async def test_sessions_are_ended(store: ConfigStore) -> None:
    for name in "abc":
        await store.add_session(name, NOW_S + 10, NOW_S)

    await store.end_session("a")
    left = [await store.find_session(name, NOW_S) for name in "abc"]
    await store.end_all_sessions()

    assert left == [None, NOW_S + 10, NOW_S + 10]
    assert await store.find_session("b", NOW_S) is None


async def test_sessions_are_bounded_and_swept(
    store: ConfigStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config_table, "MAX_SESSIONS", 2)
    await store.add_session("over", NOW_S + 1, NOW_S)
    await store.add_session("long", NOW_S + 30, NOW_S + 2)
    await store.add_session("short", NOW_S + 10, NOW_S + 2)
    found = await store.find_session("over", NOW_S)

    await store.add_session("shorter", NOW_S + 5, NOW_S + 2)

    left = [await store.find_session(name, NOW_S + 2) for name in ("long", "short", "shorter")]
    assert found is None
    assert left == [NOW_S + 30, None, NOW_S + 5]


async def test_cancelled_anywhere_a_write_is_made_in_whole_or_not_at_all(
    store: ConfigStore,
) -> None:
    await store.load()
    for rounds in range(8):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.write, [put(f"a{rounds}"), put(f"b{rounds}")], NOW_S)
            for _ in range(rounds):
                await trio.sleep(0.0005)
            nursery.cancel_scope.cancel()

        names = bodies(await store.load()).keys() & {f"a{rounds}", f"b{rounds}"}
        assert len(names) in (0, 2)
    # Whatever was given up, the store goes on.
    await store.write([put("last")], NOW_S)


async def test_writers_at_the_same_time_come_one_after_another(store: ConfigStore) -> None:
    await store.write([put("a", body={"n": 0})], NOW_S)
    lost = 0

    async def add() -> None:
        nonlocal lost
        while True:
            (noun,) = (await store.load()).nouns
            body = {"n": int(str(noun.body["n"])) + 1}
            try:
                await store.write([put("a", noun.version, body=body)], NOW_S)
            except StoreConflict:
                lost += 1
            else:
                return

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(add)

    assert bodies(await store.load()) == {"a": {"n": 5}}
    assert lost > 0
