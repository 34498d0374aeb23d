"""The measurements of masked image completion, at small sizes."""

import time
from dataclasses import replace

import pytest
import torch

from attractor.data import DataUnavailableError, ImageSet
from attractor.estimators.image_completion import ImageCompletion
from attractor.nn.energy_transformer.images_patches import masked_error
from attractor.papers.figures import Chart, ImageGrid
from attractor.papers.p16_energy_transformer import completion
from attractor.papers.p16_energy_transformer.completion import CLAIMS, ENERGY, GAIN, ON_MNIST, PARAMETERS, SMOKE, measure_completion
from attractor.papers.parts import at_most

pytest.importorskip("accelerate")
pytest.importorskip("sklearn")


@pytest.fixture(autouse=True)
def one_thread():
    """As the run has it: many small operations lose by a second one."""
    with at_most(1):
        yield


def quiet(done):
    assert 0 <= done <= 1


@pytest.fixture
def few(monkeypatch):
    """Small random images in the place of MNIST, and few iterations."""
    generator = torch.Generator().manual_seed(0)
    images = ImageSet(torch.rand(260, 784, generator=generator) * torch.linspace(0, 1, 784), (1, 28, 28), "noise")
    monkeypatch.setattr(completion, "load", lambda name: images)
    monkeypatch.setattr(completion, "SPLITS", {"digits": (200, 60), "mnist": (200, 60)})
    monkeypatch.setattr(completion, "WATCHED", 6)
    monkeypatch.setattr(
        completion, "ImageCompletion", lambda *given, **options: ImageCompletion(*given, **options | {"iterations": 2})
    )


def test_digits_are_completed_better_than_by_the_mean_image_in_a_minute():
    start = time.process_time()
    rows = measure_completion(SMOKE, 0, quiet).rows
    assert [row.claim for row in rows] == list(CLAIMS) and time.process_time() - start < 60
    found = {row.claim: row for row in rows}
    assert found[GAIN].ok and found[GAIN].measured >= 0.20
    assert found[PARAMETERS].measured == 4_873_729
    assert all(found[claim].measured is None and "larger scale" in found[claim].note for claim in ON_MNIST)


def test_every_claim_gets_its_row_and_both_figures_are_made(few):
    measured = measure_completion(replace(SMOKE, mnist=60, trainings=2), 0, quiet)
    assert [row.claim for row in measured.rows] == list(CLAIMS)
    assert all(row.measured is not None for row in measured.rows)
    rows = {row.claim: row for row in measured.rows}
    assert 0.5 < rows[completion.SMALLER].measured < 0.6
    grid, chart = measured.figures
    assert isinstance(grid, ImageGrid) and len(grid.columns) == 2 + 5 and len(grid.images) == 5
    assert isinstance(chart, Chart) and len(chart.series[0].y) == 40
    original, cue, *steps = grid.images[0]
    assert {len(image) for image in grid.images[0]} == {28} and cue != original and steps[0] != steps[-1]


def test_same_seed_same_result(few):
    one, two, other = (completion.learn("mnist", ENERGY, 2, 60, seed) for seed in (3, 3, 4))
    assert [one[name] == two[name] for name in ("error", "rise", "pictures")] == [True] * 3
    assert one["error"] != other["error"]


def test_errors_by_step_are_those_of_models_with_so_many_steps(few):
    train, test = completion.split_of("mnist", 60, 0)
    model, masks = completion.model_of(ENERGY, train, 0), completion.masks_of(60)
    found = completion.errors_by_step(model, test.images, masks, 6)
    for steps in (1, 6):
        wanted = masked_error(model(test.images, masks.hidden, steps=steps), test.images, masks.scored, 7)
        torch.testing.assert_close(found[steps], wanted.detach().double())


def test_fillings_see_the_visible_patches_only(few, monkeypatch):
    found = completion.fillings("mnist", 60, 0)
    assert set(found) == {"mean image", "visible mean", "harmonic in-painting", "nearest neighbour"}
    true, masks = completion.nearest_neighbour, completion.masks_of(60)
    seen = []
    monkeypatch.setattr(completion, "nearest_neighbour", lambda *given, known: seen.append(known) or true(*given, known=known))
    assert completion.fillings("mnist", 60, 0) == found
    assert seen[0].shape == (60, 784) and seen[0].double().mean() == 0.5
    pixels = completion.model_of(ENERGY, completion.split_of("mnist", 60, 0)[0], 0).pixels(masks.hidden).flatten(1)
    assert torch.equal(seen[0], ~pixels)


def test_a_rise_of_the_energy_is_seen(few, monkeypatch):
    from attractor.nn.energy_transformer import EnergyTransformer

    true = EnergyTransformer.energy
    monkeypatch.setattr(EnergyTransformer, "energy", lambda self, g, **options: -true(self, g, **options))
    assert completion.learn("mnist", ENERGY, 2, 60, 0)["rise"] > 1e-6


@pytest.mark.parametrize("error", [DataUnavailableError("get the files"), ImportError("attractor[train]")])
def test_without_data_or_engine_rows_say_what_is_needed(monkeypatch, error):
    def unavailable(*given):
        raise error

    monkeypatch.setattr(completion, "learn", unavailable)
    monkeypatch.setattr(completion, "fillings", unavailable)
    rows = measure_completion(replace(SMOKE, mnist=60), 0, quiet).rows
    assert [row.claim for row in rows] == list(CLAIMS)
    assert all(row.measured is None and str(error) in row.note for row in rows if row.claim is not PARAMETERS)
