import { expect, test } from '@jest/globals';
import type { PolicyConfig } from '../../../src/config/config.js';
import { parseUrdf } from '../../../src/robot/urdf.js';
import { ToolGuard } from '../../../src/schedule/tool-guard.js';
import { Harness, TICK, watchRejections } from './harness.js';
import { actionJoint, joints, robot, T0 } from './robot.js';

watchRejections();

/** Joint `a` moves the tool along x. */
const slide = parseUrdf(
  `<robot name="slide"><link name="base"/><link name="tool"/>
    <joint name="a" type="prismatic"><parent link="base"/><child link="tool"/><limit lower="-9" upper="9" velocity="99"/></joint>
  </robot>`,
  'slide.urdf',
);

/** The tool is limited to x = 3.5 m. */
function limited(kind: 'position' | 'velocity'): Harness {
  const limits = { kind, lower: -90, upper: 90, maxVelocity: 99, maxAcceleration: 1e9 };
  const config: PolicyConfig = robot(
    {
      action: { joints: [actionJoint('a', limits), actionJoint('b', limits)], bound: 'none' },
      tool: { link: 'tool', lower: undefined, upper: [3.5, 9, 9], maxSpeed: undefined, planes: [] },
    },
    { replanSteps: 6 },
  );
  return new Harness(config, undefined, new ToolGuard(config, slide));
}

test('a_chunk_is_executed_and_published_up_to_the_step_that_takes_the_tool_out', async () => {
  const harness = limited('position');
  harness.offer(T0);
  await harness.engine.answer(0);
  expect(harness.takeLog()).toEqual(['WORKSPACE', 'chunk']);
  expect(harness.faults[0]?.message).toContain('Expected tool within safety.workspace.upper x 3.5, received [4.000, ');
  expect([harness.chunks[0]?.rows, [...harness.chunks[0]!.values]]).toEqual([4, [0, 0, 1, 1, 2, 2, 3, 3]]);
  const commands: string[] = [];
  for (let tick = 1n; tick <= 5n; tick++) {
    harness.pipeline.offerJoints(joints(T0 + tick * TICK, { a: Number(tick) - 1, b: 0 }), T0 + tick * TICK);
    commands.push(...harness.tick(T0 + tick * TICK));
  }
  expect(commands.filter((entry) => entry.startsWith('step'))).toEqual(['step 0', 'step 1', 'step 2', 'step 3']);
  expect(commands).toContain('hold 3');
});

test('a_chunk_without_a_step_inside_is_not_executed', async () => {
  const harness = limited('position');
  harness.offer(T0);
  await harness.engine.answer(4);
  expect(harness.takeLog()).toEqual(['WORKSPACE']);
  expect(harness.chunks).toEqual([]);
  expect(harness.tick(T0 + TICK).filter((entry) => entry.startsWith('step'))).toEqual([]);
});

test('a_command_that_takes_the_tool_out_from_where_it_is_now_stops_the_robot', async () => {
  const harness = limited('velocity');
  harness.offer(T0);
  await harness.engine.answer(1);
  expect(harness.takeLog()).toEqual(['chunk']);
  expect(harness.tick(T0 + TICK)).toEqual(['step 1']);
  harness.pipeline.offerJoints(joints(T0 + 2n * TICK, { a: 3.4, b: 0 }), T0 + 2n * TICK);
  expect(harness.tick(T0 + 2n * TICK)).toEqual(['stop 0', 'WORKSPACE']);
  expect(harness.faults[0]?.message).toContain('; stopped');
});
