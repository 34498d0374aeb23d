"""A bank with an index: what it finds, what it says of the rest, and that it is never out of date."""

import sys
from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attractor import DenseMemory
from attractor.bank import DiskBank, IndexedBank, RamBank, indexed, indexed_cells, indexed_look, indexed_rows
from attractor.bank.parameter import ParameterBank
from attractor.bank.segments import HEADER_BYTES
from attractor.read import Block, Cosine, Dot, Entmax, Euclidean, Exponential, Manhattan, Polynomial, Read, SoftMax, Sparsemax, TopK

pytest.importorskip("faiss")

SIMILARITIES = [Euclidean(), Dot(), Cosine()]
SEPARATIONS = [SoftMax(4.0), Exponential(1.0), TopK(5, 4.0), Sparsemax(2.0), Entmax(1.5, 2.0)]


@pytest.fixture(autouse=True)
def small_banks_have_an_index():
    with patch.object(indexed, "LEAST_ROWS", 1):
        yield


def clustered(count, dim=8, seed=0, clusters=20, spread=0.15):
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(clusters, dim, generator=torch.Generator().manual_seed(99))
    return centres[torch.randint(clusters, (count,), generator=generator)] + spread * torch.randn(count, dim, generator=generator)


def bank_of(rows, **settings):
    bank = RamBank(rows.shape[1], screen=False)
    bank.append(rows)
    return IndexedBank(bank, **settings)


def exact_weights(read, rows):
    """The weights `(b, n)` over all rows, in float64."""
    known = torch.ones_like(read.cues, dtype=torch.bool) if read.known is None else read.known
    cues, rows = (read.cues * known).double(), rows.double()
    if isinstance(read.similarity, Euclidean):
        scores = -((cues[:, None] - rows * known[:, None]) ** 2).sum(-1) / 2
    else:
        scores = (cues[:, None] * rows).sum(-1)
        if isinstance(read.similarity, Cosine):
            scores = scores / cues.norm(dim=-1)[:, None] / (rows * known[:, None]).norm(dim=-1)
    if isinstance(read.separation, SoftMax):
        return (read.separation.number * scores).softmax(-1)
    return read.separation.weights(scores, torch.arange(len(rows)))


PAIRS = [(one, other) for one in SIMILARITIES for other in SEPARATIONS if other.normalised or not isinstance(one, Euclidean)]
"""Distances have no powers."""


def seen_rows(bank, read):
    """Which rows `(b, n)` an index looked at for each cue, found by what it folds."""
    seen = torch.zeros(len(read.cues), len(bank), dtype=torch.bool)
    index = bank._current()
    for row in range(len(read.cues)):
        known = None if read.known is None else read.known[row : row + 1]
        with patch.object(indexed_look, "matter", lambda read, scores: torch.arange(len(scores))):
            look = index.look(read.with_cues(read.cues[row : row + 1], known), bank.probes, bank.tolerance)
        seen[row, index.rows(look.places).ids] = True
    return seen


@pytest.mark.parametrize(("similarity", "separation"), PAIRS, ids=repr)
@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
@pytest.mark.parametrize("coded", [False, True], ids=["cells", "codes"])
def test_the_tail_bounds_the_weight_of_what_was_not_seen(similarity, separation, masked, coded, monkeypatch):
    rows = clustered(600)
    bank = bank_of(rows, probes=3)
    if not coded:
        monkeypatch.setattr(indexed.Codes, "of", lambda rows: None)
    generator = torch.Generator().manual_seed(1)
    cues = torch.cat([clustered(60, seed=2), torch.randn(40, 8, generator=generator)])
    known = torch.rand(100, 8, generator=generator) < 0.7 if masked else None
    if masked:
        known[:, 0] = True
    read = Read(similarity, separation, cues, known)
    weights, seen = exact_weights(read, rows), seen_rows(bank, read)
    found = bank.search(read)
    assert found.rows.tolist() == seen.sum(-1).tolist()
    assert (seen.sum(-1) < 600).all()
    share = (weights * ~seen).sum(-1)
    assert (share <= found.tail + 1e-6).all()
    assert (found.tail <= 1).all()
    assert coded or (share > 0).any() or separation.name in ("sparsemax", "entmax")


@pytest.mark.parametrize("similarity", SIMILARITIES, ids=repr)
@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
def test_no_row_scores_above_the_bound_of_its_cell(similarity, masked):
    rows = clustered(600).double()
    bank = bank_of(rows)
    cells = indexed_cells.Cells.of(bank.bank, indexed_rows.Place())
    own = torch.repeat_interleave(torch.arange(len(cells)), cells.sizes)
    farthest = (cells.block.patterns - cells.centres[own]).norm(dim=-1)
    assert torch.equal(torch.zeros(len(cells)).double().scatter_reduce(0, own, farthest, "amax"), cells.radii)
    closest = []
    for cue in clustered(20, seed=2).double():
        known = torch.arange(8)[None] < 5 if masked else None
        read = Read(similarity, SoftMax(1.0), cue[None], known)
        _, bound = cells.bounds(read)
        scores = (similarity.relative(read.prepared, Block(cells.block.ids, cells.block.patterns)) + read.prepared.offset)[0]
        closest.append((bound[own] - scores).min())
        assert closest[-1] >= -1e-9
    assert min(closest) < 1.0


def test_the_tail_is_no_empty_promise():
    """Where clusters lie apart, looking into a few cells is certain to be enough."""
    rows = clustered(600)
    for separation in (SoftMax(60.0), TopK(5, 60.0), Sparsemax(60.0)):
        found = bank_of(rows, probes=4).search(Read(Euclidean(), separation, clustered(40, seed=2)))
        assert (found.tail < 1e-3).double().mean() > 0.9
        assert (found.rows < 200).all()


@pytest.mark.parametrize("tolerance", [0.5, 1e-2, 1e-6])
def test_cells_are_looked_into_until_the_tolerance_is_reached(tolerance):
    rows, cues = clustered(600), clustered(30, seed=2)
    read = Read(Euclidean(), SoftMax(8.0), cues)
    bank, loose = bank_of(rows, probes=1, tolerance=tolerance), bank_of(rows, probes=1)
    found = bank.search(read)
    assert (found.tail <= tolerance).all()
    assert found.rows.sum() >= loose.search(read).rows.sum()
    exact = exact_weights(read, rows) @ rows.double()
    reach = torch.cdist(rows, rows).max()
    values = read.finish(found.partial).values
    assert ((values - exact).norm(dim=-1) <= found.tail * reach + 1e-4).all()


@pytest.mark.parametrize(("similarity", "separation"), PAIRS, ids=repr)
def test_tolerance_zero_is_exact(similarity, separation):
    rows, cues = clustered(600), clustered(10, seed=2)
    values = torch.randn(600, 3, generator=torch.Generator().manual_seed(4))
    bank = IndexedBank(RamBank(8, screen=False), tolerance=0.0, probes=2)
    bank.append(rows, values)
    for project in ("patterns", "values"):
        for known in (None, torch.arange(8).expand(10, 8) % 3 > 0):
            read = Read(similarity, separation, cues, known, project)
            found, expected = (read.finish(one.fold(read)) for one in (bank, bank.bank))
            torch.testing.assert_close(found.values, expected.values, rtol=1e-5, atol=1e-5)
            torch.testing.assert_close(found.potential, expected.potential, rtol=1e-5, atol=1e-5)
            assert torch.equal(found.ids, expected.ids)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16], ids=str)
def test_other_precisions_are_answered_in_theirs(dtype):
    rows, cues = clustered(600).to(dtype), clustered(10, seed=2).to(dtype)
    bank = bank_of(rows, tolerance=1e-9)
    read = Read(Euclidean(), TopK(5, 8.0), cues)
    found, expected = (read.finish(one.fold(read)) for one in (bank, bank.bank))
    torch.testing.assert_close(found.values, expected.values)
    assert torch.equal(found.ids, expected.ids)


def test_cues_do_not_change_what_others_find():
    bank, cues = bank_of(clustered(600), probes=2), clustered(10, seed=2)
    for separation in (SoftMax(2.0), TopK(5, 2.0), Sparsemax(2.0)):
        read = Read(Euclidean(), separation, cues)
        together = read.finish(bank.fold(read))
        for row in range(10):
            one = read.with_cues(cues[row : row + 1])
            alone = one.finish(bank.fold(one))
            torch.testing.assert_close(together.values[row], alone.values[0], rtol=1e-5, atol=1e-5)
            torch.testing.assert_close(together.potential[row], alone.potential[0], rtol=1e-5, atol=1e-5)
            assert torch.equal(together.ids[row], alone.ids[0])


@pytest.mark.parametrize(
    "read",
    [
        lambda cues: Read(Manhattan(), SoftMax(1.0), cues),
        lambda cues: Read(Dot(), Polynomial(3), cues),
        lambda cues: Read(Euclidean(), SoftMax(1.0), cues.requires_grad_()),
    ],
    ids=["manhattan", "polynomial", "gradient"],
)
def test_what_cells_cannot_bound_is_read_whole(read):
    bank = bank_of(clustered(600), probes=1)
    with patch.object(indexed.Cells, "of", side_effect=AssertionError("an index was built")):
        read = read(clustered(5, seed=2))
        found = bank.search(read)
    assert found.rows.tolist() == [600] * 5
    assert found.tail.tolist() == [0.0] * 5
    torch.testing.assert_close(read.finish(found.partial).values, read.finish(bank.bank.fold(read)).values)


verbs = st.sampled_from(["append", "append few", "forget", "forget few", "compact", "reopen", "update", "beside"])


@settings(max_examples=15, deadline=None)
@given(st.lists(verbs, min_size=1, max_size=8), st.booleans(), st.integers(0, 2**16))
def test_an_index_is_never_out_of_date(tmp_path_factory, steps, on_disk, seed):
    path = tmp_path_factory.mktemp("banks") / "bank"
    inner = DiskBank(path, 4) if on_disk else RamBank(4, screen=False)
    bank, twin = IndexedBank(inner, probes=1, tolerance=1e-9), RamBank(4, screen=False)
    generator = torch.Generator().manual_seed(seed)
    # codes of four bits are trained on sixteen rows or more
    with patch.object(indexed, "LEAST_ROWS", 16):
        for turn, step in enumerate(["append", *steps]):
            if "append" in step or step == "beside":
                rows = clustered(3 if "few" in step else 60, 4, seed=seed + turn)
                assert torch.equal((inner if step == "beside" else bank).append(rows), twin.append(rows))
            elif "forget" in step:
                live = twin.ids()
                gone = live[torch.randperm(len(live), generator=generator)[: 2 if "few" in step else len(live) // 2]]
                bank.forget(gone)
                twin.forget(gone)
            elif step == "compact":
                bank.compact()
            elif step == "reopen" and on_disk:
                inner.close()
                inner = DiskBank(path)
                bank = IndexedBank(inner, probes=1, tolerance=1e-9)
            elif step == "update" and on_disk and len(twin):
                rows = clustered(1, 4, seed=seed + 100 + turn)
                one = twin.ids()[:1]
                inner.update(one, rows)
                twin._patterns[twin._places(one)] = rows
                twin._norms[twin._places(one)] = rows.square().sum(-1)
            if len(twin) < 2:
                continue
            for separation in (SoftMax(8.0), TopK(3, 8.0)):
                read = Read(Euclidean(), separation, clustered(4, 4, seed=seed + turn))
                found, expected = (read.finish(one.fold(read)) for one in (bank, twin))
                torch.testing.assert_close(found.values, expected.values, rtol=1e-5, atol=1e-5)
                assert torch.equal(found.ids, expected.ids)
    if on_disk:
        inner.close()


def test_an_index_beside_a_bank_on_disk_is_kept_and_may_be_lost(tmp_path):
    read = Read(Euclidean(), TopK(3, 8.0), clustered(4, seed=2))
    with DiskBank(tmp_path / "bank", 8) as disk:
        disk.append(clustered(300))
        expected = IndexedBank(disk, probes=2).search(read)
        folder = tmp_path / "bank" / "index"
        file = folder / indexed.FILE
        with patch.object(indexed.Cells, "of", side_effect=AssertionError("built anew")):
            again = IndexedBank(disk, probes=2).search(read)
        assert torch.equal(again.partial.best.ids, expected.partial.best.ids)
        for content in (b"", b"no index", file.read_bytes()[:-3]):
            file.write_bytes(content)
            again = IndexedBank(disk, probes=2).search(read)
            assert torch.equal(again.partial.best.ids, expected.partial.best.ids)
            assert len(list(folder.iterdir())) == 2
        disk.forget(torch.arange(3))
        IndexedBank(disk).compact()
        assert not folder.exists()
    with DiskBank(tmp_path / "bank") as disk:
        assert len(disk) == 297


@pytest.mark.parametrize("values", [False, True])
def test_of_an_index_on_disk_only_the_cells_looked_into_are_read(tmp_path, values):
    rows, cues = clustered(600), clustered(1, seed=2)
    with DiskBank(tmp_path / "bank", 8) as disk:
        disk.append(rows, rows[:, :3].clone() if values else None)
        for _ in range(2):  # built, then found in the folder
            bank = IndexedBank(disk, probes=2)
            found = bank.search(Read(Euclidean(), TopK(3, 8.0), cues))
            cells = bank._index.cells
            assert cells.block.patterns.storage_offset() == HEADER_BYTES // 4  # mapped, behind the header of a file
            looked = cells.checks[:, 0] == indexed_cells.SOUND
            assert 0 < int(looked.sum()) <= 2
            assert int(cells.sizes[looked].sum()) == int(found.rows)


@pytest.mark.parametrize("name", ["patterns", "values"])
@pytest.mark.parametrize("how", ["flipped", "cut", "removed"])
def test_a_damaged_copy_of_rows_is_never_believed(tmp_path, name, how):
    rows, read = clustered(600), Read(Euclidean(), TopK(3, 8.0), clustered(20, seed=2), None, "values")
    with DiskBank(tmp_path / "bank", 8) as disk:
        disk.append(rows, rows[:, :3].clone())
        expected = read.finish(IndexedBank(disk, probes=5).fold(read))
        (file,) = (tmp_path / "bank" / "index").glob("*.values.*" if name == "values" else "*[0-9].safetensors")
        content = bytearray(file.read_bytes())
        if how == "removed":
            file.unlink()
        elif how == "cut":
            file.write_bytes(content[:-1])
        else:
            content[4096:] = bytes(byte ^ 64 for byte in content[4096:])
            file.write_bytes(content)
        found = read.finish(IndexedBank(disk, probes=5).fold(read))
        assert torch.equal(found.ids, expected.ids)
        assert torch.equal(found.values, expected.values)


def test_an_index_that_finds_no_room_leaves_nothing_behind(tmp_path):
    with DiskBank(tmp_path / "bank", 8) as disk:
        disk.append(clustered(600))
        full = OSError(28, "No space left on device")
        with patch.object(indexed_rows, "write_runs", side_effect=full), pytest.raises(OSError, match="space"):
            IndexedBank(disk).fold(Read(Euclidean(), TopK(3, 8.0), clustered(1)))
        assert not list((tmp_path / "bank" / "index").iterdir())


@pytest.mark.parametrize("what", ["append", "forget", "update"])
@pytest.mark.parametrize("moment", ["before the copy", "after the copy"])
def test_what_another_writes_while_an_index_is_built_is_found(tmp_path, what, moment):
    rows, spot = clustered(600), torch.full((1, 8), 9.0)
    rows[7] = spot[0] + 0.5
    fill, written = indexed_rows.Place.fill, []
    with DiskBank(tmp_path / "bank", 8) as disk, DiskBank(tmp_path / "bank", 8) as other:
        disk.append(rows)

        def write():
            if not written:
                written.append(what)
                if what == "append":
                    other.append(spot.expand(40, 8))
                elif what == "forget":
                    other.forget(torch.tensor([7]))
                else:
                    other.update(torch.tensor([300]), spot)

        def overtaken(*arguments):
            if moment == "before the copy":
                write()
            held = fill(*arguments)
            write()
            return held

        read, twin = Read(Euclidean(), TopK(1, 8.0), spot), RamBank(8, screen=False)
        with patch.object(indexed_rows.Place, "fill", overtaken):
            bank = IndexedBank(disk, probes=3)
            first = bank.fold(read)
        twin.append(disk.get(disk.ids()).patterns)
        best = disk.ids()[twin.fold(read).best.ids[0, 0]]
        assert best == bank.fold(read).best.ids[0, 0]
        assert what != "update" or best == first.best.ids[0, 0]
        copy, live = bank._index.cells.block, bank._index.live
        assert torch.equal(copy.patterns[live], disk.get(copy.ids[live]).patterns)


def test_rows_that_are_forgotten_while_an_index_is_refreshed_do_not_stop_it():
    bank = bank_of(clustered(600), probes=3)
    read = Read(Euclidean(), TopK(1, 8.0), clustered(1))
    bank.fold(read)
    ids = bank.append(clustered(3, seed=9))
    get, overtaken = bank.bank.get, []
    read = Read(Euclidean(), TopK(1, 8.0), get(ids[1:2]).patterns)

    def forgetful(wanted):
        if not overtaken:
            overtaken.append(wanted)
            bank.bank.forget(ids[:1])
        return get(wanted)

    with patch.object(bank.bank, "get", forgetful):
        found = bank.search(read)
    assert overtaken
    assert found.partial.best.ids[0, 0] == ids[1]


@pytest.mark.filterwarnings("ignore::attractor.CapacityWarning")
def test_the_tails_of_a_recall_can_be_watched():
    rows = clustered(600)
    memory = DenseMemory(bank=bank_of(rows, probes=2), separation=SoftMax(2.0))
    with memory.bank.watched() as outer:
        with memory.bank.watched() as tails:
            recalled = memory.recall(rows[:20] + 0.3, max_steps=3)
        memory.recall(rows[:1])
    assert len(tails) >= int(recalled.steps.max()) > 1
    assert tails == outer[: len(tails)] and len(outer) > len(tails)
    assert 0 < torch.cat(tails).max() <= 1
    tight = DenseMemory(bank=IndexedBank(memory.bank.bank, tolerance=0.01), separation=SoftMax(2.0))
    with tight.bank.watched() as tails:
        tight.recall(rows[:20] + 0.3, max_steps=3)
    assert torch.cat(tails).max() <= 0.01


@pytest.mark.slow
@pytest.mark.parametrize("spread", [0.15, 1.0], ids=["clusters", "no clusters"])
def test_the_tail_is_never_violated_in_ten_thousand_cues(spread):
    rows = clustered(2000, spread=spread).double()
    bank = bank_of(rows, probes=3)
    cues = torch.cat(
        [clustered(5000, seed=2, spread=spread), torch.randn(5000, 8, generator=torch.Generator().manual_seed(1))]
    ).double()
    for beta in (0.5, 4.0):
        for some in cues.split(500):
            read = Read(Euclidean(), SoftMax(beta), some)
            found = bank.search(read)
            seen, whole = (read.finish(partial).potential for partial in (found.partial, bank.bank.fold(read)))
            assert (-torch.expm1(beta * (seen - whole)) <= found.tail + 1e-9).all()


def test_a_few_changes_do_not_build_anew_and_many_do():
    bank = bank_of(clustered(600), probes=2)
    read = Read(Euclidean(), TopK(3, 8.0), clustered(4, seed=2))
    bank.fold(read)
    cells = bank._index.cells
    bank.append(clustered(30, seed=5))
    bank.forget(torch.arange(20))
    bank.fold(read)
    assert bank._index.cells is cells
    bank.append(clustered(30, seed=6))
    bank.fold(read)
    assert bank._index.cells is not cells
    assert len(bank._index.cells.block) == 640


def test_a_memory_over_an_index_recalls(tmp_path):
    rows = clustered(600, spread=0.3)
    memory = DenseMemory(bank=bank_of(rows, tolerance=1e-3), separation=TopK(4, beta=40.0))
    plain = DenseMemory(bank=memory.bank.bank, separation=TopK(4, beta=40.0))
    cues = rows[:20] + 0.02
    known = torch.arange(8).expand(20, 8) < 6
    for mask in (None, known):
        found, expected = memory.recall(cues, known=mask), plain.recall(cues, known=mask)
        assert torch.equal(found.index, expected.index)
        torch.testing.assert_close(found.patterns, expected.patterns, atol=1e-3, rtol=1e-3)
    with pytest.raises(ValueError, match="saved"):
        memory.save(tmp_path / "memory")


def test_a_saved_memory_finds_its_index_again(tmp_path):
    bank = IndexedBank(DiskBank(tmp_path / "bank", 8), probes=3, tolerance=0.25)
    memory = DenseMemory(bank=bank, separation=TopK(4, beta=40.0))
    memory.store(clustered(100))
    memory.save(tmp_path / "memory")
    loaded = DenseMemory.load(tmp_path / "memory")
    assert isinstance(loaded.bank, IndexedBank)
    assert (loaded.bank.probes, loaded.bank.tolerance, len(loaded)) == (3, 0.25, 100)


def recall_of_best(bank, read, rows):
    found = bank._current().partial(read, [bank._current().look(read, bank.probes, None).places]).body
    best = found.ids[found.scores[0].topk(read.separation.k).indices]
    wanted = exact_weights(read, rows)[0].topk(read.separation.k).indices
    return len(set(best.tolist()) & set(wanted.tolist())) / read.separation.k


@pytest.mark.parametrize("dim", [31, 32])
@pytest.mark.parametrize("similarity", SIMILARITIES, ids=repr)
def test_codes_find_the_best_rows_where_there_are_no_clusters(similarity, dim, monkeypatch):
    rows = torch.nn.functional.normalize(torch.randn(20_000, dim, generator=torch.Generator().manual_seed(0)), dim=-1)
    cues = torch.randn(10, 1, dim, generator=torch.Generator().manual_seed(1))
    reads = [Read(similarity, TopK(16, 4.0), cue) for cue in cues]
    bank = bank_of(rows, probes=1)
    assert sum(recall_of_best(bank, read, rows) for read in reads) / 10 >= 0.99
    monkeypatch.setattr(indexed.Codes, "of", lambda rows: None)
    blind = bank_of(rows, probes=1)
    assert sum(recall_of_best(blind, read, rows) for read in reads) / 10 < 0.5


def test_codes_propose_nothing_where_they_rank_otherwise_than_the_read():
    rows = clustered(600)
    index, cue, known = bank_of(rows)._current(), rows[:1], torch.tensor([[True] * 7 + [False]])
    separation = SoftMax(4.0)
    assert len(index.proposed(Read(Dot(), separation, cue, known)).places)
    assert len(index.proposed(Read(Euclidean(), separation, cue)).places)
    for read in (
        Read(Euclidean(), separation, cue, known),
        Read(Cosine(), separation, cue),
        Read(Cosine(), separation, cue, known),
    ):
        assert not len(index.proposed(read).places)


def test_codes_never_propose_forgotten_rows():
    rows = clustered(600)
    bank, read = bank_of(rows), Read(Dot(), SoftMax(4.0), rows[:1])
    bank.fold(read)
    gone = bank._current().proposed(read).places[:20]
    bank.forget(bank._current().cells.block.ids[gone])
    proposed = bank._current().proposed(read).places
    assert len(proposed)
    assert not torch.isin(proposed, gone).any()


@pytest.mark.parametrize(("settings", "error"), [({"probes": 0}, ValueError), ({"tolerance": -0.1}, ValueError)])
def test_settings_are_checked(settings, error):
    with pytest.raises(error, match=next(iter(settings))):
        IndexedBank(RamBank(3), **settings)


def test_other_banks_are_refused():
    with pytest.raises(TypeError, match="ParameterBank"):
        IndexedBank(ParameterBank(torch.nn.Parameter(torch.ones(3, 3))))


def test_an_empty_bank_and_a_missing_faiss_say_so():
    read = Read(Euclidean(), SoftMax(1.0), torch.ones(1, 3))
    with pytest.raises(ValueError, match="empty"):
        IndexedBank(RamBank(3)).fold(read)
    with patch.dict(sys.modules, {"faiss": None}), pytest.raises(ImportError, match=r"attractor\[ann\]"):
        bank_of(torch.ones(3, 3)).fold(read)
