"""The recorded frames in GPU memory: a ring of images, states, labels and prompts, and batches from it."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from training.tokenizer import BOS, NUMBERS, TEMPLATE, PromptTokenizer, clean_prompt

assert NUMBERS.start == -1
STATE = 8  # numbers in a prompt
MAX_SHIFT = 2  # pixels, of a training image
MAX_PROMPTS = 100_000


class PromptTable:
    """Token ids of prompts with their states, assembled on the GPU."""

    def __init__(self, tokenizer: PromptTokenizer, length: int, device: torch.device) -> None:
        """`length`: tokens of a padded prompt."""
        vocabulary = tokenizer.vocabulary
        self._tokenizer, self._length, self._device = tokenizer, length, device
        self._numbers = torch.tensor([vocabulary[f"▁{number}"] for number in NUMBERS], device=device)
        self._tail = vocabulary[TEMPLATE[2]]
        self._rows: dict[str, int] = {}
        self._heads = torch.zeros(MAX_PROMPTS, length, dtype=torch.long, device=device)
        self._counts = torch.zeros(MAX_PROMPTS, dtype=torch.long, device=device)
        assert BOS in vocabulary

    def index(self, prompts: list[str]) -> Tensor:
        """The rows [N] of prompts, on the GPU."""
        for prompt in prompts:
            if prompt not in self._rows:
                head = self._tokenizer.encode_text(f"Task: {clean_prompt(prompt)}, State:")
                if len(head) + STATE + 1 > self._length:
                    raise ValueError(f"Expected at most {self._length} tokens, received more from {prompt!r}")
                row = self._rows[prompt] = len(self._rows)
                self._heads[row, : len(head)] = torch.tensor(head, device=self._device)
                self._counts[row] = len(head)
        return torch.tensor([self._rows[prompt] for prompt in prompts], device=self._device)

    def tokens(self, rows: Tensor, normalized: Tensor) -> tuple[Tensor, Tensor]:
        """Ids [N, length] and counts [N] of prompts `rows` [N] with normalised states [N, STATE]."""
        numbers = torch.floor((normalized + 1.0) * 128.0).clamp(-1, 255).long() + 1
        heads, counts = self._heads[rows], self._counts[rows]
        place = torch.arange(self._length, device=rows.device)[None] - counts[:, None]
        state = self._numbers[numbers].gather(1, place.clamp(0, STATE - 1))
        ids = torch.where(place < 0, heads, torch.where(place < STATE, state, torch.where(place == STATE, self._tail, 0)))
        return ids, counts + STATE + 1


class FrameRing:
    """The newest `capacity` frames."""

    def __init__(self, capacity: int, image: tuple[int, ...], horizon: int, auxiliary: int, device: torch.device) -> None:
        self._capacity, self._next, self.count = capacity, 0, 0
        self.total = 0
        options = {"device": device}
        self.images = torch.empty(capacity, *image, dtype=torch.uint8, **options)
        self.state = torch.empty(capacity, STATE, **options)
        self.label = torch.empty(capacity, horizon, STATE, **options)
        self.auxiliary = torch.empty(capacity, auxiliary, **options)
        self.delay = torch.empty(capacity, dtype=torch.long, **options)
        self.prompt = torch.empty(capacity, dtype=torch.long, **options)

    def add(self, arrays: dict[str, np.ndarray], count: int, prompts: Tensor) -> None:
        """Appends the first `count` rows of a worker's frame arrays."""
        for name in ("images", "state", "label", "delay", "auxiliary"):
            self._write(getattr(self, name), torch.from_numpy(arrays[f"frame_{name}"][:count]))
        self._write(self.prompt, prompts)
        self._next = (self._next + count) % self._capacity
        self.count = min(self.count + count, self._capacity)
        self.total += count

    def _write(self, target: Tensor, rows: Tensor) -> None:
        first = min(len(rows), self._capacity - self._next)
        target[self._next : self._next + first].copy_(rows[:first])
        if first < len(rows):
            target[: len(rows) - first].copy_(rows[first:])


def letterbox(images: Tensor, size: int) -> Tensor:
    """uint8 [..., height, size, 3] to [..., size, size, 3], centred between black bars."""
    top = (size - images.shape[-3]) // 2
    return F.pad(images, (0, 0, 0, 0, top, size - images.shape[-3] - top))


def jitter(images: Tensor) -> Tensor:
    """Random brightness, contrast, colour balance and shift of each image, uint8 [B, C, H, W, 3]."""
    shape, device = images.shape[:2], images.device
    for axis in (2, 3):
        size = images.shape[axis]
        shift = torch.randint(-MAX_SHIFT, MAX_SHIFT + 1, (*shape, 1), device=device)
        index = (torch.arange(size, device=device) + shift).clamp(0, size - 1)
        index = index[:, :, :, None, None] if axis == 2 else index[:, :, None, :, None]
        images = images.gather(axis, index.expand(images.shape))
    gain = 1.0 + 0.22 * (torch.rand(*shape, 1, 1, 1, device=device) * 2 - 1)
    balance = 1.0 + 0.1 * (torch.rand(*shape, 1, 1, 3, device=device) * 2 - 1)
    offset = 22.0 * (torch.rand(*shape, 1, 1, 1, device=device) * 2 - 1)
    return ((images.float() - 128.0) * (gain * balance) + 128.0 + offset).round().clamp(0, 255).to(torch.uint8)


def degrade(images: Tensor) -> Tensor:
    """Random sharpness and noise of each image, uint8 [B, C, H, W, 3]: renderers smooth edges in different ways.

    Sharpness mixes an image with its means over 3 × 3 pixels; a negative share sharpens. Noise has up to 5 levels of
    standard deviation.
    """
    shape, device = images.shape[:2], images.device
    planes = images.float().flatten(0, 1).permute(0, 3, 1, 2)
    means = F.avg_pool2d(planes, 3, stride=1, padding=1, count_include_pad=False)
    share = torch.rand(len(planes), 1, 1, 1, device=device) * 1.1 - 0.4
    noise = torch.randn_like(planes) * (5.0 * torch.rand(len(planes), 1, 1, 1, device=device))
    planes = (torch.lerp(planes, means, share) + noise).round().clamp(0, 255).to(torch.uint8)
    return planes.permute(0, 2, 3, 1).unflatten(0, shape)
