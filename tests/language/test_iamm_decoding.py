"""The decoder of IAMM: copied words, probabilities, and the ways to write a response."""

import pytest
import torch
from language.iamm_dialogues import V, batch_of, dialogue, small

from attractor.language.iamm import CLS, EOS, PAD, SOS, SYS, UNK, USR, beam_search, collate, greedy, sample
from attractor.language.iamm.decoder import DecoderInput, log_probabilities, log_probability
from attractor.language.iamm.decoding import check_place, spoken


def fit(model, batch):
    """Until the responses are as good as learned by heart."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(200):
        optimizer.zero_grad()
        losses = model.losses(batch)
        losses.total.backward()
        optimizer.step()
        if float(losses.total.detach()) < 0.3:
            return
    raise AssertionError(f"the loss is still {float(losses.total)}")


def mixture_of(model, batch):
    given = model.encode(batch).answer
    words = torch.cat([torch.full_like(batch.response[:, :1], SOS), batch.response[:, :-1]], 1)
    return model.decoder(model._embed(words), given), given


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_probabilities_of_all_words_sum_to_one_and_are_finite_in_logarithms(dtype):
    model = small(dtype=dtype)
    batch = batch_of(dialogue(0, unknown=2), dialogue(1, utterances=3, unknown=1))
    mixture, given = mixture_of(model, batch)
    scores = log_probabilities(mixture, given)
    assert scores.shape == (2, batch.response.shape[1], V + 2) and bool(scores.isfinite().all())
    torch.testing.assert_close(scores.exp().sum(-1), torch.ones(scores.shape[:2], dtype=dtype), rtol=0, atol=1e-5)
    assert float(scores[1, :, V + 1].detach().max()) < -80  # the second dialogue has one unknown word only


def test_targets_have_the_probability_that_the_whole_distribution_gives_them():
    model = small(dtype=torch.float64)
    batch = batch_of(dialogue(0, unknown=2), dialogue(1, utterances=3, unknown=1))
    mixture, given = mixture_of(model, batch)
    expected = log_probabilities(mixture, given).gather(-1, batch.response[..., None]).squeeze(-1)
    torch.testing.assert_close(log_probability(mixture, given, batch.response), expected)
    torch.testing.assert_close(model.token_log_probabilities(batch), expected.masked_fill(batch.response == PAD, 0))


def test_the_gate_shares_out_what_the_two_decoders_say():
    model = small(dtype=torch.float64)
    batch = batch_of(dialogue(0))
    given, decoder = model.encode(batch).answer, model.decoder
    words = torch.randn(1, 3, model.config.dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    first, scores = decoder.over_context(words, given.context, given.mask)
    second, _ = decoder.over_notes(words, given.notes, given.notes_mask)
    gate = torch.sigmoid(decoder.gate(torch.cat([first, second], -1)))
    state = gate * first + (1 - gate) * second
    pointer = torch.sigmoid(decoder.pointer(state))
    found = decoder(words, given)
    torch.testing.assert_close(found.log_vocabulary.exp(), pointer * decoder.vocabulary(state).softmax(-1))
    torch.testing.assert_close(found.log_copy.exp(), (1 - pointer) * scores.softmax(-1))
    torch.testing.assert_close(decoder(words, given, last=True).log_copy, found.log_copy[:, -1:])


def test_the_decoder_reads_the_best_rows_of_the_memory_times_their_gates():
    decoder = small(notes=2).decoder
    rows = torch.randn(1, 4, 12, generator=torch.Generator().manual_seed(0))
    scores = (rows @ decoder.note_score.weight.mT)[0, :, 0]
    mask = torch.ones(1, 4, dtype=torch.bool)
    mask[0, scores.argmax()] = False
    notes, there = decoder.best_notes(rows, mask)
    places = scores.masked_fill(~mask[0], -torch.inf).topk(2).indices
    torch.testing.assert_close(notes[0], scores[places].sigmoid()[:, None] * rows[0, places])
    assert bool(there.all())


def test_unknown_words_of_the_dialogue_can_be_copied():
    model = small()
    batch = batch_of(dialogue(0, utterances=2, unknown=2))
    torch.nn.init.constant_(model.decoder.pointer.bias, -20.0)  # always copy
    said = greedy(model, batch, most=1)
    assert said.ids[0] == [] or said.ids[0][0] in batch.utterances.flatten().tolist()
    model.next_log_probabilities(torch.full((1, 1), SOS), model.encode(batch).answer)
    fit(model, batch)
    assert greedy(model, batch).ids[0] == batch.response[0, :-1].tolist() and V + 1 in greedy(model, batch).ids[0]


def test_two_unknown_words_of_one_dialogue_are_not_taken_for_each_other():
    model = small(dtype=torch.float64)
    batch = batch_of(dialogue(0, utterances=[[9, V], [10, V + 1]], unknown=2))
    mixture, given = mixture_of(model, batch)
    scores = log_probabilities(mixture, given)[0]
    copy = mixture.log_copy[0]
    places = given.ids[0].tolist()
    torch.testing.assert_close(scores[:, V], copy[:, places.index(V)])
    torch.testing.assert_close(scores[:, V + 1], copy[:, places.index(V + 1)])
    assert not torch.allclose(scores[:, V], scores[:, V + 1])


def test_a_word_that_comes_twice_collects_both_shares():
    model = small(dtype=torch.float64)
    batch = batch_of(dialogue(0, utterances=[[9, 10], [11, 9]], response=[9]))
    mixture, given = mixture_of(model, batch)
    places = (given.ids[0] == 9).nonzero().flatten()
    expected = mixture.log_vocabulary[0, :, 9].exp() + mixture.log_copy[0][:, places].exp().sum(-1)
    torch.testing.assert_close(log_probabilities(mixture, given)[0, :, 9].exp(), expected)
    assert len(places) == 2


def test_losses_stay_finite_where_the_pointer_is_sure_of_another_word():
    model = small()
    batch = batch_of(dialogue(0, unknown=1))
    torch.nn.init.constant_(model.decoder.pointer.bias, 1e4)  # never copy
    losses = model.losses(batch)
    losses.total.backward()
    assert bool(losses.response.isfinite()) and float(losses.response.detach()) > 100
    assert all(one.grad is None or bool(one.grad.isfinite().all()) for one in model.parameters())


def test_words_do_not_depend_on_later_ones():
    model, batch = small(dtype=torch.float64), batch_of(dialogue(0, response=[9, 10, 11, 12]))
    other = batch_of(dialogue(0, response=[9, 10, 8, 7]))
    one, two = model.token_log_probabilities(batch), model.token_log_probabilities(other)
    torch.testing.assert_close(one[:, :2], two[:, :2], rtol=0, atol=1e-12)
    assert not torch.allclose(one[:, 3], two[:, 3])


@pytest.mark.parametrize("write", [greedy, beam_search])
def test_a_batch_is_answered_as_its_dialogues_alone(write):
    model = small(3)
    dialogues = [dialogue(seed, utterances=1 + seed % 3, unknown=seed % 2, learn=False) for seed in range(6)]
    together = write(model, batch_of(*dialogues), most=8)
    for place, one in enumerate(dialogues):
        alone = write(model, batch_of(one), most=8)
        assert alone.ids[0] == together.ids[place]
        assert float(alone.log_probabilities[0]) == pytest.approx(float(together.log_probabilities[place]), abs=1e-4)
    assert len({tuple(ids) for ids in together.ids}) > 1


def test_a_beam_of_one_is_greedy_and_wider_ones_are_never_less_likely():
    model = small(4)
    batch = batch_of(*(dialogue(seed, unknown=1, learn=False) for seed in range(6)))
    plain, one = greedy(model, batch, most=6), beam_search(model, batch, width=1, most=6)
    assert one.ids == plain.ids
    torch.testing.assert_close(one.log_probabilities, plain.log_probabilities)
    for width in (2, 5, 40):
        assert bool((beam_search(model, batch, width=width, most=6).log_probabilities >= plain.log_probabilities).all())
    assert bool((beam_search(model, batch, width=5, most=6).log_probabilities > plain.log_probabilities + 1e-3).any())


@torch.no_grad()
def test_a_wide_beam_finds_the_likeliest_of_all_short_sentences():
    model, batch = small(5), batch_of(dialogue(0, learn=False))
    answer = model.encode(batch).answer
    first = spoken(model, torch.full((1, 1), SOS), answer)[0]
    second = spoken(model, torch.tensor([[SOS, word] for word in range(V)]), answer.repeated(V)) + first[:, None]
    pairs = torch.cartesian_prod(torch.arange(V), torch.arange(V))
    third = (
        spoken(model, torch.cat([torch.full_like(pairs[:, :1], SOS), pairs], 1), answer.repeated(V * V)) + second.flatten()[:, None]
    )
    goes_on = [word for word in range(V) if word != EOS]
    whole = third.unflatten(0, (V, V))[goes_on][:, goes_on]
    best = torch.cat([first[EOS].reshape(1), second[goes_on, EOS], whole.flatten()])
    found = beam_search(model, batch, width=V * V, most=3)
    assert float(found.log_probabilities[0]) == pytest.approx(float(best.max()), abs=1e-4)


def test_scores_are_those_of_the_words_with_the_end():
    model = small(6)
    talk = dialogue(0, learn=False)
    for said in (greedy(model, batch_of(talk), most=30), beam_search(model, batch_of(talk), most=30)):
        if len(said.ids[0]) == 30:
            continue
        scored = model.token_log_probabilities(batch_of(dialogue(0, response=said.ids[0], label=None))).sum()
        assert float(scored) == pytest.approx(float(said.log_probabilities[0]), abs=1e-4)


def test_responses_hold_no_special_words():
    model = small(7)
    torch.nn.init.constant_(model.decoder.vocabulary.bias[[PAD, SOS, USR, SYS, CLS]], 50.0)
    with torch.no_grad():
        model.decoder.vocabulary.bias[[PAD, SOS, USR, SYS, CLS, EOS]] = 50.0
        model.decoder.vocabulary.bias[EOS] = -50.0
    batch = batch_of(*(dialogue(seed, learn=False) for seed in range(3)))
    for said in (greedy(model, batch, most=7), beam_search(model, batch, most=7), sample(model, batch, most=7)):
        assert all(not {PAD, SOS, USR, SYS, CLS, EOS} & set(ids) for ids in said.ids)
        assert {len(ids) for ids in said.ids} == {7}


def test_sampling_follows_its_seed_and_its_temperature():
    model, batch = small(8), batch_of(*(dialogue(seed, learn=False) for seed in range(4)))
    before = torch.get_rng_state()
    one, two = (sample(model, batch, most=6, generator=torch.Generator().manual_seed(1)) for _ in range(2))
    assert one.ids == two.ids and one.ids != sample(model, batch, most=6, generator=torch.Generator().manual_seed(2)).ids
    assert sample(model, batch, temperature=1e-4, most=6).ids == greedy(model, batch, most=6).ids
    assert torch.equal(torch.get_rng_state(), before)


def test_words_are_drawn_as_often_as_they_are_likely():
    model, batch = small(9), batch_of(*[dialogue(0, learn=False)] * 1500)
    first = [ids[0] if ids else EOS for ids in sample(model, batch, most=1).ids]
    chances = spoken(model, torch.full((1, 1), SOS), model.encode(batch_of(dialogue(0, learn=False))).answer)[0].softmax(-1)
    shares = torch.bincount(torch.tensor(first), minlength=len(chances)) / len(first)
    assert float((shares - chances.detach()).abs().max()) < 0.05
    assert float(chances[UNK]) > 0


def test_a_trained_model_answers_with_what_it_learned():
    model, batch = small(10), batch_of(*(dialogue(seed, unknown=1) for seed in range(3)))
    fit(model, batch)
    for said in (greedy(model, batch), beam_search(model, batch, width=3)):
        assert said.ids == [[word for word in row if word not in (PAD, EOS)] for row in batch.response.tolist()]
    assert torch.equal(model(batch).argmax(-1), batch.labels)


@pytest.mark.parametrize(
    ("write", "options", "told"),
    [
        (greedy, {"most": 0}, "most"),
        (beam_search, {"width": 0}, "width"),
        (beam_search, {"most": 0}, "most"),
        (sample, {"temperature": 0.0}, "temperature"),
    ],
)
def test_wrong_numbers_are_refused_by_name(write, options, told):
    with pytest.raises(ValueError, match=told):
        write(small(), batch_of(dialogue(0)), **options)


def test_draws_need_a_generator_and_take_any_temperature():
    model, batch = small(relations=0), collate([dialogue(0, relations=0)], V)
    with pytest.raises(TypeError, match=r"generator must be a torch\.Generator, got int"):
        sample(model, batch, generator=0)
    assert sample(model, batch, temperature=1e-310, most=5).ids == greedy(model, batch, most=5).ids


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_probabilities_sum_to_one_in_half_precisions_too(dtype):
    model = small(dtype=dtype)
    batch = collate([dialogue(0, unknown=2), dialogue(1, utterances=3)], V)
    with torch.no_grad():
        given = model.encode(batch).answer
        found = log_probabilities(model.decoder(model._embed(batch.response), given), given)
    torch.testing.assert_close(found.exp().sum(-1), torch.ones(found.shape[:2]), rtol=0, atol=1e-5)
    assert spoken(model, batch.response, given).dtype == torch.float64


def test_both_forms_of_a_probability_agree_where_copying_is_as_good_as_impossible():
    model = small(relations=0)
    with torch.no_grad():
        model.decoder.pointer.bias.fill_(1e4)
        batch = collate([dialogue(0, relations=0, unknown=1)], V)
        given = model.encode(batch).answer
        mixture = model.decoder(model._embed(batch.response), given)
        whole = log_probabilities(mixture, given).gather(-1, batch.response[..., None])[..., 0]
    found = log_probability(mixture, given, batch.response)
    torch.testing.assert_close(whole, found)
    assert float(found.min()) < -5000


def test_a_device_without_float64_is_refused_by_name():
    with pytest.raises(ValueError, match="batch must be on the CPU or a CUDA device to be answered: mps has no float64"):
        check_place(torch.device("mps"))


def test_an_encoding_of_another_batch_is_refused():
    model, one, other = small(), batch_of(dialogue(0)), batch_of(dialogue(1))
    model.token_log_probabilities(one, model.encode(one))
    with pytest.raises(ValueError, match="encoding must be of this very batch"):
        model.token_log_probabilities(one, model.encode(other))


class Fixed:
    """Says the same three words to everybody."""

    said = (9, 11, 10, EOS)

    def encode(self, batch):
        nothing = torch.zeros(len(batch), 0)
        return type("Encoding", (), {"answer": DecoderInput(nothing, nothing, nothing, nothing, nothing, 0)})

    def next_log_probabilities(self, written, answer):
        scores = torch.full((len(written), V), -5.0)
        scores[:, self.said[min(written.shape[1], 4) - 1]] = -0.1
        return scores


@pytest.mark.parametrize("write", [greedy, beam_search])
def test_whatever_tells_the_chances_of_the_next_word_can_be_asked_for_answers(write):
    found = write(Fixed(), batch_of(dialogue(0), dialogue(1)))
    assert found.ids == [[9, 11, 10]] * 2 and found.log_probabilities.tolist() == pytest.approx([-0.4] * 2)
