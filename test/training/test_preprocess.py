"""Resize and normalisation against the golden data and Pillow."""

import json

import numpy as np
import pytest
import torch
from conftest import FIXTURES
from PIL import Image
from safetensors.torch import load_file

from training.preprocess import fit, normalize, quantile_statistics, resize, unnormalize

RESIZE = json.loads((FIXTURES / "resize/index.json").read_text())
NORMALIZE = json.loads((FIXTURES / "normalize.json").read_text())
NAMES = sorted(path.stem for path in (FIXTURES / "resize").glob("*.png"))


@pytest.mark.parametrize("name", NAMES)
def test_resize_gives_the_bytes_of_the_reference(name):
    assert len(NAMES) == 8
    golden = load_file(FIXTURES / "resize" / f"{name}.safetensors")
    image = torch.from_numpy(np.array(Image.open(FIXTURES / "resize" / f"{name}.png").convert("RGB")))
    assert torch.equal(resize(image[None], 224)[0], golden["expected"])


@pytest.mark.parametrize(("width", "height"), [(640, 480), (480, 640), (160, 160), (320, 200), (100, 90)])
def test_resize_to_another_size_gives_pillow_s_bytes_for_each_image_of_a_batch(width, height):
    images = torch.randint(0, 256, (3, height, width, 3), dtype=torch.uint8)
    new_width, new_height, left, top = fit(width, height, 160)
    for image, resized in zip(images, resize(images, 160), strict=True):
        expected = Image.new("RGB", (160, 160))
        bilinear = Image.fromarray(image.numpy()).resize((new_width, new_height), Image.Resampling.BILINEAR)
        expected.paste(bilinear, (left, top))
        assert np.array_equal(resized.numpy(), np.array(expected))


def number(value):
    return np.array([number(row) for row in value]) if isinstance(value, list) else float(value)


def test_normalisation_equals_openpi_s_by_quantiles():
    checked = 0
    for case in NORMALIZE["cases"]:
        if case["mode"] != "quantile" or case["input_dtype"] != "float64" or "error" in case:
            continue
        function = {"normalize": normalize, "unnormalize": unnormalize}[case["op"]]
        given, expected = number(case["input"]), number(case["output"])
        if given.shape[-1] > 7:
            continue  # openpi passes these columns through, this function refuses them
        assert np.array_equal(function(given, NORMALIZE["stats"]), expected, equal_nan=True), case["name"]
        checked += 1
    assert checked >= 6


def test_more_values_than_statistics_are_refused():
    with pytest.raises(ValueError, match="Expected at most 7 values, as the statistics have, received 8"):
        normalize(np.zeros(8), NORMALIZE["stats"])


def test_quantile_statistics_map_98_percent_to_the_unit_range():
    samples = np.random.default_rng(0).normal(size=(10000, 3)) * [1.0, 5.0, 0.1]
    normalized = normalize(samples, quantile_statistics(samples))
    assert np.mean(np.abs(normalized) <= 1.0) == pytest.approx(0.98, abs=0.001)
