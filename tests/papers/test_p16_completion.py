"""The measurements of masked image completion, at small sizes."""

import time
from dataclasses import replace

import pytest
import torch
from papers.stand_ins import quiet

from attractor.data import DataUnavailableError, ImageSet
from attractor.estimators.image_completion import ImageCompletion
from attractor.nn.energy_transformer.images_patches import masked_error
from attractor.papers.figures import Chart, ImageGrid
from attractor.papers.p16_energy_transformer import completion, completion_models
from attractor.papers.p16_energy_transformer.completion import CLAIMS, GAIN, ON_MNIST, PARAMETERS, SMOKE, measure_completion
from attractor.papers.p16_energy_transformer.completion_models import (
    CHOICES,
    ENERGY,
    FEW,
    LOOPED,
    NO_ATTENTION,
    NO_MEMORY,
    RECIPES,
    Recipe,
    choose_rates,
)

pytestmark = pytest.mark.usefixtures("one_thread")

pytest.importorskip("accelerate")
pytest.importorskip("sklearn")
LEARNED, TESTED = 60, 20


@pytest.fixture
def few(monkeypatch):
    """Small random images in the place of MNIST, and few iterations."""
    generator = torch.Generator().manual_seed(0)
    images = ImageSet(torch.rand(LEARNED + TESTED, 784, generator=generator) * torch.linspace(0, 1, 784), (1, 28, 28), "noise")
    monkeypatch.setattr(completion_models, "load", lambda name: images)
    for data in ("digits", "mnist"):
        monkeypatch.setitem(completion_models.SPLITS, data, (LEARNED, TESTED))
    for module in (completion, completion_models):
        monkeypatch.setattr(module, "WATCHED", 6)
        monkeypatch.setattr(module, "LATE", 10)
    short = {"iterations": 2, "batch_size": 16}
    monkeypatch.setattr(completion_models, "ImageCompletion", lambda *given, **options: ImageCompletion(*given, **options | short))


@pytest.mark.slow
def test_digits_are_completed_better_than_by_the_mean_image_in_a_minute():
    start = time.process_time()
    rows = measure_completion(SMOKE, 0, quiet).rows
    assert [row.claim for row in rows] == list(CLAIMS) and time.process_time() - start < 60
    found = {row.claim: row for row in rows}
    assert found[GAIN].ok and found[GAIN].measured >= 0.20
    assert found[PARAMETERS].measured == 4_873_729
    assert all(found[claim].measured is None and "larger scale" in found[claim].note for claim in ON_MNIST)


def test_every_claim_gets_its_row_and_both_figures_are_made(few):
    measured = measure_completion(replace(SMOKE, mnist=TESTED, trainings=2), 0, quiet)
    assert [row.claim for row in measured.rows] == list(CLAIMS)
    assert all(row.measured is not None for row in measured.rows)
    rows = {row.claim: row for row in measured.rows}
    assert 0.5 < rows[completion.SMALLER].measured < 0.6
    grid, chart = measured.figures
    assert isinstance(grid, ImageGrid) and len(grid.columns) == 2 + 5 and len(grid.images) == 5
    assert isinstance(chart, Chart) and len(chart.series[0].y) == 10
    original, cue, *steps = grid.images[0]
    assert {len(image) for image in grid.images[0]} == {28} and cue != original and steps[0] != steps[-1]


def test_same_seed_same_result(few):
    one, two, other = (completion_models.learn("mnist", ENERGY, 2, TESTED, seed) for seed in (3, 3, 4))
    assert [one[name] == two[name] for name in ("error", "rise", "pictures")] == [True] * 3
    assert one["error"] != other["error"]


def test_errors_by_step_are_those_of_models_with_so_many_steps(few):
    train, test = completion_models.split_of("mnist", TESTED, 0)
    model, masks = completion_models.model_of(ENERGY, train, 0), completion_models.masks_of(TESTED)
    found = completion_models.errors_by_step(model, test.images, masks, 6)
    for steps in (1, 6):
        wanted = masked_error(model(test.images, masks.hidden, steps=steps), test.images, masks.scored, 7)
        torch.testing.assert_close(found[steps], wanted.detach().double())


def test_fillings_see_the_visible_patches_only(few, monkeypatch):
    found = completion_models.fillings("mnist", TESTED, 0)
    assert set(found) == {"mean image", "visible mean", "harmonic in-painting", "nearest neighbour"}
    true, masks = completion_models.nearest_neighbour, completion_models.masks_of(TESTED)
    seen = []
    monkeypatch.setattr(
        completion_models, "nearest_neighbour", lambda *given, known: seen.append(known) or true(*given, known=known)
    )
    assert completion_models.fillings("mnist", TESTED, 0) == found
    assert seen[0].shape == (TESTED, 784) and seen[0].double().mean() == 0.5
    train, _ = completion_models.split_of("mnist", TESTED, 0)
    pixels = completion_models.model_of(ENERGY, train, 0).pixels(masks.hidden).flatten(1)
    assert torch.equal(seen[0], ~pixels)


def test_the_mean_image_is_that_of_the_images_for_learning(few):
    train, test = completion_models.split_of("mnist", TESTED, 0)
    masks, found = completion_models.masks_of(TESTED), completion_models.fillings("mnist", TESTED, 0)["mean image"]
    errors = [
        float(masked_error(one.images.mean(0).expand_as(test.images), test.images, masks.scored, 7).mean()) for one in (train, test)
    ]
    assert found == pytest.approx(errors[0], rel=1e-6) and found != pytest.approx(errors[1], rel=1e-6)


def test_models_without_a_term_lack_it_and_are_trained_as_the_whole_one(few):
    train, _ = completion_models.split_of("mnist", TESTED, 0)
    blocks = {kind: completion_models.model_of(kind, train, 0).block for kind in (ENERGY, NO_ATTENTION, NO_MEMORY)}
    assert [(block.attention, block.memories) for block in blocks.values()] == [(True, 256), (False, 256), (True, 0)]
    assert {block.step_size for block in blocks.values()} == {RECIPES[ENERGY].step_size}
    assert RECIPES[ENERGY] == RECIPES[NO_ATTENTION] == RECIPES[NO_MEMORY]


def test_a_model_learns_at_its_rate(few, monkeypatch):
    seen, true = [], completion_models.ImageCompletion

    def spy(*given, learning_rate, **options):
        seen.append(learning_rate)
        return true(*given, learning_rate=learning_rate, **options)

    monkeypatch.setattr(completion_models, "ImageCompletion", spy)
    train, _ = completion_models.split_of("mnist", TESTED, 0)
    monkeypatch.setitem(RECIPES, ENERGY, Recipe(0.5, 0.3))
    monkeypatch.setitem(RECIPES, LOOPED, Recipe(0.25, None))
    models = [completion_models.trained(kind, train, 2, 0) for kind in (ENERGY, LOOPED)]
    assert seen == [0.5, 0.25] and models[0].block.step_size == 0.3


def test_recipes_are_chosen_on_images_for_learning_alone(few, monkeypatch):
    train, _ = completion_models.split_of("mnist", TESTED, 0)
    fitted, scored = [], []
    true_trained, true_errors = completion_models.trained, completion_models.errors_by_step
    monkeypatch.setattr(
        completion_models, "trained", lambda kind, images, *rest: fitted.append(images.images) or true_trained(kind, images, *rest)
    )
    monkeypatch.setattr(
        completion_models, "errors_by_step", lambda model, images, *rest: scored.append(images) or true_errors(model, images, *rest)
    )
    completion_models.validation_error("mnist", ENERGY, 1e-3, 0.1, 2, 0)
    assert torch.equal(torch.cat([fitted[0], scored[0]]), train.images) and len(scored[0]) == LEARNED // 5
    errors = {choice: 1.0 + place for place, choice in enumerate(CHOICES)} | {(ENERGY, 6e-3, 1.0): 0.5, (LOOPED, 1.2e-2, None): 0.1}
    asked = []

    def validation_error(data, kind, rate, step_size, iterations, seed):
        asked.append((data, iterations, seed))
        return errors[kind, rate, step_size]

    monkeypatch.setattr(completion_models, "validation_error", validation_error)
    assert choose_rates(3) == {ENERGY: Recipe(6e-3, 1.0), LOOPED: Recipe(1.2e-2, None)}
    assert set(asked) == {("mnist", FEW, 3)}


def test_a_rise_of_the_energy_is_seen(few, monkeypatch):
    from attractor.nn.energy_transformer import EnergyTransformer

    true = EnergyTransformer.energy
    monkeypatch.setattr(EnergyTransformer, "energy", lambda self, g, **options: -true(self, g, **options))
    assert completion_models.learn("mnist", ENERGY, 2, TESTED, 0)["rise"] > 1e-6


@pytest.mark.parametrize("error", [DataUnavailableError("get the files"), ImportError("attractor[train]", name="accelerate")])
def test_without_data_or_engine_rows_say_what_is_needed(monkeypatch, error):
    def unavailable(*given):
        raise error

    monkeypatch.setattr(completion, "learn", unavailable)
    monkeypatch.setattr(completion, "fillings", unavailable)
    rows = measure_completion(replace(SMOKE, mnist=TESTED), 0, quiet).rows
    assert [row.claim for row in rows] == list(CLAIMS)
    assert all(row.measured is None and str(error) in row.note for row in rows if row.claim is not PARAMETERS)


def test_an_import_that_fails_for_another_reason_is_no_missing_extra(monkeypatch):
    def broken(*given):
        raise ImportError("cannot import name", name="attractor.papers.sweep")

    monkeypatch.setattr(completion, "fillings", broken)
    with pytest.raises(ImportError, match="cannot import name"):
        measure_completion(SMOKE, 0, quiet)
