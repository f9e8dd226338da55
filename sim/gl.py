"""Imports MuJoCo with off-screen OpenGL. Import `mujoco` from here: a failed import becomes one sentence with its remedy."""

import os

from sim.errors import SimulationError


def unavailable(error: BaseException) -> SimulationError:
    """The error for missing OpenGL libraries; it names those that a minimal Debian or Ubuntu lacks."""
    return SimulationError(
        "ENVIRONMENT",
        f"Expected off-screen OpenGL (MUJOCO_GL={os.environ.get('MUJOCO_GL')}) for the cameras, received "
        f"{type(error).__name__} ({' '.join(str(error).split())[:160]}); on Debian and Ubuntu: "
        "sudo apt-get install libegl1 libopengl0 libgl1-mesa-dri",
    )


try:
    import mujoco  # noqa: F401
except ModuleNotFoundError as error:
    remedy = "npm run setup -- --rendering installs it in a checkout, pip install mujoco for any other Python"
    raise SimulationError("ENVIRONMENT", f"Expected the Python package {error.name}, found none; {remedy}") from error
except Exception as error:  # PyOpenGL raises AttributeError, ArgumentError … when a library is missing
    raise unavailable(error) from error
