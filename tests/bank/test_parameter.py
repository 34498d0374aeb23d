import pytest
import torch
from torch import nn

from attractor import Dot, RamBank, SoftMax
from attractor.bank import ParameterBank
from attractor.read import Read


def test_gradients_of_a_read_reach_the_patterns():
    patterns = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    cues = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)

    def answer(patterns, cues):
        read = Read(Dot(), SoftMax(2.0), cues)
        values, potential, _, _ = read.finish(RamBank.from_parameter(patterns).fold(read))
        return values, potential

    assert torch.autograd.gradcheck(answer, (patterns, cues))


def test_bank_holds_the_parameter_itself():
    patterns = nn.Parameter(torch.eye(3))
    bank = RamBank.from_parameter(patterns)
    assert isinstance(bank, ParameterBank) and len(bank) == 3 and bank.dim == 3 and bank.dtype == torch.float32
    assert next(iter(bank.parameters())) is patterns
    version = bank.version
    with torch.no_grad():
        patterns.mul_(2)
    assert bank.version != version
    assert bank.get(torch.tensor([2, 0])).patterns.tolist() == [[0.0, 0.0, 2.0], [2.0, 0.0, 0.0]]


def test_tensor_that_is_no_parameter_is_read_but_not_state():
    patterns = torch.eye(2, requires_grad=True) * 2
    assert list(RamBank.from_parameter(patterns).state_dict()) == []


def test_blocks_are_views_in_order():
    bank = RamBank.from_parameter(torch.arange(10.0).reshape(5, 2))
    blocks = list(bank.blocks(2))
    assert [block.ids.tolist() for block in blocks] == [[0, 1], [2, 3], [4]]
    assert blocks[0].patterns.data_ptr() == bank.patterns.data_ptr()
    assert bank.metadata([1, 2]) == [None, None]


def test_rows_are_neither_added_nor_removed():
    bank = RamBank.from_parameter(torch.eye(2))
    with pytest.raises(TypeError, match="append"):
        bank.append(torch.ones(1, 2))
    with pytest.raises(TypeError, match="forget"):
        bank.forget(torch.tensor([0]))
    bank.compact()
    assert len(bank) == 2


@pytest.mark.parametrize("bad", [torch.ones(3), torch.ones(2, 2, dtype=torch.int64), torch.ones(0, 3)])
def test_what_is_no_matrix_of_patterns_is_refused(bad):
    with pytest.raises(ValueError, match="patterns"):
        RamBank.from_parameter(bad)
    with pytest.raises(TypeError, match="patterns"):
        RamBank.from_parameter([[1.0]])
