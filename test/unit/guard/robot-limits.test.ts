import { expect, test } from '@jest/globals';
import type { PolicyConfig } from '../../../src/config/config.js';
import { withRobotLimits } from '../../../src/robot/limits.js';
import { parseUrdf } from '../../../src/robot/urdf.js';
import { createToolGuard } from '../../../src/schedule/tool-guard.js';
import { actionJoint } from '../pipeline/robot.js';
import { config, PERIOD, Run } from './harness.js';

/** Joint `a` moves the tool along x. */
const model = parseUrdf(
  `<robot name="slide"><link name="base"/><link name="tool"/><link name="wheel"/>
    <joint name="a" type="prismatic"><parent link="base"/><child link="tool"/><limit lower="-1" upper="1" velocity="2"/></joint>
    <joint name="b" type="revolute"><parent link="base"/><child link="wheel"/><limit lower="-9" upper="9" velocity="1"/></joint>
  </robot>`,
  '/robot_description',
);

const described: PolicyConfig = config(
  {},
  {
    action: {
      joints: [
        actionJoint('a', { maxAcceleration: 1e3 }),
        actionJoint('b', { kind: 'velocity', maxAcceleration: 1e3 }),
      ],
      bound: 'none',
    },
    robotDescription: { topic: '/robot_description', file: '', timeout: 1n },
    tool: { link: 'tool', lower: undefined, upper: [0.7, 9, 9], maxSpeed: undefined, planes: [] },
  },
);

function moving(): Run {
  const run = new Run(described);
  run.receive({ type: 'activate' });
  return run;
}

function withLimits(run: Run): Run {
  const { config: limited } = withRobotLimits(described, model);
  run.guard.setLimits(limited, createToolGuard(limited, model, 0.01));
  return run;
}

test('no_command_passes_before_the_robot_description_has_arrived', () => {
  const run = moving();
  run.command([0.5, 0]);
  expect([run.last, run.guard.state]).toEqual(['nothing', 'stopped']);
  expect(run.guard.cause).toEqual({
    code: 'COMMAND_LIMIT',
    message: 'Expected the robot description before the first command, received none',
  });
  withLimits(run);
  run.advance(PERIOD);
  run.command([0.5, 0]);
  expect(run.last).toBe('step 0.5 0');
});

test('a_command_beyond_a_limit_of_the_robot_description_does_not_pass', () => {
  const run = withLimits(moving());
  run.command([0.5, 0.9]);
  expect(run.last).toBe('step 0.5 0.9');
  run.advance(PERIOD);
  run.command([0.5, 1.1]);
  expect([run.last, run.guard.cause?.code]).toEqual(['stop 0.5 0', 'COMMAND_LIMIT']);
});

test('a_command_that_takes_the_tool_out_does_not_pass', () => {
  const run = withLimits(moving());
  run.command([0.6, 0]);
  expect(run.last).toBe('step 0.6 0');
  run.advance(PERIOD);
  run.command([0.75, 0]);
  expect([run.last, run.guard.cause?.code]).toEqual(['stop 0.5 0', 'WORKSPACE']);
});
