"""The model against the golden data of openpi and LeRobot, with the tolerances of the native tests."""

import json

import pytest
import torch
from conftest import FIXTURES, relative_error
from safetensors.torch import load_file

from training.checkpoint import load
from training.flow import Guidance, TrainedPrefix, flow_times, prefix_weights, sample
from training.model import Pi05, PrefixCache

CASES = [
    ("tiny-openpi", "case_two_cameras_short_prompt"),
    ("tiny-openpi", "case_two_cameras_max_prompt"),
    ("tiny-openpi", "case_three_cameras"),
    ("tiny-openpi", "case_one_camera"),
    ("tiny-lerobot", "case_two_cameras"),
]


def encode(model: Pi05, case: dict[str, torch.Tensor], padding: int = 0) -> PrefixCache:
    """The prefix of a golden case, with `padding` more tokens that are not valid."""
    images = torch.stack([case[f"image_{slot}"] for slot in range(3) if case["image_mask"][slot] == 1])
    tokens = torch.nn.functional.pad(case["tokens"].long(), (0, padding), value=7)
    return model.encode_prefix(images[None], tokens[None], torch.tensor([len(case["tokens"])]))


@torch.no_grad()
@pytest.mark.parametrize("padding", [0, 13])
@pytest.mark.parametrize(("directory", "name"), CASES)
def test_intermediates_and_actions_equal_the_reference(directory, name, padding):
    model = load(FIXTURES / directory)
    case = load_file(FIXTURES / directory / f"{name}.safetensors")
    images = [case[f"image_{slot}"] for slot in range(3) if case["image_mask"][slot] == 1]
    for slot, image in enumerate(images):
        assert relative_error(model.image_tokens(image[None, None])[0], case[f"siglip_{slot}"]) <= 1e-5

    cache = encode(model, case, padding)
    valid = int(cache.valid.sum())
    for label, layer in (("0", 0), ("last", -1)):
        assert relative_error(cache.keys[layer][0, :valid], case[f"prefix_k_{label}"]) <= 3e-5
        assert relative_error(cache.values[layer][0, :valid], case[f"prefix_v_{label}"]) <= 1e-5
    if "time_cond_0" in case:
        assert relative_error(model.condition(torch.tensor(1.0)), case["time_cond_0"]) <= 1e-5

    velocities = []
    times = flow_times(10, directory.removeprefix("tiny-"))
    actions = sample(model, cache, case["noise"][None], times, velocities=velocities)
    assert relative_error(velocities[0][0], case["v_t_0"]) <= 1e-5
    assert relative_error(velocities[-1][0], case["v_t_last"]) <= 1e-5
    assert relative_error(actions[0], case["actions"]) <= 1e-5
    if "actions_steps_5" in case:
        actions = sample(model, cache, case["noise"][None], flow_times(5))
        assert relative_error(actions[0], case["actions_steps_5"]) <= 1e-5
    if "times" in case:
        assert torch.equal(torch.tensor(times), case["times"])


@torch.no_grad()
@pytest.mark.parametrize("run", json.loads((FIXTURES / "tiny-lerobot/case_two_cameras_rtc.json").read_text())["runs"])
def test_real_time_chunking_equals_lerobot_s(run):
    model = load(FIXTURES / "tiny-lerobot")
    golden = load_file(FIXTURES / "tiny-lerobot/case_two_cameras_rtc.safetensors")
    case = load_file(FIXTURES / "tiny-lerobot/case_two_cameras.safetensors")
    previous, delay = golden["prev_chunk"][None], run["inference_delay"]
    if run["mode"] == "trained":
        rtc = TrainedPrefix(previous, torch.tensor([delay]))
    else:
        end = min(run["execution_horizon"], previous.shape[1])
        rtc = Guidance(previous, prefix_weights(run["schedule"], delay, end, 10), run["max_guidance_weight"])
        assert torch.allclose(rtc.weights, golden[f"{run['name']}_weights"], atol=1e-6)
    velocities = []
    times = flow_times(10, "lerobot")
    actions = sample(model, encode(model, case), case["noise"][None], times, rtc, velocities)
    assert relative_error(actions[0], golden[f"{run['name']}_actions"]) <= 1e-5
    if f"{run['name']}_velocity_0" in golden:
        assert relative_error(velocities[0][0], golden[f"{run['name']}_velocity_0"]) <= 1e-5


@torch.no_grad()
def test_draws_and_padding_do_not_affect_each_other():
    model = load(FIXTURES / "tiny-openpi")
    case = load_file(FIXTURES / "tiny-openpi/case_two_cameras_short_prompt.safetensors")
    x, times = torch.randn(1, 3, 10, 32), torch.tensor([[0.9, 0.4, 0.1]])
    known = torch.arange(10) < torch.tensor([[0, 4, 8]])[..., None]
    together = model.velocity(encode(model, case, padding=5), x, times, known)
    for draw in range(3):
        of_draw = slice(draw, draw + 1)
        alone = model.velocity(encode(model, case), x[:, of_draw], times[:, of_draw], known[:, of_draw])
        assert relative_error(together[:, of_draw], alone) <= 1e-5
