"""Products give the same whichever library computes them."""

import pytest
import torch

from attractor import products

needs_onednn = pytest.mark.skipif(
    not (torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")), reason="torch has no oneDNN"
)


def operands(rows=7, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(rows, 5, generator=generator, dtype=dtype), torch.randn(3, 5, generator=generator, dtype=dtype)


@pytest.fixture(params=[False, pytest.param(True, marks=needs_onednn)], ids=["torch", "onednn"])
def library(request, monkeypatch):
    monkeypatch.setattr(products, "ONEDNN_IS_FASTER", request.param)
    monkeypatch.setattr(products, "LEAST_MULTIPLICATIONS", 0)
    return request.param


@pytest.mark.parametrize("rows", [0, 1, 7])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_linear_is_the_product_with_the_transpose(library, rows, dtype):
    left, right = operands(rows, dtype)
    wanted = torch.einsum("bn,mn->bm", left.double(), right.double()).to(dtype)
    torch.testing.assert_close(products.linear(left, right), wanted)
    torch.testing.assert_close(products.linear(left.T.contiguous().T, right.T.contiguous().T), wanted)
    given, bias = torch.ones(rows, 3, dtype=dtype), torch.arange(3, dtype=dtype)
    torch.testing.assert_close(products.linear(left[None], right, bias), (wanted + bias)[None])
    torch.testing.assert_close(products.add_linear(given, left, right), 1 + wanted)
    torch.testing.assert_close(products.subtract_linear(given, left, right), 1 - wanted)
    torch.testing.assert_close(products.subtract_linear(given, left, right, bias), 1 - wanted - bias)
    assert bool((given == 1).all())


def test_linear_has_gradients(library):
    left, right = (one.requires_grad_() for one in operands())
    products.linear(left, right).sum().backward()
    torch.testing.assert_close(left.grad, right.detach().sum(0).expand(7, 5))


def test_linear_compiles_as_a_whole(library):
    left, right = operands()
    compiled = torch.compile(products.linear, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(left, right), left @ right.T)


@needs_onednn
def test_onednn_is_asked_only_for_what_it_can_do(library):
    left, right = operands()
    assert products.suits_onednn(left, right) is library
    assert not products.suits_onednn(left.double(), right.double())
    assert not products.suits_onednn(left, right.clone().requires_grad_())
    with torch.no_grad():
        assert products.suits_onednn(left, right.clone().requires_grad_()) is library


@needs_onednn
def test_small_products_are_left_to_torch(monkeypatch):
    monkeypatch.setattr(products, "ONEDNN_IS_FASTER", True)
    assert not products.suits_onednn(torch.zeros(1, 1024), torch.zeros(1023, 1024))
    assert products.suits_onednn(torch.zeros(1, 1024), torch.zeros(1024, 1024))


@needs_onednn
@pytest.mark.parametrize("place", [0, 1, 2])
def test_what_is_followed_by_derivatives_is_left_to_torch(place, monkeypatch):
    monkeypatch.setattr(products, "ONEDNN_IS_FASTER", True)
    monkeypatch.setattr(products, "LEAST_MULTIPLICATIONS", 0)
    operands_ = [*operands(), torch.zeros(3)]

    def product(one):
        return products.linear(*(one if place == index else other for index, other in enumerate(operands_)))

    changes = torch.ones_like(operands_[place])
    by_func = torch.func.jvp(product, (operands_[place],), (changes,))[1]
    with torch.autograd.forward_ad.dual_level():
        dual = product(torch.autograd.forward_ad.make_dual(operands_[place], changes))
        by_duals = torch.autograd.forward_ad.unpack_dual(dual).tangent
    wanted = product(operands_[place] + changes) - product(operands_[place])
    torch.testing.assert_close(by_func, wanted)
    torch.testing.assert_close(by_duals, wanted)
