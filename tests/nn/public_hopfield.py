"""The modules of the public `hopfield-layers` package, written again sample by sample and head by head, to compare with."""

import torch
from torch.nn.functional import layer_norm, linear


def random_weights(settings, seed=0):
    """A state dict as a public `Hopfield` module with these settings has it."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64) / shape[-1] ** 0.5

    size, heads = settings["input_size"], settings["num_heads"]
    stored = settings["stored_pattern_size"] or size
    values = settings["pattern_projection_size"] or size
    inside = heads * (settings["hidden_size"] or size // heads)
    read = heads * (settings["pattern_size"] or inside // heads)
    connected = settings["pattern_projection_as_connected"]
    static = {name: settings[f"{name}_as_static"] for name in ("state_pattern", "stored_pattern", "pattern_projection")}
    weights = {}
    through_keys = connected and not static["stored_pattern"]
    if stored == size and values == size and settings["pattern_size"] is None and not connected:
        if not all(static.values()):
            weights["in_proj_weight"] = draw(sum(inside for name in static if not static[name]), size)
    else:
        shapes = {"q": (inside, size), "k": (inside, stored), "v": (read, inside if through_keys else values)}
        for letter, name in zip("qkv", static, strict=True):
            if not static[name]:
                weights[f"{letter}_proj_weight"] = draw(*shapes[letter])
    if not all(static.values()) and settings["input_bias"]:
        weights["in_proj_bias"] = draw(inside * (not static["state_pattern"]) + inside * (not static["stored_pattern"]) + read)
    if not settings["disable_out_projection"]:
        weights["out_proj.weight"] = draw(settings["output_size"] or size, read)
        if settings["input_bias"]:
            weights["out_proj.bias"] = draw(settings["output_size"] or size)
    if settings["normalize_hopfield_space_affine"]:
        weights["p_norm_weight"], weights["p_norm_bias"] = 1 + draw(settings["hidden_size"]), draw(settings["hidden_size"])
    if settings["concat_bias_pattern"]:
        weights["bias_k"], weights["bias_v"] = draw(1, 1, inside), draw(1, 1, inside)
    found = {f"association_core.{name}": tensor for name, tensor in weights.items()}
    for name, width in (("state_pattern", size), ("stored_pattern", stored), ("pattern_projection", values)):
        if settings[f"normalize_{name}_affine"]:
            found |= {f"norm_{name}.weight": 1 + draw(width), f"norm_{name}.bias": draw(width)}
    return found


def public_hopfield(weights, settings, stored, state, values, padding=None):
    """What the public module gives for `(b, n, width)`; `padding (b, s)` is True where a pattern is not there."""
    core = {name.removeprefix("association_core."): tensor for name, tensor in weights.items()}
    stored, state, values = (
        normalized(weights, settings, name, one)
        for name, one in (("stored_pattern", stored), ("state_pattern", state), ("pattern_projection", values))
    )
    heads = settings["num_heads"]
    q, k, v = projected(core, settings, state, stored, values)
    if settings["normalize_hopfield_space"]:
        width, affine = q.shape[-1] // heads, settings["normalize_hopfield_space_affine"]
        shift = (core["p_norm_weight"], core["p_norm_bias"]) if affine else (None, None)
        eps = settings["normalize_hopfield_space_eps"]
        q, k = (layer_norm(x.unflatten(-1, (heads, width)), (width,), *shift, eps).flatten(2) for x in (q, k))
    beta = settings["scaling"] or scaling(settings)
    if settings["add_zero_association"]:
        k, v = (torch.cat([x, torch.zeros_like(x[:, :1])], 1) for x in (k, v))
        padding = None if padding is None else torch.cat([padding, torch.zeros_like(padding[:, :1])], 1)
    most = settings["update_steps_max"]
    most = None if most is not None and most < 0 else most
    read = []
    for q_head, k_head, v_head in zip(q.chunk(heads, -1), k.chunk(heads, -1), v.chunk(heads, -1), strict=True):
        step, old = 0, None
        while True:
            logits = beta * q_head @ k_head.mT
            if padding is not None:
                logits = logits.masked_fill(padding[:, None], -torch.inf)
            weight = logits.softmax(-1)
            goes_on = most is None or step < most
            if old is not None:
                goes_on = goes_on and float((weight - old).norm(dim=(1, 2)).max()) > settings["update_steps_eps"]
            old, step = weight, step + 1
            if not goes_on:
                break
            q_head = weight @ k_head
        read.append(weight @ v_head)
    found = torch.cat(read, -1)
    if settings["disable_out_projection"]:
        return found
    return linear(found, core["out_proj.weight"], core.get("out_proj.bias"))


def scaling(settings):
    """By default one without any learned map, else of the width that a projected head has or would have."""
    static = all(settings[f"{name}_as_static"] for name in ("state_pattern", "stored_pattern", "pattern_projection"))
    others = settings["pattern_projection_as_connected"] or settings["normalize_hopfield_space"]
    if static and settings["disable_out_projection"] and not others:
        return 1.0
    return (settings["hidden_size"] or settings["input_size"] // settings["num_heads"]) ** -0.5


def normalized(weights, settings, name, patterns):
    if not settings[f"normalize_{name}"]:
        return patterns
    affine = settings[f"normalize_{name}_affine"]
    shift = (weights[f"norm_{name}.weight"], weights[f"norm_{name}.bias"]) if affine else (None, None)
    return layer_norm(patterns, patterns.shape[-1:], *shift, settings[f"normalize_{name}_eps"])


def projected(core, settings, state, stored, values):
    heads = settings["num_heads"]
    static = [settings[f"{name}_as_static"] for name in ("state_pattern", "stored_pattern", "pattern_projection")]
    connected = settings["pattern_projection_as_connected"] and not static[1]
    if "in_proj_weight" in core:
        moving = 3 - sum(static)
        parts = iter(core["in_proj_weight"].chunk(moving))
        matrices = [None if fixed else next(parts) for fixed in static]
    else:
        matrices = [core.get(f"{letter}_proj_weight") for letter in "qkv"]
    shifts, place = [None, None, None], 0
    if "in_proj_bias" in core:
        for index, matrix in enumerate(matrices):
            if matrix is not None:
                shifts[index] = core["in_proj_bias"][place : place + len(matrix)]
                place += len(matrix)
    if connected:
        values = linear(values, matrices[1], shifts[1])
    found = []
    for one, matrix, shift in zip((state, stored, values), matrices, shifts, strict=True):
        found.append(one.repeat(1, 1, heads) if matrix is None else linear(one, matrix, shift))
    if connected and matrices[2] is None:
        found[2] = values
    return found
