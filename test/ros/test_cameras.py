"""Cameras in real time: they are read by a node of their own, and only the newest message is read."""

import time

from harness import random_image

CAMERAS = ("exterior", "wrist")


def counts(robot, camera):
    """How many messages of a camera were offered, dropped, accepted and used."""
    values = robot.values(f"{robot.namespace}/policy_node")
    return {event: int(values.get(f"camera.{camera}.{event}", 0)) for event in ("offered", "dropped", "accepted", "used")}


def send_now(robot):
    robot.now = time.time_ns()
    robot.send_set()


def test_the_cameras_are_subscribed_to_by_a_node_of_their_own(start, robot):
    start("-r", "wrist_camera/image_raw:=wrist_renamed")
    robot.wait_for_state("active")
    for topic in ("exterior_camera/image_raw", "wrist_renamed"):
        robot.wait_until(lambda topic=topic: robot.ros.get_subscriptions_info_by_topic(f"{robot.namespace}/{topic}"), topic)
        endpoints = robot.ros.get_subscriptions_info_by_topic(f"{robot.namespace}/{topic}")
        assert [(e.node_name, e.node_namespace) for e in endpoints] == [("policy_node_cameras", robot.namespace)]


def test_frames_are_counted_and_only_the_newest_of_a_burst_is_offered(start, robot):
    start(prompt="")
    robot.wait_for_state("active")
    robot.wait_until_connected()
    robot.wait_until(lambda: counts(robot, "wrist")["accepted"] > 0, "an accepted frame", lambda: send_now(robot))
    before = {camera: counts(robot, camera)["offered"] for camera in CAMERAS}
    sent = 0

    def burst():
        nonlocal sent
        for _ in range(20):
            send_now(robot)
            sent += 1

    robot.wait_until(lambda: all(counts(robot, c)["offered"] >= before[c] + 5 for c in CAMERAS), "frames", burst)
    for camera in CAMERAS:
        values = counts(robot, camera)
        # A message that arrives while another one of the same burst is read may be offered too.
        assert values["offered"] - before[camera] < sent / 2
        assert values["used"] == 0
        assert values["accepted"] <= values["offered"]


def test_an_observation_of_polled_cameras_gives_a_chunk_and_its_frames_are_used(start, robot):
    start()
    robot.wait_for_state("active")
    robot.wait_until_connected()
    robot.wait_until(lambda: robot.chunks, "a chunk", lambda: send_now(robot))
    robot.wait_until(lambda: counts(robot, "wrist")["used"] > 0, "a frame that is used", lambda: send_now(robot))


def test_what_was_published_before_the_activation_is_dropped(start, robot):
    node = start(autostart=False)
    assert robot.change_state("configure")
    robot.wait_until(lambda: all(p.get_subscription_count() > 0 for p in robot.cameras.values()), "subscribers")
    for camera, seed in zip(CAMERAS, (1, 2), strict=True):
        robot.now = time.time_ns() - 30_000_000_000
        robot.send_image(camera, random_image(seed))
    robot.wait_until_processed()
    assert robot.change_state("activate")
    # Nothing is sent meanwhile, so an old message would be read.
    node.wait_for_log("CAMERA_")
    assert "CAMERA_MISSING" in node.log and "behind the clock" not in node.log, node.log
