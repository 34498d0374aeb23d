"""The measurements of paper 01, at small sizes."""

from dataclasses import replace

import pytest
import torch
from papers.stand_ins import quiet, unavailable

from attractor.data import ImageSet
from attractor.memory.random_features import RandomFeatureMemory
from attractor.papers.figures import Chart, ImageGrid
from attractor.papers.p01_random_features import PAPER, ablation, completion, laws, retrieval
from attractor.papers.p01_random_features.sizes import SIZES

pytestmark = pytest.mark.usefixtures("one_thread")

TINY = replace(SIZES["smoke"], features=(500, 2000), states=20, patterns=(20, 80), wide=4000, ablation_features=500)


def test_error_falls_with_features_and_is_told():
    few, many = (laws.measure_errors(100, count, 10.0, 40, 3) for count in (1000, 16_000))
    assert 2 < few["energy"] / many["energy"] < 8 and 2 < few["force"] / many["force"] < 8
    assert 0.5 < many["told"] < 2 and many["lost"] == 0


def test_error_grows_with_patterns_and_with_beta():
    one, more, colder = (laws.measure_errors(*given, 40, 0) for given in ((30, 4000, 10.0), (300, 4000, 10.0), (300, 4000, 30.0)))
    assert one["kernels"] < more["kernels"] and more["energy"] < colder["energy"]


def test_flips_change_a_tenth_and_stay_binary():
    generator = torch.Generator().manual_seed(0)
    patterns = laws.binary(5, 100, generator)
    cues = laws.flipped(patterns, generator)
    assert ((cues - patterns).abs() > 0.05).sum(-1).tolist() == [10] * 5
    assert cues.unique().tolist() == pytest.approx([0.0, 0.1])


def test_rows_of_the_laws_answer_their_claims():
    measured = laws.measure_features(TINY, 0, quiet)
    assert [row.claim for row in measured.rows] == list(PAPER.claims[:5])
    assert measured.rows[0].measured < -0.2 and measured.rows[1].measured < -0.2
    growth = laws.measure_growth(TINY, 0, quiet)
    assert [row.claim for row in growth.rows] == [PAPER.claims[5]]
    assert all(isinstance(figure, Chart) for figure in (*measured.figures, *growth.figures))


def test_few_features_recall_worse_than_many(monkeypatch):
    few, many = (retrieval.wrong_bits(count, 0) for count in (500, 8000))
    assert few["wrong"] > 0.05 > many["wrong"] and many["exact"] == many["nearest"] == 0
    monkeypatch.setattr(retrieval, "RECALLED", 2000)
    monkeypatch.setattr(retrieval, "FEW", 100)
    monkeypatch.setattr(retrieval, "FALLING_STEPS", 5)
    assert [row.claim for row in retrieval.measure_retrieval(TINY, 0, quiet).rows] == list(PAPER.claims[6:11])


def test_plain_steps_fall_and_steps_against_the_force_rise(monkeypatch):
    monkeypatch.setattr(retrieval, "FALLING_STEPS", 20)
    down = retrieval.plain_steps(10.0, 0.1, 0)
    assert down["rise"] <= 1e-9 and down["risen"] == 0 and down["fall"] > 0.01
    force = RandomFeatureMemory.force
    monkeypatch.setattr(RandomFeatureMemory, "force", lambda memory, states: -force(memory, states))
    up = retrieval.plain_steps(10.0, 0.1, 0)
    assert up["rise"] > 1e-4 and up["risen"] > 0.9 and up["fall"] < 0


def test_completion_is_scored_by_the_unknown_half_alone():
    stored = torch.rand(20, 8, generator=torch.Generator().manual_seed(0))
    known = torch.zeros(20, 8, dtype=torch.bool)
    known[:, :4] = True
    assert completion.right_halves(stored, stored, known) == 20
    assert completion.right_halves(torch.where(known, stored, stored.mean(0)), stored, known) <= 1
    assert completion.right_halves(torch.where(known, 0, stored), stored, known) == 20


def test_growth_counts_sums_below_the_floor_at_their_full_error():
    found = laws.measure_errors(50, 300, 60.0, 50, 0)
    generator = torch.Generator().manual_seed(0)
    stored, random = laws.binary(50, 100, generator), laws.binary(50, 100, generator)
    asked = torch.cat([stored, laws.flipped(stored, generator), random])
    memory = RandomFeatureMemory(100, features=300, beta=60.0, energy="sum")
    memory.store(stored)
    exact = (-30.0 * torch.cdist(asked.double(), stored.double()).square()).exp().sum(-1)
    off = -60.0 * memory.energy(asked).double() - exact
    assert bool((-60.0 * memory.energy(asked) < 0).any())
    assert found["kernels"] == pytest.approx(float(off.abs().mean()), rel=1e-3)


def test_completion_is_compared_with_the_exact_memory(monkeypatch):
    pixels = torch.rand(20, 64, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(completion, "load", lambda name: ImageSet(pixels, (1, 8, 8), "noise"))
    measured = completion.measure_completion(TINY, 0, quiet)
    assert [row.claim for row in measured.rows] == list(PAPER.claims[11:13])
    assert isinstance(measured.figures[0], ImageGrid)
    stored, known = pixels[:5] / 8, torch.ones(5, 64, dtype=torch.bool)
    known[:, 32:] = False
    found, exact = completion.complete(stored, stored, known, 16_000, 0, quiet)
    assert torch.equal(found[known], stored[known]) and torch.equal(exact[known], stored[known])
    assert float((found - exact).norm() / exact.norm()) < 0.05


@pytest.mark.parametrize(
    ("module", "measure", "claims"),
    [(completion, "measure_completion", slice(11, 13)), (ablation, "measure_ablation", slice(13, 16))],
)
def test_without_data_rows_say_what_is_needed(monkeypatch, module, measure, claims):
    monkeypatch.setattr(module, "load", unavailable)
    rows = getattr(module, measure)(TINY, 0, quiet).rows
    assert [row.claim for row in rows] == list(PAPER.claims[claims])
    assert all(row.measured is None and "needs" in row.note for row in rows)


def test_positive_maps_get_worse_with_beta_and_sincos_does_not():
    errors = {name: [ablation.map_error(name, beta, 1000, 0) for beta in (0.1, 4.0)] for name in ablation.MAPS}
    assert errors["exp"][1] > errors["exp"][0] and errors["expexp"][1] > errors["expexp"][0]
    assert errors["sincos"][1] < min(errors[name][1] for name in ablation.MAPS[1:])
    rows = ablation.measure_ablation(replace(TINY, ablation_features=4000), 0, quiet).rows
    assert [row.claim for row in rows] == list(PAPER.claims[13:])
    # that of exp rests on features too rare for two draws
    assert rows[2].measured > 1


def test_map_that_only_follows_sincos_is_not_called_degraded(monkeypatch):
    monkeypatch.setattr(ablation, "map_error", lambda name, beta, features, seed: beta)
    monkeypatch.setattr(ablation, "sweep", lambda measure, points, tell: [beta for _, beta, _, _ in points])
    assert [row.measured for row in ablation.measure_ablation(TINY, 0, quiet).rows[1:]] == pytest.approx([1.0, 1.0])


@pytest.mark.slow
def test_smoke_run_agrees_with_the_paper():
    from attractor.papers.p01_random_features import run
    from attractor.papers.p01_random_features.claims import DEGRADED

    assert {row.claim for row in run("smoke", 0).rows if row.ok is False} <= {DEGRADED["exp"]}
