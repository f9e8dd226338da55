import { parseXml, XmlElement, XmlError } from '@rgrove/parse-xml';
import { errorMessage, Pi05Error } from '../errors.js';
import { excerpt, oneLine } from '../format.js';

/** x, y, z. */
export type Vector = readonly [number, number, number];

/** A `joint` of a URDF, as in the specification of the format (wiki.ros.org/urdf/XML/joint). */
export interface UrdfJoint {
  readonly name: string;
  readonly type: JointType;
  readonly parent: string;
  readonly child: string;
  /** Frame of the joint in that of its parent link: position, m, and roll, pitch, yaw, rad. */
  readonly xyz: Vector;
  readonly rpy: Vector;
  /** Unit vector in the frame of the joint. */
  readonly axis: Vector;
  /** Position limits, rad or m, and largest speed, rad/s or m/s; infinite where the URDF has none. */
  readonly lower: number;
  readonly upper: number;
  readonly velocity: number;
  /** position = multiplier × position of `joint` + offset. */
  readonly mimic: { readonly joint: string; readonly multiplier: number; readonly offset: number } | undefined;
}

const JOINT_TYPES = ['revolute', 'continuous', 'prismatic', 'fixed', 'floating', 'planar'] as const;
export type JointType = (typeof JOINT_TYPES)[number];

/** The kinematic tree of a robot. */
export interface RobotModel {
  readonly name: string;
  /** Where the URDF came from, for messages: a topic or a file. */
  readonly source: string;
  /** The link that is no joint's child. */
  readonly root: string;
  readonly links: ReadonlySet<string>;
  readonly joints: ReadonlyMap<string, UrdfJoint>;
}

/**
 * Reads the links, joints and limits of a URDF; everything else in it is ignored.
 * @param source a topic or a file, for messages. @throws Pi05Error ROBOT_DESCRIPTION_DATA.
 */
export function parseUrdf(xml: string, source: string): RobotModel {
  const fail = (expected: string, received: string): never => {
    throw new Pi05Error('ROBOT_DESCRIPTION_DATA', `Expected ${expected} in ${source}, received ${received}`, source);
  };
  const robot = rootElement(xml, fail);
  const links = new Set<string>();
  for (const link of childrenOf(robot, 'link')) {
    const name = attribute(link, 'name', 'a link', fail);
    if (links.has(name)) fail('each link once', `${short(name)} twice`);
    links.add(name);
  }
  const joints = new Map<string, UrdfJoint>();
  for (const element of childrenOf(robot, 'joint')) {
    const joint = readJoint(element, fail);
    if (joints.has(joint.name)) fail('each joint once', `${short(joint.name)} twice`);
    joints.set(joint.name, joint);
  }
  return { name: robot.attributes['name'] ?? '', source, root: rootOf(links, joints, fail), links, joints };
}

type Fail = (expected: string, received: string) => never;

function rootElement(xml: string, fail: Fail): XmlElement {
  let robot: XmlElement | null = null;
  try {
    robot = parseXml(xml).root;
  } catch (error) {
    // The parser calls itself for each element inside another one.
    if (error instanceof RangeError) fail('a URDF', 'elements that are nested too deeply');
    if (!(error instanceof XmlError)) throw error;
    fail('a URDF', `no XML (${excerpt(errorMessage(error).split('\n')[0]!, 160)})`);
  }
  if (robot === null || robot.name !== 'robot')
    return fail('a URDF, whose root element is robot,', short(robot?.name ?? 'nothing'));
  return robot;
}

function readJoint(element: XmlElement, fail: Fail): UrdfJoint {
  const name = attribute(element, 'name', 'a joint', fail);
  const about = `joint ${short(name)}`;
  const type = attribute(element, 'type', about, fail);
  if (!isJointType(type)) return fail(`one of ${JOINT_TYPES.join(', ')} as the type of ${about}`, short(type));
  const child = (tag: string): XmlElement | undefined => childrenOf(element, tag)[0];
  const link = (tag: string): string => {
    const found = child(tag);
    return found === undefined
      ? fail(`a ${tag} of ${about}`, 'none')
      : attribute(found, 'link', `the ${tag} of ${about}`, fail);
  };
  const origin = child('origin');
  const vector = (from: XmlElement | undefined, key: string, otherwise: Vector): Vector =>
    readVector(from?.attributes[key], otherwise, `${key} of ${about}`, fail);
  const mimic = child('mimic');
  return {
    name,
    type,
    parent: link('parent'),
    child: link('child'),
    xyz: vector(origin, 'xyz', [0, 0, 0]),
    rpy: vector(origin, 'rpy', [0, 0, 0]),
    axis: unit(vector(child('axis'), 'xyz', [1, 0, 0]), `the axis of ${about}`, fail),
    ...readLimits(type, child('limit'), about, fail),
    mimic: mimic && {
      joint: attribute(mimic, 'joint', `the mimic of ${about}`, fail),
      multiplier: number(mimic, 'multiplier', 1, about, fail),
      offset: number(mimic, 'offset', 0, about, fail),
    },
  };
}

/** A revolute or prismatic joint must have a limit element, whose lower and upper are 0 by default. */
function readLimits(
  type: JointType,
  limit: XmlElement | undefined,
  about: string,
  fail: Fail,
): Pick<UrdfJoint, 'lower' | 'upper' | 'velocity'> {
  const limited = type === 'revolute' || type === 'prismatic';
  if (limit === undefined) {
    if (limited) fail(`a limit of ${about}`, 'none');
    return { lower: -Infinity, upper: Infinity, velocity: Infinity };
  }
  const velocity = number(limit, 'velocity', Infinity, about, fail);
  if (!limited) return { lower: -Infinity, upper: Infinity, velocity };
  return { lower: number(limit, 'lower', 0, about, fail), upper: number(limit, 'upper', 0, about, fail), velocity };
}

/** The only link that is no child. Every other link must have one parent, and all must hang together. */
function rootOf(links: ReadonlySet<string>, joints: ReadonlyMap<string, UrdfJoint>, fail: Fail): string {
  const parentOf = new Map<string, string>();
  for (const { name, parent, child } of joints.values()) {
    for (const link of [parent, child])
      if (!links.has(link)) fail(`a link ${short(link)}, which joint ${short(name)} names,`, 'none');
    if (parentOf.has(child)) fail(`one joint above ${short(child)}`, 'two');
    parentOf.set(child, parent);
  }
  for (const { name, mimic } of joints.values()) {
    if (mimic !== undefined && !joints.has(mimic.joint))
      fail(`a joint ${short(mimic.joint)}, which ${short(name)} mimics,`, 'none');
  }
  const roots = [...links].filter((link) => !parentOf.has(link));
  const [root, ...others] = roots;
  if (root === undefined) return fail('a root link', links.size === 0 ? 'no link' : 'a loop of joints');
  if (others.length > 0) fail('one root link', short(roots.join(', ')));
  const connected = new Set([root]);
  for (const link of links) {
    const path = new Set<string>();
    for (let above = link; !connected.has(above); above = parentOf.get(above)!) {
      if (path.has(above)) fail('a tree of links', `a loop at ${short(above)}`);
      path.add(above);
    }
    for (const one of path) connected.add(one);
  }
  return root;
}

function childrenOf(element: XmlElement, name: string): XmlElement[] {
  return element.children.filter((child): child is XmlElement => child instanceof XmlElement && child.name === name);
}

/** A text of the URDF in a sentence. */
function short(text: string): string {
  return excerpt(oneLine(text));
}

function isJointType(type: string): type is JointType {
  return (JOINT_TYPES as readonly string[]).includes(type);
}

function attribute(element: XmlElement, key: string, about: string, fail: Fail): string {
  const value = element.attributes[key];
  return value === undefined || value === '' ? fail(`the attribute ${key} of ${about}`, 'none') : value;
}

function number(element: XmlElement, key: string, otherwise: number, about: string, fail: Fail): number {
  const text = element.attributes[key];
  if (text === undefined) return otherwise;
  const value = text.trim() === '' ? NaN : Number(text);
  return Number.isFinite(value) ? value : fail(`a finite ${key} of ${about}`, JSON.stringify(short(text)));
}

function readVector(text: string | undefined, otherwise: Vector, about: string, fail: Fail): Vector {
  if (text === undefined) return otherwise;
  const values = text.trim().split(/\s+/).map(Number);
  const [x = NaN, y = NaN, z = NaN] = values;
  if (values.length !== 3 || !values.every(Number.isFinite))
    fail(`three numbers for ${about}`, JSON.stringify(short(text)));
  return [x, y, z];
}

function unit([x, y, z]: Vector, about: string, fail: Fail): Vector {
  // Divided by the largest first, since the length of numbers near the largest double is infinite.
  const largest = Math.max(Math.abs(x), Math.abs(y), Math.abs(z));
  if (largest === 0) return fail(`a direction for ${about}`, '0 0 0');
  const length = Math.hypot(x / largest, y / largest, z / largest);
  return [x / largest / length, y / largest / length, z / largest / length];
}
