"""What the memory by sparse recovery is made of: dual rows, ways to learn, decoders, models of data, theory."""

import numpy as np
import pytest
import torch

from attractor.memory.sparse_recovery import (
    BasisPursuit,
    Bregman,
    Denoising,
    Exact,
    Expander,
    GramSchmidt,
    LinearCode,
    LinearisedBregman,
    OrthogonalIteration,
    Subspace,
    adversarial_errors,
    correctable_errors,
    dual_rows,
    needed_constraints,
    random_errors,
    sparse_constraints,
    sparse_rows,
)
from attractor.memory.sparse_recovery.decoders import penalised
from attractor.memory.sparse_recovery.expander import agreements
from attractor.memory.sparse_recovery.iteration import iterate, least_squares
from attractor.memory.sparse_recovery.refinement import refined


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def orthonormal(rows):
    return torch.linalg.qr(rows.T).Q.T


def test_exactly_as_many_samples_as_dimensions_teach_all_constraints():
    code = LinearCode.gaussian(60, 24, generator=seeded())
    samples = torch.randn(24, 24, generator=seeded(1), dtype=torch.float64) @ code.directions
    dual = dual_rows(samples)
    assert dual.shape == (36, 60)
    assert float(torch.linalg.matrix_norm(dual @ orthonormal(code.directions).T, 2)) < 1e-10
    fewer = dual_rows(samples[:23])
    assert fewer.shape == (37, 60)
    assert float(torch.linalg.matrix_norm(fewer @ orthonormal(code.directions).T, 2)) > 0.9
    with pytest.raises(ValueError, match=r"rank must be at most that of the patterns, 23, got 24"):
        dual_rows(samples[:23], rank=24)


def test_noisy_data_need_a_rank_or_a_share():
    code = LinearCode.gaussian(40, 10, generator=seeded())
    patterns = code.draw(200, generator=seeded(1))[1]
    noisy = patterns + 1e-3 * torch.randn(200, 40, generator=seeded(2), dtype=torch.float64)
    with pytest.raises(ValueError, match="patterns must leave a constraint"):
        dual_rows(noisy)
    assert dual_rows(noisy, rank=10).shape == dual_rows(noisy, rank=0.9999).shape == (30, 40)
    assert float((dual_rows(noisy, rank=10) @ patterns.T).abs().max()) < 1e-2
    for bad in (0.0, 1.0, 0, "all"):
        with pytest.raises((ValueError, TypeError), match="rank"):
            dual_rows(noisy, rank=bad)


def test_the_rank_of_single_precision_is_counted_to_its_rounding():
    patterns = LinearCode.gaussian(40, 10, generator=seeded()).draw(200, generator=seeded(1))[1]
    assert dual_rows(patterns.float()).shape == dual_rows(patterns).shape == (30, 40)


@pytest.mark.parametrize("patterns", [torch.zeros(3, 4), torch.zeros(0, 4), torch.full((2, 4), torch.nan), torch.ones(4)])
def test_patterns_without_a_direction_are_refused(patterns):
    with pytest.raises(ValueError, match="patterns must"):
        dual_rows(patterns)


def test_sparse_constraints_are_found_again():
    rows = sparse_constraints(160, 20, 4, generator=seeded())
    assert (rows != 0).sum(0).tolist() == [4] * 160
    dual = dual_rows(LinearCode.of_constraints(rows).directions)
    found = sparse_rows(dual)
    assert found.shape == rows.shape and torch.linalg.matrix_rank(found) == 20
    assert torch.allclose(found.norm(dim=1), torch.ones(20, dtype=torch.float64))
    assert float((found - (found @ dual.T) @ dual).abs().max()) < 1e-10
    alike = ((rows / rows.norm(dim=1, keepdim=True)) @ found.T).abs().amax(1)
    assert int((alike > 1 - 1e-6).sum()) >= 19
    counts = (found != 0).sum(1)
    assert torch.equal(counts, counts.sort().values)
    with pytest.raises(ValueError, match="orthonormal"):
        sparse_rows(rows)


def test_learning_in_parts_is_learning_at_once():
    patterns = LinearCode.gaussian(30, 9, generator=seeded()).draw(50, generator=seeded(1))[1]
    for learning in (Exact(), GramSchmidt(), Exact(centre=True)):
        state = {}
        for begin in range(0, 50, 20):
            state = learning.update(state, patterns[begin : begin + 20], begin)
        subspace = learning.subspace(state)
        assert subspace.dual.shape == (21, 30)
        assert float(subspace.violation(patterns - subspace.mean).abs().max()) < 1e-10
        if isinstance(learning, Exact):
            apart = patterns - subspace.mean
            assert torch.allclose(state["factor"].T @ state["factor"], apart.T @ apart)


@pytest.mark.parametrize("n", [60, 100, 200])
@pytest.mark.parametrize("seed", [101, 102, 103, 104])
def test_a_stream_teaches_the_subspace_from_any_first_weights(n, seed):
    r = n // 2
    code = LinearCode.gaussian(n, r, generator=seeded(seed))
    learning, state, sines = OrthogonalIteration(r, seed=seed), {}, []
    for number in range(6):
        state = learning.update(state, code.draw(10 * r, generator=seeded(1000 * seed + number))[1], 10 * r * number)
        sines.append(sine(learning, state, code))
    assert max(sines) < 1e-9


def test_a_stream_is_learned_alike_in_any_parts():
    patterns = torch.randn(170, 30, generator=seeded(), dtype=torch.float64)
    learning = OrthogonalIteration(10)
    whole, parts = learning.update({}, patterns, 0), {}
    for begin in range(0, 170, 7):
        parts = learning.update(parts, patterns[begin : begin + 7], begin)
    assert torch.allclose(whole["sums"], parts["sums"]) and torch.allclose(whole["weights"], parts["weights"])
    # blocks end after 20, 40, 80 and 160 patterns
    weights = torch.linalg.qr(torch.randn(30, 10, generator=seeded(0), dtype=torch.float64)).Q
    for begin, end in ((0, 20), (20, 40), (40, 80), (80, 160)):
        block = patterns[begin:end]
        weights = torch.linalg.qr(block.T @ (block @ weights)).Q
    assert torch.allclose(whole["weights"].T @ whole["weights"], weights @ weights.T)


def test_a_longer_stream_averages_noise():
    code = LinearCode.gaussian(60, 20, generator=seeded())
    learning, state, sines = OrthogonalIteration(20), {}, []
    begun = 0
    for end in (40, 320, 2560):
        clean = code.draw(end - begun, generator=seeded(end))[1]
        noise = 0.1 * torch.randn(clean.shape, generator=seeded(end + 1), dtype=torch.float64)
        state, begun = learning.update(state, clean + noise, begun), end
        sines.append(sine(learning, state, code))
    assert sines[0] > 2 * sines[1] > 4 * sines[2]


def sine(learning, state, code):
    return float(torch.linalg.matrix_norm(learning.subspace(state).dual @ orthonormal(code.directions).T, 2))


def test_violation_is_the_orthogonal_part_whichever_factor_is_smaller():
    for r in (5, 25):
        code = LinearCode.signs(30, r, generator=seeded())
        subspace = Subspace.of_constraints(dual_rows(code.directions))
        vectors = torch.randn(7, 30, generator=seeded(1), dtype=torch.float64)
        assert torch.allclose(subspace.violation(vectors), vectors @ subspace.dual.T @ subspace.dual)
        assert subspace.dual.shape == (30 - r, 30)


def test_basis_pursuit_and_bregman_reach_the_optimum_of_the_linear_programme():
    optimize = pytest.importorskip("scipy.optimize")
    counts = torch.tensor([3, 5, 10, 12, 16, 25])
    easy = counts <= 0.5 * 60 * correctable_errors(0.5)
    for seed in (7001, 7002, 7004, 7007):
        generator = seeded(seed)
        dual = dual_rows(LinearCode.gaussian(60, 30, generator=generator).directions)
        subspace = Subspace.of_constraints(dual)
        errors = torch.cat([random_errors(torch.ones(1, 60, dtype=torch.float64), int(k), generator=generator) for k in counts])
        pursued = refined(errors, BasisPursuit().decode(errors, subspace).errors, subspace)[0]
        bregman = Bregman().decode(errors[easy], subspace).errors
        assert float((bregman - pursued[easy]).norm(dim=1).div(pursued[easy].norm(dim=1)).max()) < 1e-3
        constraints = torch.cat([dual, -dual], 1).numpy()
        for one, error in zip(pursued, errors, strict=True):
            best = optimize.linprog(np.ones(120), A_eq=constraints, b_eq=(dual @ error).numpy(), bounds=(0, None))
            assert float(one.abs().sum()) == pytest.approx(best.fun, rel=1e-5)
            assert float((dual @ (one - error)).norm()) < 1e-7 * float(error.norm())


def test_refining_finds_entries_that_are_missing_and_never_a_larger_sum():
    subspace = Subspace.of_constraints(dual_rows(LinearCode.gaussian(60, 30, generator=seeded()).directions))
    errors = random_errors(torch.ones(5, 60, dtype=torch.float64), 9, generator=seeded(3))
    nearly = torch.where(errors.abs() < errors.abs().topk(8, 1).values[:, -1:], 0, 1.01 * errors)
    assert (nearly != 0).sum(1).tolist() == [8] * 5
    found, polished = refined(errors, nearly, subspace)
    assert bool(polished.all()) and torch.allclose(found, errors, atol=1e-9)
    # as many places as constraints explain everything, which proves nothing of them
    many = random_errors(torch.ones(5, 60, dtype=torch.float64), 30, generator=seeded(5))
    found, polished = refined(many, 1.01 * many, subspace)
    assert torch.allclose(found, many, atol=1e-6) and not bool(polished.any())
    cues = torch.randn(5, 60, generator=seeded(4), dtype=torch.float64)
    wrong = torch.zeros_like(cues)
    wrong[:, :30] = 1.0
    found, polished = refined(cues, wrong, subspace)
    nearest = wrong + subspace.violation(cues - wrong)
    assert not bool(polished.any()) and bool((found.abs().sum(1) <= nearest.abs().sum(1) + 1e-9).all())
    assert float(subspace.violation(cues - found).abs().max()) < 1e-7


def test_a_small_penalty_leads_linearised_bregman_astray():
    subspace = Subspace.of_constraints(dual_rows(LinearCode.gaussian(60, 30, generator=seeded()).directions))
    errors = random_errors(torch.ones(5, 60, dtype=torch.float64), 4, generator=seeded(3))
    right, wrong = (LinearisedBregman(penalty=penalty).decode(errors, subspace).errors for penalty in (5.0, 0.01))
    assert torch.allclose(right, errors, atol=1e-5) and not torch.allclose(wrong, errors, atol=1e-2)
    assert float(subspace.violation(wrong - errors).abs().max()) < 1e-6


def test_denoising_meets_the_conditions_of_its_minimum():
    subspace = Subspace.of_constraints(dual_rows(LinearCode.gaussian(60, 30, generator=seeded()).directions))
    cues = torch.randn(4, 60, generator=seeded(1), dtype=torch.float64)
    decoded = Denoising(0.3, steps=2000).decode(cues, subspace)
    gradient = subspace.violation(cues - decoded.errors)
    active = decoded.errors != 0
    assert bool(decoded.settled.all()) and bool(active.any()) and not bool(active.all())
    assert torch.allclose(gradient[active], 0.3 * decoded.errors[active].sign(), atol=1e-5)
    assert float(gradient[~active].abs().max()) <= 0.3 + 1e-5


def test_penalised_problems_are_solved_by_the_steps_of_fista():
    subspace = Subspace.of_constraints(dual_rows(LinearCode.gaussian(20, 10, generator=seeded()).directions))
    asked = subspace.violation(torch.randn(3, 20, generator=seeded(1), dtype=torch.float64))
    penalty = torch.full((3, 1), 0.1, dtype=torch.float64)

    def descended(errors):
        moved = errors + asked - subspace.violation(errors)
        return moved.sign() * (moved.abs() - penalty).clamp_min(0)

    # momenta 1, (1 + sqrt 5) / 2 and so on
    second = (1 + 5**0.5) / 2
    third = (1 + (1 + 4 * second**2) ** 0.5) / 2
    one = descended(torch.zeros_like(asked))
    two = descended(one)
    three = descended(two + (second - 1) / third * (two - one))
    assert torch.allclose(penalised(asked, torch.zeros_like(asked), penalty, subspace, 3), three, atol=1e-12)


def test_every_sample_of_an_iteration_ends_with_its_own_last_step():
    begun = (torch.tensor([0.0, -1.0, -10.0]),)
    (values,), steps, done = iterate(begun, lambda state: (state[0] + 1,), lambda state: state[0] >= 5, 7, 5)
    assert values.tolist() == [5.0, 6.0, -3.0]
    assert steps.tolist() == [5, 7, 7] and done.tolist() == [True, True, False]


def test_least_squares_on_a_support_is_that_of_the_normal_equations():
    subspace = Subspace.of_constraints(dual_rows(LinearCode.gaussian(40, 20, generator=seeded()).directions))
    given = torch.randn(3, 40, generator=seeded(1), dtype=torch.float64)
    free = torch.rand(3, 40, generator=seeded(2)) < 0.3
    values = least_squares(given, free, subspace.violation)
    for value, vector, mask in zip(values, given, free, strict=True):
        expected = torch.linalg.lstsq(subspace.dual[:, mask], -(subspace.dual @ vector)[:, None]).solution[:, 0]
        assert torch.allclose(value[mask], expected, atol=1e-7) and not bool(value[~mask].any())


@pytest.fixture(scope="module")
def sparse():
    rows = sparse_constraints(150, 50, 5, generator=seeded())
    dual = dual_rows(LinearCode.of_constraints(rows).directions)
    return Subspace(LinearCode.of_constraints(rows).directions, dual, rows=rows)


@pytest.mark.parametrize(("rule", "count"), [("two", 12), ("majority", 4)])
def test_expander_decoding_finds_the_errors(sparse, rule, count):
    errors = random_errors(torch.ones(40, 150, dtype=torch.float64), count, generator=seeded(4))
    decoded = Expander(rule).decode(errors, sparse)
    right = torch.isclose(decoded.errors, errors, atol=1e-8).all(1)
    assert float(right.double().mean()) >= 0.9 and torch.equal(right, decoded.settled)
    assert bool((decoded.steps[right] <= count).all())
    left = (errors - decoded.errors) @ sparse.rows.T
    assert bool((left[decoded.settled].norm(dim=1) <= 1e-6 * errors[decoded.settled].norm(dim=1)).all())


def test_half_of_the_constraints_are_no_majority_and_one_is_no_two():
    # the first coordinate is in all constraints, each other one in one of them
    rows = torch.cat([torch.ones(4, 1), torch.eye(4)], 1).double()
    both, single = (torch.tensor([error], dtype=torch.float64) for error in ([0, 2, 2, 0, 0], [0, 0, 0, 0, 3]))
    found = Expander("majority").decode(both, Subspace.of_constraints(rows))
    assert torch.equal(found.errors, both) and bool(found.settled.all())
    found = Expander("two").decode(single, Subspace.of_constraints(rows))
    assert not bool(found.errors.any()) and not bool(found.settled.any())


def test_an_expander_that_is_stuck_says_so(sparse):
    errors = random_errors(torch.ones(20, 150, dtype=torch.float64), 40, generator=seeded(7))
    decoded = Expander().decode(errors, sparse)
    explained = ((errors - decoded.errors) @ sparse.rows.T).abs().amax(1) < 1e-6
    assert torch.equal(decoded.settled, explained) and not bool(explained.all())


def test_every_step_of_the_majority_leaves_fewer_constraints_violated(sparse):
    errors = random_errors(torch.ones(4, 150, dtype=torch.float64), 8, generator=seeded(5))
    left = errors
    for _ in range(len(sparse.rows)):
        before = ((left @ sparse.rows.T).abs() > 1e-9).sum(1)
        decoded = one_step(left, sparse)
        moved = (decoded != 0).any(1)
        left = left - decoded
        after = ((left @ sparse.rows.T).abs() > 1e-9).sum(1)
        assert bool((after[moved] < before[moved]).all())
        if not bool(moved.any()):
            break
    assert not bool(moved.any())


def one_step(cues, subspace):
    """The first correction of expander decoding, by its definition and without a batch."""
    corrections = torch.zeros_like(cues)
    for cue, correction in zip(cues, corrections, strict=True):
        syndrome = subspace.rows @ cue
        best = (0, 0, 0.0)
        for place, column in enumerate(subspace.rows.T):
            checks = column.nonzero()[:, 0]
            gaps = [float(gap) for gap in syndrome[checks] / column[checks] if abs(gap) > 1e-9]
            for gap in gaps:
                votes = sum(abs(other - gap) <= 1e-6 * max(abs(gap), abs(other)) for other in gaps)
                if 2 * votes > len(checks) and votes > best[0]:
                    best = (votes, place, gap)
        correction[best[1]] = best[2]
    return corrections


def test_the_batched_expander_takes_the_steps_of_its_definition(sparse):
    errors = random_errors(torch.ones(3, 150, dtype=torch.float64), 5, generator=seeded(6))
    left = errors
    for _ in range(8):
        left = left - one_step(left, sparse)
    assert torch.allclose(Expander("majority").decode(errors, sparse).errors, errors - left, atol=1e-7)


def test_zero_gaps_agree_with_nothing():
    gaps = torch.tensor([[[0.0, 2.0, 2.0, 3.0], [0.0, 0.0, 0.0, 1.0]]])
    assert agreements(gaps, 1e-6).tolist() == [[[0, 2, 2, 1], [0, 0, 0, 1]]]


def test_the_expander_refuses_dense_rows_and_free_coordinates():
    cues = torch.ones(1, 8, dtype=torch.float64)
    dense = torch.randn(3, 8, generator=seeded(), dtype=torch.float64)
    with pytest.raises(ValueError, match="must be sparse"):
        Expander().decode(cues, Subspace.of_constraints(dense))
    half = torch.tensor([[1.0, 2.0, 0.0, 0.0], [0.0, 0.0, 1.0, 3.0]], dtype=torch.float64)
    error = torch.tensor([[0.0, 0.0, 2.0, 0.0]], dtype=torch.float64)
    assert bool(Expander("majority").decode(error, Subspace.of_constraints(half)).settled.all())
    dense[:, 2:] = 0
    with pytest.raises(ValueError, match="constrain every coordinate"):
        Expander().decode(cues, Subspace(dense, dense, rows=dense))
    with pytest.raises(ValueError, match="rule"):
        Expander("most")


@pytest.mark.parametrize("basis", ["dct", "hadamard"])
def test_rows_of_a_basis_are_orthonormal(basis):
    directions = LinearCode.orthonormal(32, 20, basis=basis, generator=seeded()).directions
    assert torch.allclose(directions @ directions.T, torch.eye(20, dtype=torch.float64), atol=1e-12)


def test_models_and_errors_are_what_they_say():
    code = LinearCode.signs(40, 12, generator=seeded())
    messages, patterns = code.draw(30, generator=seeded(1))
    assert torch.equal(code.messages(patterns + 0.1), messages)
    errors = random_errors(patterns, 7, generator=seeded(2))
    assert (errors != 0).sum(1).tolist() == [7] * 30
    assert float(errors[errors != 0].std() / patterns.square().mean().sqrt()) == pytest.approx(1, abs=0.25)
    with pytest.raises(ValueError, match="count"):
        random_errors(patterns, 41, generator=seeded())
    with pytest.raises(ValueError, match="power of two"):
        LinearCode.orthonormal(12, 4, basis="hadamard", generator=seeded())
    with pytest.raises(ValueError, match="r must be below n"):
        LinearCode.gaussian(5, 5, generator=seeded())


def test_adversarial_errors_beat_basis_pursuit_where_random_ones_do_not():
    code = LinearCode.gaussian(60, 30, generator=seeded())
    subspace = Subspace.of_constraints(dual_rows(code.directions))
    patterns = code.draw(20, generator=seeded(1))[1]
    worst = adversarial_errors(patterns, subspace.span, 8)
    assert (worst != 0).sum(1).tolist() == [8] * 20
    assert torch.allclose(worst.abs().amax(1), patterns.square().mean(1).sqrt())
    rates = []
    for errors in (worst, random_errors(patterns, 8, generator=seeded(2))):
        found = BasisPursuit().decode(errors, subspace).errors
        rates.append(float(((found - errors).norm(dim=1) < 1e-3 * errors.norm(dim=1)).double().mean()))
    assert rates[0] < 0.5 and rates[1] > 0.8


def test_theory_gives_the_known_values():
    for constraints, errors in ((0.3, 0.0872), (0.5, 0.1928), (0.7, 0.3492)):
        assert correctable_errors(constraints) == pytest.approx(errors, abs=1e-4)
        assert needed_constraints(errors) == pytest.approx(constraints, abs=1e-3)
    assert needed_constraints(0.0) == pytest.approx(0, abs=1e-6) and needed_constraints(1.0) == pytest.approx(1, abs=1e-6)
    for bad in (-0.1, 1.1):
        with pytest.raises(ValueError, match="must be from 0 to 1"):
            correctable_errors(bad)
