"""Writes small bags into a directory with the rosbags package: NAME.mcap and NAME.db3, plain and compressed.

Usage: write_small_bags.py DIRECTORY
"""

import shutil
import sys
from pathlib import Path

from rosbags.rosbag2 import Writer
from rosbags.rosbag2.enums import CompressionFormat, CompressionMode, StoragePlugin
from rosbags.typesys import Stores, get_typestore

STORE = get_typestore(Stores.ROS2_JAZZY)
STRING = "std_msgs/msg/String"
BOOL = "std_msgs/msg/Bool"


def write(root, name, plugin, mode):
    bag = root / f"bag_{name}"
    writer = Writer(bag, version=9, storage_plugin=plugin)
    if mode is not CompressionMode.NONE:
        writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        prompt = writer.add_connection("prompt", STRING, typestore=STORE)
        stop = writer.add_connection("stop", BOOL, typestore=STORE)
        for index in range(30):
            text = STORE.serialize_cdr(STORE.types[STRING](f"prompt {index} " * 4), STRING)
            writer.write(prompt, 1000 + 10 * index, text)
            writer.write(stop, 1005 + 10 * index, STORE.serialize_cdr(STORE.types[BOOL](index % 2 == 0), BOOL))
    for file in bag.iterdir():
        if file.name != "metadata.yaml":
            file.rename(root / f"{name}{''.join(file.suffixes)}")
    shutil.rmtree(bag)


for plugin in StoragePlugin:
    for mode in CompressionMode:
        if mode is not CompressionMode.STORAGE or plugin is StoragePlugin.MCAP:
            write(Path(sys.argv[1]), f"{plugin.name.lower()}_{mode.name.lower()}", plugin, mode)
