import type { ActionJoint } from '../config/config.js';

/** What one joint was last told, and where it is. */
export interface JointMotion {
  /** Position from which the limits are counted: the last command of a position joint, the measured one of a velocity joint. */
  readonly position: number;
  /** Of the last command, per second. */
  readonly velocity: number;
}

/**
 * The velocity nearest to `wanted` that the joint's limits allow for the next `period` seconds. In this order:
 * position limits (it must still be able to brake before them), velocity limit, acceleration limit against the last command.
 * Where a disturbance made that impossible together, the position limit wins over the acceleration limit: no command moves
 * a joint past its limit, nor further out once it is there.
 */
export function limitVelocity(
  wanted: number,
  joint: ActionJoint,
  { position, velocity }: JointMotion,
  period: number,
): number {
  const up = joint.upper === Infinity ? Infinity : room(joint.upper - position);
  const down = joint.lower === -Infinity ? Infinity : room(position - joint.lower);
  let v = clamp(wanted, -braking(down, joint, period), braking(up, joint, period));
  v = clamp(v, -joint.maxVelocity, joint.maxVelocity);
  const change = joint.maxAcceleration * period;
  v = clamp(v, velocity - change, velocity + change);
  return clamp(v, -down / period, up / period);
}

/** The position nearest to `wanted` that the limits allow one `period` after the last command. */
export function limitPosition(wanted: number, joint: ActionJoint, last: JointMotion, period: number): number {
  const target = clamp(wanted, joint.lower, joint.upper);
  const velocity = (target - last.position) / period;
  const allowed = limitVelocity(velocity, joint, last, period);
  if (allowed === velocity) return target;
  const next = last.position + allowed * period;
  const inside = last.position >= joint.lower && last.position <= joint.upper;
  return inside ? clamp(next, joint.lower, joint.upper) : next;
}

/**
 * The fastest velocity v for one period after which braking at a = maxAcceleration still ends within `distance`:
 * v·T + v²/(2a) = distance. A joint that keeps to it can keep to it in every later period, braking by a·T each.
 */
function braking(distance: number, { maxAcceleration: a }: ActionJoint, period: number): number {
  if (distance === 0 || distance === Infinity) return distance;
  return (2 * distance) / (period + Math.sqrt(period * period + (2 * distance) / a));
}

/** Distance to a limit: 0 beyond it, and 0 where the position is not known but a limit is. */
function room(distance: number): number {
  return distance > 0 ? distance : 0;
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}
