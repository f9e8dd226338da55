import type { PolicyConfig } from '../config/config.js';
import type { ActionChunk, Command } from '../frame/frame.js';
import { policyOutputs, type PolicyOutputs } from '../messages/outputs.js';
import { BagWriter } from './bag/writer.js';
import type { ReplayListener } from './listener.js';

/** Writes chunks and commands to a bag, on the topics on which the node publishes them. */
export class BagOutput implements ReplayListener {
  readonly #writer: BagWriter;
  readonly #outputs: PolicyOutputs;
  #waiting: { readonly topic: string; readonly type: string; readonly data: Uint8Array; readonly logTime: bigint }[] =
    [];
  /** Log time of the message that is replayed, ns. */
  #logTime = 0n;

  private constructor(writer: BagWriter, config: PolicyConfig) {
    this.#writer = writer;
    this.#outputs = policyOutputs(config);
  }

  /** @param config with resolved topics. */
  static async create(path: string, config: PolicyConfig): Promise<BagOutput> {
    const writer = await BagWriter.create(path);
    const output = new BagOutput(writer, config);
    const { chunk, commands } = output.#outputs;
    for (const { topic, type } of [chunk, ...commands]) await writer.declare(topic, type);
    return output;
  }

  setLogTime(logTime: bigint): void {
    this.#logTime = logTime;
  }

  chunk(chunk: ActionChunk): void {
    const { topic, type, encode } = this.#outputs.chunk;
    this.#add(topic, type, encode(chunk));
  }

  command(command: Command): void {
    for (const { topic, type, encode } of this.#outputs.commands) {
      const data = encode(command);
      if (data !== undefined) this.#add(topic, type, data);
    }
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
