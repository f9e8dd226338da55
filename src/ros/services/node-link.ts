import { LIMIT, REQUEST_INTERVAL_MS, type FromNode, type FromServices, type NodeRequest } from './protocol.js';

type Response = Extract<FromNode, { kind: 'response' }>['body'];

interface Waiting {
  readonly request: NodeRequest;
  readonly resolve: (body: Response) => void;
}

/** Time between two reports of refused requests, ms. */
const REPORT_INTERVAL_MS = 1000;

/** Passes requests to the node one at a time, at most one per `REQUEST_INTERVAL_MS`, so that a storm costs it little. */
export class NodeLink {
  readonly #waiting: Waiting[] = [];
  #current: { readonly id: number; readonly resolve: (body: Response) => void } | undefined;
  #pausing = false;
  #nextId = 0;
  /** Requests refused since the last report. */
  #refused = 0;

  constructor(private readonly send: (message: FromServices) => void) {}

  /** @returns undefined if too many requests wait already. */
  request(request: NodeRequest): Promise<Response> | undefined {
    if (this.#waiting.length >= LIMIT.waiting) return undefined;
    return new Promise((resolve) => {
      this.#waiting.push({ request, resolve });
      this.#next();
    });
  }

  onResponse({ id, body }: { readonly id: number; readonly body: Response }): void {
    if (this.#current?.id !== id) return;
    this.#current.resolve(body);
    this.#current = undefined;
    this.#next();
  }

  /** Reports to the node that a request was not executed. */
  refused(reason: string): void {
    if (this.#refused++ > 0) return;
    setTimeout(() => {
      this.send({ kind: 'refused', count: this.#refused, reason });
      this.#refused = 0;
    }, REPORT_INTERVAL_MS);
  }

  #next(): void {
    if (this.#current !== undefined || this.#pausing) return;
    const next = this.#waiting.shift();
    if (next === undefined) return;
    const id = this.#nextId++;
    this.#current = { id, resolve: next.resolve };
    this.send({ kind: 'request', id, request: next.request });
    this.#pausing = true;
    setTimeout(() => {
      this.#pausing = false;
      this.#next();
    }, REQUEST_INTERVAL_MS);
  }
}
