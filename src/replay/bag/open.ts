import { open, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { MCAP_MAGIC, type DecompressHandlers } from '@mcap/core';
import { Pi05Error } from '../../errors.js';
import { readAt } from './file.js';
import { McapFile } from './mcap.js';
import { readBagDirectory, type TopicTypes, typesBeside } from './metadata.js';
import { openSqlite } from './sqlite.js';
import { type BagFile, UnreadableFile } from './storage.js';
import { decompressFile, isZstandard } from './zstd.js';

/** The opened files of a bag. */
export interface OpenFiles {
  readonly files: readonly BagFile[];
  /** One sentence about missing files. */
  readonly damage: string | undefined;
  readonly notes: readonly string[];
  /** From metadata.yaml. */
  readonly types: TopicTypes;
}

/** @throws Pi05Error BAG_FILE. */
export async function openFiles(path: string, decompressors: DecompressHandlers): Promise<OpenFiles> {
  try {
    const isDirectory = (await stat(path)).isDirectory();
    if (!isDirectory) {
      const file = await openFile(path, decompressors);
      return { files: [file], damage: undefined, notes: [], types: await typesBeside(path) };
    }
    return await openDirectory(path, decompressors);
  } catch (error) {
    if (error instanceof Pi05Error) throw error;
    const reason = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'it does not exist' : (error as Error).message;
    throw new Pi05Error('BAG_FILE', `Expected a bag at ${path}: ${reason}`, path);
  }
}

async function openDirectory(directory: string, decompressors: DecompressHandlers): Promise<OpenFiles> {
  const { files: names, messages, damage, notes, types } = await readBagDirectory(directory);
  const files: BagFile[] = [];
  const errors: Pi05Error[] = [];
  try {
    for (const name of names) {
      files.push(
        await openFile(join(directory, name), decompressors, (error) => {
          errors.push(error);
          return new UnreadableFile(`${error.message}: none of its messages is read`);
        }),
      );
    }
    // Where no file is readable, the first error says more than a list of all.
    if (errors.length === files.length && errors[0] !== undefined) throw errors[0];
  } catch (error) {
    await Promise.all(files.map((file) => file.close()));
    throw error;
  }
  const counted = files.flatMap((file) => [...file.topics.values()]).reduce((sum, { count }) => sum + count, 0);
  const isComplete = damage === undefined && files.every((file) => file.damage === undefined);
  const disagrees = isComplete && messages !== undefined && messages !== counted;
  const note = `${join(directory, 'metadata.yaml')} lists ${messages} messages, the files hold ${counted}`;
  return { files, damage, notes: disagrees ? [...notes, note] : notes, types };
}

/**
 * Opens one file, after decompressing it where it ends in .zstd. If that is incomplete, the file's reader reports it.
 * @param replace gives what is opened instead of a damaged file; without it the error is thrown.
 */
async function openFile(
  path: string,
  decompressors: DecompressHandlers,
  replace?: (error: Pi05Error) => BagFile,
): Promise<BagFile> {
  const replaced = (error: unknown): BagFile => {
    if (replace === undefined || !(error instanceof Pi05Error)) throw error;
    return replace(error as Pi05Error);
  };
  // Opening a pipe would block until it has a writer.
  if (!(await stat(path)).isFile()) {
    return replaced(new Pi05Error('BAG_FILE', `Expected a regular file at ${path}`, path));
  }
  const handle = await open(path, 'r');
  try {
    if (!isZstandard(await firstBytes(handle))) {
      return await openStorage(handle, path, path, decompressors).catch(replaced);
    }
    const decompressed = await decompressFile(handle, path);
    try {
      const link = `/proc/self/fd/${decompressed.fd}`;
      return await openStorage(decompressed, link, path, decompressors).catch(replaced);
    } finally {
      await decompressed.close();
    }
  } finally {
    await handle.close();
  }
}

/** Opens a file by the format of its first bytes. @param path of the same bytes as `handle`. @param name of the file for error sentences. */
async function openStorage(
  handle: FileHandle,
  path: string,
  name: string,
  decompressors: DecompressHandlers,
): Promise<BagFile> {
  const head = Buffer.from(await firstBytes(handle));
  if (head.subarray(0, MCAP_MAGIC.length).equals(Uint8Array.from(MCAP_MAGIC))) {
    return McapFile.open(path, name, decompressors);
  }
  const text = head.toString('latin1');
  if (text === 'SQLite format 3\0') return openSqlite(path, name);
  let received = 'a file of another format';
  if (head.byteLength < 16) received = head.byteLength === 0 ? 'an empty file' : `a file of ${head.byteLength} bytes`;
  if (text.startsWith('#ROSBAG V')) received = 'a bag of ROS 1, which rosbags-convert can convert';
  throw new Pi05Error('BAG_FILE', `Expected an MCAP or SQLite file of ROS 2 in ${name}, received ${received}`, name);
}

function firstBytes(handle: FileHandle): Promise<Uint8Array> {
  return readAt(handle, new Uint8Array(16), 0);
}
