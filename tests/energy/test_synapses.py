import copy
import math
import re

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.autograd import gradcheck
from torch.func import functional_call
from torch.testing import assert_close

from attractor.energy.synapses import (
    Attention,
    Bias,
    Conv,
    Dense,
    FunctionSynapse,
    Lateral,
    MemorySynapse,
    Pool,
    Synapse,
    Trilinear,
)
from attractor.read import (
    Dot,
    Entmax,
    Euclidean,
    Exponential,
    Manhattan,
    Polynomial,
    Read,
    RectifiedPolynomial,
    SoftMax,
    Sparsemax,
    TopK,
)

SIZES = st.integers(1, 4)
SHAPES = st.lists(SIZES, min_size=1, max_size=3).map(tuple)
SEEDS = st.integers(0, 2**31)
SEPARATIONS = {
    "softmax": lambda: SoftMax(1.3),
    "exponential": lambda: Exponential(0.4),
    "square": lambda: Polynomial(2),
    "cube": lambda: Polynomial(3),
    "fourth power": lambda: Polynomial(4),
    "rectified cube": lambda: RectifiedPolynomial(3),
    "entmax": lambda: Entmax(1.5, beta=0.7),
    "sparsemax": lambda: Sparsemax(beta=0.7),
    "top-k": lambda: TopK(2, beta=0.7),
}


def random(shape, generator):
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def windowed(draw, axes):
    """Sizes, kernel, stride, padding and dilation, such that at least one window fits; strides often leave some entries over."""
    kernel = draw(st.tuples(*[st.integers(1, 3)] * axes))
    stride = draw(st.tuples(*[st.integers(1, 4)] * axes))
    dilation = draw(st.tuples(*[st.integers(1, 2)] * axes))
    padding = draw(st.tuples(*[st.integers(0, 2)] * axes))
    sizes = tuple(spread * (width - 1) + 1 + draw(st.integers(0, 6)) for width, spread in zip(kernel, dilation, strict=True))
    return sizes, kernel, stride, padding, dilation


def windows(sizes, kernel, stride, padding, dilation):
    rows = zip(sizes, kernel, stride, padding, dilation, strict=True)
    return tuple((size + 2 * pad - spread * (width - 1) - 1) // step + 1 for size, width, step, pad, spread in rows)


@st.composite
def synapses(draw, kinds=("dense", "bias", "conv", "pool", "lateral", "memory", "attention", "trilinear", "function")):
    """A synapse in double precision and the shapes of its layers."""
    kind, generator = draw(st.sampled_from(kinds)), torch.Generator().manual_seed(draw(SEEDS))
    if kind == "dense":
        shapes = (draw(SHAPES), draw(SHAPES))
        synapse = Dense(*shapes, generator=generator)
    elif kind == "bias":
        shapes = (draw(SHAPES),)
        synapse = Bias(random(shapes[0], generator))
    elif kind == "conv":
        sizes, *rest = windowed(draw, draw(st.integers(1, 2)))
        groups = draw(st.integers(1, 2))
        lower, upper = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
        names = dict(zip(("stride", "padding", "dilation"), rest[1:], strict=True))
        synapse = Conv(lower, upper, rest[0], groups=groups, generator=generator, **names)
        shapes = ((lower, *sizes), (upper, *windows(sizes, *rest)))
    elif kind == "pool":
        sizes, kernel, stride, *_ = windowed(draw, draw(st.integers(1, 2)))
        none = (0,) * len(kernel)
        synapse = Pool(kernel, stride=stride)
        channels = draw(SIZES)
        shapes = ((channels, *sizes), (channels, *windows(sizes, kernel, stride, none, (1,) * len(kernel))))
    elif kind == "lateral":
        shapes = (draw(SHAPES),)
        synapse = Lateral(shapes[0], generator=generator)
    elif kind == "memory":
        inner, outer = draw(SHAPES), draw(st.sampled_from([(), (3,), (2, 2)]))
        separation = SEPARATIONS[draw(st.sampled_from(sorted(SEPARATIONS)))]()
        similarity = draw(st.sampled_from([Dot(), Euclidean()])) if separation.normalised else Dot()
        synapse = MemorySynapse(random((draw(st.integers(1, 5)), *inner), generator), separation=separation, similarity=similarity)
        shapes = ((*outer, *inner),)
    elif kind == "attention":
        tokens, dim, heads = draw(st.integers(2, 5)), draw(SIZES), draw(SIZES)
        given_mask = torch.rand(tokens, tokens, generator=generator) < 0.4
        mask = draw(st.sampled_from([None, "no-self", "causal", given_mask]))
        beta = draw(st.sampled_from([None, 0.7, torch.linspace(0.5, 2, heads, dtype=torch.float64)]))
        synapse = Attention(dim, heads, draw(SIZES), beta=beta, mask=mask, generator=generator)
        shapes = ((tokens, dim),)
    elif kind == "trilinear":
        shapes = tuple(draw(SHAPES) for _ in range(3))
        synapse = Trilinear(*shapes, generator=generator)
    else:
        shapes = (draw(SHAPES), draw(SHAPES))
        synapse = FunctionSynapse(lambda a, b: a.flatten(1).cos().sum(-1) * b.flatten(1).pow(3).sum(-1), ends=2)
    return synapse.double(), shapes, generator


def drives_by_autograd(synapse, activations):
    ends = [one.clone().requires_grad_() for one in activations]
    return [-one for one in torch.autograd.grad(synapse.energy(*ends).sum(), ends)]


@settings(max_examples=200)
@given(drawn=synapses(), batch=st.integers(1, 3))
def test_drive_is_minus_the_gradient_of_the_energy(drawn, batch):
    synapse, shapes, generator = drawn
    synapse.check(shapes)
    activations = [random((batch, *shape), generator) for shape in shapes]
    drives = synapse.drive(*activations)
    assert synapse.energy(*activations).shape == (batch,)
    assert len(drives) == len(shapes) == synapse.ends
    for drive, expected in zip(drives, drives_by_autograd(synapse, activations), strict=True):
        assert_close(drive, expected, rtol=1e-10, atol=1e-10)


@settings(max_examples=60)
@given(drawn=synapses())
def test_a_batch_is_its_samples_one_by_one(drawn):
    synapse, shapes, generator = drawn
    activations = [random((3, *shape), generator) for shape in shapes]
    singles = [[one[i : i + 1] for one in activations] for i in range(3)]
    assert_close(synapse.energy(*activations), torch.cat([synapse.energy(*single) for single in singles]), rtol=1e-10, atol=1e-10)
    for end, drive in enumerate(synapse.drive(*activations)):
        assert_close(drive, torch.cat([synapse.drive(*single)[end] for single in singles]), rtol=1e-10, atol=1e-10)


@settings(max_examples=60)
@given(drawn=synapses())
def test_no_gradient_is_needed_for_a_drive(drawn):
    synapse, shapes, generator = drawn
    activations = [random((2, *shape), generator) for shape in shapes]
    with torch.no_grad():
        drives = synapse.drive(*activations)
    for drive, expected in zip(drives, synapse.drive(*activations), strict=True):
        assert not drive.requires_grad
        assert_close(drive, expected.detach())


def learnable():
    generator = torch.Generator().manual_seed(3)
    beta = nn.Parameter(torch.tensor(0.8, dtype=torch.float64))
    betas = nn.Parameter(torch.tensor([0.8, 1.5], dtype=torch.float64))
    patterns = random((4, 3), generator)
    hole = torch.tensor([[True, False, True], [False, False, False], [True, True, True]])
    return {
        "dense": (Dense((2, 2), 3, generator=generator), ((2, 2), (3,))),
        "bias": (Bias(random((2, 2), generator)), ((2, 2),)),
        "conv": (Conv(2, 2, 2, stride=2, padding=1, groups=2, generator=generator), ((2, 4, 3), (2, 3, 2))),
        "lateral": (Lateral(3, generator=generator), ((3,),)),
        "memory": (MemorySynapse(patterns, separation=SoftMax(beta), similarity=Euclidean()), ((3,),)),
        "memory of powers": (MemorySynapse(patterns, separation=Polynomial(4)), ((3,),)),
        "memory of exponentials": (MemorySynapse(patterns, separation=Exponential(beta)), ((3,),)),
        "attention": (Attention(2, 2, 2, beta=betas, mask=hole, generator=generator), ((3, 2),)),
        "trilinear": (Trilinear(2, 3, 2, generator=generator), ((2,), (3,), (2,))),
        "function": (FunctionSynapse(nn.Sequential(nn.Linear(3, 1), nn.Tanh(), nn.Flatten(0)), ends=1), ((3,),)),
    }


@pytest.mark.parametrize("name", learnable())
def test_energy_and_drive_have_right_gradients_in_parameters_and_activations(name, generator):
    synapse, shapes = learnable()[name]
    synapse = synapse.double()
    names = [key for key, _ in synapse.named_parameters()]
    assert names
    weights = [value.detach().clone().requires_grad_() for value in synapse.parameters()]
    activations = [random((2, *shape), generator).requires_grad_() for shape in shapes]

    def energy_and_drive(*tensors):
        parameters = {f"synapse.{key}": value for key, value in zip(names, tensors, strict=False)}
        return functional_call(Both(synapse), parameters, tensors[len(names) :])

    assert gradcheck(energy_and_drive, (*weights, *activations))


class Both(nn.Module):
    def __init__(self, synapse):
        super().__init__()
        self.synapse = synapse

    def forward(self, *activations):
        return self.synapse.energy(*activations), *self.synapse.drive(*activations)


def largest_rise(synapse, shapes, ends, generator, chords=300):
    """How far the energy of the middle of a chord, along `ends` only, lies below the mean of its two ends: > 0 is not concave."""
    left = [random((chords, *shape), generator) for shape in shapes]
    right = [random(one.shape, generator) if end in ends else one for end, one in enumerate(left)]
    middle = [(one + other) / 2 for one, other in zip(left, right, strict=True)]
    synapse.requires_grad_(False)
    mean = (synapse.energy(*left) + synapse.energy(*right)) / 2
    return float(((mean - synapse.energy(*middle)) / (1 + mean.abs())).amax())


@settings(max_examples=100)
@given(drawn=synapses(), data=st.data())
def test_energy_is_concave_where_a_synapse_says_so(drawn, data):
    synapse, shapes, generator = drawn
    ends = data.draw(st.sets(st.integers(0, synapse.ends - 1)))
    if synapse.concave_in(*ends):
        assert largest_rise(synapse, shapes, ends, generator) <= 1e-9


def saddles():
    generator = torch.Generator().manual_seed(1)
    patterns = random((3, 4), generator)
    return {
        "dense in both": (Dense(3, 4, generator=generator), ((3,), (4,)), (0, 1)),
        "conv in both": (Conv(1, 2, (2,), generator=generator), ((1, 5), (2, 4)), (0, 1)),
        "pool in both": (Pool(2), ((1, 4, 4), (1, 2, 2)), (0, 1)),
        "trilinear in two": (Trilinear(2, 2, 2, generator=generator), ((2,), (2,), (2,)), (2, 0)),
        "lateral": (Lateral(4, generator=generator), ((4,),), (0,)),
        "cube": (MemorySynapse(patterns, separation=Polynomial(3)), ((4,),), (0,)),
        "attention": (Attention(4, 2, 3, generator=generator), ((3, 4),), (0,)),
        "function": (FunctionSynapse(lambda g: g.square().sum(-1), ends=1), ((4,),), (0,)),
    }


@pytest.mark.parametrize("name", saddles())
def test_a_synapse_that_is_not_concave_says_so(name, generator):
    synapse, shapes, ends = saddles()[name]
    synapse = synapse.double()
    assert not synapse.concave_in(*ends)
    assert largest_rise(synapse, shapes, ends, generator) > 1e-3


@pytest.mark.parametrize("name", SEPARATIONS)
def test_memories_of_convex_potentials_only_are_concave(name):
    synapse = MemorySynapse(torch.eye(3), separation=SEPARATIONS[name]())
    assert synapse.concave_in(0) == (name != "cube")


@pytest.mark.parametrize("name", SEPARATIONS)
def test_states_of_signs_that_follow_their_drive_never_rise_except_in_a_cubic_memory(name, generator):
    patterns = random((20, 8), generator).sign()
    synapse = MemorySynapse(patterns, separation=SEPARATIONS[name]())
    states = random((2000, 8), generator).sign()
    (drive,) = synapse.drive(states)
    rise = synapse.energy(torch.where(drive == 0, states, drive.sign())) - synapse.energy(states)
    if name == "cube":
        assert rise.amax() > 10
    else:
        assert rise.amax() <= 1e-9


def test_lateral_is_concave_exactly_when_positive_semi_definite(generator):
    a = random((5, 3), generator)
    synapse = Lateral.from_matrix(a @ a.T)  # two eigenvalues are zero
    assert synapse.concave_in(0)
    with torch.no_grad():
        synapse.weight -= 1e-3 * torch.eye(5)
    assert not synapse.concave_in(0)  # the verdict follows the parameter
    assert synapse.concave_in()


def test_lateral_stays_symmetric_while_it_learns(generator):
    synapse = Lateral(4, generator=generator)
    with torch.no_grad():
        synapse.weight += torch.randn(4, 4, generator=generator)
    assert_close(synapse.matrix, synapse.matrix.T, rtol=0, atol=0)
    synapse.energy(torch.randn(3, 4, generator=generator)).sum().backward()
    assert_close(synapse.weight.grad, synapse.weight.grad.T)


def test_lateral_from_matrix_takes_the_matrix_itself(generator):
    a = torch.randn(4, 4, generator=generator)
    assert_close(Lateral.from_matrix(a + a.T).matrix, a + a.T, rtol=0, atol=0)
    with pytest.raises(ValueError, match=r"matrix must be symmetric.*attractor\.energy\.feedback"):
        Lateral.from_matrix(a)
    with pytest.raises(ValueError, match=r"matrix must be square, got shape \(4, 3\)"):
        Lateral.from_matrix(a[:, :3])


def test_closed_forms_of_the_papers(generator):
    g, xi = random((3, 4), generator), random((6, 4), generator)
    scores = g @ xi.T
    energies = {
        SoftMax(2.0): -(2 * scores).exp().sum(-1).log() / 2,
        Exponential(0.5): -(scores / 2).exp().sum(-1) * 2,
        Polynomial(3): -scores.pow(3).sum(-1) / 3,
        RectifiedPolynomial(4): -scores.relu().pow(4).sum(-1) / 4,
    }
    for separation, expected in energies.items():
        assert_close(MemorySynapse(xi, separation=separation).energy(g), expected, rtol=1e-10, atol=1e-10)
    distances = -torch.cdist(g, xi).square() / 2
    euclidean = MemorySynapse(xi, separation=SoftMax(2.0), similarity=Euclidean())
    assert_close(euclidean.energy(g), -(2 * distances).logsumexp(-1) / 2 - g.square().sum(-1) / 2, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", SEPARATIONS)
def test_drive_of_each_memory_is_minus_the_gradient_of_its_energy(name, generator):
    synapse = MemorySynapse(random((6, 4), generator), separation=SEPARATIONS[name]())
    g = random((3, 4), generator)
    assert_close(synapse.drive(g)[0], drives_by_autograd(synapse, [g])[0], rtol=1e-10, atol=1e-10)


def test_the_drive_of_a_memory_is_the_read_out_of_the_library(generator):
    g, xi = torch.randn(5, 7, generator=generator), torch.randn(9, 7, generator=generator)
    synapse = MemorySynapse(xi, separation=SoftMax(3.0), similarity=Euclidean())
    read, block = synapse.read(g)
    assert isinstance(read, Read)
    assert_close(synapse.drive(g)[0], read.finish(read.fold([block])).values, rtol=0, atol=0)
    weights = (-3 * torch.cdist(g, xi).square() / 2).softmax(-1)
    assert_close(synapse.drive(g)[0], weights @ xi)


def test_layers_and_hidden_units_integrated_out_agree(generator):
    # a soft-max layer between, at its fixed point, is the memory: x_h = Xi g, drive = Xi^T softmax(beta x_h)
    xi, g = random((6, 4), generator), random((3, 4), generator)
    dense, memory = Dense.from_matrix(xi), MemorySynapse(xi, separation=SoftMax(1.7))
    _, hidden = dense.drive(g, torch.zeros(3, 6, dtype=torch.float64))
    back, _ = dense.drive(g, (1.7 * hidden).softmax(-1))
    assert_close(memory.drive(g)[0], back)


def test_patterns_serve_each_token_by_itself(generator):
    synapse = MemorySynapse(random((5, 3), generator), separation=SoftMax(0.9))
    tokens = random((2, 4, 3), generator)
    assert_close(synapse.energy(tokens), synapse.energy(tokens.flatten(0, 1)).view(2, 4).sum(-1))
    assert_close(synapse.drive(tokens)[0], synapse.drive(tokens.flatten(0, 1))[0].view(2, 4, 3))


def test_attention_is_the_sum_over_heads_queries_and_allowed_keys(generator):
    mask = torch.tensor([[True, False, True], [False, False, False], [True, True, False]])
    synapse = Attention(4, 2, 3, beta=0.6, mask=mask, generator=generator).double()
    g = random((3, 4), generator)
    total = 0.0
    for head in range(2):
        for query in range(3):
            keys = [key for key in range(3) if mask[query, key]]
            scores = [((synapse.query[head] @ g[query]) @ (synapse.key[head] @ g[key])).item() for key in keys]
            total -= math.log(sum(math.exp(0.6 * score) for score in scores)) / 0.6 if keys else 0
    assert synapse.energy(g[None]).item() == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize(
    ("mask", "same"),
    [(None, torch.ones(4, 4)), ("no-self", 1 - torch.eye(4)), ("causal", torch.ones(4, 4).tril())],
)
def test_named_masks_are_the_masks_they_name(mask, same, generator):
    named = Attention(3, 2, 2, mask=mask, generator=generator)
    given = Attention(3, 2, 2, mask=same.bool())
    given.query, given.key = named.query, named.key
    tokens = torch.randn(2, 4, 3, generator=generator)
    assert_close(named.energy(tokens), given.energy(tokens))
    assert_close(named.drive(tokens), given.drive(tokens))


def test_a_query_without_keys_gives_no_nan_anywhere(generator):
    synapse = Attention(3, 1, 2, mask=torch.zeros(4, 4, dtype=torch.bool), generator=generator)
    tokens = torch.randn(2, 4, 3, generator=generator, requires_grad=True)
    (drive,) = synapse.drive(tokens)
    assert (synapse.energy(tokens) == 0).all()
    assert (drive == 0).all()
    (drive.sum() + synapse.energy(tokens).sum()).backward()
    assert (tokens.grad == 0).all()


def test_convolution_is_that_of_torch_and_its_feedback_the_transpose(generator):
    synapse = Conv(2, 3, (3, 2), stride=(3, 2), padding=(1, 0), dilation=(1, 2), generator=generator).double()
    image = random((4, 2, 12, 9), generator)
    expected = F.conv2d(image, synapse.weight, stride=(3, 2), padding=(1, 0), dilation=(1, 2))
    hidden = random(expected.shape, generator)
    down, up = synapse.drive(image, hidden)
    assert_close(up, expected)
    assert_close((down * image).sum(), (hidden * expected).sum())


@pytest.mark.parametrize("size", range(3, 11))
def test_feedback_of_a_convolution_has_the_size_of_the_lower_layer(size):
    synapse = Conv(1, 1, 3, stride=4)
    image = torch.zeros(1, 1, size, size)
    hidden = torch.ones(1, 1, (size - 3) // 4 + 1, (size - 3) // 4 + 1)
    synapse.check((image.shape[1:], hidden.shape[1:]))
    down, _ = synapse.drive(image, hidden)
    assert down.shape == image.shape
    reached = (hidden.shape[-1] - 1) * 4 + 3
    assert (down[..., reached:, :] == 0).all()
    assert (down[..., :, reached:] == 0).all()


def test_one_layer_may_stand_at_two_ends(generator):
    synapse, g = Dense((3,), (3,), generator=generator).double(), random((2, 3), generator).requires_grad_()
    for kind in (synapse, FunctionSynapse(lambda a, b: synapse.energy(a, b), ends=2)):
        lower, upper = kind.drive(g, g)
        (gradient,) = torch.autograd.grad(kind.energy(g, g).sum(), g)
        assert_close(lower + upper, -gradient)
        assert_close(upper, g @ synapse.weight.T)


def test_learned_beta_and_patterns_take_part_in_training(generator):
    beta = nn.Parameter(torch.tensor(2.0))
    synapse = MemorySynapse(torch.randn(4, 3, generator=generator), separation=SoftMax(beta))
    assert dict(synapse.named_parameters()).keys() == {"patterns", "beta"}
    g = torch.randn(2, 3, generator=generator)
    before, (drive,) = synapse.energy(g), synapse.drive(g)
    (drive.sum() + before.sum()).backward()
    torch.optim.SGD(synapse.parameters(), lr=0.1).step()
    assert beta.item() != 2.0
    expected = -(beta * g @ synapse.patterns.T).logsumexp(-1) / beta
    assert_close(synapse.energy(g), expected)
    twin = copy.deepcopy(synapse)
    with torch.no_grad():
        twin.beta.fill_(5.0)
    assert_close(twin.energy(g), -(5 * g @ synapse.patterns.T).logsumexp(-1) / 5)
    assert_close(synapse.energy(g), expected)
    assert_close(synapse.double().energy(g.double()), expected.double(), rtol=1e-5, atol=1e-5)


def test_a_beta_that_is_not_learned_moves_and_loads_with_the_module(generator):
    patterns, g = torch.randn(4, 3, generator=generator), torch.randn(2, 3, generator=generator)
    synapse = MemorySynapse(patterns, separation=SoftMax(torch.tensor(2.0))).double()
    assert synapse.beta.dtype == torch.float64
    loaded = MemorySynapse(patterns, separation=SoftMax(torch.tensor(9.0))).double()
    loaded.load_state_dict(synapse.state_dict())
    assert_close(loaded.drive(g.double())[0], (2 * g @ patterns.T).softmax(-1).double() @ patterns.double(), rtol=1e-5, atol=1e-5)


def test_parameters_are_shared_and_other_tensors_copied(generator):
    weight = nn.Parameter(torch.randn(3, 3, generator=generator))
    assert Dense.from_matrix(weight).weight is weight
    assert Bias(weight).bias is weight
    assert MemorySynapse(weight).patterns is weight
    data = torch.ones(3, 3)
    for learned in (
        Dense.from_matrix(data).weight,
        Bias(data).bias,
        MemorySynapse(data).patterns,
        Lateral.from_matrix(data).weight,
    ):
        assert isinstance(learned, nn.Parameter)
        assert learned.data_ptr() != data.data_ptr()


def test_first_weights_come_from_the_generator_and_are_scaled_by_fan_in():
    def made(seed):
        generator = torch.Generator().manual_seed(seed)
        return [
            Dense(400, 300, generator=generator).weight,
            Lateral(400, generator=generator).weight,
            Conv(16, 300, 5, generator=generator).weight,
            Trilinear(20, 20, 300, generator=generator).weight,
            Attention(400, 10, 30, generator=generator).query,
        ]

    state = torch.get_rng_state()
    for first, second, other in zip(made(0), made(0), made(1), strict=True):
        assert torch.equal(first, second)
        assert not torch.equal(first, other)
        assert float(first.detach().std()) == pytest.approx(1 / 20, rel=0.02)
    Dense.from_matrix(torch.eye(2))
    Lateral.from_matrix(torch.eye(2))
    Trilinear.from_tensor(torch.ones(2, 2, 2))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("synapse", "shapes"),
    [
        (Dense(3, (2, 2)), ((3,), (4,))),
        (Bias(3), ((4,),)),
        (Conv(1, 2, 3), ((1, 5, 5), (2, 5, 5))),
        (Conv(1, 2, 3), ((3, 5, 5), (2, 3, 3))),
        (Conv(1, 2, 3), ((1, 5), (2, 3, 3))),
        (Conv(1, 2, 3), ((1, 2, 2), (2, 1, 1))),
        (Pool(2), ((3, 4, 4), (2, 2, 2))),
        (Pool((2,)), ((3, 4), (3, 4))),
        (Lateral((2, 2)), ((4,),)),
        (MemorySynapse(torch.ones(5, 3)), ((3, 2),)),
        (Attention(4, 1, 2), ((5, 3),)),
        (Attention(4, 1, 2), ((4,),)),
        (Attention(4, 1, 2, mask=torch.ones(3, 3).bool()), ((5, 4),)),
        (Trilinear(2, 3, 4), ((2,), (4,), (3,))),
    ],
)
def test_layers_of_other_shapes_are_refused_with_both_shapes(synapse, shapes):
    with pytest.raises(ValueError) as raised:
        synapse.check(shapes)
    assert type(synapse).__name__ in str(raised.value)
    assert any(str(shape) in str(raised.value) for shape in shapes)
    assert len(re.findall(r"\([^)]*\)", str(raised.value))) >= 2


@pytest.mark.parametrize(
    "synapse", [Dense(3, 3), Bias(3), Pool(2), FunctionSynapse(torch.add, ends=4), Trilinear(3, 3, 3), Lateral(3)]
)
def test_another_number_of_layers_is_refused(synapse):
    count = synapse.ends % 3 + 1
    with pytest.raises(ValueError, match=f"joins {synapse.ends} layers, got {count}"):
        synapse.check([(3,)] * count)


@pytest.mark.parametrize(
    "function",
    [lambda g: g.sum(), lambda g: g, lambda g: g.sum(-1, keepdim=True), lambda g: 3.0, lambda g: g.sum(-1)[:1]],
)
def test_a_function_that_gives_other_than_one_number_per_sample_is_refused(function):
    for ask in (FunctionSynapse(function, ends=1).energy, FunctionSynapse(function, ends=1).drive):
        with pytest.raises(ValueError, match=r"one number for each sample, a tensor of shape \(2,\)"):
            ask(torch.ones(2, 3))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Dense(0, 3), "in_shape must be at least 1, got 0"),
        (lambda: Dense(3, ()), "out_shape must have at least one dimension"),
        (lambda: Dense.from_matrix(torch.full((2, 2), torch.nan)), "weight must be finite"),
        (lambda: Dense.from_matrix(2 * torch.ones(2, 2, requires_grad=True)), "weight must be a parameter or data"),
        (lambda: Bias(torch.tensor(1.0)), "bias must have at least one dimension"),
        (lambda: Bias(torch.ones(3).long()), "bias must be floating point"),
        (lambda: Conv(3, 4, 3, groups=2), "groups must divide in_channels 3 and out_channels 4, got 2"),
        (lambda: Conv(1, 1, (3, 3, 3)), "kernel_size must have one or two dimensions"),
        (lambda: Conv(1, 1, (3,), stride=(2, 2)), "stride must be one integer or 1"),
        (lambda: Pool(0), "kernel_size must be at least 1, got 0"),
        (lambda: MemorySynapse(torch.ones(3)), r"patterns must have shape \(n, \*shape\), got \(3,\)"),
        (lambda: MemorySynapse(torch.ones(0, 3)), "patterns must not be empty"),
        (lambda: MemorySynapse(torch.ones(2, 3), separation=SoftMax()), "beta is 'auto'"),
        (lambda: MemorySynapse(torch.ones(2, 3), similarity=Manhattan()), "similarity must be Dot"),
        (
            lambda: MemorySynapse(torch.ones(2, 3), separation=Polynomial(2), similarity=Euclidean()),
            "similarity must not be Euclidean",
        ),
        (lambda: Attention(3, 0, 2), "heads must be at least 1"),
        (lambda: Attention(3, 2, 2, beta=-1.0), "beta must be a positive finite number"),
        (lambda: Attention(3, 2, 2, beta=torch.ones(3)), "beta must hold one floating-point number or 2"),
        (lambda: Attention(3, 2, 2, beta=torch.tensor([1.0, 0.0])), "beta must be positive and finite"),
        (lambda: Attention(3, 2, 2, mask="self"), "mask must be None, one of"),
        (lambda: Attention(3, 2, 2, mask=torch.ones(3, 3)), "mask must be Boolean of shape"),
        (lambda: Attention(3, 2, 2, mask="no-self").check([(1, 3)]), "at least two tokens"),
        (lambda: Trilinear.from_tensor(torch.ones(2, 2)), r"weight must have shape \(a, b, c\), got \(2, 2\)"),
        (lambda: FunctionSynapse(torch.add, ends=0), "ends must be at least 1"),
    ],
)
def test_bad_arguments_name_themselves(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_arguments_of_other_types_are_refused():
    with pytest.raises(TypeError, match="function must be callable, got int"):
        FunctionSynapse(3, ends=1)
    with pytest.raises(TypeError, match="separation must be a Separation, got str"):
        MemorySynapse(torch.ones(2, 3), separation="softmax")
    with pytest.raises(TypeError, match=r"weight must be a torch\.Tensor, got list"):
        Dense.from_matrix([[1.0]])


def test_an_exponential_memory_overflows_with_an_error():
    synapse = MemorySynapse(torch.eye(2), separation=Exponential(1.0))
    with pytest.raises(ValueError, match=r"activations must keep exp.* lower beta, or take SoftMax"):
        synapse.drive(torch.tensor([[800.0, 0.0]]))


@pytest.mark.parametrize("name", learnable())
def test_repr_names_the_synapse_and_its_sizes(name):
    synapse, _ = learnable()[name]
    assert isinstance(synapse, Synapse)
    assert re.fullmatch(r"\w+\([^\n]*\d[^\n]*\)|FunctionSynapse\([\s\S]*\)", repr(synapse))


def test_bias_of_size_one_is_shared_along_that_dimension():
    synapse = Bias(torch.tensor([1.0, 2.0]).view(2, 1, 1))
    synapse.check([(2, 3, 4)])
    g = torch.randn(5, 2, 3, 4, generator=torch.Generator().manual_seed(0))
    assert_close(synapse.energy(g), -(g[:, 0].flatten(1).sum(-1) + 2 * g[:, 1].flatten(1).sum(-1)))
    (drive,) = synapse.drive(g)
    assert drive.shape == g.shape and bool((drive[:, 1] == 2).all())
    for shape in ((3, 3, 4), (2, 3)):
        with pytest.raises(ValueError, match="Bias"):
            synapse.check([shape])
