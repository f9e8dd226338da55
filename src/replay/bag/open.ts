import { open, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { MCAP_MAGIC, type DecompressHandlers } from '@mcap/core';
import { Pi05Error } from '../../errors.js';
import { readAt } from './file.js';
import { McapFile } from './mcap.js';
import { readFolder } from './metadata.js';
import { openSqlite } from './sqlite.js';
import type { BagFile } from './storage.js';
import { decompressFile, isZstandard } from './zstd.js';

/** What a path leads to. */
export interface OpenFiles {
  readonly files: readonly BagFile[];
  /** Files that are missing. */
  readonly damage: string | undefined;
  readonly notes: readonly string[];
}

/** @throws Pi05Error BAG_FILE. */
export async function openFiles(path: string, decompressors: DecompressHandlers): Promise<OpenFiles> {
  try {
    const isFolder = (await stat(path)).isDirectory();
    if (!isFolder) return { files: [await openFile(path, decompressors)], damage: undefined, notes: [] };
    return await openFolder(path, decompressors);
  } catch (error) {
    if (error instanceof Pi05Error) throw error;
    const reason = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'there is none' : (error as Error).message;
    throw new Pi05Error('BAG_FILE', `Expected a bag at ${path}: ${reason}`, path);
  }
}

async function openFolder(folder: string, decompressors: DecompressHandlers): Promise<OpenFiles> {
  const { files: names, messages, damage, notes } = await readFolder(folder);
  const files: BagFile[] = [];
  try {
    for (const name of names) files.push(await openFile(join(folder, name), decompressors));
  } catch (error) {
    await Promise.all(files.map((file) => file.close()));
    throw error;
  }
  const counted = files.flatMap((file) => [...file.topics.values()]).reduce((sum, { count }) => sum + count, 0);
  const isWhole = damage === undefined && files.every((file) => file.damage === undefined);
  const disagrees = isWhole && messages !== undefined && messages !== counted;
  const note = `${join(folder, 'metadata.yaml')} counts ${messages} messages, the files hold ${counted}`;
  return { files, damage, notes: disagrees ? [...notes, note] : notes };
}

/** One file, decompressed first where all of it is compressed; what is then cut is for its own reader to tell. */
async function openFile(path: string, decompressors: DecompressHandlers): Promise<BagFile> {
  // Opening a pipe would wait for its writer.
  if (!(await stat(path)).isFile()) throw new Pi05Error('BAG_FILE', `Expected a regular file at ${path}`, path);
  const handle = await open(path, 'r');
  try {
    if (!isZstandard(await beginning(handle))) return await openStorage(handle, path, path, decompressors);
    const whole = await decompressFile(handle, path);
    try {
      return await openStorage(whole, `/proc/self/fd/${whole.fd}`, path, decompressors);
    } finally {
      await whole.close();
    }
  } finally {
    await handle.close();
  }
}

/** By what its first bytes say. @param path that leads to the bytes of `handle`. @param name how errors call it. */
async function openStorage(
  handle: FileHandle,
  path: string,
  name: string,
  decompressors: DecompressHandlers,
): Promise<BagFile> {
  const head = Buffer.from(await beginning(handle));
  if (head.subarray(0, MCAP_MAGIC.length).equals(Uint8Array.from(MCAP_MAGIC))) {
    return McapFile.open(path, name, decompressors);
  }
  const text = head.toString('latin1');
  if (text === 'SQLite format 3\0') return openSqlite(path, name);
  let received = 'another kind of file';
  if (head.byteLength < 16) received = head.byteLength === 0 ? 'an empty one' : `one of ${head.byteLength} bytes`;
  if (text.startsWith('#ROSBAG V')) received = 'a bag of ROS 1, which rosbags-convert can convert';
  throw new Pi05Error('BAG_FILE', `Expected an MCAP or SQLite file of ROS 2 in ${name}, received ${received}`, name);
}

function beginning(handle: FileHandle): Promise<Uint8Array> {
  return readAt(handle, new Uint8Array(16), 0);
}
