"""Threads that work on parts of a batch: sums over all of them, and what happens when one fails."""

import os
import threading

import numpy as np
import pytest

pytest.importorskip("numba")
from lwcnn.engine import threads as teams
from lwcnn.engine.kernels.arrays import in_parts
from lwcnn.engine.threads import BrokenTeam, Team, in_team


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_everyone_gets_the_sums_of_all_round_after_round(size):
    team = Team(size)

    def work(rank):
        return [team.sum(rank, turn, (rank + turn, np.full(3, 10.0 * rank))) for turn in range(50)]

    given = in_team(team, work)
    for turn in range(50):
        expected = sum(rank + turn for rank in range(size)), 10.0 * sum(range(size))
        for results in given:
            number, array = results[turn]
            assert number == expected[0]
            np.testing.assert_array_equal(array, np.full(3, expected[1]))


def test_a_member_that_is_late_is_waited_for(monkeypatch):
    monkeypatch.setattr(teams, "LOOKS", 1)
    team, late = Team(2), threading.Event()

    def work(rank):
        if rank:
            assert late.wait(60)
        else:
            threading.Timer(0.05, late.set).start()
        return team.sum(rank, 0, (rank,))

    assert in_team(team, work) == [(1,), (1,)]


@pytest.mark.parametrize("failing", [0, 1])
def test_one_that_fails_ends_the_others_and_its_reason_is_told(failing):
    team, ended = Team(3), []

    def work(rank):
        if rank == failing:
            raise ValueError(f"member {rank}")
        try:
            team.sum(rank, 0, (1,))
        except BrokenTeam:
            ended.append(rank)
            raise

    with pytest.raises(ValueError, match=f"member {failing}"):
        in_team(team, work)
    for _ in range(200):
        if len(ended) == 2:
            break
        threading.Event().wait(0.05)
    assert sorted(ended) == [rank for rank in range(3) if rank != failing]


def test_kernels_take_no_further_threads_inside_a_team(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert in_team(Team(2), lambda rank: in_parts(lambda first, last: (first, last), 8)) == [[(0, 8)], [(0, 8)]]
    assert in_parts(lambda first, last: (first, last), 8) == [(0, 4), (4, 8)]
    assert os.environ["OMP_NUM_THREADS"] == "2"
