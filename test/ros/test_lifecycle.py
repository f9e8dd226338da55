"""Lifecycle states, parameters and the start of the node."""

import math

from harness import DEADLINE, JOINTS
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetAvailableStates, GetAvailableTransitions
from rcl_interfaces.msg import Parameter, ParameterEvent, ParameterType, ParameterValue
from rcl_interfaces.srv import DescribeParameters, GetParameters, ListParameters, SetParameters


def test_autostart_configures_and_activates(start, robot):
    start()
    robot.wait_for_state("active")


def test_without_autostart_it_stays_unconfigured_and_goes_through_every_state(start, robot):
    node = start(autostart=False)
    assert robot.state() == "unconfigured"
    for transition, label in (
        ("configure", "inactive"),
        ("activate", "active"),
        ("deactivate", "inactive"),
        ("activate", "active"),
        ("deactivate", "inactive"),
        ("cleanup", "unconfigured"),
        ("configure", "inactive"),
        ("cleanup", "unconfigured"),
    ):
        assert robot.change_state(transition), f"{transition} was refused:\n{node.log}"
        assert robot.state() == label
    assert robot.change_state("unconfigured_shutdown")
    assert robot.state() == "finalized"
    assert node.stop() == 0


def test_a_transition_that_the_state_does_not_allow_is_rejected_and_the_node_keeps_running(start, robot):
    node = start(autostart=False)
    assert robot.state() == "unconfigured"
    for transition in ("activate", "deactivate", "cleanup", "active_shutdown"):
        assert not robot.change_state(transition)
        assert robot.state() == "unconfigured"
    request = ChangeState.Request(transition=Transition(id=250))
    assert not robot.call(ChangeState, "policy_node/change_state", request).success
    request = ChangeState.Request(transition=Transition(label="fly"))
    assert not robot.call(ChangeState, "policy_node/change_state", request).success
    sentence = "INVALID_ARGUMENT: Expected a transition that unconfigured allows (configure (1), shutdown (5)), received id "
    node.wait_for_log(sentence)
    assert "INTERNAL" not in node.log
    assert node.process.poll() is None


def test_configure_returns_when_the_checkpoint_is_loaded(start, robot):
    node = start(autostart=False)
    assert robot.change_state("configure")
    assert "loaded" in node.log
    assert robot.change_state("activate")


def test_with_a_missing_checkpoint_configure_fails_and_reports_it(start, robot):
    node = start(autostart=False, checkpoint="/nowhere/to/be/found")
    assert not robot.change_state("configure")
    assert robot.state() == "unconfigured"
    node.wait_for_log("CHECKPOINT_MISSING: ")
    robot.wait_until(lambda: any("CHECKPOINT_MISSING" in m for _, _, m, _ in robot.statuses(node.node)), "its diagnostics")


def test_with_a_missing_checkpoint_an_autostarted_node_ends(start):
    node = start(checkpoint="/nowhere/to/be/found")
    assert node.wait() == 2
    errors = [line for line in node.lines if "CHECKPOINT_MISSING: " in line]
    assert len(errors) == 1 and errors[0].startswith("CHECKPOINT_MISSING: "), node.log


def test_it_has_the_standard_states_and_transitions(start, robot):
    start(autostart=False)
    states = robot.call(GetAvailableStates, "policy_node/get_available_states", GetAvailableStates.Request())
    labels = {state.label for state in states.available_states}
    assert {"unconfigured", "inactive", "active", "finalized"} <= labels
    transitions = robot.call(
        GetAvailableTransitions, "policy_node/get_available_transitions", GetAvailableTransitions.Request()
    )
    assert {t.transition.label for t in transitions.available_transitions} == {"configure", "shutdown"}


def describe(robot, *names):
    request = DescribeParameters.Request(names=names)
    return robot.call(DescribeParameters, "policy_node/describe_parameters", request).descriptors


def test_parameters_are_described_with_type_range_and_access(start, robot):
    start(autostart=False, state__panda_joint7__lower=-10.0)
    rate, mode, skew, prompt, threads, names, speed, lowest = describe(
        robot,
        *("control_rate", "schedule.mode", "sync.max_skew", "prompt", "threads", "cameras.names"),
        *("action.panda_joint7.max_velocity", "state.panda_joint7.lower"),
    )
    assert (rate.type, rate.read_only) == (ParameterType.PARAMETER_DOUBLE, True)
    assert "Unit: Hz." in rate.description and "above 0 and at most 1000" in rate.description
    assert [(r.from_value, r.to_value) for r in rate.floating_point_range] == [(0.0, 1000.0)]
    assert "Unit: rad/s or m/s." in speed.description
    assert [(r.from_value, r.to_value) for r in speed.floating_point_range] == [(0.0, math.inf)]
    assert lowest.read_only and not lowest.floating_point_range and "Unit: joint's own." in lowest.description
    assert (mode.type, mode.read_only) == (ParameterType.PARAMETER_STRING, True)
    assert "sync" in mode.description and "async" in mode.description
    assert [(r.from_value, r.to_value, r.step) for r in skew.floating_point_range] == [(0.0, 3600.0, 0.0)]
    assert (prompt.type, prompt.read_only) == (ParameterType.PARAMETER_STRING, False)
    assert [(r.from_value, r.to_value) for r in threads.integer_range] == [(0, 1024)]
    assert names.type == ParameterType.PARAMETER_STRING_ARRAY


def test_every_parameter_is_declared_and_has_its_value(start, robot):
    start(autostart=False)
    names = robot.call(ListParameters, "policy_node/list_parameters", ListParameters.Request()).result.names
    some = {"checkpoint", "seed", "cameras.wrist.max_age", "action.panda_joint7.kind", "use_sim_time"}
    assert some <= set(names)
    own = [name for name in names if name not in ("use_sim_time", "start_type_description_service")]
    described = describe(robot, *own)
    assert [d.name for d in described] == own
    assert [d.name for d in described if len(d.description) < 10] == []
    numbers = [d for d in described if d.type == ParameterType.PARAMETER_DOUBLE]
    assert len(numbers) > 50 and [d.name for d in numbers if "Unit: " not in d.description] == []
    assert {d.name for d in described if not d.read_only} == {"prompt"}
    request = GetParameters.Request(names=["state.joints", "control_rate", "cameras.wrist.max_age"])
    joints, rate, age = robot.call(GetParameters, "policy_node/get_parameters", request).values
    assert list(joints.string_array_value) == JOINTS
    assert rate.double_value == 15.0
    assert age.double_value == 0.2


def test_an_old_output_type_is_a_warning_and_becomes_the_new_one(start, robot):
    node = start(autostart=False, outputs__arm__type="array")
    request = GetParameters.Request(names=["outputs.arm.type"])
    (value,) = robot.call(GetParameters, "policy_node/get_parameters", request).values
    assert value.string_value == "float64_multi_array"
    (line,) = [line for line in node.lines if "outputs.arm.type" in line]
    assert "[WARN]" in line and 'Expected "float64_multi_array" for outputs.arm.type, received its old name "array"' in line
    assert node.stop() == 0


def set_parameter(robot, name, **value):
    request = SetParameters.Request(parameters=[Parameter(name=name, value=ParameterValue(**value))])
    (result,) = robot.call(SetParameters, "policy_node/set_parameters", request).results
    return result


def test_only_the_prompt_can_be_set_and_a_bad_request_changes_nothing(start, robot):
    node = start(autostart=False)
    string = ParameterType.PARAMETER_STRING
    assert set_parameter(robot, "prompt", type=string, string_value="open the drawer").successful
    request = GetParameters.Request(names=["prompt"])
    (value,) = robot.call(GetParameters, "policy_node/get_parameters", request).values
    assert value.string_value == "open the drawer"
    for name, reason, value in (
        ("seed", "which is read-only", {"type": ParameterType.PARAMETER_INTEGER, "integer_value": 3}),
        ("prompt", "received a double", {"type": ParameterType.PARAMETER_DOUBLE, "double_value": 1.0}),
        ("prompt", "received its deletion", {"type": ParameterType.PARAMETER_NOT_SET}),
        ("no_such", "received no_such", {"type": string, "string_value": "x"}),
        ("use_sim_time", "which is read-only", {"type": ParameterType.PARAMETER_BOOL, "bool_value": True}),
    ):
        result = set_parameter(robot, name, **value)
        assert not result.successful
        assert name in result.reason and reason in result.reason, result.reason
    assert set_parameter(robot, "prompt", type=string, string_value="close the drawer").successful
    assert node.process.poll() is None


def test_a_change_of_the_prompt_is_an_event_where_tools_listen_for_it(start, robot):
    start(autostart=False)
    events, prompts = [], (f"prompt {i}" for i in range(1000))
    robot.record(ParameterEvent, "/parameter_events", events)
    changed = lambda: [e for e in events if e.node == f"{robot.namespace}/policy_node" and e.changed_parameters]
    set_next = lambda: set_parameter(robot, "prompt", type=ParameterType.PARAMETER_STRING, string_value=next(prompts))
    (event, *_) = robot.wait_until(changed, "an event on /parameter_events", set_next)
    assert [p.name for p in event.changed_parameters] == ["prompt"]
    assert robot.ros.count_publishers("parameter_events") == 0, "relative topic"


def test_an_unknown_parameter_ends_the_start_with_status_2_and_the_nearest_name(start):
    node = start("-p", "promt:=x", "-p", "seed:=text", "-p", "control_rate:=fast")
    assert node.process.wait(DEADLINE) == node.wait() == 2
    lines = [line for line in node.lines if line.startswith("CONFIG_")]
    assert len(lines) == 3, node.log
    assert any("CONFIG_UNKNOWN_KEY" in line and "promt" in line and "prompt" in line for line in lines)
    assert any("CONFIG_TYPE" in line and "seed" in line for line in lines)
    assert any("CONFIG_TYPE" in line and 'control_rate, received the string "fast"' in line for line in lines)


def test_a_wrong_type_in_a_second_file_ends_the_start_with_status_2(start, tmp_path):
    file = tmp_path / "second.yaml"
    file.write_text("/**:\n  ros__parameters:\n    control_rate: fast\n")
    node = start("--params-file", str(file))
    assert node.process.wait(DEADLINE) == node.wait() == 2
    assert node.lines[-1].startswith('CONFIG_TYPE: Expected a double for control_rate, received the string "fast"'), node.log


def test_the_command_line_overrides_a_file_that_names_the_node(start, robot, tmp_path):
    file = tmp_path / "named.yaml"
    file.write_text("policy_node:\n  ros__parameters:\n    prompt: from the file\n    seed: 5\n")
    start("--params-file", str(file), "-p", "prompt:=from the command line", autostart=False)
    request = GetParameters.Request(names=["prompt", "seed"])
    prompt, seed = robot.call(GetParameters, "policy_node/get_parameters", request).values
    assert (prompt.string_value, seed.integer_value) == ("from the command line", 5)


def test_with_two_cameras_remapped_to_one_topic_configure_fails(start, robot):
    node = start("-r", "wrist_camera/image_raw:=exterior_camera/image_raw", autostart=False)
    assert not robot.change_state("configure")
    node.wait_for_log("CAMERA_DUPLICATE: ")


def test_with_two_cameras_on_one_topic_an_autostarted_node_ends_with_status_2(start):
    node = start("-r", "wrist_camera/image_raw:=exterior_camera/image_raw")
    assert node.process.wait(DEADLINE) == node.wait() == 2
    assert node.lines[-1].startswith("CAMERA_DUPLICATE: "), node.log


def test_without_a_clock_it_reports_why_there_are_no_commands(start, robot):
    node = start(use_sim_time=True)
    sentence = "Expected /clock to advance (use_sim_time is true), received no new time in "
    node.wait_for_log(sentence)

    def control():
        return next((s for s in reversed(robot.statuses(node.node)) if s[0] == "control"), None)

    robot.wait_until(lambda: control() and control()[2].startswith(f"CLOCK_STILL: {sentence}"), "a warning in /diagnostics")
    assert control()[1] == b"\x01"
    robot.wait_until(lambda: "CLOCK_STILL" not in control()[2], "the end of the warning", robot.advance)
