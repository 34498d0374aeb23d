"""Prototypes as an energy, the completion loss, and the modules made of them."""

import pytest
import torch
from torch import nn
from torch.nn.functional import normalize

from attractor.nn import ClAMLayer, DeepClAM
from attractor.nn.clam import completion_loss, hidden_features, shared_completion_loss
from attractor.nn.clam.dynamics import Landscape


def draws(seed, *, spherical=False):
    """A random landscape, states and mask in float64."""
    generator = torch.Generator().manual_seed(seed)
    clusters, dim = int(torch.randint(2, 9, (), generator=generator)), int(torch.randint(2, 13, (), generator=generator))
    beta = 10 ** float(torch.rand((), generator=generator) * 4 - 2)
    prototypes = torch.randn(clusters, dim, generator=generator, dtype=torch.float64)
    states = 2 * torch.randn(5, dim, generator=generator, dtype=torch.float64)
    weights = torch.randn(clusters, generator=generator, dtype=torch.float64).log_softmax(-1)
    mask = torch.rand(5, dim, generator=generator) < 0.5
    step_size = float(torch.rand((), generator=generator, dtype=torch.float64) * (1.0 if spherical else 1.9)) + 1e-3
    if spherical:
        prototypes, states = normalize(prototypes, dim=-1), normalize(states, dim=-1)
    return Landscape(prototypes, beta, weights if seed % 2 else None, spherical), states, mask, step_size


@pytest.mark.parametrize("spherical", [False, True])
def test_energy_never_rises(spherical):
    for seed in range(100):
        landscape, states, mask, step_size = draws(seed, spherical=spherical)
        for hidden in (None, mask):
            now, energy = states, landscape.energy(states)
            for _ in range(10):
                now = landscape.step(now, step_size, hidden)
                after = landscape.energy(now)
                assert bool((after - energy <= 1e-10).all()), (seed, hidden is None)
                energy = after


def test_step_is_half_the_gradient_of_the_energy():
    for seed in range(20):
        landscape, states, mask, step_size = draws(seed)
        states.requires_grad_()
        (slope,) = torch.autograd.grad(landscape.energy(states).sum(), states)
        for hidden in (torch.ones_like(mask), mask):
            moved = (landscape.step(states, step_size, hidden) - states) / step_size
            torch.testing.assert_close(moved, -slope / 2 * hidden, atol=1e-10, rtol=1e-10)


def test_spherical_step_follows_the_gradient_and_stays_on_the_sphere():
    for seed in range(20):
        landscape, states, mask, _ = draws(seed, spherical=True)
        for hidden in (None, mask):
            reached = landscape.step(states, 0.7, hidden)
            torch.testing.assert_close(reached.norm(dim=-1), torch.ones(5, dtype=torch.float64))
        moved = landscape.step(states, 0.7, mask) - states
        assert bool((moved[~mask] == 0).all())


def test_known_entries_stay_and_what_is_unknown_is_not_read(generator):
    layer = ClAMLayer(4, 3, generator=generator)
    x = torch.randn(6, 4, generator=generator)
    known = torch.rand(6, 4, generator=generator) < 0.5
    first = layer(x, known)
    second = layer(torch.where(known, x, torch.nan), known)
    assert torch.equal(first.states[known], x[known])
    assert torch.equal(first.states, second.states) and torch.equal(first.assignments, second.assignments)


def test_sharp_descent_ends_at_the_nearest_prototype(generator):
    x = torch.randn(2000, 12, generator=generator, dtype=torch.float64)
    layer = ClAMLayer(12, 7, beta=10.0, steps=10).double()
    layer.prototypes.data.copy_(torch.randn(7, 12, generator=generator, dtype=torch.float64))
    nearest = torch.cdist(x, layer.prototypes).argmin(-1)
    assert (layer(x).assignments.argmax(-1) == nearest).double().mean() >= 0.999


@pytest.mark.parametrize("loss", [completion_loss, shared_completion_loss])
def test_gradient_of_the_whole_loss_is_that_of_k_means_where_it_is_sharp(generator, loss):
    x = torch.randn(50, 5, generator=generator, dtype=torch.float64)
    prototypes = torch.randn(4, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    (mine,) = torch.autograd.grad(loss(Landscape(prototypes, 1e5), x, None, steps=1, step_size=1.0), prototypes)
    hard = torch.cdist(x, prototypes).square().amin(-1).sum() / x.numel()
    (theirs,) = torch.autograd.grad(hard, prototypes)
    torch.testing.assert_close(mine, theirs, atol=1e-8, rtol=1e-8)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("hidden", [None, [1, 4]])
def test_loss_by_overlaps_is_the_loss_by_states(generator, hidden, weighted):
    x = torch.randn(9, 6, generator=generator, dtype=torch.float64)
    prototypes = torch.randn(3, 4, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(3, 4, generator=generator, dtype=torch.float64) if weighted else None
    beta = torch.tensor([0.2, 1.0, 3.0], dtype=torch.float64)[:, None, None]
    landscape = Landscape(prototypes, beta, weights)
    index = None if hidden is None else torch.tensor(hidden)
    mask = None if index is None else torch.zeros(9, 6, dtype=torch.bool).index_fill(1, index, True)
    short = shared_completion_loss(landscape, x, index, steps=4, step_size=0.3)
    long = completion_loss(landscape, x, mask, steps=4, step_size=0.3)
    torch.testing.assert_close(short, long, atol=1e-12, rtol=1e-12)
    slopes = [torch.autograd.grad(one.sum(), prototypes)[0] for one in (short, long)]
    torch.testing.assert_close(*slopes, atol=1e-12, rtol=1e-12)


def test_hidden_entries_and_missing_ones_are_not_seen(generator):
    x = torch.randn(8, 6, generator=generator)
    landscape = Landscape(torch.randn(3, 6, generator=generator), 1.0)
    hidden = hidden_features(8, 6, 0.3, generator=generator)
    known = torch.rand(8, 6, generator=generator) < 0.7
    loss = completion_loss(landscape, torch.where(known, x, torch.nan), hidden, steps=3, step_size=0.5, known=known)
    assert bool(loss.isfinite())
    states = torch.where(known & ~hidden, x, 0)
    for _ in range(3):
        states = landscape.step(states, 0.5, hidden | ~known)
    compared = hidden & known
    torch.testing.assert_close(loss, (states - x)[compared].square().mean())


def test_every_feature_is_hidden_equally_often(generator):
    dim, rows = 7, 100_000
    mask = hidden_features(rows, dim, 0.3, generator=generator)
    assert bool((mask.sum(1) == 2).all())
    expected = rows * 2 / dim
    # draws without replacement: the sum has dim - 1 degrees of freedom once it is divided by their smaller variance
    chi = ((mask.sum(0) - expected) ** 2 / expected).sum() / (1 - 2 / dim) * (dim - 1) / dim
    assert chi < 22.46  # p = 0.001 with 6 degrees of freedom
    assert bool((hidden_features(1000, 3, 0.01, generator=generator).sum(1) == 1).all())


def test_unknown_features_are_hidden_last(generator):
    known = torch.zeros(50, 5, dtype=torch.bool)
    known[:, 3] = True
    assert bool(hidden_features(50, 5, 0.2, known=known, generator=generator)[:, 3].all())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nothing_overflows_far_away(generator, dtype):
    x = (1e3 * torch.randn(20, 4, generator=generator)).to(dtype).requires_grad_()
    layer = ClAMLayer(4, 3, beta=1.0, generator=generator).to(dtype)
    states, assignments = layer(x)
    (states.sum() + layer.energy(x).sum()).backward()
    for tensor in (states, assignments, layer.energy(x), x.grad, layer.prototypes.grad):
        assert bool(tensor.isfinite().all())


def test_leading_dimensions_are_independent_sets(generator):
    many = ClAMLayer(4, 3, leading=(5,), generator=generator)
    x = torch.randn(6, 4, generator=generator)
    states, assignments = many(x)
    assert states.shape == (5, 6, 4) and assignments.shape == (5, 6, 3)
    one = ClAMLayer(4, 3)
    one.prototypes.data.copy_(many.prototypes[2])
    torch.testing.assert_close(one(x).states, states[2])


def test_no_tensor_of_samples_by_clusters_by_features_is_made(generator):
    rows, clusters, dim = 64, 50, 100
    sizes = []

    class Seen(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
            result = function(*arguments, **(keywords or {}))
            if isinstance(result, torch.Tensor):
                sizes.append(result.numel())
            return result

    x = torch.randn(rows, dim, generator=generator)
    layer = ClAMLayer(dim, clusters, generator=generator)
    with Seen():
        layer(x).states.sum().backward()
        shared_completion_loss(layer.landscape, x, torch.arange(20), steps=3, step_size=0.3).backward()
    assert sizes and max(sizes) <= max(rows * (clusters + dim), clusters * dim)


def test_layer_learns_as_the_last_layer_of_an_encoder(generator):
    encoder, layer = nn.Linear(6, 3), ClAMLayer(3, 2, weighted=True, spherical=True)
    x = torch.randn(10, 6, generator=generator)
    output = layer(encoder(x))
    output.states.square()[:, 0].sum().backward()
    for parameter in (encoder.weight, layer.prototypes, layer.weight_logits):
        assert parameter.grad is not None and bool(parameter.grad.isfinite().all())


def test_deep_form_trains_all_three_by_one_loss(generator):
    model = DeepClAM(nn.Linear(6, 2), nn.Linear(2, 6), ClAMLayer(2, 3, steps=1, step_size=1.0, generator=generator))
    x = torch.randn(12, 6, generator=generator)
    model.loss(x).backward()
    assert all(parameter.grad is not None and bool(parameter.grad.abs().sum() > 0) for parameter in model.parameters())
    output = model(x)
    torch.testing.assert_close(output.decoded, model.decoder(model.clam(output.latents).states))


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"beta": 0.0}, "beta"),
        ({"beta": "auto"}, "beta"),
        ({"steps": 0}, "steps"),
        ({"step_size": 2.0}, "step_size"),
        ({"step_size": 0.0}, "step_size"),
        ({"step_size": 1.5, "spherical": True}, "step_size"),
        ({"clusters": 0}, "clusters"),
        ({"dim": 0}, "dim"),
    ],
)
def test_bad_settings_are_refused(settings, complaint):
    with pytest.raises(ValueError, match=complaint):
        ClAMLayer(**({"dim": 4, "clusters": 3} | settings))


def test_bad_states_are_refused():
    layer = ClAMLayer(4, 3)
    for x in (torch.ones(4), torch.ones(2, 3), torch.full((2, 4), torch.nan), torch.ones(2, 4, dtype=torch.int64)):
        with pytest.raises(ValueError, match="x"):
            layer(x)
    with pytest.raises(ValueError, match="known"):
        layer(torch.ones(2, 4), torch.ones(2, 4))
    with pytest.raises(ValueError, match="fraction"):
        hidden_features(2, 4, 0.0)
    with pytest.raises(TypeError, match="clam"):
        DeepClAM(nn.Identity(), nn.Identity(), nn.Identity())
    with pytest.raises(ValueError, match="clam"):
        DeepClAM(nn.Identity(), nn.Identity(), ClAMLayer(2, 2, leading=(3,)))


def test_no_step_rises_where_nearly_all_of_the_length_is_known():
    generator = torch.Generator().manual_seed(0)
    thin = torch.tensor([0.1, 1.0, 1.0], dtype=torch.float64)
    long = torch.tensor([1.0, 0.05, 0.05], dtype=torch.float64)
    hidden = torch.tensor([[False, True, True]])
    for step_size in (0.2, 1.0):
        prototypes = normalize(torch.randn(2000, 2, 3, generator=generator, dtype=torch.float64) * thin, dim=-1)
        states = normalize(torch.randn(2000, 1, 3, generator=generator, dtype=torch.float64) * long, dim=-1)
        landscape = Landscape(prototypes, 5.0, None, True)
        for _ in range(5):
            after = landscape.step(states, step_size, hidden)
            assert float((landscape.energy(after) - landscape.energy(states)).max()) <= 1e-12
            states = after


def test_state_dict_holds_what_the_descent_needs(generator):
    x = torch.randn(20, 4, generator=generator)
    layer = ClAMLayer(4, 3, beta=12.7, steps=3, step_size=0.4, generator=generator)
    fresh = ClAMLayer(4, 3)
    fresh.load_state_dict(layer.state_dict())
    assert (fresh.beta, fresh.steps, fresh.step_size) == (12.7, 3, 0.4)
    assert torch.equal(fresh(x).assignments, layer(x).assignments)
    halved = ClAMLayer(4, 3).bfloat16()
    halved.load_state_dict(layer.bfloat16().state_dict())
    assert halved.beta == 12.7
    for wrong in ([-1.0, 3, 0.4], [1.0, 0, 0.4], [1.0, 2.5, 0.4], [1.0, 3, 2.0], [float("nan"), 3, 0.4]):
        with pytest.raises((ValueError, RuntimeError), match=r"beta|steps|step_size"):
            fresh.load_state_dict(layer.float().state_dict() | {"_extra_state": torch.tensor(wrong, dtype=torch.float64)})


def test_autocast_changes_no_digit(generator):
    x = torch.randn(6, 4, generator=generator)
    layer = ClAMLayer(4, 3, weighted=True, generator=generator)
    mask = hidden_features(6, 4, 0.3, generator=generator)

    def everything():
        losses = [
            completion_loss(layer.landscape, x, mask, steps=3, step_size=0.3),
            shared_completion_loss(layer.landscape, x, torch.tensor([1]), steps=3, step_size=0.3),
        ]
        return [*layer(x), layer.step(x), layer.energy(x), *losses]

    plain = everything()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for one, other in zip(plain, everything(), strict=True):
            assert torch.equal(one, other)
        assert layer(x.bfloat16()).states.dtype == torch.float32
    with pytest.raises(ValueError, match=r"x must be torch.float32 .* got torch.float64"):
        layer(x.double())


def test_spherical_layer_takes_no_mask():
    layer = ClAMLayer(4, 3, spherical=True)
    with pytest.raises(ValueError, match="known must be None"):
        layer(torch.ones(2, 4), torch.ones(2, 4, dtype=torch.bool))
    with pytest.raises(TypeError, match="known"):
        ClAMLayer(4, 3)(torch.ones(1, 4), [[True]])
    with pytest.raises(TypeError, match="leading"):
        ClAMLayer(4, 3, leading=5)


NOTHING = torch.zeros(5, 4, dtype=torch.bool)
SPHERE = Landscape(normalize(torch.ones(3, 4), dim=-1), 1.0, None, True)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"steps": 0}, "steps"),
        ({"step_size": 3.0}, "step_size"),
        ({"landscape": SPHERE, "step_size": 1.5}, "step_size"),
        ({"samples": torch.full((5, 4), torch.nan)}, "samples"),
        ({"samples": torch.ones(5, 3)}, "samples"),
        ({"samples": torch.ones(5, 4, dtype=torch.float64)}, "samples"),
        ({"hidden": NOTHING}, "hidden"),
        ({"hidden": ~NOTHING[:4]}, "hidden"),
        ({"known": NOTHING}, "hidden"),
        ({"known": ~NOTHING, "hidden": NOTHING}, "hidden"),
        ({"known": torch.ones(5, 4)}, "known"),
    ],
)
def test_completion_loss_refuses_what_it_would_answer_wrongly(change, complaint):
    given = {"landscape": Landscape(torch.ones(3, 4), 1.0), "samples": torch.ones(5, 4), "hidden": None}
    given |= {"steps": 2, "step_size": 0.3} | change
    with pytest.raises(ValueError, match=complaint):
        completion_loss(**given)


@pytest.mark.parametrize(
    ("change", "error", "complaint"),
    [
        ({"landscape": SPHERE}, ValueError, "spherical"),
        ({"steps": 0}, ValueError, "steps"),
        ({"hidden": torch.empty(0, dtype=torch.int64)}, ValueError, "hidden"),
        ({"hidden": torch.tensor([4])}, ValueError, "hidden"),
        ({"hidden": torch.tensor([-1])}, ValueError, "hidden"),
        ({"hidden": torch.tensor([1, 1])}, ValueError, "hidden"),
        ({"hidden": ~NOTHING}, TypeError, "hidden"),
    ],
)
def test_shared_loss_refuses_what_it_would_answer_wrongly(change, error, complaint):
    given = {"landscape": Landscape(torch.ones(3, 4), 1.0), "samples": torch.ones(5, 4), "hidden": None}
    with pytest.raises(error, match=complaint):
        shared_completion_loss(**(given | {"steps": 2, "step_size": 0.3} | change))


def test_mask_of_known_features_is_checked():
    with pytest.raises(ValueError, match="known"):
        hidden_features(3, 4, 0.2, known=NOTHING)
