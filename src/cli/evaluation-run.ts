import type { Condition, EpisodeRecord, WorkUnit } from './evaluation-plan.js';
import { freeDomain, SimulationProcesses } from './simulation.js';

/** What all conditions have in common. */
export interface EvaluationSetup {
  readonly seed: number;
  /** Dealt in turn. */
  readonly tasks: readonly string[];
  readonly realTime: boolean;
  /** Parameter file. */
  readonly params: string;
  readonly checkpoint: string;
  /** `NAME:=VALUE`. */
  readonly overrides: readonly string[];
  readonly python: string;
  /** Directory for small images of some episodes; undefined = none are kept. */
  readonly frames: string | undefined;
}

/** What sim.evaluate prints for each episode. */
export type EpisodeResult = Omit<EpisodeRecord, 'run' | keyof Condition>;

type OnResult = (condition: Condition, result: EpisodeResult) => void;

/**
 * Runs all units, `jobs` at a time. At the first failure, or when `interrupted` rejects, all processes are ended.
 * @throws Pi05Error INTERNAL, or the reason of `interrupted`.
 */
export async function runUnits(
  setup: EvaluationSetup,
  units: readonly WorkUnit[],
  jobs: number,
  interrupted: Promise<never>,
  onResult: OnResult,
): Promise<void> {
  const waiting = [...units];
  let abort!: (reason: unknown) => void;
  const aborted = new Promise<never>((_, reject) => (abort = reject));
  aborted.catch(() => undefined);
  interrupted.catch(abort);
  const runWaiting = async (): Promise<void> => {
    try {
      for (let unit = waiting.shift(); unit !== undefined; unit = waiting.shift()) {
        await runUnit(setup, unit, aborted, onResult);
      }
    } catch (error) {
      abort(error);
      throw error;
    }
  };
  const results = await Promise.allSettled(Array.from({ length: Math.min(jobs, units.length) }, runWaiting));
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

/** Runs one node and one simulated arm in a free ROS domain, until the episodes of the unit have ended. */
async function runUnit(
  setup: EvaluationSetup,
  { condition, episodes }: WorkUnit,
  aborted: Promise<never>,
  onResult: OnResult,
): Promise<void> {
  const { seed, tasks, realTime, frames, python } = setup;
  const reservation = await freeDomain();
  const processes = new SimulationProcesses(reservation.domain, 'the evaluation');
  try {
    const options = [
      ...[
        '--episodes',
        episodes.join(','),
        '--seed',
        String(seed),
        '--tasks',
        ...tasks,
        '--control',
        condition.control,
      ],
      ...(realTime ? ['--real-time'] : []),
      ...(frames === undefined ? [] : ['--frames', frames]),
    ];
    const arm = processes.start('the simulated arm', python, ['-m', 'sim.evaluate', ...options], (line) => {
      const result = JSON.parse(line) as EpisodeResult | { readonly ready: true };
      if ('episode' in result) onResult(condition, result);
    });
    const node = await processes.startNode(['--ros-args', ...nodeArguments(setup, condition)]);
    const nodeFailure = processes.failure(node);
    nodeFailure.catch(() => undefined);
    const { status } = await Promise.race([arm.ended, nodeFailure, aborted]);
    if (status !== 0) throw processes.endedEarly(arm, status);
  } finally {
    await processes.end();
    reservation.release();
  }
}

/** The ROS arguments of the node. The last value of a parameter counts. */
function nodeArguments(setup: EvaluationSetup, { mode, delay_ms }: Condition): string[] {
  const parameters = [
    ...setup.overrides,
    `checkpoint:=${setup.checkpoint}`,
    'use_sim_time:=true',
    'autostart:=true',
    `schedule.lockstep:=${!setup.realTime}`,
    `schedule.mode:=${mode}`,
    `schedule.injected_delay:=${(delay_ms / 1000).toFixed(3)}`, // a double, also for 0
  ];
  return ['--params-file', setup.params, ...parameters.flatMap((parameter) => ['-p', parameter])];
}
