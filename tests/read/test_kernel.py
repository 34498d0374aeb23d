import copy
import json

import pytest
import torch
from torch import nn
from torch.nn.functional import normalize
from torch.testing import assert_close

from attractor.bank import RamBank
from attractor.read import Affine, Block, Cosine, Dot, Kernel, Linear, Perceptron, Read, SoftMax, Sparsemax, similarity_from

MAPS = {"linear": Linear, "affine": Affine, "mlp": Perceptron}


def random_kernel(kind, normalize, generator, dim=7, features=4):
    """A kernel whose tensors are all random, in float64."""
    feature_map = MAPS[kind](dim, features).double()
    for tensor in feature_map.state_dict().values():
        tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5 if tensor.dim() == 0 else rows(generator, *tensor.shape))
    return Kernel(feature_map, normalize)


def rows(generator, *shape):
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def naive(kernel, x, xi):
    """`<Phi(x), Phi(xi)>` written out."""
    tensors = kernel.tensors()

    def phi(x):
        x = (x - tensors["centre"]) / tensors["scale"]
        if "hidden_weight" in tensors:
            x = nn.functional.gelu(x @ tensors["hidden_weight"].T + tensors["hidden_bias"])
        z = x @ tensors["weight"].T + tensors.get("bias", 0)
        return z / z.norm(dim=-1, keepdim=True) if kernel.normalize else z

    return phi(x) @ phi(xi).T


@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize("kind", MAPS)
def test_scores_are_products_of_features(kind, normalized, generator):
    kernel = random_kernel(kind, normalized, generator)
    cues, patterns = rows(generator, 5, 7), rows(generator, 6, 7)
    block = Block(torch.arange(6), patterns)
    assert_close(kernel.scores(cues, block), naive(kernel, cues, patterns), rtol=1e-12, atol=1e-12)
    assert_close(kernel.paired(cues, patterns[:5]), naive(kernel, cues, patterns[:5]).diagonal(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize("kind", MAPS)
def test_mask_puts_both_sides_at_the_centre(kind, normalized, generator):
    kernel = random_kernel(kind, normalized, generator)
    cues, patterns = rows(generator, 5, 7), rows(generator, 6, 7)
    known = torch.rand(5, 7, generator=generator) < 0.6
    known[:, 0], known[3] = True, known[1]
    centre = kernel.feature_map.centre
    filled = (torch.where(one, cue, centre)[None] for cue, one in zip(cues, known, strict=True))
    expected = torch.cat([naive(kernel, cue, torch.where(one, patterns, centre)) for cue, one in zip(filled, known, strict=True)])
    block, unread = Block(torch.arange(6), patterns), torch.where(known, cues, torch.nan)
    assert_close(kernel.scores(unread, block, known), expected, rtol=1e-11, atol=1e-11)
    assert_close(kernel.paired(unread, patterns[:5], known), expected[:, :5].diagonal(), rtol=1e-11, atol=1e-11)
    shared = known[:1].expand(5, 7)
    expected = naive(kernel, torch.where(shared, cues, centre), torch.where(shared[0], patterns, centre))
    assert_close(kernel.scores(cues, block, shared), expected, rtol=1e-11, atol=1e-11)


def test_identity_map_is_the_dot_product_and_the_cosine(generator):
    cues, patterns = rows(generator, 5, 7), rows(generator, 6, 7)
    block, known = Block(torch.arange(6), patterns), torch.rand(5, 7, generator=generator) < 0.6
    for normalized, plain in ((False, Dot()), (True, Cosine())):
        kernel = Kernel(Linear(7), normalized)
        for mask in (None, known):
            assert_close(kernel.scores(cues, block, mask), plain.scores(cues, block, mask), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize("kind", MAPS)
def test_blocks_and_plain_form_change_nothing(kind, normalized, generator):
    kernel = random_kernel(kind, normalized, generator)
    cues, patterns = rows(generator, 5, 7), rows(generator, 9, 7)
    known = torch.rand(5, 7, generator=generator) < 0.6
    known[:, 2] = True
    for mask in (None, known):
        for separation in (SoftMax(2.0), Sparsemax(2.0)):
            read = Read(kernel, separation, cues, mask)
            whole = read.finish(read.fold([Block(torch.arange(9), patterns)]))
            settings, tensors = read.to_plain()
            again = Read.from_plain(json.loads(json.dumps(settings)), tensors)
            pieces = [Block(ids, patterns[ids]) for ids in torch.arange(9).split([4, 1, 4])]
            for one, other in zip(whole, again.finish(again.fold(pieces)), strict=True):
                assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_bank_is_not_copied(generator, monkeypatch):
    bank = RamBank(7)
    bank.append(rows(generator, 40, 7))
    seen = []
    kernel = random_kernel("mlp", True, generator)
    mapped = kernel.mapped
    monkeypatch.setattr(kernel, "mapped", lambda patterns: (seen.append(len(patterns)), mapped(patterns))[1])
    monkeypatch.setattr(Read, "rows_per_block", 8)
    bank.fold(Read(kernel, SoftMax(1.0), rows(generator, 3, 7)))
    assert seen == [3, 8, 8, 8, 8, 8]


@pytest.mark.parametrize("normalized", [False, True])
def test_gradients_reach_the_map_the_cues_and_the_patterns(normalized, generator):
    kernel = random_kernel("affine", normalized, generator)
    cues, patterns = rows(generator, 3, 7).requires_grad_(), rows(generator, 6, 7).requires_grad_()

    def read_out(cues, patterns, weight, bias):
        copied = copy.deepcopy(kernel)
        del copied.feature_map.weight, copied.feature_map.bias
        copied.feature_map.weight, copied.feature_map.bias = weight, bias
        read = Read(copied, SoftMax(1.5), cues)
        return read.finish(read.fold([Block(torch.arange(6), patterns)])).values

    parameters = kernel.feature_map.weight, kernel.feature_map.bias
    assert torch.autograd.gradcheck(read_out, (cues, patterns, *parameters))


def test_module_of_ones_own_works_in_its_own_precision_and_is_refused_as_plain_data(generator):
    kernel = Kernel(nn.Sequential(nn.Linear(7, 5), nn.Tanh()))
    cues = rows(generator, 2, 7)
    assert kernel.features(cues).dtype == torch.float64
    assert_close(kernel.features(cues[None])[0], kernel.features(cues))
    expected = normalize(torch.tanh(kernel.feature_map[0](cues.float())), dim=-1)
    assert_close(kernel.features(cues), expected.double())
    with pytest.raises(ValueError, match="feature_map must be linear, affine or mlp"):
        kernel.settings()


def test_pattern_without_features_scores_zero_under_normalisation():
    kernel = Kernel(Linear(2))
    assert kernel.scores(torch.tensor([[1.0, 2.0]]), Block(torch.arange(1), torch.zeros(1, 2))).tolist() == [[0.0]]


def test_version_counts_changes_of_the_map():
    kernel = Kernel(Linear(2))
    before = kernel.version
    with torch.no_grad():
        kernel.feature_map.weight.mul_(2)
    assert kernel.version > before


GOOD = Kernel(Linear(3, 2)).settings()


@pytest.mark.parametrize(
    ("settings", "tensors", "named"),
    [
        ({"name": "kernel"}, None, "normalize and feature_map"),
        ({**GOOD, "normalize": "yes"}, None, "normalize"),
        ({**GOOD, "extra": 1}, None, "normalize and feature_map"),
        ({**GOOD, "feature_map": {"kind": "linear"}}, None, "feature_map"),
        ({**GOOD, "feature_map": {**GOOD["feature_map"], "kind": "os.system"}}, None, "feature_map"),
        ({**GOOD, "feature_map": {**GOOD["feature_map"], "features": 0}}, None, "features"),
        ({**GOOD, "feature_map": {**GOOD["feature_map"], "dim": True}}, None, "dim"),
        ({**GOOD, "feature_map": {**GOOD["feature_map"], "dtype": "int8"}}, None, "dtype"),
        (GOOD, {}, "tensors"),
        (GOOD, {**Kernel(Linear(3, 2)).tensors(), "weight": torch.zeros(2, 4)}, "tensors"),
        (GOOD, {**Kernel(Linear(3, 2)).tensors(), "scale": torch.tensor(torch.nan)}, "finite"),
    ],
)
def test_bad_plain_form_is_refused_by_name(settings, tensors, named):
    with pytest.raises(ValueError, match=named):
        similarity_from(settings, tensors)


def test_what_is_no_module_is_refused():
    with pytest.raises(TypeError, match="feature_map"):
        Kernel("linear")
    with pytest.raises(ValueError, match="features"):
        Linear(3, 0)
