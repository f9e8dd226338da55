"""Checks refusals: a bad message is in /diagnostics within one control tick, and the next good one is accepted.

The clock of the test is the time of the node. It does not advance while a test waits for a refusal, so the refusal was
published at that time. The node answers a service call after all messages that it published before it.
"""

import time

EXTERIOR, WRIST = "exterior_camera/image_raw", "wrist_camera/image_raw"
CAMERA_AGE, STATE_AGE = 200_000_000, 100_000_000


def refusal_count(robot, code):
    """How many refusals of a code the node has reported."""
    return int(robot.values(f"{robot.namespace}/policy_node").get(f"refused.{code}", 0))


class RefusalCheck:
    """Waits for the next refusal with a code."""

    def __init__(self, robot, code):
        self.robot, self.code, self.before = robot, code, refusal_count(robot, code)
        self.node = f"{robot.namespace}/policy_node"

    def _reported(self):
        """Level, message and values of the first status whose newest refusal is the expected one; None while there is none."""
        inputs = [s[1:] for s in self.robot.statuses(self.node) if s[0] == "inputs"]
        is_new = lambda values: int(values[f"refused.{self.code}"]) > self.before
        return next((s for s in inputs if s[2].get("last_refusal.code") == self.code and is_new(s[2])), None)

    def wait(self, topic, *words):
        """Checks that the refusal is reported before the clock advances, and its topic and sentence.

        The time limit is shorter than the second between periodic diagnostics, unless the machine is so busy that the node needs
        longer for ten times as many service calls as it takes to process a message.
        """
        end, rounds = time.monotonic() + 0.6, 0
        while not (reported := self._reported()) and (time.monotonic() < end or rounds < 10):
            self.robot.wait_until_processed()
            rounds += 1
        assert reported, f"no {self.code} in time: {self.robot.values(self.node)}"
        level, message, values = reported
        assert level == b"\x01"
        assert message == f"{self.code}: {values['last_refusal.message']}"
        assert values["last_refusal.topic"] == f"{self.robot.namespace}/{topic}"
        sentence = values["last_refusal.message"]
        for word in ("Expected", "received", *words):
            assert word in sentence, sentence


def check_refusals(node, robot, code, topic, *cases):
    """Checks that each case is refused, and that a good set is accepted before and after it.

    A case is `(send_bad, words)`: a function that sends a bad message, and words that the sentence of the refusal contains.
    """
    robot.first_chunk()
    for send_bad, words in cases:
        robot.next_chunk()
        check = RefusalCheck(robot, code)
        send_bad()
        check.wait(topic, *words)
    robot.next_chunk()
    node.wait_for_log(f"{code}: ")
