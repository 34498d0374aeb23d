"""Bit flipping in one cluster, beside the form of the paper written neuron by neuron."""

import pytest
import torch
from memory.constraint.network import network, patterns, small

from attractor.memory.constraint import BitFlipping, Check, correct

LIMITS = (-10, 100)


def by_neurons(rows, state, how, silence):
    """One cue, one neuron after the other, without noise; None where the cluster is not satisfied in the end."""
    state, (count, width) = state.tolist(), rows.shape
    for turn in range(how.rounds + 1):
        fired = []
        for i in range(count):
            read = sum(float(rows[i, j]) * state[j] for j in range(width))
            fired.append(1 if read >= silence else -1 if read <= -silence else 0)
        if not any(fired):
            return state
        if turn == how.rounds:
            return None
        after = list(state)
        votes = []
        for j in range(width):
            signs = [float(rows[i, j].sign()) for i in range(count)]
            size = max(1, sum(map(abs, signs)))
            if how.vote == "winner":
                votes.append(sum(abs(y) * abs(s) for y, s in zip(fired, signs, strict=True)) / size)
            elif how.vote == "weighted":
                weights = [float(rows[i, j]) for i in range(count)]
                votes.append(sum(y * w for y, w in zip(fired, weights, strict=True)) / sum(map(abs, weights)))
            else:
                votes.append(sum(y * s for y, s in zip(fired, signs, strict=True)) / size)
        if how.vote == "winner":
            j = max(range(width), key=votes.__getitem__)
            heard = sum(y * float(rows[i, j]) for i, y in enumerate(fired))
            after[j] -= 1 if heard > 0 else -1
        else:
            after = [x - (1 if g > 0 else -1) * (abs(g) >= how.threshold) for x, g in zip(state, votes, strict=True)]
        after = [min(LIMITS[1], max(LIMITS[0], x)) for x in after]
        if after == state:
            return None
        state = after
    return None


@pytest.mark.parametrize(("vote", "threshold"), [("majority", 0.95), ("majority", 0.6), ("weighted", 0.8), ("winner", 0.95)])
def test_batches_go_the_way_of_single_neurons(vote, threshold):
    one = small().constraints[3]
    generator = torch.Generator().manual_seed(0)
    # the pattern of zeros, with errors
    wrong = torch.rand(12, 40, generator=generator) < 0.06
    cues = (wrong * torch.randint(-1, 2, (12, 40), generator=generator)).double()
    how = BitFlipping(noise=0.0, vote=vote, threshold=threshold, rounds=8)
    check = Check.of(one.rows, how.silent_below(one.residual))
    found, satisfied = correct(check, cues, how, generator, LIMITS)
    for cue, state, done in zip(cues, found, satisfied, strict=True):
        wanted = by_neurons(one.rows, cue, how, check.silence)
        assert bool(done) is (wanted is not None)
        assert state.tolist() == (cue.tolist() if wanted is None else wanted)
    assert satisfied.any()


def rate(errors, trials=1500, **settings):
    """How often cluster 0 corrects so many errors."""
    one, how = network().constraints[0], BitFlipping(**settings)
    generator = torch.Generator().manual_seed(errors)
    true = patterns(trials, 1)[:, one.members]
    places = torch.rand(true.shape, generator=generator).argsort(1)[:, :errors]
    cues = true.scatter_add(1, places, torch.randint(0, 2, places.shape, generator=generator) * 2.0 - 1)
    found, _ = correct(Check.of(one.rows.float(), how.silent_below(one.residual)), cues, how, generator, LIMITS)
    return float((found == true).all(1).double().mean())


def test_noise_lets_a_cluster_correct_two_errors_and_leaves_one():
    assert rate(2, noise=0.3) >= 1.5 * rate(2, noise=0.0)
    assert min(rate(1, noise=noise) for noise in (0.0, 0.3)) >= 0.9


def test_a_vote_at_the_threshold_moves_a_neuron():
    check = Check.of(torch.tensor([[1.0, 0.0]]), 0.5)
    how = BitFlipping(noise=0.0, threshold=1.0)
    found, satisfied = correct(check, torch.tensor([[1.0, 0.0]]), how, torch.Generator(), LIMITS)
    assert satisfied.all() and not found.any()


def test_a_neuron_at_its_limit_goes_no_further():
    check, cue = Check.of(torch.tensor([[1.0, 0.0]]), 0.5), torch.tensor([[2.0, 1.0]])
    for least, right in ((0, True), (1, False)):
        found, satisfied = correct(check, cue, BitFlipping(noise=0.0), torch.Generator(), (least, 100))
        assert satisfied.tolist() == [right] and found.tolist() == [[0.0, 1.0] if right else [2.0, 1.0]]


def test_noise_without_bounds_reaches_any_threshold():
    assert BitFlipping(noise=0.1, threshold=1.5, distribution="gaussian").threshold == 1.5


@pytest.mark.parametrize("vote", ["weighted", "winner"])
def test_other_votes_correct_one_error(vote):
    assert rate(1, noise=0.1, vote=vote, threshold=0.8) > 0.9


def test_noise_of_both_kinds_has_the_variance_and_the_bounds_it_says():
    like, generator = torch.empty(200_000), torch.Generator().manual_seed(0)
    uniform = BitFlipping().drawn(like, 0.3, generator)
    gaussian = BitFlipping(distribution="gaussian").drawn(like, 0.3, generator)
    assert 0.299 < float(uniform.abs().max()) <= 0.3 < float(gaussian.abs().max())
    for noise in (uniform, gaussian):
        assert abs(float(noise.mean())) < 0.002
        assert float(noise.var()) == pytest.approx(0.03, rel=0.02)


def test_noisy_constraints_need_a_higher_threshold():
    assert BitFlipping(constraint_noise=0.2).silent_below(0.01) == pytest.approx(0.211)
    assert BitFlipping(silence=0.5).silent_below(0.01) == 0.5


def test_constraint_noise_beyond_the_weights_hides_errors():
    assert rate(1, constraint_noise=0.5, noise=0.3) < rate(1, constraint_noise=0.02, noise=0.3) - 0.1


def test_the_winner_is_among_the_free():
    # both constraints are all that the first two neurons have; the first is not free
    check = Check.of(torch.tensor([[1.0, 1.0, -1.0], [1.0, 1.0, 1.0]]), 0.5)
    cue, free = torch.tensor([[0.0, 1.0, 0.0]]), torch.tensor([[False, True, True]])
    how = BitFlipping(noise=0.0, vote="winner")
    found, satisfied = correct(check, cue, how, torch.Generator(), LIMITS, free)
    assert satisfied.all() and not found.any()


@pytest.mark.parametrize("vote", ["majority", "weighted"])
def test_neurons_that_are_not_free_stay(vote):
    one, how = network().constraints[0], BitFlipping(noise=0.0, vote=vote)
    true = patterns(50, 1)[:, one.members]
    cues, free = true.clone(), torch.ones_like(true, dtype=torch.bool)
    cues[:, 7] += 1
    free[:25, 7] = False
    check = Check.of(one.rows.float(), how.silent_below(one.residual))
    found, satisfied = correct(check, cues, how, torch.Generator(), LIMITS, free)
    assert torch.equal(found[:25], cues[:25]) and not satisfied[:25].any()
    assert torch.equal(found[25:], true[25:]) and satisfied[25:].all()
