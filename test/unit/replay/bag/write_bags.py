"""Writes bags of every kind into a folder with the rosbags package, and expected.json: what it says is in them.

Usage: write_bags.py FOLDER
"""

import hashlib
import json
import os
import shutil
import sqlite3
import struct
import sys
from pathlib import Path

import lz4.frame
import numpy as np
from backports import zstd
from rosbags.rosbag2 import Reader, Writer
from rosbags.rosbag2.enums import CompressionFormat, CompressionMode, StoragePlugin
from rosbags.typesys import Stores, get_typestore

STORE = get_typestore(Stores.ROS2_JAZZY)
IMAGE = 'sensor_msgs/msg/Image'
JOINTS = 'sensor_msgs/msg/JointState'
STRING = 'std_msgs/msg/String'
START = 1_700_000_000_000_000_000
MAGIC = b'\x89MCAP0\r\n'


def header(time):
    stamp = STORE.types['builtin_interfaces/msg/Time'](sec=time // 10**9, nanosec=time % 10**9)
    return STORE.types['std_msgs/msg/Header'](stamp=stamp, frame_id='frame')


def image(time, index):
    pixels = np.random.default_rng(index).integers(0, 8, 64 * 48 * 3, dtype=np.uint8)
    return STORE.types[IMAGE](header(time), 48, 64, 'rgb8', 0, 64 * 3, pixels)


def joints(time, index):
    values = np.arange(9, dtype=np.float64) + index
    names = [f'panda_joint{joint + 1}' for joint in range(9)]
    return STORE.types[JOINTS](header(time), names, values, values * 0.5, np.zeros(0))


def messages():
    """Topic, type, log time and CDR, nearly in the order of time as a recorder writes them."""
    found = []
    for index in range(240):
        time = START + index * 33_333_333
        found.append((time + 5, 'wrist_camera/image_raw', IMAGE, image(time, index)))
    for index in range(800):
        time = START + index * 10_000_001
        found.append((time + 3, 'joint_states', JOINTS, joints(time, index)))
    for index in range(7):
        text = STORE.types[STRING](data=f'pick up cube {index} ä' * index)
        found.append((START + index * 999_999_937 + 1, 'prompt', STRING, text))
    found.sort(key=lambda message: message[0] + hash_of(message[0]) % 40_000_000)
    return [(topic, kind, time, bytes(STORE.serialize_cdr(value, kind))) for time, topic, kind, value in found]


def hash_of(number):
    return int.from_bytes(hashlib.sha256(str(number).encode()).digest()[:4], 'little')


def write(folder, found, plugin, mode, version=9):
    with_mode = Writer(folder, version=version, storage_plugin=plugin)
    with_mode.set_compression(mode, CompressionFormat.ZSTD)
    with with_mode as writer:
        connections = {}
        for topic, kind, time, data in found:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=STORE)
            writer.write(connections[topic], time, data)


def read(folder):
    with Reader(folder) as reader:
        return [
            [connection.topic, connection.msgtype, str(time), hashlib.sha1(data).hexdigest()]
            for connection, time, data in reader.messages(reader.connections)
        ]


def split(root, name, plugin, mode, suffix):
    """Three bags in one folder, with the metadata that rosbag2 writes for a split bag; the files overlap in time."""
    found = messages()
    parts = [found[:300], found[300:700], found[700:]]
    folder = root / name
    folder.mkdir()
    for index, part in enumerate(parts):
        piece = root / f'{name}_part{index}'
        write(piece, part, plugin, mode)
        source = next(path for path in piece.iterdir() if path.name != 'metadata.yaml')
        shutil.move(source, folder / f'bag_{index}{suffix}')
        shutil.rmtree(piece)
    files = ''.join(f'    - bag_{index}{suffix}\n' for index in range(3))
    (folder / 'metadata.yaml').write_text(
        'rosbag2_bagfile_information:\n  version: 5\n  storage_identifier: '
        f'{"mcap" if ".mcap" in suffix else "sqlite3"}\n'
        f'  relative_file_paths:\n{files}  message_count: {len(found)}\n'
        f'  compression_format: {"zstd" if mode.name == "FILE" else ""!r}\n'
        f'  compression_mode: {"FILE" if mode.name == "FILE" else ""!r}\n'
    )


def records(data):
    """Opcode and content of each record."""
    offset = 0
    while offset < len(data):
        opcode, length = struct.unpack_from('<BQ', data, offset)
        yield opcode, data[offset + 9 : offset + 9 + length]
        offset += 9 + length


def record(opcode, content):
    return struct.pack('<BQ', opcode, len(content)) + content


def without_index(source, target, chunk):
    """The same messages in an MCAP file without message indexes and summary. chunk: how a chunk's records are written."""
    output = [MAGIC]
    for opcode, content in records(source.read_bytes()[8:-8]):
        if opcode == 0x06:
            name = struct.unpack_from('<I', content, 28)[0]
            assert name == 0
            output.append(chunk(content[:28], content[40:]))
        elif opcode == 0x01:
            output.append(record(opcode, content))
    output.append(record(0x0F, struct.pack('<I', 0)))
    output.append(record(0x02, struct.pack('<QQI', 0, 0, 0)))
    target.write_bytes(b''.join([*output, MAGIC]))


def compressed(name, compress):
    def chunk(head, content):
        packed = compress(content)
        return record(0x06, head + struct.pack('<I', len(name)) + name + struct.pack('<Q', len(packed)) + packed)

    return chunk


def with_late_starts(source, target):
    """Each chunk and its index entry say that the chunk begins 50 ms later."""
    data = bytearray(source.read_bytes())
    offset = 8
    while offset < len(data) - 8:
        opcode, length = struct.unpack_from('<BQ', data, offset)
        if opcode in (0x06, 0x08):
            (start,) = struct.unpack_from('<Q', data, offset + 9)
            struct.pack_into('<Q', data, offset + 9, start + 50_000_000)
        offset += 9 + length
    target.write_bytes(data)


def without_schemas(_, content):
    """The records of a chunk whose channels have schema 0."""
    output = []
    for opcode, fields in records(content):
        if opcode == 0x04:
            fields = fields[:2] + struct.pack('<H', 0) + fields[4:]
        if opcode != 0x03:
            output.append(record(opcode, fields))
    return b''.join(output)


def untyped_bag(root, source):
    """A bag of rosbag2 whose types only metadata.yaml has."""
    folder = root / 'no_schemas'
    folder.mkdir()
    shutil.copy(source.parent / 'metadata.yaml', folder)
    without_index(source, folder / source.name, lambda head, content: plain_chunk(head, without_schemas(head, content)))


def plain_chunk(head, content):
    head = head[:16] + struct.pack('<QI', len(content), 0)
    return record(0x06, head + struct.pack('<I', 0) + struct.pack('<Q', len(content)) + content)


def two_types(root):
    """A topic with messages of two types, and the rest of the messages, in either storage format."""
    found = messages()
    text = found[0][3]
    for plugin in StoragePlugin:
        with Writer(root / f'two_types_{plugin.name.lower()}', version=9, storage_plugin=plugin) as writer:
            connections = {}
            for topic, kind, time, data in [*found, ('tf', STRING, START, text), ('tf', JOINTS, START + 9, text)]:
                if (topic, kind) not in connections:
                    connections[topic, kind] = writer.add_connection(topic, kind, typestore=STORE)
                writer.write(connections[topic, kind], time, data)


def sqlite_variants(root, source):
    """Databases of earlier releases, without an index, in another serialisation, and with a log that was left behind."""
    for name, script in {
        'sqlite_foxy': 'DROP TABLE schema; DROP TABLE metadata; DROP TABLE message_definitions;'
        'ALTER TABLE topics DROP COLUMN offered_qos_profiles; ALTER TABLE topics DROP COLUMN type_description_hash;',
        'sqlite_no_index': 'DROP INDEX timestamp_idx;',
        'sqlite_ros1': "UPDATE topics SET serialization_format = 'ros1';",
        'sqlite_one_json': "UPDATE topics SET serialization_format = 'json' WHERE name = 'prompt';",
        'sqlite_two_types': "INSERT INTO topics SELECT 90, name, 'std_msgs/msg/Bool', serialization_format, "
        "offered_qos_profiles, type_description_hash FROM topics WHERE name = 'prompt';",
        'sqlite_no_messages': 'DELETE FROM messages;',
        'sqlite_foreign': 'DROP TABLE topics; DROP TABLE messages;',
        'sqlite_text': "UPDATE messages SET data = 'text' WHERE id = 500;",
    }.items():
        target = root / f'{name}.db3'
        shutil.copy(source, target)
        with sqlite3.connect(target) as database:
            database.executescript(script)
        database.close()
    target = root / 'sqlite_wal.db3'
    shutil.copy(source, target)
    pid = os.fork()
    if pid == 0:
        database = sqlite3.connect(target)
        database.execute('PRAGMA journal_mode = WAL')
        database.execute('DELETE FROM messages WHERE id > 1000')
        database.commit()
        os._exit(0)
    os.waitpid(pid, 0)
    assert target.with_name('sqlite_wal.db3-wal').stat().st_size > 0


def main(root):
    expected = {}
    for plugin in StoragePlugin:
        for mode in CompressionMode:
            if mode == CompressionMode.STORAGE and plugin == StoragePlugin.SQLITE3:
                continue
            name = f'{plugin.name.lower()}_{mode.name.lower()}'
            write(root / name, messages(), plugin, mode, 8 if mode == CompressionMode.MESSAGE else 9)
            if mode == CompressionMode.NONE:
                expected[name] = read(root / name)
    assert expected['mcap_none'] == expected['sqlite3_none']
    split(root, 'split_mcap', StoragePlugin.MCAP, CompressionMode.NONE, '.mcap')
    split(root, 'split_sqlite3_file', StoragePlugin.SQLITE3, CompressionMode.FILE, '.db3.zstd')
    plain = root / 'mcap_none' / 'mcap_none.mcap'
    without_index(plain, root / 'scan_plain.mcap', lambda _, content: content)
    without_index(plain, root / 'scan_lz4.mcap', compressed(b'lz4', lz4.frame.compress))
    without_index(plain, root / 'scan_zstd.mcap', compressed(b'zstd', zstd.compress))
    without_index(plain, root / 'scan_lzma.mcap', compressed(b'lzma', lambda content: content))
    without_index(plain, root / 'scan_empty.mcap', lambda _, __: b'')
    with_late_starts(plain, root / 'late_starts.mcap')
    without_index(root / 'late_starts.mcap', root / 'late_starts_scan.mcap', plain_chunk)
    untyped_bag(root, plain)
    two_types(root)
    content = plain.read_bytes()
    halves = [content[: len(content) // 2], content[len(content) // 2 :]]
    (root / 'two_frames.mcap.zstd').write_bytes(b''.join(map(zstd.compress, halves)))
    sqlite_variants(root, root / 'sqlite3_none' / 'sqlite3_none.db3')
    written = [str(time) for _, _, time, _ in messages()]
    (root / 'expected.json').write_text(json.dumps({'messages': expected['mcap_none'], 'written': written}))


if __name__ == '__main__':
    main(Path(sys.argv[1]))
