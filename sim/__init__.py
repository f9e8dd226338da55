"""A simulated robot arm for the policy node. See README.md."""

import os

# Must be set before the first import of mujoco, which chooses its OpenGL implementation then.
os.environ.setdefault("MUJOCO_GL", "egl")
