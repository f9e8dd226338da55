"""The film of a recording: which frames are kept, the film strips of the plot, and the GIF."""

import io

import numpy as np
import pytest
from PIL import Image, ImageSequence

from sim import film_gif, plot
from sim.drawing import font, shortened
from sim.episode_report import EpisodeReport
from sim.film import FRAME_INTERVAL, Film, Frame
from sim.film_gif import write_film
from sim.gif import gif_bytes
from sim.recorder import Recording

SECOND = 1_000_000_000
ORANGE, GREEN, BLUE = (230, 130, 0), (30, 160, 70), (35, 85, 205)


def picture(color, mark: int = 0) -> np.ndarray:
    """An image of one colour with a black square at a place that depends on `mark`."""
    image = np.full((480, 640, 3), color, np.uint8)
    image[200:280, 10 * mark : 10 * mark + 80] = 0
    return image


def film(count: int, **options) -> Film:
    """A film of `count` frames FRAME_INTERVAL apart, from 0 s on."""
    result = Film(**options)
    for k in range(count):
        result.add(Frame(k * result.interval, picture(ORANGE, k % 50), picture(GREEN, k % 50)))
    return result


def recording(*prompts: str) -> Recording:
    """2 s for each prompt; the second one fails. 2 s in all without prompts."""
    duration = 2 * max(1, len(prompts))
    result = Recording(begin=0, end=duration * SECOND)
    result.film = film(10 * duration)
    for index, prompt in enumerate(prompts):
        begin, end = 2 * index * SECOND, (2 * index + 1) * SECOND
        success, reason = (False, "not within 1.0 s") if index == 1 else (True, "done")
        result.episodes.append(EpisodeReport(index, len(prompts), prompt, 7, "touch", begin, end, success, reason))
    times = np.arange(0, duration, 0.1)
    result.measured_times = list(times)
    result.positions = result.velocities = [np.zeros(8) for _ in times]
    result.velocity_commands = [(time, np.zeros(7)) for time in times]
    result.gripper_commands = [(time, 0.04) for time in times]
    result.chunks = [0.5, 1.0]
    return result


def summary(recorded: Recording) -> dict:
    keys = ("observations", "chunks", "inference_ms_p50", "inference_ms_p99", "tick_lateness_ms_p99")
    return dict.fromkeys(keys) | {"duration": recorded.end / SECOND, "refused": None}


def test_a_film_keeps_images_without_loss_and_a_frame_per_interval():
    kept = Film()
    shown = np.random.default_rng(0).integers(0, 255, (2, 48, 64, 3), dtype=np.uint8)
    for time in range(0, SECOND, SECOND // 30):
        if kept.is_due(time):
            kept.add(Frame(time, *shown))
    frames = list(kept.between(0, SECOND, FRAME_INTERVAL))
    assert len(frames) == len(kept) == 10
    assert np.array_equal(frames[3].exterior, shown[0]) and np.array_equal(frames[3].wrist, shown[1])


def test_a_film_that_is_full_continues_at_half_the_rate():
    kept = film(8, max_frames=8)
    time = 8 * FRAME_INTERVAL
    kept.add(Frame(time, picture(ORANGE), picture(GREEN)))
    assert [frame.time // FRAME_INTERVAL for frame in kept.between(0, time, kept.interval)] == [0, 2, 4, 6, 8]
    assert not kept.is_due(time + FRAME_INTERVAL) and kept.is_due(time + 2 * FRAME_INTERVAL)


def test_a_strip_has_the_first_and_the_last_frame_and_equal_distances():
    kept = film(40)
    frames = kept.spread(10 * FRAME_INTERVAL, 30 * FRAME_INTERVAL, 6)
    assert [frame.time // FRAME_INTERVAL for frame in frames] == [10, 14, 18, 22, 26, 30]
    assert len(kept.spread(0, 2 * FRAME_INTERVAL, 6)) == 3
    assert kept.spread(50 * FRAME_INTERVAL, 60 * FRAME_INTERVAL, 6) == []


def test_the_plot_has_a_strip_for_each_episode_and_one_for_a_recording_without_episodes(tmp_path):
    def drawn(recorded: Recording) -> Image.Image:
        path = tmp_path / f"{len(recorded.episodes)}.png"
        plot.draw(recorded, summary(recorded), "A title with a $ sign", str(path))
        return Image.open(path)

    def strip_rows(image: Image.Image) -> int:
        """The number of separate groups of rows with pixels of ORANGE."""
        red = (np.abs(np.asarray(image.convert("RGB")).astype(int) - ORANGE).sum(2) < 30).any(1)
        return int((np.diff(red.astype(int)) == 1).sum())

    three, one = drawn(recording("touch it", "pick $it up", "a prompt\nof two lines")), drawn(recording())
    assert three.width == one.width == plot.WIDTH
    assert (strip_rows(three), strip_rows(one)) == (3, 1)
    assert three.mode == "P"


def test_the_gif_repeats_and_shows_each_episode_at_twice_its_speed_and_then_its_result(tmp_path):
    write_film(recording("touch it", "pick it up"), str(tmp_path / "run.gif"))
    with Image.open(tmp_path / "run.gif") as gif:
        durations = [frame.info["duration"] for frame in ImageSequence.Iterator(gif)]
        assert gif.info["loop"] == 0
        gif.seek(0)
        first = np.asarray(gif.convert("RGB")).astype(int)
    # 1 s of each episode and 0.5 s after its end, with a frame every 0.2 s.
    assert durations == [100] * 7 + [1200] + [100] * 7 + [1200]
    height, width = first.shape[:2]
    assert np.abs(first[height - 20, 20] - ORANGE).max() < 8 and np.abs(first[height - 20, width - 20] - GREEN).max() < 8


def test_a_gif_that_would_be_too_large_has_fewer_images(tmp_path, monkeypatch):
    recorded = recording("touch it")
    write_film(recorded, str(tmp_path / "large.gif"))
    size = (tmp_path / "large.gif").stat().st_size
    monkeypatch.setattr(film_gif, "MAX_BYTES", size // 2)
    write_film(recorded, str(tmp_path / "small.gif"))
    assert (tmp_path / "small.gif").stat().st_size <= size // 2
    with Image.open(tmp_path / "large.gif") as large, Image.open(tmp_path / "small.gif") as small:
        assert 1 < small.n_frames < large.n_frames


def test_a_gif_keeps_the_colours_of_small_objects():
    rows, columns = np.indices((240, 320))
    image = np.stack([120 + columns // 4, 120 + rows // 3, np.full((240, 320), 160)], axis=2).astype(np.uint8)
    image[100:108, 100:108] = BLUE
    with Image.open(io.BytesIO(gif_bytes([Image.fromarray(image)] * 2, [100, 100], 32))) as gif:
        seen = np.asarray(gif.convert("RGB")).astype(int)[104, 104]
    assert np.abs(seen - BLUE).max() < 12


@pytest.mark.parametrize("text, ending", [("touch the red block", "block"), ("touch the red block " * 9, "…")])
def test_a_long_prompt_is_shortened_to_the_width_that_it_has(text, ending):
    line = shortened(text, 400, font(21))
    assert line.endswith(ending) and font(21).getlength(line) <= 400


def test_a_report_of_an_episode_is_the_same_after_its_journey_as_json():
    report = EpisodeReport(1, 3, 'say "hello"', 7, None, 5 * SECOND)
    assert EpisodeReport.from_json(report.to_json()) == report
    assert (report.outcome, report.seconds, report.is_last) == ("", None, False)
