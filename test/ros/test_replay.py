"""`pi05 replay` on bags that the independent `rosbags` package wrote from the simulated arm."""

import json
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import yaml
from harness import ARM, FINGER, JOINTS, PI05, PERIOD, PlainYaml, parameters
from record_arm import DELAY, SECOND, START, STORE, TYPES, Recorder
from rosbags.highlevel import AnyReader

SECONDS = 1.5
LAST = START + round(SECONDS * SECOND)
CAMERAS = ("exterior", "wrist")
CHUNK = "/policy_node/chunk"
Outcome = namedtuple("Outcome", "status stdout stderr")
Message = namedtuple("Message", "topic kind time data")


def compressed(*cameras):
    rules = []
    for camera in cameras:
        topic = f"{camera}_camera/image_raw/compressed"
        rules += ["-p", f"cameras.{camera}.topic:={topic}", "-p", f"cameras.{camera}.transport:=compressed"]
    return rules


@pytest.fixture(scope="session")
def bags(tmp_path_factory):
    """Records on demand, each kind once: `bags("--compressed", "png")`."""
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
    def replay(bag, *arguments):
        command = [PI05, "replay", str(bag), "--params", str(params), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True)
        return Outcome(done.returncode, done.stdout, done.stderr)

    return replay


@pytest.fixture
def summary(replay):
    """The JSON of a replay that must succeed."""

    def summary(bag, *arguments):
        status, stdout, stderr = replay(bag, "--json", "-", *arguments)
        assert status == 0, stderr
        return json.loads(stdout)

    return summary


def messages(bag):
    with AnyReader([Path(bag)], default_typestore=STORE) as reader:
        yield from (Message(c.topic, c.msgtype, time, bytes(data)) for c, time, data in reader.messages())


def read(bag, topic):
    """(log time, message) of one topic."""
    return [(m.time, STORE.deserialize_cdr(m.data, m.kind)) for m in messages(bag) if m.topic == topic]


def edit(bag, out, change):
    """A copy of a bag; `change` gives what becomes of a message: one, or none."""
    with Recorder(out) as recorder:
        for message in filter(None, map(change, messages(bag))):
            recorder.copy(*message)
    return out


def nanoseconds(time):
    return time.sec * SECOND + time.nanosec


def errors(outcome):
    """What is on stderr beside the progress."""
    return [line for line in outcome.stderr.splitlines() if ": " in line]


class TestOutput:
    def test_is_a_bag_of_chunks_and_commands_as_the_node_publishes_them(self, bags, summary, tmp_path):
        out = tmp_path / "out.mcap"
        counts = summary(bags(), "--out", out)
        chunks = read(out, CHUNK)
        assert len(chunks) == counts["chunks"] == counts["observations"] > 4
        for time, chunk in chunks:
            assert chunk.joint_names == JOINTS
            stamp = nanoseconds(chunk.header.stamp)
            assert START <= stamp <= time <= LAST
            due = [nanoseconds(point.time_from_start) for point in chunk.points]
            assert due == [round(row * SECOND / 15) for row in range(15)]
            for point in chunk.points:
                assert np.isfinite(point.velocities[:7]).all() and np.isnan(point.velocities[7])
                assert np.isfinite(point.positions[7]) and np.isnan(point.positions[:7]).all()
        arm, gripper = (read(out, f"/{name}/commands") for name in ("arm_velocity_controller", "gripper_controller"))
        assert [time for time, _ in arm] == [time for time, _ in gripper]
        assert len(arm) == sum(counts["commands"].values())
        first = START + min(DELAY.values())
        assert {(time - first) % PERIOD for time, _ in arm} == {0}
        assert {len(message.data) for _, message in arm} == {7} and {len(message.data) for _, message in gripper} == {1}
        kinds = {m.topic: m.kind for m in messages(out)}
        assert kinds[CHUNK] == "trajectory_msgs/msg/JointTrajectory"

    def test_json_counts_and_times_and_evaluates(self, bags, summary):
        counts = summary(bags())
        assert {"p50", "p95", "p99"} == counts["inference_ms"].keys() == counts["latency_ms"].keys()
        assert counts["inference_ms"]["p50"] > 0
        assert counts["latency_ms"]["p50"] == pytest.approx(DELAY["wrist"] / 1e6, abs=0.3)
        assert counts["refusals"] == {} and counts["damage"] is None
        assert counts["seconds"]["bag"] == pytest.approx(SECONDS, abs=0.1)
        joints = {joint["joint"]: joint for joint in counts["evaluation"]["joints"]}
        assert list(joints) == JOINTS
        assert joints[ARM[0]]["overall"]["count"] > 20 and joints[FINGER]["overall"]["mae"] > 0

    def test_the_same_bag_gives_the_same_bytes(self, bags, replay, tmp_path):
        outs = [tmp_path / "one.mcap", tmp_path / "two.mcap"]
        for out in outs:
            assert replay(bags(), "--out", out).status == 0
        assert outs[0].read_bytes() == outs[1].read_bytes()

    def test_storage_does_not_matter(self, bags, replay, tmp_path):
        out = tmp_path / "out.mcap"
        assert replay(bags(), "--out", out).status == 0
        outcome = replay(bags("--storage", "sqlite3"), "--strict", "--expect", out)
        assert outcome.status == 0, outcome.stderr


class TestExpectations:
    @pytest.fixture
    def baseline(self, bags, replay, tmp_path):
        out = tmp_path / "baseline.mcap"
        assert replay(bags(), "--out", out).status == 0
        return out

    def perturbed(self, baseline, out, change):
        """The baseline with its second chunk changed; returns its stamp too."""
        seen = []

        def edited(message):
            if message.topic != CHUNK:
                return message
            chunk = STORE.deserialize_cdr(message.data, message.kind)
            seen.append(nanoseconds(chunk.header.stamp))
            for point in chunk.points:
                point.positions, point.velocities = point.positions.copy(), point.velocities.copy()
            if len(seen) != 2:
                return message
            return change(chunk) and message._replace(data=bytes(STORE.serialize_cdr(chunk, message.kind)))

        edit(baseline, out, edited)
        return out, f"{seen[1] // SECOND}.{seen[1] % SECOND:09d}"

    def test_the_same_run_passes(self, bags, replay, baseline):
        outcome = replay(bags(), "--expect", baseline)
        assert outcome.status == 0 and " 0 different" in outcome.stdout

    def test_another_value_is_named_with_stamp_step_and_joint(self, bags, replay, baseline, tmp_path):
        values = []

        def change(chunk):
            values.append(chunk.points[3].velocities[2])
            chunk.points[3].velocities[2] += 0.01
            chunk.points[5].velocities[1] += 0.01
            return True

        other, stamp = self.perturbed(baseline, tmp_path / "other", change)
        outcome = replay(bags(), "--expect", other, "--tolerance", "0.001")
        assert outcome.status == 1
        expected, received = values[0] + 0.01, values[0]
        assert errors(outcome) == [
            f"CHUNKS_DIFFER: Expected a velocity of {expected} within 0.001, received {received} for panda_joint3 "
            f"in step 3 of the chunk stamped {stamp}"
        ]
        assert replay(bags(), "--expect", other).status == 1
        assert replay(bags(), "--expect", other, "--tolerance", "0.0100001").status == 0

    def test_what_is_not_a_number_agrees_with_nothing(self, bags, replay, baseline, tmp_path):
        def change(chunk):
            chunk.points[0].positions[7] = np.nan
            return True

        other, stamp = self.perturbed(baseline, tmp_path / "other", change)
        outcome = replay(bags(), "--expect", other, "--tolerance", "1e300")
        assert outcome.status == 1
        assert errors(outcome)[0].startswith("CHUNKS_DIFFER: Expected a position of NaN")
        assert f"{FINGER} in step 0 of the chunk stamped {stamp}" in outcome.stderr

    def test_a_chunk_too_many_and_one_too_few_are_differences(self, bags, replay, baseline, tmp_path):
        fewer, stamp = self.perturbed(baseline, tmp_path / "fewer", lambda chunk: False)
        outcome = replay(bags(), "--expect", fewer)
        assert outcome.status == 1
        assert errors(outcome) == [f"CHUNKS_DIFFER: Expected no chunk stamped {stamp} as in {fewer}, received one"]

        def later(chunk):
            chunk.header.stamp.nanosec += 1
            return True

        moved, stamp = self.perturbed(baseline, tmp_path / "moved", later)
        outcome = replay(bags(), "--expect", moved)
        assert outcome.status == 1
        assert errors(outcome) == [f"CHUNKS_DIFFER: Expected no chunk stamped {stamp} as in {moved}, received one"]
        assert " 2 different" in outcome.stdout

    def test_another_shape_is_a_difference(self, bags, replay, baseline, tmp_path):
        def renamed(chunk):
            chunk.joint_names[0] = "elbow"
            return True

        other, _ = self.perturbed(baseline, tmp_path / "names", renamed)
        assert "Expected the joints elbow, panda_joint2" in replay(bags(), "--expect", other).stderr
        other, _ = self.perturbed(baseline, tmp_path / "rows", lambda chunk: chunk.points.pop())
        assert "Expected 14 steps" in replay(bags(), "--expect", other).stderr

    def test_a_baseline_without_chunks_is_refused(self, bags, replay):
        outcome = replay(bags(), "--expect", bags())
        assert outcome.status == 2
        assert errors(outcome)[0].startswith(f"BAG_TOPIC: Expected chunks (trajectory_msgs/msg/JointTrajectory) on {CHUNK}")


class TestRefusals:
    @pytest.fixture
    def faulty(self, bags, tmp_path):
        """The tenth joint message lacks a joint."""
        seen = []

        def change(message):
            if message.topic != "/joint_states":
                return message
            seen.append(message)
            if len(seen) != 10:
                return message
            joints = STORE.deserialize_cdr(message.data, message.kind)
            joints.name[0] = "elbow"
            return message._replace(data=bytes(STORE.serialize_cdr(joints, message.kind)))

        return edit(bags(), tmp_path / "faulty", change)

    def test_are_counted(self, faulty, summary):
        counts = summary(faulty)
        assert counts["refusals"] == {"JOINT_MISSING": 1}
        assert counts["chunks"] > 4

    def test_end_a_strict_replay_with_status_1_after_the_end(self, faulty, replay, tmp_path):
        out = tmp_path / "out.mcap"
        outcome = replay(faulty, "--strict", "--out", out)
        assert outcome.status == 1
        assert len(read(out, CHUNK)) > 4
        (line,) = errors(outcome)
        assert line.startswith("INPUT_REFUSED: Expected no refusal, received JOINT_MISSING 1 times, the first at 0.0")
        assert "panda_joint1" in line

    def test_of_bytes_that_are_no_message_and_of_pictures_that_are_no_picture(self, bags, summary, tmp_path):
        def cut(message):
            return message._replace(data=message.data[:1000]) if "image" in message.topic else message

        counts = summary(edit(bags(), tmp_path / "raw", cut))
        assert counts["refusals"].keys() >= {"IMAGE_DATA"} and counts["chunks"] == 0

        def spoil(message):
            if "image" not in message.topic:
                return message
            picture = STORE.deserialize_cdr(message.data, message.kind)
            picture.data = picture.data[: len(picture.data) // 2]
            return message._replace(data=bytes(STORE.serialize_cdr(picture, message.kind)))

        spoiled = edit(bags("--compressed", "jpeg"), tmp_path / "jpeg", spoil)
        counts = summary(spoiled, *compressed(*CAMERAS))
        assert counts["refusals"]["IMAGE_DECODE"] == 2 * round(SECONDS * 30) and counts["chunks"] == 0


class TestPictures:
    def test_png_gives_the_chunks_of_the_raw_pictures(self, bags, replay, tmp_path):
        out = tmp_path / "out.mcap"
        assert replay(bags(), "--out", out).status == 0
        outcome = replay(bags("--compressed", "png"), *compressed(*CAMERAS), "--strict", "--expect", out)
        assert outcome.status == 0, outcome.stderr

    def test_jpeg_gives_the_same_chunks_every_time(self, bags, replay, tmp_path):
        bag, out = bags("--compressed", "jpeg"), tmp_path / "out.mcap"
        assert replay(bag, *compressed(*CAMERAS), "--strict", "--out", out).status == 0
        for _ in range(3):
            assert replay(bag, *compressed(*CAMERAS), "--strict", "--expect", out).status == 0


class TestLatency:
    def test_a_chunk_comes_that_much_bag_time_after_its_question(self, bags, summary, tmp_path):
        out = tmp_path / "out.mcap"
        counts = summary(bags(), "--latency-ms", "90.5", "--out", out)
        chunks = read(out, CHUNK)
        assert len(chunks) == counts["chunks"] > 4
        behind = {time - nanoseconds(chunk.header.stamp) for time, chunk in chunks}
        assert min(behind) >= 90_500_000 and max(behind) < 91_500_000 + PERIOD
        assert counts["latency_ms"]["p99"] == max(behind) / 1e6

    def test_beyond_the_engines_timeout_is_too_late(self, bags, summary):
        counts = summary(bags(), "--latency-ms", "1400", "-p", "schedule.engine_timeout:=1.0")
        assert (counts["observations"], counts["chunks"], counts["outdated"]) == (2, 0, 1)
        assert counts["faults"] == {"ENGINE_LATE": 1}

    def test_gives_the_same_bytes_every_time(self, bags, replay, tmp_path):
        outs = [tmp_path / "one.mcap", tmp_path / "two.mcap"]
        for out in outs:
            assert replay(bags(), "--latency-ms", "40", "--out", out).status == 0
        assert outs[0].read_bytes() == outs[1].read_bytes()


class TestTime:
    SIM = ("-p", "use_sim_time:=true")

    def test_is_that_of_the_bags_clock_where_the_parameters_say_so(self, bags, summary, tmp_path):
        """Recorded years later than its stamps, as simulations are."""
        later = 10**18
        bag = edit(bags(), tmp_path / "later", lambda message: message._replace(time=message.time + later))
        out = tmp_path / "out.mcap"
        counts = summary(bag, *self.SIM, "--strict", "--out", out)
        assert counts["refusals"] == {} and counts["chunks"] > 4
        assert {START + later < time < LAST + later for time, _ in read(out, CHUNK)} == {True}
        counts = summary(bag)
        assert counts["chunks"] == 0 and counts["refusals"].keys() >= {"CAMERA_STALE", "STATE_STALE"}

    def test_needs_a_clock_then(self, bags, replay, tmp_path):
        bag = edit(bags(), tmp_path / "still", lambda message: None if message.topic == "/clock" else message)
        assert replay(bag).status == 0
        outcome = replay(bag, *self.SIM)
        assert outcome.status == 2
        assert errors(outcome)[0].startswith("BAG_TOPIC: Expected rosgraph_msgs/msg/Clock on /clock in")
        assert errors(outcome)[0].endswith("-p use_sim_time:=false goes by the time of recording")

    def test_that_goes_back_starts_anew(self, bags, summary, tmp_path):
        """A simulation that was reset after its first run."""
        first = list(messages(bags("--lockstep")))
        shift = first[-1].time - first[0].time + SECOND
        with Recorder(tmp_path / "twice") as recorder:
            for message in [*first, *(m._replace(time=m.time + shift) for m in first)]:
                recorder.copy(*message)
        lockstep = (*self.SIM, "-p", "schedule.lockstep:=true")
        once, twice = tmp_path / "once.mcap", tmp_path / "twice.mcap"
        summary(bags("--lockstep"), *lockstep, "--out", once)
        summary(tmp_path / "twice", *lockstep, "--out", twice)
        stamps = [nanoseconds(chunk.header.stamp) for _, chunk in read(once, CHUNK)]
        assert [nanoseconds(chunk.header.stamp) for _, chunk in read(twice, CHUNK)] == stamps * 2

    def test_stands_during_an_inference_in_lockstep(self, bags, replay):
        outcome = replay(bags("--lockstep"), *self.SIM, "-p", "schedule.lockstep:=true", "--latency-ms", "10")
        assert outcome.status == 2 and errors(outcome)[0].startswith("USAGE: Expected --latency-ms 0")


class TestTopics:
    def test_that_the_bag_lacks_are_named_with_what_it_has(self, bags, replay):
        outcome = replay(bags(), "-p", "state.topic:=arm/joints", "-p", "cameras.wrist.topic:=joint_states")
        assert outcome.status == 2
        (line,) = errors(outcome)
        assert line.startswith(
            "BAG_TOPIC: Expected sensor_msgs/msg/Image on /joint_states (not sensor_msgs/msg/JointState) and "
            "sensor_msgs/msg/JointState on /arm/joints in "
        )
        assert "which has /arm_velocity_controller/commands (std_msgs/msg/Float64MultiArray), /clock (" in line

    def test_are_those_of_the_namespace(self, bags, replay, summary, tmp_path):
        bag, out = bags("--namespace", "/left"), tmp_path / "out.mcap"
        outcome = replay(bag)
        assert outcome.status == 2 and errors(outcome)[0].endswith(": try --namespace /left")
        counts = summary(bag, "--namespace", "/left", "--out", out)
        assert counts["chunks"] > 4
        assert {message.topic for message in messages(out)} == {
            "/left/policy_node/chunk",
            "/left/arm_velocity_controller/commands",
            "/left/gripper_controller/commands",
        }

    def test_of_compressed_pictures_are_proposed(self, bags, replay):
        bag = bags("--compressed", "jpeg")
        outcome = replay(bag)
        assert outcome.status == 2
        assert "-p cameras.exterior.topic:=/exterior_camera/image_raw/compressed" in errors(outcome)[0]

    def test_a_prompt_must_come_from_somewhere(self, bags, replay, summary, tmp_path):
        outcome = replay(bags(), "-p", "prompt:=''")
        assert outcome.status == 2 and errors(outcome)[0].startswith("BAG_TOPIC: Expected a prompt")
        middle = START + round(SECONDS * SECOND / 2)
        with Recorder(tmp_path / "prompted") as recorder:
            for message in messages(bags()):
                if message.time > middle and "/prompt" not in recorder.connections:
                    recorder.write("/prompt", "std_msgs/msg/String", message.time, "pick up the red block")
                recorder.copy(*message)
        out = tmp_path / "out.mcap"
        counts = summary(tmp_path / "prompted", "-p", "prompt:=''", "--out", out)
        assert counts["refusals"].keys() == {"PROMPT_EMPTY"}
        assert min(time for time, _ in read(out, CHUNK)) >= middle


class TestBagsAndUsage:
    def test_a_truncated_bag_is_replayed_as_far_as_it_goes(self, bags, replay, summary, tmp_path):
        (whole,) = bags().glob("*.mcap")
        part = tmp_path / "part.mcap"
        part.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
        counts = summary(part)
        assert 0 < counts["chunks"] < summary(bags())["chunks"]
        assert counts["damage"]
        outcome = replay(part)
        assert "only in part: " in outcome.stdout
        assert replay(part, "--strict").status == 1

    @pytest.mark.parametrize("contents", [b"", b"this is no bag\n" * 100], ids=["empty", "foreign"])
    def test_what_is_no_bag_is_refused_with_one_sentence(self, contents, replay, tmp_path):
        file = tmp_path / "file.mcap"
        file.write_bytes(contents)
        for path in (file, tmp_path / "nowhere"):
            outcome = replay(path)
            assert outcome.status == 2, outcome
            (line,) = outcome.stderr.splitlines()
            assert line.startswith("BAG_FILE: Expected")

    @pytest.mark.parametrize(
        "arguments",
        [
            ("--tolerance", "1"),
            ("--latency-ms", "-1"),
            ("--latency-ms", "soon"),
            ("-p", "seed"),
            ("-p", "use_sim_time:=3"),
            ("-p", "control_rat:=3.0"),
            ("--unknown",),
        ],
        ids=" ".join,
    )
    def test_wrong_usage_ends_with_status_2_and_one_sentence(self, bags, replay, arguments):
        outcome = replay(bags(), *arguments)
        assert outcome.status == 2 and outcome.stdout == ""
        assert len(outcome.stderr.splitlines()) == 1 and "Expected" in outcome.stderr or "nknown" in outcome.stderr

    def test_never_writes_over_what_it_reads(self, bags, replay):
        (file,) = bags().glob("*.mcap")
        assert replay(file, "--out", file).status == 2

    def test_an_engine_that_is_not_finite_ends_it_with_status_1_and_its_code(self, bags, replay, checkpoint, tmp_path):
        broken = tmp_path / "broken"
        shutil.copytree(checkpoint, broken)
        weights = broken / "model.safetensors"
        data = bytearray(weights.read_bytes())
        begin = 8 + int.from_bytes(data[:8], "little")
        data[begin:] = b"\xff" * (len(data) - begin)
        weights.write_bytes(data)
        outcome = replay(bags(), "-p", f"checkpoint:={broken}")
        assert outcome.status == 1
        assert errors(outcome)[0].startswith("CHUNK_NOT_FINITE: Expected finite actions, received NaN for panda_joint1")
