import { Pi05Error } from '../errors.js';
import type { RobotModel, UrdfJoint, Vector } from './urdf.js';

/** Row-major 3×3. */
type Rotation = readonly number[];

/** Position, m, and orientation of a frame in that of the root link. */
export interface Pose {
  readonly position: Vector;
  /** Row-major 3×3. */
  readonly rotation: Rotation;
}

interface Segment {
  readonly joint: UrdfJoint;
  /** The fixed part: the frame of the joint in that of its parent. */
  readonly rotation: Rotation;
  /** Index in `joints`; undefined for a fixed joint. */
  readonly index: number | undefined;
  /** Position of the joint = multiplier × value + offset. */
  readonly multiplier: number;
  readonly offset: number;
}

/**
 * Forward kinematics of one link: its pose from joint positions, as a product of the joints' transforms from the root to it.
 * Revolute, continuous, prismatic and fixed joints; a joint that mimics another moves with it.
 */
export class Kinematics {
  /** The moving joints between the root and the link, in this order; the values of `pose` are in the same. */
  readonly joints: readonly string[];
  readonly #segments: readonly Segment[];

  /** @throws Pi05Error ROBOT_DESCRIPTION_LINK where the URDF has no such link, ROBOT_DESCRIPTION_JOINT for another type of joint. */
  constructor(model: RobotModel, link: string) {
    const joints: string[] = [];
    this.#segments = chainTo(model, link).map((joint) => {
      const rotation = fromRpy(joint.rpy);
      if (joint.type === 'fixed') return { joint, rotation, index: undefined, multiplier: 1, offset: 0 };
      if (joint.type === 'floating' || joint.type === 'planar') {
        throw new Pi05Error(
          'ROBOT_DESCRIPTION_JOINT',
          `Expected revolute, continuous, prismatic or fixed joints above ${link} in ${model.source}, received ${joint.name} (${joint.type})`,
          model.source,
        );
      }
      const { name, multiplier, offset } = independent(model, joint);
      if (!joints.includes(name)) joints.push(name);
      return { joint, rotation, index: joints.indexOf(name), multiplier, offset };
    });
    this.joints = joints;
  }

  /** @param values positions of `joints`, rad or m. */
  pose(values: readonly number[]): Pose {
    let position: Vector = [0, 0, 0];
    let rotation: Rotation = IDENTITY;
    for (const { joint, rotation: fixed, index, multiplier, offset } of this.#segments) {
      position = add(position, rotate(rotation, joint.xyz));
      rotation = product(rotation, fixed);
      if (index === undefined) continue;
      const value = multiplier * values[index]! + offset;
      if (joint.type === 'prismatic') position = add(position, rotate(rotation, scaled(joint.axis, value)));
      else rotation = product(rotation, aboutAxis(joint.axis, value));
    }
    return { position, rotation };
  }
}

/** The joints from the root to the link. */
function chainTo(model: RobotModel, link: string): UrdfJoint[] {
  if (!model.links.has(link)) {
    const links = [...model.links].join(', ');
    throw new Pi05Error(
      'ROBOT_DESCRIPTION_LINK',
      `Expected a link ${link} in ${model.source}, received ${links}`,
      model.source,
    );
  }
  const above = new Map([...model.joints.values()].map((joint) => [joint.child, joint]));
  const chain: UrdfJoint[] = [];
  for (let joint = above.get(link); joint !== undefined; joint = above.get(joint.parent)) chain.unshift(joint);
  return chain;
}

/** The joint that moves this one: itself, or the joint at the end of its mimics. */
function independent(model: RobotModel, joint: UrdfJoint): { name: string; multiplier: number; offset: number } {
  let multiplier = 1;
  let offset = 0;
  let current = joint;
  const seen = new Set([joint.name]);
  while (current.mimic !== undefined) {
    offset += multiplier * current.mimic.offset;
    multiplier *= current.mimic.multiplier;
    current = model.joints.get(current.mimic.joint)!;
    if (seen.has(current.name)) {
      throw new Pi05Error(
        'ROBOT_DESCRIPTION_DATA',
        `Expected ${joint.name} to mimic an independent joint in ${model.source}, received a loop of mimics`,
        model.source,
      );
    }
    seen.add(current.name);
  }
  return { name: current.name, multiplier, offset };
}

const IDENTITY: Rotation = [1, 0, 0, 0, 1, 0, 0, 0, 1];

/** Roll, pitch and yaw about the fixed axes x, y, z: Rz(yaw) · Ry(pitch) · Rx(roll). */
function fromRpy([roll, pitch, yaw]: Vector): Rotation {
  return product(product(aboutAxis([0, 0, 1], yaw), aboutAxis([0, 1, 0], pitch)), aboutAxis([1, 0, 0], roll));
}

/** Rodrigues' formula. @param axis a unit vector. @param angle rad. */
function aboutAxis([x, y, z]: Vector, angle: number): Rotation {
  const c = Math.cos(angle);
  const s = Math.sin(angle);
  const t = 1 - c;
  return [
    ...[t * x * x + c, t * x * y - s * z, t * x * z + s * y],
    ...[t * x * y + s * z, t * y * y + c, t * y * z - s * x],
    ...[t * x * z - s * y, t * y * z + s * x, t * z * z + c],
  ];
}

function product(a: Rotation, b: Rotation): Rotation {
  const columns = [0, 1, 2].map((column): Vector => [b[column]!, b[column + 3]!, b[column + 6]!]);
  return [0, 3, 6].flatMap((row) => columns.map(([x, y, z]) => a[row]! * x + a[row + 1]! * y + a[row + 2]! * z));
}

function rotate(r: Rotation, [x, y, z]: Vector): Vector {
  return [r[0]! * x + r[1]! * y + r[2]! * z, r[3]! * x + r[4]! * y + r[5]! * z, r[6]! * x + r[7]! * y + r[8]! * z];
}

function add([ax, ay, az]: Vector, [bx, by, bz]: Vector): Vector {
  return [ax + bx, ay + by, az + bz];
}

function scaled([x, y, z]: Vector, factor: number): Vector {
  return [x * factor, y * factor, z * factor];
}
