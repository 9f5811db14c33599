"""Two hundred worlds, each of which must keep what the gateway promises."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import pytest

from actors.scripted import chunk, streamed
from simulation.faults import Deed, draw
from simulation.world import simulate

if TYPE_CHECKING:
    from random import Random

    from actors.scripted import Seen

SEEDS = 200
SHARE = 20


@pytest.mark.parametrize("first", range(0, SEEDS, SHARE))
def test_every_promise_holds(first: int) -> None:
    for seed in range(first, first + SHARE):
        report = simulate(seed)
        told = "; ".join(report.faults)
        assert not report.faults, f"seed {seed}: {told}\nreplay: scripts/simulate --seed {seed}"


def test_one_seed_gives_one_trace() -> None:
    assert simulate(11).trace == simulate(11).trace
    assert simulate(11).digest != simulate(12).digest


def test_all_kinds_of_fault_come_up() -> None:
    kinds = {line.split()[-1] for seed in range(40) for line in simulate(seed).trace}

    assert {"cut", "short", "stall", "error_event", "garbage", "refused", "never", "429"} <= kinds


def test_a_cut_that_looks_whole_is_caught() -> None:
    def lying(rng: Random, seen: Seen, tag: str) -> Deed:
        if b'"stream":true' not in seen.body:
            return draw(rng, seen, tag)
        return Deed("lie", streamed(chunk(tag)), tag, whole=False)

    assert any("looks whole" in fault for fault in simulate(3, deed=lying).faults)


def test_a_key_in_an_answer_is_caught() -> None:
    def telling(rng: Random, seen: Seen, tag: str) -> Deed:
        deed = draw(rng, seen, tag)
        if b'"stream":true' not in seen.body:
            return deed
        answer = streamed(chunk(f"{tag} your key is {seen.key}"))
        return attrs.evolve(deed, kind="told", answer=answer, whole=True)

    assert any("a key was told" in fault for fault in simulate(3, deed=telling).faults)
