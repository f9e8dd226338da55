"""The output of `pi05 replay`, on bags of the simulated arm written with the independent `rosbags` package."""

import math
import re

import numpy as np
import pytest
from harness import ARM, FINGER, JOINTS, PERIOD, nanoseconds
from record_arm import DELAY, SECOND, START, STORE
from replay_runs import CAMERAS, CHUNK, LAST, SECONDS, compressed, edit, errors, messages, read


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

    def test_the_json_has_counts_times_and_the_evaluation(self, bags, summary):
        counts = summary(bags())
        assert {"p50", "p95", "p99"} == counts["inference_ms"].keys() == counts["latency_ms"].keys()
        assert counts["inference_ms"]["p50"] > 0
        assert counts["latency_ms"]["p50"] == pytest.approx(DELAY["wrist"] / 1e6, abs=0.3)
        assert counts["refusals"] == {} and counts["damage"] is None
        assert counts["seconds"]["bag"] == pytest.approx(SECONDS, abs=0.1)
        joints = {joint["joint"]: joint for joint in counts["evaluation"]["joints"]}
        assert list(joints) == JOINTS
        assert joints[ARM[0]]["overall"]["count"] > 20 and joints[FINGER]["overall"]["mae"] > 0

    def test_a_recorded_arm_that_does_not_follow_the_policy_is_no_fault(self, bags, summary):
        assert summary(bags(), "-p", "safety.max_following_error:=0.001")["faults"] == {}

    def test_the_same_bag_gives_the_same_bytes(self, bags, replay, tmp_path):
        outs = [tmp_path / "one.mcap", tmp_path / "two.mcap"]
        for out in outs:
            assert replay(bags(), "--out", out).status == 0
        assert outs[0].read_bytes() == outs[1].read_bytes()

    def test_an_old_output_type_is_a_warning_and_changes_nothing_else(self, bags, replay, tmp_path):
        outs = [tmp_path / "new.mcap", tmp_path / "old.mcap"]
        new = replay(bags(), "--out", outs[0], "--strict")
        old = replay(bags(), "--out", outs[1], "--strict", "-p", "outputs.arm.type:=array")
        assert new.status == old.status == 0
        assert "WARN" not in new.stderr
        (line,) = [line for line in old.stderr.splitlines() if "WARN" in line]
        assert line.startswith('WARN: Expected "float64_multi_array" for outputs.arm.type, received its old name "array"')
        assert outs[0].read_bytes() == outs[1].read_bytes()

    def test_a_bag_in_sqlite_gives_the_same_chunks_as_one_in_mcap(self, bags, replay, tmp_path):
        out = tmp_path / "out.mcap"
        assert replay(bags(), "--out", out).status == 0
        outcome = replay(bags("--storage", "sqlite3"), "--strict", "--expect", out)
        assert outcome.status == 0, outcome.stderr


def test_max_seam_fails_where_a_jump_is_larger_and_where_there_is_no_seam(bags, replay, summary):
    seams = summary(bags())["seams"]
    largest = seams["jump"]["max"]
    assert seams["count"] > 1 and largest > 0
    assert replay(bags(), "--max-seam", repr(largest)).status == 0
    beyond = replay(bags(), "--max-seam", largest * 0.99)
    assert beyond.status == 1
    (line,) = errors(beyond)
    found = re.match(r"SEAM_JUMP: Expected no seam with a jump above (\S+), received (\d+) of (\d+), the largest (\S+) for (\S+) at ", line)
    assert float(found[1]) == largest * 0.99 and 1 <= int(found[2]) <= int(found[3]) == seams["count"]
    assert float(found[4]) == pytest.approx(largest, rel=1e-3) and found[5] == seams["largest"]["joint"]
    none = replay(bags(), "--max-seam", 1000, "-p", "schedule.replan_steps:=15", "--latency-ms", 800)
    assert none.status == 1 and errors(none)[0].startswith("SEAM_JUMP: Expected at least one seam between chunks in ")


class TestExpectations:
    @pytest.fixture
    def baseline(self, bags, replay, tmp_path):
        out = tmp_path / "baseline.mcap"
        assert replay(bags(), "--out", out).status == 0
        return out

    def perturbed(self, baseline, out, change):
        """Copies the baseline with its second chunk changed. Returns the path and the stamp of the chunk.

        `change` edits the chunk and returns whether to write it.
        """
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

    def test_nan_is_always_a_difference(self, bags, replay, baseline, tmp_path):
        def change(chunk):
            chunk.points[0].positions[7] = np.nan
            return True

        other, stamp = self.perturbed(baseline, tmp_path / "other", change)
        outcome = replay(bags(), "--expect", other, "--tolerance", "1e300")
        assert outcome.status == 1
        assert errors(outcome)[0].startswith("CHUNKS_DIFFER: Expected a position of NaN")
        assert f"{FINGER} in step 0 of the chunk stamped {stamp}" in outcome.stderr

    def test_a_damaged_baseline_is_an_error(self, bags, replay, baseline, tmp_path):
        cut = tmp_path / "cut.mcap"
        cut.write_bytes(baseline.read_bytes()[:-2000])
        outcome = replay(bags(), "--expect", cut)
        assert outcome.status == 2
        assert errors(outcome)[0].startswith(f"BAG_DATA: Expected a footer at the end of {cut}")

        def spoil(message):
            return message._replace(data=message.data[:50]) if message.topic == CHUNK else message

        spoiled, out = edit(baseline, tmp_path / "spoiled", spoil), tmp_path / "out.mcap"
        outcome = replay(bags(), "--expect", spoiled, "--out", out)
        assert outcome.status == 2 and not out.exists()
        (line,) = errors(outcome)
        assert line.startswith("BAG_DATA: Expected ") and line.endswith(f" from {CHUNK} in {spoiled}")

    def test_a_bag_without_chunks_and_refusals_fails_with_strict(self, bags, replay, tmp_path):
        short = edit(bags(), tmp_path / "short", lambda m: m if m.time < START + SECOND // 100 else None)
        sim = ("-p", "use_sim_time:=true", "-p", "schedule.lockstep:=true")
        assert replay(short, *sim).status == 0
        outcome = replay(short, *sim, "--strict")
        assert outcome.status == 1
        assert errors(outcome) == [f"BAG_DATA: Expected at least one chunk in {short}, received none and no refusal"]

    def test_an_additional_chunk_and_a_missing_one_are_differences(self, bags, replay, baseline, tmp_path):
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
        other, _ = self.perturbed(baseline, tmp_path / "rows", lambda chunk: bool(chunk.points.pop()))
        assert "Expected 14 steps" in replay(bags(), "--expect", other).stderr

    def test_a_baseline_without_chunks_is_refused(self, bags, replay):
        outcome = replay(bags(), "--expect", bags())
        assert outcome.status == 2
        assert errors(outcome)[0].startswith(f"BAG_TOPIC: Expected chunks (trajectory_msgs/msg/JointTrajectory) on {CHUNK}")


class TestRefusals:
    @pytest.fixture
    def faulty(self, bags, tmp_path):
        """A bag in which a joint of the tenth joint state is not a number."""
        seen = []

        def change(message):
            if message.topic != "/joint_states":
                return message
            seen.append(message)
            if len(seen) != 10:
                return message
            joints = STORE.deserialize_cdr(message.data, message.kind)
            joints.position = joints.position.copy()
            joints.position[0] = math.nan
            return message._replace(data=bytes(STORE.serialize_cdr(joints, message.kind)))

        return edit(bags(), tmp_path / "faulty", change)

    def test_are_counted(self, faulty, summary):
        counts = summary(faulty)
        assert counts["refusals"] == {"JOINT_NOT_FINITE": 1}
        assert counts["chunks"] > 4

    def test_end_a_strict_replay_with_status_1_after_the_end(self, faulty, replay, tmp_path):
        out = tmp_path / "out.mcap"
        outcome = replay(faulty, "--strict", "--out", out)
        assert outcome.status == 1
        assert len(read(out, CHUNK)) > 4
        (line,) = errors(outcome)
        assert line.startswith("INPUT_REFUSED: Expected no refusal, received JOINT_NOT_FINITE 1 time, the first at 0.0")
        assert "panda_joint1" in line

    def test_of_messages_that_cannot_be_read_and_of_images_that_cannot_be_decoded(self, bags, summary, tmp_path):
        def cut(message):
            return message._replace(data=message.data[:1000]) if "image" in message.topic else message

        counts = summary(edit(bags(), tmp_path / "raw", cut))
        assert counts["refusals"].keys() >= {"IMAGE_DATA"} and counts["chunks"] == 0

        def spoil(message):
            if "image" not in message.topic:
                return message
            image = STORE.deserialize_cdr(message.data, message.kind)
            image.data = image.data[: len(image.data) // 2]
            return message._replace(data=bytes(STORE.serialize_cdr(image, message.kind)))

        spoiled = edit(bags("--compressed", "jpeg"), tmp_path / "jpeg", spoil)
        counts = summary(spoiled, *compressed(*CAMERAS))
        assert counts["refusals"]["IMAGE_DECODE"] == 2 * round(SECONDS * 30) and counts["chunks"] == 0
