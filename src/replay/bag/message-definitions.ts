import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Pi05Error } from '../../errors.js';

/** The package with the common interfaces of ROS 2 Jazzy as .msg files. */
const library = createRequire(import.meta.url).resolve('@foxglove/rosmsg-msgs-common');
const MESSAGES = join(dirname(library), '..', 'msgdefs', 'ros2jazzy');

const SEPARATOR = '='.repeat(80);
const FIELD = /^\s*(?:([a-z]\w*)\/)?([A-Z]\w*)(?:\[[^\]]*\])?\s/;

/**
 * The definition of a message type and of all types that it contains, in MCAP's `ros2msg` format: the text of the type, then
 * for each further type a line of 80 `=`, a line `MSG: package/Type` and its text.
 * @param type such as `trajectory_msgs/msg/JointTrajectory`. @throws Pi05Error INVALID_ARGUMENT for a type that is not in common_interfaces.
 */
export function messageDefinition(type: string): string {
  const [root, ...others] = withContainedTypes(type.replace('/msg/', '/'));
  return [root!.text, ...others.map(({ name, text }) => `${SEPARATOR}\nMSG: ${name}\n${text}`)].join('');
}

interface Definition {
  readonly name: string;
  readonly text: string;
}

/** A type and all types that it contains, each once, breadth first. */
function withContainedTypes(root: string): Definition[] {
  const definitions: Definition[] = [];
  const names = [root];
  for (const name of names) {
    const text = read(name);
    definitions.push({ name, text });
    for (const line of text.split('\n')) {
      const field = FIELD.exec(line);
      if (field === null) continue;
      const type = `${field[1] ?? name.split('/')[0]}/${field[2]}`;
      if (!names.includes(type)) names.push(type);
    }
  }
  return definitions;
}

/** The text of a type, without the contained types that some files of the library append. */
function read(name: string): string {
  const [packageName = '', type = ''] = name.split('/');
  try {
    const [own = ''] = readFileSync(join(MESSAGES, packageName, 'msg', `${type}.msg`), 'utf8').split(SEPARATOR);
    return `${own.trimEnd()}\n`;
  } catch {
    throw new Pi05Error('INVALID_ARGUMENT', `Expected a common message type of ROS 2, received ${name}`);
  }
}
