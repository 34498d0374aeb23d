"""Small models and random dialogues for the tests of IAMM."""

import torch

from attractor.language.iamm import IAMM, SPECIAL, Dialogue, IAMMConfig, collate

V, CLASSES, RELATIONS = 20, 4, 3


def config(**options):
    sizes = {"dim": 12, "depth": 8, "heads": 2, "filters": 7, "partners": 4, "keep": 3, "knowledge_partners": 2, "notes": 6}
    return IAMMConfig(V, **({"classes": CLASSES, "relations": RELATIONS} | sizes | options))


def small(seed=0, dtype=torch.float32, **options):
    """Word embeddings are large, that words differ."""
    generator = torch.Generator().manual_seed(seed)
    return IAMM(config(**({"deviation": 0.3} | options)), generator=generator).to(dtype)


def draw(generator, low, high):
    return int(torch.randint(low, high, (1,), generator=generator))


def text(generator, low=1, high=6, *, distinct=False):
    length = draw(generator, low, high)
    if distinct:
        return (torch.randperm(V - len(SPECIAL), generator=generator)[:length] + len(SPECIAL)).tolist()
    return [draw(generator, len(SPECIAL), V) for _ in range(length)]


def dialogue(seed=0, *, utterances=2, relations=RELATIONS, unknown=0, learn=True, **options):
    """Random words in so many utterances, or those that are given; unknown words stand at their ends, and one in the response."""
    generator = torch.Generator().manual_seed(seed)
    said = utterances
    if isinstance(utterances, int):
        said = [text(generator, distinct=True) for _ in range(utterances)]
        for number in range(unknown):
            said[number % utterances].append(V + number)
    response = text(generator) + ([V + unknown - 1] if unknown else [])
    values = {
        "utterances": said,
        "situation": text(generator, distinct=True),
        "response": response if learn else None,
        "label": draw(generator, 0, CLASSES) if learn else None,
        "unknown": [f"word{number}" for number in range(unknown)],
    }
    if relations:
        values["knowledge"] = [[text(generator, 0, 4) for _ in range(relations)] for _ in said]
        values["situation_knowledge"] = [text(generator, 0, 4) for _ in range(relations)]
    return Dialogue(**(values | options))


def batch_of(*dialogues):
    return collate(dialogues, V)
