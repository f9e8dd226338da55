import type { FaultCode, Pi05Error, Refusal } from '../errors.js';
import type { ActionChunk, Command } from '../frame/frame.js';
import { ReportThrottle } from '../report-throttle.js';
import type { Seam } from '../schedule/seam.js';
import type { ChunkTiming, PipelineSink } from './interfaces.js';
import type { Counters } from './statistics.js';

/** Counts chunks, commands, refusals and faults and passes them on. */
export class Reporter {
  readonly #throttle = new ReportThrottle();

  /** @param reported called after each refusal and each fault, also after one that is suppressed. */
  constructor(
    private readonly sink: PipelineSink,
    private readonly counters: Counters,
    private readonly reported: () => void,
  ) {}

  /** The next report of each condition is passed on at once. */
  reset(): void {
    this.#throttle.clearAll();
  }

  chunk(chunk: ActionChunk, timing: ChunkTiming): void {
    this.counters.chunks++;
    this.counters.inferenceMs.add(timing.inferenceMs);
    this.counters.latencyMs.add(timing.latencyMs);
    this.sink.chunk(chunk, timing);
  }

  /** @param cause of a stop action. */
  command(command: Command, cause?: Pi05Error<FaultCode>): void {
    this.counters.commands[command.reason]++;
    if (cause === undefined) this.sink.command(command);
    else this.sink.command(command, cause);
  }

  seam(seam: Seam): void {
    this.sink.seam?.(seam);
  }

  refusal(refusal: Refusal): void {
    this.counters.countRefusal(refusal);
    this.sink.refusal(refusal);
    this.reported();
  }

  fault(fault: Pi05Error<FaultCode> | undefined): void {
    if (fault === undefined) return;
    this.counters.countFault(fault);
    this.sink.fault(fault);
    this.reported();
  }

  /** A fault that lasts. @param fault undefined where the condition is not present at `now`. */
  condition(code: FaultCode, fault: Pi05Error<FaultCode> | undefined, now: bigint): void {
    if (fault === undefined) this.#throttle.clear(code);
    else if (this.#throttle.shouldReport(code, now)) this.fault(fault);
    else this.reported();
  }
}
