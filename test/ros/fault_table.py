"""docs/faults.md: what was measured of each fault, and where the other codes are tested."""

import re

from harness import ROOT

PAGE = ROOT / "docs" / "faults.md"
COMMAND = ". .pi05/ros.env && .pi05/venv/bin/python -m pytest test/ros/test_faults.py --write"

REACTIONS = {
    (): "has not moved yet",
    ("step",): "executes its chunks",
    ("hold", "stop"): "holds at once; stop action after `schedule.engine_timeout`",
    ("step", "hold", "stop"): "executes the rest of the chunk, then holds; stop action after `schedule.engine_timeout`",
    ("step", "stop"): "executes the chunk; stop action when its joint states are older than `state.max_age`",
    ("stop",): "stop action",
    ("stop", "latch"): "stop action, latched",
}

HEADER = f"""# Faults: what the node does about each

A test over real DDS writes this page: `{COMMAND}`.
Without `--write` it fails where the page differs from what it measures. [errors.md](errors.md) has the cause and the remedy of each code, [safety.md](safety.md) every stop and how the robot moves again.

The node runs at 15 Hz of simulated time, so times are control ticks and do not depend on the speed of the machine. `schedule.replan_steps` is 1,
`state.max_age` 0.3 s, `cameras.<camera>.max_age` 0.25 s, `schedule.engine_timeout` 0.3 s and `sync.max_skew` 0.05 s. What the node finds by a clock
of its own is in real time.

- **Reported:** control ticks from the bad message, or from the last good one, to `/diagnostics` with the code. 0 = with the message, before the
  next tick.
- **Meanwhile:** what the robot does while the fault lasts.
- **Good again:** control ticks from the first good set of inputs after the fault to the stamp of the first chunk, which the robot then executes. 0 =
  the very first set: one inference.

| fault | code | reported | meanwhile the robot | good again |
|---|---|---|---|---|
"""

# The codes whose faults are not made of messages alone, with where each is tested.
ELSEWHERE = {
    "test/unit/pipeline/faults.test.ts": ("ENGINE_FAILED", "ENGINE_LATE", "DEVICE_LOST", "CHUNK_NOT_FINITE", "CHUNK_AGE_LIMIT", "PROMPT_CHANGING"),
    "test/unit/schedule/stops.test.ts": ("COMMAND_STARVED", "CHUNK_STALE", "FOLLOWING_ERROR"),
    "test/unit/schedule/safety.test.ts": ("COMMAND_JUMP",),
    "test/unit/guard/guard.test.ts": ("COMMAND_LIMIT",),
    "test/unit/guard/server.test.ts": ("GUARD_LINK",),
    "test/ros/test_robot_description.py": ("LIMITS_NONE",),
    "test/unit/pipeline/rtc.test.ts": ("RTC_DELAY",),
    "test/unit/pipeline/tool.test.ts": ("WORKSPACE",),
    "test/unit/ros/clock-ticker.test.ts": ("TICK_RATE",),
    "test/ros/test_safety.py": ("COMMAND_TIMEOUT", "POLICY_SILENT", "GUARD_LOST", "GUARD_CONFIG"),
    "test/ros/test_guard.py": ("POLICY_LOST", "GUARD_PAUSED", "LATCH_FILE"),
}


def codes():
    """All refusals and faults of src/errors.ts."""
    text = (ROOT / "src" / "errors.ts").read_text()
    lists = re.findall(r"export const (?:REFUSAL|FAULT)_CODES = \[(.*?)\]", text, re.DOTALL)
    return set(re.findall(r"'(\w+)'", "".join(lists)))


def cell(ticks, note):
    return f"{ticks}" + (f" ({note})" if note else "")


def line(row):
    """One row of the table."""
    fault = row.fault
    reported = cell(row.ticks, fault.age) if row.ticks or not fault.age else fault.age
    good = cell(row.recovery, f"after {fault.wait}" if fault.wait else "")
    return f"| {fault.name} | {fault.code} | {reported} | {REACTIONS[row.reaction]} | {good} |"


def page(rows):
    """The whole page."""
    elsewhere = "\n".join(f"| {', '.join(names)} | `{file}` |" for file, names in ELSEWHERE.items())
    return (
        HEADER
        + "\n".join(map(line, rows))
        + "\n\n## Tested elsewhere\n\nThese faults need another engine, robot or guard than a walk through messages has.\n\n"
        + f"| code | test |\n|---|---|\n{elsewhere}\n"
    )
