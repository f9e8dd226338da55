"""How a refusal is shown: good, bad, in /diagnostics within one control tick of its cause, good again.

The node's time is the test's clock. While a test waits for a refusal the clock stands still, so that what is heard was
said at the time at which the clock stands. The node answers in order: what it had to say before it answered has come.
"""

import time

EXTERIOR, WRIST = "exterior_camera/image_raw", "wrist_camera/image_raw"
CAMERA_AGE, STATE_AGE = 200_000_000, 100_000_000


def count(robot, code):
    return int(robot.values(f"{robot.namespace}/policy_node").get(f"refused.{code}", 0))


class Expectation:
    """What /diagnostics says of one code from here on."""

    def __init__(self, robot, code):
        self.robot, self.code, self.before = robot, code, count(robot, code)
        self.node = f"{robot.namespace}/policy_node"

    def wait(self, topic, *words):
        """The refusal is there while the clock stands still, within one tick of it therefore; it names topic and sentence.

        The wait is longer than a busy machine needs and shorter than the second between periodic messages.
        """
        end = time.monotonic() + 0.6
        while count(self.robot, self.code) <= self.before and time.monotonic() < end:
            self.robot.settle()
        assert count(self.robot, self.code) > self.before, f"no {self.code} in time: {self.robot.values(self.node)}"
        inputs = [s for s in self.robot.statuses(self.node) if s[0] == "inputs"]
        level, message, values = next(
            (level, message, values)
            for _, level, message, values in inputs
            if values.get("last_refusal.code") == self.code and int(values[f"refused.{self.code}"]) > self.before
        )
        assert level == b"\x01"
        assert message == f"{self.code}: {values['last_refusal.message']}"
        assert values["last_refusal.topic"] == f"{self.robot.namespace}/{topic}"
        sentence = values["last_refusal.message"]
        for word in ("Expected", "received", *words):
            assert word in sentence, sentence


def show(node, robot, code, topic, *cases):
    """Good passes, then each case `(bad, words)` is refused with these words, and good passes again at once."""
    robot.first_chunk()
    for bad, words in cases:
        robot.next_chunk()
        expectation = Expectation(robot, code)
        bad()
        expectation.wait(topic, *words)
    robot.next_chunk()
    node.wait_for_log(f"{code}: ")
