"""Requests of any size and content: they neither stop the control ticks nor end the process."""

import os
import signal
from pathlib import Path

import pytest
from harness import DEADLINE
from lifecycle_msgs.srv import ChangeState
from raw_requests import RawClient, with_encapsulation
from rcl_interfaces.msg import LoggerLevel, Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import (
    GetLoggerLevels,
    GetParameters,
    GetParameterTypes,
    ListParameters,
    SetLoggerLevels,
    SetParameters,
    SetParametersAtomically,
)

DEBUG = 10
PROMPT = Parameter(name="prompt", value=ParameterValue(type=ParameterType.PARAMETER_STRING, string_value="open the door"))
# The bytes of a request with one entry, read as big-endian: they announce 16.8 million entries.
BIG_ENDIAN = b"\x00\x06"
LITTLE_ENDIAN = b"\x00\x01\x00\x00"


def send_raw(robot, kind, service, cdr):
    client = RawClient(robot.ros, kind, f"{robot.namespace}/policy_node/{service}")
    robot.wait_until(lambda: client.connected, f"a writer to {service}")
    client.send(cdr)


def children(pid):
    """The processes that the process has started, by id: their command lines."""
    ids = (path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/children"))
    return {int(i): Path(f"/proc/{i}/cmdline").read_text() for line in ids for i in line}


def services_process(node):
    (pid,) = [pid for pid, command in children(node.process.pid).items() if "services/main.js" in command]
    return pid


def resident_megabytes(pid):
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) / 1024


def values(robot, *names):
    return robot.call(GetParameters, "policy_node/get_parameters", GetParameters.Request(names=names)).values


@pytest.mark.parametrize(
    ("kind", "service", "request_"),
    [
        (SetParameters, "set_parameters", SetParameters.Request(parameters=[PROMPT])),
        (SetLoggerLevels, "set_logger_levels", SetLoggerLevels.Request(levels=[LoggerLevel(name="x", level=DEBUG)])),
        (GetParameters, "get_parameters", GetParameters.Request(names=["prompt"])),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_request_that_announces_millions_of_entries_harms_only_the_services(kind, service, request_, sim_node, robot):
    node = sim_node()
    robot.first_chunk()
    before = resident_megabytes(node.process.pid)
    send_raw(robot, kind, service, with_encapsulation(request_, BIG_ENDIAN))
    commands = len(robot.arm)
    for _ in range(8):
        # The joint states have to arrive before the tick, or it stops the robot (STATE_LOST).
        robot.send_set()
        robot.wait_until_processed()
        robot.advance()
    assert len(robot.arm) >= commands + 7
    assert resident_megabytes(node.process.pid) < before + 100
    assert values(robot, "prompt")[0].string_value == "pick up the red block"


@pytest.mark.parametrize("body", [b"\x03\x00\x00\x00\xff\xff\xff\x7f", b"\x03", b""], ids=["label", "short", "empty"])
def test_a_malformed_transition_changes_nothing(body, start, robot):
    node = start(autostart=False)
    robot.wait_for_state("unconfigured")
    send_raw(robot, ChangeState, "change_state", LITTLE_ENDIAN + body)
    node.wait_for_log("MESSAGE_DATA: Expected the bytes of a lifecycle_msgs/srv/ChangeState_Request, received others")
    assert robot.state() == "unconfigured"
    assert node.stop() == 0


def test_a_malformed_request_for_parameters_is_reported(start, robot):
    node = start(autostart=False)
    robot.wait_for_state("unconfigured")
    two_names_announced = b"\x02\x00\x00\x00\x02\x00\x00\x00a\x00\x00\x00\xff\x00\x00\x00"
    send_raw(robot, GetParameters, "get_parameters", LITTLE_ENDIAN + two_names_announced)
    node.wait_for_log("MESSAGE_DATA: Expected the bytes of a rcl_interfaces/srv/GetParameters_Request, received others")
    assert values(robot, "prompt")[0].string_value == "pick up the red block"


def test_a_request_with_many_names_does_not_delay_another_service(start, robot):
    start()
    robot.wait_for_state("active")
    assert [value.type for value in values(robot, "no_such")] == [ParameterType.PARAMETER_NOT_SET]
    client = robot.clients["policy_node/get_parameters"]
    names = client.call_async(GetParameters.Request(names=[f"unknown_{i}" for i in range(20_000)]))
    assert robot.state() == "active"
    assert not names.done()
    robot.wait_until(names.done, "a response to 20,000 names")
    assert names.result().values == []


def test_requests_over_the_limits_are_answered_with_the_reason(start, robot):
    node = start(autostart=False)

    def call(kind, service, **fields):
        return robot.call(kind, f"policy_node/{service}", kind.Request(**fields))

    many = [PROMPT] * 1001
    (result,) = call(SetParameters, "set_parameters", parameters=many).results
    assert not result.successful and result.reason == "Expected at most 1000 entries in a request, received 1001"
    result = call(SetParametersAtomically, "set_parameters_atomically", parameters=many).result
    assert not result.successful and "at most 1000 entries" in result.reason
    long = Parameter(name="prompt", value=ParameterValue(type=ParameterType.PARAMETER_STRING, string_value="a" * 70_000))
    (result,) = call(SetParameters, "set_parameters", parameters=[long]).results
    assert not result.successful and "a request of at most 65536 characters" in result.reason
    results = call(SetParameters, "set_parameters", parameters=[PROMPT] * 20).results
    assert [r.successful for r in results] == [True] * 16 + [False] * 4
    assert len(call(GetParameterTypes, "get_parameter_types", names=["x"] * 1001).types) == 0
    assert call(ListParameters, "list_parameters", prefixes=["x"] * 1001).result.names == []
    node.wait_for_log("MESSAGE_DATA: Expected at most 1000 entries in a request")


@pytest.mark.parametrize("kind", [10, 255], ids=["unknown", "largest"])
def test_set_parameters_with_an_unknown_type_is_answered(kind, start, robot):
    start(autostart=False)
    wrong = Parameter(name="prompt", value=ParameterValue(type=kind, string_value="x"))
    request = SetParameters.Request(parameters=[wrong, PROMPT])
    refused, accepted = robot.call(SetParameters, "policy_node/set_parameters", request).results
    assert not refused.successful
    assert refused.reason == f"Expected a string for prompt, received a value of type {kind}"
    assert accepted.successful
    request = SetParametersAtomically.Request(parameters=[PROMPT, wrong])
    assert not robot.call(SetParametersAtomically, "policy_node/set_parameters_atomically", request).result.successful


def test_parameters_are_listed_by_prefix_and_depth(start, robot):
    start(autostart=False)

    def names(*prefixes, depth=0):
        request = ListParameters.Request(prefixes=prefixes, depth=depth)
        return robot.call(ListParameters, "policy_node/list_parameters", request).result

    assert {"prompt", "cameras.names", "cameras.wrist.topic"} <= set(names().names)
    top = set(names(depth=1).names)
    assert "prompt" in top and not any("." in name for name in top)
    cameras = names("cameras", depth=1)
    assert cameras.names and all(name.count(".") == 1 and name.startswith("cameras.") for name in cameras.names)
    assert cameras.prefixes == ["cameras"]


def test_logger_levels_are_those_of_the_node(start, robot):
    start(autostart=False)
    logger = f"{robot.namespace[1:]}.policy_node"

    def level(name):
        request = GetLoggerLevels.Request(names=[name])
        return robot.call(GetLoggerLevels, "policy_node/get_logger_levels", request).levels[0].level

    assert level(logger) == 20
    request = SetLoggerLevels.Request(levels=[LoggerLevel(name=logger, level=DEBUG), LoggerLevel(name=logger, level=3)])
    accepted, refused = robot.call(SetLoggerLevels, "policy_node/set_logger_levels", request).results
    assert accepted.successful and not refused.successful and refused.reason
    assert level(logger) == DEBUG


def test_services_that_end_are_started_again_and_the_node_does_not_notice(sim_node, robot):
    node = sim_node()
    robot.first_chunk()
    first = services_process(node)
    request = SetParameters.Request(parameters=[PROMPT])
    assert robot.call(SetParameters, "policy_node/set_parameters", request).results[0].successful
    os.kill(first, signal.SIGKILL)
    robot.next_chunk()
    node.wait_for_log("services: their process ended with SIGKILL")
    assert values(robot, "prompt")[0].string_value == "open the door"
    assert services_process(node) != first


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGKILL], ids=lambda signum: signum.name)
@pytest.mark.parametrize("stopped", [False, True], ids=["running", "stopped"])
def test_the_services_end_with_the_node(stopped, signum, start, robot):
    node = start(autostart=False)
    assert len(values(robot, "prompt")) == 1
    services = services_process(node)
    if stopped:
        os.kill(services, signal.SIGSTOP)
    node.process.send_signal(signum)
    node.process.wait(DEADLINE)
    robot.wait_until(lambda: not Path(f"/proc/{services}").exists(), "the end of the services")


def thread_names(pid):
    """The names of the threads of a process. A thread may end meanwhile."""
    names = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            names.append((task / "comm").read_text().strip())
        except (FileNotFoundError, ProcessLookupError):
            pass
    return names


def test_configure_and_cleanup_leave_no_threads_and_no_memory(start, robot):
    node = start(autostart=False)
    robot.wait_for_state("unconfigured")
    pid = node.process.pid

    def cycles(count):
        for _ in range(count):
            assert robot.change_state("configure")
            assert robot.change_state("cleanup")
        robot.wait_until(lambda: "pi05" not in thread_names(pid), "the end of the engine's threads")

    cycles(20)
    threads, memory = len(thread_names(pid)), resident_megabytes(pid)
    cycles(40)
    robot.wait_until(lambda: len(thread_names(pid)) <= threads, f"at most {threads} threads")
    assert resident_megabytes(pid) < memory + 30
