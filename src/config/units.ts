/**
 * Conversion between a joint's value in a message and its value in the model, in both directions. A transform, for what scale
 * and offset cannot express, is applied to the message's value; scale and offset convert its result to the model's value.
 */

export const TRANSFORMS = ['none', 'interbotix_gripper'] as const;
export type TransformName = (typeof TRANSFORMS)[number];

export interface Units {
  readonly transform: TransformName;
  readonly scale: number;
  readonly offset: number;
}

interface Transform {
  /** Message value → the value that scale and offset are applied to. */
  readonly forward: (value: number) => number;
  /** The inverse of `forward`. */
  readonly inverse: (value: number) => number;
}

/** The gripper of Interbotix's X-series arms is a slider-crank: a horn on the motor, and an arm from it to the finger. Lengths in m. */
const HORN = 0.022;
const ARM = 0.036;

/** openpi's `linear_to_radian` (aloha_policy.py). The geometry and both lengths are Interbotix's. */
const INTERBOTIX_GRIPPER: Transform = {
  /** Position of a finger (m) → angle of the motor (rad, −π/2 … π/2). */
  forward: (finger) => {
    const sine = (HORN ** 2 + finger ** 2 - ARM ** 2) / (2 * HORN * finger);
    return Math.asin(Math.max(-1, Math.min(1, sine)));
  },
  /** Angle of the motor (rad) → position of a finger (m). */
  inverse: (angle) => {
    const limited = Math.max(-Math.PI / 2, Math.min(Math.PI / 2, angle));
    return HORN * Math.sin(limited) + Math.sqrt(ARM ** 2 - (HORN * Math.cos(limited)) ** 2);
  },
};

const TRANSFORMS_BY_NAME: Readonly<Record<TransformName, Transform>> = {
  none: { forward: (value) => value, inverse: (value) => value },
  interbotix_gripper: INTERBOTIX_GRIPPER,
};

/** Value in a message → model value before normalisation. */
export function toModel(value: number, { transform, scale, offset }: Units): number {
  return (TRANSFORMS_BY_NAME[transform].forward(value) - offset) / scale;
}

/** Unnormalised model value → value in a message. */
export function toRobot(value: number, { transform, scale, offset }: Units): number {
  return TRANSFORMS_BY_NAME[transform].inverse(value * scale + offset);
}

/** Whether two conversions are equal. */
export function sameUnits(a: Units, b: Units): boolean {
  return a.transform === b.transform && a.scale === b.scale && a.offset === b.offset;
}
