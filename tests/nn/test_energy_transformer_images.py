"""The image model of the Energy Transformer: patches, masks, completion, resolutions, public weights."""

import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attractor.nn.energy_transformer import EnergyTransformer, images_weights
from attractor.nn.energy_transformer.images import VisionEnergyTransformer
from attractor.nn.energy_transformer.images_patches import (
    masked_error,
    patchify,
    random_patch_masks,
    resize_positions,
    unpatchify,
)
from attractor.nn.energy_transformer.images_weights import NAMES, from_image_checkpoint, image_checkpoint_of
from attractor.read import SoftMax

SHAPE, PATCH, DIM = (2, 6, 9), 3, 12


def small(seed=0, image_shape=SHAPE, patch_size=PATCH, steps=3, block=None, **options):
    generator = torch.Generator().manual_seed(seed)
    given = {"heads": 2, "key_dim": 5, "memories": 7, "steps": steps, "self_attention": True, "init": "scaled"}
    block = EnergyTransformer(DIM, **given | (block or {}), generator=generator)
    return VisionEnergyTransformer(image_shape, patch_size, block, generator=generator, **options)


def pictures(count=4, seed=1, shape=SHAPE):
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(seed))


def some_hidden(count=4, seed=2):
    return random_patch_masks(count, 6, hidden=3, generator=torch.Generator().manual_seed(seed)).hidden


def test_a_patch_is_read_by_channel_row_and_column_and_patches_row_by_row():
    images = pictures()
    found = patchify(images, PATCH)
    for row in range(2):
        for column in range(3):
            window = images[:, :, row * 3 : row * 3 + 3, column * 3 : column * 3 + 3]
            assert torch.equal(found[:, row * 3 + column], window.reshape(4, -1))


@settings(max_examples=20)
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 4), st.integers(1, 4))
def test_patches_make_up_the_image(channels, rows, columns, size):
    shape = (channels, rows * size, columns * size)
    images = pictures(2, shape=shape)
    assert torch.equal(unpatchify(patchify(images, size), shape, size), images)


def test_each_image_has_its_own_mask_of_the_counts_asked_for():
    before = torch.get_rng_state()
    masks = random_patch_masks(50, 16, hidden=7, shown=2, generator=torch.Generator().manual_seed(0))
    again = random_patch_masks(50, 16, hidden=7, shown=2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(torch.get_rng_state(), before)
    assert set(masks.hidden.sum(1).tolist()) == {7} and set(masks.scored.sum(1).tolist()) == {9}
    assert not bool((masks.hidden & ~masks.scored).any())
    assert len(masks.hidden.unique(dim=0)) > 40 and torch.equal(masks.hidden, again.hidden)


def test_the_first_patch_is_hidden_no_more_often_than_others():
    # an index search that pads with 0 would hide it always
    masks = random_patch_masks(4000, 196, hidden=90, shown=10, generator=torch.Generator().manual_seed(0))
    shares = masks.hidden.double().mean(0)
    assert float(shares[0]) == pytest.approx(90 / 196, abs=0.04) and float((shares - 90 / 196).abs().max()) < 0.04
    model, hidden = small(), torch.eye(4, 6, dtype=torch.bool)
    seen = model.embed(pictures(), hidden) - model.positions
    assert torch.equal((seen[:, 1:] - model.mask_token).abs().amax(-1) < 1e-5, hidden)


def test_error_counts_the_scored_patches_only():
    images, scored = torch.zeros(2, *SHAPE), torch.zeros(2, 6, dtype=torch.bool)
    scored[0, 1] = scored[1, 0] = scored[1, 5] = True
    found = images.clone()
    found[0, :, :3, 3:6], found[0, :, 3:], found[1, :, 3:, 6:] = 2.0, 9.0, 4.0
    assert masked_error(found, images, scored, PATCH).tolist() == [4.0, 8.0]


def test_other_patches_count_in_no_error_and_in_no_gradient():
    images, scored = torch.zeros(2, *SHAPE), torch.zeros(2, 6, dtype=torch.bool)
    scored[:, 1] = True
    images[:, :, 3:] = torch.nan
    found = torch.ones(2, *SHAPE, requires_grad=True)
    error = masked_error(found, images, scored, PATCH)
    assert error.tolist() == [1.0, 1.0]
    error.sum().backward()
    assert bool(found.grad.isfinite().all()) and torch.equal(found.grad[0, 0] != 0, small().pixels(scored)[0, 0])
    scored[1] = False
    with pytest.raises(ValueError, match=r"scored must have a patch of each image, images without any: \[1\]"):
        masked_error(found, images, scored, PATCH)


def test_parameters_of_the_published_image_model_are_counted():
    model = VisionEnergyTransformer((3, 224, 224), 16, EnergyTransformer(768, self_attention=True))
    assert sum(one.numel() for one in model.parameters()) == 4_873_729


def test_reconstruction_is_that_of_the_formula():
    model, images, hidden = small(mean=(0.3, 0.5), std=(0.2, 0.4)).double(), pictures().double(), some_hidden()
    block, norm = model.block, model.block.norm
    x = torch.zeros(4, 7, DIM, dtype=torch.float64)
    for sample in range(4):
        x[sample, 0] = model.class_token
        for patch in range(6):
            row, column = divmod(patch, 3)
            window = images[sample, :, row * 3 : row * 3 + 3, column * 3 : column * 3 + 3]
            standard = (window - torch.tensor([0.3, 0.5]).view(2, 1, 1)) / torch.tensor([0.2, 0.4]).view(2, 1, 1)
            seen = model.encoder.weight @ standard.reshape(-1) + model.encoder.bias
            x[sample, patch + 1] = model.mask_token if hidden[sample, patch] else seen
    x = (x + model.positions).detach().requires_grad_()

    def normal(x):
        centred = x - x.mean(-1, keepdim=True)
        return norm.gain * centred / (centred.square().mean(-1, keepdim=True) + norm.eps).sqrt() + norm.bias

    for _ in range(3):
        g = normal(x)
        queries, keys = (torch.einsum("bnd,hyd->bhny", g, weight) for weight in (block.query, block.key))
        energy = -(5**0.5) * (queries @ keys.mT * 5**-0.5).logsumexp(-1).sum() - (g @ block.memory.T).relu().square().sum() / 2
        x = x - 0.1 * torch.autograd.grad(energy, g)[0]
    patches = normal(x)[:, 1:] @ model.decoder.weight.T + model.decoder.bias
    wanted = torch.zeros_like(images)
    for patch in range(6):
        row, column = divmod(patch, 3)
        window = patches[:, patch].reshape(4, 2, 3, 3) * torch.tensor([0.2, 0.4]).view(2, 1, 1) + torch.tensor([0.3, 0.5]).view(
            2, 1, 1
        )
        wanted[:, :, row * 3 : row * 3 + 3, column * 3 : column * 3 + 3] = window
    torch.testing.assert_close(model(images, hidden), wanted, rtol=1e-6, atol=1e-6)


def test_visible_pixels_stay_and_hidden_ones_are_no_evidence():
    model, images = small(), pictures()
    known = model.pixels(~some_hidden())
    completed = model.complete(images, known)
    assert torch.equal(completed[known], images[known])
    torch.testing.assert_close(completed, torch.where(known, images, model(images, some_hidden()).detach()))
    assert torch.equal(model.complete(images.masked_fill(~known, torch.nan), known), completed)
    assert not completed.requires_grad


def test_a_patch_with_one_unknown_pixel_is_hidden_as_a_whole():
    model, images = small(), pictures()
    known = torch.ones(*SHAPE, dtype=torch.bool)
    known[1, 4, 7] = False
    hidden = torch.zeros(6, dtype=torch.bool)
    hidden[5] = True
    completed = model.complete(images, known)
    assert torch.equal(completed[:, known], images[:, known])
    torch.testing.assert_close(completed[:, 1, 4, 7], model(images, hidden)[:, 1, 4, 7].detach())


def test_pixels_of_a_mask_of_patches():
    hidden = some_hidden()
    spread = small().pixels(hidden)
    assert torch.equal(patchify(spread, PATCH), hidden[..., None].expand(4, 6, 18))


def test_trace_ends_at_the_reconstruction_and_its_energy_falls():
    model, images, hidden = small(), pictures(), some_hidden()
    seen = model.trace(images, hidden)
    assert seen.images.shape == (4, 4, *SHAPE) and seen.tokens.shape == (4, 4, 7, DIM)
    torch.testing.assert_close(seen.images[-1], model(images, hidden).detach())
    torch.testing.assert_close(seen.images[1], model(images, hidden, steps=1).detach())
    energies = torch.stack([model.block.energy(model.block.normalize(one)) for one in seen.tokens])
    assert bool((energies.diff(dim=0) < 0).all())
    assert len(model.trace(images, steps=5).images) == 6


def test_completion_and_trace_are_of_evaluation_and_give_each_mode_back():
    model, images, hidden = small(block={"noise": 0.5}), pictures(), some_hidden()
    model.encoder.eval()
    known, modes = model.pixels(~hidden), [module.training for module in model.modules()]
    assert set(modes) == {True, False}
    completed, seen = model.complete(images, known), model.trace(images, hidden)
    assert [module.training for module in model.modules()] == modes
    model.eval()
    torch.testing.assert_close(completed, torch.where(known, images, model(images, hidden).detach()))
    torch.testing.assert_close(seen.images[-1], model(images, hidden).detach())
    model.train()
    for call in (lambda: model.complete(images, known, steps=0), lambda: model.trace(images, steps=0)):
        with pytest.raises(ValueError, match="steps"):
            call()
        assert all(module.training for module in model.modules())


def test_classes_are_learned_with_noise():
    model, images = small(classes=3, block={"noise": 0.5}), pictures()
    one, two, other = (model.classify(images, generator=torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(one, two) and not torch.equal(one, other)
    one.sum().backward()
    assert bool(model.encoder.weight.grad.any())


def test_gradients_reach_every_parameter_but_the_head():
    model = small(classes=3)
    model(pictures(), some_hidden()).square().sum().backward()
    assert all(bool(one.grad.any()) for name, one in model.named_parameters() if not name.startswith("head"))


def test_classes_are_read_from_the_class_token_of_whole_images():
    model, images = small(classes=3), pictures()
    scores = model.classify(images)
    token = model.trace(images).tokens[-1][:, 0]
    torch.testing.assert_close(scores, model.head(token))
    torch.testing.assert_close(scores[1:2], model.classify(images[1:2]))
    scores.sum().backward()
    assert bool(model.encoder.weight.grad.any()) and model.mask_token.grad is None
    with pytest.raises(ValueError, match="classes"):
        small().classify(images)


def cubic(place, a=-0.75):
    """Weights of the four points at -1, 0, 1, 2 for one at `place` (Keys 1981)."""
    far, near = torch.tensor([1 + place, 2 - place]), torch.tensor([place, 1 - place])
    outer = a * far**3 - 5 * a * far**2 + 8 * a * far - 4 * a
    inner = (a + 2) * near**3 - (a + 3) * near**2 + 1
    return torch.stack([outer[0], inner[0], inner[1], outer[1]])


def test_another_resolution_keeps_the_class_row_and_bends_the_grid():
    model = small(image_shape=(1, 12, 10), patch_size=2)
    with torch.no_grad():
        rows, columns = torch.meshgrid(torch.arange(6.0), torch.arange(5.0), indexing="ij")
        model.positions[1:] = (rows + 10 * columns).reshape(-1, 1)
    large = model.resized(24, 20)
    table = large.positions.detach()[1:, 0].reshape(12, 10)
    # row 5 of twelve lies at 2.25 of six, column 4 of ten at 1.75 of five: cubic convolution, in rows and in columns alike
    assert float(table[5, 4]) == pytest.approx(cubic(0.25) @ torch.arange(1.0, 5.0) + 10 * cubic(0.75) @ torch.arange(0.0, 4.0))
    assert torch.equal(large.positions[0], model.positions[0])
    images = pictures(shape=(1, 24, 20))
    assert large(images).shape == images.shape and large.patches == 120
    assert model.positions.shape == (31, DIM) and model.image_shape == (1, 12, 10)
    torch.testing.assert_close(model.resized(12, 10)(images[..., :12, :10]), model(images[..., :12, :10]))
    assert large.block.memory is not model.block.memory


def test_start_has_the_deviations_that_are_documented():
    generator = torch.Generator().manual_seed(0)
    paper = VisionEnergyTransformer((1, 32, 32), 2, EnergyTransformer(64), init="paper", generator=generator)
    scaled = VisionEnergyTransformer((1, 32, 32), 2, EnergyTransformer(64), generator=generator)
    assert float(scaled.mask_token.detach().std()) == pytest.approx(0.125, rel=0.3)
    assert (
        float(paper.positions.detach().std()) == pytest.approx(0.002, rel=0.02) and float(paper.mask_token.detach().std()) < 0.004
    )
    assert float(scaled.positions.detach().std()) == pytest.approx(1.0, rel=0.02) and float(
        scaled.encoder.weight.detach().std()
    ) == pytest.approx(0.5, rel=0.1)


def test_same_generator_same_model_and_none_other_is_touched():
    before = torch.get_rng_state()
    one, two, other = small(0), small(0), small(1)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert not torch.equal(one.positions, other.positions)


def public_arrays(seed=0, dtype=np.float32):
    """A checkpoint as the public code writes it: weights on the right of their inputs."""
    draw = np.random.default_rng(seed).normal
    shapes = {"Wq": (2, 5, 12), "Wk": (2, 5, 12), "Xi": (12, 7), "Wenc": (18, 12), "Benc": (12,), "Wdec": (12, 18), "Bdec": (18,)}
    shapes |= {"LNORM_bias": (12,), "CLS_token": (12,), "MASK_token": (12,), "POS_embed": (7, 12)}
    return {name: draw(size=shape).astype(dtype) for name, shape in shapes.items()} | {"LNORM_gamma": np.array(1.3, dtype)}


def read(source, **options):
    return from_image_checkpoint(source, image_shape=SHAPE, patch_size=PATCH, steps=4, **{"mean": 0, "std": 1} | options)


def test_public_weights_come_back_exactly_from_a_file(tmp_path):
    arrays = public_arrays()
    np.savez(tmp_path / "weights.npz", **arrays)
    written = image_checkpoint_of(read(tmp_path / "weights.npz"))
    assert set(written) == set(NAMES)
    assert all(np.array_equal(written[name], arrays[name]) and written[name].dtype == np.float32 for name in NAMES)
    np.savez(tmp_path / "again.npz", **written)
    one, two = read(tmp_path / "again.npz"), read(arrays)
    assert torch.equal(one(pictures()), two(pictures()))


def test_public_weights_mean_what_they_mean_there():
    arrays, images, hidden = public_arrays(dtype=np.float64), pictures(1).double(), some_hidden(1)
    model = read(arrays)
    a = {name: torch.tensor(value) for name, value in arrays.items()}
    x = patchify(images, PATCH)[0] @ a["Wenc"] + a["Benc"]
    x[hidden[0]] = a["MASK_token"]
    x = (torch.cat([a["CLS_token"][None], x]) + a["POS_embed"]).requires_grad_()

    def norm(x):
        centred = x - x.mean(-1, keepdim=True)
        return a["LNORM_gamma"] * centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() + a["LNORM_bias"]

    for _ in range(4):
        g = norm(x)
        queries, keys = (torch.einsum("nd,hyd->hny", g, a[name]) for name in ("Wq", "Wk"))
        energy = -(5**0.5) * (queries @ keys.mT / 5**0.5).logsumexp(-1).sum() - (g @ a["Xi"]).relu().square().sum() / 2
        x = x - 0.1 * torch.autograd.grad(energy, g)[0]
    wanted = unpatchify((norm(x)[1:] @ a["Wdec"] + a["Bdec"])[None], SHAPE, PATCH)
    torch.testing.assert_close(model(images, hidden), wanted)
    assert model.positions.dtype == torch.float64


def test_public_weights_are_for_images_without_imagenets_mean():
    arrays = public_arrays() | {"Wenc": np.zeros((27, 12), np.float32), "Wdec": np.zeros((12, 27), np.float32)}
    arrays["Bdec"] = np.zeros(27, np.float32)
    model = from_image_checkpoint(arrays, image_shape=(3, 6, 9), patch_size=3)
    torch.testing.assert_close(model(pictures(1, shape=(3, 6, 9)))[0, :, 0, 0], torch.tensor([0.485, 0.456, 0.406]))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"Wk": np.zeros((2, 5, 11), np.float32)}, r"Wk must have shape \(2, 5, 12\)"),
        ({"Xi": np.zeros((7, 12), np.float32)}, "beside the other arrays"),
        ({"Wenc": np.zeros((12, 18), np.float32)}, r"Wenc must have shape \(18, 12\)"),
        ({"POS_embed": np.zeros((6, 12), np.float32)}, "POS_embed"),
        ({"Wq": np.zeros((5, 12), np.float32)}, "Wq"),
        ({"LNORM_gamma": np.array(-1, np.float32)}, "positive"),
        ({"CLS_token": np.full(12, np.nan, np.float32)}, "CLS_token must be finite"),
        ({"CLS_token": np.zeros(12, np.int64)}, "one floating-point precision"),
        ({"extra": np.zeros(1, np.float32)}, r"unknown are \['extra'\]"),
    ],
)
def test_wrong_arrays_are_refused(change, complaint):
    with pytest.raises(ValueError, match=complaint):
        read(public_arrays() | change)


def test_a_missing_array_and_a_pickle_are_refused(tmp_path):
    arrays = public_arrays()
    del arrays["Benc"]
    with pytest.raises(ValueError, match=r"missing are \['Benc'\]"):
        read(arrays)
    np.savez(tmp_path / "pickled.npz", **public_arrays() | {"Wq": np.array([{}], dtype=object)})
    with pytest.raises(ValueError, match="plain arrays"):
        read(tmp_path / "pickled.npz")
    (tmp_path / "text.npz").write_text("no archive")
    for path in (tmp_path / "text.npz", tmp_path / "none.npz"):
        with pytest.raises(ValueError, match="plain arrays"):
            read(path)


def archive(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, array in members.items():
            with file.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array)


def test_a_file_is_checked_before_it_is_unpacked(tmp_path, monkeypatch):
    path = tmp_path / "weights.npz"
    monkeypatch.setattr(images_weights, "LARGEST", 10**6)
    read_members, true = [], zipfile.ZipFile.read
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda self, name: read_members.append(name) or true(self, name))
    for change, complaint in (
        ({"extra": np.zeros(10**5, np.float32)}, r"unknown are \['extra'\]"),
        ({"Benc": np.zeros(10**5, np.float32)}, "Benc must have shape"),
        ({"Benc": np.zeros(12, np.int32)}, "no floating-point numbers"),
        ({"Xi": np.zeros((12, 7 * 10**4), np.float32)}, "bytes unpacked, more than"),
    ):
        archive(path, public_arrays() | change)
        with pytest.raises(ValueError, match=complaint):
            read(path)
    assert read_members == []
    archive(path, public_arrays())
    read(path)
    assert len(read_members) == len(NAMES)


def test_a_header_that_promises_more_than_there_is_is_refused(tmp_path):
    path = tmp_path / "weights.npz"
    archive(path, public_arrays())
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    members["Xi.npy"] = members["Xi.npy"].replace(b"(12, 7)", b"(12,99)")
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    with pytest.raises(ValueError, match="not as many as it says"):
        read(path)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_flipped_byte_is_refused_or_changes_nothing(tmp_path, save):
    path = tmp_path / "weights.npz"
    save(path, **public_arrays())
    whole, images = path.read_bytes(), pictures()
    wanted = read(path)(images)
    places = np.random.default_rng(0).integers(0, len(whole), 50).tolist() + list(range(len(whole) - 60, len(whole)))
    refused = 0
    for place in [*range(40), *places]:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            assert torch.equal(read(path)(images), wanted)
        except ValueError:
            refused += 1
    assert refused > 60


def test_other_files_are_refused(tmp_path):
    np.save(tmp_path / "one.npy", np.zeros(3))
    for path in (tmp_path / "one.npy", tmp_path):
        with pytest.raises(ValueError, match="plain arrays"):
            read(path)


def test_arrays_may_be_parameters_and_half_as_wide(tmp_path):
    arrays = public_arrays()
    tensors = {name: torch.nn.Parameter(torch.tensor(one)) for name, one in arrays.items()}
    model = read(tensors)
    assert torch.equal(model(pictures()), read(arrays)(pictures()))
    model.positions.data.zero_()
    assert bool(tensors["POS_embed"].any())
    half = read({name: one.to(torch.bfloat16) for name, one in tensors.items()})
    written = image_checkpoint_of(half)
    assert half.positions.dtype == torch.bfloat16 and written["Wq"].dtype == np.float32
    assert torch.equal(torch.tensor(written["Xi"].T).bfloat16(), half.block.memory)
    before = torch.get_rng_state()
    read(arrays)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_model_that_the_layout_has_no_place_for_is_refused():
    with pytest.raises(ValueError, match=r"head"):
        image_checkpoint_of(small(classes=2))
    with pytest.raises(ValueError, match="attention"):
        image_checkpoint_of(VisionEnergyTransformer(SHAPE, PATCH, EnergyTransformer(DIM, attention=False)))


@pytest.mark.parametrize(
    ("name", "value"),
    [("beta", 0.3), ("activation", "softmax"), ("causal", True), ("self_attention", False), ("noise", 0.1)],
)
def test_a_block_that_would_mean_something_else_there_is_refused(name, value):
    with pytest.raises(ValueError, match=rf"got {{'{name}'"):
        image_checkpoint_of(small(block={name: value}))


BLOCKS = [
    {},
    {"self_attention": False, "causal": True, "step_size": 0.7, "steps": 2, "noise": 0.1, "bias": True},
    {"beta": torch.tensor([0.1, 0.7]), "activation": "softmax"},
    {"learn_beta": True, "activation": SoftMax(beta=torch.nn.Parameter(torch.tensor(0.6))), "checkpoint": True, "route": "plain"},
    {"attention": False},
    {"memories": 0},
]


@pytest.mark.parametrize("block", BLOCKS)
def test_a_saved_model_comes_back_whole(tmp_path, block):
    model, images, hidden = small(block=block, classes=3, mean=(0.1, 0.2), std=(0.3, 0.7)).eval(), pictures(), some_hidden()
    with torch.no_grad():
        for one in model.parameters():
            one += 0.01
    model.save(tmp_path / "model")
    again = VisionEnergyTransformer.load(tmp_path / "model")
    assert torch.equal(again(images, hidden), model(images, hidden)) and torch.equal(again.classify(images), model.classify(images))
    assert not again.training and again.block.noise == model.block.noise and again.block.steps == model.block.steps
    assert [name for name, _ in again.named_parameters()] == [name for name, _ in model.named_parameters()]
    assert [file.name for file in tmp_path.iterdir()] == ["model"]
    model.to(torch.bfloat16).save(tmp_path / "model")
    assert VisionEnergyTransformer.load(tmp_path / "model").positions.dtype == torch.bfloat16


def test_a_damaged_model_is_refused(tmp_path):
    path = tmp_path / "model"
    small().save(path)
    whole = path.read_bytes()
    for place in np.random.default_rng(0).integers(0, len(whole), 60).tolist():
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(ValueError, match="path must be a saved VisionEnergyTransformer"):
            VisionEnergyTransformer.load(path)
    path.write_bytes(whole[:-40])
    with pytest.raises(ValueError, match="damaged"):
        VisionEnergyTransformer.load(path)
    with pytest.raises(FileNotFoundError, match="no file"):
        VisionEnergyTransformer.load(tmp_path / "none")
    with pytest.raises(ValueError, match="folder"):
        small().save(tmp_path)


@pytest.mark.parametrize(
    ("call", "error", "complaint"),
    [
        (lambda: small(image_shape=(1, 7, 6)), ValueError, "multiples of patch_size"),
        (lambda: small(image_shape=(6, 6)), ValueError, "channels"),
        (lambda: small(patch_size=0), ValueError, "patch_size"),
        (lambda: small(init="large"), ValueError, "init"),
        (lambda: small(classes=0), ValueError, "classes"),
        (lambda: small(std=0.0), ValueError, "std"),
        (lambda: small(mean="x"), TypeError, "mean"),
        (lambda: small(image_shape=28), ValueError, "image_shape"),
        (lambda: VisionEnergyTransformer(SHAPE, PATCH, None), TypeError, "block must be an EnergyTransformer"),
        (lambda: VisionEnergyTransformer(SHAPE, PATCH, torch.nn.Linear(2, 2)), TypeError, "block must be an EnergyTransformer"),
        (lambda: masked_error(pictures(), pictures(), some_hidden().long(), PATCH), TypeError, "scored"),
        (lambda: masked_error(pictures(), pictures(), some_hidden(3), PATCH), ValueError, "scored"),
        (lambda: small(mean=(1.0, 2.0, 3.0)), ValueError, "mean"),
        (lambda: small()(pictures()[0]), ValueError, "images"),
        (lambda: small()(pictures().long()), ValueError, "floating"),
        (lambda: small()(pictures().double()), ValueError, "like the weights"),
        (lambda: small()(pictures().fill_(torch.nan)), ValueError, "finite"),
        (lambda: small()(pictures(), some_hidden().long()), TypeError, "Boolean"),
        (lambda: small()(pictures(), some_hidden(3)), ValueError, "hidden"),
        (lambda: small()(pictures(), steps=0), ValueError, "steps"),
        (lambda: small().complete(pictures(), torch.ones(4, 6)), TypeError, "known"),
        (lambda: small().complete(pictures(), torch.ones(5, 6, dtype=torch.bool)), ValueError, "broadcast"),
        (lambda: small().complete(pictures(), torch.zeros(6, 9, dtype=torch.bool)), ValueError, r"\[0, 1, 2, 3\]"),
        (lambda: small().resized(6, 7), ValueError, "multiples"),
        (lambda: random_patch_masks(2, 6, hidden=6, shown=1), ValueError, "between 1 and 6"),
        (lambda: random_patch_masks(2, 6, hidden=0), ValueError, "between 1 and 6"),
        (lambda: patchify(torch.zeros(2, 4, 4), 2), ValueError, "images"),
        (lambda: unpatchify(torch.zeros(2, 5, 18), SHAPE, PATCH), ValueError, "patches"),
        (lambda: resize_positions(torch.zeros(6, 3), (2, 3), (4, 6)), ValueError, "positions"),
    ],
)
def test_bad_inputs_are_refused(call, error, complaint):
    with pytest.raises(error, match=complaint):
        call()
