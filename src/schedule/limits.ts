import type { ActionJoint } from '../config/config.js';

/** State of one joint, in the robot's units. */
export interface JointMotion {
  /** The last commanded position, or the measured one where velocities are sent. */
  readonly position: number;
  /** Velocity of the last command, units per second. */
  readonly velocity: number;
  /** Where the joint may already be, if that is not known exactly; by default `position`. */
  readonly lowest?: number;
  readonly highest?: number;
}

/**
 * The velocity nearest to `wanted` that the joint's limits allow for the next `period` seconds. The limits apply in this
 * order: position (the joint must still be able to brake before it), velocity, acceleration relative to the last command.
 * Where a disturbance has made it impossible to keep all of them, the position limit takes precedence over the acceleration
 * limit: no command moves a joint past its limit, or further out when it is beyond it. Where the command is not that of a
 * joint, `lower` and `upper` limit its value.
 * @param reaction seconds for which the command may be in force.
 */
export function limitVelocity(
  wanted: number,
  joint: ActionJoint,
  { position, velocity, lowest = position, highest = position }: JointMotion,
  period: number,
  reaction = period,
): number {
  const isValue = !joint.isJoint && joint.kind === 'velocity';
  if (isValue) wanted = clamp(wanted, joint.lower, joint.upper);
  const up = isValue || joint.upper === Infinity ? Infinity : distanceToLimit(joint.upper - highest);
  const down = isValue || joint.lower === -Infinity ? Infinity : distanceToLimit(lowest - joint.lower);
  let v = clamp(wanted, -brakingVelocity(down, joint, reaction), brakingVelocity(up, joint, reaction));
  v = clamp(v, -joint.maxVelocity, joint.maxVelocity);
  const maxChange = joint.maxAcceleration * period;
  v = clamp(v, velocity - maxChange, velocity + maxChange);
  return clamp(v, -down / reaction, up / reaction);
}

/** The position nearest to `wanted` that the limits allow one `period` (seconds) after the last command. */
export function limitPosition(wanted: number, joint: ActionJoint, last: JointMotion, period: number): number {
  const target = clamp(wanted, joint.lower, joint.upper);
  const velocity = (target - last.position) / period;
  const allowed = limitVelocity(velocity, joint, last, period);
  return allowed === velocity ? target : advance(allowed, joint, last.position, period);
}

/**
 * The position one `period` (seconds) after the last command, at the velocity nearest to `wanted` that the limits allow.
 *
 * The velocity is integrated from the last commanded position. DROID's client adds each step to the measured position
 * instead (`update_joints` in droid/franka/robot.py): an arm that lags is then slower than commanded, and an arm that sags
 * sinks at velocity 0. As with DROID's method, the command cannot run away from the joint: it is at most as far from the
 * measured position as the joint can move until the command is due, maxVelocity × (maxAge + period), since a measurement
 * is used until it is `maxAge` seconds old, and brakes before that distance as before a position limit. So there is no
 * windup while a joint is blocked. A joint whose position is unknown (`measured` is NaN) keeps its last command.
 */
export function integrateVelocity(
  wanted: number,
  joint: ActionJoint,
  last: JointMotion,
  measured: number,
  period: number,
  maxAge: number,
): number {
  const { position } = last;
  if (Number.isNaN(measured)) return position;
  const reach = joint.maxVelocity * (maxAge + period);
  const up = brakingVelocity(distanceToLimit(measured + reach - position), joint, period);
  const down = brakingVelocity(distanceToLimit(position - (measured - reach)), joint, period);
  return advance(limitVelocity(clamp(wanted, -down, up), joint, last, period), joint, position, period);
}

/** `position` after one period. Rounding must not move it past a limit. */
function advance(velocity: number, joint: ActionJoint, position: number, period: number): number {
  const next = position + velocity * period;
  const inside = position >= joint.lower && position <= joint.upper;
  return inside ? clamp(next, joint.lower, joint.upper) : next;
}

/**
 * The highest velocity v for one period T after which braking at a = maxAcceleration ends within `distance`:
 * v·T + v²/(2a) = distance. A joint that obeys it can obey it in every later period, slowing down by a·T in each.
 */
function brakingVelocity(distance: number, { maxAcceleration: a }: ActionJoint, period: number): number {
  if (distance === 0 || distance === Infinity) return distance;
  return (2 * distance) / (period + Math.sqrt(period * period + (2 * distance) / a));
}

/** 0 beyond the limit, and 0 where the position is unknown (NaN). */
function distanceToLimit(distance: number): number {
  return distance > 0 ? distance : 0;
}

/** The nearest value to `value` that is not below `low` or above `high`. */
export function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}
