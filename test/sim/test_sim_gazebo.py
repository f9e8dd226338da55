"""Compares the files for Gazebo with the model that MuJoCo loads, with the topics of the simulated arm, and with the
documentation of ros_gz_bridge. Gazebo itself is not run.
"""

import pathlib
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml
from gazebo_files import GAZEBO, pose, read_sdf, read_urdf, sensors

from sim.arm import Arm
from sim.cameras import HEIGHT, WIDTH
from sim.clock import CLOCK_RATE, IMAGES_EVERY, JOINTS_EVERY
from sim.control import FINGER_SPEED, MAX_VELOCITY
from sim.description.__main__ import out_of_date
from sim.gl import mujoco
from sim.kinematics import FINGERS, JOINTS
from sim.topics import CAMERAS, GRIPPER, TRAJECTORY, VELOCITY

CONFIGS = GAZEBO.parents[1] / "configs"
TREES = {"sdf": read_sdf(), "urdf": read_urdf()}

# From the README of ros_gz_bridge, branch jazzy: "Example 5: Configuring the Bridge via YAML" and the table of types.
DOCUMENTED_KEYS = {
    *("topic_name", "ros_topic_name", "gz_topic_name", "ros_type_name", "gz_type_name"),
    *("subscriber_queue", "publisher_queue", "lazy", "direction"),
}
DOCUMENTED_DIRECTIONS = {"BIDIRECTIONAL", "GZ_TO_ROS", "ROS_TO_GZ"}
DOCUMENTED_PAIRS = {
    ("rosgraph_msgs/msg/Clock", "gz.msgs.Clock"),
    ("sensor_msgs/msg/CameraInfo", "gz.msgs.CameraInfo"),
    ("sensor_msgs/msg/Image", "gz.msgs.Image"),
}


def configured(name: str):
    return yaml.safe_load((CONFIGS / name).read_text())


def poses() -> list[dict[str, float]]:
    model = Arm().model
    generator = np.random.default_rng(11)
    ranges = {name: model.joint(name).range for name in JOINTS + FINGERS}
    random = [{name: float(generator.uniform(*limits)) for name, limits in ranges.items()} for _ in range(8)]
    return [dict.fromkeys(ranges, 0.0), *random]


def test_the_generated_files_are_up_to_date():
    assert out_of_date() == []


def test_a_file_that_was_edited_is_out_of_date(tmp_path, monkeypatch):
    from sim.description import __main__ as description

    edited = tmp_path / "arm.xml"
    edited.write_text(description.mjcf().replace("3.4", "3.5", 1))
    monkeypatch.setattr(description, "files", lambda: {edited: description.mjcf()})
    assert description.out_of_date() == [edited]


@pytest.mark.parametrize("kind", TREES)
def test_every_link_has_the_pose_of_the_mujoco_body(kind):
    arm = Arm()
    for positions in poses():
        for name, value in positions.items():
            arm.data.joint(name).qpos[0] = value
        mujoco.mj_kinematics(arm.model, arm.data)
        for link in (*(f"panda_link{i}" for i in range(9)), "panda_hand", "panda_leftfinger", "panda_rightfinger"):
            body = arm.data.body(link)
            found = TREES[kind].world_pose(link, positions)
            np.testing.assert_allclose(found[:3, 3], body.xpos, atol=1e-9, err_msg=link)
            np.testing.assert_allclose(found[:3, :3], body.xmat.reshape(3, 3), atol=1e-9, err_msg=link)


@pytest.mark.parametrize("kind", TREES)
def test_joints_have_the_names_types_axes_and_limits_of_the_mujoco_joints(kind):
    arm = Arm()
    model = arm.model
    joints = {name: joint for name, joint in TREES[kind].joints.items() if joint.kind != "fixed"}
    assert list(joints) == [*JOINTS, *FINGERS]
    speeds = [*MAX_VELOCITY, FINGER_SPEED, FINGER_SPEED]
    for (name, joint), speed in zip(joints.items(), speeds, strict=True):
        mujoco_joint = model.joint(name)
        slides = mujoco_joint.type[0] == mujoco.mjtJoint.mjJNT_SLIDE
        assert joint.kind == ("prismatic" if slides else "revolute")
        assert joint.child == model.body(mujoco_joint.bodyid[0]).name
        np.testing.assert_array_equal(joint.axis, mujoco_joint.axis)
        np.testing.assert_array_equal(mujoco_joint.pos, np.zeros(3))
        # The second finger mimics the first one and has no servo.
        servo = model.actuator(name if name != FINGERS[1] else FINGERS[0])
        assert joint.limits == {
            "lower": mujoco_joint.range[0],
            "upper": mujoco_joint.range[1],
            "effort": servo.forcerange[1],
            "velocity": speed,
        }


def test_only_the_second_finger_mimics_another_joint():
    assert {name: joint.mimic for name, joint in TREES["urdf"].joints.items() if joint.mimic} == {FINGERS[1]: FINGERS[0]}


@pytest.mark.parametrize("kind", TREES)
def test_masses_and_moments_of_inertia_are_those_of_the_mujoco_bodies(kind):
    model = Arm().model
    # Links that are fixed to the world need no mass.
    moving = [body for body in map(model.body, range(model.nbody)) if body.weldid[0] != 0 and body.name.startswith("panda")]
    assert set(TREES[kind].masses) == {body.name for body in moving if body.mass[0] > 0}
    for link, (mass, centre, moments) in TREES[kind].masses.items():
        body = model.body(link)
        np.testing.assert_allclose(body.mass[0], mass, rtol=1e-12)
        np.testing.assert_allclose(body.ipos, centre, atol=1e-12)
        # MuJoCo sorts the moments and rotates the axes accordingly.
        axes = np.zeros(9)
        mujoco.mju_quat2Mat(axes, body.iquat)
        inertia = axes.reshape(3, 3) @ np.diag(body.inertia) @ axes.reshape(3, 3).T
        np.testing.assert_allclose(inertia, np.diag(moments), atol=1e-12, err_msg=link)


def test_cameras_have_the_pose_of_the_mujoco_cameras():
    arm = Arm()
    fixed = {name: float(arm.data.joint(name).qpos[0]) for name in JOINTS + FINGERS}
    assert set(sensors()) == {f"{camera}_camera" for camera in CAMERAS}
    for camera in CAMERAS:
        link, sensor = sensors()[f"{camera}_camera"]
        world_pose = TREES["sdf"].world_pose(link, fixed) @ pose(sensor.findtext("pose"))
        mujoco_camera = arm.data.camera(camera)
        right, up, back = mujoco_camera.xmat.reshape(3, 3).T
        np.testing.assert_allclose(world_pose[:3, 3], mujoco_camera.xpos, atol=1e-9)
        # A Gazebo camera looks along x with z up, a MuJoCo camera along -z with y up.
        np.testing.assert_allclose(world_pose[:3, :3].T, [-back, -right, up], atol=1e-9)
        # The optical frame in the messages looks along z with y down.
        optical = TREES["urdf"].world_pose(sensor.findtext("camera/optical_frame_id"), fixed)
        np.testing.assert_allclose(optical[:3, 3], mujoco_camera.xpos, atol=1e-9)
        np.testing.assert_allclose(optical[:3, :3].T, [right, -up, -back], atol=1e-9)


def test_cameras_have_the_intrinsics_size_and_rate_of_the_mujoco_cameras():
    model = Arm().model
    for camera in CAMERAS:
        sensor = sensors()[f"{camera}_camera"][1]
        width, height = (int(sensor.findtext(f"camera/image/{side}")) for side in ("width", "height"))
        assert (width, height) == (WIDTH, HEIGHT) == (model.vis.global_.offwidth, model.vis.global_.offheight)
        focal = width / 2 / np.tan(float(sensor.findtext("camera/horizontal_fov")) / 2)
        expected = height / 2 / np.tan(np.radians(model.camera(camera).fovy[0]) / 2)
        assert focal == pytest.approx(expected, rel=1e-9)
        assert float(sensor.findtext("update_rate")) == CLOCK_RATE / IMAGES_EVERY
        assert sensor.findtext("camera/image/format") == "R8G8B8"  # rgb8 in ros_gz_bridge
        assert sensor.findtext("camera/optical_frame_id") == f"{camera}_camera_optical_frame"


def test_the_blocks_have_the_pose_and_mass_of_the_mujoco_bodies():
    arm = Arm()
    world = ElementTree.parse(GAZEBO / "world.sdf").getroot().find("world")
    for block in ("red_block", "green_block", "blue_block"):
        model = world.find(f"model[@name='{block}']")
        body = arm.data.body(block)
        world_pose = pose(model.findtext("pose"))
        np.testing.assert_allclose(world_pose[:3, 3], body.xpos, atol=1e-9)
        np.testing.assert_allclose(world_pose[:3, :3], body.xmat.reshape(3, 3), atol=1e-9)
        assert float(model.findtext("link/inertial/mass")) == pytest.approx(arm.model.body(block).mass[0], rel=1e-9)


def test_the_bowl_has_the_pose_mass_and_shapes_of_the_mujoco_body():
    arm = Arm()
    world = ElementTree.parse(GAZEBO / "world.sdf").getroot().find("world")
    model = world.find("model[@name='bowl']")
    body, link = arm.model.body("bowl"), model.find("link")
    np.testing.assert_allclose(pose(model.findtext("pose"))[:3, 3], arm.data.body("bowl").xpos, atol=1e-9)
    assert float(link.findtext("inertial/mass")) == body.mass[0]
    np.testing.assert_array_equal(pose(link.findtext("inertial/pose"))[:3, 3], body.ipos)
    moments = [float(link.findtext(f"inertial/inertia/{name}")) for name in ("ixx", "iyy", "izz")]
    np.testing.assert_allclose(np.sort(moments), np.sort(body.inertia), rtol=1e-9)
    collisions = {collision.get("name").removesuffix("_collision"): collision for collision in link.iterfind("collision")}
    geoms = [arm.model.geom(index) for index in np.flatnonzero(arm.model.geom_bodyid == body.id)]
    assert set(collisions) == {geom.name for geom in geoms if geom.contype[0]}
    assert len(collisions) == 13
    for name, collision in collisions.items():
        geom = arm.model.geom(name)
        rotation = np.zeros(9)
        mujoco.mju_quat2Mat(rotation, geom.quat)
        np.testing.assert_allclose(pose(collision.findtext("pose"))[:3, 3], geom.pos, atol=1e-9)
        np.testing.assert_allclose(pose(collision.findtext("pose"))[:3, :3], rotation.reshape(3, 3), atol=1e-8)
        np.testing.assert_allclose(np.array(collision.findtext("geometry/box/size").split(), float) / 2, geom.size, atol=1e-9)


def test_the_same_fixed_shapes_collide_as_in_mujoco():
    model = Arm().model
    world = ElementTree.parse(GAZEBO / "world.sdf").getroot().find("world")
    found = world.iterfind("model[static='true']/link/collision")
    collisions = {element.get("name").removesuffix("_collision") for element in found}
    fixed = [model.geom(index) for index in np.flatnonzero(model.geom_bodyid == 0)]
    assert collisions == {geom.name for geom in fixed if geom.contype[0]}
    assert {geom.name for geom in fixed} - collisions == {"wall1", "wall2", "wall3", "wall4", "ceiling"}


def test_the_bridge_is_configured_with_documented_keys_types_and_directions():
    for entry in configured("gz_bridge.yaml"):
        assert set(entry) <= DOCUMENTED_KEYS
        assert entry["direction"] in DOCUMENTED_DIRECTIONS
        assert (entry["ros_type_name"], entry["gz_type_name"]) in DOCUMENTED_PAIRS


def test_the_bridge_has_the_clock_and_the_topics_of_the_cameras():
    bridged_topics = {entry["ros_topic_name"]: entry["gz_topic_name"] for entry in configured("gz_bridge.yaml")}
    expected = {"/clock": "/clock"}
    for name, (_, sensor) in sensors().items():
        assert sensor.findtext("topic") == f"{name}/image_raw"
        for topic in (sensor.findtext("topic"), sensor.findtext("camera/camera_info_topic")):
            expected[topic] = f"/{topic}"
    assert bridged_topics == expected
    assert {entry["direction"] for entry in configured("gz_bridge.yaml")} == {"GZ_TO_ROS"}


# The command topic of each type of controller, relative to its name (ros2_controllers, branch jazzy).
TOPICS_OF = {
    "forward_command_controller/ForwardCommandController": "commands",
    "joint_trajectory_controller/JointTrajectoryController": "joint_trajectory",
}


def test_controllers_subscribe_to_the_command_topics_of_the_simulated_arm():
    controllers = configured("gz_controllers.yaml")
    manager = controllers["controller_manager"]["ros__parameters"]
    assert manager.pop("update_rate") == CLOCK_RATE / JOINTS_EVERY
    types = {name: value["type"] for name, value in manager.items()}
    assert types.pop("joint_state_broadcaster") == "joint_state_broadcaster/JointStateBroadcaster"
    assert {f"{name}/{TOPICS_OF[kind]}" for name, kind in types.items()} == {VELOCITY, TRAJECTORY, GRIPPER}
    joints = {name: controllers[name]["ros__parameters"]["joints"] for name in types}
    assert joints == {
        "arm_velocity_controller": list(JOINTS),
        "arm_controller": list(JOINTS),
        "gripper_controller": [FINGERS[0]],
    }


def test_the_robot_has_the_interfaces_that_the_controllers_claim():
    control = ElementTree.parse(GAZEBO / "arm.urdf").getroot().find("ros2_control")
    available = {
        (joint.get("name"), interface.get("name"))
        for joint in control.iterfind("joint")
        for interface in joint.iterfind("command_interface")
    }
    arm = {(joint, interface) for joint in JOINTS for interface in ("position", "velocity")}
    assert available == {*arm, (FINGERS[0], "position")}
    claimed = {}
    for name, section in configured("gz_controllers.yaml").items():
        parameters = section["ros__parameters"]
        if name != "controller_manager":
            interfaces = parameters.get("command_interfaces") or [parameters["interface_name"]]
            claimed[name] = {(joint, interface) for joint in parameters["joints"] for interface in interfaces}
    assert claimed == {
        "arm_velocity_controller": {pair for pair in arm if pair[1] == "velocity"},
        "arm_controller": {pair for pair in arm if pair[1] == "position"},
        "gripper_controller": available - arm,
    }
    starts = {joint.get("name"): float(joint.find("state_interface/param").text) for joint in control.iterfind("joint")}
    np.testing.assert_allclose([starts[name] for name in JOINTS + FINGERS], Arm().read().position, atol=1e-12)


@pytest.mark.parametrize("preset", ["demo", "pi05_droid"])
def test_a_panda_preset_uses_the_topics_of_the_bridge_and_the_controllers(preset):
    (parameters,) = (section["ros__parameters"] for section in configured(f"{preset}.yaml").values())
    bridged = {entry["ros_topic_name"]: entry["ros_type_name"] for entry in configured("gz_bridge.yaml")}
    cameras = [parameters["cameras"][name] for name in parameters["cameras"]["names"]]
    assert [bridged.get(camera["topic"]) for camera in cameras] == ["sensor_msgs/msg/Image"] * 2
    assert parameters["state"]["topic"] == "joint_states"
    outputs = [parameters["outputs"][name] for name in parameters["outputs"]["names"]]
    assert {output["topic"]: output["joints"] for output in outputs} == {VELOCITY: list(JOINTS), GRIPPER: [FINGERS[0]]}


def test_the_world_includes_the_arm_and_its_controller_parameters_are_relative_to_the_package_root():
    world = ElementTree.parse(GAZEBO / "world.sdf").getroot()
    name = world.findtext("world/include/uri").removeprefix("model://")
    config = ElementTree.parse(GAZEBO / name / "model.config").getroot()
    model = ElementTree.parse(GAZEBO / name / config.findtext("sdf")).getroot().find("model")
    parameters = pathlib.Path(model.findtext("plugin/parameters"))
    assert not parameters.is_absolute()
    assert (GAZEBO.parents[1] / parameters).is_file()
