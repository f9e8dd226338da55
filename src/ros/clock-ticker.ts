import { Pi05Error, type FaultCode } from '../errors.js';
import type { ClockStep } from '../pipeline/simulated-clock.js';
import { type OnTick, SimulatedTicker, type Ticker } from '../pipeline/ticker.js';
import { ReportThrottle } from '../report-throttle.js';
import { CLOCK_TIMEOUT, SECOND, tickPeriod, toSeconds } from '../time.js';
import type { NodeTime } from './node-time.js';

/** The longest time between two checks, ms. */
const MAX_CHECK_MS = 100;
/** After `/clock` has jumped back, the robot stays stopped until it has not done so for this long, ns on the steady clock. */
const SETTLE_TIME = SECOND;
/** Ticks that are faster than the control rate by more than this factor are a fault. */
const RATE_TOLERANCE = 1.2;

/** @param unchangedFor time without a new time on `/clock`, ns. */
export function clockStill(unchangedFor: bigint): Pi05Error<FaultCode> {
  const received = `no new time in ${toSeconds(unchangedFor).toFixed(1)} s; no commands`;
  const sentence = `Expected /clock to advance (use_sim_time is true), received ${received}`;
  return new Pi05Error('CLOCK_STILL', sentence, '/clock');
}

export interface ClockTickerHandlers {
  readonly onTick: OnTick;
  /** A clock that steps back a little, or ticks that are too fast. Reported at most once per second. */
  readonly onFault: (fault: Pi05Error<FaultCode>) => void;
  /** `/clock` has brought no new time for `CLOCK_TIMEOUT`; once until it continues. Not in lock-step. */
  readonly onStill: (fault: Pi05Error<FaultCode>) => void;
  /** False when `/clock` has jumped back, true when it has not done so again for `SETTLE_TIME`. Not in lock-step. */
  readonly onSettled: (settled: boolean) => void;
}

/** Control ticks on the time of `/clock`. The wall clock is used only to notice that `/clock` stands still or is too fast. */
export class ClockTicker implements Ticker {
  readonly #ticker: SimulatedTicker;
  readonly #throttle = new ReportThrottle();
  #interval: NodeJS.Timeout | undefined;
  #still = false;
  /** When `/clock` jumped back last, ns on the steady clock; undefined where it has settled. */
  #jumpedAt: bigint | undefined;
  /** Ticks since `#countedFrom`, ns on the steady clock. */
  #ticks = 0;
  #countedFrom = 0n;

  constructor(
    private readonly time: NodeTime,
    private readonly controlRate: number,
    private readonly lockstep: boolean,
    private readonly handlers: ClockTickerHandlers,
  ) {
    this.#ticker = new SimulatedTicker(lockstep ? 0n : tickPeriod(controlRate), (now, lateness) => {
      this.#ticks++;
      handlers.onTick(now, lateness);
    });
  }

  start(): void {
    this.#ticker.start();
    this.#still = false;
    this.#ticks = 0;
    this.#countedFrom = this.time.steady();
    const checkMs = Math.min(MAX_CHECK_MS, 1000 / this.controlRate);
    if (!this.lockstep) this.#interval ??= setInterval(() => this.check(), checkMs).unref();
  }

  stop(): void {
    this.#ticker.stop();
    clearInterval(this.#interval);
    this.#interval = undefined;
  }

  /** Call this with each time from `/clock`, ns, after it was given to `NodeTime`. @param step what `NodeTime.set` returned. */
  receive(now: bigint, step: ClockStep): void {
    if (step === 'older') this.#reportOlder(now);
    if (step === 'reset' && !this.lockstep) {
      this.#jumpedAt = this.time.steady();
      this.handlers.onSettled(false);
    }
    this.#ticker.advance(now);
  }

  /** Called once in each control period between `start` and `stop`. */
  check(): void {
    const { unchangedFor } = this.time;
    const still = unchangedFor > CLOCK_TIMEOUT;
    if (still && !this.#still) this.handlers.onStill(clockStill(unchangedFor));
    this.#still = still;
    const steady = this.time.steady();
    if (this.#jumpedAt !== undefined && steady - this.#jumpedAt > SETTLE_TIME) {
      this.#jumpedAt = undefined;
      this.handlers.onSettled(true);
    }
    const elapsed = steady - this.#countedFrom;
    if (elapsed < SECOND) return;
    const rate = this.#ticks / toSeconds(elapsed);
    this.#ticks = 0;
    this.#countedFrom = steady;
    if (rate <= RATE_TOLERANCE * this.controlRate) return;
    const sentence = `Expected ${this.controlRate} control ticks per second, received ${rate.toFixed(1)} by the wall clock: /clock is faster than real time`;
    this.handlers.onFault(new Pi05Error('TICK_RATE', sentence, '/clock'));
  }

  #reportOlder(now: bigint): void {
    if (!this.#throttle.shouldReport('CLOCK_BACKWARDS', this.time.steady())) return;
    const step = toSeconds(this.time.now() - now);
    const sentence = `Expected the time of /clock to increase, received one ${step.toFixed(3)} s before the newest; it is not used (two publishers?)`;
    this.handlers.onFault(new Pi05Error('CLOCK_BACKWARDS', sentence, '/clock'));
  }
}
