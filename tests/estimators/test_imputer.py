"""Completion of tables: what is missing is no evidence, and the habits of scikit-learn."""

import json
import pickle
from copy import deepcopy
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file

pytest.importorskip("sklearn")
from sklearn.base import clone
from sklearn.datasets import load_wine
from sklearn.exceptions import NotFittedError
from sklearn.impute import KNNImputer
from sklearn.utils.estimator_checks import parametrize_with_checks

import attractor.estimators.imputer.imputer as module
from attractor import DenseMemory, DiskBank, RamBank, SoftMax
from attractor.estimators import AssociativeImputer
from attractor.estimators.imputer.choice import sample
from attractor.estimators.imputer.columns import Columns
from attractor.estimators.imputer.perplexity import Search
from attractor.estimators.imputer.reading import Cue
from attractor.estimators.imputer.tables import table_of


@parametrize_with_checks([AssociativeImputer(), AssociativeImputer(beta=1.0, add_indicator=True, keep_empty_features=True)])
def test_contract_of_scikit_learn(estimator, check):
    check(estimator)


def damaged(rows=60, columns=5, share=0.3, seed=0):
    """A table of correlated numbers with holes, and the whole of it."""
    rng = np.random.default_rng(seed)
    whole = rng.normal(size=(rows, 2)) @ rng.normal(size=(2, columns)) + 0.1 * rng.normal(size=(rows, columns))
    X = np.where(rng.random(whole.shape) < share, np.nan, whole * 3 + 7)
    X[X.shape[0] - 1] = whole[-1] * 3 + 7
    return X, whole * 3 + 7


def with_categories(rows=60, seed=0):
    """Numbers in columns 0 and 2, text in 1, whole numbers as categories in 3; holes everywhere."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, 3, rows)
    X = np.empty((rows, 4), dtype=object)
    X[:, 0], X[:, 2] = group + 0.1 * rng.normal(size=rows), rng.normal(size=rows)
    X[:, 1], X[:, 3] = np.array(["low", "middle", "high"], dtype=object)[group], group * 10
    X[rng.random(X.shape) < 0.2] = None
    return X, group


CATEGORIES = [1, 3]


def log_odds(cue, row, mean, scale, beta):
    """The evidence of a cue for a stored row, entry by entry, in the words of the definition."""
    total = 0.0
    for x, y, m, s in zip(cue, row, mean, scale, strict=True):
        if not (np.isnan(x) or np.isnan(y)):
            x, y = (x - m) / s, (y - m) / s
            total += log_normal(x, y, 1 / beta) - log_normal(x, 0, 1 + 1 / beta)
    return total


def log_normal(x, mean, variance):
    return -0.5 * np.log(2 * np.pi * variance) - (x - mean) ** 2 / (2 * variance)


def scores(imputer, cues, rows):
    """The scores of the library, from tables."""
    columns, nominal = imputer.columns_, np.isin(np.arange(cues.shape[1]), imputer.columns_.nominal)
    left, right = (columns.encode(table_of(X, nominal, None)) for X in (cues, rows))
    return columns.layout.cues(*left, torch.full((len(cues),), imputer.beta_)) @ columns.layout.rows(*right).T


@pytest.mark.parametrize("beta", [0.3, 4.0, 60.0])
def test_score_is_the_log_odds_of_a_noisy_copy(beta):
    X, _ = damaged()
    imputer = AssociativeImputer(beta=beta).fit(X)
    mean, scale = np.nanmean(X, 0), np.nanstd(X, 0)
    wanted = [[log_odds(cue, row, mean, scale, beta) for row in X[10:30]] for cue in X[:10]]
    np.testing.assert_allclose(scores(imputer, X[:10], X[10:30]), wanted, rtol=1e-4, atol=1e-3)


def test_score_of_categories_is_the_log_odds_of_a_noisy_copy():
    X = np.array([["a"], ["a"], ["a"], ["b"], ["c"], [None]], dtype=object)
    imputer = AssociativeImputer(beta=2.0, categorical_features=[0]).fit(X)
    share = {"a": 3 / 5, "b": 1 / 5, "c": 1 / 5}
    kernel = {(x, y): np.exp(2.0 * (x == y)) / (np.exp(2.0) + 2) for x in share for y in share}
    chance = {x: sum(share[y] * kernel[x, y] for y in share) for x in share}
    wanted = [[0 if None in (x, y) else np.log(kernel[x, y] / chance[x]) for y in X[:, 0]] for x in X[:, 0]]
    np.testing.assert_allclose(scores(imputer, X, X), wanted, atol=1e-5)


def test_entry_unknown_on_either_side_is_no_evidence():
    X, _ = damaged()
    imputer = AssociativeImputer(beta=5.0).fit(X)
    cue, row = X[-1:].copy(), X[-1:].copy() + 0.4
    row[0, 1] = cue[0, 2] = np.nan
    held_back = scores(imputer, cue, row)
    for other in (-9.0, 40.0):
        cue[0, 1], row[0, 2] = other, other
        torch.testing.assert_close(scores(imputer, cue, row), held_back)


@pytest.mark.parametrize("beta", [0.5, 8.0])
def test_columns_are_weighted_means_over_the_rows_that_know_them(beta):
    X, _ = damaged()
    completed = AssociativeImputer(beta=beta).fit_transform(X)
    mean, scale = np.nanmean(X, 0), np.nanstd(X, 0)
    for row, column in np.argwhere(np.isnan(X))[::5]:
        donors = X[~np.isnan(X[:, column])]
        logits = np.array([log_odds(X[row], donor, mean, scale, beta) for donor in donors])
        weights = np.exp(logits - logits.max())
        assert completed[row, column] == pytest.approx(np.average(donors[:, column], weights=weights), rel=1e-4, abs=1e-3)


def test_whole_rows_are_read_as_a_dense_memory_reads_them():
    _, whole = damaged()
    cues = np.where(np.random.default_rng(1).random(whole.shape) < 0.4, np.nan, whole)
    cues[np.isnan(cues).all(1), 0] = 7.0
    imputer = AssociativeImputer(beta=3.0).fit(whole)
    rows, asked = (torch.from_numpy((X - whole.mean(0)) / whole.std(0)) for X in (whole, cues))
    memory = DenseMemory(5, separation=SoftMax(beta=3.0))
    memory.store(rows)
    read = memory.read(asked, known=~asked.isnan()).values.numpy() * whole.std(0) + whole.mean(0)
    completed = imputer.transform(cues)
    np.testing.assert_allclose(completed[np.isnan(cues)], read[np.isnan(cues)], rtol=1e-4)


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), share=st.floats(0.05, 0.9), rows=st.integers(2, 40), columns=st.integers(1, 6))
def test_known_entries_stay_and_filled_ones_lie_within_their_column(seed, share, rows, columns):
    X, _ = damaged(rows, columns, share, seed)
    completed = AssociativeImputer(beta=10.0).fit_transform(X)
    assert completed.shape == X.shape and np.isfinite(completed).all()
    known = ~np.isnan(X)
    np.testing.assert_array_equal(completed[known], X[known])
    assert (completed >= np.nanmin(X, 0) - 1e-4).all() and (completed <= np.nanmax(X, 0) + 1e-4).all()


def test_rows_far_away_fill_what_all_near_ones_lack():
    near = np.column_stack([np.zeros(50), np.zeros(50), np.full(50, np.nan)])
    far = np.array([[50.0, 0.0, 1.0], [60.0, 0.1, 2.0], [70.0, 0.2, 3.0]])
    completed = AssociativeImputer(beta=4000.0).fit_transform(np.concatenate([near, far]))
    np.testing.assert_allclose(completed[:50, 2], 1.0, rtol=1e-5)
    np.testing.assert_array_equal(completed[50:], far)


def test_rows_far_away_fill_categories_too():
    X = np.array([[0.0, None]] * 30 + [[50.0, "b"], [60.0, "a"]], dtype=object)
    completed = AssociativeImputer(beta=4000.0, categorical_features=[1]).fit_transform(X)
    assert set(completed[:30, 1]) == {"b"}


def banks(tmp_path):
    return {"memory": None, "no screen": partial(RamBank, screen=False), "disk": partial(DiskBank, tmp_path / "rows")}


@pytest.mark.parametrize("bank", ["memory", "no screen", "disk"])
def test_bank_changes_nothing(tmp_path, bank):
    X, _ = damaged()
    imputer = AssociativeImputer(bank=banks(tmp_path)[bank]).fit(X)
    expected = AssociativeImputer().fit(X)
    assert len(imputer.bank_) == len(X) and imputer.neighbours_ == expected.neighbours_
    np.testing.assert_allclose(imputer.transform(X), expected.transform(X), rtol=1e-5)


def test_cues_at_once_and_rows_at_once_change_nothing(monkeypatch):
    X, _ = damaged()
    expected = AssociativeImputer(beta=5.0).fit_transform(X)
    monkeypatch.setattr(module, "CUES_AT_ONCE", 7)
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 11)
    monkeypatch.setattr("attractor.read.fold.SCORES_PER_BLOCK", 7)
    monkeypatch.setattr("attractor.read.fold.GROUP", 8)
    np.testing.assert_allclose(AssociativeImputer(beta=5.0).fit_transform(X), expected, rtol=1e-4)


def test_each_row_is_completed_by_itself():
    X, _ = damaged()
    imputer = AssociativeImputer().fit(X)
    np.testing.assert_allclose(np.concatenate([imputer.transform(row[None]) for row in X]), imputer.transform(X), rtol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_precision_is_kept(dtype):
    X, _ = damaged()
    assert AssociativeImputer(beta=1.0).fit_transform(X.astype(dtype)).dtype == dtype


def test_rows_do_not_complete_themselves_while_beta_is_chosen():
    X = np.random.default_rng(0).normal(size=(200, 6))
    imputer = AssociativeImputer().fit(X)
    # with itself in sight, a row would come back exactly at a large beta
    assert imputer.completion_error_ == pytest.approx(1.0, abs=0.1) and imputer.neighbours_ > 10


def test_chosen_neighbours_are_nearly_the_best():
    X, whole = damaged(rows=150, share=0.1)
    imputer = AssociativeImputer().fit(X)

    def error(neighbours):
        imputer.neighbours_ = neighbours
        return np.sqrt((((imputer.transform(X) - whole)[np.isnan(X)]) ** 2).mean())

    best = min(error(2.0**power) for power in range(1, 8))
    assert error(imputer.fit(X).neighbours_) < 1.1 * best


def test_each_row_looks_at_the_same_number_of_neighbours():
    X, _ = damaged(rows=180, share=0.15)
    imputer = AssociativeImputer().fit(X)
    values, known = imputer.columns_.encode(table_of(X, np.zeros(5, dtype=bool), None))
    rows = np.flatnonzero(np.isnan(X).any(1) & (~np.isnan(X)).any(1))
    cue = Cue(values, known, ~known, torch.full((180,), -1)).rows(torch.from_numpy(rows))
    beta = Search(imputer.bank_, imputer.columns_.layout, 9.0).beta(cue, torch.ones(len(rows), dtype=torch.float64))
    for row, one in zip(rows, beta.tolist(), strict=True):
        helpful = (~np.isnan(X))[:, np.isnan(X[row])].any(1)
        logits = np.array([log_odds(X[row], other, np.nanmean(X, 0), np.nanstd(X, 0), one) for other in X[helpful]])
        shares = np.exp(logits - logits.max())
        shares /= shares.sum()
        assert np.exp(-(shares * np.log(shares + 1e-300)).sum()) == pytest.approx(9, rel=0.25)


def completion_errors(whole, columns, seed=0):
    """Of ours and of five nearest neighbours, in standard deviations, with a fifth of some columns hidden."""
    whole = (whole - whole.mean(0)) / whole.std(0)
    hidden = np.zeros(whole.shape, dtype=bool)
    hidden[:, columns] = np.random.default_rng(seed).random((len(whole), len(columns))) < 0.2
    X = np.where(hidden, np.nan, whole)
    completed = [kind().fit_transform(X) for kind in (AssociativeImputer, KNNImputer)]
    return [np.sqrt(np.square(one - whole)[hidden].mean()) for one in completed]


def test_fast_waves_are_followed():
    time = np.sort(np.random.default_rng(1).uniform(size=600))
    ours, theirs = completion_errors(np.column_stack([time, np.sin(20 * np.pi * time), np.cos(20 * np.pi * time)]), [1, 2])
    assert ours < min(0.4, theirs)


def test_what_belongs_to_a_number_of_many_is_found():
    users = np.repeat(np.arange(200), 6)
    ours, theirs = completion_errors(np.column_stack([users, np.random.default_rng(1).normal(size=(200, 2))[users]]), [1, 2])
    assert ours < min(0.1, theirs)


def test_exact_copies_give_their_mean():
    X = np.array([[0.0, 1.0], [0.0, 2.0], [0.0, 3.0], [1.0, 9.0]] * 5 + [[0.0, np.nan]])
    imputer = AssociativeImputer().fit(X)
    imputer.neighbours_ = 2.0
    assert imputer.transform(X)[-1, 1] == pytest.approx(2)


def test_counting_in_a_sample_of_the_rows_changes_little(monkeypatch):
    X, whole = damaged(rows=1000, columns=8, share=0.1)
    imputer = AssociativeImputer().fit(X)
    imputer.neighbours_ = 40.0
    expected = imputer.transform(X)
    monkeypatch.setattr("attractor.estimators.imputer.perplexity.LEAST_SAMPLE", 100)
    found = imputer.transform(X)
    assert 0 < np.std((found - expected)[np.isnan(X)]) < 0.1 * whole.std()


@pytest.mark.parametrize("beta", [3e5, 3e6])
def test_large_beta_is_exact(beta):
    rng = np.random.default_rng(0)
    X = np.column_stack([np.linspace(0, 1, 3000), rng.normal(size=3000)])
    whole, scale = X[:, 0].copy(), X[:, 0].std()
    X[::100, 1] = np.nan
    completed = AssociativeImputer(beta=beta).fit_transform(X)
    donors = ~np.isnan(X[:, 1])
    for row in range(0, 3000, 100):
        weights = np.exp(-beta * ((whole[row] - whole[donors]) / scale) ** 2 / 2)
        assert completed[row, 1] == pytest.approx(np.average(X[donors, 1], weights=weights), abs=2e-3)


def test_hidden_entries_are_like_the_holes_of_the_table():
    known = np.ones((100, 6), dtype=bool)
    known[:60, 2:4] = False
    rows, hidden = sample(known, np.random.RandomState(0))
    block = (hidden == [False, False, True, True, False, False]).all(1)
    assert block.mean() > 0.7 and known[rows[block]].all()


def test_fewer_errors_than_neighbours_on_wine():
    whole = load_wine().data
    whole = (whole - whole.mean(0)) / whole.std(0)
    errors = {AssociativeImputer: [], KNNImputer: []}
    for seed in range(3):
        hidden = np.random.default_rng(seed).random(whole.shape) < 0.3
        for kind, listed in errors.items():
            completed = kind().fit_transform(np.where(hidden, np.nan, whole))
            listed.append(np.square(completed - whole)[hidden].mean())
    assert np.mean(errors[AssociativeImputer]) < np.mean(errors[KNNImputer])


def test_same_seed_same_beta_and_global_generator_untouched():
    X, _ = damaged()
    before = torch.get_rng_state()
    first, second = (AssociativeImputer(random_state=3).fit(X) for _ in range(2))
    assert first.beta_ == second.beta_ and first.completion_error_ == second.completion_error_
    assert torch.equal(torch.get_rng_state(), before)


def test_empty_row_gets_means_and_most_frequent_categories():
    X, _ = with_categories()
    X[:, 1][[value is None for value in X[:, 1]]] = "high"
    imputer = AssociativeImputer(beta=7.0, categorical_features=CATEGORIES).fit(X)
    (completed,) = imputer.transform(np.full((1, 4), None, dtype=object))
    assert completed[0] == pytest.approx(np.nanmean(X[:, 0].astype(float)), abs=1e-5)
    assert completed[2] == pytest.approx(np.nanmean(X[:, 2].astype(float)), abs=1e-5)
    assert completed[1] == "high"


def test_empty_rows_of_fit_are_no_evidence():
    X, _ = damaged()
    with_empty = np.concatenate([X, np.full((40, 5), np.nan)])
    expected = AssociativeImputer(beta=5.0).fit(X).transform(X)
    np.testing.assert_allclose(AssociativeImputer(beta=5.0).fit(with_empty).transform(X), expected, rtol=1e-5)


def test_empty_columns_are_left_out_or_kept():
    X, _ = damaged()
    X[:, 2] = np.nan
    expected = AssociativeImputer(beta=1.0).fit_transform(np.delete(X, 2, 1))
    imputer = AssociativeImputer(beta=1.0).fit(X)
    np.testing.assert_array_equal(imputer.transform(X), expected)
    assert imputer.get_feature_names_out().tolist() == ["x0", "x1", "x3", "x4"]
    kept = AssociativeImputer(beta=1.0, keep_empty_features=True).fit_transform(X)
    np.testing.assert_array_equal(kept, np.insert(expected, 2, 0, axis=1))


def test_empty_category_columns_are_left_out_or_kept():
    X, _ = with_categories()
    X[:, 1] = None
    assert AssociativeImputer(categorical_features=CATEGORIES).fit_transform(X).shape == (60, 3)
    kept = AssociativeImputer(categorical_features=CATEGORIES, keep_empty_features=True).fit_transform(X)
    assert set(kept[:, 1]) == {"missing_value"}


def test_constant_columns_take_no_part_and_come_back():
    X, _ = damaged()
    constant = np.where(np.arange(60) % 3 == 0, np.nan, 1e9)
    completed = AssociativeImputer(beta=5.0).fit_transform(np.column_stack([X, constant]))
    np.testing.assert_array_equal(completed[:, 5], 1e9)
    np.testing.assert_allclose(completed[:, :5], AssociativeImputer(beta=5.0).fit_transform(X), rtol=1e-5)


@pytest.mark.parametrize("factor", [1e-300, 1e-30, 1e30, 1e300])
def test_units_of_a_column_change_nothing(factor):
    X, _ = damaged()
    expected = AssociativeImputer().fit_transform(X)
    X[:, 1] *= factor
    completed = AssociativeImputer().fit_transform(X)
    completed[:, 1] /= factor
    np.testing.assert_allclose(completed, expected, rtol=1e-4)


def test_cue_beyond_all_bounds_is_completed():
    X, _ = damaged()
    cue = np.array([[1e300, np.nan, 7.0, -1e300, 7.0]])
    completed = AssociativeImputer().fit(X).transform(cue)
    assert np.isfinite(completed).all() and np.nanmin(X[:, 1]) <= completed[0, 1] <= np.nanmax(X[:, 1])


@pytest.mark.parametrize("rows", [np.array([[1.0, np.nan]]), np.array([[1.0, np.nan], [np.nan, 2.0]]), np.array([[1.0], [np.nan]])])
def test_tables_too_small_to_hide_anything_are_completed(rows):
    imputer = AssociativeImputer().fit(rows)
    assert imputer.beta_ == 1 and not hasattr(imputer, "completion_error_")
    assert np.isfinite(imputer.transform(rows)).all()


def test_categories_follow_the_rows_that_resemble():
    X, group = with_categories(rows=200)
    imputer = AssociativeImputer(categorical_features=CATEGORIES).fit(X)
    completed = imputer.transform(X)
    told = np.array([row[0] is not None or row[1] is not None or row[3] is not None for row in X])
    right = completed[:, 1] == np.array(["low", "middle", "high"], dtype=object)[group]
    assert right[told].all()
    assert (completed[told, 3] == group[told] * 10).all()
    assert completed.dtype == object
    known = np.array([[value is not None for value in row] for row in X])
    assert (completed[known] == X[known]).all()


def test_ways_to_name_categories_agree():
    pandas = pytest.importorskip("pandas")
    X, _ = with_categories()
    expected = AssociativeImputer(beta=2.0, categorical_features=CATEGORIES).fit_transform(X)
    frame = pandas.DataFrame(X, columns=list("abcd")).astype({"a": float, "b": "category", "c": float, "d": object})
    ways = [(X, [False, True, False, True]), (X, [-1, 1]), (X.tolist(), [1, 3]), (frame, "from_dtype"), (frame, ["b", "d"])]
    for table, named in ways:
        completed = AssociativeImputer(beta=2.0, categorical_features=named).fit_transform(table)
        np.testing.assert_array_equal(np.asarray(completed, dtype=object), expected)


def test_numbers_as_categories_stay_numbers():
    X, _ = with_categories()
    numbers = X[:, [0, 2, 3]].astype(float)
    completed = AssociativeImputer(categorical_features=[2]).fit_transform(numbers)
    assert completed.dtype == np.float64 and set(completed[:, 2]) == {0.0, 10.0, 20.0}


def test_category_that_fit_did_not_see_stays_and_is_no_evidence():
    X, _ = with_categories()
    imputer = AssociativeImputer(beta=3.0, categorical_features=CATEGORIES).fit(X)
    strange, silent = (imputer.transform(np.array([[0.1, word, None, None]], dtype=object))[0] for word in ("new", None))
    assert strange[1] == "new"
    assert strange[2] == silent[2] and strange[3] == silent[3]


def test_rare_categories_beyond_the_most_are_kept_but_not_compared(monkeypatch):
    monkeypatch.setattr("attractor.estimators.imputer.columns.MOST_CATEGORIES", 2)
    X = np.array([["a"], ["a"], ["b"], ["b"], ["c"], [None]], dtype=object)
    imputer = AssociativeImputer(categorical_features=[0], beta=1.0).fit(X)
    assert [list(some) for some in imputer.columns_.categories] == [["a", "b"]]
    assert imputer.transform(X)[:, 0].tolist() == ["a", "a", "b", "b", "c", "a"]


def test_every_mark_of_the_unknown_is_one():
    pandas = pytest.importorskip("pandas")
    X = np.array([["a"], ["a"], [None], [np.nan], [float("nan")], [pandas.NA]], dtype=object)
    assert AssociativeImputer(categorical_features=[0]).fit_transform(X)[:, 0].tolist() == ["a"] * 6


def test_frames_keep_the_kinds_of_their_columns():
    pandas = pytest.importorskip("pandas")
    X, _ = with_categories()
    frame = pandas.DataFrame(X, columns=["size", "level", "noise", "code"], index=[f"row {row}" for row in range(60)])
    frame = frame.astype({"size": float, "level": "category", "noise": float, "code": object})
    imputer = AssociativeImputer(add_indicator=True).set_output(transform="pandas").fit(frame)
    completed = imputer.transform(frame)
    assert completed.columns.tolist() == imputer.get_feature_names_out().tolist()
    assert completed.dtypes["level"] == frame.dtypes["level"] and completed.dtypes["size"].kind == "f"
    assert completed.index.equals(frame.index) and not completed.isna().any().any()
    plain = clone(imputer).set_output(transform="default").fit_transform(frame)
    np.testing.assert_array_equal(completed.to_numpy(dtype=object), plain)
    fewer = frame.assign(level=frame["level"].cat.set_categories(["low"]))
    assert set(imputer.transform(fewer)["level"]) == {"low", "middle", "high"}


@pytest.mark.parametrize("text", [True, False])
def test_numbers_of_frames_keep_their_kinds(text):
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    frame = pandas.DataFrame({"whole": rng.integers(0, 5, 40), "single": rng.normal(size=40).astype("float32")})
    frame = frame.assign(truth=rng.random(40) < 0.5, may_lack=rng.normal(size=40), counts=rng.integers(0, 5, 40))
    frame = frame.astype({"may_lack": "Float32", "counts": "Int64"})
    if text:
        frame["word"] = rng.choice(["u", "v"], 40)
    frame.loc[3, ["single", "may_lack", "counts"]] = None
    completed = AssociativeImputer(beta=1.0).set_output(transform="pandas").fit_transform(frame)
    kinds = {name: str(kind) for name, kind in completed.dtypes.items() if name != "word"}
    assert kinds == {"whole": "int64", "single": "float32", "truth": "bool", "may_lack": "Float32", "counts": "Float64"}
    assert not completed.isna().any().any()


def test_indicators_are_those_of_other_imputers():
    X, _ = damaged(share=0.1, columns=8)
    X[:, 3] = 1.0
    ours, theirs = (kind(add_indicator=True).fit(X) for kind in (AssociativeImputer, KNNImputer))
    assert ours.get_feature_names_out().tolist() == theirs.get_feature_names_out().tolist()
    np.testing.assert_array_equal(ours.transform(X)[:, 8:], theirs.transform(X)[:, 8:])


def test_progress_rises_to_one():
    X, _ = damaged()
    imputer = AssociativeImputer().fit(X)
    works = [(clone(imputer).fit, X), (imputer.transform, X), (AssociativeImputer(beta=1.0).fit, X), (imputer.transform, X[-1:])]
    for work, table in works:
        told = []
        work(table, progress=told.append)
        assert told == sorted(told) and told[-1] == 1


def test_pickled_imputer_completes_alike():
    X, _ = with_categories()
    imputer = AssociativeImputer(categorical_features=CATEGORIES).fit(X)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(imputer)).transform(X), imputer.transform(X))


@pytest.mark.parametrize("copy", [deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_imputer_with_rows_on_disk_is_copied(tmp_path, copy):
    X, _ = damaged()
    imputer = AssociativeImputer(beta=2.0, bank=partial(DiskBank, tmp_path / "rows")).fit(X)
    np.testing.assert_array_equal(copy(imputer).transform(X), imputer.transform(X))


@pytest.mark.parametrize("bank", ["memory", "disk"])
def test_saved_imputer_completes_alike(tmp_path, bank):
    X, _ = with_categories()
    imputer = AssociativeImputer(categorical_features=CATEGORIES, add_indicator=True, bank=banks(tmp_path)[bank]).fit(X)
    imputer.save(tmp_path / "imputer")
    loaded = AssociativeImputer.load(tmp_path / "imputer")
    np.testing.assert_array_equal(loaded.transform(X), imputer.transform(X))
    for name in ("completion_error_", "beta_", "neighbours_"):
        assert getattr(loaded, name) == getattr(imputer, name)
    assert loaded.get_feature_names_out().tolist() == imputer.get_feature_names_out().tolist()
    # the settings that were used, so that it can be fitted again
    assert clone(loaded).fit(X).neighbours_ == imputer.neighbours_


def test_saved_imputer_of_frames_completes_them_alike(tmp_path):
    pandas = pytest.importorskip("pandas")
    X, _ = with_categories()
    frame = pandas.DataFrame(X, columns=list("abcd")).astype({"a": "float32", "b": "category", "c": float, "d": object})
    imputer = AssociativeImputer(beta=2.0).set_output(transform="pandas").fit(frame)
    imputer.save(tmp_path / "imputer")
    loaded = AssociativeImputer.load(tmp_path / "imputer")
    assert loaded.get_params() == imputer.get_params()
    pandas.testing.assert_frame_equal(loaded.transform(frame), imputer.transform(frame))


def test_rows_on_disk_may_move_with_the_file(tmp_path):
    X, _ = damaged()
    (tmp_path / "old").mkdir()
    imputer = AssociativeImputer(beta=2.0, bank=partial(DiskBank, tmp_path / "old" / "rows")).fit(X)
    imputer.save(tmp_path / "old" / "imputer")
    imputer.bank_.close()
    (tmp_path / "old").rename(tmp_path / "new")
    loaded = AssociativeImputer.load(tmp_path / "new" / "imputer")
    np.testing.assert_array_equal(loaded.transform(X), AssociativeImputer(beta=2.0).fit_transform(X))
    loaded.bank_.append(torch.zeros(1, loaded.bank_.dim))
    with pytest.raises(ValueError, match="60 float32 rows"):
        AssociativeImputer.load(tmp_path / "new" / "imputer")


def test_saved_categories_are_text_and_numbers(tmp_path):
    X = np.empty((9, 2), dtype=object)
    X[:, 0], X[:, 1] = range(9), [np.int64(place % 3) for place in range(9)]
    X[4, 1] = None
    imputer = AssociativeImputer(beta=2.0, categorical_features=[1]).fit(X)
    imputer.save(tmp_path / "imputer")
    assert (AssociativeImputer.load(tmp_path / "imputer").transform(X) == imputer.transform(X)).all()
    X[3, 1] = (1, 2)
    with pytest.raises(TypeError, match="categorical_features"):
        AssociativeImputer(beta=2.0, categorical_features=[1]).fit(X).save(tmp_path / "imputer")


def test_damaged_file_is_refused(tmp_path):
    (tmp_path / "imputer").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="AssociativeImputer"):
        AssociativeImputer.load(tmp_path / "imputer")


DAMAGES = {
    "no mean": lambda state, told: state.pop("mean"),
    "mean is NaN": lambda state, told: state["mean"].fill_(torch.nan),
    "mean is short": lambda state, told: state.update(mean=state["mean"][:1].clone()),
    "scale is negative": lambda state, told: state["scale"].neg_(),
    "feature out of range": lambda state, told: state["numeric"].add_(7),
    "frequency of nothing": lambda state, told: state["frequencies"].zero_(),
    "no extra": lambda state, told: told.update(extra=None),
    "beta is text": lambda state, told: told["extra"].update(beta="x"),
    "beta is negative": lambda state, told: told["extra"].update(beta=-1.0),
    "neighbours are negative": lambda state, told: told["extra"].update(neighbours=-1.0),
    "categories are gone": lambda state, told: told["extra"].update(categories=[]),
    "categories repeat": lambda state, told: told["extra"]["categories"].__setitem__(0, ["low"] * 3),
    "features are fewer": lambda state, told: told["extra"].update(features=3),
    "setting unknown": lambda state, told: told["settings"].update(colour=1),
    "bank of another kind": lambda state, told: told["extra"]["bank"].update(kind="parameter", rows=10**13, dtype="float32"),
    "bank lacks rows": lambda state, told: [state.pop(name) for name in list(state) if name.startswith("bank.")],
    "bank is NaN": lambda state, told: state["bank.patterns"].fill_(torch.nan),
    "bank knows half": lambda state, told: state["bank.patterns"].fill_(0.5),
    "bank is double": lambda state, told: state.update({"bank.patterns": state["bank.patterns"].double()}),
    "bank is narrow": lambda state, told: state.update({"bank.patterns": state["bank.patterns"][:, 1:].clone()}),
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    X, _ = with_categories()
    path = tmp_path_factory.mktemp("saved") / "imputer"
    AssociativeImputer(categorical_features=CATEGORIES).fit(X).save(path)
    return path


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_damage_is_one_error(saved, tmp_path, damage):
    with safe_open(saved, "pt") as file:
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
        told = json.loads(file.metadata()["attractor"])
    DAMAGES[damage](state, told)
    save_file(state, tmp_path / "damaged", metadata={"attractor": json.dumps(told)})
    with pytest.raises(ValueError, match="path must be a saved AssociativeImputer"):
        AssociativeImputer.load(tmp_path / "damaged")


def unhashable():
    X = np.empty((2, 1), dtype=object)
    X[0, 0] = [1]
    return X


@pytest.mark.parametrize(
    ("settings", "X", "error", "word"),
    [
        ({"beta": 0.0}, np.ones((3, 2)), ValueError, "beta"),
        ({"beta": "low"}, np.ones((3, 2)), TypeError, "beta"),
        ({"beta": np.ones(2)}, np.ones((3, 2)), TypeError, "beta"),
        ({"beta": 1e38}, np.ones((3, 2)), ValueError, "beta must be at most"),
        ({"random_state": "bad"}, np.ones((3, 2)), ValueError, "bad"),
        ({"categorical_features": [0]}, unhashable(), TypeError, "hashable categories, got list in feature 0"),
        ({}, np.array([["2020-01-01"]], dtype="datetime64[s]"), TypeError, "numbers and categories, got datetime64"),
        ({}, np.full((3, 2), np.nan), ValueError, "known"),
        ({}, np.array([[1.0, np.inf]]), ValueError, "inf"),
        ({"categorical_features": "all"}, np.ones((3, 2)), ValueError, "categorical_features"),
        ({"categorical_features": [2]}, np.ones((3, 2)), ValueError, "categorical_features"),
        ({"categorical_features": ["a"]}, np.ones((3, 2)), ValueError, "categorical_features"),
        ({"categorical_features": [True]}, np.ones((3, 2)), ValueError, "categorical_features"),
        ({"categorical_features": [0.5]}, np.ones((3, 2)), TypeError, "categorical_features"),
        ({"categorical_features": [0]}, np.array([["a", "b"]], dtype=object), ValueError, "could not convert"),
        ({"bank": lambda dim: RamBank(3)}, np.ones((3, 2)), ValueError, "width 6"),
    ],
)
def test_bad_input_changes_nothing(settings, X, error, word):
    good, _ = damaged(columns=2)
    imputer = AssociativeImputer(beta=1.0).fit(good)
    before = dict(imputer.__dict__)
    imputer.set_params(**settings)
    with pytest.raises(error, match=word):
        imputer.fit(X)
    assert {name: value for name, value in imputer.__dict__.items() if name not in settings} == {
        name: value for name, value in before.items() if name not in settings
    }


def test_bank_with_rows_is_refused(tmp_path):
    X, _ = damaged()
    imputer = AssociativeImputer(bank=partial(DiskBank, tmp_path / "rows")).fit(X)
    with pytest.raises(ValueError, match="empty"):
        imputer.fit(X)


@pytest.mark.parametrize("settings", [{"random_state": "bad"}, {}])
def test_failed_fit_leaves_no_rows_behind(tmp_path, settings):
    X, _ = damaged()
    imputer = AssociativeImputer(bank=partial(DiskBank, tmp_path / "rows"), **settings)

    def stop(done):
        raise RuntimeError("bad")

    with pytest.raises((ValueError, RuntimeError), match="bad"):
        imputer.fit(X, progress=stop)
    assert len(imputer.set_params(random_state=0).fit(X).bank_) == len(X)


def test_not_fitted():
    with pytest.raises(NotFittedError):
        AssociativeImputer().transform(np.ones((2, 2)))


def test_columns_of_one_table_do_not_depend_on_its_rows_order():
    X, _ = with_categories()
    nominal = np.array([False, True, False, True])
    first, second = (Columns.of(table_of(rows, nominal, None)) for rows in (X, X[::-1]))
    np.testing.assert_allclose(first.mean, second.mean)
    assert first.categories == second.categories
