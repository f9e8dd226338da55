import { CLOCK_JUMP } from '../time.js';

/**
 * What a time from `/clock` is: the first one; later than, equal to or up to `CLOCK_JUMP` before the newest one; or of a clock
 * that was reset.
 */
export type ClockStep = 'first' | 'advanced' | 'same' | 'older' | 'reset';

/** The newest time from `/clock`. Only a reset brings it back, so messages that overtake each other do not. */
export class SimulatedClock {
  #time: bigint | undefined;

  /** ns; undefined before the first message. */
  get time(): bigint | undefined {
    return this.#time;
  }

  /** @param time from a message, ns. */
  receive(time: bigint): ClockStep {
    const newest = this.#time;
    const step = newest === undefined ? 'first' : compare(time, newest);
    if (step !== 'older') this.#time = time;
    return step;
  }
}

function compare(time: bigint, newest: bigint): ClockStep {
  if (time > newest) return 'advanced';
  if (time === newest) return 'same';
  return newest - time <= CLOCK_JUMP ? 'older' : 'reset';
}
