import { copyFile, mkdtemp, rm, stat, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import sqlite from 'node-sqlite3-wasm';
import { Pi05Error } from '../../errors.js';
import { addTopic, type BagFile, type BagMessage, type FileTopic, UnreadableFile } from './storage.js';

type Row = Record<string, unknown>;

/** Rows are read synchronously; the event loop runs after each batch, so that timers and signals are served. */
const BATCH_ROWS = 32;

/** The topics of a bag by their `topic_id` in the table `messages`. */
type Topics = ReadonlyMap<number, { readonly topic: string; readonly type: string; readonly encoding: string }>;

/**
 * Opens one SQLite file of a bag. A damaged one is returned too, without topics and with `damage` set, so that the other
 * files of its bag can be read.
 * @param path of the bytes. @param name of the file for error sentences.
 * @throws Pi05Error BAG_FILE for the database of something else.
 */
export async function openSqlite(path: string, name: string): Promise<BagFile> {
  let database: sqlite.Database | undefined;
  try {
    database = await openDatabase(path);
    return new SqliteFile(database, readTopics(database), name);
  } catch (error) {
    if (database?.isOpen === true) database.close();
    if (error instanceof Pi05Error) throw error;
    // An error of the file system, such as a full disk for temporary files, says nothing about the file.
    if ('syscall' in (error as Error)) throw error;
    const { message } = error as Error;
    if (!/^no such (table|column)/.test(message)) return damagedFile(name, message);
    throw new Pi05Error('BAG_FILE', `Expected the tables of a ROS 2 bag in ${name}, received none: ${message}`, name);
  }
}

/**
 * Opens a database through a link in a temporary directory: the library creates a lock directory next to the database, also
 * for reading, and looks for the write-ahead log there. The link can be removed once the lock is held.
 */
async function openDatabase(path: string): Promise<sqlite.Database> {
  const directory = await mkdtemp(join(tmpdir(), 'pi05-bag-'));
  try {
    const link = join(directory, 'bag.db3');
    await symlink(resolve(path), link);
    const log = `${path}-wal`;
    if (await stat(log).catch(() => undefined)) await copyFile(log, `${link}-wal`);
    const database = new sqlite.Database(link, { readOnly: true });
    try {
      // An exclusive lock is held until the database is closed. A write-ahead log can be read without shared memory then.
      database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA cache_size = -16000');
      database.get('SELECT count(*) FROM sqlite_master');
      return database;
    } catch (error) {
      database.close();
      throw error;
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
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

/** A file that SQLite can read; rows come one by one in the order of their timestamps. */
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
    const counted = new Map<string, FileTopic>();
    for (const [id, { topic, type, encoding }] of topics) {
      addTopic(counted, topic, { type, encoding, count: byTopic.get(id) ?? 0 }, name);
    }
    this.topics = counted;
    this.startTime = timeOf(database.get('SELECT min(timestamp) AS time FROM messages')?.time);
    this.endTime = timeOf(database.get('SELECT max(timestamp) AS time FROM messages')?.time);
  }

  async *messages(topics: ReadonlySet<string>): AsyncGenerator<BagMessage, void, void> {
    const ids = [...this.#topics].filter(([, { topic }]) => topics.has(topic)).map(([id]) => id);
    // Without `data`: where the timestamps have no index, SQLite sorts these rows in memory.
    const order = this.#database.prepare(
      `SELECT id, topic_id AS topic, timestamp AS time FROM messages WHERE topic_id IN (${ids.join(',')}) ORDER BY timestamp, id`,
    );
    const content = this.#database.prepare('SELECT data FROM messages WHERE id = ?');
    let rows = 0;
    let newest: bigint | undefined;
    try {
      for (const { id, topic: topicId, time } of order.iterate() as IterableIterator<Row>) {
        const { topic, type } = this.#topics.get(topicId as number)!;
        const logTime = timeOf(time);
        const data = (content.get(id as number) as Row).data;
        if (logTime === undefined || !(data instanceof Uint8Array)) {
          throw new Error(`row ${String(id)} has no timestamp or no data`);
        }
        // SQLite takes the order from the index of the timestamps, without a comparison with the rows.
        if (newest !== undefined && logTime < newest) {
          throw new Error(`row ${String(id)} of ${logTime} ns comes after one of ${newest} ns: the index is damaged`);
        }
        newest = logTime;
        yield { topic, type, logTime, data };
        if (++rows % BATCH_ROWS === 0) await setImmediate();
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

/** A file that SQLite cannot read. */
function damagedFile(name: string, reason: string): BagFile {
  return new UnreadableFile(
    `Expected a complete SQLite database in ${name}, received a damaged one (${reason}): none of its messages is read; ` +
      '`sqlite3 FILE .recover | sqlite3 NEW.db3` writes what can be recovered to a new file',
  );
}

/** Ignores errors: `finalize` throws the error of a failed statement a second time. */
function finalize(statement: sqlite.Statement): void {
  try {
    statement.finalize();
  } catch {
    // It is finalized anyway.
  }
}

/** The library gives safe integers as numbers and others as bigints. */
function timeOf(value: unknown): bigint | undefined {
  return typeof value === 'number' || typeof value === 'bigint' ? BigInt(value) : undefined;
}
