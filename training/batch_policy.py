"""The policy of many environments at once: from the observations of the workers to chunks, as one inference."""

import json
import pathlib

import numpy as np
import torch
from torch import Tensor

from training import checkpoint
from training.episodes import MAX_PREFIX
from training.flow import TrainedPrefix, flow_times, sample
from training.frames import PromptTable, letterbox
from training.model import Pi05
from training.preprocess import EPSILON
from training.tokenizer import PromptTokenizer
from training.workers import CAMERAS, Pool, Round

ROBOT_DIM = 8
PROMPT_LENGTH = 40  # tokens, padded
ROLLOUT_STEPS = 5  # flow steps while the policy moves the arms in training

Statistics = dict[str, dict[str, np.ndarray]]
"""Of `state` and `actions`: mean, std, q01 and q99 [ROBOT_DIM]."""


def image_height(image_size: int) -> int:
    """Rows of a 4:3 image in the square that the model sees."""
    return image_size * 3 // 4


def load_statistics(directory: pathlib.Path) -> Statistics:
    """The statistics of a checkpoint directory."""
    (path,) = directory.glob("assets/*/norm_stats.json")
    stored = json.loads(path.read_text())["norm_stats"]
    return {part: {key: np.array(row) for key, row in rows.items()} for part, rows in stored.items()}


class BatchPolicy:
    """Infers with `model`, whose weights may change between inferences, in bf16."""

    def __init__(
        self, model: Pi05, statistics: Statistics, prompts: PromptTable, observations: int, device: torch.device
    ) -> None:
        """`observations`: the most of one inference."""
        self.model, self.prompts, self._device = model, prompts, device
        self._quantiles = {
            part: [torch.tensor(statistics[part][key], dtype=torch.float32, device=device) for key in ("q01", "q99")]
            for part in ("state", "actions")
        }
        size = model.dims.vision.image_size
        image = (len(CAMERAS), image_height(size), size, 3)
        self._inputs = {
            "images": torch.zeros(observations, *image, dtype=torch.uint8, device=device),
            "state": torch.zeros(observations, ROBOT_DIM, device=device),
            "prompt": torch.zeros(observations, dtype=torch.long, device=device),
            "delay": torch.zeros(observations, dtype=torch.long, device=device),
            "prefix": torch.zeros(observations, MAX_PREFIX, ROBOT_DIM, device=device),
        }
        self._graphs: dict[int, tuple] = {}  # by flow steps: the captured inference and its result

    @classmethod
    def from_checkpoint(cls, directory: pathlib.Path, observations: int, device: torch.device) -> "BatchPolicy":
        """The policy of a checkpoint directory."""
        model = checkpoint.load(directory, ROBOT_DIM).to(device).requires_grad_(False)
        tokenizer = PromptTokenizer(json.loads((directory / "tokenizer.json").read_text()))
        prompts = PromptTable(tokenizer, PROMPT_LENGTH, device)
        return cls(model, load_statistics(directory), prompts, observations, device)

    def normalize(self, part: str, x: Tensor) -> Tensor:
        """`x` [..., ROBOT_DIM] of `state` or `actions` to about -1 … 1."""
        low, high = self._quantiles[part]
        return (x - low) / (high - low + EPSILON) * 2.0 - 1.0

    @torch.no_grad()
    def capture(self) -> None:
        """Captures the inferences with both numbers of flow steps as CUDA graphs. The GPU must be idle otherwise."""
        for steps in (ROLLOUT_STEPS, self.model.dims.num_steps) if self._device.type == "cuda" else ():
            self._infer(steps)  # warms up
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                chunks = self._infer(steps)
            self._graphs[steps] = graph, chunks

    def serve(self, pool: Pool, received: dict[int, Round], steps: int) -> None:
        """Fills the chunks of the environments that the policy moves, by one inference with `steps` flow steps."""
        rows = [(w, e) for w, report in received.items() for e, used in enumerate(report.by_policy) if used]
        if not rows:
            return
        observations = {
            part: np.stack([pool.arrays[w][f"observation_{part}"][e] for w, e in rows])
            for part in ("images", "state", "delay", "prefix")
        }
        chunks = self._act(observations, [received[w].prompts[e] for w, e in rows], steps)
        for (w, e), chunk in zip(rows, chunks, strict=True):
            pool.arrays[w]["chunks"][e] = chunk

    @torch.no_grad()
    def _act(self, observations: dict[str, np.ndarray], prompts: list[str], steps: int) -> np.ndarray:
        """Chunks [N, horizon, ROBOT_DIM] for `images` [N, cameras, height, width, 3] and `state` [N, ROBOT_DIM].

        The first `delay` [N] steps of the chunks are those of `prefix` [N, MAX_PREFIX, ROBOT_DIM].

        """
        count = len(prompts)
        for part, values in observations.items():
            self._inputs[part][:count].copy_(torch.from_numpy(values))
        self._inputs["prompt"][:count].copy_(self.prompts.index(prompts))
        if self._device.type != "cuda":
            return self._infer(steps, count).numpy()
        graph, chunks = self._graphs[steps]
        graph.replay()
        return chunks[:count].cpu().numpy()

    def _infer(self, steps: int, count: int | None = None) -> Tensor:
        """Chunks [count, horizon, ROBOT_DIM] of the first `count` rows of `_inputs`; of all by default."""
        inputs = {part: values[:count] for part, values in self._inputs.items()}
        dims = self.model.dims
        tokens, counts = self.prompts.tokens(inputs["prompt"], self.normalize("state", inputs["state"]))
        with torch.autocast(self._device.type, torch.bfloat16, cache_enabled=False):
            cache = self.model.encode_prefix(letterbox(inputs["images"], dims.vision.image_size), tokens, counts)
            noise = torch.randn(len(tokens), dims.action.horizon, ROBOT_DIM, device=self._device)
            known = TrainedPrefix(self.normalize("actions", inputs["prefix"]), inputs["delay"])
            chunk = sample(self.model, cache, noise, flow_times(steps), known).float()
        low, high = self._quantiles["actions"]
        return (chunk + 1.0) / 2.0 * (high - low + EPSILON) + low
