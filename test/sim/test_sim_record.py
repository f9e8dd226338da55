"""The recorder, with the arm in lock-step. This process acts as the policy node."""

import json
import struct
import threading

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from PIL import Image
from rclpy.qos import QoSProfile
from robot_process import ArmClient, RobotProcess, start
from std_msgs.msg import String
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from sim.episode_report import EpisodeReport
from sim.kinematics import JOINTS
from sim.topics import EPISODE_QOS

PERIOD = round(1e9 / 15)


class Policy(ArmClient):
    """An arm client that also publishes chunks and diagnostics, as the policy node does."""

    def __init__(self, namespace: str) -> None:
        super().__init__(namespace)
        self._chunks = self.node.create_publisher(JointTrajectory, "policy_node/chunk", 10)
        self._diagnostics = self.node.create_publisher(DiagnosticArray, "/diagnostics", QoSProfile(depth=10))
        self._episodes = self.node.create_publisher(String, "episode", EPISODE_QOS)

    def is_recorded(self) -> bool:
        """Whether the recorder has subscribed."""
        return self._chunks.get_subscription_count() > 0 and self._diagnostics.get_subscription_count() > 0

    def chunk(self) -> None:
        points = [JointTrajectoryPoint(velocities=[0.1] * 7) for _ in range(15)]
        self._chunks.publish(JointTrajectory(joint_names=list(JOINTS), points=points))

    def report(self, name: str = "/cell/policy_node: inputs", **values) -> None:
        pairs = [KeyValue(key=key.replace("__", "."), value=str(value)) for key, value in values.items()]
        self._diagnostics.publish(DiagnosticArray(status=[DiagnosticStatus(name=name, values=pairs)]))


    def report_episode(self, index: int, **values) -> None:
        report = EpisodeReport(index, 2, ("touch it", "wave")[index], 5, ("touch", None)[index], **values)
        self._episodes.publish(String(data=report.to_json()))


def record(tmp_path, *arguments: str):
    files = ("--out", str(tmp_path / "run.png"), "--json", str(tmp_path / "run.json"))
    return start("sim.record", *files, "--namespace", "/cell", *arguments)


def test_writes_a_summary_and_a_plot_of_a_run(tmp_path):
    with Policy("/cell") as policy, RobotProcess("--lockstep", "--namespace", "/cell") as robot:
        recorder = record(tmp_path, "--duration", "2")
        # Ticks continue until the recorder ends; every eighth has a chunk.
        lines: list[str] = []
        reader = threading.Thread(target=lambda: lines.extend(recorder.stdout))
        policy.wait_until(policy.is_recorded)
        reader.start()
        k = 0
        while reader.is_alive():
            k += 1
            policy.tick(k * PERIOD)
            if k % 8 == 1:
                policy.chunk()
            policy.report("/another: inputs", observations=999)
            policy.report(
                observations=k, refused__CAMERA_STALE=3, inference_ms_p50="11.5", inference_ms_p99="22.5", tick_lateness_ms_p99="0.7"
            )
            policy.command([0.2 if k % 16 < 8 else -0.2] + [0.0] * 6)
        reader.join()
        assert recorder.wait() == 0, recorder.stderr.read()
        assert robot.end()[0] == 0
    *progress, summary = map(json.loads, lines)
    assert summary == json.loads((tmp_path / "run.json").read_text())
    assert summary["duration"] == 2
    assert summary["refused"] == {"CAMERA_STALE": 3}
    assert (summary["inference_ms_p50"], summary["inference_ms_p99"], summary["tick_lateness_ms_p99"]) == (11.5, 22.5, 0.7)
    # 2 s at 15 Hz are 30 ticks and 4 chunks.
    assert 3 <= summary["chunks"] <= 5
    assert 28 <= summary["observations"] <= k
    assert summary["commands"] >= 28
    assert [line["t"] for line in progress if line["t"] > 0] == [1.0]
    png = (tmp_path / "run.png").read_bytes()
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", png[16:24]) == (1600, 1000)


def test_records_until_the_last_episode_of_the_arm_has_ended(tmp_path):
    # Ticks at which the two episodes begin and end.
    begins, ends = [3 * PERIOD, 21 * PERIOD], [15 * PERIOD, 36 * PERIOD]
    with Policy("/cell") as policy, RobotProcess("--lockstep", "--namespace", "/cell") as robot:
        recorder = record(tmp_path, "--episodes", "--gif", str(tmp_path / "run.gif"))
        lines: list[str] = []
        reader = threading.Thread(target=lambda: lines.extend(recorder.stdout))
        policy.wait_until(policy.is_recorded)
        reader.start()
        k = 0
        while reader.is_alive():
            k += 1
            now = k * PERIOD
            policy.tick(now)
            if k % 8 == 4:
                policy.chunk()
            policy.report(observations=k)
            if now in begins:
                policy.report_episode(begins.index(now), begin=now)
            if now == ends[0]:
                policy.report_episode(0, begin=begins[0], end=now, success=True, reason="done")
            if now == ends[1]:
                policy.report_episode(1, begin=begins[1], end=now)
            policy.command([0.3 if k % 16 < 8 else -0.3] + [0.0] * 6)
        reader.join()
        assert recorder.wait() == 0, recorder.stderr.read()
        assert robot.end()[0] == 0
    *progress, summary = map(json.loads, lines)
    first, second = summary["episodes"]
    assert (first["prompt"], first["task"], first["success"], first["seed"]) == ("touch it", "touch", True, 5)
    assert (second["prompt"], second["task"], second["success"]) == ("wave", None, None)
    assert (first["begin"], first["seconds"], second["seconds"]) == pytest.approx((0, 12 / 15, 1), abs=1e-6)
    # Half a second follows the last episode.
    assert summary["duration"] == pytest.approx(33 / 15 + 0.5, abs=1e-6)
    reported = [line["episode"] for line in progress if "episode" in line]
    assert [(e["index"], e["seconds"] is None) for e in reported] == [(0, True), (0, False), (1, True), (1, False)]
    with Image.open(tmp_path / "run.gif") as gif:
        assert gif.n_frames > 8


def test_without_a_chunk_it_ends_with_the_last_refusal(tmp_path):
    with Policy("/cell") as policy, RobotProcess("--namespace", "/cell"):
        recorder = record(tmp_path, "--duration", "5", "--wait", "8")
        refusal = {
            "last_refusal__code": "CAMERA_MISSING",
            "last_refusal__message": "Expected an image on wrist_camera/image_raw, received none",
        }
        policy.node.create_timer(0.2, lambda: policy.report(observations=0, **refusal))
        policy.wait_until(lambda: recorder.poll() is not None)
        _, errors = recorder.communicate()
    assert recorder.returncode == 1
    assert errors.splitlines()[-1] == (
        "NO_CHUNK: Expected a chunk from policy_node, received none within 8 s: its last refusal was "
        "CAMERA_MISSING: Expected an image on wrist_camera/image_raw, received none"
    )
    assert not (tmp_path / "run.png").exists()


def test_without_an_arm_it_ends_with_one_sentence(tmp_path):
    recorder = record(tmp_path, "--duration", "5", "--wait", "1")
    _, errors = recorder.communicate(timeout=240)
    assert recorder.returncode == 1
    assert errors.splitlines()[-1] == "NO_CLOCK: Expected joint_states from an arm, received none within 1 s"


@pytest.mark.parametrize("arguments", [(), ("--duration", "0"), ("--duration", "soon"), ("--duration", "5", "--episodes")])
def test_wrong_usage_ends_with_status_2(tmp_path, arguments):
    recorder = record(tmp_path, *arguments)
    _, errors = recorder.communicate(timeout=240)
    assert recorder.returncode == 2
    assert "--duration" in errors
