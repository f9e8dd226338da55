import { hasRobotDescription } from './limits.js';
import type { PolicyConfig, StateJoint } from './config.js';

/** A field of `sensor_msgs/JointState`. */
export type JointField = 'position' | 'velocity' | 'effort';

/** A joint whose value the policy needs, and where it comes from. */
export interface NeededJoint {
  readonly name: string;
  readonly topic: string;
  /** The fields of its message that are read. */
  readonly fields: readonly JointField[];
  /** The topic has `std_msgs/Float64`, its position, instead of `sensor_msgs/JointState`. */
  readonly isNumber: boolean;
  /** Its value is stale when it is older, ns. */
  readonly maxAge: bigint;
  /** Whether it has a maximum age of its own: then its value may be that old in an observation, whatever `sync.max_skew` is. */
  readonly held: boolean;
  /** Whether its measured position is needed (`measuredJoints`). */
  readonly measured: boolean;
}

/** The field that a source of a state joint is read from. */
export function fieldOf(source: StateJoint['source']): JointField {
  return source === 'data' ? 'position' : source;
}

export function isPosition(source: StateJoint['source']): boolean {
  return fieldOf(source) === 'position';
}

/** The joints of the state, and those whose measured position the schedule needs, each once. */
export function neededJoints(config: PolicyConfig): NeededJoint[] {
  const { state } = config;
  if (state.mode === 'none') return [];
  const measured = new Set(measuredJoints(config));
  const names = new Set([...state.joints.map(({ name }) => name), ...measured]);
  return [...names].map((name) => {
    const entries = state.joints.filter((joint) => joint.name === name);
    const fields = new Set(entries.map(({ source }) => fieldOf(source)));
    if (measured.has(name)) fields.add('position');
    const maxAge = entries[0]?.maxAge;
    return {
      name,
      topic: entries[0]?.topic ?? state.topic,
      fields: [...fields],
      isNumber: entries.some(({ source }) => source === 'data'),
      maxAge: maxAge ?? state.maxAge,
      held: maxAge !== undefined,
      measured: measured.has(name),
    };
  });
}

/**
 * Action joints whose measured position the schedule needs: to hold it, to start from it, for the distance to a limit, or to
 * check that the joint follows. Not needed for velocities that are sent as such, without position limits and without a
 * position in the state, for commands that are not joints, or where the state is not in joint space.
 */
export function measuredJoints(config: PolicyConfig): string[] {
  if (config.state.mode === 'none') return [];
  // A robot description adds position limits.
  const described = hasRobotDescription(config);
  return config.action.joints
    .filter(
      ({ name, isJoint, kind, integrated, lower, upper }) =>
        isJoint &&
        (kind !== 'velocity' ||
          integrated ||
          described ||
          Number.isFinite(lower) ||
          Number.isFinite(upper) ||
          config.state.joints.some((joint) => joint.name === name && isPosition(joint.source))),
    )
    .map(({ name }) => name);
}
