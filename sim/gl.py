"""MuJoCo with off-screen OpenGL, or one sentence why not. Import `mujoco` from here."""

import os

from sim.failure import Failure


def unavailable(error: BaseException) -> Failure:
    """What to say when OpenGL is not there; the libraries are those a bare Debian or Ubuntu lacks."""
    return Failure(
        "ENVIRONMENT",
        f"Expected off-screen OpenGL (MUJOCO_GL={os.environ.get('MUJOCO_GL')}) for the cameras, received "
        f"{type(error).__name__} ({' '.join(str(error).split())[:160]}); on Debian and Ubuntu: "
        "sudo apt-get install libegl1 libopengl0 libgl1-mesa-dri",
    )


try:
    import mujoco
except ModuleNotFoundError as error:
    remedy = "npm run setup -- --rendering installs it in a checkout, pip install mujoco for any other Python"
    raise Failure("ENVIRONMENT", f"Expected the Python package {error.name}, found none; {remedy}") from error
except Exception as error:  # PyOpenGL raises AttributeError, ArgumentError … when a library is missing
    raise unavailable(error) from error
