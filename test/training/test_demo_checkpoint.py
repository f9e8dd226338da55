"""The checkpoint in checkpoints/demo: its size, and the engine against PyTorch. Needs a checkout that is set up."""

import json
import os
import subprocess

os.environ.setdefault("MUJOCO_GL", "egl")

import numpy as np
import pytest
import torch
from conftest import ROOT, relative_error
from safetensors.torch import load_file, save_file

from sim.cameras import HEIGHT, WIDTH, Cameras
from sim.episode import EpisodeRun, deal
from sim.scene import Scene
from sim.tasks import TASKS, vocabulary
from training.checkpoint import load
from training.flow import Guidance, TrainedPrefix, prefix_weights, sample
from training.preprocess import normalize, resize
from training.tokenizer import PromptTokenizer, build_tokenizer

DIRECTORY = ROOT / "checkpoints" / "demo"
STATISTICS = json.loads((DIRECTORY / "assets" / "demo" / "norm_stats.json").read_text())["norm_stats"]
TOKENIZER = json.loads((DIRECTORY / "tokenizer.json").read_text())
MAX_TOKENS = json.loads((DIRECTORY / "pi05_model.json").read_text())["max_token_len"]


def pi05(*arguments: str) -> str:
    result = subprocess.run([ROOT / "bin" / "pi05", *arguments], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_it_is_at_most_15_mib():
    files = [path for path in DIRECTORY.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 15 * 2**20


def test_inspect_finds_no_problem():
    assert "Problems    none" in pi05("inspect", str(DIRECTORY))


def test_its_tokenizer_has_a_token_for_each_word_of_the_prompts():
    assert build_tokenizer(vocabulary())["model"]["vocab"] == TOKENIZER["model"]["vocab"]


@pytest.fixture(scope="module", params=range(4), ids=TASKS)
def observation(request) -> tuple[torch.Tensor, torch.Tensor]:
    """Both images [2, 480, 640, 3] and the token ids of a held-out layout after a second of motion."""
    scene = Scene()
    run = EpisodeRun(scene, deal(TASKS, 0, request.param))
    scene.control.set_velocity([0.2, 0.3, -0.1, 0.2, 0.1, -0.1, 0.3], "test")
    scene.gripper.set_position([0.02], "test")
    for _ in range(15):
        run.advance()
    images = {name: np.empty((HEIGHT, WIDTH, 3), np.uint8) for name in ("exterior", "wrist")}
    Cameras(scene.model).render(scene.data.qpos, images)
    state = np.append(scene.joint_positions, 1 - scene.finger_position / 0.04)
    ids = PromptTokenizer(TOKENIZER).encode(run.episode.prompt, normalize(state, STATISTICS["state"]))
    return torch.from_numpy(np.stack(list(images.values()))), torch.tensor(ids)


@torch.no_grad()
@pytest.mark.parametrize("rtc", ["none", "trained-1", "trained-3", "trained-8", "guided"])
def test_the_engine_gives_the_same_actions(observation, tmp_path, rtc):
    images, ids = observation
    model = load(DIRECTORY, robot_dim=8)
    size = model.dims.vision.image_size
    noise = torch.randn(15, 32)
    padded = torch.nn.functional.pad(ids, (0, MAX_TOKENS - len(ids)), value=9)
    cache = model.encode_prefix(resize(images, size)[None], padded[None], torch.tensor([len(ids)]))
    case = {
        "image_0": images[0].clone(),
        "image_1": images[1].clone(),
        "image_mask": torch.tensor([1, 1, 0], dtype=torch.int32),
        "tokens": ids.int(),
        "noise": noise,
    }
    flags: list[str] = []
    request = None
    if rtc != "none":
        # The previous chunk: one of the policy itself, from which 4 steps were executed, so that 11 remain.
        previous = torch.zeros(11, 32)
        previous[:, :8] = sample(model, cache, torch.randn(1, 15, 8))[0, 4:]
        case["prev_chunk"] = previous
    if rtc.startswith("trained"):
        delay = int(rtc[-1])
        flags = ["--rtc", "trained", "--rtc-delay", str(delay)]
        request = TrainedPrefix(previous[None, :, :8], torch.tensor([delay]))
    elif rtc == "guided":
        flags = ["--rtc", "guided", "--rtc-delay", "3", "--rtc-schedule", "exp"]
        flags += ["--rtc-horizon", "8", "--rtc-max-weight", "5"]
        request = Guidance(previous[None, :, :8], prefix_weights("exp", 3, 8, 15), 5.0)
    save_file(case, tmp_path / "case.safetensors")
    files = ["--case", str(tmp_path / "case.safetensors"), "--out", str(tmp_path / "out.safetensors")]
    pi05("infer", "--checkpoint", str(DIRECTORY), *files, "--backend", "cpu", "--trace", *flags)
    engine = load_file(tmp_path / "out.safetensors")

    velocities: list[torch.Tensor] = []
    actions = sample(model, cache, noise[None, :, :8], rtc=request, velocities=velocities)
    valid = int(cache.valid.sum())
    tokens = model.image_tokens(resize(images, size)[None])[0].split((size // 16) ** 2)
    errors = {f"siglip_{slot}": relative_error(engine[f"siglip_{slot}"], tokens[slot]) for slot in range(2)}
    for layer, name in enumerate(["0", "1", "2", "3", "last"]):
        errors[f"prefix_k_{name}"] = relative_error(engine[f"prefix_k_{name}"], cache.keys[layer][0, :valid])
        errors[f"prefix_v_{name}"] = relative_error(engine[f"prefix_v_{name}"], cache.values[layer][0, :valid])
    errors["v_t_0"] = relative_error(engine["v_t_0"][:, :8], velocities[0][0])
    errors["actions"] = relative_error(engine["actions"][:, :8], actions[0])
    print({name: f"{error:.1e}" for name, error in errors.items()})
    tolerances = {name: 3e-5 if name.startswith("prefix_k") else 1e-5 for name in errors}  # those of the fixtures
    assert {name: error for name, error in errors.items() if error > tolerances[name]} == {}
    if rtc.startswith("trained"):
        assert torch.equal(engine["actions"][:delay, :8], previous[:delay, :8])
