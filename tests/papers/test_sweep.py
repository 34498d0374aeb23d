import json
import math
from concurrent.futures import ThreadPoolExecutor
from statistics import linear_regression

import pytest
import torch

from attractor.papers import sweep as sweep_module
from attractor.papers.sweep import sweep, sweeping

POINTS = [(3, 4), (5, 12), (8, 15), (7, 24)]


class Counted:
    """`hypot` that counts its calls and can be told to fail."""

    def __init__(self, fails_at=None):
        self.__qualname__ = "counted"
        self.calls, self.fails_at = [], fails_at

    def __call__(self, x, y):
        if (x, y) == self.fails_at:
            raise KeyboardInterrupt
        self.calls.append((x, y))
        return math.hypot(x, y)


def test_results_come_in_the_order_of_the_points():
    assert sweep(math.hypot, POINTS) == [5.0, 13.0, 17.0, 25.0]


def test_number_of_workers_changes_no_result():
    told = []
    with sweeping(workers=2):
        assert sweep(math.hypot, POINTS, told.append) == [5.0, 13.0, 17.0, 25.0]
    assert told == [0.25, 0.5, 0.75, 1.0]


def test_interrupted_sweep_goes_on_where_it_stopped(tmp_path):
    journal = tmp_path / "out" / "journal.jsonl"
    broken, whole = Counted(fails_at=(8, 15)), Counted()
    with pytest.raises(KeyboardInterrupt), sweeping(journal=journal):
        sweep(broken, POINTS)
    with sweeping(journal=journal):
        assert sweep(whole, POINTS) == sweep(math.hypot, POINTS)
    assert broken.calls + whole.calls == POINTS


def test_line_cut_short_is_measured_again(tmp_path):
    journal = tmp_path / "journal.jsonl"
    with sweeping(journal=journal):
        sweep(Counted(), POINTS[:2])
    journal.write_text(journal.read_text()[:-3])
    for calls in ([(5, 12)], []):
        measure = Counted()
        with sweeping(journal=journal):
            assert sweep(measure, POINTS[:2]) == [5.0, 13.0]
        assert measure.calls == calls


def test_journal_of_another_measurement_is_left_alone(tmp_path):
    journal = tmp_path / "journal.jsonl"
    with sweeping(journal=journal):
        assert sweep(math.hypot, [(3, 4)]) + sweep(math.pow, [(3, 4)]) == [5.0, 81.0]


def test_results_are_those_of_the_journal_to_the_last_bit(tmp_path):
    points = [([0.1, 0.2, 0.7], [1.0, 1 / 3, math.pi])]
    with sweeping(journal=tmp_path / "journal.jsonl"):
        first, second = sweep(linear_regression, points), sweep(linear_regression, points)
    assert first == second == json.loads(json.dumps([linear_regression(*points[0])]))


def test_threads_are_limited_within_and_restored_after():
    before = torch.get_num_threads()
    assert sweep(threads_of, [(0,)]) == [1]
    assert torch.get_num_threads() == before


def threads_of(_):
    return torch.get_num_threads()


def test_result_that_is_no_json_value_is_refused():
    with pytest.raises(TypeError, match="JSON"):
        sweep(complex, [(1, 2)])


@pytest.mark.parametrize("workers", [0, -1])
def test_workers_must_be_positive(workers):
    with pytest.raises(ValueError, match="workers"), sweeping(workers=workers):
        pass


def test_error_of_a_worker_comes_through(monkeypatch):
    """Threads take the place of processes, which are slow to start."""
    monkeypatch.setattr(sweep_module, "ProcessPoolExecutor", lambda workers, *_: ThreadPoolExecutor(workers))
    with pytest.raises(ValueError, match="math domain"), sweeping(workers=2):
        sweep(math.sqrt, [(1,), (-1,), (4,)])
