"""The recorded frames: tokens of prompts with states, the ring, and the images of a batch."""

import numpy as np
import pytest
import torch

from sim.tasks import all_tasks, prompts, vocabulary
from training.frames import MAX_SHIFT, FrameRing, PromptTable, degrade, jitter, letterbox
from training.tokenizer import PromptTokenizer, build_tokenizer

CPU = torch.device("cpu")
LENGTH = 48
TOKENIZER = PromptTokenizer(build_tokenizer(vocabulary()))
PROMPTS = [text for task in all_tasks() for text in prompts(task)[:: len(prompts(task)) // 12]] + [
    "",
    "  Put the red_block\ninto the BOWL. ",
    "déplace le cube 🤖",
    "touch <eos> 12",
]


def states(count: int) -> np.ndarray:
    """Normalised states [count, 8], some out of range and some at the edges of the bins."""
    rng = np.random.default_rng(0)
    values = rng.uniform(-1.3, 1.3, (count, 8))
    edges = rng.integers(-3, 260, (count, 8)) / 128 - 1
    return np.where(rng.random((count, 8)) < 0.3, edges, values).astype(np.float32)


def test_prompt_tables_have_the_tokens_of_the_tokenizer():
    table = PromptTable(TOKENIZER, LENGTH, CPU)
    rng = np.random.default_rng(1)
    chosen = [PROMPTS[index] for index in rng.permutation(np.arange(600) % len(PROMPTS))]
    normalized = states(len(chosen))
    ids, counts = table.tokens(table.index(chosen), torch.from_numpy(normalized))
    assert ids.shape == (len(chosen), LENGTH)
    for row, prompt in enumerate(chosen):
        expected = TOKENIZER.encode(prompt, normalized[row].astype(float))
        assert counts[row] == len(expected)
        assert ids[row, : counts[row]].tolist() == expected, prompt
        assert not ids[row, counts[row] :].any()


def test_a_prompt_has_one_row():
    table = PromptTable(TOKENIZER, LENGTH, CPU)
    first = table.index(PROMPTS[:5])
    assert first.tolist() == [0, 1, 2, 3, 4]
    assert table.index([*PROMPTS[3:6], PROMPTS[0]]).tolist() == [3, 4, 5, 0]


def test_a_prompt_that_is_too_long_is_an_error():
    with pytest.raises(ValueError, match="Expected at most 48 tokens"):
        PromptTable(TOKENIZER, LENGTH, CPU).index(["red " * 40])


def frames(first: int, count: int) -> dict[str, np.ndarray]:
    """Frames numbered from `first` on, with 3 more rows that are not valid."""
    number = np.append(np.arange(first, first + count), [99, 99, 99])
    shapes = {"images": (2, 3, 4, 3), "state": (8,), "label": (15, 8), "auxiliary": (5,), "delay": ()}
    types = {"images": np.uint8, "delay": np.int64}
    return {
        f"frame_{name}": np.broadcast_to(number.reshape(-1, *[1] * len(shape)), (count + 3, *shape)).astype(
            types.get(name, np.float32)
        )
        for name, shape in shapes.items()
    }


def test_a_ring_holds_the_newest_frames():
    ring = FrameRing(10, (2, 3, 4, 3), 15, 5, CPU)
    added = 0
    for count in (4, 3, 0, 5, 1, 10, 7):
        ring.add(frames(added, count), count, torch.arange(added, added + count))
        added += count
        assert (ring.total, ring.count) == (added, min(added, 10))
        newest = list(range(max(0, added - 10), added))
        for tensor in (ring.images, ring.state, ring.label, ring.auxiliary, ring.delay, ring.prompt):
            rows = tensor[: ring.count].reshape(ring.count, -1)
            assert (rows == rows[:, :1]).all()
            assert sorted(rows[:, 0].tolist()) == newest
        # The parts of a frame stay together.
        assert ring.prompt[: ring.count].tolist() == ring.label[: ring.count, 0, 0].tolist()


def test_a_letterboxed_image_is_in_the_middle_of_black_bars():
    images = torch.randint(1, 256, (5, 2, 120, 160, 3), dtype=torch.uint8)
    boxed = letterbox(images, 160)
    assert boxed.shape == (5, 2, 160, 160, 3)
    assert (boxed[:, :, 20:140] == images).all()
    assert not boxed[:, :, :20].any() and not boxed[:, :, 140:].any()


def test_jitter_shifts_each_image_by_a_few_pixels_and_changes_its_colours_together():
    images = torch.zeros(40, 2, 32, 40, 3, dtype=torch.uint8)
    images[:, :, 16, 20] = 200
    changed = jitter(images)
    assert changed.shape == images.shape and changed.dtype == torch.uint8
    places = set()
    for image in changed.reshape(-1, 32, 40, 3).float():
        y, x = divmod(int(image.sum(dim=2).argmax()), 40)
        places.add((y - 16, x - 20))
        assert len(image.reshape(-1, 3).unique(dim=0)) == 2  # one object, one background
    assert max(abs(offset) for place in places for offset in place) == MAX_SHIFT
    assert len(places) > 15


def test_degrade_changes_sharpness_and_noise_but_neither_places_nor_colours():
    images = torch.full((60, 2, 32, 40, 3), 60, dtype=torch.uint8)
    images[:, :, 8:24, 10:30] = torch.tensor([200, 90, 90], dtype=torch.uint8)
    changed = degrade(images)
    assert changed.shape == images.shape and changed.dtype == torch.uint8
    difference = (changed.float() - images.float()).reshape(120, 32, 40, 3)
    assert difference[:, 12:20, 14:26].mean(dim=(1, 2)).abs().max() < 2  # within the object
    noise = difference[:, :6].flatten(1).std(dim=1)
    assert noise.min() < 0.6 and 4 < noise.max() < 6
    edge = difference[:, 12:20, 10, 0].mean(dim=1)  # 140 levels brighter than the background beside it
    assert edge.min() < -20 and edge.max() > 5  # blurred, sharpened
