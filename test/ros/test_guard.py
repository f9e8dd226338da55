"""The guard alone: a small client speaks the policy's side of the socket."""

import json
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest
import yaml
from diagnostic_msgs.msg import DiagnosticStatus
from harness import DEADLINE, JOINTS, PI05, REST, ROOT, PlainYaml, parameters
from raw_requests import RawClient
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Bool, Empty, String
from std_srvs.srv import Trigger

ZEROS = [0.0] * 7
SPEED = [0.1] * 7
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
# The bound of a stop, two control periods at 15 Hz and 50 ms, with the allowance of test_safety.py for a loaded machine, s.
LOADED_BOUND = 2 / 15 + 0.05 + 0.5


class GuardProcess:
    """The process of `pi05 guard` in its own process session, as `pi05 node` starts it."""

    def __init__(self, directory, values, namespace, simulated=False):
        self.simulated = simulated
        self.file = directory / f"guard_{time.monotonic_ns()}.yaml"
        self.file.write_text(yaml.dump({"/**": {"ros__parameters": values}}, Dumper=PlainYaml))
        command = [PI05, "guard", "--ros-args", "--params-file", str(self.file), "-r", f"__ns:={namespace}"]
        command += ["-p", f"use_sim_time:={str(simulated).lower()}"]
        self.errors = self.file.with_suffix(".log")
        with self.errors.open("w") as errors:
            self.process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=errors)

    def stop(self, signum=signal.SIGTERM):
        self.process.send_signal(signum)
        return self.process.wait(DEADLINE)

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
        self.process.wait(DEADLINE)


def socket_path(namespace):
    base = os.environ.get("XDG_RUNTIME_DIR", "")
    base = base if os.path.isdir(base) else os.environ.get("TMPDIR", "/tmp")
    name = f"{namespace}/policy_node".replace("/", ".")
    return f"{base}/pi05-{os.getuid()}/{os.environ['ROS_DOMAIN_ID']}{name}.sock"


HASH = """
const { configFromFile } = await import('ROOT/dist/config/file.js');
const { withResolvedTopics, resolveTopic } = await import('ROOT/dist/messages/topics.js');
const { configHash } = await import('ROOT/dist/guard/protocol.js');
const config = withResolvedTopics(configFromFile(process.argv[1]), (topic) => resolveTopic(topic, process.argv[2]));
process.stdout.write(configHash(config, process.argv[3] === 'true'));
"""


class Policy:
    """The policy's side of the socket. `messages` is what the guard has sent, without heartbeats."""

    def __init__(self, guard, namespace):
        root = str(PI05).removesuffix("/bin/pi05")
        script = HASH.replace("ROOT", root)
        command = ["node", "--input-type=module", "-e", script, str(guard.file), namespace, str(guard.simulated).lower()]
        config = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        self.messages = []
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(socket_path(namespace))
        threading.Thread(target=self._read, daemon=True).start()
        self.send("attach", protocol=2, node=f"{namespace}/policy_node", config=config, pid=os.getpid())

    def _read(self):
        for line in self.socket.makefile():
            message = json.loads(line)
            if message["type"] != "heartbeat":
                self.messages.append(message)

    def send(self, kind, **fields):
        self.socket.sendall((json.dumps({"type": kind} | fields) + "\n").encode())

    def command(self, now=None):
        """Heartbeat and a command with an observation of the same time. `now`: ROS time, ns."""
        now = now or time.time_ns()
        self.send("tick")
        values = [*SPEED, REST[7]]
        self.send("command", time=str(now), reason="step", values=values, observation=str(now), following=None)

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def guard(tmp_path, checkpoint, namespace):
    """Starts the guard and waits for its socket."""
    started = []

    def guard(simulated=False, **changes):
        started.append(GuardProcess(tmp_path, parameters(checkpoint, **changes), namespace, simulated))
        deadline = time.monotonic() + DEADLINE
        while not os.path.exists(socket_path(namespace)) and time.monotonic() < deadline:
            time.sleep(0.05)
        return started[-1]

    yield guard
    for process in started:
        process.end()


@pytest.fixture
def safety(robot):
    """All statuses on `~/safety`."""
    statuses = []
    qos = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    robot.ros.create_subscription(DiagnosticStatus, "policy_node/safety", statuses.append, qos)
    return statuses


def drive(robot, policy, until, what):
    """Sends joint states and commands at 15 Hz until `until()`."""

    def repeat():
        robot.now = time.time_ns()
        robot.send_joints(REST)
        policy.command()

    robot.wait_until(until, what, repeat)


@pytest.fixture
def moving(guard, robot, namespace):
    """A guard that passes commands, and its policy, which sends none from then on."""

    def moving(**changes):
        defaults = {"safety__command_timeout": 0.3, "safety__latch_after": 60.0, "state__max_age": 0.5}
        process = guard(**defaults | changes)
        policy = Policy(process, namespace)
        policy.send("activate")
        drive(robot, policy, lambda: any(list(m.data) == SPEED for m in robot.arm), "a command")
        return process, policy

    return moving


def stopped(robot):
    return robot.arm and list(robot.arm[-1].data) == ZEROS


def call(robot, name):
    return robot.call(Trigger, f"policy_node/{name}", Trigger.Request())


def state(safety):
    return {v.key: v.value for v in safety[-1].values} if safety else {"state": "", "code": ""}


def test_a_closed_connection_stops_repeatedly_and_latches_until_resume(moving, robot, safety, namespace):
    # No time-out stops it within the bound.
    process, policy = moving(safety__command_timeout=30.0, state__max_age=30.0)
    policy.close()
    closed = time.monotonic()
    robot.wait_until(lambda: stopped(robot), "the stop action")
    assert time.monotonic() - closed < LOADED_BOUND
    robot.wait_until(lambda: sum(list(m.data) == ZEROS for m in robot.arm) >= 20, "its repetition")
    robot.wait_until(lambda: state(safety)["code"] == "POLICY_LOST", "the latch")
    restarted = Policy(process, namespace)
    robot.wait_until(lambda: restarted.messages, "the answer")
    assert restarted.messages[0]["latched"]["code"] == "POLICY_LOST"
    restarted.send("activate")
    count = len(robot.arm)
    for _ in range(5):
        restarted.command()
    assert call(robot, "resume").success
    assert all(list(m.data) == ZEROS for m in robot.arm[count:])
    drive(robot, restarted, lambda: list(robot.arm[-1].data) == SPEED, "a command after resume")


def test_silence_stops_and_then_latches(moving, robot, safety):
    moving(safety__latch_after=1.0)
    robot.wait_until(lambda: stopped(robot), "the stop action")
    robot.wait_until(lambda: state(safety)["code"] == "POLICY_SILENT", "the latch")
    assert state(safety)["state"] == "latched"


def test_a_guard_that_continues_after_sigstop_is_latched(moving, robot, safety):
    process, policy = moving(safety__latch_after=1.0)
    process.process.send_signal(signal.SIGSTOP)
    for _ in range(25):
        policy.command()
        time.sleep(1 / 15)
    process.process.send_signal(signal.SIGCONT)
    robot.wait_until(lambda: state(safety)["code"] == "GUARD_PAUSED", "the latch")
    robot.wait_until(lambda: stopped(robot), "the stop action")


@pytest.mark.parametrize("way", ["service", "topic", "malformed message"])
def test_the_emergency_stop_latches_until_resume(way, moving, robot, safety):
    _, policy = moving()
    if way == "service":
        assert call(robot, "stop").success
    else:
        publisher = robot.ros.create_publisher(Bool, "policy_node/stop", 10)
        robot.wait_until(lambda: publisher.get_subscription_count() > 0, "the guard's subscription")
        publisher.publish(Bool(data=True) if way == "topic" else b"\x00\x01\x00\x00")
    robot.wait_until(lambda: state(safety)["code"] == "EMERGENCY_STOP", "the latch")
    robot.wait_until(lambda: stopped(robot), "the stop action")
    assert call(robot, "resume").success
    robot.wait_until(lambda: state(safety)["state"] != "latched", "the end of the latch")


def test_malformed_requests_neither_release_the_latch_nor_end_the_guard(moving, robot, safety):
    process, _ = moving()
    assert call(robot, "stop").success
    robot.wait_until(lambda: state(safety)["code"] == "EMERGENCY_STOP", "the latch")
    latched = len(safety)
    client = RawClient(robot.ros, Trigger, f"{robot.namespace}/policy_node/resume")
    robot.wait_until(lambda: client.connected, "a writer to ~/resume")
    # A request has one byte after the encapsulation.
    for cdr in (b"\x00\x01\x00\x00", b"\x00\x01\x00", b"\x00", b"\xff\xff\xff\xff", b"\x00\x06\x00\x00"):
        client.send(cdr)
    # The guard may discover the writer after the requests were sent; it receives them with a later heartbeat of DDS.
    malformed = "MESSAGE_DATA: Expected the bytes of a std_srvs/srv/Trigger_Request, received others"
    robot.wait_until(lambda: malformed in process.errors.read_text(), "the report of the malformed requests")
    for _ in range(10):
        assert call(robot, "stop").success
    assert all(state([status])["state"] == "latched" for status in safety[latched:])
    assert call(robot, "resume").success
    robot.wait_until(lambda: state(safety)["state"] != "latched", "the end of the latch")
    assert process.stop() == 0


def test_the_limits_of_the_robot_description_hold_and_without_it_no_command_passes(guard, robot, safety, namespace):
    unlimited = {f"action__{joint}__{limit}": None for joint in JOINTS for limit in ("lower", "upper", "max_velocity")}
    timeouts = {"safety__command_timeout": 0.3, "state__max_age": 0.5}
    policy = Policy(guard(robot_description_topic="robot_description", **unlimited, **timeouts), namespace)
    policy.send("activate")

    def refused(reason):
        return lambda: [m for m in policy.messages if m["type"] == "stopped" and reason in m["message"]]

    def waits():
        return safety and "Expected the robot description before the first command" in safety[-1].message

    drive(robot, policy, waits, "the refusal")
    assert robot.arm == []
    description = robot.ros.create_publisher(String, "robot_description", LATCHED)
    urdf = (ROOT / "sim" / "gazebo" / "arm.urdf").read_text()
    description.publish(String(data=urdf))
    drive(robot, policy, lambda: any(list(m.data) == SPEED for m in robot.arm), "a command")
    description.publish(String(data=urdf.replace('velocity="2.175"', 'velocity="0.05"')))
    drive(robot, policy, refused("Expected at most 0.05 for the velocity of panda_joint1, received 0.1"), "the stop")
    robot.wait_until(lambda: stopped(robot), "the stop action")


def test_a_dead_mans_switch_that_falls_silent_latches_and_resume_waits_for_it(guard, robot, safety, namespace):
    switch = {"safety__heartbeat_topic": "dead_mans_switch", "safety__heartbeat_max_age": 0.5}
    policy = Policy(guard(safety__command_timeout=0.3, state__max_age=0.5, **switch), namespace)
    heartbeat = robot.ros.create_publisher(Empty, "dead_mans_switch", 10)
    policy.send("activate")

    def held(condition):
        def beat_and_check():
            heartbeat.publish(Empty())
            return condition()

        return beat_and_check

    drive(robot, policy, lambda: state(safety)["code"] == "HEARTBEAT_LOST", "the refusal without a first message")
    assert robot.arm == []
    drive(robot, policy, held(lambda: any(list(m.data) == SPEED for m in robot.arm)), "a command")
    drive(robot, policy, lambda: state(safety)["state"] == "latched", "the latch")
    assert state(safety)["code"] == "HEARTBEAT_LOST"
    robot.wait_until(lambda: stopped(robot), "the stop action")
    assert not call(robot, "resume").success
    robot.wait_until(held(lambda: call(robot, "resume").success), "resume")
    drive(robot, policy, held(lambda: list(robot.arm[-1].data) == SPEED), "a command after resume")


def test_a_paused_clock_stops_and_commands_pass_again_when_time_goes_on(guard, robot, safety, namespace):
    simulated = guard(simulated=True, safety__command_timeout=0.3, state__max_age=0.5)
    policy = Policy(simulated, namespace)
    policy.send("activate")
    robot.now = 100 * 10**9

    def advance():
        robot.now += 10**9 // 15
        robot.send_clock()
        robot.send_joints(REST)
        policy.command(robot.now)

    robot.wait_until(lambda: any(list(m.data) == SPEED for m in robot.arm), "a command", advance)
    robot.wait_until(lambda: state(safety)["code"] == "CLOCK_STILL", "the stop")
    robot.wait_until(lambda: stopped(robot), "the stop action")
    assert state(safety)["state"] == "stopped"
    robot.wait_until(lambda: list(robot.arm[-1].data) == SPEED, "a command when time goes on", advance)


def test_a_latch_outlives_the_guard_and_a_file_that_is_not_one_is_a_latch(moving, guard, robot, safety, namespace):
    process, policy = moving()
    assert call(robot, "stop").success
    robot.wait_until(lambda: state(safety)["state"] == "latched", "the latch")
    file = socket_path(namespace).replace(".sock", ".latch")

    def restarted():
        process.process.kill()
        process.process.wait(DEADLINE)
        os.unlink(socket_path(namespace))
        return guard(safety__command_timeout=0.3, safety__latch_after=1.0, state__max_age=0.5)

    def latch():
        policy = Policy(process, namespace)
        robot.wait_until(lambda: policy.messages, "the answer")
        return policy, (policy.messages[0]["latched"] or {}).get("code")

    process = restarted()
    policy, code = latch()
    assert code == "EMERGENCY_STOP"
    policy.send("activate")
    count = len(robot.arm)
    for _ in range(5):
        policy.command()
    assert call(robot, "resume").success
    assert all(list(m.data) == ZEROS for m in robot.arm[count:])
    assert not os.path.exists(file)
    process = restarted()
    assert latch()[1] is None
    with open(file, "w") as latch_file:
        latch_file.write("{}")
    process = restarted()
    assert latch()[1] == "LATCH_FILE"


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGXCPU], ids=lambda s: s.name)
def test_a_signal_ends_the_guard_after_the_stop_action(signum, moving, robot):
    process, _ = moving()
    assert process.stop(signum) == 0
    robot.wait_until(lambda: stopped(robot), "the stop action")


def test_the_guard_does_not_use_shared_memory_where_its_publishers_would_wait_for_other_processes(guard):
    tasks = Path(f"/proc/{guard().process.pid}/task")
    threads = [(task / "comm").read_text() for task in tasks.iterdir()]
    assert any(name.startswith("dds.udp.") for name in threads)
    assert not any(name.startswith("dds.shm.") for name in threads)


def test_detach_ends_the_guard_after_the_stop_action(moving, robot):
    process, policy = moving()
    policy.send("detach")
    assert process.process.wait(DEADLINE) == 0
    robot.wait_until(lambda: stopped(robot), "the stop action")


def test_a_guard_ends_when_the_policy_that_has_started_it_dies_before_it_connects(guard, monkeypatch):
    policy = subprocess.Popen(["sleep", "60"])
    monkeypatch.setenv("PI05_GUARD_STARTED_BY", str(policy.pid))
    process = guard()
    assert process.process.poll() is None
    policy.kill()
    policy.wait()
    assert process.process.wait(DEADLINE) == 0


def test_a_second_guard_of_the_name_exits_with_a_code(guard, tmp_path, checkpoint, namespace):
    guard()
    second = GuardProcess(tmp_path, parameters(checkpoint), namespace)
    assert second.process.wait(DEADLINE) == 2
    assert "GUARD_RUNNING" in second.errors.read_text()
