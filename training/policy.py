"""A checkpoint as a policy: from an observation of the simulated arm to a chunk, as the node computes it."""

import json
import pathlib
from typing import Protocol

import numpy as np
import torch

from sim.execution import Chunk, Continuation
from sim.noise import noise
from sim.rollout import CAMERAS, Observation
from training.checkpoint import load
from training import engine, flow
from training.preprocess import normalize, resize, unnormalize
from training.tokenizer import PromptTokenizer

ACTIONS = 8  # 7 joint velocities and the gripper


class Inference(Protocol):
    """`TorchInference`, or `training.engine.Engine`."""

    def infer(
        self,
        images: list[np.ndarray],
        tokens: list[int],
        noise: np.ndarray,
        prefix: engine.Prefix | None = None,
    ) -> np.ndarray:
        """Normalised actions [horizon, action_dim] of uint8 images [height, width, 3], token ids and noise."""
        ...


class TorchInference:
    """The PyTorch model of a checkpoint, in float32."""

    def __init__(self, checkpoint: str | pathlib.Path, device: str = "cpu", threads: int = 0) -> None:
        """`threads`: of the process on the CPU, 0 = one per core."""
        if threads:
            torch.set_num_threads(threads)
        self.model = load(checkpoint).to(device)
        self._device = device

    @torch.inference_mode()
    def infer(
        self,
        images: list[np.ndarray],
        tokens: list[int],
        noise: np.ndarray,
        prefix: engine.Prefix | None = None,
    ) -> np.ndarray:
        size = self.model.dims.vision.image_size
        pixels = torch.from_numpy(np.stack(images)).to(self._device)
        ids = torch.tensor([tokens], device=self._device)
        counts = torch.tensor([len(tokens)], device=self._device)
        cache = self.model.encode_prefix(resize(pixels, size)[None], ids, counts)
        rtc = None if prefix is None else self._known(prefix, len(noise))
        start = torch.from_numpy(noise).to(self._device)[None]
        return flow.sample(self.model, cache, start, rtc=rtc)[0].cpu().numpy()

    def _known(self, prefix: engine.Prefix, horizon: int) -> flow.TrainedPrefix | flow.Guidance:
        """What the flow of `horizon` rows is made to agree with."""
        previous = torch.from_numpy(prefix.previous).to(self._device)[None]
        if isinstance(prefix, engine.TrainedPrefix):
            return flow.TrainedPrefix(previous, torch.tensor([prefix.delay], device=self._device))
        end = min(prefix.execution_horizon, len(prefix.previous))
        weights = flow.prefix_weights(prefix.schedule, prefix.delay, end, horizon)
        return flow.Guidance(previous, weights.to(self._device), prefix.max_weight)


class CheckpointPolicy:
    """Call it with an observation of `sim.rollout`. The noise is that of the node, from its seed and the stamp."""

    def __init__(self, checkpoint: str | pathlib.Path, inference: Inference, seed: int = 0) -> None:
        directory = pathlib.Path(checkpoint)
        (statistics,) = directory.glob("assets/*/norm_stats.json")
        self._statistics = json.loads(statistics.read_text())["norm_stats"]
        self._tokenizer = PromptTokenizer(json.loads((directory / "tokenizer.json").read_text()))
        action = json.loads((directory / "pi05_model.json").read_text())["action"]
        self._shape = action["horizon"], action["dim"]
        self._inference = inference
        self._seed = seed

    def __call__(self, observation: Observation) -> Chunk:
        """A chunk in model units: velocities, 1.0 is 3 rad/s, and the gripper, 0 open … 1 closed."""
        images = [observation.images[camera] for camera in CAMERAS]
        tokens = self._tokenizer.encode(observation.prompt, normalize(observation.state, self._statistics["state"]))
        start = noise(self._seed, observation.stamp, self._shape[0] * self._shape[1]).reshape(self._shape)
        actions = self._inference.infer(images, tokens, start, prefix_of(observation.continuation))
        return Chunk(unnormalize(actions[:, :ACTIONS], self._statistics["actions"]), actions)


def prefix_of(continuation: Continuation | None) -> engine.Prefix | None:
    """What the engine is given in modes rtc and rtc_trained; None in other modes."""
    if continuation is None:
        return None
    if continuation.mode == "rtc_trained":
        return engine.TrainedPrefix(continuation.previous, continuation.delay)
    return engine.Guidance(continuation.previous, continuation.delay, continuation.execution_horizon)
