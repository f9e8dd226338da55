"""The model, its averaged copy and the optimiser."""

import copy
import dataclasses
import json
import pathlib
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn

from training import checkpoint
from training.batch_policy import PROMPT_LENGTH, ROBOT_DIM, BatchPolicy, Statistics, image_height, load_statistics
from training.dimensions import Dimensions
from training.flow import Draws, draw, flow_loss
from training.frames import FrameRing, PromptTable, degrade, jitter, letterbox
from training.model import Pi05
from training.preprocess import quantile_statistics
from training.tokenizer import PromptTokenizer, build_tokenizer
from training.workers import AUXILIARY, CAMERAS

MAX_DELAY = 8  # rows of a known prefix
DELAY_PROBABILITY = 0.25  # of a draw of a frame that was labelled without a prefix
AUXILIARY_WEIGHT = 0.1
EMA_DECAY = 0.998
WEIGHT_DECAY = 0.02
MAX_GRADIENT_NORM = 1.0


@dataclasses.dataclass(frozen=True)
class Settings:
    batch: int
    draws: int  # flow draws per frame
    learning_rate: float
    warm_up: int  # optimiser steps
    capacity: int  # frames in memory
    observations: int  # the most of one inference
    seed: int = 0


class Trainer:
    """Trains on the frames in `ring`. `policy` acts with the averaged weights; it is None until there are
    statistics.
    """

    def __init__(
        self,
        dims: Dimensions,
        settings: Settings,
        words: Iterable[str],
        device: torch.device,
        resume: pathlib.Path | None = None,
    ) -> None:
        """`words`: of the prompts, for the tokenizer. `resume`: a checkpoint to continue from, with its statistics."""
        self.device, self.dims, self.settings = device, dims, settings
        old = _words(resume) if resume else set()
        self.tokenizer_json = build_tokenizer({word for word in words if word.isalpha()} | old)
        tokenizer = PromptTokenizer(self.tokenizer_json)
        if tokenizer.size > dims.prefix.vocab:
            raise ValueError(f"Expected at most {dims.prefix.vocab} tokens, received {tokenizer.size}")
        self.model = Pi05(dims, ROBOT_DIM, AUXILIARY)
        with torch.no_grad():
            table = tokenizer.initial_embedding(dims.prefix.width, np.random.default_rng(settings.seed))
            self.model.embedding[: len(table)] = torch.from_numpy(table)
        if resume:
            self._load(resume)
        self.model.to(device)
        self.average = copy.deepcopy(self.model).requires_grad_(False).eval()
        decayed = [p for p in self.model.parameters() if p.ndim >= 2]
        others = [p for p in self.model.parameters() if p.ndim < 2]
        self.optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": WEIGHT_DECAY}, {"params": others, "weight_decay": 0.0}],
            lr=settings.learning_rate,
            betas=(0.9, 0.95),
            fused=device.type == "cuda",
        )
        self.prompts = PromptTable(tokenizer, PROMPT_LENGTH, device)
        size = dims.vision.image_size
        image = (len(CAMERAS), image_height(size), size, 3)
        self.ring = FrameRing(settings.capacity, image, dims.action.horizon, AUXILIARY, device)
        self.statistics: Statistics | None = None
        self.policy: BatchPolicy | None = None
        if resume:
            self._set_statistics(load_statistics(resume))
        self.steps = 0
        self._loss = torch.compile(self._losses, dynamic=False) if device.type == "cuda" else self._losses

    def _load(self, directory: pathlib.Path) -> None:
        """Copies the weights of a checkpoint. Its tokens may have other ids."""
        trained = checkpoint.load(directory, ROBOT_DIM).state_dict()
        old = _vocabulary(directory)
        embedding = self.model.embedding.detach().clone()
        for piece, row in self.tokenizer_json["model"]["vocab"].items():
            if piece in old:
                embedding[row] = trained["embedding"][old[piece]]
        self.model.load_state_dict(trained | {"embedding": embedding}, strict=False)  # but the auxiliary head

    def measure_statistics(self) -> None:
        """From the frames so far."""
        count = self.ring.count
        label = self.ring.label[:count].double().cpu().numpy().reshape(-1, ROBOT_DIM)
        state = self.ring.state[:count].double().cpu().numpy()
        self._set_statistics({"state": state_statistics(state), "actions": quantile_statistics(label)})

    def _set_statistics(self, statistics: Statistics) -> None:
        self.statistics = statistics
        self.policy = BatchPolicy(self.average, statistics, self.prompts, self.settings.observations, self.device)

    def step(self, progress: float) -> Tensor:
        """One optimiser step; `progress` 0 … 1 sets the learning rate. Returns the losses [2]: flow, auxiliary head."""
        settings, ring, normalize = self.settings, self.ring, self.policy.normalize
        rate = settings.learning_rate * 0.5 * (1 + np.cos(np.pi * min(progress, 1.0)))
        for group in self.optimizer.param_groups:
            group["lr"] = rate * min(1.0, (self.steps + 1) / settings.warm_up)
        rows = torch.randint(ring.count, (settings.batch,), device=self.device)
        images = ring.images[rows]
        tokens, counts = self.prompts.tokens(ring.prompt[rows], normalize("state", ring.state[rows]))
        actions = normalize("actions", ring.label[rows])
        draws = draw(actions, settings.draws, MAX_DELAY, DELAY_PROBABILITY)
        prefix = ring.delay[rows][:, None]
        draws.delays = torch.where(prefix > 0, prefix, draws.delays)
        flow, auxiliary = self._loss(images, tokens, counts, actions, ring.auxiliary[rows], draws)
        (flow + AUXILIARY_WEIGHT * auxiliary).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), MAX_GRADIENT_NORM)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        decay = min(EMA_DECAY, (self.steps + 1) / (self.steps + 10))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), 1.0 - decay)
        self.steps += 1
        return torch.stack([flow.detach(), auxiliary.detach()])

    def _losses(
        self, images: Tensor, tokens: Tensor, counts: Tensor, actions: Tensor, auxiliary: Tensor, draws: Draws
    ) -> tuple[Tensor, Tensor]:
        images = letterbox(degrade(jitter(images)), self.dims.vision.image_size)
        with torch.autocast(self.device.type, torch.bfloat16):
            cache = self.model.encode_prefix(images, tokens, counts)
            flow = flow_loss(self.model, cache, actions, draws)
            predicted = self.model.auxiliary(cache.summary).float()
        target = torch.where(auxiliary.isnan(), predicted.detach(), auxiliary)  # NaN: not known, no gradient
        return flow, nn.functional.smooth_l1_loss(predicted, target)

    def export(self, directory: pathlib.Path) -> int:
        """Writes the averaged weights as a checkpoint. Returns the size of `model.safetensors` in bytes."""
        return checkpoint.export(directory, self.average, self.statistics, self.tokenizer_json, compact=True)


def state_statistics(state: np.ndarray) -> dict[str, np.ndarray]:
    """As quantile_statistics of `state` [N, S], with the 0.1 % and 99.9 % quantiles: states beyond share a token."""
    statistics = quantile_statistics(state)
    statistics["q01"], statistics["q99"] = np.quantile(state, [0.001, 0.999], axis=0)
    return statistics


def _vocabulary(directory: pathlib.Path) -> dict[str, int]:
    return json.loads((directory / "tokenizer.json").read_text())["model"]["vocab"]


def _words(directory: pathlib.Path) -> set[str]:
    """The words of a checkpoint's tokenizer."""
    return {piece[1:] for piece in _vocabulary(directory) if piece[1:].isalpha() and piece[0] == "▁"}
