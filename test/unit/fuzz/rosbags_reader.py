"""Reads messages with the rosbags package and prints what is in them: a third reader for the CDR fuzzer.

Reads lines `TYPE HEX` from the file that is named; prints one line of JSON for each: the fields in their order, floats as the hex of
their bytes, strings as UTF-8; or null where rosbags does not read it.
"""

import json
import struct
import sys
from pathlib import Path

import numpy as np
from rosbags.typesys import Stores, get_typestore

STORE = get_typestore(Stores.ROS2_JAZZY)


def plain(value):
    if isinstance(value, np.ndarray):
        return [plain(item) for item in value.tolist()]
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return struct.pack(">d", value).hex()
    if isinstance(value, str | int):
        return value
    return {name: plain(getattr(value, name)) for name in value.__dataclass_fields__ if name != "__msgtype__"}


for line in Path(sys.argv[1]).read_text().splitlines():
    kind, data = line.split()
    try:
        print(json.dumps(plain(STORE.deserialize_cdr(bytes.fromhex(data), kind))))
    except Exception as error:  # noqa: BLE001
        print(json.dumps(None), type(error).__name__, file=sys.stderr)
        print("null")
