"""The two cameras: pictures of a pose, rendered off screen by EGL without shadows."""

import numpy as np

from sim.description.world import PICTURE
from sim.gl import mujoco, unavailable

WIDTH, HEIGHT = PICTURE


class Cameras:
    """Draws into the caller's arrays. Belongs to the thread that made it, as an OpenGL context does."""

    def __init__(self, model: mujoco.MjModel) -> None:
        """Failure ENVIRONMENT where there is no OpenGL."""
        try:
            self._renderer = mujoco.Renderer(model, HEIGHT, WIDTH)
        except Exception as error:  # half a dozen kinds, depending on which library is missing
            raise unavailable(error) from error
        flags = self._renderer.scene.flags
        flags[mujoco.mjtRndFlag.mjRND_SHADOW] = False
        flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = False
        self._model = model
        self._data = mujoco.MjData(model)

    def shoot(self, qpos: np.ndarray, pictures: dict[str, np.ndarray]) -> None:
        """Fills one uint8 [HEIGHT, WIDTH, 3] rgb array per camera with its view of the pose `qpos`."""
        self._data.qpos[:] = qpos
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_camlight(self._model, self._data)
        for camera, picture in pictures.items():
            self._renderer.update_scene(self._data, camera)
            self._renderer.render(out=picture)

    def intrinsics(self, camera: str) -> tuple[float, float, float]:
        """Focal length and principal point, pixels."""
        focal = HEIGHT / 2 / np.tan(np.radians(self._model.camera(camera).fovy[0]) / 2)
        return float(focal), WIDTH / 2, HEIGHT / 2

    def close(self) -> None:
        self._renderer.close()
