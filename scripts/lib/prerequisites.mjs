import { root } from './paths.mjs';
import { Problem } from './problem.mjs';
import { basePython } from './python.mjs';
import { checkSourcedRos, sourcedRos } from './ros.mjs';
import { output } from './run.mjs';

const NODE = [20, 20];

/** Each thing set-up cannot bring itself, before any time is spent. Throws a Problem that names the remedy. */
export function checkPrerequisites() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < NODE[0] || (major === NODE[0] && minor < NODE[1])) {
    throw new Problem(
      `Expected Node.js ${NODE.join('.')} or later, found ${process.versions.node}: install a newer one from nodejs.org.`,
      2,
    );
  }
  if (root.includes(':'))
    throw new Problem(`Expected a checkout path without ':', which ROS 2 splits paths at, found ${root}: move it.`, 2);
  const ros = sourcedRos();
  if (ros) checkSourcedRos(ros);
  else if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Problem(
      `ROS 2 is brought along for Linux on x86-64 only, this is ${process.platform} on ${process.arch}: install and source ROS 2 Jazzy.`,
      2,
    );
  }
  basePython();
  for (const [command, remedy] of [
    ['npm', 'install the npm that comes with Node.js'],
    ['cmake', 'apt-get install cmake'],
    ['make', 'apt-get install make'],
    ['g++', 'apt-get install g++'],
  ]) {
    if (output(command, ['--version']) === undefined)
      throw new Problem(`The command ${command} was not found: ${remedy}.`, 2);
  }
}
