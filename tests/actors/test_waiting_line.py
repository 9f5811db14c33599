from __future__ import annotations

import math

from actors.fakes import need
from bifrost.actors.mailbox import Reply
from bifrost.actors.messages import Acquire
from bifrost.actors.waiting_line import Line


def ask(deadline_s: float = math.inf, *, priority: bool = False) -> Acquire:
    return Acquire(need=need(), reply=Reply(), draw=0.0, deadline_s=deadline_s, priority=priority)


def test_retries_stand_before_the_others_each_in_order() -> None:
    line = Line()
    asks = [ask(), ask(priority=True), ask(), ask(priority=True)]
    for one in asks:
        line.join(one, 0.0)

    assert [waiter.ask for waiter in line] == [asks[1], asks[3], asks[0], asks[2]]
    assert len(line) == 4


def test_leaving_is_told_once() -> None:
    line, one = Line(), ask()
    line.join(one, 0.0)

    assert line.leave(one.reply)
    assert not line.leave(one.reply)
    assert line.first() is None


def test_the_earliest_deadline_of_those_who_still_stand_counts() -> None:
    line, early, late = Line(), ask(3.0), ask(7.0, priority=True)
    line.join(late, 0.0)
    line.join(early, 0.0)
    assert line.next_deadline_s() == 3.0
    assert line.overdue(2.9) is None

    line.leave(early.reply)

    assert line.next_deadline_s() == 7.0
    overdue = line.overdue(7.0)
    assert overdue is not None
    assert overdue.ask is late


def test_nobody_in_a_hurry_means_no_deadline() -> None:
    line = Line()
    line.join(ask(), 0.0)

    assert line.next_deadline_s() == math.inf


def test_deadlines_of_those_who_left_are_swept_out() -> None:
    line = Line()
    for number in range(1000):
        one = ask(1e6 + number)
        line.join(one, 0.0)
        line.leave(one.reply)

    assert len(line._deadlines) <= 66
