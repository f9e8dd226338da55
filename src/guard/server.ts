import { unlinkSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { errorMessage, Pi05Error } from '../errors.js';
import {
  type Cause,
  encodeMessage,
  type GuardMessage,
  LineReader,
  parsePolicyMessage,
  type PolicyMessage,
} from './protocol.js';

type Attach = Extract<PolicyMessage, { type: 'attach' }>;

export interface ServerHandlers {
  /** @returns the answer: `attached`, or `refused` for a policy that this guard is not for. */
  readonly attach: (message: Attach) => Extract<GuardMessage, { type: 'attached' | 'refused' }>;
  readonly receive: (message: Exclude<PolicyMessage, { type: 'attach' | 'detach' }>) => void;
  /** Called once for each attached policy. @param orderly whether it sent `detach`. @param cause why not. */
  readonly disconnect: (orderly: boolean, cause: Cause) => void;
}

/** Heartbeats are left out while a policy process that does not read has this many bytes to read. */
const MAX_UNSENT = 65_536;
const MAX_CONNECTIONS = 8;

/** The guard's end of the link: listens on the socket, and is connected to one policy process at a time. */
export class GuardServer {
  readonly #handlers: ServerHandlers;
  #server: Server | undefined;
  #lock: Server | undefined;
  /** The attached policy process, with its process id. */
  #policy: { readonly socket: Socket; readonly pid: number } | undefined;

  constructor(handlers: ServerHandlers) {
    this.#handlers = handlers;
  }

  /**
   * The kernel releases the lock, an abstract socket, when the process ends, so a socket file without it is a left-over.
   * @param path of the socket. @throws Pi05Error GUARD_RUNNING where another process has the lock, ENVIRONMENT.
   */
  async listen(path: string): Promise<void> {
    try {
      this.#lock = await listening(createServer(), `\0${path}`);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw listenError(path, error);
      throw new Pi05Error('GUARD_RUNNING', `Expected no guard at ${path}, but one is running`, path);
    }
    try {
      unlinkIfThere(path);
      const server = createServer((socket) => this.#accept(socket));
      server.maxConnections = MAX_CONNECTIONS;
      this.#server = await listening(server, path);
    } catch (error) {
      this.#lock.close();
      throw listenError(path, error);
    }
  }

  get attached(): boolean {
    return this.#policy !== undefined;
  }

  /** Sends to the attached policy, if there is one. */
  send(message: GuardMessage): void {
    const socket = this.#policy?.socket;
    if (socket === undefined || (message.type === 'heartbeat' && socket.writableLength > MAX_UNSENT)) return;
    socket.write(encodeMessage(message));
  }

  /** Closes the connection and removes the socket. The lock stays until the process ends. */
  close(): void {
    // Not `destroySoon`: a policy process that is stopped does not read what is left, and must not keep this process.
    this.#policy?.socket.destroy();
    this.#policy = undefined;
    this.#server?.close();
    this.#lock?.unref();
  }

  #accept(socket: Socket): void {
    const reader = new LineReader();
    let lost = false;
    const lose = (orderly: boolean, cause: Cause): void => {
      if (lost) return;
      lost = true;
      socket.destroySoon();
      if (this.#policy?.socket !== socket) return;
      this.#policy = undefined;
      this.#handlers.disconnect(orderly, cause);
    };
    const ended = (): void => {
      const message = 'Expected the policy process to detach before it ends, but its connection closed';
      lose(false, { code: 'POLICY_LOST', message });
    };
    socket.on('error', ended);
    socket.on('end', ended);
    socket.on('close', ended);
    socket.on('data', (bytes) => {
      try {
        for (const line of reader.push(bytes)) {
          if (lost) return;
          const message = parsePolicyMessage(line);
          if (message.type === 'detach') lose(true, { code: '', message: '' });
          else if (message.type === 'attach') this.#attach(socket, message);
          else if (this.#policy?.socket === socket) this.#handlers.receive(message);
          else throw new Pi05Error('GUARD_LINK', `Expected attach first, received ${message.type}`);
        }
      } catch (error) {
        if (!(error instanceof Pi05Error) || (error as Pi05Error).code !== 'GUARD_LINK') throw error;
        lose(false, { code: 'GUARD_LINK', message: error.message });
      }
    });
  }

  #attach(socket: Socket, message: Attach): void {
    const other = this.#policy;
    const answer: GuardMessage =
      other === undefined
        ? this.#handlers.attach(message)
        : {
            type: 'refused',
            code: 'NODE_DUPLICATE',
            message: `Expected one process of ${message.node}, but process ${other.pid} is connected to the guard`,
          };
    if (other === undefined && answer.type === 'attached') this.#policy = { socket, pid: message.pid };
    socket.write(encodeMessage(answer));
    if (answer.type === 'refused' && other?.socket !== socket) socket.destroySoon();
  }
}

function listening(server: Server, path: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => resolve(server));
  });
}

function unlinkIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

function listenError(path: string, error: unknown): Pi05Error<'ENVIRONMENT'> {
  return new Pi05Error('ENVIRONMENT', `Expected to listen on ${path}: ${errorMessage(error)}`, path);
}
