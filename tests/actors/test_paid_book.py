"""What is paid for: each thing once in sum, however often and by whomever it is told, through restarts and within bounds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bifrost.actors.ledger import Ledger
from bifrost.actors.ledger_messages import Counted
from bifrost.actors.paid_book import KEPT_S, PaidBook, is_mark_row
from bifrost.governance.levels import NOTHING, Amounts

T0 = 1_700_000_000.0
DAY_S = 86400.0


def amounts(tokens: int, nano_usd: int) -> Amounts:
    return Amounts(tokens=tokens, nano_usd=nano_usd)


def test_who_comes_later_pays_the_rest() -> None:
    book = PaidBook()
    assert book.claim("a", amounts(10, 100), T0) == amounts(10, 100)
    assert book.claim("a", amounts(10, 100), T0) == NOTHING
    assert book.claim("a", amounts(15, 90), T0) == amounts(5, 0)
    assert book.claim("a", amounts(15, 100), T0) == NOTHING
    assert book.claim("b", amounts(1, 1), T0) == amounts(1, 1)


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), min_size=1))
def test_in_sum_the_most_that_was_told_is_paid(told: list[tuple[int, int]]) -> None:
    book = PaidBook()
    due = [book.claim("a", amounts(*each), T0) for each in told]
    assert sum(each.tokens for each in due) == max(tokens for tokens, _ in told)
    assert sum(each.nano_usd for each in due) == max(nano for _, nano in told)


def test_only_what_was_charged_is_written_and_once() -> None:
    book = PaidBook()
    book.claim("a", amounts(10, 100), T0)
    assert book.take_changes() == {}
    book.write({"a", "never told of"})
    rows = book.take_changes()
    assert sorted(row.used for row in rows.values()) == [10, 100]
    assert all(map(is_mark_row, rows))
    assert book.take_changes() == {}


def test_a_restart_forgets_nothing() -> None:
    book, next_book = PaidBook(), PaidBook()
    book.claim("openai:file-1", amounts(10, 0), T0)
    book.claim("openai:file-2", amounts(0, 0), T0)
    book.write({"openai:file-1", "openai:file-2"})
    next_book.restore(book.take_changes(), T0 + DAY_S)
    assert next_book.claim("openai:file-1", amounts(10, 7), T0) == amounts(0, 7)
    assert len(next_book) == 2
    assert next_book.take_gone() == frozenset()


def test_what_was_told_while_the_store_was_away_stays() -> None:
    book = PaidBook()
    book.claim("a", amounts(10, 100), T0)
    book.restore({"!paid:tokens:a": Counted(15, T0 - 1)}, T0)
    assert book.claim("a", amounts(20, 100), T0) == amounts(5, 0)


def test_old_marks_go() -> None:
    book = PaidBook()
    rows = {"!paid:tokens:old": Counted(1, T0), "!paid:tokens:new": Counted(1, T0 + DAY_S)}
    book.restore(rows, T0 + KEPT_S + 1)
    assert len(book) == 1
    assert book.take_gone() == {"!paid:tokens:old", "!paid:nano_usd:old"}
    assert book.take_gone() == frozenset()


def test_the_one_longest_untold_of_is_forgotten_first() -> None:
    book = PaidBook(marks_max=2)
    for mark in ("a", "b", "a", "c"):
        book.claim(mark, amounts(1, 1), T0)
    book.write({"a", "b", "c"})
    assert len(book.take_changes()) == 4
    assert book.take_gone() == {"!paid:tokens:b", "!paid:nano_usd:b"}
    assert book.claim("b", amounts(1, 1), T0) == amounts(1, 1), "told anew"
    assert "!paid:tokens:b" not in book.take_gone()


def test_without_anybody_to_take_them_they_are_bounded_all_the_same() -> None:
    book = PaidBook(marks_max=3)
    for number in range(100):
        book.claim(f"m{number}", amounts(1, 1), T0)
        book.write({f"m{number}"})
    assert len(book) == 3
    assert len(book.take_changes()) == 6
    assert len(book.take_gone()) == 6


def test_no_view_of_counters_shows_them() -> None:
    ledger = Ledger(wall=lambda: T0)
    rows = {"!paid:tokens:a": Counted(15, T0), "vk:budget": Counted(7, T0)}
    ledger.restore(rows)
    book = ledger._book
    assert set(book.usage(None)) == {"vk:budget"}
    book.forget({"vk:budget"})
    assert len(ledger.paid) == 1
    assert book.take_changes() == {}
