/**
 * Between a joint's value in a message and the model's value, in and out. On the message's side there may be a transform
 * that no scale can express; scale and offset lie between it and the model.
 */

export const TRANSFORMS = ['none', 'interbotix_gripper'] as const;
export type TransformName = (typeof TRANSFORMS)[number];

export interface Units {
  readonly transform: TransformName;
  readonly scale: number;
  readonly offset: number;
}

interface Transform {
  /** The message's value as scale and offset see it. */
  readonly in: (value: number) => number;
  /** Its inverse. */
  readonly out: (value: number) => number;
}

/** m: the gripper of Interbotix's X-series arms is a slider-crank, a horn on the motor and an arm from it to the finger. */
const HORN = 0.022;
const ARM = 0.036;

/** openpi writes it as `linear_to_radian` in aloha_policy.py; the geometry and both lengths are Interbotix's. */
const INTERBOTIX_GRIPPER: Transform = {
  /** A finger's position (m) as the motor's angle (rad, −π/2 … π/2). */
  in: (finger) => {
    const sine = (HORN ** 2 + finger ** 2 - ARM ** 2) / (2 * HORN * finger);
    return Math.asin(Math.max(-1, Math.min(1, sine)));
  },
  /** The motor's angle (rad) as its finger's position (m). */
  out: (angle) => {
    const within = Math.max(-Math.PI / 2, Math.min(Math.PI / 2, angle));
    return HORN * Math.sin(within) + Math.sqrt(ARM ** 2 - (HORN * Math.cos(within)) ** 2);
  },
};

const BY_NAME: Readonly<Record<TransformName, Transform>> = {
  none: { in: (value) => value, out: (value) => value },
  interbotix_gripper: INTERBOTIX_GRIPPER,
};

/** A joint's value in a message → the model's value before normalisation. */
export function toModel(value: number, { transform, scale, offset }: Units): number {
  return (BY_NAME[transform].in(value) - offset) / scale;
}

/** The model's unnormalised value → a joint's value in a message. */
export function toRobot(value: number, { transform, scale, offset }: Units): number {
  return BY_NAME[transform].out(value * scale + offset);
}

/** Whether the model's values of two joints mean the same. */
export function sameUnits(one: Units, other: Units): boolean {
  return one.transform === other.transform && one.scale === other.scale && one.offset === other.offset;
}
