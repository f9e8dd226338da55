"""Tests of training/: run by hand (`npm run test:training`), because they need PyTorch."""

import pathlib
import sys

import pytest
import torch

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "test" / "fixtures" / "pi05"
sys.path.insert(0, str(ROOT))


def relative_error(actual: torch.Tensor, expected: torch.Tensor) -> float:
    """The largest absolute difference divided by the largest absolute value expected."""
    assert actual.shape == expected.shape
    return ((actual - expected).abs().max() / expected.abs().max()).item()


@pytest.fixture(autouse=True)
def _fixed_seed_and_threads():
    torch.manual_seed(0)
    torch.set_num_threads(2)
