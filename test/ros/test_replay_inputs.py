"""The inputs of `pi05 replay`: images, time, topics, damaged bags and wrong usage."""

import shutil

import pytest
from harness import PERIOD, nanoseconds
from record_arm import SECOND, START, Recorder
from replay_runs import CAMERAS, CHUNK, LAST, SECONDS, compressed, edit, errors, messages, read


class TestImages:
    def test_png_gives_the_chunks_of_the_raw_images(self, bags, replay, tmp_path):
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
    def test_is_the_bag_time_from_the_request_of_a_chunk_to_its_publication(self, bags, summary, tmp_path):
        out = tmp_path / "out.mcap"
        counts = summary(bags(), "--latency-ms", "90.5", "--out", out)
        chunks = read(out, CHUNK)
        assert len(chunks) == counts["chunks"] > 4
        delays = {time - nanoseconds(chunk.header.stamp) for time, chunk in chunks}
        assert min(delays) >= 90_500_000 and max(delays) < 91_500_000 + PERIOD
        assert counts["latency_ms"]["p99"] == max(delays) / 1e6

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

    def test_is_the_clock_in_the_bag_with_use_sim_time(self, bags, summary, tmp_path):
        """The log times are years later than the stamps, as in a recording of a simulation."""
        later = 10**18
        bag = edit(bags(), tmp_path / "later", lambda message: message._replace(time=message.time + later))
        out = tmp_path / "out.mcap"
        counts = summary(bag, *self.SIM, "--strict", "--out", out)
        assert counts["refusals"] == {} and counts["chunks"] > 4
        assert {START + later < time < LAST + later for time, _ in read(out, CHUNK)} == {True}
        counts = summary(bag)
        assert counts["chunks"] == 0 and counts["refusals"].keys() >= {"CAMERA_STALE", "STATE_STALE"}

    def test_needs_a_clock_in_the_bag_with_use_sim_time(self, bags, replay, tmp_path):
        bag = edit(bags(), tmp_path / "still", lambda message: None if message.topic == "/clock" else message)
        assert replay(bag).status == 0
        outcome = replay(bag, *self.SIM)
        assert outcome.status == 2
        assert errors(outcome)[0].startswith("BAG_TOPIC: Expected rosgraph_msgs/msg/Clock on /clock in")
        assert errors(outcome)[0].endswith("-p use_sim_time:=false goes by the time of recording")

    def test_that_goes_back_resets_the_policy(self, bags, summary, tmp_path):
        """A simulation that is reset publishes such a clock."""
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

    def test_in_lockstep_the_latency_is_the_injected_delay_of_the_node(self, bags, summary, replay, tmp_path):
        """A chunk arrives at the first tick at or after the stamp of its observation plus the delay."""
        lockstep = (*self.SIM, "-p", "schedule.lockstep:=true")
        outs = [tmp_path / "latency.mcap", tmp_path / "delay.mcap"]
        for out, delay in zip(outs, (("--latency-ms", "100"), ("-p", "schedule.injected_delay:=0.1")), strict=True):
            counts = summary(bags("--lockstep"), *lockstep, "--strict", "--out", out, *delay)
            assert counts["latency_ms"]["p50"] == counts["latency_ms"]["p99"] == 2 * PERIOD / 1e6
        assert outs[0].read_bytes() == outs[1].read_bytes()
        stamps = [nanoseconds(chunk.header.stamp) for _, chunk in read(outs[0], CHUNK)]
        # The first chunk runs from tick 3 on. The next one is requested 4 ticks after the observation of the one before.
        assert stamps[:3] == [START + tick * PERIOD for tick in (1, 5, 9)]
        outcome = replay(bags("--lockstep"), *lockstep, "--latency-ms", "2000")
        assert outcome.status == 2 and errors(outcome)[0].startswith("CONFIG_RANGE: Expected schedule.injected_delay below")


class TestTopics:
    def test_that_the_bag_lacks_are_named_with_those_that_it_has(self, bags, replay):
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

    def test_of_compressed_images_are_suggested(self, bags, replay):
        bag = bags("--compressed", "jpeg")
        outcome = replay(bag)
        assert outcome.status == 2
        assert "-p cameras.exterior.topic:=/exterior_camera/image_raw/compressed" in errors(outcome)[0]

    def test_a_prompt_is_required_as_parameter_or_topic(self, bags, replay, summary, tmp_path):
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
    def test_a_truncated_bag_is_replayed_up_to_its_end(self, bags, replay, summary, tmp_path):
        (complete,) = bags().glob("*.mcap")
        part = tmp_path / "part.mcap"
        part.write_bytes(complete.read_bytes()[: complete.stat().st_size // 2])
        counts = summary(part)
        assert 0 < counts["chunks"] < summary(bags())["chunks"]
        assert counts["damage"]
        outcome = replay(part)
        assert "incomplete: " in outcome.stdout
        assert replay(part, "--strict").status == 1

    def test_a_bag_with_damage_in_the_middle_is_replayed_up_to_the_damage(self, bags, replay, summary, tmp_path):
        (complete,) = bags().glob("*.mcap")
        data = bytearray(complete.read_bytes())
        middle = len(data) // 2
        data[middle : middle + 2_000_000] = b"\xff" * 2_000_000
        damaged, out = tmp_path / "damaged.mcap", tmp_path / "out.mcap"
        damaged.write_bytes(data)
        counts = summary(damaged, "--out", out)
        assert 0 < counts["chunks"] == len(read(out, CHUNK)) < summary(bags())["chunks"]
        assert counts["damage"].startswith("Expected")
        outcome = replay(damaged, "--strict")
        assert outcome.status == 1 and errors(outcome) == [f"BAG_DATA: {counts['damage']}"]

    def test_a_damaged_database_of_a_split_bag_is_named_and_skipped(self, bags, replay, summary, tmp_path):
        (complete,) = bags().glob("*.mcap")
        (tmp_path / "split").mkdir()
        (tmp_path / "split" / complete.name).symlink_to(complete)
        damaged = tmp_path / "split" / "zz.db3"
        damaged.write_bytes(b"SQLite format 3\0" + bytes(5000))
        counts = summary(tmp_path / "split")
        assert counts["chunks"] == summary(bags())["chunks"]
        assert str(damaged) in counts["damage"] and "sqlite3 FILE .recover" in counts["damage"]
        outcome = replay(tmp_path / "split", "--strict")
        assert outcome.status == 1 and errors(outcome) == [f"BAG_DATA: {counts['damage']}"]

    @pytest.mark.parametrize("contents", [b"", b"this is no bag\n" * 100], ids=["empty", "foreign"])
    def test_a_file_that_is_not_a_bag_is_rejected_with_one_sentence(self, contents, replay, tmp_path):
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

    def test_never_overwrites_its_input(self, bags, replay):
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
