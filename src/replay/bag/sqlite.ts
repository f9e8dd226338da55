import { mkdtemp, rm, stat, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import sqlite from 'node-sqlite3-wasm';
import { Pi05Error } from '../../errors.js';
import type { BagMessage } from './bag.js';
import type { BagFile, FileTopic } from './storage.js';

type Row = Record<string, unknown>;

/** Rows are read without waiting for anything; timers and signals get their turn in between. */
const ROWS_AT_ONCE = 32;

/** One SQLite file of a bag. Its messages are read row by row, in the order of the index on their timestamps. */
export class SqliteFile implements BagFile {
  readonly #database: sqlite.Database;
  readonly #folder: string;
  readonly #path: string;
  readonly #ids = new Map<number, { topic: string; type: string }>();
  readonly topics: ReadonlyMap<string, FileTopic>;
  readonly startTime: bigint | undefined;
  readonly endTime: bigint | undefined;
  readonly notes: readonly string[] = [];
  damage: string | undefined;

  private constructor(database: sqlite.Database, folder: string, path: string) {
    this.#database = database;
    this.#folder = folder;
    this.#path = path;
    const topics = new Map<string, FileTopic>();
    for (const row of database.all('SELECT id, name, type, serialization_format AS encoding FROM topics') as Row[]) {
      const { id, name, type, encoding } = row as { id: number; name: string; type: string; encoding: string };
      this.#ids.set(id, { topic: name, type });
      topics.set(name, { type, encoding, count: 0 });
    }
    const [range] = database.all('SELECT min(timestamp) AS first, max(timestamp) AS last FROM messages') as Row[];
    this.startTime = timeOf(range?.first);
    this.endTime = timeOf(range?.last);
    for (const { id, messages } of this.#counts()) {
      const name = this.#ids.get(id)?.topic;
      const topic = name === undefined ? undefined : topics.get(name);
      if (topic !== undefined) topics.set(name!, { ...topic, count: topic.count + messages });
    }
    this.topics = topics;
  }

  static async open(path: string, name: string): Promise<SqliteFile> {
    await stat(path);
    // The library locks a database by a folder beside it, also for reading: the lock goes beside a link.
    const folder = await mkdtemp(join(tmpdir(), 'pi05-bag-'));
    try {
      const link = join(folder, 'bag.db3');
      await symlink(resolve(path), link);
      const database = new sqlite.Database(link, { readOnly: true });
      try {
        return new SqliteFile(database, folder, name);
      } catch (error) {
        database.close();
        throw error;
      }
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  async *messages(topics: ReadonlySet<string>): AsyncGenerator<BagMessage, void, void> {
    const ids = [...this.#ids].filter(([, { topic }]) => topics.has(topic)).map(([id]) => id);
    const order = this.#database.prepare(
      `SELECT topic_id AS id, timestamp AS time, data FROM messages WHERE topic_id IN (${ids.join(',')}) ORDER BY timestamp`,
    );
    let rows = 0;
    try {
      for (const row of order.iterate() as IterableIterator<Row>) {
        const { topic, type } = this.#ids.get(row.id as number)!;
        yield { topic, type, logTime: timeOf(row.time)!, data: row.data as Uint8Array };
        if (++rows % ROWS_AT_ONCE === 0) await setImmediate();
      }
    } catch (error) {
      throw new Pi05Error('BAG_DATA', `Expected messages in ${this.#path}: ${(error as Error).message}`);
    } finally {
      order.finalize();
    }
  }

  async close(): Promise<void> {
    this.#database.close();
    await rm(this.#folder, { recursive: true, force: true });
  }

  #counts(): { id: number; messages: number }[] {
    return this.#database.all('SELECT topic_id AS id, count(*) AS messages FROM messages GROUP BY topic_id') as {
      id: number;
      messages: number;
    }[];
  }
}

/** Timestamps are numbers where they are safe integers, and bigints otherwise. */
function timeOf(value: unknown): bigint | undefined {
  return typeof value === 'number' || typeof value === 'bigint' ? BigInt(value) : undefined;
}
