"""Completion of tables: what is missing is no evidence, and the habits of scikit-learn."""

import pickle
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("sklearn")
from sklearn.base import clone
from sklearn.datasets import load_wine
from sklearn.exceptions import NotFittedError
from sklearn.impute import KNNImputer
from sklearn.utils.estimator_checks import parametrize_with_checks

import attractor.estimators.imputer.reading as reading
from attractor import DenseMemory, DiskBank, RamBank, SoftMax
from attractor.estimators import AssociativeImputer
from attractor.estimators.imputer.columns import Columns
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
    return columns.layout.cues(*left, imputer.beta_) @ columns.layout.rows(*right).T


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
    assert len(imputer.bank_) == len(X) and imputer.beta_ == expected.beta_
    np.testing.assert_allclose(imputer.transform(X), expected.transform(X), rtol=1e-5)


def test_cues_at_once_and_rows_at_once_change_nothing(monkeypatch):
    X, _ = damaged()
    expected = AssociativeImputer(beta=5.0).fit_transform(X)
    monkeypatch.setattr(reading, "CUES_AT_ONCE", 7)
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
    assert imputer.completion_error_ == pytest.approx(1.0, abs=0.1) and imputer.beta_ < 1


def test_chosen_beta_is_nearly_the_best():
    X, whole = damaged(rows=150)

    def error(beta):
        return np.sqrt((((AssociativeImputer(beta=beta).fit_transform(X) - whole)[np.isnan(X)]) ** 2).mean())

    assert error("auto") < 1.05 * min(error(2.0**power) for power in range(-3, 9))
    # rows are sampled with holes on top of their own, so that they are harder to complete
    assert 1 < AssociativeImputer().fit(X).completion_error_ / (error("auto") / np.nanstd(X)) < 2


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


def test_indicators_are_those_of_other_imputers():
    X, _ = damaged(share=0.1, columns=8)
    X[:, 3] = 1.0
    ours, theirs = (kind(add_indicator=True).fit(X) for kind in (AssociativeImputer, KNNImputer))
    assert ours.get_feature_names_out().tolist() == theirs.get_feature_names_out().tolist()
    np.testing.assert_array_equal(ours.transform(X)[:, 8:], theirs.transform(X)[:, 8:])


def test_progress_rises_to_one():
    X, _ = damaged()
    for work in (AssociativeImputer().fit, AssociativeImputer().fit(X).transform):
        told = []
        work(X, progress=told.append)
        assert told == sorted(told) and told[-1] == 1


def test_pickled_imputer_completes_alike():
    X, _ = with_categories()
    imputer = AssociativeImputer(categorical_features=CATEGORIES).fit(X)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(imputer)).transform(X), imputer.transform(X))


@pytest.mark.parametrize("bank", ["memory", "disk"])
def test_saved_imputer_completes_alike(tmp_path, bank):
    X, _ = with_categories()
    imputer = AssociativeImputer(categorical_features=CATEGORIES, add_indicator=True, bank=banks(tmp_path)[bank]).fit(X)
    imputer.save(tmp_path / "imputer")
    loaded = AssociativeImputer.load(tmp_path / "imputer")
    np.testing.assert_array_equal(loaded.transform(X), imputer.transform(X))
    assert loaded.completion_error_ == imputer.completion_error_ and loaded.beta_ == imputer.beta_
    assert loaded.get_feature_names_out().tolist() == imputer.get_feature_names_out().tolist()
    # the settings that were used, so that it can be fitted again
    assert clone(loaded).fit(X).beta_ == imputer.beta_


def test_damaged_file_is_refused(tmp_path):
    (tmp_path / "imputer").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="AssociativeImputer"):
        AssociativeImputer.load(tmp_path / "imputer")


@pytest.mark.parametrize(
    ("settings", "X", "error", "word"),
    [
        ({"beta": 0.0}, np.ones((3, 2)), ValueError, "beta"),
        ({"beta": "low"}, np.ones((3, 2)), TypeError, "beta"),
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


def test_not_fitted():
    with pytest.raises(NotFittedError):
        AssociativeImputer().transform(np.ones((2, 2)))


def test_columns_of_one_table_do_not_depend_on_its_rows_order():
    X, _ = with_categories()
    nominal = np.array([False, True, False, True])
    first, second = (Columns.of(table_of(rows, nominal, None)) for rows in (X, X[::-1]))
    np.testing.assert_allclose(first.mean, second.mean)
    assert first.categories == second.categories
