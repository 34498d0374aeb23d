"""The public image weights of the Energy Transformer (an .npz of plain arrays, written by JAX), read and written.

With `H` heads, key width `Y`, token width `D`, `M` memories, `N` patches of `K` numbers: `Wq, Wk (H, Y, D)`, `Xi (D, M)`,
`Wenc (K, D)`, `Benc (D)`, `Wdec (D, K)`, `Bdec (K)`, `LNORM_gamma ()`, `LNORM_bias (D)`, `CLS_token (D)`, `MASK_token (D)` and
`POS_embed (1 + N, D)`. Linear maps stand on the right of their input there, `x W + b`.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attractor.nn.energy_transformer.block import EnergyTransformer
from attractor.nn.energy_transformer.images import VisionEnergyTransformer

Arrays = Mapping[str, Any]
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
NAMES = (
    "Wq",
    "Wk",
    "Xi",
    "Wenc",
    "Benc",
    "Wdec",
    "Bdec",
    "LNORM_gamma",
    "LNORM_bias",
    "CLS_token",
    "MASK_token",
    "POS_embed",
)


def from_image_checkpoint(
    source: Arrays | str | PathLike[str],
    *,
    image_shape: tuple[int, int, int] = (3, 224, 224),
    patch_size: int = 16,
    mean: float | Sequence[float] = IMAGENET_MEAN,
    std: float | Sequence[float] = IMAGENET_STD,
    steps: int = 12,
    step_size: float = 0.1,
) -> VisionEnergyTransformer:
    """A model with the public weights of masked image completion.

    Args:
        source: the arrays by name, or the path of an .npz that holds them.
        image_shape: `(channels, height, width)` that the weights were trained for; `model.resized(height, width)` changes it.
        patch_size: edge of a patch.
        mean, std: of the pixels that the weights were trained for. Default: those of ImageNet, for images in [0, 1].
        steps: of the descent.
        step_size: of each.

    Returns:
        The model, in the precision of the arrays. Tokens attend to themselves in it, as they did in its training.

    Raises:
        ValueError: no .npz, one that needs pickle, arrays that are missing, unknown, no floating-point numbers, not finite, of a
            shape that does not fit the others, or a gain that is not positive.

    Example:
        >>> block = EnergyTransformer(8, heads=2, key_dim=4, self_attention=True)
        >>> model = VisionEnergyTransformer((1, 4, 4), 2, block)
        >>> again = from_image_checkpoint(image_checkpoint_of(model), image_shape=(1, 4, 4), patch_size=2, mean=0, std=1)
        >>> images = torch.rand(2, 1, 4, 4)
        >>> torch.equal(again(images), model(images))
        True
    """
    arrays = read_arrays(source)
    for name in ("Wq", "Xi"):
        if arrays[name].ndim != {"Wq": 3, "Xi": 2}[name]:
            raise ValueError(
                f"{name} must have {'(heads, keys, dim)' if name == 'Wq' else '(dim, memories)'}, got {arrays[name].shape}"
            )
    heads, key_dim, dim = arrays["Wq"].shape
    block = EnergyTransformer(
        dim,
        heads=heads,
        key_dim=key_dim,
        memories=arrays["Xi"].shape[1],
        steps=steps,
        step_size=step_size,
        self_attention=True,
    )
    model = VisionEnergyTransformer(image_shape, patch_size, block, mean=mean, std=std).to(torch.from_numpy(arrays["Wq"][:0]).dtype)
    parameters = places(model)
    for name, (parameter, turned) in parameters.items():
        expected = tuple(parameter.T.shape if turned else parameter.shape)
        if arrays[name].shape != expected:
            raise ValueError(f"{name} must have shape {expected} beside the other arrays, got {arrays[name].shape}")
    if not arrays["LNORM_gamma"] > 0:
        raise ValueError(f"LNORM_gamma must be positive, got {arrays['LNORM_gamma']}")
    with torch.no_grad():
        for name, (parameter, turned) in parameters.items():
            value = torch.tensor(arrays[name])
            parameter.copy_(value.T if turned else value)
    return model


def image_checkpoint_of(model: VisionEnergyTransformer) -> dict[str, np.ndarray]:
    """The weights of a model in the public layout: `numpy.savez(path, **arrays)` writes them.

    Raises:
        ValueError: a model with parameters that the layout has no place for (a head, biases, learned temperatures) or without
            attention or memories.
    """
    parameters = places(model)
    known = {id(parameter) for parameter, _ in parameters.values()}
    left = [name for name, one in model.named_parameters() if id(one) not in known]
    if left:
        raise ValueError(f"model must have no other parameters than those of the layout, it has {left}")
    return {name: (one.T if turned else one).detach().cpu().numpy().copy() for name, (one, turned) in parameters.items()}


def places(model: VisionEnergyTransformer) -> dict[str, tuple[Tensor, bool]]:
    """The parameter of each array, and whether it is stored transposed.

    Raises:
        ValueError: the block is none with attention and memories.
    """
    block = model.block
    if not isinstance(block, EnergyTransformer) or block.query is None or block.key is None or block.memory is None:
        raise ValueError(f"model must have an EnergyTransformer with attention and memories as its block, got {block}")
    found = {
        "Wq": (block.query, False),
        "Wk": (block.key, False),
        "Xi": (block.memory, True),
        "Wenc": (model.encoder.weight, True),
        "Benc": (model.encoder.bias, False),
        "Wdec": (model.decoder.weight, True),
        "Bdec": (model.decoder.bias, False),
        "LNORM_gamma": (block.norm.gain, False),
        "LNORM_bias": (block.norm.bias, False),
        "CLS_token": (model.class_token, False),
        "MASK_token": (model.mask_token, False),
        "POS_embed": (model.positions, False),
    }
    return {name: found[name] for name in NAMES}


def read_arrays(source: Arrays | str | PathLike[str]) -> dict[str, np.ndarray]:
    """All arrays of the layout, of one floating-point precision.

    Raises:
        ValueError: as `from_image_checkpoint`.
    """
    if isinstance(source, Mapping):
        arrays = {name: np.asarray(array) for name, array in source.items()}
    else:
        try:
            with np.load(source, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
        except (OSError, EOFError, ValueError, AttributeError, zipfile.BadZipFile) as error:
            raise ValueError(f"source must be an .npz of plain arrays, cannot read {str(source)!r}: {error}") from error
    missing, unknown = sorted(set(NAMES) - set(arrays)), sorted(set(arrays) - set(NAMES))
    if missing or unknown:
        raise ValueError(f"source must hold the arrays {', '.join(NAMES)}; missing are {missing}, unknown are {unknown}")
    # the gain is one number, whether it was written as a scalar or as an array of one entry
    arrays["LNORM_gamma"] = arrays["LNORM_gamma"].reshape(()) if arrays["LNORM_gamma"].size == 1 else arrays["LNORM_gamma"]
    precisions = {array.dtype for array in arrays.values()}
    if len(precisions) != 1 or not precisions <= {np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.float16)}:
        raise ValueError(f"source must hold arrays of one floating-point precision, got {sorted(map(str, precisions))}")
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise ValueError(f"{name} must be finite, got NaN or infinity")
    return arrays
