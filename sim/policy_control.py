"""Changes the lifecycle state and the prompt of the policy node through its services, one call after the other."""

import threading
import time

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.client import Client
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from sim.errors import SimulationError

RETRY_INTERVAL = 1.0  # s between two calls of a service that has not answered yet
NO_TRANSITION = 250  # the id of no transition: the node answers `success: false` and changes nothing
STATE_TRANSITION = {
    "activate": Transition.TRANSITION_ACTIVATE,
    "deactivate": Transition.TRANSITION_DEACTIVATE,
}


class PolicyControl:
    """A client of the policy node's services. Call it from one thread; it needs no executor of the caller.

    Each method returns when the node has answered, and raises SimulationError otherwise: POLICY_TIMEOUT without an answer
    within `timeout` seconds of wall time, POLICY_REJECTED if the node rejects the request, INTERRUPTED if `stop` is set.
    """

    def __init__(
        self,
        namespace: str = "",
        policy: str = "policy_node",
        timeout: float = 60.0,
        context: Context | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        self._stop = stop or threading.Event()
        self._policy = policy
        self._timeout = timeout
        self._node = Node("policy_control", namespace=namespace, context=context, start_parameter_services=False)
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self._node)
        self._get_state = self._node.create_client(GetState, f"{policy}/get_state")
        self._change_state = self._node.create_client(ChangeState, f"{policy}/change_state")
        self._set_parameters = self._node.create_client(SetParameters, f"{policy}/set_parameters")

    def connect(self) -> None:
        """Waits until each service answers. Call it first.

        A request is lost if the node has not discovered this client yet. So each service is called repeatedly, with a
        request that changes nothing, and the later requests are sent once.
        """
        self._call(self._get_state, GetState.Request(), retry=True)
        self._call(self._change_state, ChangeState.Request(transition=Transition(id=NO_TRANSITION)), retry=True)
        self._call(self._set_parameters, SetParameters.Request(), retry=True)

    def state(self) -> str:
        """The lifecycle state: "unconfigured", "inactive", "active" or "finalized"."""
        return self._call(self._get_state, GetState.Request()).current_state.label

    def wait_for_state(self, label: str) -> None:
        """Waits until the node is in this state, for a node that changes its state itself, such as at its start."""
        deadline = time.monotonic() + self._timeout
        while (state := self.state()) != label:
            if time.monotonic() > deadline:
                raise SimulationError(
                    "POLICY_TIMEOUT",
                    f"Expected {self._policy} in state {label} within {self._timeout:g} s, found it {state}",
                )
            time.sleep(0.1)

    def activate(self) -> None:
        """From inactive to active. The node has forgotten all earlier inputs, and its control ticks begin."""
        self._transition("activate")

    def deactivate(self) -> None:
        """From active to inactive. The node has published the stop action and waited until its subscribers received it."""
        self._transition("deactivate")

    def set_prompt(self, prompt: str) -> None:
        """Sets the parameter `prompt`. It applies to every observation that the node makes after this returns."""
        value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=prompt)
        request = SetParameters.Request(parameters=[Parameter(name="prompt", value=value)])
        (result,) = self._call(self._set_parameters, request).results
        if not result.successful:
            raise SimulationError(
                "POLICY_REJECTED", f"Expected {self._policy} to accept the prompt {prompt!r}: {result.reason}"
            )

    def wait_until_processed(self) -> None:
        """Waits until the node has processed every message that its subscriptions have received so far.

        The node processes received messages before service requests, but a request may arrive while it looks for messages;
        the second request comes after them in any case.
        """
        for _ in range(2):
            self.state()

    def close(self) -> None:
        self._executor.shutdown()
        self._node.destroy_node()

    def _transition(self, label: str) -> None:
        request = ChangeState.Request(transition=Transition(id=STATE_TRANSITION[label]))
        if not self._call(self._change_state, request).success:
            raise SimulationError(
                "POLICY_REJECTED", f"Expected {self._policy} to {label}, but it rejected this in state {self.state()}"
            )

    def _call(self, client: Client, request, retry: bool = False):
        """The response of a service. `retry`: send the request again each RETRY_INTERVAL; any response counts."""
        deadline = time.monotonic() + self._timeout
        futures = []
        while (remaining := deadline - time.monotonic()) > 0:
            if self._stop.is_set():
                raise SimulationError("INTERRUPTED", f"Expected a response from {client.service_name}, received a signal")
            if not client.service_is_ready():
                client.wait_for_service(min(remaining, RETRY_INTERVAL))
                continue
            if retry or not futures:
                futures.append(client.call_async(request))
            self._executor.spin_until_future_complete(futures[-1], min(remaining, RETRY_INTERVAL))
            done = next((future for future in futures if future.done()), None)
            if done is not None:
                return done.result()
        raise SimulationError(
            "POLICY_TIMEOUT", f"Expected a response from {client.service_name} within {self._timeout:g} s, received none"
        )
