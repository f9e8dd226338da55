"""Refusals that depend on other messages, on age or on the prompt, end to end."""

import math

import numpy as np
import pytest
from harness import PERIOD, REST, random_image
from refusal_checks import CAMERA_AGE, EXTERIOR, STATE_AGE, WRIST, RefusalCheck, refusal_count
from std_msgs.msg import String


def test_camera_duplicate(assert_refused, robot):
    def bad():
        robot.advance()
        robot.send_set(exterior=random_image(5), wrist=random_image(5))
        robot.wait_until_processed()
        robot.advance()

    assert_refused("CAMERA_DUPLICATE", WRIST, (bad, (EXTERIOR, WRIST, "identical")))


def test_camera_frozen(assert_refused, robot):
    """Messages whose stamp does not advance, at the same time and a tick later. A message delivered twice is not refused."""

    def same_stamp():
        for _ in range(3):
            robot.send_image("wrist", random_image(2))

    def a_tick_later():
        # The first image must be processed before the tick.
        robot.wait_until_processed()
        robot.advance()
        robot.send_image("wrist", random_image(2), offset=-PERIOD)

    def twice():
        robot.advance()
        robot.send_set()
        robot.send_image("exterior", random_image(1))
        robot.send_image("wrist", random_image(2))
        robot.wait_until_processed()

    assert_refused(
        "CAMERA_FROZEN",
        WRIST,
        (same_stamp, ("the same again 0.000 s later",)),
        (lambda: robot.send_image("wrist", random_image(9)), ("the same again",)),
        (a_tick_later, ("the same again 0.067 s later",)),
    )
    before = refusal_count(robot, "CAMERA_FROZEN")
    twice()
    robot.next_chunk()
    assert refusal_count(robot, "CAMERA_FROZEN") == before


def test_time_backwards(assert_refused, robot):
    earlier_image = lambda: robot.send_image("exterior", random_image(3), offset=-10_000_000)
    assert_refused("TIME_BACKWARDS", EXTERIOR, (earlier_image, ("0.010 s before it",)))
    robot.next_chunk()
    check = RefusalCheck(robot, "TIME_BACKWARDS")
    robot.send_joints(REST, offset=-20_000_000)
    check.wait("joint_states", "0.020 s before it")
    robot.next_chunk()
    check = RefusalCheck(robot, "TIME_BACKWARDS")
    robot.send_image("wrist", random_image(3), offset=-robot.now)
    check.wait(WRIST, "received 0.000000000")
    robot.next_chunk()


def test_after_a_reset_of_the_simulation_or_a_restart_of_the_bag_it_continues(sim_node, robot):
    node = sim_node(schedule__replan_steps=1)
    robot.first_chunk()
    # By 50 s, by 0.3 s, to 0.
    for jump in (50_000_000_000, 300_000_000, None):
        robot.next_chunk()
        robot.now -= robot.now if jump is None else jump
        # The messages may be ahead of /clock or behind it.
        robot.send_set()
        robot.send_clock()
        robot.next_chunk()
    assert node.process.poll() is None


def test_the_same_uniform_image_in_both_cameras_is_accepted(sim_node, robot):
    sim_node(schedule__replan_steps=1)
    robot.first_chunk()
    dark = np.zeros((48, 64, 3), np.uint8)
    robot.next_chunk(exterior=dark, wrist=dark)
    assert refusal_count(robot, "CAMERA_DUPLICATE") == 0


def test_camera_skew(assert_refused, robot):
    def bad():
        # The image of the wrist is too old for this set and too new for the previous one.
        robot.advance(2)
        robot.send_image("exterior", random_image(3))
        robot.send_joints(REST)
        robot.send_image("wrist", random_image(4), offset=-60_000_000)
        robot.wait_until_processed()
        robot.advance()

    assert_refused("CAMERA_SKEW", WRIST, (bad, ("0.050", "0.060", WRIST)))


@pytest.mark.parametrize(
    ("code", "stopped", "topic", "age"),
    [
        ("CAMERA_STALE", "exterior", EXTERIOR, CAMERA_AGE),
        ("CAMERA_STALE", "wrist", WRIST, CAMERA_AGE),
        ("STATE_STALE", "joints", "joint_states", STATE_AGE),
    ],
)
def test_a_stream_that_stops_is_refused_within_its_maximum_age_and_one_tick(code, stopped, topic, age, sim_node, robot):
    sim_node(schedule__replan_steps=1)
    robot.first_chunk()
    robot.next_chunk()
    last = robot.now
    check = RefusalCheck(robot, code)

    def send_others():
        for camera, seed in (("exterior", 1), ("wrist", 2)):
            if camera != stopped:
                robot.send_image(camera, random_image(seed))
        if stopped != "joints":
            robot.send_joints(REST)

    while robot.now + PERIOD <= last + age + PERIOD:
        robot.advance()
        send_others()
        robot.wait_until_processed()
        if robot.now <= last + age:
            assert refusal_count(robot, code) == check.before, "too early"
    check.wait(topic, topic)
    robot.next_chunk()


def test_a_camera_without_any_message_is_missing(sim_node, robot):
    sim_node()
    robot.send_clock()
    robot.wait_until_processed()
    start = robot.now
    check = RefusalCheck(robot, "CAMERA_MISSING")
    while robot.now + PERIOD <= start + CAMERA_AGE + PERIOD:
        robot.advance()
        robot.send_image("exterior", random_image(1))
        robot.send_joints(REST)
        robot.wait_until_processed()
        if robot.now <= start + CAMERA_AGE:
            assert refusal_count(robot, "CAMERA_MISSING") == 0, "too early"
    check.wait(WRIST, WRIST)
    robot.wait_until(lambda: robot.chunks, "a chunk", repeat=robot.send_next_set)


def test_prompts(sim_node, robot):
    """Prompts that are empty, too long or malformed are refused; the next valid prompt is used at once."""
    sim_node(schedule__replan_steps=1, prompt=" \n")
    robot.send_clock()
    check = RefusalCheck(robot, "PROMPT_EMPTY")
    robot.wait_until(lambda: refusal_count(robot, "PROMPT_EMPTY"), "PROMPT_EMPTY", repeat=robot.send_next_set)
    check.wait("prompt")
    assert robot.chunks == []
    send_prompt = lambda text: robot.prompt.publish(String(data=text))
    robot.wait_until(lambda: robot.chunks, "a chunk", repeat=lambda: (robot.send_next_set(), send_prompt("pick up the red block")))

    long = "put the red block on the green block "
    cases = (
        ("PROMPT_EMPTY", " \t\n", ()),
        ("PROMPT_EMPTY", "\u200b\u2003", ()),
        ("PROMPT_TOO_LONG", long * 60, ("200 tokens",)),
        ("PROMPT_TOO_LONG", long * 3000, ("200 tokens", "or more")),
        ("PROMPT_TOO_LONG", "x" + " " * 100_000 + "x", ("200 tokens", "100002 characters")),
    )
    for code, text, words in cases:
        check = RefusalCheck(robot, code)
        send_prompt(text)
        # The policy reads the prompt at the next observation without an inference in progress.
        refused = lambda: refusal_count(robot, code) > check.before
        robot.wait_until(refused, code, repeat=lambda: (robot.advance(), robot.send_set()))
        check.wait("prompt", *words)
        send_prompt("go")
        robot.next_chunk()

    # Messages that are not valid strings change nothing.
    for data in (b"\0\1\0\0\xff\xff\xff\xff", b"\0\1\0\0\3\0\0\0\xff\xff\0", b"\0\1\0\0\4\0\0\0a\0b\0"):
        check = RefusalCheck(robot, "MESSAGE_DATA")
        robot.prompt.publish(data)
        check.wait("prompt", "data")
        robot.next_chunk()


def test_many_bad_messages_are_all_counted_and_logged_once_per_second(sim_node, robot):
    node = sim_node(schedule__replan_steps=1)
    robot.first_chunk()
    before = refusal_count(robot, "JOINT_NOT_FINITE")
    for _ in range(40):
        robot.send_joints([math.nan, *REST[1:]])
        robot.wait_until_processed()
    robot.wait_until(lambda: refusal_count(robot, "JOINT_NOT_FINITE") == before + 40, "every refusal")
    assert sum("JOINT_NOT_FINITE" in line for line in node.lines) < 40
    robot.next_chunk()
