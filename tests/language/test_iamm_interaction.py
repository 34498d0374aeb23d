"""The second-order interaction of two sequences, against a reference of plain loops."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from attractor.language.iamm import AssociativeInteraction

DIM, HEADS, DEPTH = 6, 2, 8


def layer(partners=3, keep=2, *, seed=0, dtype=torch.float64, **options):
    generator = torch.Generator().manual_seed(seed)
    made = AssociativeInteraction(DIM, heads=HEADS, depth=DEPTH, partners=partners, keep=keep, generator=generator, **options)
    for gate in (made.partner_gate, made.word_gate):
        torch.nn.init.normal_(gate.bias, generator=generator)
    return made.to(dtype)


def words(batch, length, *, seed=0, dtype=torch.float64):
    return torch.randn(batch, length, DIM, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def mask_of(lengths, width):
    return torch.arange(width)[None] < torch.tensor(lengths)[:, None]


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def best_places(scores, k):
    """The largest first, equal ones by their index."""
    return sorted(range(len(scores)), key=lambda place: (-scores[place], place))[:k]


def gates_of(linear, scores):
    """Missing scores are 0 and their gates 0."""
    size, weight, bias = linear.weight.shape[0], linear.weight.tolist(), linear.bias.tolist()
    filled = list(scores) + [0.0] * (size - len(scores))
    raw = [sum(weight[j][i] * filled[i] for i in range(size)) + bias[j] for j in range(size)]
    return [sigmoid(value) if j < len(scores) else 0.0 for j, value in enumerate(raw)]


def slow(made, a, b, relation=0):
    """One pair of sequences, without padding: rows, words, partners and scores as lists, `a` first."""
    width, scale = DEPTH // HEADS, (DEPTH // HEADS) ** -0.5
    result = []
    for own, other in ((a, b), (b, a)):
        for head in range(HEADS):
            part = slice(head * width, (head + 1) * width)

            def project(weight, word, part=part):
                return weight[relation, part].detach() @ word

            query = {"own": [project(made.query, x) for x in own], "other": [project(made.query, x) for x in other]}
            key = {"own": [project(made.key, x) for x in own], "other": [project(made.key, x) for x in other]}
            value = [project(made.value, x) for x in other]
            forward = [[scale * float(q @ k) for k in key["other"]] for q in query["own"]]
            back = [[scale * float(q @ k) for k in key["own"]] for q in query["other"]]
            importance = [sum(row[x] for row in back) / len(back) for x in range(len(own))]
            chosen = best_places(importance, made.keep)
            gates = gates_of(made.word_gate, [importance[x] for x in chosen])
            for rank in range(made.keep):
                if rank >= len(chosen):
                    result.append(([0.0] * DIM, None, [-1] * made.partners, [0.0] * made.partners))
                    continue
                scores = forward[chosen[rank]]
                partners = best_places(scores, made.partners)
                inner = gates_of(made.partner_gate, [scores[y] for y in partners])
                row = torch.zeros(made.partners * width, dtype=torch.float64)
                for j, y in enumerate(partners):
                    row[j * width : (j + 1) * width] = inner[j] * value[y]
                mapped = made.map.weight.detach() @ (gates[rank] * row)
                places = partners + [-1] * (made.partners - len(partners))
                result.append((mapped.tolist(), chosen[rank], places, [gates[rank] * one for one in inner]))
    return result


def compare(made, a, b, lengths_a, lengths_b, tolerance, relation=0):
    found = made(a, b, mask_of(lengths_a, a.shape[1]), mask_of(lengths_b, b.shape[1]), relation=relation)
    exact = made.double()
    for item, (n, m) in enumerate(zip(lengths_a, lengths_b, strict=True)):
        for row, (values, word, partners, scores) in enumerate(slow(exact, a[item, :n].double(), b[item, :m].double(), relation)):
            assert bool(found.mask[item, row]) == (word is not None)
            assert found.partners[item, row].tolist() == partners
            if word is not None:
                assert int(found.words[item, row]) == word
            torch.testing.assert_close(
                found.scores[item, row].double(), torch.tensor(scores, dtype=torch.float64), rtol=0, atol=tolerance
            )
            expected = torch.tensor(values, dtype=torch.float64)
            torch.testing.assert_close(found.rows[item, row].double(), expected, rtol=0, atol=tolerance)


@settings(max_examples=15)
@given(
    lengths=st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), min_size=1, max_size=3),
    partners=st.integers(1, 8),
    keep=st.integers(1, 8),
    seed=st.integers(0, 1000),
)
def test_association_equals_the_loop_of_the_paper_in_both_directions(lengths, partners, keep, seed):
    a, b = words(len(lengths), 6, seed=seed), words(len(lengths), 7, seed=seed + 1)
    compare(layer(partners, keep, seed=seed), a, b, *zip(*lengths, strict=True), 1e-10)


def test_association_equals_the_loop_in_single_precision():
    a, b = words(3, 5, dtype=torch.float32), words(3, 6, seed=1, dtype=torch.float32)
    compare(layer(dtype=torch.float32), a, b, (5, 3, 1), (6, 2, 4), 1e-5)


def test_each_relation_has_projections_of_its_own():
    made, a, b = layer(relations=2), words(2, 5), words(2, 6, seed=1)
    compare(made, a, b, (5, 4), (6, 3), 1e-10, relation=1)
    assert not torch.equal(made(a, b).rows, made(a, b, relation=1).rows)


def test_equal_words_are_chosen_by_their_index():
    made = layer(partners=3, keep=2)
    with torch.no_grad():
        for weight in (made.query, made.key, made.value):
            weight.copy_(weight.mul(4).round())  # whole numbers: equal words have scores that are equal to the last bit
    a = words(1, 1).round().expand(1, 4, DIM)
    b = torch.cat([words(1, 1, seed=1).round().expand(1, 3, DIM), words(1, 1, seed=2).round()], 1)
    found = made(a, b)
    assert found.words[0, : 2 * made.keep].tolist() == [0, 1, 0, 1]
    for partners in found.partners[0, : 2 * made.keep].tolist():
        assert partners in ([0, 1, 2], [3, 0, 1])
    assert all(partners == [0, 1, 2] for partners in found.partners[0, 2 * made.keep :].tolist())


@pytest.mark.parametrize("selection", ["hard", "soft"])
def test_padding_changes_nothing_whatever_stands_there(selection):
    made, a, b = layer(partners=4, keep=3, selection=selection), words(2, 5), words(2, 6, seed=1)
    mask_a, mask_b = mask_of((5, 2), 5), mask_of((3, 6), 6)
    found = made(a, b, mask_a, mask_b)
    wide_a, wide_b = torch.full((2, 11, DIM), torch.nan).double(), torch.full((2, 9, DIM), 1e6).double()
    wide_a[:, :5], wide_b[:, :6] = a, b
    again = made(wide_a, wide_b, mask_of((5, 2), 11), mask_of((3, 6), 9))
    torch.testing.assert_close(again.rows, found.rows, rtol=0, atol=1e-12)
    torch.testing.assert_close(again.scores, found.scores, rtol=0, atol=1e-12)
    for name in ("mask", "words", "partners"):
        assert torch.equal(getattr(again, name), getattr(found, name))
    alone = made(a[1:, :2], b[1:])
    torch.testing.assert_close(alone.rows, found.rows[1:], rtol=0, atol=1e-12)


@pytest.mark.parametrize("selection", ["hard", "soft"])
def test_sequences_shorter_than_k_work_and_missing_partners_have_gates_of_exactly_zero(selection):
    made = layer(partners=9, keep=7, selection=selection)
    a, b = words(2, 2).requires_grad_(), words(2, 3, seed=1).requires_grad_()
    found = made(a, b, mask_of((1, 2), 2), mask_of((3, 1), 3))
    assert bool((found.scores[found.partners < 0] == 0).all()) and bool((found.scores[found.partners >= 0] > 0).all())
    assert bool((found.rows[~found.mask] == 0).all()) and bool((found.gates[~found.mask] == 0).all())
    assert found.mask.sum(1).tolist() == [2 * (1 + 3), 2 * (2 + 1)]
    found.rows.square().sum().backward()
    assert all(bool(one.grad.isfinite().all()) for one in (a, b, *made.parameters()))


def test_missing_scores_do_not_saturate_the_gates_of_real_words():
    # a score of -1e18 in the place of a missing partner would push the gates of the others to 0 or 1
    made, a, b = layer(partners=6), words(1, 3), words(1, 2, seed=1)
    found = made(a, b)
    gates = found.scores / found.gates[..., None]
    real = gates[(found.partners >= 0) & found.mask[..., None]].detach()
    assert float(real.min()) > 0.02 and float(real.max()) < 0.98


@pytest.mark.parametrize("selection", ["hard", "soft"])
def test_a_sequence_without_words_gives_no_rows_and_finite_gradients(selection):
    made, a, b = layer(selection=selection), words(2, 3).requires_grad_(), words(2, 4, seed=1).requires_grad_()
    found = made(a, b, mask_of((0, 3), 3), mask_of((4, 0), 4))
    assert not bool(found.mask.any()) and bool((found.rows == 0).all())
    found.rows.sum().backward()
    assert bool(a.grad.isfinite().all()) and bool((found.partners == -1).all())


def test_soft_selection_mixes_rows_by_the_softmax_of_importances_and_goes_on_without_what_it_took():
    made, a, b = layer(partners=2, keep=2, selection="soft"), words(1, 4), words(1, 5, seed=1)
    found = made(a, b)
    width, scale = DEPTH // HEADS, (DEPTH // HEADS) ** -0.5
    query, key, value = (
        (x @ w[0].mT).unflatten(-1, (HEADS, width))[0] for x, w in ((a, made.query), (b, made.key), (b, made.value))
    )
    back_query, own_key = (
        (b @ made.query[0].mT).unflatten(-1, (HEADS, width))[0],
        (a @ made.key[0].mT).unflatten(-1, (HEADS, width))[0],
    )
    for head in range(HEADS):
        importance = scale * (back_query[:, head] @ own_key[:, head].T).mean(0)
        first = importance.softmax(0)
        second = (importance + torch.log1p(-first)).softmax(0)
        rows = []
        for place in range(4):
            scores, places = (scale * key[:, head] @ query[place, head]).topk(2)
            gates = torch.sigmoid(made.partner_gate(scores))
            rows.append((gates[:, None] * value[places, head]).flatten())
        mixed = torch.stack([weights @ torch.stack(rows) for weights in (first, second)])
        gates = torch.sigmoid(made.word_gate(torch.stack([first @ importance, second @ importance])))
        expected = made.map(gates[:, None] * mixed)
        torch.testing.assert_close(found.rows[0, 2 * head : 2 * head + 2], expected, rtol=0, atol=1e-12)


def test_soft_selection_learns_the_choice_that_the_hard_one_learns_through_gates_alone():
    for selection in ("hard", "soft"):
        made = layer(partners=2, keep=1, selection=selection)
        for gate in (made.partner_gate, made.word_gate):
            torch.nn.init.zeros_(gate.weight)
        made(words(1, 4), words(1, 5, seed=1)).rows.sum().backward()
        learns = [bool((one.grad != 0).any()) for one in (made.query, made.key)]
        assert learns == [selection == "soft"] * 2


@pytest.mark.parametrize("selection", ["hard", "soft"])
def test_all_parts_of_a_layer_learn(selection):
    made = layer(selection=selection)
    made(words(2, 5), words(2, 6, seed=1)).rows.square().sum().backward()
    assert all(bool((one.grad != 0).any()) for one in made.parameters())


def test_gradients_are_those_of_the_formula():
    made = layer(partners=3, keep=2)
    a, b = words(1, 4).requires_grad_(), words(1, 3, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, y: made(x, y).rows, (a, b))


class Largest(TorchDispatchMode):
    """The largest tensor that is made within."""

    numbers = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        if isinstance(made, torch.Tensor):
            self.numbers = max(self.numbers, made.untyped_storage().nbytes() // made.element_size())
        return made


def test_no_tensor_holds_all_words_by_all_words():
    length = 200
    a, b = words(1, length), words(1, length, seed=1)
    for selection, bound in (("hard", HEADS * length * length), ("soft", HEADS * length * length * (DEPTH // HEADS))):
        with Largest() as largest:
            layer(selection=selection)(a, b)
        assert 0 < largest.numbers < bound


def test_same_seed_gives_the_same_layer_and_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    one, two = AssociativeInteraction(DIM), AssociativeInteraction(DIM)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(x, y) for x, y in zip(one.parameters(), two.parameters(), strict=True))


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        ({"a": [1.0]}, TypeError, "a must be a torch.Tensor"),
        ({"a": torch.zeros(2, 3)}, ValueError, r"a must have shape \(batch, words, 6\)"),
        ({"b": torch.zeros(2, 3, 5)}, ValueError, r"b must have shape .* got \(2, 3, 5\)"),
        ({"b": torch.zeros(2, 0, 6)}, ValueError, "b must have shape"),
        ({"b": torch.zeros(3, 2, 6)}, ValueError, "b must have as many sequences as a, 2, got 3"),
        ({"a": torch.full((2, 3, 6), torch.nan)}, ValueError, "a must be finite"),
        ({"a_mask": torch.ones(2, 4, dtype=torch.bool)}, ValueError, r"a_mask must have shape \(2, 3\), got \(2, 4\)"),
        ({"b_mask": torch.ones(2, 4)}, TypeError, "b_mask must be a Boolean tensor"),
        ({"relation": 1}, ValueError, "relation must be from 0 to 0, got 1"),
    ],
)
def test_wrong_sequences_are_refused_by_name(arguments, error, told):
    given = {"a": torch.zeros(2, 3, 6), "b": torch.zeros(2, 4, 6)} | arguments
    with pytest.raises(error, match=told):
        layer(dtype=torch.float32)(**given)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"heads": 3}, "depth must be a multiple of heads = 3, got 40"),
        ({"partners": 0}, "partners"),
        ({"keep": 0}, "keep"),
        ({"selection": "both"}, "selection must be one of"),
        ({"relations": 0}, "relations"),
    ],
)
def test_wrong_sizes_are_refused_by_name(options, told):
    with pytest.raises(ValueError, match=told):
        AssociativeInteraction(DIM, **options)


def test_rows_of_another_width_in_a_checkpoint_are_refused_and_nothing_changes():
    made, other = layer(partners=3), layer(partners=2, seed=1)
    before = {name: value.clone() for name, value in made.state_dict().items()}
    with pytest.raises(ValueError, match=r"map\.weight must have rows of 3 partners x 4 = 12 numbers, got a checkpoint with 8"):
        made.load_state_dict(other.state_dict())
    assert all(torch.equal(value, before[name]) for name, value in made.state_dict().items())


def test_an_interaction_refuses_another_precision_and_words_whose_scores_are_not_finite():
    layer, words = AssociativeInteraction(8, depth=4), torch.randn(1, 3, 8)
    with pytest.raises(ValueError, match=r"a must be torch\.float32 on cpu like the weights, got torch\.float64"):
        layer(words.double(), words)
    with pytest.raises(ValueError, match=r"b must be torch\.float32 on cpu like the weights, got torch\.float64"):
        layer(words, words.double())
    with pytest.raises(ValueError, match="a and b must have finite scores"):
        layer(1e30 * words, 1e30 * words)
    with torch.autocast("cpu", torch.bfloat16):
        assert bool(layer(words.bfloat16(), words).rows.isfinite().all())
