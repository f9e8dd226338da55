"""A checkpoint as a policy in the simulator, against the node's own code: prompt, tokens, noise, inference, units.

Needs a checkout that is set up.
"""

import base64
import json
import re
import subprocess
import types

import numpy as np
import pytest
import torch
from conftest import ROOT

from sim.tasks import vocabulary
from training.checkpoint import export
from training.dimensions import demo_dimensions
from training.engine import Engine
from training.model import Pi05
from training.policy import CheckpointPolicy, TorchInference
from training.tokenizer import build_tokenizer

SEED, STAMP = 7, 20_066_666_667
FINGER_OPEN = 0.04  # m
TOLERANCE = 1e-5  # measured: 6e-7


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """Random weights, and statistics in which no two numbers are equal."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    model = Pi05(demo_dimensions(), robot_dim=8)
    with torch.no_grad():
        model.action_out.weight.mul_(5.0)
    low, high = rng.uniform(-3, -1, (2, 8)), rng.uniform(1, 3, (2, 8))
    statistics = {
        part: {"mean": np.zeros(8), "std": np.ones(8), "q01": low[i], "q99": high[i]}
        for i, part in enumerate(("state", "actions"))
    }
    path = tmp_path_factory.mktemp("checkpoint")
    export(path, model, statistics, build_tokenizer(vocabulary()))
    return path


@pytest.fixture(scope="module")
def observation():
    rng = np.random.default_rng(1)
    state = np.append(rng.uniform(-1, 1, 7), 0.25)
    images = {camera: rng.integers(0, 256, (480, 640, 3), dtype=np.uint8) for camera in ("exterior", "wrist")}
    return types.SimpleNamespace(
        stamp=STAMP, prompt="Put the red block on the blue one, please.", state=state, images=images, continuation=None
    )


def node_chunk(checkpoint, observation, directory):
    """The chunk of the node in model units [horizon, 8], with the cameras, joints and units of configs/demo.yaml."""
    demo = (ROOT / "configs" / "demo.yaml").read_text()
    changed = re.sub(r"( checkpoint:) .*", rf"\1 {checkpoint}", re.sub(r"( seed:) \d+", rf"\1 {SEED}", demo))
    parameters = directory / "demo.yaml"
    parameters.write_text(changed)
    views = {
        name: {"width": 640, "height": 480, "pixels": base64.b64encode(image.tobytes()).decode()}
        for name, image in observation.images.items()
    }
    content = {"stamp": str(observation.stamp), "prompt": observation.prompt, "views": views}
    command = ["node", ROOT / "test" / "ros" / "reference.mjs", parameters]
    text = json.dumps(content | {"state": observation.state.tolist()})
    result = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    values = np.array(json.loads(result.stdout)["values"]).reshape(-1, 8)
    arm_scale = float(re.search(r"scale: (\S+) # rad/s at model value", demo)[1])
    return np.column_stack([values[:, :7] / arm_scale, 1 - values[:, 7] / FINGER_OPEN])


def test_a_chunk_is_that_of_the_node(checkpoint, observation, tmp_path):
    expected = node_chunk(checkpoint, observation, tmp_path)
    with Engine(checkpoint, "cpu", threads=1) as engine:
        for inference in (TorchInference(checkpoint), engine):
            chunk = CheckpointPolicy(checkpoint, inference, SEED)(observation).values
            arm = np.clip(chunk[:, :7], -1, 1)  # the node has applied `bound: clip`
            error = np.abs(arm - expected[:, :7]).max()
            print(f"error {error:.1e}, tolerance {TOLERANCE:.0e}")
            assert error < TOLERANCE
            assert np.array_equal(chunk[:, 7] > 0.5, expected[:, 7] > 0.5)  # the node has made it 0 or 1
        assert np.abs(expected[:, :7]).max() > 0.1
