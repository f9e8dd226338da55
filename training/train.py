"""`python -m training.train`: trains the demo policy by imitation of the scripted expert, on one GPU.

Processes simulate and render episodes (workers.py) while the GPU trains on the frames seen so far. At first the noisy expert
moves the arms. Then the policy (the average of its weights) moves most of them and the expert only labels what is seen, so
that the policy learns to recover from its own errors (DAgger, Ross et al. 2011). The learning rate follows a cosine to 0
over the given time; only the averaged weights at the end are a policy worth judging.
"""

import argparse
import copy
import json
import os
import pathlib
import threading
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")  # each worker has one core

import numpy as np
import torch
from torch import Tensor, nn

from sim.tasks import TASKS, vocabulary
from training import checkpoint
from training.dimensions import demo_dimensions
from training.episodes import MAX_PREFIX, Assignment
from training.flow import Draws, TrainedPrefix, draw, flow_loss, flow_times, sample
from training.frames import FrameRing, PromptTable, jitter, letterbox
from training.model import Pi05
from training.preprocess import quantile_statistics
from training.tokenizer import PromptTokenizer, build_tokenizer
from training.workers import AUXILIARY, CAMERAS, HeldOut, Pool, Round

ROBOT_DIM = 8
MAX_DELAY = 8  # rows of a known prefix in training
PROMPT_LENGTH = 40  # tokens, padded
AUXILIARY_WEIGHT = 0.1
ROLLOUT_STEPS = 5  # flow steps while the policy moves the arms
SERVE_EVERY = 2  # optimiser steps
EMA_DECAY = 0.998
WARM_UP = 200  # optimiser steps
KIND_WEIGHTS = (0.5, 0.9, 1.2, 1.7)  # of episodes, in the order of TASKS


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training.train", description=__doc__)
    parser.add_argument("--out", type=pathlib.Path, required=True, help="directory of the checkpoint")
    parser.add_argument("--resume", type=pathlib.Path, help="a checkpoint of an earlier run to continue from")
    parser.add_argument("--seconds", type=float, default=420, help="of training (420)")
    parser.add_argument("--imitation", type=float, default=0.2, help="share of the time before the policy moves the arms")
    parser.add_argument("--workers", type=int, default=15)
    parser.add_argument("--environments", type=int, default=12, help="simulated arms of each worker (12)")
    parser.add_argument("--capacity", type=int, default=420_000, help="frames in GPU memory")
    parser.add_argument("--first-frames", type=int, default=6000, help="frames of the expert before training starts (6000)")
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--draws", type=int, default=2, help="flow draws per frame (2)")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--evaluate", type=int, default=100, help="held-out episodes per task at the end (100)")
    parser.add_argument("--evaluate-delays", type=int, nargs="*", default=[0, 3], help="in ticks")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


class Trainer:
    """The model, its averaged copy and the optimiser. Normalises with statistics of the expert's frames."""

    def __init__(self, options: argparse.Namespace, device: torch.device) -> None:
        dims = demo_dimensions()
        self.device, self.dims, self.options = device, dims, options
        self.tokenizer_json = build_tokenizer(word for word in vocabulary() if word.isalpha())
        tokenizer = PromptTokenizer(self.tokenizer_json)
        self.model = Pi05(dims, ROBOT_DIM, AUXILIARY)
        rng = np.random.default_rng(options.seed)
        with torch.no_grad():
            table = torch.from_numpy(tokenizer.initial_embedding(dims.prefix.width, rng))
            self.model.embedding[: len(table)] = table
        self.statistics: dict | None = None
        if options.resume:
            self._resume(options.resume)
        self.model.to(device)
        self.average = copy.deepcopy(self.model).requires_grad_(False).eval()
        decayed = [p for p in self.model.parameters() if p.ndim >= 2]
        others = [p for p in self.model.parameters() if p.ndim < 2]
        self.optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": 0.02}, {"params": others, "weight_decay": 0.0}],
            lr=options.learning_rate,
            betas=(0.9, 0.95),
            fused=device.type == "cuda",
        )
        self.prompts = PromptTable(tokenizer, PROMPT_LENGTH, device)
        self.ring = FrameRing(
            options.capacity, (len(CAMERAS), image_height(dims), dims.vision.image_size, 3), dims.action.horizon, AUXILIARY, device
        )
        count = options.workers * options.environments
        self._inputs = {
            "images": torch.zeros(count, *self.ring.images.shape[1:], dtype=torch.uint8, device=device),
            "state": torch.zeros(count, ROBOT_DIM, device=device),
            "prompt": torch.zeros(count, dtype=torch.long, device=device),
            "delay": torch.zeros(count, dtype=torch.long, device=device),
            "prefix": torch.zeros(count, MAX_PREFIX, ROBOT_DIM, device=device),
        }
        self._graphs: dict[int, tuple] = {}  # by flow steps: the captured inference and its result
        self.steps = 0
        compiled = device.type == "cuda"
        self._loss = torch.compile(self._losses, dynamic=False) if compiled else self._losses

    def _resume(self, directory: pathlib.Path) -> None:
        trained = checkpoint.load(directory, ROBOT_DIM).state_dict()
        old = json.loads((directory / "tokenizer.json").read_text())["model"]["vocab"]
        embedding = self.model.embedding.detach().clone()
        for piece, row in self.tokenizer_json["model"]["vocab"].items():
            if piece in old:
                embedding[row] = trained["embedding"][old[piece]]
        self.model.load_state_dict(trained | {"embedding": embedding}, strict=False)
        stored = json.loads((directory / "assets" / "demo" / "norm_stats.json").read_text())["norm_stats"]
        self._set_statistics({part: {key: np.array(row) for key, row in rows.items()} for part, rows in stored.items()})

    def _set_statistics(self, statistics: dict) -> None:
        self.statistics = statistics
        self._quantiles = {
            part: [torch.tensor(statistics[part][key], dtype=torch.float32, device=self.device) for key in ("q01", "q99")]
            for part in ("state", "actions")
        }

    def measure_statistics(self) -> None:
        """From the frames so far."""
        label = self.ring.label[: self.ring.count].double().cpu().numpy().reshape(-1, ROBOT_DIM)
        state = self.ring.state[: self.ring.count].double().cpu().numpy()
        self._set_statistics({"state": state_statistics(state), "actions": quantile_statistics(label)})

    def normalize(self, part: str, x: Tensor) -> Tensor:
        low, high = self._quantiles[part]
        return (x - low) / (high - low + 1e-6) * 2.0 - 1.0

    def _losses(self, images: Tensor, tokens: Tensor, counts: Tensor, actions: Tensor, auxiliary: Tensor, draws: Draws):
        images = letterbox(jitter(images), self.dims.vision.image_size)
        with torch.autocast(self.device.type, torch.bfloat16):
            cache = self.model.encode_prefix(images, tokens, counts)
            flow = flow_loss(self.model, cache, actions, draws)
            predicted = self.model.auxiliary(cache.summary).float()
        return flow, nn.functional.smooth_l1_loss(predicted, auxiliary)

    def step(self, progress: float) -> tuple[Tensor, Tensor]:
        """One optimiser step; `progress` 0 … 1 sets the learning rate. Returns the losses of flow and auxiliary head."""
        options, ring = self.options, self.ring
        rate = options.learning_rate * 0.5 * (1 + np.cos(np.pi * min(progress, 1.0)))
        for group in self.optimizer.param_groups:
            group["lr"] = rate * min(1.0, (self.steps + 1) / WARM_UP)
        rows = torch.randint(ring.count, (options.batch,), device=self.device)
        images = ring.images[rows]
        tokens, counts = self.prompts.tokens(ring.prompt[rows], self.normalize("state", ring.state[rows]))
        actions = self.normalize("actions", ring.label[rows])
        draws = draw(actions, options.draws, MAX_DELAY, 0.25)
        prefix = ring.delay[rows][:, None]
        draws.delays = torch.where(prefix > 0, prefix, draws.delays)
        flow, auxiliary = self._loss(images, tokens, counts, actions, ring.auxiliary[rows], draws)
        (flow + AUXILIARY_WEIGHT * auxiliary).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        decay = min(EMA_DECAY, (self.steps + 1) / (self.steps + 10))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), 1.0 - decay)
        self.steps += 1
        return flow.detach(), auxiliary.detach()

    @torch.no_grad()
    def act(
        self, images: np.ndarray, state: np.ndarray, delay: np.ndarray, prefix: np.ndarray, prompts: list[str], steps: int
    ) -> np.ndarray:
        """Chunks [N, horizon, 8] of the averaged policy for observations: images [N, C, height, width, 3], states [N, 8], of
        whose chunks the first `delay` [N] steps are those of `prefix` [N, MAX_PREFIX, 8]."""
        count, inputs = len(images), self._inputs
        inputs["images"][:count].copy_(torch.from_numpy(images))
        inputs["state"][:count].copy_(torch.from_numpy(state))
        inputs["delay"][:count].copy_(torch.from_numpy(delay))
        inputs["prefix"][:count].copy_(torch.from_numpy(prefix))
        inputs["prompt"][:count].copy_(self.prompts.index(prompts))
        if self.device.type != "cuda":
            return self._infer(steps)[:count].numpy()
        graph, chunks = self._graphs[steps]
        graph.replay()
        return chunks[:count].cpu().numpy()

    @torch.no_grad()
    def capture(self) -> None:
        """Captures the inferences with both numbers of flow steps as CUDA graphs. Nothing else may use the GPU meanwhile."""
        for steps in (ROLLOUT_STEPS, self.dims.num_steps) if self.device.type == "cuda" else ():
            self._infer(steps)  # warms up
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                chunks = self._infer(steps)
            self._graphs[steps] = graph, chunks

    def _infer(self, steps: int) -> Tensor:
        """Chunks [most observations, horizon, 8] of `_inputs`."""
        inputs = self._inputs
        tokens, counts = self.prompts.tokens(inputs["prompt"], self.normalize("state", inputs["state"]))
        with torch.autocast(self.device.type, torch.bfloat16, cache_enabled=False):
            cache = self.average.encode_prefix(letterbox(inputs["images"], self.dims.vision.image_size), tokens, counts)
            noise = torch.randn(len(tokens), self.dims.action.horizon, ROBOT_DIM, device=self.device)
            known = TrainedPrefix(self.normalize("actions", inputs["prefix"]), inputs["delay"])
            chunk = sample(self.average, cache, noise, flow_times(steps), known).float()
        low, high = self._quantiles["actions"]
        return (chunk + 1.0) / 2.0 * (high - low + 1e-6) + low

    def export(self, directory: pathlib.Path) -> int:
        return checkpoint.export(directory, self.average, self.statistics, self.tokenizer_json, compact=True)


def state_statistics(state: np.ndarray) -> dict[str, np.ndarray]:
    """As quantile_statistics, but of the 0.1 % and 99.9 % quantiles: a state beyond them has no bin of its own."""
    statistics = quantile_statistics(state)
    statistics["q01"], statistics["q99"] = np.quantile(state, [0.001, 0.999], axis=0)
    return statistics


def image_height(dims) -> int:
    """Rows of a 4:3 image in the square that the model sees."""
    return dims.vision.image_size * 3 // 4


def serve(pool: Pool, trainer: Trainer, received: dict[int, Round], steps: int) -> None:
    """Fills the chunks of the workers whose environments the policy moves, with one inference for all of them."""
    rows = [(w, e) for w, report in received.items() for e, used in enumerate(report.by_policy) if used]
    if not rows:
        return
    inputs = [np.stack([pool.arrays[w][f"observation_{part}"][e] for w, e in rows]) for part in ("images", "state", "delay", "prefix")]
    for (w, e), chunk in zip(rows, trainer.act(*inputs, [received[w].prompts[e] for w, e in rows], steps), strict=True):
        pool.arrays[w]["chunks"][e] = chunk


def train(options: argparse.Namespace, pool: Pool, trainer: Trainer, log) -> list[dict]:
    """Trains for `options.seconds`. Returns the learning curve."""
    curve: list[dict] = []
    losses: list[Tensor] = []
    outcomes: dict[str, list[bool]] = {kind: [] for kind in TASKS}
    begin, shown, by_policy, compiler = None, 0.0, bool(options.resume), None
    unchanged: set[int] = set()
    if trainer.statistics is not None:
        trainer.capture()
    while True:
        due = begin is None or trainer.steps % SERVE_EVERY == 0
        received = {index: pool.receive(index) for index in pool.ready()} if due else {}
        for index, report in received.items():
            if report.frames:
                trainer.ring.add(pool.arrays[index], report.frames, trainer.prompts.index(report.frame_prompts))
            for outcome in report.outcomes:
                if outcome.by_policy:
                    outcomes[outcome.kind].append(outcome.outcome == "success")
        if compiler is None and trainer.ring.count >= options.first_frames:
            if trainer.statistics is None:
                trainer.measure_statistics()
                trainer.capture()
            compiler = threading.Thread(target=trainer.step, args=(0.0,))
            compiler.start()
        if begin is None and compiler is not None and not compiler.is_alive():
            begin = time.monotonic()
            log(f"start with {trainer.ring.count} frames")
        progress = 0.0 if begin is None else (time.monotonic() - begin) / options.seconds
        if not by_policy and progress >= options.imitation:
            by_policy = True
            unchanged = set(range(len(pool.pipes)))
        if trainer.statistics is not None:
            serve(pool, trainer, received, ROLLOUT_STEPS)
        for index in received:
            changed = by_policy and index in unchanged
            if changed:
                unchanged.discard(index)
            pool.proceed(index, assignment(0.75) if changed else None)
        if begin is None:
            time.sleep(0.01)
            continue
        losses.append(torch.stack(trainer.step(progress)))
        elapsed = time.monotonic() - begin
        if elapsed - shown >= 15 or progress >= 1:
            shown = elapsed
            flow, auxiliary = torch.stack(losses).mean(0).tolist()
            losses.clear()
            entry = {"seconds": round(elapsed, 1), "steps": trainer.steps, "frames": trainer.ring.total, "flow": flow, "auxiliary": auxiliary}
            entry |= {f"{kind}_rollouts": [sum(done), len(done)] for kind, done in outcomes.items() if done}
            outcomes = {kind: [] for kind in TASKS}
            curve.append(entry)
            log(json.dumps(entry))
        if progress >= 1:
            return curve


def assignment(policy_share: float) -> Assignment:
    return Assignment(weights=KIND_WEIGHTS, policy_share=policy_share, max_delay=6, prefix_share=0.6)


def evaluate(options: argparse.Namespace, pool: Pool, trainer: Trainer, delay: int, with_prefix: bool, log) -> dict:
    """Success of the averaged policy on held-out episodes, by task, with bf16 arithmetic and 10 flow steps."""
    episodes = [(seed, kind) for seed in range(options.evaluate) for kind in TASKS]
    shares = [tuple(episodes[index :: len(pool.pipes)]) for index in range(len(pool.pipes))]
    results: dict[str, list] = {kind: [] for kind in TASKS}
    failures = []
    orders = dict(enumerate(HeldOut(share, delay, with_prefix) for share in shares))
    for index in list(pool.waiting):
        pool.proceed(index, orders.pop(index))
    idle: set[int] = set()
    while len(idle) < len(pool.pipes):
        received = {index: pool.receive(index) for index in pool.ready()}
        if not received:
            time.sleep(0.002)
            continue
        started = {index: report for index, report in received.items() if index not in orders}
        serve(pool, trainer, started, trainer.dims.num_steps)
        for index, report in received.items():
            if index in orders:
                pool.proceed(index, orders.pop(index))
                continue
            for outcome in report.outcomes:
                results[outcome.kind].append(outcome.outcome == "success")
                if outcome.outcome != "success":
                    failures.append((outcome.kind, outcome.seed, outcome.reason))
            if report.idle:
                idle.add(index)
            else:
                pool.proceed(index)
    summary = {kind: [sum(done), len(done)] for kind, done in results.items()}
    log(json.dumps({"delay": delay, "prefix": with_prefix, **summary, "failures": sorted(failures)[:60]}))
    return summary


def main() -> None:
    options = arguments()
    dims = demo_dimensions()
    start = assignment(0.0 if not options.resume else 0.75)
    pool = Pool(options.workers, options.environments, (dims.vision.image_size, image_height(dims)), start, options.seed)
    begin = time.monotonic()

    def log(text: str) -> None:
        print(f"[{time.monotonic() - begin:6.1f}] {text}", flush=True)

    try:
        device = torch.device(options.device)
        torch.manual_seed(options.seed)
        torch.set_float32_matmul_precision("high")
        trainer = Trainer(options, device)
        log(f"{sum(p.numel() for p in trainer.model.parameters()):,} parameters")
        curve = train(options, pool, trainer, log)
        size = trainer.export(options.out)
        log(f"exported {size / 2**20:.2f} MiB")
        (options.out / "training.json").write_text(json.dumps({"curve": curve}) + "\n")
        if options.evaluate:
            cells = [(delay, with_prefix) for delay in options.evaluate_delays for with_prefix in ((False, True) if delay else (False,))]
            results = {f"delay {d}{' prefix' * p}": evaluate(options, pool, trainer, d, p, log) for d, p in cells}
            (options.out / "training.json").write_text(json.dumps({"curve": curve, "held_out": results}) + "\n")
    finally:
        pool.close()


if __name__ == "__main__":
    main()
