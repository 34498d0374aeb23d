import itertools

import pytest
import torch
from read.naive import SEPARATIONS, SIMILARITIES, potential_of, scores_of
from torch.testing import assert_close

from attractor import Binary, Continuous, Cosine, DenseMemory, Dot, Spherical
from attractor.memory import laws
from attractor.memory.laws import law_of

STATES = {
    "continuous": Continuous(),
    "spherical": Spherical(),
    "asynchronous": Binary("asynchronous"),
    "synchronous": Binary("synchronous"),
    "energy-difference": Binary("energy-difference"),
}
COMBINATIONS = list(itertools.product(SIMILARITIES, SEPARATIONS, STATES))


def table():
    lines = [line for line in laws.__doc__.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert rows[0] == ["similarity", "separation", "state", "energy", "never rises"] and set(rows[1]) == {"---"}
    return rows[2:]


def names_similarity(cell, similarity):
    return cell == "any" or similarity.name in cell.lower().split(", ")


def names_separation(cell, separation):
    if cell == "any":
        return True
    if cell.startswith("weights sum to one"):
        return separation.normalised
    if cell == "odd polynomial":
        return not separation.normalised and not separation.convex
    assert cell in ("powers and exponentials", "powers and exponentials, convex")
    return not separation.normalised and (separation.convex or "convex" not in cell)


def names_state(cell, state):
    if cell == "binary, flipped by energy differences at once":
        return isinstance(state, Binary) and state.update == "energy-difference"
    return cell == "any" or state.name in cell.split(", ")


def said_by_the_table(similarity, separation, state):
    """`(energy, monotone)`, or None where it is refused. A refusal stands above all, then the last row that fits."""
    seen = Spherical() if isinstance(similarity, Cosine) and isinstance(state, Continuous) else state
    fits = [
        (energy, rises)
        for one, two, three, energy, rises in table()
        if names_similarity(one, similarity) and names_separation(two, separation) and names_state(three, seen)
    ]
    assert fits, (similarity, separation, state)
    if any(energy.startswith("refused") for energy, _ in fits):
        return None
    energy, rises = fits[-1]
    if rises == "under single flips only":
        return energy == "yes", state.update == "asynchronous"
    assert energy == "yes" and rises.split(":")[0] in ("yes", "no")
    return True, rises.startswith("yes")


@pytest.mark.parametrize(("similarity", "separation", "state"), COMBINATIONS)
def test_table_in_the_documentation_is_the_law(similarity, separation, state):
    parts = SIMILARITIES[similarity](), SEPARATIONS[separation](1.0), STATES[state]
    said = said_by_the_table(*parts)
    if said is None:
        with pytest.raises(ValueError, match="must"):
            law_of(*parts)
        with pytest.raises(ValueError, match="must"):
            DenseMemory(3, similarity=parts[0], separation=parts[1], state=parts[2])
    else:
        assert tuple(law_of(*parts)) == said
        assert tuple(DenseMemory(3, similarity=parts[0], separation=parts[1], state=parts[2]).law) == said


ALLOWED = [
    names for names in COMBINATIONS if said_by_the_table(SIMILARITIES[names[0]](), SEPARATIONS[names[1]](1.0), STATES[names[2]])
]

MONOTONE = [
    names for names in ALLOWED if said_by_the_table(SIMILARITIES[names[0]](), SEPARATIONS[names[1]](1.0), STATES[names[2]])[1]
]


def made(similarity, separation, state, seed, *, beta=2.0):
    """A memory of random patterns in float64, cues, and a mask that differs from cue to cue."""
    generator = torch.Generator().manual_seed(seed)
    patterns = torch.randn(12, 7, generator=generator, dtype=torch.float64)
    cues = torch.randn(6, 7, generator=generator, dtype=torch.float64)
    if isinstance(STATES[state], Binary):
        patterns, cues = patterns.sign(), cues.sign()
    elif seed % 2:
        patterns = patterns * torch.rand(12, 1, generator=generator, dtype=torch.float64) * 3
    memory = DenseMemory(7, similarity=similarity, separation=SEPARATIONS[separation](beta), state=STATES[state])
    memory.store(patterns)
    known = torch.rand(6, 7, generator=generator) < 0.5
    known[:, 2] = True
    return memory, patterns, cues, known


@pytest.mark.filterwarnings("ignore::attractor.CapacityWarning")
@pytest.mark.parametrize(("similarity", "separation", "state"), MONOTONE)
def test_energy_never_rises_where_the_law_says_so(similarity, separation, state):
    for seed, beta in enumerate((0.3, 4.0)):
        memory, _, cues, known = made(similarity, separation, state, seed, beta=beta)
        for mask in (None, known):
            recalled = memory.recall(cues, known=mask, trace=True, max_steps=10, seed=seed)
            energies = recalled.trace.energies
            assert energies.isfinite().all() and len(energies) > 1
            assert (energies.diff(dim=0) <= 1e-10 * (1 + energies[:-1].abs())).all()
            assert_close(recalled.energy, energies[-1], rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(("similarity", "separation", "state"), ALLOWED)
def test_energy_is_the_formula(similarity, separation, state):
    memory, patterns, states, _ = made(similarity, separation, state, 1)
    seen = torch.nn.functional.normalize(states, dim=-1) if state == "spherical" else states
    energy = -potential_of(memory.separation, scores_of(similarity, seen, patterns))
    if similarity == "dot" and state == "continuous":
        energy = energy + states.square().sum(-1) / 2
    assert_close(memory.energy(states), energy, rtol=1e-10, atol=1e-10)


@pytest.mark.filterwarnings("ignore::attractor.CapacityWarning")
@pytest.mark.parametrize(("similarity", "separation"), [("manhattan", "softmax"), ("cosine", "polynomial-3")])
def test_law_without_descent_is_really_broken_somewhere(similarity, separation):
    """Otherwise the table would promise too little, and the descent test above could not fail."""
    state = "continuous" if similarity == "manhattan" else "synchronous"
    for seed in range(60):
        memory, _, cues, _ = made(similarity, separation, state, 2 * seed)
        assert not memory.law.monotone
        energies = memory.recall(cues, trace=True, max_steps=30).trace.energies
        if bool((energies.diff(dim=0) > 1e-3).any()):
            return
    pytest.fail("the energy fell in every recall")


def test_flips_all_at_once_may_raise_the_energy_and_run_in_circles():
    memory = DenseMemory(2, similarity=Dot(), separation="identity", state=Binary("energy-difference"))
    memory.store(torch.tensor([[1.0, 1.0]]))
    recalled = memory.recall(torch.tensor([[1.0, -1.0]]), max_steps=9, trace=True)
    assert recalled.steps.tolist() == [9] and recalled.converged.tolist() == [False]
    assert recalled.trace[0].tolist() != recalled.trace[1].tolist() == recalled.trace[3].tolist()
