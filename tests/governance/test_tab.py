"""What a hop is charged for things begun before: added to its own bill, once in sum."""

from __future__ import annotations

from bifrost.actors.paid_book import PaidBook
from bifrost.governance.tab import Tab
from bifrost.record import Bill, ToldUsage, Usage
from bifrost.schema.call import Operation

T0 = 1_700_000_000.0
OWN = Bill(requests=1, tokens=0, nano_usd=0)


def price(told: ToldUsage, key_id: str) -> int:
    assert told.usage is not None
    return told.usage.prompt_tokens * (10 if key_id == "dear" else 1)


def told(mark: str, tokens: int) -> ToldUsage:
    usage = Usage(prompt_tokens=tokens)
    return ToldUsage(mark=mark, operation=Operation.CHAT, usage=usage)


def settled(paid: PaidBook, *heard: ToldUsage, bill: Bill = OWN, key_id: str = "k") -> Bill:
    tab = Tab(price)
    for each in heard:
        tab.hear(each, key_id)
    assert tab.marks == {each.mark for each in heard}
    return tab.settled(bill, paid, T0)


def test_nothing_heard_leaves_a_bill_as_it_is() -> None:
    assert settled(PaidBook()) == OWN


def test_results_of_one_batch_add_up_and_are_paid_once() -> None:
    paid = PaidBook()
    results = [told("f", 3), told("f", 4), told("g", 5)]
    assert settled(paid, *results) == Bill(1, 12, 12)
    assert settled(paid, *results) == OWN


def test_who_reads_on_pays_the_rest() -> None:
    paid = PaidBook()
    assert settled(paid, told("f", 3)) == Bill(1, 3, 3)
    assert settled(paid, told("f", 3), told("f", 4)) == Bill(1, 4, 4)


def test_what_was_paid_at_its_beginning_is_part_of_what_it_came_to() -> None:
    paid = PaidBook()
    beginning = Bill(1, 100, 100, is_estimated=True)
    assert settled(paid, ToldUsage(mark="r"), bill=beginning) == beginning
    assert settled(paid, told("r", 130)) == Bill(1, 30, 30)
    assert settled(paid, told("r", 130)) == OWN


def test_what_was_told_before_its_beginning_has_ended_is_not_paid_again() -> None:
    paid = PaidBook()
    assert settled(paid, told("r", 130)) == Bill(1, 130, 130)
    streamed = Bill(1, 150, 150)
    assert settled(paid, ToldUsage(mark="r"), bill=streamed) == Bill(1, 20, 20)
    assert settled(paid, ToldUsage(mark="r"), bill=streamed) == OWN


def test_it_is_priced_by_the_key_that_it_was_got_with() -> None:
    assert settled(PaidBook(), told("f", 3), key_id="dear") == Bill(1, 3, 30)


def test_no_sum_is_more_than_a_database_can_keep() -> None:
    paid = PaidBook()
    found = settled(paid, *[told("f", 2**61)] * 9)
    assert found.tokens == 2**62
