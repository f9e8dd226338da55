import { open, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { McapWriter } from '@mcap/core';
import { FileHandleWritable } from '@mcap/nodejs';
import { Pi05Error } from '../../errors.js';
import { messageDefinition } from './definitions.js';

interface Channel {
  readonly id: number;
  readonly type: string;
  sequence: number;
}

/**
 * Writes a bag of one MCAP file as rosbag2 does: profile ros2, CDR, definitions of every type, chunks and an index. The
 * file has its name from `close` on; until then, and after a crash, it is `NAME.new`.
 */
export class BagWriter {
  readonly #path: string;
  readonly #handle: FileHandle;
  readonly #writer: McapWriter;
  readonly #schemas = new Map<string, number>();
  readonly #channels = new Map<string, Channel>();

  private constructor(path: string, handle: FileHandle) {
    this.#path = path;
    this.#handle = handle;
    this.#writer = new McapWriter({ writable: new FileHandleWritable(handle) });
  }

  /** @param path of the file, by custom ending in `.mcap`. @throws Pi05Error BAG_FILE where it cannot be written. */
  static async create(path: string): Promise<BagWriter> {
    let handle: FileHandle;
    try {
      const there = await stat(path).catch(() => undefined);
      if (there?.isDirectory() === true) throw new Error('it is a folder');
      handle = await open(`${path}.new`, 'w');
    } catch (error) {
      throw unwritable(path, error);
    }
    const writer = new BagWriter(path, handle);
    await writer.#writer.start({ profile: 'ros2', library: 'pi05-ros' });
    return writer;
  }

  /**
   * Adds one message. Messages are written in the order in which they are given; calls must not overlap.
   * @param type such as `trajectory_msgs/msg/JointTrajectory`. @param logTime ns. @param data CDR with its encapsulation header.
   * @throws Pi05Error INVALID_ARGUMENT for a type that is not among ROS 2's common ones, or a second type for a topic.
   */
  async write(topic: string, type: string, logTime: bigint, data: Uint8Array): Promise<void> {
    const channel = this.#channels.get(topic) ?? (await this.#declare(topic, type));
    if (channel.type !== type) {
      throw new Pi05Error('INVALID_ARGUMENT', `Expected ${channel.type} for ${topic}, received ${type}`, topic);
    }
    const sequence = channel.sequence++;
    await this.#writer.addMessage({ channelId: channel.id, sequence, logTime, publishTime: logTime, data });
  }

  /** Declares a topic, so that it is in the bag also when it has no message. */
  async declare(topic: string, type: string): Promise<void> {
    if (!this.#channels.has(topic)) await this.#declare(topic, type);
  }

  /** Writes the index and gives the file its name. */
  async close(): Promise<void> {
    await this.#writer.end();
    await this.#handle.close();
    await rename(`${this.#path}.new`, this.#path).catch((error: unknown) => {
      throw unwritable(this.#path, error);
    });
  }

  /** Leaves nothing behind. */
  async discard(): Promise<void> {
    await this.#handle.close();
    await rm(`${this.#path}.new`, { force: true });
  }

  async #declare(topic: string, type: string): Promise<Channel> {
    let schemaId = this.#schemas.get(type);
    if (schemaId === undefined) {
      const data = Buffer.from(messageDefinition(type));
      schemaId = await this.#writer.registerSchema({ name: type, encoding: 'ros2msg', data });
      this.#schemas.set(type, schemaId);
    }
    const metadata = new Map([['offered_qos_profiles', '']]);
    const id = await this.#writer.registerChannel({ topic, schemaId, messageEncoding: 'cdr', metadata });
    const channel = { id, type, sequence: 0 };
    this.#channels.set(topic, channel);
    return channel;
  }
}

function unwritable(path: string, error: unknown): Pi05Error {
  return new Pi05Error('BAG_FILE', `Expected to write ${path}: ${(error as Error).message}`, path);
}
