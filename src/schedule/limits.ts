import type { ActionJoint } from '../config/config.js';

/** What one joint was last told, and where it is. */
export interface JointMotion {
  /** Position from which the limits are counted: the last commanded one, or the measured one where velocities are sent. */
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
  return allowed === velocity ? target : advance(allowed, joint, last.position, period);
}

/**
 * The position one `period` after the last command at the velocity nearest to `wanted` that the limits allow.
 *
 * It counts from the last command. DROID's own client adds each step to the measured position instead (`update_joints`
 * in droid/franka/robot.py); an arm that lags is then slower than it was told, and one that sags sinks at velocity 0.
 * What DROID's way bounds is bounded here as well: no command leads further away than the joint can be when it is due. A
 * measurement counts until it is `maxAge` seconds old, and in that time and the period a joint moves by at most
 * maxVelocity × (maxAge + period). So a blocked joint is not wound up, and one whose position is unknown (NaN) stays
 * where it was sent.
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
  const next = advance(limitVelocity(wanted, joint, last, period), joint, position, period);
  const reach = joint.maxVelocity * (maxAge + period);
  return clamp(next, Math.min(position, measured - reach), Math.max(position, measured + reach));
}

/** `position` one period on. Rounding must not carry it past a limit. */
function advance(velocity: number, joint: ActionJoint, position: number, period: number): number {
  const next = position + velocity * period;
  const inside = position >= joint.lower && position <= joint.upper;
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
