import { copyFile, mkdtemp, open, rm, stat, symlink, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import sqlite from 'node-sqlite3-wasm';
import { Pi05Error } from '../../errors.js';
import { readAt } from './file.js';
import { readSqliteHeader, Salvage, type SalvagedRow } from './sqlite_salvage.js';
import { addTopic, type BagFile, type BagMessage, type FileTopic } from './storage.js';

type Row = Record<string, unknown>;

/** Rows are read without waiting for anything; timers and signals get their turn in between. */
const ROWS_AT_ONCE = 32;

/** The topics of a bag by their ids in the table `messages`. */
type Topics = ReadonlyMap<number, { readonly topic: string; readonly type: string; readonly encoding: string }>;

/**
 * Opens one SQLite file of a bag. @param path that leads to its bytes. @param name how errors call it.
 * @throws Pi05Error BAG_FILE where it is no bag or too little of one, BAG_DATA where a topic has messages of two types.
 */
export async function openSqlite(path: string, name: string): Promise<BagFile> {
  const handle = await open(path, 'r');
  let database: sqlite.Database | undefined;
  try {
    const { size } = await handle.stat();
    const header = readSqliteHeader(await readAt(handle, new Uint8Array(100), 0));
    const expected = (header?.pages ?? 0) * (header?.pageSize ?? 0);
    let damage = size < expected ? `Expected ${expected} bytes in ${name}, received ${size}: it was cut` : undefined;
    database = await openDatabase(path);
    const topics = readTopics(database);
    if (damage === undefined) {
      try {
        const file = new SqliteFile(database, topics, name);
        await handle.close();
        return file;
      } catch (error) {
        damage = `Expected a whole database in ${name}, received a damaged one (${(error as Error).message})`;
      }
    }
    database.close();
    const salvage = new Salvage(handle, header!, size);
    return new SalvagedFile(handle, salvage, topics, await salvage.rows(), name, damage);
  } catch (error) {
    if (database?.isOpen === true) database.close();
    await handle.close();
    if (error instanceof Pi05Error) throw error;
    const problem = `Expected the tables of a ROS 2 bag in ${name}, received none: ${(error as Error).message}`;
    throw new Pi05Error('BAG_FILE', problem, name);
  }
}

/**
 * The library locks a database by a folder beside it, also for reading, and looks for a write-ahead log beside it: both go
 * beside a link, which is not needed any more once the lock is held.
 */
async function openDatabase(path: string): Promise<sqlite.Database> {
  const folder = await mkdtemp(join(tmpdir(), 'pi05-bag-'));
  try {
    const link = join(folder, 'bag.db3');
    await symlink(resolve(path), link);
    const log = `${path}-wal`;
    if (await stat(log).catch(() => undefined)) await copyFile(log, `${link}-wal`);
    const database = new sqlite.Database(link, { readOnly: true });
    try {
      // The first lets a file be opened that is shorter than it says; the second keeps the lock, and a log without shared memory.
      database.exec('PRAGMA writable_schema = ON; PRAGMA locking_mode = EXCLUSIVE; PRAGMA cache_size = -16000');
      database.get('SELECT count(*) FROM sqlite_master');
      return database;
    } catch (error) {
      database.close();
      throw error;
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function readTopics(database: sqlite.Database): Topics {
  const rows = database.all('SELECT id, name, type, serialization_format AS encoding FROM topics') as Row[];
  return new Map(
    rows.map(({ id, name, type, encoding }) => [
      id as number,
      { topic: String(name), type: String(type), encoding: String(encoding) },
    ]),
  );
}

/** @throws Pi05Error BAG_DATA where a topic has messages of two types. */
function countTopics(topics: Topics, counts: ReadonlyMap<number, number>, name: string): Map<string, FileTopic> {
  const counted = new Map<string, FileTopic>();
  for (const [id, { topic, type, encoding }] of topics) {
    addTopic(counted, topic, { type, encoding, count: counts.get(id) ?? 0 }, name);
  }
  return counted;
}

/** A whole file: its rows come one by one, in the order of the index on their timestamps. */
class SqliteFile implements BagFile {
  readonly #database: sqlite.Database;
  readonly #topics: Topics;
  readonly #name: string;
  readonly topics: ReadonlyMap<string, FileTopic>;
  readonly startTime: bigint | undefined;
  readonly endTime: bigint | undefined;
  readonly damage = undefined;
  readonly notes: readonly string[] = [];

  constructor(database: sqlite.Database, topics: Topics, name: string) {
    this.#database = database;
    this.#topics = topics;
    this.#name = name;
    const counts = database.all('SELECT topic_id AS id, count(*) AS count FROM messages GROUP BY topic_id') as Row[];
    const byTopic = new Map(counts.map(({ id, count }) => [id as number, count as number]));
    this.topics = countTopics(topics, byTopic, name);
    this.startTime = timeOf(database.get('SELECT min(timestamp) AS time FROM messages')?.time);
    this.endTime = timeOf(database.get('SELECT max(timestamp) AS time FROM messages')?.time);
  }

  async *messages(topics: ReadonlySet<string>): AsyncGenerator<BagMessage, void, void> {
    const ids = [...this.#topics].filter(([, { topic }]) => topics.has(topic)).map(([id]) => id);
    // Sorting, where there is no index, must not carry the messages along: it happens in memory.
    const order = this.#database.prepare(
      `SELECT id, topic_id AS topic, timestamp AS time FROM messages WHERE topic_id IN (${ids.join(',')}) ORDER BY timestamp, id`,
    );
    const content = this.#database.prepare('SELECT data FROM messages WHERE id = ?');
    let rows = 0;
    try {
      for (const { id, topic: topicId, time } of order.iterate() as IterableIterator<Row>) {
        const { topic, type } = this.#topics.get(topicId as number)!;
        const logTime = timeOf(time);
        const data = (content.get(id as number) as Row).data;
        if (logTime === undefined || !(data instanceof Uint8Array)) {
          throw new Error(`row ${String(id)} has no timestamp or no data`);
        }
        yield { topic, type, logTime, data };
        if (++rows % ROWS_AT_ONCE === 0) await setImmediate();
      }
    } catch (error) {
      throw new Pi05Error('BAG_DATA', `Expected messages in ${this.#name}: ${(error as Error).message}`);
    } finally {
      finalize(order);
      finalize(content);
    }
  }

  close(): Promise<void> {
    this.#database.close();
    return Promise.resolve();
  }
}

/** What is left of a file that was cut or damaged. */
class SalvagedFile implements BagFile {
  readonly #handle: FileHandle;
  readonly #salvage: Salvage;
  readonly #topics: Topics;
  readonly #rows: readonly SalvagedRow[];
  readonly #name: string;
  readonly topics: ReadonlyMap<string, FileTopic>;
  readonly notes: readonly string[] = [];

  readonly damage: string;

  constructor(
    handle: FileHandle,
    salvage: Salvage,
    topics: Topics,
    rows: readonly SalvagedRow[],
    name: string,
    damage: string,
  ) {
    this.#handle = handle;
    this.#salvage = salvage;
    this.#topics = topics;
    this.#rows = rows;
    this.#name = name;
    this.damage = `${damage}, and the ${rows.length} messages that are left are read`;
    const counts = new Map<number, number>();
    for (const { topic } of rows) counts.set(topic, (counts.get(topic) ?? 0) + 1);
    this.topics = countTopics(topics, counts, name);
  }

  get startTime(): bigint | undefined {
    return this.#rows[0]?.timestamp;
  }

  get endTime(): bigint | undefined {
    return this.#rows.at(-1)?.timestamp;
  }

  async *messages(topics: ReadonlySet<string>): AsyncGenerator<BagMessage, void, void> {
    for (const row of this.#rows) {
      const known = this.#topics.get(row.topic);
      if (known === undefined || !topics.has(known.topic)) continue;
      const data = await this.#salvage.data(row);
      if (data === undefined)
        throw new Pi05Error('BAG_DATA', `Expected all of row ${row.id} in ${this.#name}, received a part`);
      yield { topic: known.topic, type: known.type, logTime: row.timestamp, data };
    }
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}

/** A statement that failed says so once more. */
function finalize(statement: sqlite.Statement): void {
  try {
    statement.finalize();
  } catch {
    // It is gone all the same.
  }
}

/** Timestamps are numbers where they are safe integers, and bigints otherwise. */
function timeOf(value: unknown): bigint | undefined {
  return typeof value === 'number' || typeof value === 'bigint' ? BigInt(value) : undefined;
}
