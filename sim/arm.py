"""The arm's physics: `arm.xml`, its servos, and what a joint state broadcaster would report."""

import pathlib
from dataclasses import dataclass

import numpy as np

from sim.control import ArmControl, GripperControl
from sim.gl import mujoco
from sim.kinematics import FINGERS, JOINTS

MODEL = pathlib.Path(__file__).with_name("arm.xml")


@dataclass(frozen=True)
class JointReadings:
    """[9] arm, then fingers: rad and m, rad/s and m/s, N m and N."""

    position: np.ndarray
    velocity: np.ndarray
    effort: np.ndarray


class Arm:
    """Starts at the model's home pose. Time is whole nanoseconds; a step is `step_ns`, close to the model's own."""

    def __init__(self) -> None:
        self.model = mujoco.MjModel.from_xml_path(str(MODEL))
        self.data = mujoco.MjData(self.model)
        mujoco.mj_resetDataKeyframe(self.model, self.data, self.model.key("home").id)
        mujoco.mj_forward(self.model, self.data)
        joints = [self.model.joint(name) for name in JOINTS + FINGERS]
        self._qpos = np.array([joint.qposadr[0] for joint in joints])
        self._qvel = np.array([joint.dofadr[0] for joint in joints])
        # An actuator's force is kp·(ctrl − q) − kv·q̇; adding kv/kp·q̇_ref to ctrl makes it follow a moving reference.
        actuators = [self.model.actuator(name).id for name in JOINTS]
        self._lag = -self.model.actuator_biasprm[actuators, 2] / self.model.actuator_gainprm[actuators, 0]
        limits = np.array([joint.range for joint in joints])
        start = self.data.qpos[self._qpos]
        self.control = ArmControl(JOINTS, limits[:7, 0], limits[:7, 1], start[:7])
        self.gripper = GripperControl(*limits[7], start[7])

    def advance(self, now: int, duration: int, steps: int) -> None:
        """`steps` equal physics steps that take the arm from `now` to `now + duration` ns."""
        dt = duration * 1e-9 / steps
        self.model.opt.timestep = dt
        for step in range(1, steps + 1):
            at = now + duration * step // steps
            position, velocity = self.control.advance(at, dt, self.data.qpos[self._qpos[:7]])
            self.data.ctrl[:7] = position + self._lag * velocity
            self.data.ctrl[7] = self.gripper.advance(dt)
            mujoco.mj_step(self.model, self.data)

    def read(self) -> JointReadings:
        """Copies, safe to keep."""
        return JointReadings(
            self.data.qpos[self._qpos], self.data.qvel[self._qvel], self.data.qfrc_actuator[self._qvel]
        )
