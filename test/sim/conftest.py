"""Tests of the simulated arm: its modules, and the running process over real DDS."""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
