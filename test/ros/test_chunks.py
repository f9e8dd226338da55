"""The chunks and commands of the node: their values, stamps, topics and QoS."""

import io

import numpy as np
import pytest
from harness import (
    ARM,
    JOINTS,
    PERIOD,
    RATE,
    REST,
    Robot,
    chunk_values,
    encoded_image,
    nanoseconds,
    random_image,
    reference_chunk,
)
from PIL import Image as PillowImage
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.qos import ReliabilityPolicy
from std_msgs.msg import String

EXTERIOR, WRIST = random_image(11), random_image(12, 80, 60)
EVERY_TICK = {"schedule__replan_steps": 1}


def test_a_chunk_is_what_policy_and_engine_compute_bit_for_bit(sim_node, robot):
    node = sim_node()
    robot.first_chunk()
    robot.advance(4)
    chunk = robot.next_chunk(exterior=EXTERIOR, wrist=WRIST)
    assert np.array_equal(chunk_values(chunk), reference_chunk(node, chunk.header.stamp, EXTERIOR, WRIST, REST))


def test_a_chunk_has_the_observations_stamp_names_and_a_point_every_period(sim_node, robot):
    sim_node()
    chunk = robot.first_chunk()
    assert nanoseconds(chunk.header.stamp) <= robot.now
    assert chunk.joint_names == JOINTS
    starts = [nanoseconds(p.time_from_start) for p in chunk.points]
    assert np.allclose(starts, np.arange(len(starts)) * 1e9 / RATE, atol=1, rtol=0)
    for point in chunk.points:
        assert np.isnan(point.positions[:7]).all() and np.isfinite(point.positions[7])
        assert np.isfinite(point.velocities[:7]).all() and np.isnan(point.velocities[7])


def test_the_stamp_is_the_newest_of_the_set(sim_node, robot):
    sim_node(**EVERY_TICK)
    robot.first_chunk()
    count, newest = len(robot.chunks), []

    def repeat():
        robot.advance()
        robot.send_image("exterior", EXTERIOR, offset=-40_000_000)
        robot.send_joints(REST, offset=-20_000_000)
        robot.send_image("wrist", WRIST, offset=-10_000_000)
        newest.append(robot.stamp(-10_000_000))

    robot.wait_until(lambda: any(c.header.stamp in newest for c in robot.chunks[count:]), "a chunk of the newest stamp", repeat)


def test_each_camera_is_used_in_its_slot(sim_node, robot):
    node = sim_node(**EVERY_TICK)
    robot.first_chunk()
    straight = robot.next_chunk(exterior=EXTERIOR, wrist=WRIST)
    swapped = robot.next_chunk(exterior=WRIST, wrist=EXTERIOR)
    for chunk, views in ((straight, (EXTERIOR, WRIST)), (swapped, (WRIST, EXTERIOR))):
        stamp = chunk.header.stamp
        assert np.array_equal(chunk_values(chunk), reference_chunk(node, stamp, *views, REST))
        assert not np.array_equal(chunk_values(chunk), reference_chunk(node, stamp, *reversed(views), REST))


def test_both_cameras_are_inputs_of_the_model(sim_node, robot):
    node = sim_node(**EVERY_TICK)
    robot.first_chunk()
    chunk = robot.next_chunk(exterior=EXTERIOR, wrist=WRIST)
    for views in ((random_image(13), WRIST), (EXTERIOR, random_image(13))):
        assert not np.array_equal(chunk_values(chunk), reference_chunk(node, chunk.header.stamp, *views, REST))


def test_swapping_the_slots_in_the_configuration_swaps_the_images(sim_node, robot):
    node = sim_node(cameras__exterior__slot="left_wrist_0_rgb", cameras__wrist__slot="base_0_rgb", **EVERY_TICK)
    robot.first_chunk()
    chunk = robot.next_chunk(exterior=EXTERIOR, wrist=WRIST)
    # First with the same configuration, then with the slots swapped.
    assert np.array_equal(chunk_values(chunk), reference_chunk(node, chunk.header.stamp, EXTERIOR, WRIST, REST))
    text = node.file.read_text()
    straight = text.replace("left_wrist_0_rgb", "X").replace("base_0_rgb", "left_wrist_0_rgb").replace("X", "base_0_rgb")
    node.file.write_text(straight)
    assert np.array_equal(chunk_values(chunk), reference_chunk(node, chunk.header.stamp, WRIST, EXTERIOR, REST))
    assert not np.array_equal(chunk_values(chunk), reference_chunk(node, chunk.header.stamp, EXTERIOR, WRIST, REST))


def test_the_gripper_is_an_input_of_the_model_and_joints_are_found_by_name(sim_node, robot):
    node = sim_node(**EVERY_TICK)
    robot.first_chunk()
    closed = [*REST[:7], 0.0]
    order = [3, 7, 0, 6, 1, 5, 2, 4]
    stamps = []

    def repeat():
        robot.advance()
        robot.send_image("exterior", EXTERIOR)
        robot.send_image("wrist", WRIST)
        robot.send_joints(
            [9.9, *(closed[i] for i in order)], names=["some_other_joint", *(JOINTS[i] for i in order)]
        )
        stamps.append(robot.stamp())

    chunk = robot.wait_until(lambda: next((c for c in robot.chunks if c.header.stamp in stamps), None), "a chunk", repeat)
    stamp = chunk.header.stamp
    assert np.array_equal(chunk_values(chunk), reference_chunk(node, stamp, EXTERIOR, WRIST, closed))
    assert not np.array_equal(chunk_values(chunk), reference_chunk(node, stamp, EXTERIOR, WRIST, REST))


def test_every_tick_publishes_one_command_which_is_the_next_row_of_the_chunk(sim_node, robot):
    sim_node(schedule__replan_steps=12)
    robot.wait_until(lambda: robot.chunks, "a chunk", repeat=robot.send_next_set)
    robot.wait_until_processed()
    rows = chunk_values(robot.chunks[0])
    before = len(robot.arm)
    for tick in range(1, 6):
        robot.advance()
        robot.send_joints(REST)
        robot.wait_until_processed()
        robot.wait_until(lambda: len(robot.arm) >= before + tick and len(robot.gripper) >= before + tick, f"tick {tick}")
    robot.wait_until_processed()
    assert len(robot.chunks) == 1
    assert len(robot.arm) == len(robot.gripper) == before + 5
    sent = np.array([[*arm.data, *gripper.data] for arm, gripper in zip(robot.arm, robot.gripper, strict=True)])
    moving = sent[np.any(sent[:, :7] != 0, axis=1)]
    assert len(moving) >= 5
    assert np.array_equal(moving, rows[: len(moving)])


def test_position_outputs_are_trajectories_with_the_ticks_stamp(sim_node, robot):
    positions = {f"action__{joint}__kind": "position" for joint in ARM}
    sim_node(
        outputs__arm__topic="arm_controller/joint_trajectory",
        outputs__arm__type="joint_trajectory",
        outputs__arm__stamp="now",
        **positions,
        **EVERY_TICK,
    )
    robot.wait_until(lambda: robot.trajectories, "a trajectory", repeat=lambda: (robot.advance(), robot.send_set()))
    robot.wait_until_processed()
    before = len(robot.trajectories)
    robot.advance()
    robot.wait_until(lambda: len(robot.trajectories) > before, "a trajectory")
    message = robot.trajectories[-1]
    assert message.header.stamp == robot.stamp()
    assert message.joint_names == ARM
    (point,) = message.points
    assert len(point.positions) == 7 and len(point.velocities) == 0
    assert point.time_from_start.nanosec == PERIOD


def test_the_prompt_topic_changes_the_prompt_of_the_model_and_the_parameter(sim_node, robot):
    node = sim_node(**EVERY_TICK)
    robot.first_chunk()

    def prompt():
        request = GetParameters.Request(names=["prompt"])
        return robot.call(GetParameters, "policy_node/get_parameters", request).values[0].string_value

    robot.wait_until(lambda: prompt() == "open it", "the prompt", repeat=lambda: robot.prompt.publish(String(data="open it")))
    chunk = robot.next_chunk(exterior=EXTERIOR, wrist=WRIST)
    assert np.array_equal(chunk_values(chunk), reference_chunk(node, chunk.header.stamp, EXTERIOR, WRIST, REST, "open it"))
    text = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value="close it")
    request = SetParameters.Request(parameters=[Parameter(name="prompt", value=text)])
    assert robot.call(SetParameters, "policy_node/set_parameters", request).results[0].successful
    chunk = robot.next_chunk(exterior=EXTERIOR, wrist=WRIST)
    assert np.array_equal(chunk_values(chunk), reference_chunk(node, chunk.header.stamp, EXTERIOR, WRIST, REST, "close it"))


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_compressed_images_are_decoded(kind, start, context, namespace):
    robot = Robot(context, namespace, compressed=("exterior", "wrist"))
    try:
        node = start(
            use_sim_time=True,
            **EVERY_TICK,
            **{f"cameras__{c}__transport": "compressed" for c in robot.cameras},
            **{f"cameras__{c}__topic": f"{c}_camera/image_raw/compressed" for c in robot.cameras},
        )
        robot.wait_for_state("active")
        robot.wait_until_connected()
        images = {"exterior": EXTERIOR, "wrist": WRIST}
        options = {"quality": 90} if kind == "jpeg" else {}
        files = {camera: encoded_image(pixels, kind, **options) for camera, pixels in images.items()}

        def send_next():
            robot.now += 1_000_000
            robot.send_clock()
            for camera, data in files.items():
                robot.send_compressed(camera, data, kind=f"rgb8; {kind} compressed bgr8")
            robot.send_joints(REST)

        robot.wait_until(lambda: robot.chunks, "a chunk", repeat=send_next)
        chunk = robot.chunks[0]
        if kind == "png":
            expected = images
        else:
            expected = {camera: np.array(PillowImage.open(io.BytesIO(data))) for camera, data in files.items()}
        reference = reference_chunk(node, chunk.header.stamp, expected["exterior"], expected["wrist"], REST)
        # Two JPEG decoders may differ in the last bit of a pixel.
        assert np.allclose(chunk_values(chunk), reference, rtol=0, atol=0 if kind == "png" else 0.05)
    finally:
        robot.close()


def test_nodes_in_two_namespaces_do_not_receive_each_others_messages(start, context, namespace):
    left, right = (Robot(context, f"{namespace}/{side}") for side in ("left", "right"))
    try:
        right.now += 7_000_000
        for robot in (left, right):
            start(namespace=robot.namespace, use_sim_time=True)
        for robot in (left, right):
            robot.wait_for_state("active")
            robot.wait_until_connected()
        # /clock is shared; the stamps of the robots differ.
        left.wait_until(lambda: left.chunks, "a chunk on the left", repeat=left.send_next_set)
        right.executor.spin_once(timeout_sec=0.1)
        assert right.chunks == []
        right.wait_until(lambda: right.chunks, "a chunk on the right", repeat=right.send_next_set)
        stamps = {robot: {nanoseconds(c.header.stamp) for c in robot.chunks} for robot in (left, right)}
        assert not stamps[left] & stamps[right]
    finally:
        left.close()
        right.close()


def endpoints(robot, query, topic, nodes):
    """The endpoints on a topic, which belong to these nodes; their names are discovered after the endpoints."""
    found = lambda: query(f"{robot.namespace}/{topic}")
    robot.wait_until(lambda: {info.node_name for info in found()} == nodes, f"{nodes} on {topic}")
    return found()


@pytest.mark.parametrize(
    ("lockstep", "reliability"), [(False, ReliabilityPolicy.BEST_EFFORT), (True, ReliabilityPolicy.RELIABLE)]
)
def test_inputs_have_sensor_data_qos_and_are_reliable_in_lockstep(lockstep, reliability, sim_node, robot):
    sim_node(schedule__lockstep=lockstep)
    policy, both = {"policy_node"}, {"policy_node", "policy_node_guard"}
    for topic, nodes in {"exterior_camera/image_raw": policy, "wrist_camera/image_raw": policy, "joint_states": both}.items():
        subscriptions = endpoints(robot, robot.ros.get_subscriptions_info_by_topic, topic, nodes)
        assert {info.qos_profile.reliability for info in subscriptions} == {reliability}
    commands = ("arm_velocity_controller/commands", "gripper_controller/commands")
    for topic, nodes in {"policy_node/chunk": policy, commands[0]: both, commands[1]: both}.items():
        publishers = endpoints(robot, robot.ros.get_publishers_info_by_topic, topic, nodes)
        assert {info.qos_profile.reliability for info in publishers} == {ReliabilityPolicy.RELIABLE}


def test_in_real_time_every_tick_publishes_commands(start, robot):
    start()
    robot.wait_for_state("active")
    robot.wait_until_connected()

    def send_now():
        robot.now = robot.ros.get_clock().now().nanoseconds
        robot.send_set()

    enough = lambda: len(robot.arm) >= 20 and len(robot.gripper) >= 20 and len(robot.chunks) >= 2
    robot.wait_until(enough, "commands", repeat=send_now)
    robot.wait_until(lambda: "tick_lateness_ms_p99" in robot.values(f"{robot.namespace}/policy_node"), "the tick lateness")
