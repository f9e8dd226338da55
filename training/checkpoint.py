"""Checkpoints in openpi's layout, which the engine reads: export from and load into `Pi05`.

A directory holds `model.safetensors`, `pi05_model.json`, `assets/<asset_id>/norm_stats.json` and `tokenizer.json`.
"""

import hashlib
import json
import pathlib
import re

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from training.dimensions import Dimensions
from training.model import Pi05

ROOT = "paligemma_with_expert."
VISION = ROOT + "paligemma.model.vision_tower.vision_model."
PREFIX = ROOT + "paligemma.model.language_model."
EXPERT = ROOT + "gemma_expert.model."
LM_HEAD = ROOT + "paligemma.lm_head.weight"
EMBED_TOKENS = PREFIX + "embed_tokens.weight"

DESCRIPTION = re.compile(r"\.(md|png)$|^training\.json$")
"""Names of files that describe a checkpoint and do not change what it does."""

# Stored as float32; all other tensors as bfloat16.
FLOAT32 = ("patch_embedding", "position_embedding", "norm", "action_in_proj", "action_out_proj", "time_mlp")


def to_tensors(model: Pi05) -> dict[str, Tensor]:
    """All tensors of openpi's `model.safetensors` by name, in the model's dtype."""
    dims, state = model.dims, {name: value.detach() for name, value in model.state_dict().items()}
    tensors: dict[str, Tensor] = {}

    def affine(name: str, source: str) -> None:
        tensors[name + ".weight"], tensors[name + ".bias"] = state[source + ".weight"], state[source + ".bias"]

    patch = dims.vision.patch
    affine(VISION + "embeddings.patch_embedding", "vision.patch")
    weight = tensors[VISION + "embeddings.patch_embedding.weight"]
    tensors[VISION + "embeddings.patch_embedding.weight"] = weight.view(-1, 3, patch, patch)
    tensors[VISION + "embeddings.position_embedding.weight"] = state["vision.position"]
    for i in range(dims.vision.layers):
        name, source = f"{VISION}encoder.layers.{i}.", f"vision.layers.{i}."
        for theirs, ours in (
            ("layer_norm1", "norm1"),
            ("layer_norm2", "norm2"),
            ("self_attn.out_proj", "out"),
            ("mlp.fc1", "fc1"),
            ("mlp.fc2", "fc2"),
        ):
            affine(name + theirs, source + ours)
        for kind in ("weight", "bias"):
            for part, value in zip("qkv", state[f"{source}qkv.{kind}"].chunk(3), strict=True):
                tensors[f"{name}self_attn.{part}_proj.{kind}"] = value
    affine(VISION + "post_layernorm", "vision.norm")
    affine(ROOT + "paligemma.model.multi_modal_projector.linear", "projector")

    for i in range(dims.prefix.layers):
        name, source = f"{PREFIX}layers.{i}.", f"prefix.{i}."
        tensors[name + "input_layernorm.weight"] = state[source + "input_norm"]
        if i < dims.prefix.layers - 1:
            tensors[name + "post_attention_layernorm.weight"] = state[source + "post_norm"]
        tensors.update(_gemma_layer(state, name, source, dims.prefix))
    tensors[LM_HEAD] = state["embedding"]

    scale_shift_gate = 3 * dims.expert.width
    for i in range(dims.expert.layers):
        name = f"{EXPERT}layers.{i}."
        tensors.update(_gemma_layer(state, name, f"expert.{i}.", dims.expert))
        for part, norm in enumerate(("input_layernorm", "post_attention_layernorm")):
            rows = slice((2 * i + part) * scale_shift_gate, (2 * i + part + 1) * scale_shift_gate)
            for kind in ("weight", "bias"):
                tensors[f"{name}{norm}.dense.{kind}"] = state[f"modulation.{kind}"][rows]
    for kind in ("weight", "bias"):
        tensors[f"{EXPERT}norm.dense.{kind}"] = state[f"modulation.{kind}"][-scale_shift_gate:]

    affine("time_mlp_in", "time_in")
    affine("time_mlp_out", "time_out")
    affine("action_in_proj", "action_in")
    affine("action_out_proj", "action_out")
    return {**_unused(model), **tensors, **_padded_actions(tensors, dims.action.dim - model.robot_dim)}


def _gemma_layer(state: dict[str, Tensor], name: str, source: str, dims) -> dict[str, Tensor]:
    """Attention and MLP of a prefix or expert layer; only K and V where the layer has nothing else."""
    tensors = {}
    head = dims.head_dim
    qkv = state[source + "qkv.weight"]
    sizes = [qkv.shape[0] - 2 * head, head, head]
    for part, value in zip("qkv", qkv.split(sizes), strict=True):
        if value.shape[0] > 0:
            tensors[f"{name}self_attn.{part}_proj.weight"] = value
    if source + "out.weight" in state:
        tensors[name + "self_attn.o_proj.weight"] = state[source + "out.weight"]
        gate, up = state[source + "mlp.gate_up.weight"].chunk(2)
        tensors |= {name + "mlp.gate_proj.weight": gate, name + "mlp.up_proj.weight": up}
        tensors[name + "mlp.down_proj.weight"] = state[source + "mlp.down.weight"]
    return tensors


def _unused(model: Pi05) -> dict[str, Tensor]:
    """Zeros for tensors that the format has and no result depends on: of the last prefix layer, all but K and V."""
    dims = model.dims.prefix
    name, queries = f"{PREFIX}layers.{dims.layers - 1}.", dims.heads * dims.head_dim
    shapes = {
        name + "self_attn.q_proj.weight": (queries, dims.width),
        name + "self_attn.o_proj.weight": (dims.width, queries),
        name + "mlp.gate_proj.weight": (dims.mlp, dims.width),
        name + "mlp.up_proj.weight": (dims.mlp, dims.width),
        name + "mlp.down_proj.weight": (dims.width, dims.mlp),
        name + "post_attention_layernorm.weight": (dims.width,),
        PREFIX + "norm.weight": (dims.width,),
    }
    return {key: torch.zeros(shape, device=model.embedding.device) for key, shape in shapes.items()}


def _padded_actions(tensors: dict[str, Tensor], missing: int) -> dict[str, Tensor]:
    """The action projections with `missing` action dimensions of zeros, so that those reach nothing."""
    pad = torch.nn.functional.pad
    return {
        "action_in_proj.weight": pad(tensors["action_in_proj.weight"], (0, missing)),
        "action_out_proj.weight": pad(tensors["action_out_proj.weight"], (0, 0, 0, missing)),
        "action_out_proj.bias": pad(tensors["action_out_proj.bias"], (0, missing)),
    }


def from_tensors(model: Pi05, tensors: dict[str, Tensor]) -> None:
    """Copies a checkpoint's tensors into `model`. The names may begin with `model.`, as LeRobot's do.

    Raises ValueError where a tensor is missing or has another shape.
    """
    tensors = {name.removeprefix("model."): value for name, value in tensors.items()}
    tensors[LM_HEAD] = tensors.get(EMBED_TOKENS, tensors.get(LM_HEAD))
    unused = _unused(model)
    # The tensors that to_tensors returns are views of the parameters, except where it pads: those are copied by hand.
    views = to_tensors(model)
    for name, view in views.items():
        stored = tensors.get(name)
        if stored is None or stored.shape != view.shape:
            received = "none" if stored is None else list(stored.shape)
            raise ValueError(f"Expected {name} of shape {list(view.shape)}, received {received}")
        if name not in unused:
            view.copy_(stored)
    robot = model.robot_dim
    padding = [tensors["action_in_proj.weight"][:, robot:], tensors["action_out_proj.weight"][robot:]]
    if any(part.count_nonzero() > 0 for part in padding):
        raise ValueError(f"Expected zeros in the action dimensions from {robot} on, received other values")
    with torch.no_grad():
        model.action_in.weight.copy_(tensors["action_in_proj.weight"][:, :robot])
        model.action_out.weight.copy_(tensors["action_out_proj.weight"][:robot])
        model.action_out.bias.copy_(tensors["action_out_proj.bias"][:robot])


def load(directory: str | pathlib.Path, robot_dim: int | None = None) -> Pi05:
    """The model of a checkpoint directory, in float32 on the CPU. `robot_dim`: see Pi05."""
    directory = pathlib.Path(directory)
    model = Pi05(Dimensions.from_file(directory / "pi05_model.json"), robot_dim)
    from_tensors(model, load_file(directory / "model.safetensors"))
    return model.eval()


def export(
    directory: str | pathlib.Path,
    model: Pi05,
    statistics: dict[str, dict[str, np.ndarray]],
    tokenizer: dict,
    asset_id: str = "demo",
    compact: bool = False,
) -> int:
    """Writes a checkpoint directory and returns the size of `model.safetensors` in bytes.

    `statistics`: `state` and `actions`, each with mean, std, q01 and q99 of the robot's dimensions. `tokenizer`: the
    content of tokenizer.json. `compact` stores the matrices of the expert's adaptive norms as bfloat16: the engine
    reads them too, openpi stores float32.
    """
    directory = pathlib.Path(directory)
    assets = directory / "assets" / asset_id
    assets.mkdir(parents=True, exist_ok=True)
    tensors = {
        name: value.to(_stored_dtype(name, compact)).cpu().contiguous() for name, value in to_tensors(model).items()
    }
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
    model.dims.to_file(directory / "pi05_model.json")
    lists = {part: {key: np.asarray(row).tolist() for key, row in rows.items()} for part, rows in statistics.items()}
    (assets / "norm_stats.json").write_text(json.dumps({"norm_stats": lists}, indent=2) + "\n")
    (directory / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False, indent=1) + "\n")
    return (directory / "model.safetensors").stat().st_size


def checkpoint_hash(directory: str | pathlib.Path) -> str:
    """SHA-256 of the names and contents of a checkpoint's files, except for descriptions, as `pi05 eval` computes it."""
    directory = pathlib.Path(directory)
    files = (path for path in directory.rglob("*") if path.is_file() and not DESCRIPTION.search(path.name))
    content = hashlib.sha256()
    for path in sorted(files, key=str):
        content.update(f"{path.relative_to(directory)}\0".encode() + path.read_bytes())
    return content.hexdigest()


def _stored_dtype(name: str, compact: bool) -> torch.dtype:
    if compact and name.endswith("dense.weight"):
        return torch.bfloat16
    return torch.float32 if any(part in name for part in FLOAT32) else torch.bfloat16
