"""The examples run, and show what they say."""

from pathlib import Path
from runpy import run_path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_dead_neurons_mislead_descent_of_the_energy(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    picture = tmp_path / "dead.png"
    found = run_path(str(EXAMPLES / "dead_neurons.py"))["main"](str(picture))
    assert (found["stationary"], found["spurious"]) == (77, 76)
    assert found["misled"] == pytest.approx(0.99, abs=0.01) and found["arrived"] == 1
    assert picture.stat().st_size > 10_000 and "stationary sets of the energy: 77, spurious: 76" in capsys.readouterr().out
