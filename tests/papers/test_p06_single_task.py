from papers.stand_ins import quiet, unavailable

from attractor.papers.p06_sequential_learning import single_task
from attractor.papers.p06_sequential_learning.single_task import CLAIMS, SingleTaskSize, measure_single_task

SMALL = SingleTaskSize(digits_seeds=2, digits=(200, 100), digits_epochs=3, mnist_seeds=1, mnist=(100, 50), mnist_epochs=1)


def test_rows_answer_the_claims_with_both_baselines():
    rows = measure_single_task(SMALL, 0, quiet).rows
    assert tuple(row.claim for row in rows) == CLAIMS
    assert [row.n for row in rows] == [2, 2, 2, 2, 1, 1]
    assert all(0 < row.measured <= 1 and row.baseline > 0.5 and "logistic regression" in row.note for row in rows)


def test_without_the_pictures_rows_say_what_is_needed(monkeypatch):
    monkeypatch.setattr(single_task, "load", unavailable)
    rows = measure_single_task(SMALL, 0, quiet).rows
    assert tuple(row.claim for row in rows) == CLAIMS
    assert all(row.measured is None and row.ok is None and "attractor[demo]" in row.note for row in rows)
