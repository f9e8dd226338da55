"""Runs `pi05 replay` on recordings of the simulated arm. The fixtures are imported by conftest.py."""

import json
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest
import yaml
from harness import PI05, PlainYaml, parameters
from record_arm import SECOND, START, STORE, Recorder
from rosbags.highlevel import AnyReader

SECONDS = 1.5
LAST = START + round(SECONDS * SECOND)
CAMERAS = ("exterior", "wrist")
CHUNK = "/policy_node/chunk"
Outcome = namedtuple("Outcome", "status stdout stderr")
Message = namedtuple("Message", "topic kind time data")


def compressed(*cameras):
    """Arguments that make these cameras compressed."""
    rules = []
    for camera in cameras:
        topic = f"{camera}_camera/image_raw/compressed"
        rules += ["-p", f"cameras.{camera}.topic:={topic}", "-p", f"cameras.{camera}.transport:=compressed"]
    return rules


@pytest.fixture(scope="session")
def bags(tmp_path_factory):
    """Records a bag on demand, once for each set of arguments: `bags("--compressed", "png")`."""
    directory, known = tmp_path_factory.mktemp("bags"), {}

    def bags(*arguments):
        if arguments not in known:
            script = Path(__file__).with_name("record_arm.py")
            path = directory / f"bag{len(known)}"
            subprocess.run([sys.executable, script, path, "--seconds", str(SECONDS), *arguments], check=True)
            known[arguments] = path
        return known[arguments]

    return bags


@pytest.fixture(scope="session")
def params(tmp_path_factory, checkpoint):
    file = tmp_path_factory.mktemp("params") / "params.yaml"
    values = parameters(checkpoint, schedule__replan_steps=4)
    file.write_text(yaml.dump({"/**": {"ros__parameters": values}}, Dumper=PlainYaml))
    return file


@pytest.fixture
def replay(params):
    """Runs a replay and returns its `Outcome`: `replay(bag, "--strict")`."""

    def replay(bag, *arguments):
        command = [PI05, "replay", str(bag), "--params", str(params), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True)
        return Outcome(done.returncode, done.stdout, done.stderr)

    return replay


@pytest.fixture
def summary(replay):
    """The JSON summary of a replay, which must succeed."""

    def summary(bag, *arguments):
        status, stdout, stderr = replay(bag, "--json", "-", *arguments)
        assert status == 0, stderr
        return json.loads(stdout)

    return summary


def messages(bag):
    """Yields the messages of a bag in order, serialised, read with the `rosbags` package."""
    with AnyReader([Path(bag)], default_typestore=STORE) as reader:
        yield from (Message(c.topic, c.msgtype, time, bytes(data)) for c, time, data in reader.messages())


def read(bag, topic):
    """The messages of one topic: a list of (log time, message)."""
    return [(m.time, STORE.deserialize_cdr(m.data, m.kind)) for m in messages(bag) if m.topic == topic]


def edit(bag, out, change):
    """Copies a bag. `change` returns the message to write, or None to leave it out."""
    with Recorder(out) as recorder:
        for message in filter(None, map(change, messages(bag))):
            recorder.copy(*message)
    return out


def errors(outcome):
    """The lines on stderr without the progress."""
    return [line for line in outcome.stderr.splitlines() if ": " in line]
