"""The noise of the simulator's Python policies is that of the node."""

import subprocess
import sys

import numpy as np
from harness import ROOT

sys.path.insert(0, str(ROOT))
from sim.noise import noise, philox4x32

SCRIPT = """
import { noise } from './dist/policy/noise.js';
const cases = JSON.parse(process.argv[1]);
const values = cases.flatMap(([seed, stamp, count]) => [...noise(BigInt(seed), BigInt(stamp), count)]);
process.stdout.write(Buffer.from(Float32Array.from(values).buffer));
"""


def test_philox_gives_the_known_answers_of_random123():
    assert philox4x32(np.zeros((1, 4), np.uint32), (0, 0)).tolist() == [[0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]]
    pi = np.array([[0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344]], np.uint32)
    expected = [[0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1]]
    assert philox4x32(pi, (0xA4093822, 0x299F31D0)).tolist() == expected


def test_noise_has_the_values_of_the_node():
    cases = [(k * k, 20_000_000_000 * k + 66_666_667, 480) for k in range(50)] + [(2**63 + 5, 2**62 + 3, 7)]
    argument = str([[str(seed), str(stamp), count] for seed, stamp, count in cases]).replace("'", '"')
    command = ["node", "--input-type=module", "-e", SCRIPT, argument]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    expected = np.concatenate([noise(*case) for case in cases])
    np.testing.assert_array_equal(np.frombuffer(output, np.float32), expected)
