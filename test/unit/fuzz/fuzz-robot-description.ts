import { CdrWriter } from '@foxglove/cdr';
import { decodeString } from '../../../src/messages/decode.js';
import { parseUrdf, type RobotModel } from '../../../src/robot/urdf.js';
import { type Findings, noFindings, recordError } from './findings.js';
import { mutateBytes } from './mutate.js';
import { Random } from './random.js';

const TOPIC = '/robot_description';
const URDF = `<?xml version="1.0"?>
<robot name="arm"><link name="base"/><link name="upper"/><link name="tool"/><link name="finger"/>
<joint name="shoulder" type="revolute"><parent link="base"/><child link="upper"/><origin xyz="0 0.1 0.3" rpy="0 1.57 0"/>
<axis xyz="0 0 1"/><limit lower="-2.9" upper="2.9" velocity="2.2" effort="80"/></joint>
<joint name="wrist" type="continuous"><parent link="upper"/><child link="tool"/><axis xyz="1 0 0"/></joint>
<joint name="grip" type="prismatic"><parent link="tool"/><child link="finger"/><limit lower="0" upper="0.04" velocity="0.2"/>
<mimic joint="wrist" multiplier="2" offset="0.1"/></joint></robot>`;
const NUMBERS = [
  '',
  ' ',
  'NaN',
  'inf',
  '1e999',
  '-1e308',
  '1e308',
  '5e-324',
  '-0',
  '0x10',
  '1,5',
  '١',
  '1 2',
  '0 0 0',
  '1.7e308 1.7e308 1.7e308',
];
const NAMES = [
  'base',
  'upper',
  'tool',
  'shoulder',
  'wrist',
  '',
  '\u00e9',
  '&#10;',
  '&amp;',
  '&lt;',
  '__proto__',
  'constructor',
];

/** Changes URDFs in their text, their numbers, names and elements, and in the bytes of their messages. */
export function fuzzRobotDescription(count: number, seed: number): Findings {
  const random = new Random(seed);
  const findings = noFindings();
  for (; findings.count < count; findings.count++) {
    let xml = URDF;
    for (let i = random.below(3); i >= 0; i--) xml = changed(xml, random);
    const message = new CdrWriter().string(xml).data;
    const cdr = random.below(4) === 0 ? mutateBytes(message, random) : message;
    const report = (what: string): number => findings.wrong.push(`${what}: ${Buffer.from(cdr).toString('latin1')}`);
    try {
      const wrong = contradiction(parseUrdf(decodeString(cdr, TOPIC), TOPIC));
      if (wrong !== undefined) report(wrong);
      findings.accepted++;
    } catch (error) {
      recordError(findings, error, report);
    }
  }
  return findings;
}

function changed(xml: string, random: Random): string {
  const quoted = [...xml.matchAll(/"([^"]*)"/g)];
  const elements = [...xml.matchAll(/<[^>]+>/g)];
  const [text, of] = random.below(2) === 0 ? [quoted, random.of(quoted)] : [elements, random.of(elements)];
  if (of === undefined) return xml;
  const [before, after] = [xml.slice(0, of.index), xml.slice(of.index + of[0].length)];
  if (text === quoted) return `${before}"${random.of(random.below(2) === 0 ? NUMBERS : NAMES)}"${after}`;
  return before + random.of(['', of[0] + of[0], '<!-- -->', '<![CDATA[x]]>', of[0].replace('/', '')]) + after;
}

/** What is wrong with a model that was accepted. */
function contradiction({ root, links, joints }: RobotModel): string | undefined {
  if (!links.has(root)) return 'no root';
  const children = new Set([...joints.values()].map(({ child }) => child));
  if (children.size !== joints.size || children.size !== links.size - 1 || children.has(root)) return 'no tree';
  for (const { type, parent, child, xyz, rpy, axis, lower, upper, velocity, mimic } of joints.values()) {
    if (!links.has(parent) || !links.has(child)) return 'a link that is not there';
    if (mimic !== undefined && !joints.has(mimic.joint)) return 'a joint that is not there';
    const numbers = [...xyz, ...rpy, ...axis, mimic?.multiplier ?? 0, mimic?.offset ?? 0];
    if (!numbers.every(Number.isFinite)) return 'a number that is not finite';
    if (Math.abs(Math.hypot(...axis) - 1) > 1e-9) return `an axis of another length than 1 (${axis.join(' ')})`;
    const limited = type === 'revolute' || type === 'prismatic';
    if (Number.isFinite(lower) !== limited || Number.isFinite(upper) !== limited)
      return 'limits that are not of the type';
    if (Number.isNaN(velocity)) return 'a velocity that is no number';
  }
  return undefined;
}
