"""Tokens for consolidated memories, and the rule of writing in plain Python."""

import torch


def rows(count, dim=16, seed=0):
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed))


def clusters(count, centres=6, dim=16, noise=0.15, seed=0):
    """Tokens about a few centres: some merge, some do not."""
    generator = torch.Generator().manual_seed(seed)
    middle = torch.randn(centres, dim, generator=generator)
    chosen = torch.randint(centres, (count,), generator=generator)
    return middle[chosen] + noise * torch.randn(count, dim, generator=generator)


def by_hand(keys, slots, threshold, pinned=0, familiar="merge", centred=False):
    """The rule of writing, one token after the other, in plain Python with a log of members: (tokens, last) of each slot."""
    held = [None] * slots
    for number, key in enumerate(keys):
        centre = keys[:number].mean(0) if centred and number else torch.zeros_like(key)
        means = [None if each is None else keys[each[0]].mean(0) for each in held]
        scores = [
            -2.0 if mean is None or index < pinned else float(torch.cosine_similarity(key - centre, mean - centre, dim=0))
            for index, mean in enumerate(means)
        ]
        best = max(range(slots), key=lambda index: scores[index])
        if number >= pinned and threshold is not None and scores[best] > threshold:
            if familiar == "merge":
                held[best] = ([*held[best][0], number], number)
            continue
        empty = [index for index in range(slots) if held[index] is None]
        target = empty[0] if empty else min(range(pinned, slots), key=lambda index: (held[index][1], index))
        held[target] = ([number], number)
    return held
