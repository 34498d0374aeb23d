import json
import math

import pytest
import torch
from PIL import Image

from attractor import DenseMemory
from attractor.app import landscape
from attractor.app.basins import BORDER, Window, measure_basins
from attractor.app.cli import main
from attractor.errors import CapacityWarning
from attractor.read import Entmax, SoftMax, Sparsemax

pytest.importorskip("matplotlib")


def filled(points, beta="auto", similarity="euclidean", separation=SoftMax):
    memory = DenseMemory(2, similarity=similarity, separation=separation(beta=beta))
    memory.store(points)
    return memory


def run(capsys, *arguments):
    code = main(["landscape", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize("similarity", ["euclidean", "dot", "cosine"])
@pytest.mark.parametrize("separation", [SoftMax, Sparsemax, Entmax])
def test_energy_and_label_are_those_of_each_cell(similarity, separation):
    memory = filled(landscape.ring(5), 8.0, similarity, separation)
    window = Window(-1.7, 1.5, -1.3, 1.9)
    basins = measure_basins(memory, window, resolution=24)
    for row, column in ((0, 0), (3, 17), (20, 5), (23, 22), (11, 13)):
        x = window.left + (column + 0.5) * 3.2 / 24
        y = window.bottom + (row + 0.5) * 3.2 / 24
        centre = torch.tensor([[x, y]], dtype=torch.float64)
        assert float(basins.energy[row, column]) == pytest.approx(float(memory.energy(centre)), rel=1e-12)
        recalled = memory.recall(centre, max_steps=1000)
        fixed = basins.fixed_points[int(basins.labels[row, column])]
        assert fixed.nearest == int(recalled.index)
        assert list(fixed.position) == pytest.approx(recalled.patterns[0].tolist(), abs=1e-3)


def test_shares_are_those_of_the_labels_and_fill_the_window():
    basins = measure_basins(filled(landscape.scattered(4, 3), 40.0), Window(-1, 1, -1, 1), resolution=40)
    for place, point in enumerate(basins.fixed_points):
        assert point.share == pytest.approx(float((basins.labels == place).double().mean()))
    assert sum(point.share for point in basins.fixed_points) + basins.border == pytest.approx(1)


def test_high_beta_gives_the_memories_low_beta_one_blend():
    points = landscape.ring(5)
    sharp = measure_basins(filled(points), Window.around(points), resolution=30)
    assert [point.nearest for point in sharp.fixed_points] == [0, 1, 2, 3, 4]
    assert all(point.stored for point in sharp.fixed_points)
    with pytest.warns(CapacityWarning):
        blurred = measure_basins(filled(points, 1.0), Window.around(points), resolution=30)
    (blend,) = blurred.fixed_points
    assert not blend.stored and blend.share == 1 and blend.distance == pytest.approx(1, abs=1e-3)
    assert blend.position == pytest.approx((0, 0), abs=1e-3)


def test_points_creeping_near_a_bifurcation_are_not_many_fixed_points():
    points = landscape.ring(5)  # they part at beta = 2, where the spread of the memories is 1/2
    basins = measure_basins(filled(points, 2.4), Window.around(points), resolution=16)
    assert len(basins.fixed_points) == 5
    assert basins.border < 0.02


def test_cells_that_rest_at_a_saddle_are_in_no_basin():
    points = landscape.ring(4)
    basins = measure_basins(filled(points), Window.around(points), resolution=20)
    diagonal = torch.eye(20, dtype=torch.bool)
    assert len(basins.fixed_points) == 4
    assert torch.equal(basins.labels == BORDER, diagonal | diagonal.flip(0))


def test_window_is_a_square_around_all_memories():
    for points in (landscape.ring(7), landscape.scattered(6, 1), torch.tensor([[3.0, 4.0]]), torch.zeros(1, 2)):
        window = Window.around(points)
        assert window.right - window.left == pytest.approx(window.top - window.bottom)
        assert window.right > window.left
        assert bool((points > torch.tensor([window.left, window.bottom])).all())
        assert bool((points < torch.tensor([window.right, window.top])).all())


def test_figure_has_both_panels_with_equal_axes_and_says_beta():
    memory = filled(landscape.ring(3), 9.0)
    basins = measure_basins(memory, Window(-2, 2, -2, 2), resolution=12)
    figure = landscape.draw(memory, basins, "β = 9")
    left, right = figure.axes[:2]
    assert left.get_aspect() == right.get_aspect() == 1
    assert figure.get_suptitle() == "β = 9"
    assert (right.images[0].get_array() == (basins.labels + 1).numpy()).all()
    assert right.images[0].origin == left.images[0].origin == "lower"


def test_flat_landscape_is_drawn_without_contours():
    assert landscape.levels(torch.full((3, 3), 1e9, dtype=torch.float64)) == []


def test_command_writes_picture_table_and_json(capsys, tmp_path):
    picture = tmp_path / "plane.png"
    code, out, err = run(capsys, "-o", picture)
    assert (code, err) == (0, "")
    assert "distinct fixed points: 5, at stored memories: 5" in out and "β = 16.8 (auto)" in out and str(picture) in out
    with Image.open(picture) as image:
        assert image.format == "PNG" and image.width > 1000
    code, out, _ = run(capsys, "--memories", 2, "--seed", 3, "--beta", 50, "--similarity", "cosine", "--json", "-o", picture)
    report = json.loads(out)
    assert code == 0 and report["beta"] == 50 and len(report["memories"]) == 2
    assert sum(point["share"] for point in report["fixed_points"]) == pytest.approx(1, abs=0.02)


def test_blend_is_reported_as_not_stored(capsys, tmp_path):
    code, out, err = run(capsys, "--beta", 0.5, "-o", tmp_path / "blend.png")
    assert code == 0 and err.startswith("attractor: warning: ") and err.count("\n") == 1
    assert "blend, not stored" in out and "distinct fixed points: 1, at stored memories: 0" in out


def test_same_seed_gives_the_same_memories():
    assert torch.equal(landscape.scattered(5, 2), landscape.scattered(5, 2))
    assert not torch.equal(landscape.scattered(5, 2), landscape.scattered(5, 3))


def test_without_matplotlib_the_table_comes_and_the_extra_is_named(capsys, monkeypatch, tmp_path):
    def missing(*arguments, **options):
        raise ImportError("matplotlib")

    monkeypatch.setattr(landscape, "draw", missing)
    code, out, err = run(capsys, "--memories", 2, "-o", tmp_path / "none.png")
    assert code == 0 and "memory 2" in out and "attractor[demo]" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--beta", "cold"], ["--beta", "cold"]),
        (["--beta", "-1"], ["--beta", "-1"]),
        (["--beta", "nan"], ["--beta", "nan"]),
        (["--beta", "inf"], ["--beta", "inf"]),
        (["--memories", "0"], ["--memories", "1"]),
        (["--similarity", "manhattan"], ["--similarity", "manhattan"]),
        (["--separation", "polynomial"], ["--separation", "polynomial"]),
        (["-o", "nowhere/plane.png"], ["--output", "nowhere"]),
        (["-o", "plane.nonsense"], ["--output", "plane.nonsense"]),
    ],
)
def test_mistake_is_one_line_and_exit_code_2(capsys, monkeypatch, tmp_path, arguments, words):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("attractor: error: ") and err.count("\n") == 1
    assert all(word in err for word in words), err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "window",
    [Window(2, -2, -2, 2), Window(-2, 2, 2, -2), Window(1, 1, 1, 1), Window(math.nan, 1, 0, 1), Window(0, 1, 0, math.inf)],
)
def test_windows_without_an_inside_are_refused(window):
    with pytest.raises(ValueError, match="window must have finite left < right"):
        measure_basins(filled(landscape.ring(3), 8.0), window, resolution=20)


@pytest.mark.parametrize(("resolution", "error"), [(0, ValueError), (-1, ValueError), (2.5, TypeError), (True, TypeError)])
def test_resolution_is_a_count(resolution, error):
    with pytest.raises(error, match="resolution must be"):
        measure_basins(filled(landscape.ring(3), 8.0), Window(-2, 2, -2, 2), resolution=resolution)


@pytest.mark.parametrize("axis", [(0.54, 0.84), (0.84, -0.54)])
def test_saddle_is_left_whichever_way_it_leads_out(axis):
    # the way into the saddle between two memories is at a right angle to the line between them
    points = torch.tensor([axis, [-one for one in axis]]).double()
    basins = measure_basins(filled(points, 2.0), Window(-2, 2, -2, 2), resolution=21)  # a cell at the saddle
    assert int(basins.labels[10, 10]) == BORDER
    assert len(basins.fixed_points) == 2


def test_fixed_point_a_little_off_its_memory_is_a_blend():
    # between two memories at -1 and 1 the fixed points obey x = tanh(beta x): 0.859 for beta = 1.5
    points = torch.tensor([[1.0, 0.0], [-1.0, 0.0]]).double()
    basins = measure_basins(filled(points, 1.5), Window(-2, 2, -2, 2), resolution=20)
    assert [point.stored for point in basins.fixed_points] == [False, False]
    assert sorted(point.position[0] for point in basins.fixed_points) == pytest.approx([-0.8586, 0.8586], abs=1e-3)


def test_memories_close_together_have_a_basin_each():
    points = torch.tensor([[0.0, 0.0], [0.03, 0.0], [0.0, 0.8]]).double()
    basins = measure_basins(filled(points, 2e4), Window(-1, 1, -1, 1), resolution=21)
    assert [point.nearest for point in basins.fixed_points] == [0, 1, 2] and all(point.stored for point in basins.fixed_points)
