import pytest
import torch
from torch import nn

from attractor.estimators.sequential import Evaluation, Task, correct, score, stable
from attractor.estimators.sequential import evaluation as module

SCORES = torch.tensor([[0.9, 0.2, 0.1], [0.6, 0.8, 0.3], [0.7, 0.5, 1.0]], dtype=torch.float64)
UNTRAINED = torch.tensor([0.1, 0.0, 0.2], dtype=torch.float64)


def test_measures_are_those_of_the_definitions():
    told = Evaluation(SCORES, UNTRAINED)
    assert told.average_accuracy == pytest.approx((0.7 + 0.5 + 1.0) / 3)
    assert told.learned_accuracy == pytest.approx((0.9 + 0.8 + 1.0) / 3)
    assert told.forgetting == pytest.approx(((0.9 - 0.7) + (0.8 - 0.5)) / 2)
    assert told.backward_transfer == pytest.approx(((0.7 - 0.9) + (0.5 - 0.8)) / 2)
    assert told.forward_transfer == pytest.approx(((0.2 - 0.0) + (0.3 - 0.2)) / 2)


def test_forgetting_counts_from_the_best_score_and_backward_transfer_from_the_first():
    told = Evaluation(torch.tensor([[0.5, 0.0, 0.0], [0.9, 0.5, 0.0], [0.7, 0.5, 0.5]]), torch.zeros(3))
    assert told.forgetting == pytest.approx(0.1)
    assert told.backward_transfer == pytest.approx(0.1)


def test_single_task_forgets_nothing():
    told = Evaluation(torch.tensor([[0.5]]), torch.zeros(1))
    assert (told.forgetting, told.backward_transfer, told.forward_transfer) == (0.0, 0.0, 0.0)
    assert "average accuracy 0.500" in repr(told)


@pytest.mark.parametrize(("scores", "untrained"), [((1, 3), 3), ((3,), 3), ((3, 3), 2), ((0, 0), 0)])
def test_scores_of_other_shapes_are_refused(scores, untrained):
    with pytest.raises(ValueError, match="must have shape"):
        Evaluation(torch.zeros(scores), torch.zeros(untrained))


def test_score_is_the_share_right_whatever_the_block(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    items, labels = torch.randn(50, 3, generator=generator), torch.randint(0, 3, (50,), generator=generator)
    task, model = Task(items, labels, items, labels), nn.Identity()
    expected = float((items.argmax(1) == labels).double().mean())
    assert score(model, task) == pytest.approx(expected)
    monkeypatch.setattr(module, "ITEMS_AT_A_TIME", 7)
    assert score(model, task) == pytest.approx(expected)


def test_score_switches_training_off_and_on_again():
    model = nn.Sequential(nn.Dropout(1.0))
    items, labels = torch.eye(3), torch.arange(3)
    assert score(model, Task(items, labels, items, labels)) == 1.0
    assert model.training


def test_correct_is_the_largest_output():
    assert correct(torch.tensor([[0.1, 0.3], [5.0, -1.0]]), torch.tensor([1, 1])).tolist() == [True, False]


def test_stable_allows_two_percent_of_the_units():
    patterns = torch.ones(3, 100)
    outputs = patterns.clone()
    outputs[1, :2] = -1
    outputs[2, :3] = -1
    assert stable(outputs, patterns).tolist() == [True, True, False]
    assert stable(outputs, patterns, tolerance=0.0).tolist() == [True, False, False]
