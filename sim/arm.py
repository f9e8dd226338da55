"""The physics of the arm: the MuJoCo model `arm.xml`, its position servos and its joint states."""

import pathlib
from dataclasses import dataclass

import numpy as np

from sim.control import ArmController, GripperController
from sim.gl import mujoco
from sim.kinematics import FINGERS, JOINTS

MODEL = pathlib.Path(__file__).with_name("arm.xml")


@dataclass(frozen=True)
class JointReadings:
    """Arrays [9]: the 7 arm joints (rad, rad/s, N m), then the 2 fingers (m, m/s, N)."""

    position: np.ndarray
    velocity: np.ndarray
    effort: np.ndarray


class Arm:
    """The arm with its controllers, at the home pose of the model to begin with. Times are integers in ns."""

    def __init__(self, model: mujoco.MjModel | None = None) -> None:
        """`model`: a model with the bodies, joints and keyframe of `arm.xml`; that file by default."""
        self.model = model or mujoco.MjModel.from_xml_path(str(MODEL))
        self.data = mujoco.MjData(self.model)
        mujoco.mj_resetDataKeyframe(self.model, self.data, self.model.key("home").id)
        mujoco.mj_forward(self.model, self.data)
        joints = [self.model.joint(name) for name in JOINTS + FINGERS]
        self._qpos = np.array([joint.qposadr[0] for joint in joints])
        self._qvel = np.array([joint.dofadr[0] for joint in joints])
        # The force of an actuator is kp·(ctrl − q) − kv·q̇. With kv/kp·q̇_ref added to ctrl it damps the velocity
        # error instead of the velocity, so that the joint does not lag behind a moving reference.
        actuators = [self.model.actuator(name).id for name in JOINTS]
        self._velocity_gain = -self.model.actuator_biasprm[actuators, 2] / self.model.actuator_gainprm[actuators, 0]
        self._limits = np.array([joint.range for joint in joints])
        self.reset_controllers()

    def reset_controllers(self) -> None:
        """New controllers, which hold the present positions until a command arrives."""
        start = self.data.qpos[self._qpos]
        self.control = ArmController(JOINTS, self._limits[:7, 0], self._limits[:7, 1], start[:7])
        self.gripper = GripperController(*self._limits[7], start[7])

    def advance(self, now: int, duration: int, steps: int) -> None:
        """Simulates `duration` ns from time `now` (ns) in `steps` equal physics steps."""
        dt = duration * 1e-9 / steps
        self.model.opt.timestep = dt
        for step in range(1, steps + 1):
            step_time = now + duration * step // steps
            position, velocity = self.control.advance(step_time, dt, self.data.qpos[self._qpos[:7]])
            self.data.ctrl[:7] = position + self._velocity_gain * velocity
            self.data.ctrl[7] = self.gripper.advance(dt)
            self._step()

    def _step(self) -> None:
        """One physics step."""
        mujoco.mj_step(self.model, self.data)

    def read(self) -> JointReadings:
        """The current joint states, as copies."""
        return JointReadings(
            self.data.qpos[self._qpos], self.data.qvel[self._qvel], self.data.qfrc_actuator[self._qvel]
        )
