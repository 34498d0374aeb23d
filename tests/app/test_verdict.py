import pytest
import torch

from attractor import DenseMemory
from attractor.app.verdict import LEAST, MOST, resemblance, threshold_of


def filled(rows):
    memory = DenseMemory(dim=rows.shape[1])
    memory.store(rows)
    return memory


def test_item_stands_at_one_and_the_middle_at_zero():
    rows = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]])
    cues = torch.stack([rows[0], (rows[0] + rows[1]) / 2, 0.75 * rows[0] + 0.25 * rows[1]])
    stands = resemblance(filled(rows), cues, None, torch.tensor([0, 0, 0]))
    assert stands.tolist() == pytest.approx([1, 0, 0.5], abs=1e-6)


def test_noise_does_not_lower_it_on_average(generator):
    rows = torch.rand(40, 400, generator=generator)
    cues = rows + 0.4 * torch.randn(rows.shape, generator=generator)
    stands = resemblance(filled(rows), cues, None, torch.arange(40))
    assert 0.75 < float(stands.mean()) < 1.05


def test_only_known_entries_count(generator):
    rows = torch.rand(10, 30, generator=generator)
    mask = torch.arange(30) < 15
    cues = torch.where(mask, rows, 100.0)
    assert torch.allclose(resemblance(filled(rows), cues, mask, torch.arange(10)), torch.ones(10), atol=1e-3)


def test_twins_are_no_rivals(generator):
    rows = torch.rand(3, 20, generator=generator)
    memory = filled(torch.cat([rows[:1]] * 12 + [rows[1:]]))
    assert float(resemblance(memory, rows[:1], None, torch.tensor([0]))) == pytest.approx(1, abs=1e-5)


def test_items_that_agree_in_all_that_is_known_cannot_be_told_apart():
    rows = torch.tensor([[0.0, 1.0, 0.0], [0.0, 1.0, 1.0]])
    mask = torch.tensor([True, True, False])
    assert float(resemblance(filled(rows), rows[:1], mask, torch.tensor([0]))) == 0


def test_flat_cue_never_stands_above_zero(generator):
    rows = torch.rand(10, 30, generator=generator) * torch.linspace(0.1, 1, 10)[:, None]
    memory = filled(rows)
    flat = torch.ones(1, 30)
    assert float(resemblance(memory, flat, None, memory.nearest(flat).ids[:, 0])) <= 0


def test_threshold_stays_between_its_ends(generator):
    far_apart = filled(torch.randn(30, 500, generator=generator))
    in_pairs = torch.randn(30, 500, generator=generator)
    paired = filled(torch.cat([in_pairs, in_pairs + 0.01 * torch.randn(in_pairs.shape, generator=generator)]))
    assert threshold_of(far_apart, None) == LEAST
    assert threshold_of(paired, None) == MOST
    assert threshold_of(filled(torch.eye(2)), None) == LEAST
