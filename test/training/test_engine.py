"""An exported checkpoint in the node's engine and tokenizer, against PyTorch. Needs a checkout that is set up."""

import json
import re
import subprocess

import numpy as np
import pytest
import torch
from conftest import ROOT, relative_error
from safetensors.torch import load_file, save_file

from training.checkpoint import export, load
from training.dimensions import demo_dimensions
from training.flow import Guidance, TrainedPrefix, prefix_weights, sample
from training.model import Pi05
from training.preprocess import resize
from training.tokenizer import COMMON_WORDS, NUMBERS, PromptTokenizer, build_tokenizer, prompt_text

FILE = build_tokenizer(["zebra"])
TOKENIZER = PromptTokenizer(FILE)
PROMPTS = [
    "pick up the red block",
    "  Put the blue_block\ninto the BOWL.",
    "déplace le cube 🤖, vite!",
    "block 12 of 300: 1284 -12",
    "touch <eos> <bos> now\tplease",
    "",
]
STATISTICS = {
    part: {"mean": np.zeros(8), "std": np.ones(8), "q01": np.full(8, -2.0), "q99": np.full(8, 2.0)}
    for part in ("state", "actions")
}


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """A checkpoint of the demo's dimensions with random weights, in which nothing is zero or one."""
    torch.manual_seed(0)
    model = Pi05(demo_dimensions(), robot_dim=8, auxiliary_dim=4)
    with torch.no_grad():
        model.action_out.weight.mul_(10.0)
        for parameter in model.parameters():
            parameter.add_(0.1 * parameter.std().nan_to_num(1.0).clamp(min=1.0) * torch.randn_like(parameter))
            if parameter.ndim > 1:
                parameter.mul_(0.7)
    path = tmp_path_factory.mktemp("checkpoint")
    assert export(path, model, STATISTICS, FILE) < 15 * 2**20
    return path


def pi05(*arguments: str) -> str:
    result = subprocess.run([ROOT / "bin" / "pi05", *arguments], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_inspect_finds_no_problem(directory):
    assert "Problems    none" in pi05("inspect", str(directory))


def test_a_loaded_checkpoint_is_the_exported_model_in_bfloat16(directory):
    again = directory / "again"
    export(again, load(directory, robot_dim=8), STATISTICS, FILE)
    assert (again / "model.safetensors").read_bytes() == (directory / "model.safetensors").read_bytes()
    assert load(directory).dims == demo_dimensions()


def test_a_checkpoint_has_float32_where_openpi_s_have_it(directory, tmp_path):
    tensors = load_file(directory / "model.safetensors")
    kept = {re.sub(r"\d+", "i", name) for name, value in tensors.items() if value.dtype == torch.float32}
    assert {value.dtype for value in tensors.values()} == {torch.float32, torch.bfloat16}
    vision = "paligemma_with_expert.paligemma.model.vision_tower.vision_model."
    text = "paligemma_with_expert.paligemma.model.language_model."
    expert = "paligemma_with_expert.gemma_expert.model."
    norms = ["encoder.layers.i.layer_norm1", "encoder.layers.i.layer_norm2", "post_layernorm"]
    affine = [vision + name for name in ("embeddings.patch_embedding", *norms)]
    affine += [expert + f"layers.i.{name}.dense" for name in ("input_layernorm", "post_attention_layernorm")]
    affine += [expert + "norm.dense", "action_in_proj", "action_out_proj", "time_mlp_in", "time_mlp_out"]
    names = {f"{name}.{kind}" for name in affine for kind in ("weight", "bias")}
    names |= {text + f"layers.i.{name}.weight" for name in ("input_layernorm", "post_attention_layernorm")}
    names |= {text + "norm.weight", vision + "embeddings.position_embedding.weight"}
    assert kept == {re.sub(r"\d+", "i", name) for name in names}
    export(tmp_path, load(directory, robot_dim=8), STATISTICS, FILE, compact=True)
    smaller = load_file(tmp_path / "model.safetensors")
    changed = {name for name, value in tensors.items() if smaller[name].dtype != value.dtype}
    assert changed == {name for name in tensors if name.endswith(".dense.weight")}
    assert "Problems    none" in pi05("inspect", str(tmp_path))


@torch.no_grad()
@pytest.mark.parametrize("rtc", ["none", "trained", "guided"])
@pytest.mark.parametrize("mask", [[1, 1, 0], [0, 1, 0]])
def test_the_engine_gives_the_same_actions(directory, tmp_path, rtc, mask):
    model = load(directory, robot_dim=8)
    images = torch.randint(0, 256, (2, 480, 640, 3), dtype=torch.uint8)
    images[1, :, :320] //= 4
    ids = torch.tensor(TOKENIZER.encode("put the red block into the bowl", np.linspace(-1.1, 1.1, 8)))
    noise, previous = torch.randn(15, 32), torch.randn(9, 32)
    case = {
        "image_0": images[0].clone(),
        "image_1": images[1].clone(),
        "image_mask": torch.tensor(mask, dtype=torch.int32),
        "tokens": ids.int(),
        "noise": noise,
    }
    flags: list[str] = []
    request = None
    if rtc == "trained":
        flags = ["--rtc", "trained", "--rtc-delay", "5"]
        request = TrainedPrefix(previous[None, :, :8], torch.tensor([5]))
    elif rtc == "guided":
        flags = ["--rtc", "guided", "--rtc-delay", "3", "--rtc-schedule", "exp"]
        flags += ["--rtc-horizon", "8", "--rtc-max-weight", "5"]
        request = Guidance(previous[None, :, :8], prefix_weights("exp", 3, 8, 15), 5.0)
    if request is not None:
        case["prev_chunk"] = previous
    save_file(case, tmp_path / "case.safetensors")
    files = ["--case", str(tmp_path / "case.safetensors"), "--out", str(tmp_path / "out.safetensors")]
    pi05("infer", "--checkpoint", str(directory), *files, "--backend", "cpu", "--trace", *flags)
    engine = load_file(tmp_path / "out.safetensors")

    slots = [slot for slot in range(2) if mask[slot] == 1]
    resized = resize(images, 160)[slots]
    padded = torch.nn.functional.pad(ids, (0, 40 - len(ids)), value=9)
    cache = model.encode_prefix(resized[None], padded[None], torch.tensor([len(ids)]))
    velocities: list[torch.Tensor] = []
    actions = sample(model, cache, noise[None, :, :8], rtc=request, velocities=velocities)
    valid = int(cache.valid.sum())
    tokens = model.image_tokens(resized[None])[0].split(100)
    for slot, expected in zip(slots, tokens, strict=True):
        assert relative_error(engine[f"siglip_{slot}"], expected) <= 1e-5
    for layer, name in enumerate(["0", "1", "2", "3", "last"]):
        assert relative_error(engine[f"prefix_k_{name}"], cache.keys[layer][0, :valid]) <= 3e-5
        assert relative_error(engine[f"prefix_v_{name}"], cache.values[layer][0, :valid]) <= 1e-5
    assert relative_error(engine["v_t_0"][:, :8], velocities[0][0]) <= 1e-5
    assert relative_error(engine["actions"][:, :8], actions[0]) <= 1e-5
    assert not engine["v_t_0"][:, 8:].any() or rtc == "guided"  # padding has no velocity of its own
    assert (velocities[0][0].std() > 0.1).item()


def test_the_node_s_tokenizer_gives_the_same_ids(directory):
    numbers = list(NUMBERS)
    states = [[*numbers[i:], *numbers[:i]] for i in range(0, len(numbers), 37)]
    texts = [prompt_text(prompt, [-1, 0, 7, 42, 128, 199, 254, 255]) for prompt in PROMPTS]
    texts += [prompt_text("touch it", state) for state in states]
    texts += [f" {word} {word.capitalize()} {word.upper()}" for word in COMMON_WORDS]
    script = """
        const { Tokenizer } = await import(process.argv[1]);
        const { readFileSync } = await import('node:fs');
        const tokenizer = await Tokenizer.load(process.argv[2]);
        const texts = JSON.parse(readFileSync(0, 'utf8'));
        const { bos, vocab } = tokenizer;
        console.log(JSON.stringify({ bos, vocab, ids: texts.map((text) => [bos, ...tokenizer.encode(text)]) }));
    """
    module = ROOT / "dist" / "policy" / "tokenizer" / "tokenizer.js"
    command = ["node", "--input-type=module", "-e", script, str(module), str(directory)]
    result = subprocess.run(command, input=json.dumps(texts), capture_output=True, text=True, check=True)
    node = json.loads(result.stdout)
    assert node["bos"] == 2
    assert node["vocab"] == TOKENIZER.size
    for text, ids in zip(texts, node["ids"], strict=True):
        assert ids == TOKENIZER.encode_text(text), text
