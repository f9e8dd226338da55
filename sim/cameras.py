"""Renders the images of the two cameras off screen with EGL, without shadows."""

import numpy as np

from sim.description.world import IMAGE_SIZE
from sim.gl import mujoco, unavailable

WIDTH, HEIGHT = IMAGE_SIZE


class Cameras:
    """Renders into arrays of the caller. Use it only on the thread that created it: it owns an OpenGL context."""

    def __init__(self, model: mujoco.MjModel) -> None:
        """Raises SimulationError ENVIRONMENT if OpenGL is not available."""
        try:
            self._renderer = mujoco.Renderer(model, HEIGHT, WIDTH)
        except Exception as error:  # the type depends on which library is missing
            raise unavailable(error) from error
        flags = self._renderer.scene.flags
        flags[mujoco.mjtRndFlag.mjRND_SHADOW] = False
        flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = False
        self._model = model
        self._data = mujoco.MjData(model)

    def render(self, qpos: np.ndarray, images: dict[str, np.ndarray]) -> None:
        """Writes the view of each camera into its array in `images` (uint8 [HEIGHT, WIDTH, 3], rgb).

        `qpos` is the MuJoCo position vector of the whole model.
        """
        self._data.qpos[:] = qpos
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_camlight(self._model, self._data)
        for camera, image in images.items():
            self._renderer.update_scene(self._data, camera)
            self._renderer.render(out=image)

    def intrinsics(self, camera: str) -> tuple[float, float, float]:
        """Focal length and principal point (x, y), in pixels."""
        focal = HEIGHT / 2 / np.tan(np.radians(self._model.camera(camera).fovy[0]) / 2)
        return float(focal), WIDTH / 2, HEIGHT / 2

    def close(self) -> None:
        self._renderer.close()
