"""The native engine from Python (training/engine.py) computes what `pi05 infer` computes; every error has a code."""

import json
import pathlib
import struct
import subprocess
import sys

import numpy as np
import pytest

from training.engine import Engine, EngineError, Guidance, TrainedPrefix

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHECKPOINT = ROOT / "test" / "fixtures" / "pi05" / "tiny-openpi"
CASE = CHECKPOINT / "case_two_cameras_short_prompt.safetensors"
TYPES = {"F32": np.float32, "I32": np.int32, "U8": np.uint8}


def read_safetensors(path: pathlib.Path) -> dict[str, np.ndarray]:
    data = path.read_bytes()
    start = 8 + struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        first, end = entry["data_offsets"]
        values = np.frombuffer(data[start + first : start + end], TYPES[entry["dtype"]])
        tensors[name] = values.reshape(entry["shape"])
    return tensors


def write_safetensors(path: pathlib.Path, tensors: dict[str, np.ndarray]) -> None:
    header, blob = {}, b""
    names = {np.dtype(dtype): name for name, dtype in TYPES.items()}
    for name, values in tensors.items():
        end = len(blob) + values.nbytes
        header[name] = {"dtype": names[values.dtype], "shape": values.shape, "data_offsets": [len(blob), end]}
        blob += values.tobytes()
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + blob)


@pytest.fixture(scope="module")
def case() -> dict[str, np.ndarray]:
    return read_safetensors(CASE)


@pytest.fixture
def engine():
    with Engine(CHECKPOINT, threads=1) as engine:
        yield engine


def inputs(case: dict[str, np.ndarray]) -> tuple[list[np.ndarray | None], np.ndarray, np.ndarray]:
    images = [case[f"image_{slot}"] if used else None for slot, used in enumerate(case["image_mask"])]
    return images, case["tokens"], case["noise"]


def node_infer(tmp_path: pathlib.Path, tensors: dict[str, np.ndarray], *options: str) -> np.ndarray:
    """The actions of `pi05 infer`."""
    used = ("image_0", "image_1", "image_2", "image_mask", "tokens", "noise", "prev_chunk")
    write_safetensors(tmp_path / "case.safetensors", {name: tensors[name] for name in used if name in tensors})
    out = tmp_path / "out.safetensors"
    command = [ROOT / "bin" / "pi05", "infer", "--checkpoint", CHECKPOINT, "--case", tmp_path / "case.safetensors"]
    subprocess.run([*command, "--out", out, "--backend", "cpu", *options], check=True, capture_output=True, timeout=240)
    return read_safetensors(out)["actions"]


def test_gives_the_bits_of_pi05_infer(engine, case, tmp_path):
    actions = engine.infer(*inputs(case))
    assert actions.dtype == np.float32
    assert np.array_equal(actions, node_infer(tmp_path, case))
    assert engine.milliseconds > 0


def test_gives_the_bits_of_pi05_infer_with_each_kind_of_real_time_chunking(engine, case, tmp_path):
    previous = case["noise"][::-1][:6]
    tensors = {**case, "prev_chunk": np.ascontiguousarray(previous)}
    trained = engine.infer(*inputs(case), prefix=TrainedPrefix(previous, delay=3), steps=4)
    assert np.array_equal(
        trained, node_infer(tmp_path, tensors, "--steps", "4", "--rtc", "trained", "--rtc-delay", "3")
    )
    guided = engine.infer(*inputs(case), prefix=Guidance(previous, 2, 5, schedule="linear", max_weight=4))
    options = ["--rtc", "guided", "--rtc-delay", "2", "--rtc-schedule", "linear", "--rtc-horizon", "5"]
    assert np.array_equal(guided, node_infer(tmp_path, tensors, *options, "--rtc-max-weight", "4"))
    assert not np.array_equal(trained, guided)


def test_knows_the_checkpoint(engine):
    info = engine.info
    model = json.loads((CHECKPOINT / "pi05_model.json").read_text())
    assert (info.backend, info.horizon, info.action_dim) == ("cpu", model["action"]["horizon"], model["action"]["dim"])
    assert (info.vocab, info.max_tokens) == (model["prefix"]["vocab"], model["max_token_len"])
    assert (info.slots, info.flow_steps, info.rtc_trained_max_delay) == (3, model["num_steps"], 0)


def test_accepts_fewer_images_than_slots_and_tokens_as_a_list(engine, case):
    images, tokens, noise = inputs(case)
    assert images[2] is None
    expected = engine.infer(images, tokens, noise)
    assert np.array_equal(engine.infer(images[:2], tokens.tolist(), noise.astype(np.float64)), expected)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"images": [np.zeros((4, 5, 3), np.float32)]}, r"uint8 \[n, n, 3\] for image 0, received float32 \[4, 5, 3\]"),
        ({"images": [np.zeros((4, 5), np.uint8)]}, r"for image 0, received uint8 \[4, 5\]"),
        ({"images": [None] * 4}, "at most 3 images, received 4"),
        ({"tokens": [1.5]}, r"int32 \[n\] for tokens, received float64 \[1\]"),
        ({"tokens": [1 << 40]}, "32-bit integers for tokens"),
        ({"noise": np.zeros((9, 32))}, r"float32 \[10, 32\] for noise, received float64 \[9, 32\]"),
        ({"prefix": TrainedPrefix(np.zeros((3, 8)), 1)}, r"float32 \[n, 32\] for prefix.previous"),
        ({"prefix": Guidance(np.zeros((3, 32)), 1, 3, schedule="cosine")}, "for prefix.schedule, received cosine"),
        ({"steps": 1 << 40}, "32-bit integers for a request"),
    ],
)
def test_inputs_that_do_not_fit_are_refused_and_the_engine_stays_usable(engine, case, change, sentence):
    images, tokens, noise = inputs(case)
    arguments = {"images": images, "tokens": tokens, "noise": noise}
    with pytest.raises(EngineError, match=sentence) as refusal:
        engine.infer(**{**arguments, **change})
    assert refusal.value.code == "INVALID_ARGUMENT"
    assert engine.infer(**arguments).shape == (10, 32)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"images": [None, None]}, "an image in at least one of 3 slots"),
        ({"images": [np.zeros((0, 5, 3), np.uint8)]}, "received 5x0"),
        ({"tokens": np.zeros(0, np.int32)}, "1 to 48 prompt tokens, received 0"),
        ({"tokens": [512]}, "token ids from 0 to 511, received 512"),
        ({"noise": np.full((10, 32), np.nan, np.float32)}, "finite values for noise"),
        ({"prefix": TrainedPrefix(np.zeros((3, 32)), 4)}, "a delay from 0 to 3, received 4"),
        ({"prefix": TrainedPrefix(np.zeros((0, 32)), 0)}, "1 to 10 rows of the previous chunk, received 0"),
        ({"steps": 101}, "1 to 100 flow steps, received 101"),
    ],
)
def test_values_that_the_engine_refuses_end_its_process_with_its_sentence(engine, case, change, sentence):
    images, tokens, noise = inputs(case)
    arguments = {"images": images, "tokens": tokens, "noise": noise}
    for _ in range(2):  # the second call meets a process that has ended
        with pytest.raises(EngineError, match=sentence) as refusal:
            engine.infer(**{**arguments, **change})
        assert refusal.value.code == "INVALID_ARGUMENT"


def test_a_closed_engine_and_a_killed_process_are_errors(case):
    engine = Engine(CHECKPOINT, threads=1)
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match="ENGINE_FAILED: Expected an open engine"):
        engine.infer(*inputs(case))
    with Engine(CHECKPOINT, threads=1) as engine:
        engine._process.kill()
        with pytest.raises(EngineError, match="received exit status -9"):
            engine.infer(*inputs(case))


def test_an_engine_that_cannot_start_reports_why(tmp_path):
    def code(*arguments, **options) -> str:
        with pytest.raises(EngineError) as refusal:
            Engine(*arguments, **options)
        return refusal.value.code

    assert code(tmp_path) == "CHECKPOINT_MISSING"
    assert code(CHECKPOINT, backend="tpu") == "USAGE"
    assert code(CHECKPOINT, executable=tmp_path / "none") == "ENVIRONMENT"
    assert code(CHECKPOINT, executable=sys.executable) == "ENGINE_FAILED"


def test_a_forked_process_does_not_keep_the_engine_open(case):
    script = """
import os, sys, time
from training.engine import Engine
engine = Engine(sys.argv[1], threads=1)
child = os.fork()
if child == 0:
    time.sleep(60)
engine.close()
os.kill(child, 9)
"""
    subprocess.run([sys.executable, "-c", script, CHECKPOINT], cwd=ROOT, check=True, timeout=240)
