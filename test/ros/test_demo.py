"""The demo: its processes, prompts, output and files."""

import json
import os
import re
import signal
import subprocess

import pytest
from harness import PI05
from rcl_interfaces.msg import ParameterEvent

# Refusals on a machine that is too busy to render 30 pairs of images per second.
OVERLOADED = {"CAMERA_SKEW", "CAMERA_STALE", "STATE_STALE"}


def demo(directory, *arguments):
    """Starts `pi05 demo`. It chooses its ROS domain itself unless `arguments` has one."""
    command = [PI05, "demo", "--out", str(directory / "demo.png"), *arguments]
    environment = {k: v for k, v in os.environ.items() if k != "ROS_DOMAIN_ID"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_demo_gives_one_prompt_after_the_other_and_reports_what_happened(tmp_path, robot):
    prompts = ["pick up the red block", "wave: \"hello\""]
    events = []
    robot.record(ParameterEvent, "/parameter_events", events)

    def given():
        """The prompts that the node received, in this order."""
        changes = [change for event in events for change in event.changed_parameters if change.name == "prompt"]
        return [change.value.string_value for change in changes]

    files = ["--gif", str(tmp_path / "demo.gif"), "--domain", os.environ["ROS_DOMAIN_ID"]]
    process = demo(tmp_path, *(f"--prompt={prompt}" for prompt in prompts), "--rearrange", "--duration", "2", "--seed", "7", *files)
    robot.wait_until(lambda: process.poll() is not None, "the end of the demo")
    out, err = process.communicate()
    assert process.returncode == 0, err
    # An event is lost if this process has not yet discovered the node.
    assert given() and given() == prompts[-len(given()) :]
    lines = [re.sub(" {2,}", "|", line) for line in out.splitlines()]
    # No arm with these limits is as fast.
    assert "1 of 2|pick up the red block|failure: not within 2.0 s" in lines
    assert '2 of 2|wave: "hello"|2.0 s, not judged' in lines
    assert "prompts|0 of 1 succeeded" in lines
    summary = json.loads((tmp_path / "demo.json").read_text())
    first, second = summary["episodes"]
    assert [(e["prompt"], e["task"], e["success"], e["seed"]) for e in (first, second)] == [
        (prompts[0], "pick", False, 70000),
        (prompts[1], None, None, 70001),
    ]
    assert first["begin"] == 0 and first["end"] == pytest.approx(2) and first["end"] < second["begin"] < second["end"]
    assert summary["chunks"] > 0 and summary["commands"] > 0 and set(summary["refused"]) <= OVERLOADED
    assert (tmp_path / "demo.gif").read_bytes().startswith(b"GIF89a")


def test_the_arm_does_what_the_prompts_say(tmp_path):
    prompts = ["touch the green block", "Please lift the blue cube."]
    # Much more time than it needs, for a machine that is too busy to render at full rate. An episode ends with its success.
    process = demo(tmp_path, *(f"--prompt={prompt}" for prompt in prompts), "--duration", "60")
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert [line for line in out.splitlines() if re.fullmatch(r"prompts +2 of 2 succeeded", line)], out
    episodes = json.loads((tmp_path / "demo.json").read_text())["episodes"]
    assert [(e["prompt"], e["task"], e["success"], e["seed"]) for e in episodes] == [
        (prompts[0], "touch", True, 0),
        (prompts[1], "pick", True, 0),
    ]


def test_two_demos_at_once_use_different_domains_and_each_prints_its_summary(tmp_path):
    directories = [tmp_path / "one", tmp_path / "two"]
    for directory in directories:
        directory.mkdir()
    running = [demo(directory, "--prompt", "wave", "--duration", "2") for directory in directories]
    outputs = [process.communicate(timeout=400) for process in running]
    domains = set()
    for directory, process, (out, err) in zip(directories, running, outputs, strict=True):
        assert process.returncode == 0, err
        words = ("observations built", "refused", "chunks", "inference", "control-tick lateness", "chart")
        assert all(word in out for word in words), out
        assert (directory / "demo.png").read_bytes().startswith(b"\x89PNG")
        summary = json.loads((directory / "demo.json").read_text())
        assert summary["chunks"] >= 1 and summary["observations"] >= summary["chunks"]
        domains.add(next(line for line in out.splitlines() if line.startswith("ROS_DOMAIN_ID=")))
    assert len(domains) == 2


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]


def descendants(pid):
    direct = children(pid)
    return direct + [descendant for child in direct for descendant in descendants(child)]


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM], ids=lambda signum: signum.name)
def test_a_demo_that_is_interrupted_leaves_no_process_running(signum, tmp_path):
    process = demo(tmp_path, "--prompt", "wave", "--duration", "600")
    running = []
    for line in process.stdout:
        running = descendants(process.pid)
        if "chunks" in line:
            break
    # The arm, the recorder, the guard, the node, and the node's services.
    assert len(running) == 5
    process.send_signal(signum)
    out, err = process.communicate(timeout=180)
    assert (process.returncode, err) == (130, ""), err
    assert "Stopped." in out
    assert not [pid for pid in running if alive(pid)]


def test_a_process_that_is_killed_ends_the_demo_with_an_error(tmp_path):
    process = demo(tmp_path, "--prompt", "wave", "--duration", "600")
    for line in process.stdout:
        if "chunks" in line:
            break
    # The arm is started first.
    os.kill(min(children(process.pid)), signal.SIGKILL)
    _, err = process.communicate(timeout=180)
    assert process.returncode == 1
    assert err.startswith("INTERNAL: Expected the simulated arm to run until the end of the demo, but it was killed")
