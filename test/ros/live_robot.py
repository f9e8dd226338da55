"""A robot in real time: it publishes its inputs by itself and records the commands with the time of their arrival."""

import threading
import time

from harness import JOINTS, REST, random_image
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import Trigger

INPUT_RATE = 30.0


class LiveRobot:
    """Cameras and joint states at 30 Hz with the time of the system clock, in a thread; use it as a context manager.

    `commands`: (time.monotonic(), values) of each command of the arm.
    """

    def __init__(self, robot):
        self.node = robot.ros
        self.executor = SingleThreadedExecutor(context=self.node.context)
        robot.executor.remove_node(self.node)
        self.executor.add_node(self.node)
        self.robot = robot
        self.commands = []
        self.images = {name: self._image(random_image(seed)) for seed, name in enumerate(("exterior", "wrist"), 1)}
        self.joint_state = JointState(name=JOINTS, position=REST)
        self.resume_client = self.node.create_client(Trigger, "policy_node/resume")
        self.change_state_client = self.node.create_client(ChangeState, "policy_node/change_state")
        self.stop_client = self.node.create_client(Trigger, "policy_node/stop")
        self.node.create_subscription(Float64MultiArray, "arm_velocity_controller/commands", self._record, 100)
        self.node.create_timer(1 / INPUT_RATE, self._publish)
        self._running = True
        self._thread = threading.Thread(target=self._spin, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._running = False
        self._thread.join(10)
        self.executor.remove_node(self.node)
        self.robot.executor.add_node(self.node)

    def motion_since(self, instant):
        """The times of commands that move the arm and arrived after `instant`."""
        return [at for at, values in self.commands if at > instant and any(values)]

    def stops_since(self, instant):
        """The times of stop actions that arrived after `instant`."""
        return [at for at, values in self.commands if at > instant and not any(values)]

    def wait_until(self, condition, what, deadline=60.0):
        end = time.monotonic() + deadline
        while not (value := condition()):
            assert time.monotonic() < end, f"timed out after {deadline:g} s waiting for {what}"
            time.sleep(0.01)
        return value

    def wait_for_motion(self, count=5):
        since = time.monotonic()
        self.wait_until(lambda: len(self.motion_since(since)) >= count, "motion")

    def call(self, client, request=None):
        self.wait_until(client.service_is_ready, client.srv_name)
        futures = []
        sent_at = 0.0

        def answered():
            nonlocal sent_at
            # A server that has not discovered this client loses the request, and one that was killed stays in the graph.
            if time.monotonic() > sent_at + 2:
                futures.append(client.call_async(request or Trigger.Request()))
                sent_at = time.monotonic()
            return next((future for future in futures if future.done()), None)

        return self.wait_until(answered, f"a response of {client.srv_name}").result()

    def activate(self):
        """Whether the node accepts the transition."""
        return self._change_state(Transition.TRANSITION_ACTIVATE)

    def deactivate(self):
        assert self._change_state(Transition.TRANSITION_DEACTIVATE)

    def resume(self):
        return self.call(self.resume_client)

    def stop(self):
        return self.call(self.stop_client)

    def _change_state(self, transition):
        return self.call(self.change_state_client, ChangeState.Request(transition=Transition(id=transition))).success

    def _image(self, pixels):
        height, width = pixels.shape[:2]
        return Image(height=height, width=width, encoding="rgb8", step=3 * width, data=pixels.tobytes())

    def _record(self, message):
        self.commands.append((time.monotonic(), list(message.data)))

    def _publish(self):
        stamp = self.node.get_clock().now().to_msg()
        for name, image in self.images.items():
            image.header.stamp = stamp
            self.robot.cameras[name].publish(image)
        self.joint_state.header.stamp = stamp
        self.robot.joints.publish(self.joint_state)

    def _spin(self):
        while self._running:
            self.executor.spin_once(timeout_sec=0.05)
