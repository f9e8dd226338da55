"""The arm: 7 joints and two fingers made of primitive shapes.

Names, frames and limits are those of the Franka Panda (DH parameters in kinematics.py). The world frame is the base frame of
the arm (panda_link0).
"""

from sim.description.parts import Camera, Inertia, Joint, Link, Shape

NAME = "pi05_arm"

JOINT_RATE = 100  # Hz, joint states

RUBBER = (1.5, 0.05, 0.001)  # friction
ARMATURE = 0.1  # kg m² or kg, of every joint
"""MuJoCo only; SDF has no armature."""

X_UP = (1.0, 1.0, 0.0, 0.0)  # +90 degrees about x
X_DOWN = (1.0, -1.0, 0.0, 0.0)


def shape(kind, *size, material="shell", **place):
    return Shape(kind, size, material, **place)


def revolute(number, lower, upper, home):
    """Joint `number` of the arm. Joints 1 to 4 have the large motors."""
    strong = number <= 4
    return Joint(
        name=f"panda_joint{number}",
        kind="revolute",
        axis=(0.0, 0.0, 1.0),
        lower=lower,
        upper=upper,
        velocity=2.175 if strong else 2.61,
        effort=87.0 if strong else 12.0,
        damping=1.0 if strong else 0.5,
        home=home,
        kp=4000.0 if strong else 2000.0,
        kv=420.0 if strong else 200.0,
    )


def prismatic(number, **servo):
    return Joint(
        name=f"panda_finger_joint{number}",
        kind="prismatic",
        axis=(0.0, 1.0, 0.0),
        lower=0.0,
        upper=0.04,
        velocity=0.1,
        effort=40.0,
        damping=5.0,
        home=0.04,
        **servo,
    )


FINGER = Inertia(0.1, (0.0, 0.01, 0.03), (0.00005, 0.00005, 0.00001))
FINGER_SHAPES = (
    shape("box", 0.010, 0.010, 0.018, pos=(0, 0.0145, 0.020), material="joint"),
    shape("box", 0.0095, 0.007, 0.012, pos=(0, 0.0075, 0.042), material="rubber"),
)

LINKS = (
    Link(
        "panda_link0",
        "world",
        shapes=(
            shape("cylinder", 0.105, 0.012, pos=(0, 0, 0.012), material="joint", name="base_plate"),
            shape("cylinder", 0.088, 0.055, pos=(0, 0, 0.075), name="base"),
            shape("cylinder", 0.075, 0.008, pos=(0, 0, 0.138), material="accent", name="base_ring"),
        ),
    ),
    Link(
        "panda_link1",
        "panda_link0",
        pos=(0, 0, 0.333),
        inertia=Inertia(3.4, (0, -0.03, -0.06), (0.02, 0.02, 0.008)),
        joint=revolute(1, -2.8973, 2.8973, 0.0),
        shapes=(
            shape("cylinder", 0.062, 0.075, pos=(0, 0, -0.112)),
            shape("sphere", 0.064, pos=(0, 0, -0.04)),
            shape("cylinder", 0.066, 0.062, quat=X_UP, material="joint"),
        ),
    ),
    Link(
        "panda_link2",
        "panda_link1",
        quat=X_DOWN,
        inertia=Inertia(3.4, (0, -0.08, 0.03), (0.02, 0.008, 0.02)),
        joint=revolute(2, -1.7628, 1.7628, -0.785398),
        shapes=(
            shape("cylinder", 0.058, 0.078),
            shape("cylinder", 0.045, 0.0795, material="accent"),
            shape("capsule", 0.058, ends=(0, -0.02, 0, 0, -0.165, 0)),
        ),
    ),
    Link(
        "panda_link3",
        "panda_link2",
        pos=(0, -0.316, 0),
        quat=X_UP,
        inertia=Inertia(3.2, (0.04, 0.03, -0.05), (0.015, 0.015, 0.008)),
        joint=revolute(3, -2.8973, 2.8973, 0.0),
        shapes=(
            shape("cylinder", 0.054, 0.006, pos=(0, 0, -0.138), material="joint"),
            shape("cylinder", 0.056, 0.036, pos=(0, 0, -0.096)),
            shape("capsule", 0.052, ends=(0.01, 0, -0.07, 0.0825, 0, 0)),
        ),
    ),
    Link(
        "panda_link4",
        "panda_link3",
        pos=(0.0825, 0, 0),
        quat=X_UP,
        inertia=Inertia(3.2, (-0.04, 0.04, 0.02), (0.015, 0.008, 0.015)),
        joint=revolute(4, -3.0718, -0.0698, -2.356194),
        shapes=(
            shape("cylinder", 0.056, 0.064, material="joint"),
            shape("cylinder", 0.043, 0.0665, material="accent"),
            shape("capsule", 0.050, ends=(-0.02, 0.03, 0, -0.0825, 0.12, 0)),
        ),
    ),
    Link(
        "panda_link5",
        "panda_link4",
        pos=(-0.0825, 0.384, 0),
        quat=X_DOWN,
        inertia=Inertia(3.0, (0, 0.03, -0.11), (0.03, 0.03, 0.006)),
        joint=revolute(5, -2.8973, 2.8973, 0.0),
        shapes=(
            shape("cylinder", 0.053, 0.006, pos=(0, 0, -0.242), material="joint"),
            shape("capsule", 0.052, ends=(0, 0, -0.215, 0, 0.035, -0.10)),
            shape("capsule", 0.046, ends=(0, 0.035, -0.10, 0, 0.015, -0.01)),
        ),
    ),
    Link(
        "panda_link6",
        "panda_link5",
        quat=X_UP,
        inertia=Inertia(1.6, (0.06, 0, 0.01), (0.004, 0.005, 0.005)),
        joint=revolute(6, -0.0175, 3.7525, 1.570796),
        shapes=(
            shape("cylinder", 0.050, 0.056, material="joint"),
            shape("cylinder", 0.038, 0.0585, material="accent"),
            shape("capsule", 0.046, ends=(0.015, 0, 0, 0.088, 0, 0)),
        ),
    ),
    Link(
        "panda_link7",
        "panda_link6",
        pos=(0.088, 0, 0),
        quat=X_UP,
        inertia=Inertia(0.7, (0, 0, 0.08), (0.002, 0.002, 0.001)),
        joint=revolute(7, -2.8973, 2.8973, 0.785398),
        shapes=(
            shape("cylinder", 0.047, 0.028, pos=(0, 0, 0.050), material="joint"),
            shape("cylinder", 0.043, 0.0145, pos=(0, 0, 0.0925)),
        ),
    ),
    # The flange, and the hand, which Franka mounts rotated by -45 degrees.
    Link("panda_link8", "panda_link7", pos=(0, 0, 0.107), site=("flange", (0, 0, 0))),
    Link(
        "panda_hand",
        "panda_link8",
        quat=(0.9238795325112867, 0, 0, -0.3826834323650898),
        inertia=Inertia(0.73, (0, 0, 0.03), (0.0025, 0.001, 0.0025)),
        shapes=(
            shape("box", 0.030, 0.100, 0.026, pos=(0, 0, 0.032)),
            shape("box", 0.024, 0.088, 0.006, pos=(0, 0, 0.060), material="joint"),
            shape("box", 0.012, 0.034, 0.014, pos=(0.046, 0, 0.020), material="rubber"),
            shape("cylinder", 0.009, 0.004, pos=(0.046, 0, 0.036), material="accent"),
        ),
        camera=Camera("wrist", (0.066, 0, 0.030), right=(0, 1, 0), up=(0.9976, 0, 0.0698), fovy=76.0),
        site=("tcp", (0, 0, 0.1034)),
    ),
    Link(
        "panda_leftfinger",
        "panda_hand",
        pos=(0, 0, 0.0584),
        inertia=FINGER,
        joint=prismatic(1, kp=2000.0, kv=60.0),
        shapes=FINGER_SHAPES,
        friction=RUBBER,
    ),
    Link(
        "panda_rightfinger",
        "panda_hand",
        pos=(0, 0, 0.0584),
        quat=(0, 0, 0, 1),
        inertia=FINGER,
        joint=prismatic(2, follows="panda_finger_joint1"),
        shapes=FINGER_SHAPES,
        friction=RUBBER,
    ),
)

JOINTS = tuple(link.joint for link in LINKS if link.joint)
"""The joints of the arm, then those of the fingers."""
