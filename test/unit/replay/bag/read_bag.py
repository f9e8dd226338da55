"""Prints what the rosbags package reads from one bag file, as JSON.

Usage: read_bag.py FILE
"""

import json
import sys
from pathlib import Path

import numpy as np
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_types_from_msg, get_typestore


def plain(value):
    """A message as plain data."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, list):
        return [plain(item) for item in value]
    if hasattr(value, '__dataclass_fields__'):
        return {name: plain(getattr(value, name)) for name in value.__dataclass_fields__ if name != '__msgtype__'}
    return value


def digest(definition, kind):
    """RIHS01 of a type, worked out from nothing but the definition in the bag."""
    store = get_typestore(Stores.EMPTY)
    store.register(get_types_from_msg(definition, kind))
    return store.hash_rihs01(kind)


def main(path):
    jazzy = get_typestore(Stores.ROS2_JAZZY)
    with Reader(path) as reader:
        topics = {
            connection.topic: {
                'type': connection.msgtype,
                'count': connection.msgcount,
                'encoding': connection.ext.serialization_format,
                'definition': connection.msgdef.data,
                'same': digest(connection.msgdef.data, connection.msgtype) == jazzy.hash_rihs01(connection.msgtype),
            }
            for connection in reader.connections
        }
    with AnyReader([path]) as reader:
        messages = [
            [connection.topic, str(time), plain(reader.deserialize(data, connection.msgtype))]
            for connection, time, data in reader.messages()
        ]
    print(json.dumps({'topics': topics, 'messages': messages}))


if __name__ == '__main__':
    main(Path(sys.argv[1]))
