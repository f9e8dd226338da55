import { McapWriter } from '@mcap/core';
import { Pi05Error } from '../../errors.js';
import { messageDefinition } from './message-definitions.js';
import { AtomicFile } from '../atomic-file.js';

interface Channel {
  readonly id: number;
  readonly type: string;
  sequence: number;
}

/**
 * Writes a bag of one MCAP file in the form of rosbag2: profile ros2, CDR, definitions of all types, chunks and an index.
 * `close` gives the file its name.
 */
export class BagWriter {
  readonly #file: AtomicFile;
  readonly #writer: McapWriter;
  readonly #schemas = new Map<string, number>();
  readonly #channels = new Map<string, Channel>();

  private constructor(file: AtomicFile) {
    this.#file = file;
    this.#writer = new McapWriter({ writable: file });
  }

  /** @param path of the file, usually NAME.mcap. @throws Pi05Error BAG_FILE where it cannot be written. */
  static async create(path: string): Promise<BagWriter> {
    const writer = new BagWriter(await AtomicFile.create(path));
    await writer.#writer.start({ profile: 'ros2', library: 'pi05-ros' });
    return writer;
  }

  /**
   * Appends one message. Calls must not overlap.
   * @param type such as `trajectory_msgs/msg/JointTrajectory`. @param logTime ns. @param data CDR with its encapsulation header.
   * @throws Pi05Error INVALID_ARGUMENT for a type that is not in common_interfaces, or a second type for a topic.
   */
  async write(topic: string, type: string, logTime: bigint, data: Uint8Array): Promise<void> {
    const channel = this.#channels.get(topic) ?? (await this.#declare(topic, type));
    if (channel.type !== type) {
      throw new Pi05Error('INVALID_ARGUMENT', `Expected ${channel.type} for ${topic}, received ${type}`, topic);
    }
    const sequence = channel.sequence++;
    await this.#writer.addMessage({ channelId: channel.id, sequence, logTime, publishTime: logTime, data });
  }

  /** Adds a topic to the bag, which then lists it even without messages. */
  async declare(topic: string, type: string): Promise<void> {
    if (!this.#channels.has(topic)) await this.#declare(topic, type);
  }

  /** Writes the index and gives the file its name. @throws Pi05Error BAG_FILE. */
  async close(): Promise<void> {
    await this.#writer.end();
    await this.#file.finish();
  }

  /** Removes the unfinished file. */
  discard(): void {
    this.#file.discard();
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
