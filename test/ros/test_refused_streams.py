"""What is refused for the messages before it or beside it, for its age, or for the prompt; end to end."""

import numpy as np
import pytest
from harness import PERIOD, REST, picture
from refusals import CAMERA_AGE, EXTERIOR, STATE_AGE, WRIST, Expectation, count
from std_msgs.msg import String


def test_camera_duplicate(refused, robot):
    def bad():
        robot.advance()
        robot.send_set(exterior=picture(5), wrist=picture(5))
        robot.settle()
        robot.advance()

    refused("CAMERA_DUPLICATE", WRIST, (bad, (EXTERIOR, WRIST, "identical")))


def test_camera_frozen(refused, robot):
    """A stamp that stands still, at the same time and a tick later; what was delivered twice is not refused."""

    def again():
        for _ in range(3):
            robot.send_image("wrist", picture(2))

    def a_tick_later():
        # The first one is to be there before the tick.
        robot.settle()
        robot.advance()
        robot.send_image("wrist", picture(2), offset=-PERIOD)

    def twice():
        robot.advance()
        robot.send_set()
        robot.send_image("exterior", picture(1))
        robot.send_image("wrist", picture(2))
        robot.settle()

    refused(
        "CAMERA_FROZEN",
        WRIST,
        (again, ("the same again 0.000 s later",)),
        (lambda: robot.send_image("wrist", picture(9)), ("the same again",)),
        (a_tick_later, ("the same again 0.067 s later",)),
    )
    before = count(robot, "CAMERA_FROZEN")
    twice()
    robot.next_chunk()
    assert count(robot, "CAMERA_FROZEN") == before


def test_time_backwards(refused, robot):
    def image(camera, offset):
        return lambda: robot.send_image(camera, picture(3), offset=offset), ("0.010 s before it",)

    refused("TIME_BACKWARDS", EXTERIOR, image("exterior", -10_000_000))
    show_joints = (lambda: robot.send_joints(REST, offset=-20_000_000), ("0.020 s before it",))
    robot.next_chunk()
    expectation = Expectation(robot, "TIME_BACKWARDS")
    show_joints[0]()
    expectation.wait("joint_states", *show_joints[1])
    robot.next_chunk()
    expectation = Expectation(robot, "TIME_BACKWARDS")
    robot.send_image("wrist", picture(3), offset=-robot.now)
    expectation.wait(WRIST, "received 0.000000000")
    robot.next_chunk()


def test_a_simulation_that_is_reset_or_a_bag_that_begins_again_is_followed_without_help(sim_node, robot):
    node = sim_node(schedule__replan_steps=1)
    robot.first_chunk()
    for back in (50_000_000_000, 300_000_000, 0):
        robot.next_chunk()
        robot.now -= back or robot.now
        # The sensors may be ahead of the clock, or behind it.
        robot.send_set()
        robot.send_clock()
        robot.next_chunk()
    assert node.process.poll() is None


def test_a_uniform_picture_in_both_cameras_is_legal(sim_node, robot):
    sim_node(schedule__replan_steps=1)
    robot.first_chunk()
    dark = np.zeros((48, 64, 3), np.uint8)
    robot.next_chunk(exterior=dark, wrist=dark)
    assert count(robot, "CAMERA_DUPLICATE") == 0


def test_camera_skew(refused, robot):
    def bad():
        # The wrist's picture is too old for the others, and too new for those before them.
        robot.advance(2)
        robot.send_image("exterior", picture(3))
        robot.send_joints(REST)
        robot.send_image("wrist", picture(4), offset=-60_000_000)
        robot.settle()
        robot.advance()

    refused("CAMERA_SKEW", WRIST, (bad, ("0.050", "0.060", WRIST)))


@pytest.mark.parametrize(
    ("code", "silent", "topic", "age"),
    [
        ("CAMERA_STALE", "exterior", EXTERIOR, CAMERA_AGE),
        ("CAMERA_STALE", "wrist", WRIST, CAMERA_AGE),
        ("STATE_STALE", "joints", "joint_states", STATE_AGE),
    ],
)
def test_a_stream_that_falls_silent_is_refused_within_its_age_and_one_tick(code, silent, topic, age, sim_node, robot):
    sim_node(schedule__replan_steps=1)
    robot.first_chunk()
    robot.next_chunk()
    last = robot.now
    expectation = Expectation(robot, code)

    def others():
        for camera, seed in (("exterior", 1), ("wrist", 2)):
            if camera != silent:
                robot.send_image(camera, picture(seed))
        if silent != "joints":
            robot.send_joints(REST)

    while robot.now + PERIOD <= last + age + PERIOD:
        robot.advance()
        others()
        robot.settle()
        if robot.now <= last + age:
            assert count(robot, code) == expectation.before, "too early"
    expectation.wait(topic, topic)
    robot.next_chunk()


def test_a_camera_that_never_came_is_missing(sim_node, robot):
    sim_node()
    robot.send_clock()
    robot.settle()
    start = robot.now
    expectation = Expectation(robot, "CAMERA_MISSING")
    while robot.now + PERIOD <= start + CAMERA_AGE + PERIOD:
        robot.advance()
        robot.send_image("exterior", picture(1))
        robot.send_joints(REST)
        robot.settle()
        if robot.now <= start + CAMERA_AGE:
            assert count(robot, "CAMERA_MISSING") == 0, "too early"
    expectation.wait(WRIST, WRIST)
    robot.until(lambda: robot.chunks, "a chunk", again=robot.feed)


def test_prompts(sim_node, robot):
    """Empty at the start and later, too long, and broken: each time the next good prompt works at once."""
    sim_node(schedule__replan_steps=1, prompt=" \n")
    robot.send_clock()
    expectation = Expectation(robot, "PROMPT_EMPTY")
    robot.until(lambda: count(robot, "PROMPT_EMPTY"), "PROMPT_EMPTY", again=robot.feed)
    expectation.wait("prompt")
    assert robot.chunks == []
    say = lambda text: robot.prompt.publish(String(data=text))
    robot.until(lambda: robot.chunks, "a chunk", again=lambda: (robot.feed(), say("pick up the red block")))

    long = "put the red block on the green block "
    cases = (
        ("PROMPT_EMPTY", " \t\n", ()),
        ("PROMPT_EMPTY", "\u200b\u2003", ()),
        ("PROMPT_TOO_LONG", long * 60, ("200 tokens",)),
        ("PROMPT_TOO_LONG", long * 3000, ("200 tokens", "or more")),
        ("PROMPT_TOO_LONG", "x" + " " * 100_000 + "x", ("200 tokens", "100002 characters")),
    )
    for code, text, words in cases:
        expectation = Expectation(robot, code)
        say(text)
        # The policy reads a prompt when there is a new observation and no inference of the one before is under way.
        news = lambda: count(robot, code) > expectation.before
        robot.until(news, code, again=lambda: (robot.advance(), robot.send_set()))
        expectation.wait("prompt", *words)
        say("go")
        robot.next_chunk()

    # What is no text changes nothing.
    for data in (b"\0\1\0\0\xff\xff\xff\xff", b"\0\1\0\0\3\0\0\0\xff\xff\0", b"\0\1\0\0\4\0\0\0a\0b\0"):
        expectation = Expectation(robot, "MESSAGE_DATA")
        robot.prompt.publish(data)
        expectation.wait("prompt", "data")
        robot.next_chunk()


def test_a_storm_of_bad_messages_is_logged_once_a_second_and_counted_in_full(sim_node, robot):
    node = sim_node(schedule__replan_steps=1)
    robot.first_chunk()
    before = count(robot, "JOINT_MISSING")
    for _ in range(40):
        robot.send_joints([0.0], names=["stranger"])
        robot.settle()
    robot.until(lambda: count(robot, "JOINT_MISSING") == before + 40, "every refusal")
    assert sum("JOINT_MISSING" in line for line in node.lines) < 40
    robot.next_chunk()
