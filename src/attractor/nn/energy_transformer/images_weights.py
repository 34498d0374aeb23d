"""The public image weights of the Energy Transformer (an .npz of plain arrays, written by JAX), read and written.

With `H` heads, key width `Y`, token width `D`, `M` memories, `N` patches of `K` numbers: `Wq, Wk (H, Y, D)`, `Xi (D, M)`,
`Wenc (K, D)`, `Benc (D)`, `Wdec (D, K)`, `Bdec (K)`, `LNORM_gamma ()`, `LNORM_bias (D)`, `CLS_token (D)`, `MASK_token (D)` and
`POS_embed (1 + N, D)`. Linear maps stand on the right of their input there, `x W + b`.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attractor.nn.energy_transformer.block import EnergyTransformer
from attractor.nn.energy_transformer.images import VisionEnergyTransformer
from attractor.nn.energy_transformer.images_patches import grid_of
from attractor.validation import finite

Arrays = Mapping[str, Any]
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
LARGEST = 1 << 28
"""Bytes of a file, unpacked; the published weights have a thirteenth of it."""
PRECISIONS = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
NAMES = (
    *("Wq", "Wk", "Xi", "Wenc", "Benc", "Wdec", "Bdec", "LNORM_gamma"),
    *("LNORM_bias", "CLS_token", "MASK_token", "POS_embed"),
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
        source: the arrays by name, or the path of an .npz that holds them, in at most 256 MiB unpacked.
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
    arrays = read_arrays(source, image_shape, patch_size)
    heads, key_dim, dim = arrays["Wq"].shape
    generator = torch.Generator()
    block = EnergyTransformer(
        dim,
        heads=heads,
        key_dim=key_dim,
        memories=arrays["Xi"].shape[1],
        steps=steps,
        step_size=step_size,
        self_attention=True,
        generator=generator,
    )
    model = VisionEnergyTransformer(image_shape, patch_size, block, mean=mean, std=std, generator=generator)
    model.to(arrays["Wq"].dtype)
    with torch.no_grad():
        for name, (parameter, turned) in places(model).items():
            parameter.copy_(arrays[name].T if turned else arrays[name])
    return model


def image_checkpoint_of(model: VisionEnergyTransformer) -> dict[str, np.ndarray]:
    """The weights of a model in the public layout: `numpy.savez(path, **arrays)` writes them.

    The layout has no place for `image_shape`, `patch_size`, `mean`, `std`, `steps` and `step_size`; `model.save(path)` keeps them.
    NumPy has no bfloat16: such weights become float32, which is exact.

    Raises:
        ValueError: a model with parameters that the layout has no place for (a head, biases, learned temperatures), without
            attention or memories, or with a block that is not of the kind of the public one.
    """
    parameters = places(model)
    known = {id(parameter) for parameter, _ in parameters.values()}
    left = [name for name, one in model.named_parameters() if id(one) not in known]
    if left:
        raise ValueError(f"model must have no other parameters than those of the layout, it has {left}")
    refuse_other_block(model.block)
    return {name: numpy_of((one.T if turned else one).detach().cpu()) for name, (one, turned) in parameters.items()}


def numpy_of(value: Tensor) -> np.ndarray:
    array: np.ndarray = (value.float() if value.dtype == torch.bfloat16 else value).numpy().copy()
    return array


def refuse_other_block(block: Any) -> None:
    """The layout says nothing of these settings: whoever reads it takes them to be those of the public weights."""
    public = {"beta": block.key_dim**-0.5, "activation": "relu", "causal": False, "self_attention": True, "noise": 0.0}
    found = {name: getattr(block, name) for name in public} | {"beta": block.beta.tolist()}
    public["beta"] = [public["beta"]] * block.heads
    other = {name: found[name] for name in public if found[name] != public[name]}
    if block.norm.eps != 1e-5:
        other["norm.eps"] = block.norm.eps
    if other:
        raise ValueError(f"model must have a block like that of the public weights, {public}, got {other}")


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


def read_arrays(source: Arrays | str | PathLike[str], image_shape: tuple[int, int, int], patch_size: int) -> dict[str, Tensor]:
    """All arrays of the layout, of one floating-point precision, finite, and of shapes that fit each other and the images.

    Raises:
        ValueError: as `from_image_checkpoint`.
    """
    if isinstance(source, Mapping):
        check_names(source)
        arrays = {name: tensor_of(name, source[name]) for name in NAMES}
        check_layout({name: tuple(one.shape) for name, one in arrays.items()}, image_shape, patch_size)
    else:
        arrays = {name: tensor_of(name, one) for name, one in read_file(source, image_shape, patch_size).items()}
    precisions = {one.dtype for one in arrays.values()}
    if len(precisions) != 1 or not precisions <= PRECISIONS:
        raise ValueError(f"source must hold arrays of one floating-point precision, got {sorted(map(str, precisions))}")
    for name, one in arrays.items():
        if not finite(one):
            raise ValueError(f"{name} must be finite, got NaN or infinity")
    # the gain is one number, whether it was written as a scalar or as an array of one entry
    arrays["LNORM_gamma"] = arrays["LNORM_gamma"].reshape(())
    if not bool(arrays["LNORM_gamma"] > 0):
        raise ValueError(f"LNORM_gamma must be positive, got {float(arrays['LNORM_gamma'])}")
    return arrays


def read_file(path: str | PathLike[str], image_shape: tuple[int, int, int], patch_size: int) -> dict[str, np.ndarray]:
    """The arrays of an .npz that nobody vouches for: names, sizes and shapes are checked before anything is unpacked."""
    try:
        with zipfile.ZipFile(path) as file:
            check_names([name.removesuffix(".npy") for name in file.namelist()])
            size = sum(one.file_size for one in file.infolist())
            if size > LARGEST:
                raise ValueError(f"{size:,} bytes unpacked, more than {LARGEST:,}: load the arrays and hand them in")
            headers = {name: header_of(file, f"{name}.npy") for name in NAMES}
            check_layout({name: one[0] for name, one in headers.items()}, image_shape, patch_size)
            return {name: array_of(file, f"{name}.npy", *headers[name]) for name in NAMES}
    except Exception as error:  # each kind of damage has an exception of its own: zlib's, lzma's, struct's, NumPy's, the archive's
        raise ValueError(f"source must be an .npz of plain arrays, cannot read {str(path)!r}: {error}") from error


def header_of(file: zipfile.ZipFile, name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Shape, whether the first index runs fastest, precision and length of the header."""
    with file.open(name) as member:
        readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        shape, fortran, dtype = readers[np.lib.format.read_magic(member)](member)
        start = member.tell()
    if dtype.kind != "f" or math.prod(shape) * dtype.itemsize != file.getinfo(name).file_size - start:
        raise ValueError(f"{name} holds no floating-point numbers, or not as many as it says")
    return shape, fortran, dtype, start


def array_of(
    file: zipfile.ZipFile, name: str, shape: tuple[int, ...], fortran: bool, dtype: np.dtype[Any], start: int
) -> np.ndarray:
    return np.frombuffer(file.read(name), dtype, offset=start).reshape(shape, order="F" if fortran else "C").copy()


def tensor_of(name: str, array: Any) -> Tensor:
    """An array, or a tensor or parameter, as a tensor that shares nothing with it."""
    try:
        # of this machine's byte order
        value = array if isinstance(array, Tensor) else np.asarray(array).astype(np.asarray(array).dtype.newbyteorder("="))
        return torch.as_tensor(value).detach().cpu().clone()
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{name} must be a plain array: {error}") from error


def check_names(names: Iterable[str]) -> None:
    names = list(names)
    missing, unknown = sorted(set(NAMES) - set(names)), sorted(set(names) - set(NAMES))
    if missing or unknown or len(names) != len(NAMES):
        raise ValueError(f"source must hold the arrays {', '.join(NAMES)}, each once; missing are {missing}, unknown are {unknown}")


def check_layout(shapes: Mapping[str, tuple[int, ...]], image_shape: tuple[int, int, int], patch_size: int) -> None:
    """All shapes follow from those of `Wq`, `Xi` and the images."""
    for name, axes in (("Wq", "(heads, keys, dim)"), ("Xi", "(dim, memories)")):
        if len(shapes[name]) != axes.count(",") + 1:
            raise ValueError(f"{name} must have {axes}, got {shapes[name]}")
    heads, key_dim, dim = shapes["Wq"]
    entries, (rows, columns) = image_shape[0] * patch_size**2, grid_of(image_shape[1:], patch_size)
    wanted = dict.fromkeys(("Benc", "LNORM_bias", "CLS_token", "MASK_token"), (dim,)) | {
        "Wk": (heads, key_dim, dim),
        "Xi": (dim, shapes["Xi"][1]),
        "Wenc": (entries, dim),
        "Wdec": (dim, entries),
        "Bdec": (entries,),
        "POS_embed": (1 + rows * columns, dim),
    }
    for name, expected in wanted.items():
        if shapes[name] != expected:
            raise ValueError(f"{name} must have shape {expected} beside the other arrays, got {shapes[name]}")
    if shapes["LNORM_gamma"] not in ((), (1,)):
        raise ValueError(f"LNORM_gamma must be one number, got {shapes['LNORM_gamma']}")
