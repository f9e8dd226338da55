"""Renders the images of the two cameras off screen with EGL, without shadows."""

import numpy as np

from sim.description.world import IMAGE_SIZE
from sim.gl import mujoco, unavailable

WIDTH, HEIGHT = IMAGE_SIZE
MAX_GEOMS = 1000


class Cameras:
    """Renders into arrays of the caller. Use it only on the thread that created it: it owns an OpenGL context."""

    def __init__(self, model: mujoco.MjModel, size: tuple[int, int] = IMAGE_SIZE) -> None:
        """`size`: width and height in pixels, at most IMAGE_SIZE. Raises SimulationError ENVIRONMENT without OpenGL."""
        try:
            self._gl = mujoco.GLContext(*size)
            self._gl.make_current()
            self._scene = mujoco.MjvScene(model, MAX_GEOMS)
            self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_150)
            mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        except Exception as error:  # the type depends on which library is missing
            raise unavailable(error) from error
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = False
        self._scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = False
        self._options = mujoco.MjvOption()
        self._perturbation = mujoco.MjvPerturb()
        self._view = mujoco.MjrRect(0, 0, *size)
        self._model = model
        self._data = mujoco.MjData(model)

    def render(self, qpos: np.ndarray, images: dict[str, np.ndarray], model: mujoco.MjModel | None = None) -> None:
        """Writes the view of each camera into its array in `images` (uint8 [height, width, 3], rgb).

        `qpos` is the MuJoCo position vector of the whole model. `model`: another model with the same bodies and textures.
        """
        model = self._model if model is None else model
        self._data.qpos[:] = qpos
        mujoco.mj_kinematics(model, self._data)
        mujoco.mj_camlight(model, self._data)
        self._gl.make_current()
        for name, image in images.items():
            camera = mujoco.MjvCamera()
            camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
            camera.fixedcamid = model.camera(name).id
            category = mujoco.mjtCatBit.mjCAT_ALL.value
            mujoco.mjv_updateScene(
                model, self._data, self._options, self._perturbation, camera, category, self._scene
            )
            mujoco.mjr_render(self._view, self._scene, self._context)
            mujoco.mjr_readPixels(image, None, self._view, self._context)
            image[:] = image[::-1].copy()  # OpenGL's first row is the lowest

    def intrinsics(self, camera: str) -> tuple[float, float, float]:
        """Focal length and principal point (x, y), in pixels."""
        width, height = self._view.width, self._view.height
        focal = height / 2 / np.tan(np.radians(self._model.camera(camera).fovy[0]) / 2)
        return float(focal), width / 2, height / 2

    def close(self) -> None:
        self._context.free()
        self._gl.free()
