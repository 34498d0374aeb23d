"""The benchmark of predictive coding: its rivals do the same step, and a package that is not installed leaves a cell."""

import pytest
import torch


@pytest.fixture
def module(bench):
    return bench("predictive_coding")


def test_autograd_does_the_same_steps(module):
    patterns = torch.rand(5, 12, generator=torch.Generator().manual_seed(0))
    network = module.fresh_network(module.QUICK.widths)
    how = module.PredictiveLearning(schedule="reset", inference=module.Inference(4, gamma=module.GAMMA, way="plain"))
    training = module.Training(network, patterns, how, 0)
    training.set_rate(module.RATE)
    other = module.autograd_step(module.fresh_network(module.QUICK.widths), patterns, 4)
    with torch.no_grad():
        ours = [float(training.step()) for _ in range(20)]
    assert ours == pytest.approx([float(other()) for _ in range(20)], rel=1e-4) and ours[-1] < ours[0]


def test_a_quick_run_gives_a_row_for_each_number_of_steps(module, monkeypatch):
    monkeypatch.setattr(module, "storing_step", lambda *_: None)
    section = module.measure(module.QUICK, lambda text: None)
    assert [row[0] for row in section.tables[0].rows] == ["1", "2"]
    assert all("not installed" in row for row in section.tables[0].rows)
    assert section.targets[-1].met and [target.met for target in section.targets if "over pcx" in target.claim] == [None] * 3


def test_a_peer_that_computes_something_else_is_seen(module, monkeypatch):
    monkeypatch.setattr(module, "storing_step", lambda *_: lambda: 17.0)
    section = module.measure(module.QUICK, lambda text: None)
    assert not section.targets[-1].met and "not installed" not in section.tables[0].rows[0]


def test_pcx_does_the_same_step_where_it_is_installed(module):
    pytest.importorskip("pcx")
    section = module.measure(module.QUICK, lambda text: None)
    assert section.targets[-1].met and len(section.targets) == 6
