"""Memory and work are constant, however long the text is."""

from contextlib import ExitStack

import pytest
import torch
from language.tiny_models import MERGING, text, tiny
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from attractor.language import attach


def test_memory_is_flat_in_the_length_of_the_text():
    model = tiny()
    with attach(model, **MERGING) as memory, memory.session() as session:
        sizes = []
        for _ in range(4):
            session.remember(text(1, 300))
            sizes.append(session.nbytes)
        assert len(set(sizes[1:])) == 1
        assert session.seen.tolist() == [1200]
        most = 0
        session.generate(text(1, 3), max_new_tokens=60, do_sample=False, eos_token_id=None)
        most = max(most, session.nbytes)
        assert most <= sizes[-1]
        # all there is: slots twice, as they are and as they are seen, and the recent tokens
        keys = values = 2 * 2 * 16 * 8 * 4
        assert sizes[-1] < 2 * (keys + values) + 20 * 2 * 2 * 16 + 2 * 2 * 2 * 8 * 8 * 4 + 1000


class Moved(TorchDispatchMode):
    """Counts operations and the numbers that they make."""

    def __init__(self):
        super().__init__()
        self.operations = self.numbers = 0

    def __torch_dispatch__(self, function, types, given=(), options=None):
        output = function(*given, **(options or {}))
        self.operations += 1
        self.numbers += sum(each.numel() for each in tree_leaves(output) if isinstance(each, torch.Tensor))
        return output


@pytest.mark.parametrize("settings", [{}, {"read": "key"}, {"read": "query"}, {"position": "fixed"}], ids=str)
def test_work_for_a_token_is_flat_in_the_length_of_the_text(settings):
    """Counted, not timed: where all slots are taken and the model's context is full, and three times as far."""
    work = []
    with attach(tiny(), slots=80, window=32, threshold=0.5, **settings) as memory, memory.session() as session:
        for length in (320, 1280):
            session.remember(text(1, length))
            with ExitStack() as stack:
                products, moved = stack.enter_context(FlopCounterMode(display=False)), stack.enter_context(Moved())
                session.remember(text(1, 320, seed=1))
            work.append((products.get_total_flops(), moved.numbers, moved.operations))
    (products, numbers, operations), later = work
    assert later[0] == products
    assert later[1] == pytest.approx(numbers, rel=0.02) and later[2] == pytest.approx(operations, rel=0.02)
