import { access, readdir, readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { parse } from 'yaml';
import { Pi05Error } from '../../errors.js';

/** A directory that rosbag2 recorded: metadata.yaml and the files that it lists. */

export interface BagDirectory {
  /** Names of the files that exist, in the order of recording. */
  readonly files: readonly string[];
  /** The number of messages according to metadata.yaml. */
  readonly messages: number | undefined;
  /** One sentence about files that metadata.yaml lists and that are missing. */
  readonly damage: string | undefined;
  readonly notes: readonly string[];
  readonly types: TopicTypes;
}

/** Types by topic according to metadata.yaml. */
export type TopicTypes = ReadonlyMap<string, { readonly type: string; readonly encoding: string }>;

const BAG_NAME = /\.(mcap|db3)(\.zstd)?$/;

/** @throws Pi05Error BAG_FILE for a directory without files of a bag, and for a compression other than Zstandard. */
export async function readBagDirectory(directory: string): Promise<BagDirectory> {
  const present = (await readdir(directory)).filter((name) => BAG_NAME.test(name)).sort();
  const path = join(directory, 'metadata.yaml');
  const text = await readFile(path, 'utf8').catch(() => undefined);
  const metadata = text === undefined ? undefined : readMetadata(text);
  if (present.length === 0 && metadata === undefined) {
    throw new Pi05Error(
      'BAG_FILE',
      `Expected metadata.yaml, .mcap or .db3 files in the directory ${directory}, found none`,
      directory,
    );
  }
  if (metadata === undefined) {
    const reason = text === undefined ? 'has no metadata.yaml' : 'has a metadata.yaml that cannot be read';
    const note = `${directory} ${reason}; its ${present.length} .mcap and .db3 files are read`;
    return { files: present, messages: undefined, damage: undefined, notes: [note], types: new Map() };
  }
  const { compression, listed, messages, storage, types } = metadata;
  if (compression !== '' && compression !== 'zstd') {
    throw new Pi05Error('BAG_FILE', `Expected no compression or zstd in ${path}, received ${compression}`, path);
  }
  const files: string[] = [];
  const missing: string[] = [];
  for (const name of listed) {
    const found = await findFile(directory, name);
    if (found === undefined) missing.push(name);
    else files.push(found);
  }
  if (storage !== 'mcap' && storage !== 'sqlite3' && files.length > 0 && !files.some((name) => BAG_NAME.test(name))) {
    throw new Pi05Error('BAG_FILE', `Expected storage mcap or sqlite3 in ${path}, received ${storage}`, path);
  }
  const notes: string[] = [];
  const unlisted = present.filter((name) => !files.includes(name));
  if (files.length === 0) {
    if (unlisted.length === 0) {
      const content = `${listed.join(', ') || 'no file'} (storage ${storage})`;
      throw new Pi05Error(
        'BAG_FILE',
        `Expected the files of ${path} in its directory: it lists ${content}, and the directory has no bag file`,
        path,
      );
    }
    notes.push(`${path} lists only missing files; ${unlisted.join(', ')} is read instead`);
    return { files: unlisted, messages: undefined, damage: undefined, notes, types };
  }
  if (unlisted.length > 0) notes.push(`${path} does not list ${unlisted.join(', ')}, which is not read`);
  const damage =
    missing.length === 0 ? undefined : `Expected the files that ${path} lists, missing: ${missing.join(', ')}`;
  return { files, messages, damage, notes, types };
}

/** The types in the metadata.yaml next to a file, if it lists that file. */
export async function typesBeside(path: string): Promise<TopicTypes> {
  const text = await readFile(join(dirname(path), 'metadata.yaml'), 'utf8').catch(() => '');
  const metadata = readMetadata(text);
  return metadata?.listed.includes(basename(path)) === true ? metadata.types : new Map();
}

interface Metadata {
  readonly storage: string;
  readonly compression: string;
  /** File names, each once, without directories: early releases wrote paths relative to where they were started. */
  readonly listed: readonly string[];
  readonly messages: number | undefined;
  readonly types: TopicTypes;
}

/** @returns undefined where the text is not the metadata of a bag. */
function readMetadata(text: string): Metadata | undefined {
  try {
    const document = parse(text) as { rosbag2_bagfile_information?: Record<string, unknown> } | null;
    const information = document?.rosbag2_bagfile_information;
    const paths = information?.relative_file_paths;
    if (information === undefined || !Array.isArray(paths)) return undefined;
    const { storage_identifier: storage, compression_format: compression, message_count: messages } = information;
    return {
      storage: typeof storage === 'string' ? storage : 'unknown',
      compression: typeof compression === 'string' ? compression.toLowerCase() : '',
      listed: [...new Set(paths.map((path) => basename(String(path))))],
      messages: typeof messages === 'number' ? messages : undefined,
      types: readTypes(information.topics_with_message_count),
    };
  } catch {
    return undefined;
  }
}

function readTypes(topics: unknown): TopicTypes {
  const types = new Map<string, { type: string; encoding: string }>();
  for (const entry of Array.isArray(topics) ? (topics as unknown[]) : []) {
    const about = (entry as { topic_metadata?: Record<string, unknown> } | null)?.topic_metadata;
    const { name, type, serialization_format: encoding } = about ?? {};
    if (typeof name !== 'string' || typeof type !== 'string') continue;
    types.set(name, { type, encoding: typeof encoding === 'string' && encoding !== '' ? encoding : 'cdr' });
  }
  return types;
}

/** The file with the listed name, or the same file compressed or decompressed later. */
async function findFile(directory: string, name: string): Promise<string | undefined> {
  for (const candidate of [name, `${name}.zstd`, name.replace(/\.zstd$/, '')]) {
    const exists = await access(join(directory, candidate)).then(
      () => true,
      () => false,
    );
    if (exists) return candidate;
  }
  return undefined;
}
