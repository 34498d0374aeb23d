"""Training: the rate, the order, that it goes on exactly where it stopped, and which weights it ends with."""

import pytest
import torch
from language.iamm_dialogues import V, dialogue, small

from attractor.language.iamm.training import NAME, Order, fit_iamm, rate

STEPS = {"steps": 6, "batch_size": 4, "dim": 12, "warm_up": 4, "factor": 0.2, "every": 2, "seed": 3}


def some(count, begin=0):
    return [dialogue(begin + seed, utterances=1 + seed % 3, relations=0, unknown=seed % 2) for seed in range(count)]


def weights(model):
    return torch.cat([one.flatten() for one in model.state_dict().values()])


def test_the_rate_rises_evenly_and_falls_with_the_root():
    assert rate(50, 64, 100) == pytest.approx(rate(100, 64, 100) / 2)
    assert rate(400, 64, 100) == pytest.approx(rate(100, 64, 100) / 2)
    assert rate(100, 64, 100, 0.5) == pytest.approx(0.5 * 64**-0.5 * 100**-0.5)


def test_an_epoch_has_each_dialogue_once_and_the_next_another_order():
    order = Order(some(12), 4, 0)
    epochs = [[place for step in (1, 2, 3) for place in order.batch(step + 3 * epoch)] for epoch in range(2)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(12)) and epochs[0] != epochs[1]
    assert Order(some(12), 4, 0).batch(5) == order.batch(5) and Order(some(12), 4, 1).batch(5) != order.batch(5)


def test_the_same_seed_gives_the_same_weights_and_leaves_the_generator_of_torch():
    before = torch.get_rng_state()
    models = [small(relations=0) for _ in range(3)]
    told = [fit_iamm(model, some(9), V, **STEPS | {"seed": seed}) for model, seed in zip(models, (3, 3, 4), strict=True)]
    assert told[0] == told[1] and torch.equal(weights(models[0]), weights(models[1]))
    assert not torch.equal(weights(models[0]), weights(models[2])) and torch.equal(torch.get_rng_state(), before)


def test_training_lowers_the_loss_and_tells_how_far_it_is():
    done = []
    told = fit_iamm(small(relations=0), some(4), V, **STEPS | {"steps": 20, "factor": 1.0}, progress=done.append)
    assert told.losses[-1] < 0.9 * told.losses[0] and done[-1] == 1 and done == sorted(done) and len(done) == 20
    assert told.best_step == 20 and told.validation == []


@pytest.mark.parametrize(("stop", "checked"), [(1, None), (2, 3), (3, None), (5, 3)])
def test_an_interrupted_training_ends_as_it_would_have_done(tmp_path, stop, checked):
    validation = None if checked is None else some(checked, 100)
    whole, broken = small(relations=0), small(relations=0)
    expected = fit_iamm(whole, some(9), V, validation=validation, **STEPS)

    class StopError(Exception):
        pass

    def interrupt(done):
        if done >= stop / STEPS["steps"]:
            raise StopError

    with pytest.raises(StopError):
        fit_iamm(broken, some(9), V, validation=validation, folder=tmp_path, progress=interrupt, **STEPS)
    assert (tmp_path / NAME).exists() == (stop >= 2)
    fresh = small(seed=0 if stop < 2 else 9, relations=0)
    found = fit_iamm(fresh, some(9), V, validation=validation, folder=tmp_path, **STEPS)
    assert found == expected and torch.equal(weights(fresh), weights(whole))
    again = small(seed=5, relations=0)
    assert fit_iamm(again, some(9), V, validation=validation, folder=tmp_path, **STEPS) == expected
    assert torch.equal(weights(again), weights(whole))


def test_the_weights_of_the_least_loss_of_validation_are_kept():
    validation, model = some(3, 100), small(relations=0)
    told = fit_iamm(model, some(4), V, validation=validation, **STEPS | {"steps": 12, "factor": 3.0, "every": 1})
    seen = [loss for _, loss in told.validation]
    assert seen.index(min(seen)) + 1 == told.best_step < 12
    shorter = small(relations=0)
    fit_iamm(shorter, some(4), V, **STEPS | {"steps": told.best_step, "factor": 3.0, "every": 1})
    assert torch.equal(weights(model), weights(shorter))


@pytest.mark.parametrize("change", [{"seed": 4}, {"steps": 7}, {"factor": 0.3}, {"dialogues": 8}, {"validation": 2}])
def test_the_folder_of_another_training_is_refused_and_nothing_changes(tmp_path, change):
    fit_iamm(small(relations=0), some(9), V, folder=tmp_path, **STEPS)
    model = small(seed=1, relations=0)
    before, file = weights(model), (tmp_path / NAME).read_bytes()
    options = dict(change)
    count, checked = options.pop("dialogues", 9), options.pop("validation", 0)
    with pytest.raises(ValueError, match="hold this training"):
        fit_iamm(model, some(count), V, validation=some(checked) or None, folder=tmp_path, **STEPS | options)
    assert torch.equal(weights(model), before) and (tmp_path / NAME).read_bytes() == file


def test_a_damaged_folder_is_refused(tmp_path):
    fit_iamm(small(relations=0), some(9), V, folder=tmp_path, **STEPS)
    content = bytearray((tmp_path / NAME).read_bytes())
    content[-3] ^= 1
    (tmp_path / NAME).write_bytes(bytes(content))
    with pytest.raises(ValueError, match="damaged"):
        fit_iamm(small(relations=0), some(9), V, folder=tmp_path, **STEPS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps"),
        ({"batch_size": 10}, "at least batch_size = 10, got 9"),
        ({"factor": 0.0}, "factor"),
        ({"warm_up": 0}, "warm_up"),
        ({"seed": -1}, "seed"),
        ({"validation": []}, "validation"),
    ],
)
def test_settings_out_of_range_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        fit_iamm(small(relations=0), some(9), V, **STEPS | options)


def test_a_training_that_diverges_says_so():
    model = small(relations=0)
    with torch.no_grad():
        model.embedding.weight.fill_(torch.nan)
    with pytest.raises((FloatingPointError, ValueError), match="finite"):
        fit_iamm(model, some(9), V, **STEPS)
