"""Reads SDF and URDF for the tests. Shares no code with sim/description, which writes them."""

import pathlib
from dataclasses import dataclass, field
from xml.etree import ElementTree

import numpy as np

GAZEBO = pathlib.Path(__file__).resolve().parents[2] / "sim" / "gazebo"


def pose(text: str) -> np.ndarray:
    """The matrix [4, 4] of `x y z roll pitch yaw`, with rotations about fixed axes."""
    x, y, z, roll, pitch, yaw = map(float, text.split())
    cr, sr, cp, sp, cy, sy = np.cos(roll), np.sin(roll), np.cos(pitch), np.sin(pitch), np.cos(yaw), np.sin(yaw)
    about_x = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    about_y = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    about_z = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    matrix = np.eye(4)
    matrix[:3, :3] = about_z @ about_y @ about_x
    matrix[:3, 3] = x, y, z
    return matrix


def motion(kind: str, axis: np.ndarray, value: float) -> np.ndarray:
    """The transform [4, 4] of a joint at `value`: a rotation (Rodrigues' formula) or a translation."""
    matrix = np.eye(4)
    if kind == "prismatic":
        matrix[:3, 3] = axis * value
    elif kind == "revolute":
        x, y, z = axis
        cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
        matrix[:3, :3] += np.sin(value) * cross + (1 - np.cos(value)) * cross @ cross
    return matrix


@dataclass
class Joint:
    kind: str
    parent: str
    child: str
    axis: np.ndarray | None = None
    limits: dict[str, float] = field(default_factory=dict)
    mimic: str = ""


@dataclass
class Tree:
    """A kinematic tree.

    `joints`: by name. `poses`: the parent of each frame and the pose in it, with all joints at 0. `masses`: mass in kg, centre
    of mass, moments of inertia.
    """

    joints: dict[str, Joint]
    poses: dict[str, tuple[str, np.ndarray]]
    masses: dict[str, tuple[float, np.ndarray, np.ndarray]]

    def world_pose(self, frame: str, positions: dict[str, float]) -> np.ndarray:
        """The pose [4, 4] of a frame in the world."""
        if frame not in self.poses:
            return np.eye(4)
        parent, pose_at_zero = self.poses[frame]
        moved = pose_at_zero
        for name, joint in self.joints.items():
            if joint.child == frame and joint.axis is not None:
                moved = pose_at_zero @ motion(joint.kind, joint.axis, positions[name])
        return self.world_pose(parent, positions) @ moved


def vector(text: str) -> np.ndarray:
    return np.array(text.split(), dtype=float)


def read_sdf() -> Tree:
    model = ElementTree.parse(GAZEBO / "pi05_arm" / "model.sdf").getroot().find("model")
    tree = Tree({}, {}, {})
    for body in (*model.iterfind("link"), *model.iterfind("frame")):
        placed = body.find("pose")
        if placed is not None:
            tree.poses[body.get("name")] = (placed.get("relative_to"), pose(placed.text))
        inertial = body.find("inertial")
        if inertial is not None:
            moments = np.array([float(inertial.findtext(f"inertia/{name}")) for name in ("ixx", "iyy", "izz")])
            tree.masses[body.get("name")] = (float(inertial.findtext("mass")), pose(inertial.findtext("pose"))[:3, 3], moments)
    for element in model.iterfind("joint"):
        joint = Joint(element.get("type"), element.findtext("parent"), element.findtext("child"))
        if element.find("axis") is not None:
            joint.axis = vector(element.findtext("axis/xyz"))
            joint.limits = {limit.tag: float(limit.text) for limit in element.find("axis/limit")}
        tree.joints[element.get("name")] = joint
    return tree


def read_urdf() -> Tree:
    robot = ElementTree.parse(GAZEBO / "arm.urdf").getroot()
    tree = Tree({}, {}, {})
    for link in robot.iterfind("link"):
        inertial = link.find("inertial")
        if inertial is not None:
            moments = np.array([float(inertial.find("inertia").get(name)) for name in ("ixx", "iyy", "izz")])
            centre = vector(inertial.find("origin").get("xyz"))
            tree.masses[link.get("name")] = (float(inertial.find("mass").get("value")), centre, moments)
    for element in robot.iterfind("joint"):
        joint = Joint(element.get("type"), element.find("parent").get("link"), element.find("child").get("link"))
        origin = element.find("origin")
        tree.poses[joint.child] = (joint.parent, pose(f"{origin.get('xyz')} {origin.get('rpy')}"))
        if element.find("axis") is not None:
            joint.axis = vector(element.find("axis").get("xyz"))
            joint.limits = {name: float(value) for name, value in element.find("limit").items()}
        if element.find("mimic") is not None:
            joint.mimic = element.find("mimic").get("joint")
        tree.joints[element.get("name")] = joint
    return tree


def sensors() -> dict[str, tuple[str, ElementTree.Element]]:
    """The camera sensors by name, each with the frame that it is fixed to."""
    arm = ElementTree.parse(GAZEBO / "pi05_arm" / "model.sdf").getroot()
    found = {
        sensor.get("name"): (link.get("name"), sensor)
        for link in arm.iterfind("model/link")
        for sensor in link.iterfind("sensor")
    }
    world = ElementTree.parse(GAZEBO / "world.sdf").getroot()
    for model in world.iterfind("world/model"):
        for sensor in model.iterfind("link/sensor"):
            assert model.find("pose") is None and model.find("link/pose") is None
            found[sensor.get("name")] = ("world", sensor)
    return found
