import type { Pi05Error, Refusal, RefusalCode, FaultCode } from '../errors.js';
import { toSeconds } from '../time.js';
import type { ReplayListener } from './listener.js';

export interface Issue {
  readonly code: RefusalCode | FaultCode;
  count: number;
  /** The sentence of the first one, and its time since the bag's first message, s. */
  readonly message: string;
  readonly seconds: number;
}

/** Refusals and faults, counted by code, in the order of their first occurrence. */
export class IssueSummary implements ReplayListener {
  readonly #refusals = new Map<string, Issue>();
  readonly #faults = new Map<string, Issue>();
  #start: bigint | undefined;
  #latest = 0n;

  get refusals(): Issue[] {
    return [...this.#refusals.values()];
  }

  get faults(): Issue[] {
    return [...this.#faults.values()];
  }

  setLogTime(logTime: bigint): void {
    this.#start ??= logTime;
    this.#latest = logTime;
  }

  refusal(refusal: Refusal): void {
    this.#add(this.#refusals, refusal);
  }

  fault(fault: Pi05Error<FaultCode>): void {
    this.#add(this.#faults, fault);
  }

  #add(issues: Map<string, Issue>, { code, message }: Pi05Error<RefusalCode | FaultCode>): void {
    const known = issues.get(code);
    const seconds = toSeconds(this.#latest - (this.#start ?? this.#latest));
    if (known === undefined) issues.set(code, { code, count: 1, message, seconds });
    else known.count++;
  }
}
