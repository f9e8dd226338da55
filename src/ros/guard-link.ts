import type { Socket } from 'node:net';
import { errorMessage, FAULT_CODES, type FaultCode, Pi05Error } from '../errors.js';
import type { Command } from '../frame/frame.js';
import { LatchFile } from '../guard/latch-file.js';
import {
  type Cause,
  commandMessage,
  encodeMessage,
  type GuardMessage,
  LineReader,
  parseGuardMessage,
  type PolicyMessage,
  PROTOCOL_VERSION,
} from '../guard/protocol.js';
import { toMilliseconds } from '../time.js';
import { connectToGuard } from './guard-connection.js';

/** How long the guard may take to confirm the stop action, ms; less with a shorter time-out. */
const CONFIRM_TIMEOUT_MS = 300;
/** Time between two attempts to get a new guard, ms. */
const RECONNECT_MS = 500;
/** A guard that is stopped still accepts connections; without an answer for this long it is an error, ms. */
const ANSWER_TIMEOUT_MS = 10_000;
/** While a guard that does not read has this many bytes to read, it gets no further heartbeats. */
const MAX_UNSENT = 65_536;
/** A guard whose policy has ended in order ends within this time, ms. */
const GUARD_ENDS_MS = 3000;

export interface GuardLinkOptions {
  /** The policy's full name. */
  readonly node: string;
  /** Of the guard's socket. */
  readonly path: string;
  /** See `configHash`. */
  readonly config: string;
  /** The arguments after `pi05 node`. */
  readonly argv: readonly string[];
  /** Silence of the guard beyond which it is lost, ns; undefined in lock-step: only a closed socket counts. */
  readonly timeout: bigint | undefined;
}

export interface GuardHandlers {
  /** The guard has stopped the robot at `time`, ROS time in ns. @param fault undefined where this process had asked for it. */
  readonly onStopped: (fault: Pi05Error<FaultCode> | undefined, time: bigint) => void;
  /** No command passes until `onReleased`. */
  readonly onLatched: (cause: Cause) => void;
  readonly onReleased: (time: bigint) => void;
  /** The guard is lost while the policy is active: the policy must stop the robot itself. It is latched from then on. */
  readonly onLost: (fault: Pi05Error<FaultCode>) => void;
  /** Receives what went wrong and needs no action. */
  readonly onError: (error: unknown) => void;
}

/**
 * The policy's connection to its guard, through which every command passes. A guard that is silent or whose socket closes
 * is lost. Then this side is latched, and so is the guard as soon as it can be reached: the same one when it continues,
 * else a new one, which is started. In both cases only `~/resume` ends the latch.
 */
export class GuardLink {
  readonly #options: GuardLinkOptions;
  readonly #handlers: GuardHandlers;
  /** Undefined before the guard has accepted this policy, and while there is no connection. */
  #socket: Socket | undefined;
  /** The connection that waits for the guard's answer. */
  #unanswered: Socket | undefined;
  #latch: Cause | undefined;
  /** Why the guard is lost. */
  #lost: Pi05Error<FaultCode> | undefined;
  #active = false;
  #closed = false;
  #silence: NodeJS.Timeout | undefined;
  /** Messages received from the guard. */
  #received = 0;
  /** The code of the last `stop` that was sent: the guard's answer to it is no new fault. */
  #ownStop: string | undefined;
  #confirm: ((acknowledged: boolean) => void) | undefined;
  /** Resolves when the last attempt to connect has ended. */
  #opening: Promise<void> = Promise.resolve();

  constructor(options: GuardLinkOptions, handlers: GuardHandlers) {
    this.#options = options;
    this.#handlers = handlers;
  }

  /** Why no command passes until `~/resume`. */
  get latch(): Cause | undefined {
    return this.#latch;
  }

  /** Why the guard is lost; undefined while it answers. */
  get lost(): Pi05Error<FaultCode> | undefined {
    return this.#lost;
  }

  /**
   * Connects to the guard, which is started where none runs. Resolves when it has accepted this policy.
   * @throws Pi05Error GUARD_CONFIG and other codes with which the guard refuses; ENVIRONMENT where it does not start.
   */
  open(): Promise<void> {
    const opened = this.#open();
    this.#opening = opened.catch(() => undefined);
    return opened;
  }

  /** A guard whose policy has ended repeats the stop action and ends within 2 s, so one with other parameters is tried again, and one that ends meanwhile. */
  async #open(): Promise<void> {
    const end = performance.now() + GUARD_ENDS_MS;
    for (;;) {
      try {
        return await this.#attach();
      } catch (error) {
        const ends = error instanceof Pi05Error && (error.code === 'GUARD_CONFIG' || error.code === 'GUARD_LOST');
        if (!ends || this.#closed || performance.now() > end) throw error;
        await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS));
      }
    }
  }

  async #attach(): Promise<void> {
    const { path, argv, node, config } = this.#options;
    const socket = await connectToGuard(path, argv, () => this.#closed);
    if (socket === undefined) return;
    this.#unanswered = socket;
    let timer: NodeJS.Timeout | undefined;
    const answer = new Promise<void>((resolve, reject) => {
      const lines = new LineReader();
      const receive = (message: GuardMessage): void => {
        if (message.type === 'refused') reject(new Pi05Error(faultCode(message.code), message.message));
        else if (message.type === 'attached') {
          this.#attached(socket, message.latched);
          resolve();
        } else this.#receive(message);
      };
      socket.on('data', (bytes) => {
        try {
          for (const line of lines.push(bytes)) receive(parseGuardMessage(line));
        } catch (error) {
          reject(error instanceof Error ? error : new Error(errorMessage(error)));
          this.#handlers.onError(error);
          socket.destroy();
        }
      });
      socket.on('error', () => undefined); // 'close' follows
      socket.on('close', () => {
        reject(new Pi05Error('GUARD_LOST', 'Expected an answer of the guard, but it closed the connection'));
        if (this.#socket === socket) this.#onClose();
      });
      socket.write(encodeMessage({ type: 'attach', protocol: PROTOCOL_VERSION, node, config, pid: process.pid }));
      timer = setTimeout(() => {
        const expected = `Expected an answer of the guard at ${path} within ${ANSWER_TIMEOUT_MS / 1000} s, received none`;
        reject(new Pi05Error('GUARD_LOST', `${expected}; end that process and start the policy again`));
        socket.destroy();
      }, ANSWER_TIMEOUT_MS);
    });
    try {
      await answer;
    } finally {
      clearTimeout(timer);
      this.#unanswered = undefined;
    }
  }

  /** Commands follow. */
  activate(): void {
    this.#active = true;
    this.#send({ type: 'activate' });
    this.#watchSilence();
  }

  /** Call this at each control tick while active, before its command. */
  tick(): void {
    if ((this.#socket?.writableLength ?? 0) < MAX_UNSENT) this.#send({ type: 'tick' });
  }

  /** @param command a step or a hold. */
  command(command: Command): void {
    const { reason } = command;
    if (reason === 'stop' || this.#latch !== undefined) return;
    this.#send(commandMessage({ ...command, reason }));
  }

  /** Lets the guard stop the robot. @returns false where the guard is lost: then the caller must do it. */
  stop({ code, message }: Cause): boolean {
    if (this.#lost !== undefined || this.#socket === undefined) return false;
    this.#ownStop = code;
    this.#send({ type: 'stop', code, message });
    return true;
  }

  /** In lock-step: lets the guard send the stop action again, for which the simulation waits at each tick. @returns as `stop`. */
  repeatStop(): boolean {
    if (this.#lost !== undefined || this.#socket === undefined) return false;
    this.#send({ type: 'repeat_stop' });
    return true;
  }

  /**
   * Lets the guard stop the robot; no commands follow. Resolves to whether all reliable subscribers have acknowledged the
   * stop action, or to undefined where the guard did not confirm in time that it was sent: then the caller must send it.
   */
  deactivate(): Promise<boolean | undefined> {
    this.#active = false;
    clearTimeout(this.#silence);
    // A guard that is lost reads it when it continues.
    this.#send({ type: 'deactivate' });
    if (this.#lost !== undefined || this.#socket === undefined) return Promise.resolve(undefined);
    const { timeout } = this.#options;
    const limit = timeout === undefined ? CONFIRM_TIMEOUT_MS : Math.min(CONFIRM_TIMEOUT_MS, toMilliseconds(timeout));
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(undefined), limit);
      this.#confirm = (acknowledged) => {
        clearTimeout(timer);
        resolve(acknowledged);
      };
    });
  }

  /** Orderly exit: the guard sends the stop action and ends. Resolves when it has closed the connection, or soon after. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#active = false;
    clearTimeout(this.#silence);
    // A guard that is starting must not stay behind. One that is stopped does not answer.
    const giveUp = setTimeout(() => this.#unanswered?.destroy(), GUARD_ENDS_MS);
    await this.#opening;
    clearTimeout(giveUp);
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket === undefined) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, CONFIRM_TIMEOUT_MS);
      socket.once('close', () => {
        clearTimeout(timer);
        resolve();
      });
      socket.write(encodeMessage({ type: 'detach' }));
    });
    socket.destroy();
  }

  #send(message: PolicyMessage): void {
    this.#socket?.write(encodeMessage(message));
  }

  #attached(socket: Socket, latched: Cause | null): void {
    this.#socket = socket;
    if (latched !== null) this.#setLatch(latched);
    this.#lost = undefined;
    if (this.#active) this.#send({ type: 'activate' });
    // A new guard does not know of the latch, and `~/resume` must find it latched.
    if (latched === null && this.#latch !== undefined) this.stop({ ...this.#latch, code: 'GUARD_LOST' });
    this.#watchSilence();
  }

  #receive(message: Exclude<GuardMessage, { type: 'attached' | 'refused' }>): void {
    this.#received++;
    if (this.#lost !== undefined && this.#socket !== undefined) this.#lost = undefined;
    this.#silence?.refresh();
    switch (message.type) {
      case 'heartbeat':
        return;
      case 'deactivated':
        this.#confirm?.(message.acknowledged);
        this.#confirm = undefined;
        return;
      case 'stopped': {
        const own = message.code === this.#ownStop;
        this.#ownStop = undefined;
        const fault = new Pi05Error(faultCode(message.code), message.message, 'guard');
        return this.#handlers.onStopped(own ? undefined : fault, message.time);
      }
      case 'latched':
        return this.#setLatch({ code: message.code, message: message.message });
      case 'released':
        this.#latch = undefined;
        return this.#handlers.onReleased(message.time);
    }
  }

  #setLatch(cause: Cause): void {
    this.#latch = cause;
    this.#handlers.onLatched(cause);
  }

  /** Reports the guard as lost when it is silent for too long while the policy is active. */
  #watchSilence(): void {
    clearTimeout(this.#silence);
    const { timeout } = this.#options;
    if (timeout === undefined || !this.#active) return;
    const silence = setTimeout(() => {
      // After a pause of this process timers come first. Messages that have arrived meanwhile are read before this:
      const before = this.#received;
      setImmediate(() => {
        if (this.#silence !== silence || !this.#active || this.#socket === undefined) return;
        if (this.#received !== before) silence.refresh();
        else {
          const expected = `a heartbeat of the guard at least every ${toMilliseconds(timeout).toFixed(0)} ms`;
          this.#loseGuard(`Expected ${expected}, received none`);
          if (this.#socket.writableLength < MAX_UNSENT) {
            this.#send({ type: 'stop', code: 'GUARD_LOST', message: 'the guard was silent' });
          }
          silence.refresh();
        }
      });
    }, toMilliseconds(timeout));
    this.#silence = silence;
  }

  #onClose(): void {
    clearTimeout(this.#silence);
    this.#socket = undefined;
    if (this.#closed) return;
    this.#loseGuard('Expected the guard to run as long as the policy, but its connection closed');
    void this.#reconnect();
  }

  #loseGuard(message: string): void {
    if (this.#lost !== undefined) return;
    const fault = new Pi05Error('GUARD_LOST', `${message}; the robot stays stopped until ~/resume`, 'guard');
    this.#lost = fault;
    if (!this.#active) return;
    this.#latch = { code: fault.code, message: fault.message };
    this.#storeLatch(this.#latch);
    this.#handlers.onLost(fault);
  }

  /** If both processes are killed before a guard knows of the latch, the next one finds it. */
  #storeLatch(latch: Cause): void {
    try {
      new LatchFile(this.#options.path).write(latch);
    } catch (error) {
      this.#handlers.onError(new Error(`Expected to keep the latch in a file, but ${errorMessage(error)}`));
    }
  }

  async #reconnect(): Promise<void> {
    while (!this.#closed && this.#socket === undefined) {
      await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS));
      try {
        await this.open();
      } catch (error) {
        this.#handlers.onError(new Error(`Expected to connect to a guard: ${errorMessage(error)}`));
      }
    }
  }
}

function faultCode(code: string): FaultCode {
  return FAULT_CODES.find((known) => known === code) ?? 'GUARD_LINK';
}
