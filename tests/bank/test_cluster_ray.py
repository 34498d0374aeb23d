"""The bank over a cluster on Ray itself: one engine for the module, joined by its address."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from attractor import DenseMemory
from attractor.bank import RamBank
from attractor.bank.cluster import ClusterBank
from attractor.bank.cluster_engine import engine
from attractor.read import Read, separation_from, similarity_from

ray = pytest.importorskip("ray", reason="a bank over a cluster needs Ray (extra ray)")

pytestmark = pytest.mark.slow  # every start of Ray and of its workers

EUCLIDEAN = ["softmax", "top-k", "sparsemax", "entmax"]
DOT = ["exponential", "polynomial", "rectified-polynomial", "identity"]
SETTINGS = {"polynomial": {"n": 3}, "rectified-polynomial": {"n": 3}, "identity": {}}
DIM = 16


@pytest.fixture(scope="module")
def cluster():
    """Two nodes, simulated on this machine; this process is not connected to them."""
    from ray.cluster_utils import Cluster

    ray.shutdown()
    os.environ.setdefault("RAY_worker_niceness", "0")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "object_store_memory": 80_000_000})
    cluster.add_node(num_cpus=2, object_store_memory=80_000_000)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture(scope="module")
def banks(cluster, tmp_path_factory):
    """A bank on two workers and one in memory that hold the same."""
    patterns = torch.randn(2_000, DIM, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    twin = RamBank(DIM, screen=False)
    with ClusterBank(tmp_path_factory.mktemp("cluster") / "bank", DIM, workers=2, address=cluster.address) as bank:
        for one in (bank, twin):
            one.append(patterns[:1500])
            one.append(patterns[1500:], metadata=[{"row": row} for row in range(500)])
            one.forget(torch.arange(0, 2_000, 7))
        yield bank, twin


def pid_of(bank, shard):
    return ray.get(bank._workers[shard].__ray_call__.remote(lambda _: os.getpid()))


@pytest.mark.parametrize("name", [*EUCLIDEAN, *DOT])
def test_every_separation_is_merged_as_in_one_process(banks, name):
    settings = {"name": name, **SETTINGS.get(name, {"beta": 0.5})}
    similarity = similarity_from({"name": "euclidean" if name in EUCLIDEAN else "dot"})
    cues = torch.randn(9, DIM, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    read = Read(similarity, separation_from(settings), cues)
    found, expected = (read.finish(one.fold(read)) for one in banks)
    torch.testing.assert_close(found.values, expected.values, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(found.potential, expected.potential, rtol=1e-10, atol=1e-10)
    assert torch.equal(found.ids, expected.ids)


def test_a_memory_over_a_cluster_recalls_as_over_memory(banks):
    bank, twin = banks
    cues = twin.get(twin.ids()[:20]).patterns.clone()
    known = torch.rand(cues.shape, generator=torch.Generator().manual_seed(2)) < 0.6
    found, expected = (DenseMemory(bank=one).recall(cues, known) for one in banks)
    torch.testing.assert_close(found.patterns, expected.patterns, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(found.energy, expected.energy)
    assert torch.equal(found.index, expected.index)
    nearest = [DenseMemory(bank=one).nearest(cues, k=5).ids for one in banks]
    assert torch.equal(*nearest)
    assert bank.metadata(torch.tensor([1, 1700])) == [None, {"row": 200}]


def test_a_mistake_comes_back_as_itself(banks):
    bank, _ = banks
    with pytest.raises(ValueError, match=r"ids must be stored, unknown: .*7"):
        bank.forget(torch.tensor([7]))
    read = Read(similarity_from({"name": "euclidean"}), separation_from({"name": "softmax", "beta": 1.0}), torch.ones(1, DIM + 1))
    with pytest.raises(RuntimeError, match="mat1") as caught:
        bank.fold(read)
    assert not isinstance(caught.value, ray.exceptions.RayTaskError)


def test_a_worker_killed_during_a_query_comes_back_and_the_query_is_answered(banks):
    bank, twin = banks
    cues = torch.randn(1_024, DIM, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    read = Read(similarity_from({"name": "euclidean"}), separation_from({"name": "entmax", "alpha": 1.5, "beta": 0.01}), cues)
    victim, answered = pid_of(bank, 1), threading.Event()
    answers = []

    def ask():
        answers.append(bank.fold(read))
        answered.set()

    os.kill(victim, signal.SIGSTOP)  # so that it cannot have answered before it is killed
    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(0.2)
    still_working = not answered.is_set()
    os.kill(victim, signal.SIGKILL)
    asking.join()
    assert still_working
    found, expected = read.finish(answers[0]), read.finish(twin.fold(read))
    torch.testing.assert_close(found.values, expected.values, rtol=1e-8, atol=1e-8)
    assert torch.equal(found.ids, expected.ids)
    assert pid_of(bank, 1) != victim
    late = torch.ones(1, DIM, dtype=torch.float64)
    assert bank.append(late).tolist() == twin.append(late).tolist() == [2_000]
    assert bank.contains(late).tolist() == [True]


def test_a_worker_uses_one_thread_at_the_priority_of_its_parent(banks):
    bank, _ = banks
    threads, priority = ray.get(bank._workers[0].__ray_call__.remote(lambda _: (torch.get_num_threads(), os.nice(0))))
    assert (threads, priority) == (1, os.nice(0))


def test_the_engine_that_is_there_is_used(cluster, banks):
    assert engine(None) is engine(cluster.address) is ray and ray.is_initialized()
    with pytest.raises(ValueError, match="address must be that of the engine"):
        engine("192.0.2.250:1")


def test_what_the_documentation_shows_runs(banks, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = textwrap.dedent(ClusterBank.__doc__.partition("::\n")[2])
    names = {"ClusterBank": ClusterBank, "DenseMemory": DenseMemory, "torch": torch}
    exec(shown, names)
    assert names["ids"].tolist() == [0, 1, 2] and names["recalled"].index.tolist() == [0]
    page = (Path(__file__).parents[2] / "docs" / "scale.md").read_text(encoding="utf-8")
    names = {}
    for block in re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE):
        exec(block, names)
    assert names["recalled"].index.tolist() == [0, 1]
    names["memory"].bank.close()


def test_a_memory_over_a_cluster_comes_back_from_its_folder(banks, tmp_path):
    _, twin = banks
    with ClusterBank(tmp_path / "bank", DIM, workers=2) as own:
        memory = DenseMemory(bank=own)
        memory.store(twin.get(twin.ids()[:50]).patterns)
        memory.save(tmp_path / "memory")
        cues = twin.get(twin.ids()[:3]).patterns + 0.1
        expected = memory.recall(cues).patterns
    loaded = DenseMemory.load(tmp_path / "memory")
    with loaded.bank:
        torch.testing.assert_close(loaded.recall(cues).patterns, expected)


def test_an_imputer_over_a_cluster_fills_in_what_one_in_memory_does(banks, tmp_path):
    pytest.importorskip("sklearn")
    from attractor.estimators import AssociativeImputer

    random = np.random.default_rng(0)
    X = random.normal(size=(60, 2)) @ random.normal(size=(2, 5))
    X[random.random(X.shape) < 0.1] = np.nan
    with ExitStack() as stack:
        imputer = AssociativeImputer(
            random_state=0, bank=lambda width: stack.enter_context(ClusterBank(tmp_path / "rows", width, workers=2))
        )
        completed = imputer.fit_transform(X)
    np.testing.assert_allclose(completed, AssociativeImputer(random_state=0).fit_transform(X), rtol=1e-5)


def test_a_paper_has_the_same_rows_whatever_measures_its_sweeps(cluster, banks):
    from attractor.papers import paper_module
    from attractor.papers.sweep import sweeping
    from attractor.papers.sweep_engine import over_engine

    run = paper_module("13").run
    with sweeping(spread=over_engine(cluster.address)):
        found = run("smoke", 0)
    expected = run("smoke", 0)
    assert [replace(row, seconds=0.0) for row in found.rows] == [replace(row, seconds=0.0) for row in expected.rows]
    assert found.figures == expected.figures


def test_a_lost_node_is_done_without(cluster, banks, tmp_path):
    _, twin = banks
    patterns = twin.get(twin.ids()).patterns
    second = next(node for node in cluster.list_all_nodes() if not node.head)
    with ClusterBank(tmp_path / "bank", DIM, workers=4) as bank:
        bank.append(patterns)
        on_nodes = Counter(ray.get(worker.__ray_call__.remote(node_of)) for worker in bank._workers)
        assert on_nodes == {node.node_id: 2 for node in cluster.list_all_nodes()}
        cluster.remove_node(second, allow_graceful=False)
        read = Read(similarity_from({"name": "euclidean"}), separation_from({"name": "softmax", "beta": 1.0}), patterns[:3])
        found, expected = (read.finish(one.fold(read)).values for one in (bank, twin))
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
        assert len(bank) == len(patterns)


def node_of(_shard):
    return ray.get_runtime_context().get_node_id()


def test_a_bank_needs_no_setting_up(tmp_path):
    script = """
import torch
from attractor.bank import ClusterBank
with ClusterBank("faces", 3, workers=1) as bank:
    print(bank.append(torch.eye(3)).tolist(), len(bank))
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stdout == "[0, 1, 2] 3\n", done.stderr
