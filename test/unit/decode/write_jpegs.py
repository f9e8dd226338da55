"""Writes JPEG files of one image: tidy ones, ones with stray bytes or odd header fields, and ones that lack image data.

    write_jpegs.py OUT

OUT/KIND.jpg is tidy. OUT/KIND+NAME.jpg has the same image data. OUT/KIND-NAME.jpg lacks a part of it.
"""

import io
import struct
import sys
from pathlib import Path

import numpy as np
from PIL import Image

START, SCAN, END, TABLES = 0xD8, 0xDA, 0xD9, 0xC4


def picture(height=72, width=104):
    y, x = np.mgrid[0:height, 0:width]
    noise = np.random.default_rng(7).integers(0, 40, (height, width, 3))
    waves = np.stack([100 + 90 * np.sin(x / 9), 2 * x, 3 * y], -1)
    return np.clip(waves + noise, 0, 255).astype(np.uint8)


def encode(pixels, **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, 'JPEG', **options)
    return file.getvalue()


def is_restart(marker):
    return 0xD0 <= marker <= 0xD7


def markers(data):
    """Position and code of each marker after the start marker."""
    at = 2
    while True:
        marker = data[at + 1]
        yield at, marker
        if marker == END:
            return
        at += 2 if is_restart(marker) else 2 + struct.unpack_from('>H', data, at + 2)[0]
        if marker == SCAN or is_restart(marker):
            while data[at] != 0xFF or data[at + 1] == 0:
                at += 1


def insert(data, positions, stray):
    for at in sorted(positions, reverse=True):
        data = data[:at] + stray + data[at:]
    return data


def without_tables(data):
    for at, marker in reversed(list(markers(data))):
        if marker == TABLES:
            data = data[:at] + data[at + 2 + struct.unpack_from('>H', data, at + 2)[0] :]
    return data


def with_byte(data, at, value):
    return data[:at] + bytes([value]) + data[at + 1 :]


def main(out):
    pixels = picture()
    kinds = {
        'baseline': encode(pixels, quality=80),
        'full_chroma': encode(pixels, quality=92, subsampling=0),
        'restarts': encode(pixels, quality=80, restart_marker_rows=1),
        'many_restarts': encode(pixels, quality=80, restart_marker_blocks=2),
        'progressive': encode(pixels, quality=80, progressive=True),
        'grey': encode(pixels[..., 0], quality=80),
        'odd_size': encode(pixels[:67, :99], quality=85, progressive=True),
    }
    for kind, data in kinds.items():
        found = list(markers(data))
        places = {
            'restarts': [at for at, marker in found if is_restart(marker)],
            'headers': [at for at, marker in found if not is_restart(marker) and marker != END],
            'end': [at for at, marker in found if marker == END],
        }
        files = {'': data, '+zeros_after_the_end': data + bytes(500), '+zeros_before_the_end': insert(data, places['end'], bytes(500))}
        for stray in (b'\x00\x01\x02', b'\x80', b'\x11\xff\x00\x47', bytes(range(1, 40)), b'\xff\xff'):
            for place, positions in places.items():
                files[f'+{len(stray)}_bytes_{stray[0]}_before_{place}'] = insert(data, positions, stray)
        files['+jfif_version_9'] = with_byte(data, data.index(b'JFIF') + 5, 9)
        scan = next(at for at, marker in found if marker == SCAN)
        length = struct.unpack_from('>H', data, scan + 2)[0]
        if kind not in ('progressive', 'odd_size'):
            files['+empty_scan_fields'] = data[: scan + length - 1] + bytes(3) + data[scan + 2 + length :]
            bare = without_tables(data)
            files['+no_tables'] = bare
            files['+no_tables_and_stray_bytes'] = insert(bare, [at for at, _ in markers(bare)], b'\x03\x02\x01')
        for share in (0.2, 0.5, 0.8, 0.95):
            cut = data[: int(len(data) * share)]
            files[f'-cut_{share}'] = cut
            files[f'-cut_and_closed_{share}'] = cut + bytes([0xFF, END])
        files['-no_end'] = data[:-2]
        files['-100_bytes_before_end'] = insert(data, places['end'], bytes(range(100, 200)))
        if places['restarts']:
            files['-no_restart_marker'] = data[: places['restarts'][1]] + data[places['restarts'][1] + 2 :]
            first, second = places['restarts'][1:3]
            files['-no_interval'] = data[:first] + data[second:]
        for name, content in files.items():
            (out / f'{kind}{name}.jpg').write_bytes(content)


if __name__ == '__main__':
    main(Path(sys.argv[1]))
