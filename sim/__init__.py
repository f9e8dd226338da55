"""The simulated arm: see README.md."""

import os

# Before anything imports mujoco, which picks its OpenGL once.
os.environ.setdefault("MUJOCO_GL", "egl")
