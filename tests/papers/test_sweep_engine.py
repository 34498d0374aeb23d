"""Sweeps on the engine, with one in this process; with Ray: tests/bank/test_cluster_ray.py."""

import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from attractor.app import reproduction
from attractor.errors import AttractorWarning
from attractor.papers import Report, sweep_engine
from attractor.papers import sweep as sweep_module
from attractor.papers.sweep import sweep, sweeping
from attractor.papers.sweep_engine import over_engine

POINTS = [(3, 4), (5, 12), (8, 15), (7, 24), (20, 21)]
RESULTS = [5.0, 13.0, 17.0, 25.0, 29.0]


class RayTaskError(Exception):
    def __init__(self, cause):
        self.cause = cause


class Task(SimpleNamespace):
    __hash__ = object.__hash__


class Here:
    """The engine, carried out when it is waited for."""

    exceptions = SimpleNamespace(RayTaskError=RayTaskError)

    def __init__(self):
        self.addresses, self.most, self.cancelled, self.answered = [], 0, [], []

    def remote(self, function):
        return SimpleNamespace(remote=lambda *given: Task(call=lambda: function(*given), given=given))

    def wait(self, asked, num_returns):
        self.most = max(self.most, len(asked))
        return [asked[-1]], asked[:-1]

    def get(self, one):
        try:
            self.answered.append(one.given[1])
            return one.call()
        except Exception as error:
            raise RayTaskError(error) from error

    def cancel(self, one, force):
        assert force
        self.cancelled.append(one.given[1])


@pytest.fixture
def here(monkeypatch):
    engine = Here()
    monkeypatch.setattr(sweep_engine, "engine", lambda address: engine.addresses.append(address) or engine)
    monkeypatch.setattr(sweep_engine, "find_spec", lambda name: name)
    for module in (sweep_engine, sweep_module):
        monkeypatch.setattr(module, "processes", ThreadPoolExecutor)
    return engine


def test_an_address_is_used_from_the_start_and_the_journal_is_the_same(here, tmp_path):
    with sweeping(1, tmp_path / "engine", spread=over_engine("head:6379")):
        told = []
        assert sweep(math.hypot, POINTS, told.append) == RESULTS
    assert here.addresses == ["head:6379"] and len(here.answered) == here.most == 5 and told == [0.2, 0.4, 0.6, 0.8, 1.0]
    with sweeping(1, tmp_path / "processes"):
        sweep(math.hypot, POINTS)
    lines = [sorted((tmp_path / name).read_text().split("\n")) for name in ("engine", "processes")]
    assert lines[0] == lines[1]


def test_a_reproduction_over_a_cluster_sweeps_there(here, tmp_path, monkeypatch):
    swept = []

    def run(scale, seed, progress):
        swept.extend(sweep(math.hypot, POINTS))
        return Report("20", scale, seed, (), (), 0.1)

    toy = SimpleNamespace(__name__="attractor.papers.claim", PAPER=None, run=run)
    monkeypatch.setattr(reproduction, "paper_module", lambda one: toy)
    monkeypatch.setattr(reproduction, "write_report", lambda *given: None)
    order = reproduction.Order(("20",), "smoke", 0, tmp_path, 1, "head:6379")
    assert reproduction.attempt(order, "20", 1).paper == "20"
    assert swept == RESULTS and here.addresses == ["head:6379"]


def test_little_work_stays_in_processes(here):
    with sweeping(2, spread=over_engine()):
        assert sweep(math.hypot, POINTS) == RESULTS
    assert here.addresses == []


def test_what_no_process_has_begun_in_time_goes_to_an_engine_of_as_many_workers(here, monkeypatch):
    monkeypatch.setattr(sweep_engine, "SECONDS_IN_PROCESSES", 0.05)
    may, inside = threading.Event(), []

    def slow(x, y):
        if threading.current_thread() is not threading.main_thread():
            inside.append((x, y))
            assert may.wait(20)
        elif not may.is_set():
            may.set()
        return math.hypot(x, y)

    slow.__qualname__ = "slow"
    with sweeping(2, spread=over_engine()):
        assert sweep(slow, POINTS) == RESULTS
    assert here.addresses == [None] and here.most == 2
    assert sorted(inside) == POINTS[:2] and sorted(here.answered) == sorted(POINTS[2:])


def test_an_engine_that_does_not_start_leaves_the_work_to_the_processes(here, monkeypatch):
    def fails(address):
        raise Exception("the node timed out during startup")  # as Ray has it

    monkeypatch.setattr(sweep_engine, "engine", fails)
    monkeypatch.setattr(sweep_engine, "SECONDS_IN_PROCESSES", 0.0)
    with sweeping(2, spread=over_engine()), pytest.warns(AttractorWarning, match="stays in processes.*timed out"):
        assert sweep(slowly, POINTS) == RESULTS


def slowly(x, y):
    time.sleep(0.02)
    return math.hypot(x, y)


@pytest.mark.parametrize("reason", ["one worker", "no Ray", "one of several processes"])
def test_without_an_address_the_engine_is_not_started_in_vain(here, monkeypatch, reason):
    monkeypatch.setattr(sweep_engine, "SECONDS_IN_PROCESSES", 0.0)
    if reason == "no Ray":
        monkeypatch.setattr(sweep_engine, "find_spec", lambda name: None)
    if reason == "one of several processes":
        monkeypatch.setattr(sweep_engine, "parent_process", lambda: "parent")
    with sweeping(1 if reason == "one worker" else 2, spread=over_engine()):
        assert sweep(math.hypot, POINTS) == RESULTS
    assert here.addresses == []


def test_a_measurement_that_fails_raises_its_own_error_and_the_others_are_cancelled(here):
    def fails(x, y):
        if (x, y) == POINTS[-1]:
            raise ZeroDivisionError("no such triangle")
        return math.hypot(x, y)

    with sweeping(spread=over_engine("head:6379")), pytest.raises(ZeroDivisionError, match="no such triangle"):
        sweep(fails, POINTS)
    assert here.cancelled == POINTS[:-1]


def test_the_engine_is_left_when_the_block_ends(here):
    with pytest.raises(KeyError), sweeping(spread=over_engine("head:6379")):
        raise KeyError
    assert sweep(math.hypot, POINTS) == RESULTS and here.addresses == []
