"""Threads that work on parts of a batch: sums over all of them, and what happens when one fails."""

import threading

import numpy as np
import pytest

from lwcnn.engine import threads
from lwcnn.engine.threads import BrokenGroup, ThreadGroup, run_in_group, share_out


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_sums_are_those_of_all_threads_in_every_round(size):
    group = ThreadGroup(size)

    def work(rank):
        return [group.sum(rank, rank + turn, np.full(3, 10.0 * rank)) for turn in range(50)]

    given = run_in_group(group, work)
    for turn in range(50):
        expected = sum(rank + turn for rank in range(size)), 10.0 * sum(range(size))
        for results in given:
            number, array = results[turn]
            assert number == expected[0]
            np.testing.assert_array_equal(array, np.full(3, expected[1]))


def test_late_threads_are_waited_for(monkeypatch):
    monkeypatch.setattr(threads, "SPIN_LIMIT", 1)
    group, late = ThreadGroup(2), threading.Event()

    def work(rank):
        if rank:
            assert late.wait(60)
        else:
            threading.Timer(0.05, late.set).start()
        return group.sum(rank, rank)

    assert run_in_group(group, work) == [(1,), (1,)]


def test_two_groups_at_the_same_time_do_not_wait_for_each_other():
    ended = []

    def run():
        for _ in range(100):
            run_in_group(group := ThreadGroup(3), lambda rank, group=group: group.sum(rank, 1))
        ended.append(True)

    both = [threading.Thread(target=run, daemon=True) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join(60)
    assert ended == [True, True]


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_a_failing_thread_ends_the_others_with_its_error(failing):
    group, ended = ThreadGroup(3), []

    def work(rank):
        if rank == failing:
            raise ValueError(f"member {rank}")
        try:
            group.sum(rank, 1)
        except BrokenGroup:
            ended.append(rank)
            raise

    with pytest.raises(ValueError, match=f"member {failing}"):
        run_in_group(group, work)
    for _ in range(200):
        if len(ended) == 2:
            break
        threading.Event().wait(0.05)
    assert sorted(ended) == [rank for rank in range(3) if rank != failing]


@pytest.mark.parametrize(
    "count, size, sizes", [(1, 3, [1]), (2, 3, [1, 1]), (7, 3, [2, 2, 3]), (4, 1, [4]), (0, 2, [0])]
)
def test_every_thread_gets_consecutive_images(count, size, sizes):
    parts = [list(range(count))[part] for part in share_out(count, size)]
    assert [len(part) for part in parts] == sizes and sum(parts, []) == list(range(count))
