"""The native engine from Python: `Engine` runs `pi05_stream` (native/stream) and sends it requests.

Needs neither PyTorch nor Node.js nor ROS. Where the project's setup does not run, build the executable with
`cmake -S native -B build/native-only && cmake --build build/native-only --target pi05_stream`.
"""

import contextlib
import dataclasses
import os
import pathlib
import re
import struct
import subprocess
import tempfile
from collections.abc import Mapping, Sequence

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[1]
EXECUTABLES = (ROOT / "build" / "native" / "pi05_stream", ROOT / "build" / "native-only" / "pi05_stream")
"""Where the executable is searched, in this order."""

# native/stream/protocol.h
_GREETING = struct.Struct("<4s10i")
_HEADER = struct.Struct("<4sI7if")
_SIZE = struct.Struct("<2i")
_RESPONSE = struct.Struct("<f")
_NO_RTC, _GUIDED, _TRAINED = 0, 1, 2
_SCHEDULES = {"linear": 0, "exp": 1, "ones": 2, "zeros": 3}


class EngineError(Exception):
    """`CODE: sentence`; `code` is one of docs/errors.md."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(f"{code}: {sentence}")
        self.code = code


@dataclasses.dataclass(frozen=True)
class TrainedPrefix:
    """Real-time chunking by a known prefix: the first `delay` rows of `previous` are executed anyway.

    `previous`: float32 [1 … horizon, action_dim], normalised: the rest of the previous chunk, from the step of the
    observation on.
    """

    previous: np.ndarray
    delay: int


@dataclasses.dataclass(frozen=True)
class Guidance:
    """Real-time chunking by guidance towards `previous`, as in TrainedPrefix. The other members are those of `pi05_rtc`
    (native/include/pi05/pi05.h); `schedule`: linear, exp, ones or zeros."""

    previous: np.ndarray
    delay: int
    execution_horizon: int
    schedule: str = "exp"
    max_weight: float = 10.0


# How real-time chunking makes a new chunk agree with the previous one.
Prefix = TrainedPrefix | Guidance


@dataclasses.dataclass(frozen=True)
class EngineInfo:
    """What the checkpoint and the backend are; as in `pi05_info`."""

    backend: str  # "cpu" or "cuda"
    slots: int  # images of a request
    image_size: int  # pixels
    action_dim: int
    horizon: int
    flow_steps: int
    max_tokens: int
    vocab: int
    rtc_trained_max_delay: int  # steps; 0 = not trained for real-time chunking


class Engine:
    """One checkpoint in a process of its own. A context manager; not for several threads at once.

    `checkpoint`: directory. `backend`: "cpu", "cuda" or "auto". `threads`: of the CPU backend, 0 = one per core.
    `precision`: "bf16" or "fp8", of the CUDA backend.
    `executable`: `pi05_stream`; None searches EXECUTABLES. `environment`: added to the process's environment, such as
    {"PI05_CUDA_PRECISION": "fp32"}.

    Every call raises EngineError: ENVIRONMENT without the executable, INVALID_ARGUMENT for inputs of other shapes,
    types or values, and the codes of the engine. After an error of the process, the engine can only be closed.
    """

    def __init__(
        self,
        checkpoint: str | os.PathLike,
        backend: str = "cpu",
        threads: int = 0,
        executable: str | os.PathLike | None = None,
        environment: Mapping[str, str] | None = None,
        precision: str = "bf16",
    ) -> None:
        self.milliseconds = float("nan")
        """Duration of the last inference in the process, ms."""
        command = [str(executable or _find_executable()), "--checkpoint", str(checkpoint)]
        command += ["--backend", backend, "--precision", precision, "--threads", str(threads)]
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed by close())
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env={**os.environ, **(environment or {})},
            )
        except OSError as error:
            self._errors.close()
            raise EngineError("ENVIRONMENT", f"Expected an executable {command[0]}, received {error}") from error
        try:
            magic, version, backend_number, *sizes = _GREETING.unpack(self._read(_GREETING.size))
            if magic != b"PI05" or version != 1:
                raise EngineError("ENVIRONMENT", f"Expected version 1 of pi05_stream, received another in {command[0]}")
        except BaseException:
            self.close()
            raise
        self.info = EngineInfo({1: "cpu", 2: "cuda"}[backend_number], *sizes)

    def infer(
        self,
        images: Sequence[np.ndarray | None],
        tokens: Sequence[int] | np.ndarray,
        noise: np.ndarray,
        prefix: Prefix | None = None,
        steps: int = 0,
    ) -> np.ndarray:
        """One inference: normalised actions, float32 [horizon, action_dim].

        `images`: uint8 RGB [height, width, 3] of any size in slot order, None for a slot without a camera; missing ones
        at the end count as None. `tokens`: prompt token ids [1 … max_tokens] without padding. `noise`: standard normal
        [horizon, action_dim]. `steps`: flow steps, 0 = the checkpoint's number.
        """
        info = self.info
        if len(images) > info.slots:
            raise EngineError("INVALID_ARGUMENT", f"Expected at most {info.slots} images, received {len(images)}")
        body = [
            _array("tokens", tokens, np.int32, (None,)),
            _array("noise", noise, np.float32, (info.horizon, info.action_dim)),
        ]
        rtc = (_NO_RTC, 0, 0, 0, 0, 0.0)
        if prefix is not None:
            body.append(_array("prefix.previous", prefix.previous, np.float32, (None, info.action_dim)))
            rtc = _rtc_members(prefix, len(body[-1]))
        sizes = b""
        for slot in range(info.slots):
            image = images[slot] if slot < len(images) else None
            if image is None:
                sizes += _SIZE.pack(0, 0)
                continue
            body.append(_array(f"image {slot}", image, np.uint8, (None, None, 3)))
            height, width, _ = body[-1].shape
            sizes += _SIZE.pack(width, height)
        length = sum(array.nbytes for array in body)
        try:
            header = _HEADER.pack(b"REQ1", length, steps, len(body[0]), *rtc)
        except struct.error as error:
            raise EngineError(
                "INVALID_ARGUMENT", f"Expected 32-bit integers for a request, received {error}"
            ) from error
        self._write(header + sizes, *body)
        (self.milliseconds,) = _RESPONSE.unpack(self._read(_RESPONSE.size))
        values = self._read(4 * info.horizon * info.action_dim)
        return np.frombuffer(values, np.float32).reshape(info.horizon, info.action_dim).copy()

    def close(self) -> None:
        """Ends the process. May be called more than once."""
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.terminate()  # a forked process may still hold the other end of stdin
        self._process.stdout.close()
        self._process.wait()
        self._errors.close()

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _write(self, *parts: bytes | np.ndarray) -> None:
        try:
            for part in parts:
                self._process.stdin.write(part)
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            raise self._failure() from None

    def _read(self, count: int) -> bytes:
        received = self._process.stdout.read(count)
        if len(received) < count:
            raise self._failure()
        return received

    def _failure(self) -> EngineError:
        """The error that the process reported before it ended."""
        if self._errors.closed:
            return EngineError("ENGINE_FAILED", "Expected an open engine, received a closed one")
        status = self._process.wait()
        self._errors.seek(0)
        text = self._errors.read().decode(errors="replace").strip()
        found = re.search(r"^([A-Z_]+): (.*)", text, re.MULTILINE | re.DOTALL)
        if found:
            return EngineError(*found.groups())
        return EngineError("ENGINE_FAILED", f"Expected an answer of pi05_stream, received exit status {status} {text}")


def _find_executable() -> pathlib.Path:
    for path in EXECUTABLES:
        if path.exists():
            return path
    raise EngineError(
        "ENVIRONMENT",
        f"Expected pi05_stream at {' or '.join(map(str, EXECUTABLES))}, found neither: run npm run build, or build the "
        "target pi05_stream with CMake",
    )


def _array(name: str, values: Sequence | np.ndarray, dtype: type, shape: tuple[int | None, ...]) -> np.ndarray:
    """The values as a contiguous array of `dtype`: uint8, int32 from any integers or float32 from any floats. A None in
    `shape` stands for any size."""
    array = np.asarray(values)
    accepted = {np.uint8: np.uint8, np.int32: np.integer, np.float32: np.floating}[dtype]
    fits = array.ndim == len(shape) and all(b in (None, a) for a, b in zip(array.shape, shape, strict=True))
    if not np.issubdtype(array.dtype, accepted) or not fits:
        expected = [("n" if size is None else size) for size in shape]
        raise EngineError(
            "INVALID_ARGUMENT",
            f"Expected {np.dtype(dtype)} {_text(expected)} for {name}, received {array.dtype} {_text(array.shape)}",
        )
    result = np.ascontiguousarray(array, dtype=dtype)
    if dtype is np.int32 and not np.array_equal(result, array):
        raise EngineError("INVALID_ARGUMENT", f"Expected 32-bit integers for {name}, received larger ones")
    return result


def _text(shape: Sequence) -> str:
    return "[" + ", ".join(map(str, shape)) + "]"


def _rtc_members(prefix: Prefix, rows: int) -> tuple[int, int, int, int, int, float]:
    """Those of the request header: mode, schedule, rows of the previous chunk, delay, horizon, largest weight."""
    if isinstance(prefix, TrainedPrefix):
        return _TRAINED, 0, rows, prefix.delay, 0, 0.0
    if prefix.schedule not in _SCHEDULES:
        expected = ", ".join(_SCHEDULES)
        raise EngineError("INVALID_ARGUMENT", f"Expected {expected} for prefix.schedule, received {prefix.schedule}")
    return _GUIDED, _SCHEDULES[prefix.schedule], rows, prefix.delay, prefix.execution_horizon, prefix.max_weight
