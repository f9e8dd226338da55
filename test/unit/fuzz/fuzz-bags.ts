import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openBag } from '../../../src/replay/bag/bag.js';
import { BagWriter } from '../../../src/replay/bag/writer.js';
import { packageRoot } from '../root.js';
import { type Findings, noFindings, recordError } from './findings.js';
import { mutateBytes } from './mutate.js';
import { Random } from './random.js';

const SENTENCE = /^Expected [^\n]+$/;
/** ms for one bag of 60 messages, on a busy machine. */
const HANGS = 30_000;
const MCAP_MAGIC = 8;
const LENGTHS = [0n, 1n, 8n, 0xffffn, 2n ** 31n, 2n ** 32n - 1n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n];

interface Sample {
  readonly name: string;
  readonly bytes: Buffer;
  /** Offsets of the records of an MCAP file. */
  readonly records: readonly number[];
  /** What is in it, where checksums cover all of it. */
  readonly written: ReadonlySet<string> | undefined;
}

/**
 * Changes bags (MCAP, SQLite, both compressed with Zstandard) in their records, lengths and bytes, and reads them. Wrong are: an
 * exception without a code, messages that are not in the order of time, a read that does not end, and a message that was not written
 * where checksums cover it.
 */
export async function fuzzBags(count: number, seed: number): Promise<Findings> {
  const directory = mkdtempSync(join(tmpdir(), 'pi05-fuzz-bags-'));
  try {
    const samples = await writeSamples(directory);
    const random = new Random(seed);
    const findings = noFindings();
    for (; findings.count < count; findings.count++) {
      const sample = random.of(samples);
      const bytes = mutateBag(sample, random);
      const path = join(directory, 'changed');
      writeFileSync(path, bytes);
      const start = performance.now();
      const report = (what: string): void => {
        findings.wrong.push(`${sample.name}, case ${findings.count}, seed ${seed}: ${what}`);
      };
      try {
        const wrong = await contradiction(path, sample);
        if (wrong !== undefined) report(wrong);
        findings.accepted++;
      } catch (error) {
        recordError(findings, error, report, (message) => SENTENCE.test(message));
      }
      if (performance.now() - start > HANGS) report('took too long');
    }
    return findings;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

async function writeSamples(directory: string): Promise<Sample[]> {
  const python = join(packageRoot, '.pi05', 'venv', 'bin', 'python');
  execFileSync(python, [join(packageRoot, 'test', 'unit', 'fuzz', 'write_small_bags.py'), directory]);
  const path = join(directory, 'own.mcap');
  const writer = await BagWriter.create(path);
  for (let i = 0; i < 60; i++) {
    const topic = ['prompt', 'stop', 'joints'][i % 3]!;
    await writer.write(topic, 'std_msgs/msg/String', BigInt(1000 + i), Buffer.alloc(40, i));
  }
  await writer.close();
  const names = readdirSync(directory).sort(); // a seed gives the same cases on every file system
  return Promise.all(
    names.map(async (name) => {
      const bytes = readFileSync(join(directory, name));
      const written = name === 'own.mcap' ? new Set((await readMessages(join(directory, name))).keys) : undefined;
      return { name, bytes, records: name.endsWith('.mcap') ? recordsOf(bytes) : [], written };
    }),
  );
}

function recordsOf(bytes: Buffer): number[] {
  const offsets: number[] = [];
  let at = MCAP_MAGIC;
  while (at + 9 <= bytes.length - MCAP_MAGIC) {
    offsets.push(at);
    at += 9 + Number(bytes.readBigUInt64LE(at + 1));
  }
  return offsets;
}

function mutateBag({ bytes, records }: Sample, random: Random): Uint8Array {
  if (records.length === 0 || random.below(2) === 0) return mutateBytes(bytes, random);
  const changed = Buffer.from(bytes);
  const at = random.of(records);
  const end = at + 9 + Number(bytes.readBigUInt64LE(at + 1));
  switch (random.below(5)) {
    case 0:
      changed.writeBigUInt64LE(random.of(LENGTHS), at + 1);
      return changed;
    case 1:
      changed[at] = random.below(20);
      return changed;
    case 2:
      return Buffer.concat([changed.subarray(0, at), changed.subarray(end)]);
    case 3:
      return Buffer.concat([changed.subarray(0, end), changed.subarray(at)]);
    default: {
      // A number in the record: a size, an offset, a time or a checksum.
      const field = Math.min(at + 9 + random.below(Math.max(1, Math.min(64, end - at - 9))), changed.length - 8);
      changed.writeBigUInt64LE(random.of(LENGTHS), field);
      return changed;
    }
  }
}

/** What identifies each message, and whether the bag is reported as damaged: checksums do not cover a chunk that is cut off. */
async function readMessages(path: string): Promise<{ keys: string[]; isDamaged: boolean }> {
  const bag = await openBag(path);
  const keys: string[] = [];
  try {
    for await (const { topic, type, logTime, data } of bag.messages(new Set(bag.topics.keys())))
      keys.push(`${logTime} ${topic} ${type} ${Buffer.from(data).toString('hex')}`);
  } finally {
    await bag.close();
  }
  return { keys, isDamaged: bag.damage !== undefined };
}

/** What is wrong with what is read; undefined where nothing is. @throws what reading throws. */
async function contradiction(path: string, { written }: Sample): Promise<string | undefined> {
  const { keys, isDamaged } = await readMessages(path);
  const times = keys.map((key) => BigInt(key.split(' ', 1)[0]!));
  if (times.some((time, i) => i > 0 && time < times[i - 1]!)) return 'messages out of the order of time';
  const other = isDamaged ? undefined : written && keys.find((key) => !written.has(key));
  return other === undefined ? undefined : `a message that was not written: ${other}`;
}
