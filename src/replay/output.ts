import { encodeFloat64MultiArray, encodeJointTrajectory } from '../messages/encode.js';
import type { PolicyConfig } from '../config/config.js';
import type { ActionChunk, Command } from '../frame/frame.js';
import { chunkMessage, commandMessages, TRAJECTORY, velocityJoints } from '../messages/builders.js';
import { tickPeriod } from '../time.js';
import { BagWriter } from './bag/writer.js';
import type { ReplayListener } from './listener.js';

/** Chunks and commands as the node publishes them, in a bag of their own. */
export class BagOutput implements ReplayListener {
  readonly #writer: BagWriter;
  readonly #chunkTopic: string;
  readonly #velocity: readonly boolean[];
  readonly #commands: readonly {
    readonly topic: string;
    readonly type: string;
    readonly encode: (command: Command) => Uint8Array;
  }[];
  #waiting: { readonly topic: string; readonly type: string; readonly data: Uint8Array; readonly logTime: bigint }[] =
    [];
  /** As in the bag that is replayed, ns. */
  #logTime = 0n;

  private constructor(writer: BagWriter, config: PolicyConfig) {
    this.#writer = writer;
    this.#chunkTopic = config.chunkTopic;
    this.#velocity = velocityJoints(config);
    this.#commands = commandMessages(config, tickPeriod(config.controlRate)).map((output) => ({
      topic: output.topic,
      type: output.type,
      encode: (command) =>
        output.type === TRAJECTORY
          ? encodeJointTrajectory(output.message(command))
          : encodeFloat64MultiArray(output.message(command)),
    }));
  }

  /** @param config with resolved topics. */
  static async create(path: string, config: PolicyConfig): Promise<BagOutput> {
    const writer = await BagWriter.create(path);
    const output = new BagOutput(writer, config);
    await writer.declare(config.chunkTopic, TRAJECTORY);
    for (const { topic, type } of output.#commands) await writer.declare(topic, type);
    return output;
  }

  at(logTime: bigint): void {
    this.#logTime = logTime;
  }

  chunk(chunk: ActionChunk): void {
    this.#add(this.#chunkTopic, TRAJECTORY, encodeJointTrajectory(chunkMessage(chunk, this.#velocity)));
  }

  command(command: Command): void {
    for (const { topic, type, encode } of this.#commands) this.#add(topic, type, encode(command));
  }

  drain(): Promise<void> | undefined {
    return this.#waiting.length > 0 ? this.#write() : undefined;
  }

  async close(): Promise<void> {
    await this.#write();
    await this.#writer.close();
  }

  #add(topic: string, type: string, data: Uint8Array): void {
    this.#waiting.push({ topic, type, data, logTime: this.#logTime });
  }

  async #write(): Promise<void> {
    for (const { topic, type, data, logTime } of this.#waiting.splice(0)) {
      await this.#writer.write(topic, type, logTime, data);
    }
  }
}
