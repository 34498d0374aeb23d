"""The benchmark harness: it measures what it says, pairs its rounds, and does without what is not installed."""

import json
from pathlib import Path

import pytest
import torch

from attractor.data import ImageSet


def silent(_text):
    return None


def digits(_name, limit):
    """Stands in for MNIST: reading that takes a second."""
    pixels = torch.randint(256, (limit, 784), generator=torch.Generator().manual_seed(1)) / 255
    return ImageSet(pixels, shape=(1, 28, 28), name="digits", levels=256)


def test_the_naive_formula_and_attention_give_the_same_read(bench, generator):
    peers = bench("peers")
    patterns, cues = torch.randn(50, 8, generator=generator), torch.randn(3, 8, generator=generator)
    weights = (-0.35 * torch.cdist(cues, patterns).square()).softmax(-1)
    squares = patterns.square().sum(-1)
    for formula in (peers.naive, peers.sdpa):
        torch.testing.assert_close(formula(cues, patterns, 0.7, squares), weights @ patterns, rtol=1e-4, atol=1e-5)
        dot = (0.7 * cues @ patterns.T).softmax(-1) @ patterns
        torch.testing.assert_close(formula(cues, patterns, 0.7), dot, rtol=1e-4, atol=1e-5)


def test_ratios_are_taken_inside_a_round_against_the_fastest(bench):
    race = bench("timing").Race({"a": [1.0, 10.0, 1.0], "b": [4.0, 20.0, 2.0], "c": [2.0, 50.0, 3.0]}, {})
    assert race.ratio(("b", "c"), "a").median == 2.0
    assert race.ratio("b", "a").median == 2.0
    assert race.time("c") == 3.0


def test_a_slow_contender_takes_part_in_the_first_rounds_only(bench):
    timing = bench("timing")
    timing.PAUSE = 0.0
    calls = []
    timed = timing.race([timing.Contender("fast", lambda: calls.append(1)), timing.Contender("slow", lambda: None, rounds=2)], 0)
    assert len(timed.seconds["fast"]) == timing.LEAST_ROUNDS == len(calls) - 1
    assert len(timed.seconds["slow"]) == 2


def test_every_row_of_the_speed_tables_agrees_with_the_naive_formula(bench, monkeypatch):
    speed, image_recall = bench("speed"), bench("image_recall")
    monkeypatch.setattr(image_recall, "load", digits)
    sizes = speed.Sizes(count=600, dim=16, batches=(1, 2), search_batch=2, seconds=0, stored=40, recalled=4, recalled_by_torchhd=1)
    section = speed.measure(sizes, silent)
    assert len(section.figures["reads"]) == 8
    assert max(one["off"] for one in section.figures["reads"]) < 1e-4
    for one in section.figures["searches"]:
        assert one.get("same_ids", 1.0) == 1.0
        assert one.get("ulp_between", 0.0) < 8


def test_missing_packages_leave_a_cell_and_no_crash(bench, monkeypatch):
    speed, quality, machine = bench("speed"), bench("quality"), bench("machine")
    for module in (bench("image_recall"), quality):
        monkeypatch.setattr(module, "load", digits)
    for module in (bench("image_recall"), speed, quality):
        monkeypatch.setattr(module, "optional", lambda name: torch if name == "torch" else None)
    monkeypatch.setattr(machine, "installed_version", lambda module: None)
    sizes = speed.Sizes(count=600, dim=16, batches=(1,), search_batch=2, seconds=0, stored=40, recalled=4)
    text = "\n".join(table.markdown() for table in speed.measure(sizes, silent).tables)
    assert text.count("not installed") >= 10
    section = quality.measure(quality.Sizes(stored=40, cues=4), silent)
    rows = {row[0]: row[1:] for row in section.tables[0].rows}
    assert set(rows["FAISS flat, nearest row"]) == {"not installed"}
    assert "not installed" not in rows["attractor, Euclidean"]
    assert "faiss-cpu not installed" in machine.facts("run")["versions"]


def test_quality_tells_perfect_from_hopeless_recall(bench, generator):
    quality = bench("quality")
    task = quality.Task("random", torch.randn(20, 8, generator=generator).sign(), torch.zeros(5, 8), None, True)
    assert task.scores(task.stored[:5]) == (1.0, 1.0)
    assert task.scores(task.stored[:1].expand(5, 8)) == pytest.approx((0.2, 0.2))


def test_exactness_notices_a_wrong_read(bench, monkeypatch):
    exactness = bench("exactness")
    sizes = exactness.Sizes(counts=(1, 300), dim=8, betas=(1e-3, 1.0, 1e4))
    assert all(target.met for target in exactness.measure(sizes, silent).targets)
    monkeypatch.setattr(exactness, "SoftMax", lambda beta: __import__("attractor").SoftMax(beta=1.1 * beta))
    section = exactness.measure(sizes, silent)
    assert not all(one["kept"] for one in section.figures["reads"])


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the high-water mark cannot be reset here")
def test_peak_memory_of_the_naive_formula_is_that_of_its_scores(bench):
    peak_memory = bench("peak_memory")
    sizes = peak_memory.Sizes(count=20_000, dim=16, batch=200)
    measured = peak_memory.in_fresh_process("naive", sizes)
    scores = 4 * sizes.count * sizes.batch
    assert scores < measured["peak"] < 4 * scores


def test_a_quick_run_writes_its_figures_and_claims_no_target(bench, monkeypatch, tmp_path, capsys):
    run, exactness = bench("run"), bench("exactness")
    monkeypatch.setattr(exactness, "QUICK", exactness.Sizes(counts=(5,), betas=(1.0,)))
    threads = torch.get_num_threads()
    try:
        run.main(["--quick", "--only", "exactness", "--json", str(tmp_path / "a.json")])
    finally:
        torch.set_num_threads(threads)
    plain = json.loads((tmp_path / "a.json").read_text())
    assert plain["quick"] and [target["met"] for target in plain["sections"][0]["targets"]] == [None, None]
    printed = capsys.readouterr().out
    assert "Soft-max read in float32" in printed and "euclidean" in printed and "python benchmarks/run.py --quick" in printed


def test_a_graph_is_generated_with_its_groups_and_embedded(bench):
    module = bench("graph_embedding")
    adjacency, groups = module.generated(module.QUICK)
    assert adjacency.nnz == 2 * module.QUICK.edges and not adjacency.diagonal().any()
    edges = adjacency.tocoo()
    inside = (groups[edges.row] == groups[edges.col]).mean()
    assert abs(inside - (0.6 + 0.4 / 4)) < 0.08
    section = module.measure(module.QUICK, silent)
    ours = [each for each in section.figures["trainings"] if each["by"] == module.OURS]
    assert [each["epochs"] for each in ours] == [1, 5] and all(each["seconds"] > 0 for each in ours)
    assert ours[-1]["right"] > 0.3


def test_the_shortest_training_that_is_as_good_counts(bench):
    module = bench("graph_embedding")
    found = [
        {"by": module.OURS, "epochs": epochs, "right": right} for epochs, right in ((1, 0.5), (5, 0.795), (10, 0.8), (20, 0.79))
    ]
    assert module.needed([*found, {"by": module.PEER, "epochs": 1, "right": 0.9}])["epochs"] == 5


@pytest.mark.parametrize("apart", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["in this process", "in a fresh one"])
def test_reading_with_a_memory_is_timed_beside_the_bare_model(bench, monkeypatch, apart):
    pytest.importorskip("transformers", reason="the memory for language models needs transformers (extra language)")
    module = bench("language_memory")

    def here(which, tokens, sizes):
        return {"model": which, "tokens": tokens, **module.resident_over(which, tokens, sizes.window, sizes.slots)}

    if not apart:
        monkeypatch.setattr(module, "in_fresh_process", here)
    section = module.measure(module.QUICK, silent)
    assert section.figures["model"] == "tiny" and [row[0] for row in section.tables[0].rows] == list(module.WAYS)
    for one in section.figures["speed"]:
        assert len(one.cpu[one.way]) == len(one.cpu[module.BARE]) == len(one.race.seconds[one.way]) + 1
        assert one.race.time(module.BARE) > 0
    if module.STATUS.exists():
        (one,) = section.figures["resident"]
        assert one["early_state"] == one["late_state"] > 0 and 0.5 < one["late"] / one["early"] < 1.5
        assert len(section.targets) == 3
