"""Generates the URDF of the arm for robot_state_publisher and gz_ros2_control: frames, joints and masses, no visuals."""

from xml.etree.ElementTree import Element

from sim.description import robot, world
from sim.description.geometry import Matrix, from_quat, optical_frame, rpy
from sim.description.parts import Camera, Inertia, Joint, Link, Vector
from sim.description.text import add, document, rounded


def urdf() -> str:
    root = Element("robot", name=robot.NAME)
    add(root, "link", name="world")
    for link in robot.LINKS:
        body = add(root, "link", name=link.name)
        if link.inertia:
            write_inertia(body, link.inertia)
        write_joint(root, link)
        if link.camera:
            write_camera(root, link.name, link.camera)
    write_camera(root, "world", world.CAMERA)
    write_control(root)
    return document(root)


def write_inertia(body: Element, inertia: Inertia) -> None:
    inertial = add(body, "inertial")
    add(inertial, "origin", xyz=inertia.pos, rpy="0 0 0")
    add(inertial, "mass", value=inertia.mass)
    ixx, iyy, izz = inertia.moments
    add(inertial, "inertia", ixx=ixx, ixy=0, ixz=0, iyy=iyy, iyz=0, izz=izz)


def write_joint(root: Element, link: Link) -> None:
    joint = link.joint
    name = joint.name if joint else f"{link.name}_joint"
    element = add_joint(root, name, link.parent, link.name, link.pos, from_quat(link.quat))
    if not joint:
        return
    element.set("type", joint.kind)
    add(element, "axis", xyz=joint.axis)
    add(element, "limit", lower=joint.lower, upper=joint.upper, effort=joint.effort, velocity=joint.velocity)
    add(element, "dynamics", damping=joint.damping)
    if joint.follows:
        add(element, "mimic", joint=joint.follows)


def write_camera(root: Element, parent: str, camera: Camera) -> None:
    """Writes the optical frame, which the messages of the camera name."""
    frame = f"{camera.name}_camera_optical_frame"
    add(root, "link", name=frame)
    add_joint(root, f"{frame}_joint", parent, frame, camera.pos, optical_frame(camera))


def add_joint(root: Element, name: str, parent: str, child: str, pos: Vector, rotation: Matrix) -> Element:
    """Adds a fixed joint and returns it."""
    joint = add(root, "joint", name=name, type="fixed")
    add(joint, "parent", link=parent)
    add(joint, "child", link=child)
    add(joint, "origin", xyz=rounded(pos), rpy=rounded(rpy(rotation)))
    return joint


def write_control(root: Element) -> None:
    control = add(root, "ros2_control", name=robot.NAME, type="system")
    add(add(control, "hardware"), "plugin", "gz_ros2_control/GazeboSimSystem")
    for joint in robot.JOINTS:
        write_interfaces(add(control, "joint", name=joint.name), joint)


def write_interfaces(parent: Element, joint: Joint) -> None:
    """The arm has position and velocity commands, for whichever controller is active; the gripper has positions."""
    if not joint.follows:
        add(parent, "command_interface", name="position")
        if joint.kind == "revolute":
            add(parent, "command_interface", name="velocity")
    position = add(parent, "state_interface", name="position")
    add(position, "param", joint.home, name="initial_value")
    add(parent, "state_interface", name="velocity")
    add(parent, "state_interface", name="effort")
