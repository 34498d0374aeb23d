"""Encoders, decoders and emotion heads of IAMM against plain loops over words."""

import math

import pytest
import torch
from language.iamm_dialogues import RELATIONS, V, dialogue, small
from torch import tensor

from attractor.language.iamm import collate
from attractor.language.iamm.blocks import Decoder, EmotionHead, Encoder, FeedForward, Norm, Sizes, masked_softmax, signal

SIZES = Sizes(6, 8, 2, 5, 2)


def made(kind, *options):
    """With shifts and gains that are not what they start as."""
    generator = torch.Generator().manual_seed(0)
    part = kind(*options, generator).double()
    for one in part.parameters():
        if one.dim() == 1:
            torch.nn.init.normal_(one, generator=generator)
    return part.requires_grad_(False)


def words(*shape):
    return torch.randn(*shape, SIZES.dim, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def norm(part, x):
    mean = sum(x.tolist()) / len(x)
    deviation = math.sqrt(sum((one - mean) ** 2 for one in x.tolist()) / (len(x) - 1))
    return part.gain * (x - mean) / (deviation + 1e-6) + part.bias


def softmax(scores):
    powers = [math.exp(one) for one in scores]
    return [one / sum(powers) for one in powers]


def attention(part, x, y, seen):
    """Word `i` of `x` sees the first `seen(i)` of `y`. Read-out and scores by head."""
    width, found, scores = SIZES.depth // SIZES.heads, [], []
    for place, word in enumerate(x):
        heads, logits = [], []
        for head in range(SIZES.heads):
            rows = slice(head * width, (head + 1) * width)
            query = part.query.weight[rows] @ word
            logits.append([float(query @ (part.key.weight[rows] @ one)) / math.sqrt(width) for one in y])
            weights = softmax(logits[-1][: seen(place)])
            heads.append(sum(weight * (part.value.weight[rows] @ one) for weight, one in zip(weights, y, strict=False)))
        found.append(part.out.weight @ torch.cat(heads))
        scores.append(logits)
    return found, scores


def feed_forward(part, x, back):
    """Two convolutions over three words, the first of them `back` before."""
    for layer in (part.inner, part.outer):
        zero = torch.zeros_like(x[0])
        wide = [zero] * back + list(x) + [zero] * (2 - back)
        x = [(layer.weight @ torch.cat(wide[i : i + 3]) + layer.bias).clamp_min(0) for i in range(len(x))]
    return x


def placed(part, x):
    half = SIZES.dim // 2
    waves = [[place / 1e4 ** (one / (half - 1)) for one in range(half)] for place in range(len(x))]
    angles = [tensor([math.sin(one) for one in row] + [math.cos(one) for one in row], dtype=torch.float64) for row in waves]
    return [part.project.weight @ word + angle for word, angle in zip(x, angles, strict=True)]


def added(x, y):
    return [one + other for one, other in zip(x, y, strict=True)]


def encoded(part, x):
    x, length = placed(part, x), len(x)
    for block in part.blocks:
        first = [norm(block.norms[0], word) for word in x]
        x = added(x, attention(block.attention, first, first, lambda _: length)[0])
        x = added(x, feed_forward(block.feed_forward, [norm(block.norms[1], word) for word in x], 1))
    return torch.stack([norm(part.norm, word) for word in x])


def decoded(part, x, context):
    x = placed(part, x)
    for block in part.blocks:
        first = [norm(block.norms[0], word) for word in x]
        x = added(x, attention(block.before, first, first, lambda place: place + 1)[0])
        found, scores = attention(block.across, [norm(block.norms[1], word) for word in x], context, lambda _: len(context))
        x = added(x, found)
        x = added(x, feed_forward(block.feed_forward, [norm(block.norms[2], word) for word in x], 2))
    return torch.stack([norm(part.norm, word) for word in x]), tensor(scores, dtype=torch.float64).mean(1)


def test_the_encoder_is_that_of_loops_over_words():
    part, x = made(Encoder, SIZES), words(1, 5)
    mask = tensor([[True] * 4 + [False]])
    found = part(x, mask)[0]
    torch.testing.assert_close(found[:4], encoded(part, x[0, :4]), rtol=0, atol=1e-10)
    assert not bool(found[4].any())


def test_the_decoder_is_that_of_loops_over_words_and_scores_the_context_by_its_last_block():
    part, x, context = made(Decoder, SIZES), words(1, 4), words(1, 3).flip(-1)
    found, scores = part(x, context, tensor([[True, True, False]]))
    expected, logits = decoded(part, x[0], context[0, :2])
    torch.testing.assert_close(found[0], expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(scores[0, :, :2], logits, rtol=0, atol=1e-10)


def test_an_emotion_head_pools_by_its_own_attention():
    part, x = made(EmotionHead, SIZES.dim, 3), words(1, 4)
    weights = softmax([float(part.weight.weight[0] @ (part.inner.weight @ word).tanh()) for word in x[0, :3]])
    pooled = sum(weight * word for weight, word in zip(weights, x[0], strict=False))
    expected = part.out.weight @ (part.hidden.weight @ pooled + part.hidden.bias).tanh() + part.out.bias
    torch.testing.assert_close(part(x, tensor([[True] * 3 + [False]]))[0], expected, rtol=0, atol=1e-12)


def test_words_are_their_embeddings_times_the_root_of_their_width():
    model = small(dtype=torch.float64)
    expected = math.sqrt(model.config.dim) * model.embedding.weight[[9, 0]]
    torch.testing.assert_close(model._embed(tensor([9, V + 3])), expected)


def knowledge_scores(model, said, known):
    talk = dialogue(0, utterances=len(said), knowledge=[[one] * RELATIONS for one in said], situation_knowledge=[known] * RELATIONS)
    return model.encode(collate([talk], V)).emotions.knowledge


def test_the_knowledge_head_reads_that_of_the_last_utterance_only():
    model = small(dtype=torch.float64)
    before = knowledge_scores(model, [[9], [10]], [11])
    assert torch.equal(before, knowledge_scores(model, [[12], [10]], [11]))
    assert not torch.allclose(before, knowledge_scores(model, [[9], [12]], [11]), atol=1e-6)


def test_the_knowledge_head_tells_the_situation_from_the_utterance():
    model = small(dtype=torch.float64)
    assert not torch.allclose(knowledge_scores(model, [[9]], [10]), knowledge_scores(model, [[10]], [9]), atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precisions_have_the_places_of_float64_to_their_rounding(dtype):
    like = torch.zeros(1, 300, 64)
    exact, found = signal(like.double()), signal(like.to(dtype))
    assert found.dtype == dtype
    torch.testing.assert_close(found.double(), exact, rtol=0, atol=torch.finfo(dtype).eps)
    assert len(found.unique(dim=0)) == 300


def test_norm_uses_the_unbiased_deviation_and_has_finite_slopes_at_zero():
    x = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    expected = (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + 1e-6)
    torch.testing.assert_close(Norm(5).double()(x), expected, rtol=1e-12, atol=1e-12)
    zero = torch.zeros(2, 5, requires_grad=True)
    Norm(5)(zero).sum().backward()
    assert bool(zero.grad.isfinite().all())


def test_causal_convolutions_see_no_later_word_and_others_do():
    sizes = Sizes(4, 4, 2, 5, 1)
    for causal in (True, False):
        layer = FeedForward(sizes, torch.Generator().manual_seed(0), causal=causal)
        x = torch.randn(1, 6, 4, generator=torch.Generator().manual_seed(1))
        later = x.clone()
        later[:, 4:] += 1
        mask = torch.ones(1, 6, dtype=torch.bool)
        same = (layer(x, mask) == layer(later, mask)).all(-1)[0].tolist()
        assert same[:2] == [True] * 2 and (same[:4] == [True] * 4) == causal


def test_encoders_know_the_order_of_words():
    encoder = Encoder(Sizes(6, 4, 2, 5, 1), torch.Generator().manual_seed(0))
    x, mask = torch.randn(1, 4, 6), torch.ones(1, 4, dtype=torch.bool)
    assert not torch.allclose(encoder(x.flip(1), mask).flip(1), encoder(x, mask), atol=1e-3)


def test_masked_softmax_leaves_nothing_where_nothing_counts():
    mask = torch.tensor([[True, False, True], [False, False, False]])
    found = masked_softmax(torch.tensor([[0.0, 90.0, 0.0], [1.0, 2.0, 3.0]]), mask)
    assert found.tolist() == [[0.5, 0.0, 0.5], [0.0, 0.0, 0.0]]
