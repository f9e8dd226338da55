"""`pi05 replay` and the live node over real DDS give the same chunks and commands for one bag, bit for bit."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from harness import PI05, Robot, nanoseconds
from record_arm import START, STORE
from replay_runs import messages

SECONDS = 4.0
# Parameters of compressed cameras.
COMPRESSED = {
    f"cameras__{camera}__{key}": value
    for camera in ("exterior", "wrist")
    for key, value in (("topic", f"{camera}_camera/image_raw/compressed"), ("transport", "compressed"))
}


def record(directory, *arguments):
    script = Path(__file__).with_name("record_arm.py")
    path = directory / "bag"
    subprocess.run([sys.executable, script, path, "--lockstep", "--seconds", str(SECONDS), *arguments], check=True)
    return path


def replay(bag, params, directory):
    """Runs a replay. Returns its chunks by stamp, and the commands of each topic with their log times."""
    out, summary = directory / "out.mcap", directory / "out.json"
    subprocess.run([PI05, "replay", bag, "--params", params, "--strict", "--out", out, "--json", summary], check=True)
    chunks, commands = {}, {}
    for topic, kind, time, data in messages(out):
        message = STORE.deserialize_cdr(data, kind)
        if topic == "/policy_node/chunk":
            chunks[nanoseconds(message.header.stamp)] = message
        else:
            commands.setdefault(topic, []).append((time, message.data))
    assert json.loads(summary.read_text())["chunks"] == len(chunks)
    return chunks, commands


def play(bag, robot, times):
    """Publishes the serialised messages of the bag, each after the node has published the commands that replay had before it.

    `times`: log times of the commands in replay, ns.
    """
    publishers = {f"/{p.topic_name.removeprefix(robot.namespace + '/')}": p for p in [*robot.cameras.values(), robot.joints]}
    publishers["/clock"] = robot.clock
    for topic, _, time, data in messages(bag):
        if topic not in publishers:
            continue
        due = sum(t < time for t in times)
        robot.wait_until(lambda due=due: len(robot.gripper) >= due, f"{due} commands")
        publishers[topic].publish(data)
        if time < START + 1_000_000:
            robot.wait_until_processed()  # messages before the first /clock are not used
    robot.wait_until(lambda: len(robot.gripper) >= len(times), "all commands")


def point_bytes(message):
    """Time, positions and velocities of each point of a trajectory, to compare bit for bit."""
    return [
        (nanoseconds(p.time_from_start), np.array(p.positions).tobytes(), np.array(p.velocities).tobytes())
        for p in message.points
    ]


@pytest.mark.parametrize(
    "mode, transport", [("async", "raw"), ("sync", "raw"), ("async", "compressed")], ids=lambda value: value
)
def test_a_bag_gives_the_same_chunks_in_replay_and_live_bit_for_bit(
    mode, transport, tmp_path, context, namespace, start
):
    compressed = transport == "compressed"
    bag = record(tmp_path, *(["--compressed", "jpeg"] if compressed else []))
    node = start(
        use_sim_time=True,
        schedule__lockstep=True,
        schedule__mode=mode,
        schedule__replan_steps=3,
        safety__max_following_error=1000.0,
        **(COMPRESSED if compressed else {}),
    )
    expected, commands = replay(bag, node.file, tmp_path)
    times = [time for time, _ in commands["/gripper_controller/commands"]]
    robot = Robot(context, namespace, compressed=("exterior", "wrist") if compressed else ())
    try:
        robot.wait_for_state("active")
        robot.wait_until_connected()
        play(bag, robot, times)
        robot.wait_until(lambda: len(robot.chunks) >= len(expected), "the last chunk")
    finally:
        robot.close()

    ticks = round(SECONDS * 15)
    assert len(expected) >= ticks // 3 - 1
    live = {nanoseconds(chunk.header.stamp): chunk for chunk in robot.chunks}
    assert live.keys() == expected.keys()
    for stamp, chunk in expected.items():
        assert live[stamp].joint_names == chunk.joint_names
        assert point_bytes(live[stamp]) == point_bytes(chunk)
    assert len({point_bytes(chunk)[0] for chunk in expected.values()}) == len(expected), "all chunks differ"
    for topic, received in (("arm_velocity_controller", robot.arm), ("gripper_controller", robot.gripper)):
        replayed = [data.tobytes() for _, data in commands[f"/{topic}/commands"]]
        assert len(replayed) >= ticks
        assert [np.array(message.data).tobytes() for message in received][: len(replayed)] == replayed
