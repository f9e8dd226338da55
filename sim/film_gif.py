"""The GIF of a recording: the images of both cameras under the prompt, at twice the speed."""

import pathlib
from collections.abc import Iterator

from PIL import Image, ImageDraw

from sim.drawing import MUTED, NUMBER, TEXT, font, outcome_label, shortened
from sim.episode_report import LINGER, EpisodeReport
from sim.film import Frame
from sim.gif import gif_bytes
from sim.recorder import Recording

MAX_BYTES = 1_500_000
SPEED = 2
IMAGE_MS = 100
LAST_IMAGE_MS = 1200  # how long the result of an episode is shown
ATTEMPTS = ((128, 1), (64, 1), (64, 1.5), (48, 2), (32, 4), (32, 10))  # colours, factor of the time between two images
CAPTION, SIDE, GAP = 56, 324, 4  # px: height of the caption, height of the images, space between them
WRIST_WIDTH = 306  # px; the left and right edges of the wrist image are cut


def write_film(recording: Recording, path: str) -> None:
    """Writes the first of ATTEMPTS that is not larger than MAX_BYTES, or the last one. Without images it writes nothing."""
    for colors, factor in ATTEMPTS:
        images, durations = [], []
        for image, is_last in captioned_images(recording, round(IMAGE_MS * 1e6 * SPEED * factor)):
            images.append(image)
            durations.append(LAST_IMAGE_MS if is_last else round(IMAGE_MS * factor))
        if not images:
            return
        data = gif_bytes(images, durations, colors)
        if len(data) <= MAX_BYTES:
            break
    pathlib.Path(path).write_bytes(data)


def captioned_images(recording: Recording, interval: int) -> Iterator[tuple[Image.Image, bool]]:
    """Images `interval` ns of simulation time apart, and whether each is the last one of its episode."""
    for episode in recording.strips():
        end = min(episode.end + LINGER, recording.end)
        frames = list(recording.film.between(episode.begin, end, interval))
        for frame in frames:
            is_last = frame is frames[-1]
            yield captioned(frame, episode, is_last or frame.time >= episode.end), is_last


def captioned(frame: Frame, episode: EpisodeReport, has_ended: bool) -> Image.Image:
    """Both images under the prompt and, if the episode has ended, its outcome."""
    exterior, wrist = (
        Image.fromarray(pixels).resize((SIDE * 4 // 3, SIDE), Image.Resampling.LANCZOS)
        for pixels in (frame.exterior, frame.wrist)
    )
    cut = (wrist.width - WRIST_WIDTH) // 2
    width = exterior.width + GAP + WRIST_WIDTH
    image = Image.new("RGB", (width, CAPTION + SIDE), "white")
    image.paste(exterior, (0, CAPTION))
    image.paste(wrist.crop((cut, 0, cut + WRIST_WIDTH, SIDE)), (exterior.width + GAP, CAPTION))
    image.paste(caption(width, episode, has_ended), (0, 0))
    return image


def caption(width: int, episode: EpisodeReport, has_ended: bool) -> Image.Image:
    """The number of the episode and its prompt on the left; the outcome, or the speed before it is known, on the right."""
    scale = 3  # drawn larger and then reduced, because Pillow does not smooth the edge of a circle
    image = Image.new("RGB", (width * scale, CAPTION * scale), "white")
    draw = ImageDraw.Draw(image)
    middle, right = CAPTION * scale // 2, (width - 6) * scale
    label, color = outcome_label(episode) if has_ended and episode.prompt else (f"{SPEED}× speed", MUTED)
    label_font = font(18 * scale, bold=has_ended)
    draw.text((right, middle), label, fill=color, anchor="rm", font=label_font)
    if episode.prompt:
        center, radius, left = 19 * scale, 15 * scale, 46 * scale
        draw.circle((center, middle), radius, fill=NUMBER)
        draw.text((center, middle), str(episode.index + 1), fill="white", anchor="mm", font=font(18 * scale, bold=True))
        room = right - left - round(label_font.getlength(label)) - 18 * scale
        prompt_font = font(24 * scale, bold=True)
        draw.text((left, middle), shortened(episode.prompt, room, prompt_font), fill=TEXT, anchor="lm", font=prompt_font)
    return image.reduce(scale)
