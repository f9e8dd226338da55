import { describe, expect, test } from '@jest/globals';
import type { ActionJoint, PolicyConfig, ToolConfig } from '../../../src/config/config.js';
import type { CommandReason } from '../../../src/frame/frame.js';
import { parseUrdf } from '../../../src/robot/urdf.js';
import { type JointMotion, limitPosition } from '../../../src/schedule/limits.js';
import { createToolGuard, ToolGuard } from '../../../src/schedule/tool-guard.js';
import { actionJoint, random, robot, T0 } from '../pipeline/robot.js';
import { chunk } from './harness.js';

/** A gantry: joints `a` and `b` move the tool along x and y, so positions are easy to read. */
const gantry = parseUrdf(
  `<robot name="gantry"><link name="base"/><link name="x"/><link name="tool"/>
    <joint name="a" type="prismatic"><parent link="base"/><child link="x"/><axis xyz="1 0 0"/>
      <limit lower="-10" upper="10" velocity="10"/></joint>
    <joint name="b" type="prismatic"><parent link="x"/><child link="tool"/><axis xyz="0 1 0"/>
      <limit lower="-10" upper="10" velocity="10"/></joint></robot>`,
  'gantry.urdf',
);

const OFF: ToolConfig = { link: 'tool', lower: undefined, upper: undefined, maxSpeed: undefined, planes: [] };
const LIMITS = { lower: -10, upper: 10, maxVelocity: 100, maxAcceleration: 1e9 };

function config(
  tool: Partial<ToolConfig>,
  changes: Partial<ActionJoint> = {},
  more: Partial<PolicyConfig> = {},
): PolicyConfig {
  const joints = ['a', 'b'].map((name) => actionJoint(name, { ...LIMITS, ...changes }));
  return robot({ action: { joints, bound: 'none' }, tool: { ...OFF, ...tool }, ...more });
}

function guard(tool: Partial<ToolConfig>, changes: Partial<ActionJoint> = {}): ToolGuard {
  return new ToolGuard(config(tool, changes), gantry);
}

const at = (x: number, y = 0): Float64Array => Float64Array.of(x, y);
const command = (values: Float64Array, reason: CommandReason = 'step'): Parameters<ToolGuard['checkCommand']>[0] => {
  return { time: T0, reason, values };
};

/** One period of a position joint towards `target`, or braking. */
function moved(last: JointMotion, joint: ActionJoint, target: number | undefined, moves: boolean): JointMotion {
  const position = limitPosition(moves ? (target ?? last.position) : last.position, joint, last, 0.1);
  return { position, velocity: (position - last.position) / 0.1 };
}

describe('a chunk of positions', () => {
  const box = { lower: [-1, -1, -1], upper: [1, 1, 1] };

  test('is_not_cut_where_every_step_is_in_the_workspace', () => {
    expect(
      guard(box).checkChunk(
        chunk(T0, [
          [0, 0],
          [0.5, 0.5],
          [1, -1],
        ]),
        0,
        at(0),
      ),
    ).toBeUndefined();
  });

  test('ends_before_the_first_step_outside', () => {
    const end = guard(box).checkChunk(
      chunk(T0, [
        [0, 0],
        [0.5, 0],
        [0.9, -1.01],
        [0, 0],
      ]),
      0,
      at(0),
    );
    expect(end?.rows).toBe(2);
    expect(String(end?.fault)).toBe(
      'WORKSPACE: Expected tool within safety.workspace.lower y -1, received [0.900, -1.010, 0.000] m, 0.010 m outside, ' +
        'in step 2 of a chunk; the steps from there are not executed',
    );
  });

  test('is_checked_from_the_step_that_is_executed_next', () => {
    const values = [
      [5, 0],
      [0, 0],
      [0.1, 0],
    ];
    expect(guard(box).checkChunk(chunk(T0, values), 0, at(0))?.rows).toBe(0);
    expect(guard(box).checkChunk(chunk(T0, values), 1, at(0))).toBeUndefined();
  });

  test('ends_where_the_arm_can_still_brake_inside', () => {
    const limits = { maxAcceleration: 1, maxVelocity: 0.5 };
    const steps = Array.from({ length: 60 }, (_, i) => [0.05 * (i + 1), 0]);
    const end = guard(box, limits).checkChunk(chunk(T0, steps), 0, at(0))!;
    const joint = actionJoint('a', { ...LIMITS, ...limits });
    /** Where the arm comes to rest after this many steps, moved as the schedule moves it. */
    const restAfter = (rows: number): number => {
      let motion = { position: 0, velocity: 0 };
      for (let tick = 0; tick < rows + 20; tick++) motion = moved(motion, joint, steps[tick]?.[0], tick < rows);
      return motion.position;
    };
    expect(end.rows).toBeGreaterThan(10);
    expect(restAfter(end.rows)).toBeLessThanOrEqual(1);
    expect(restAfter(end.rows + 2)).toBeGreaterThan(1);
  });

  test('is_limited_first_so_a_jump_is_not_what_is_checked', () => {
    const end = guard(box, { maxVelocity: 1 }).checkChunk(chunk(T0, [[5, 0]]), 0, at(0));
    expect(end).toBeUndefined();
  });

  test('in_sync_mode_is_checked_up_to_the_steps_that_are_executed', () => {
    const base = config(box);
    const sync = { ...base, schedule: { ...base.schedule, mode: 'sync', replanSteps: 2 } } as const;
    expect(
      new ToolGuard(sync, gantry).checkChunk(
        chunk(T0, [
          [0, 0],
          [0, 0],
          [3, 0],
        ]),
        0,
        at(0),
      ),
    ).toBeUndefined();
  });
});

describe('a chunk of velocities', () => {
  test.each([false, true])('is_integrated_from_where_the_arm_is (integrated: %j)', (integrated) => {
    const box = { upper: [1, 1, 1] };
    const velocity = guard(box, { kind: 'velocity', integrated });
    const steps = Array.from({ length: 10 }, () => [2, 0]);
    // 0.2 m per step at 10 Hz.
    expect(velocity.checkChunk(chunk(T0, steps), 0, at(0.5))?.rows).toBe(2);
    expect(velocity.checkChunk(chunk(T0, steps), 0, at(-0.5))?.rows).toBe(7);
  });
});

test('a_plane_is_crossed_on_its_wrong_side_only', () => {
  const table = { planes: [{ name: 'table', normal: [0, 2, 0], offset: -0.5 }] };
  expect(
    guard(table).checkChunk(
      chunk(T0, [
        [0, 0.2],
        [0, -0.5],
      ]),
      0,
      at(0),
    ),
  ).toBeUndefined();
  expect(String(guard(table).checkChunk(chunk(T0, [[0, -0.6]]), 0, at(0))?.fault)).toContain(
    'Expected tool within safety.keep_out_planes.table, received [0.000, -0.600, 0.000] m, 0.100 m outside',
  );
});

test('the_speed_of_the_tool_is_that_of_both_joints_together', () => {
  const speed = { maxSpeed: 4.5 };
  expect(
    guard(speed).checkChunk(
      chunk(T0, [
        [0.3, 0.3],
        [0.6, 0.6],
      ]),
      0,
      at(0),
    ),
  ).toBeUndefined();
  expect(
    String(
      guard(speed).checkChunk(
        chunk(T0, [
          [0.3, 0.3],
          [0.7, 0.6],
        ]),
        0,
        at(0),
      )?.fault,
    ),
  ).toContain('Expected tool at most 4.5 m/s fast, received 5.000 m/s, in step 1');
});

describe('a tool that is outside', () => {
  const box = { upper: [1, 1, 1] };

  test('may_stay_and_move_back_but_not_further_out', () => {
    expect(
      guard(box).checkChunk(
        chunk(T0, [
          [1.5, 0],
          [1.4, 0],
          [0.9, 0],
        ]),
        0,
        at(1.5),
      ),
    ).toBeUndefined();
    expect(
      guard(box).checkChunk(
        chunk(T0, [
          [1.4, 0],
          [1.45, 0],
        ]),
        0,
        at(1.5),
      )?.rows,
    ).toBe(1);
  });

  test('may_not_leave_through_another_side', () => {
    expect(guard(box).checkChunk(chunk(T0, [[1.4, 1.1]]), 0, at(1.5))?.rows).toBe(0);
  });
});

describe('a command', () => {
  const box = { upper: [1, 1, 1] };

  test('outside_is_a_reason_to_stop', () => {
    const tool = guard(box);
    expect(tool.checkCommand(command(at(0.9)), at(0.8))).toBeUndefined();
    expect(String(tool.checkCommand(command(at(1.1)), at(0.9)))).toBe(
      'WORKSPACE: Expected tool within safety.workspace.upper x 1, received [1.100, 0.000, 0.000] m, 0.100 m outside; stopped',
    );
  });

  test('of_velocities_is_checked_from_the_measured_position', () => {
    const tool = guard(box, { kind: 'velocity' });
    expect(tool.checkCommand(command(at(2)), at(0.7))).toBeUndefined();
    expect(tool.checkCommand(command(at(2)), at(0.9))?.code).toBe('WORKSPACE');
  });

  test('that_brakes_is_never_refused_after_steps_that_were_not', () => {
    const next = random(12);
    const joint = actionJoint('a', { ...LIMITS, maxVelocity: 2, maxAcceleration: 3 });
    let refused = 0;
    for (let run = 0; run < 300; run++) {
      const tool = guard(box, { maxVelocity: 2, maxAcceleration: 3 });
      let motion: JointMotion = { position: -1 - next(), velocity: 0 };
      for (let tick = 0; tick < 60; tick++) {
        const step = moved(motion, joint, motion.position + next() - 0.2, true);
        const measured = at(motion.position);
        if (next() < 0.1) {
          while (motion.velocity !== 0) {
            motion = moved(motion, joint, undefined, false);
            expect(tool.checkCommand(command(at(motion.position), 'hold'), measured)).toBeUndefined();
          }
        } else if (tool.checkCommand(command(at(step.position)), measured) === undefined) motion = step;
        else {
          refused++;
          break;
        }
        expect(motion.position).toBeLessThanOrEqual(1 + 1e-6);
      }
    }
    expect(refused).toBeGreaterThan(50);
  });

  test('is_not_checked_where_the_position_of_a_joint_is_unknown', () => {
    expect(guard(box, { kind: 'velocity' }).checkCommand(command(at(9)), Float64Array.of(NaN, 0))).toBeUndefined();
  });

  test('after_a_stop_starts_from_the_measured_position', () => {
    const tool = guard({ maxSpeed: 5 });
    tool.checkCommand(command(at(0)), at(0));
    tool.checkCommand(command(at(0.3), 'stop'), at(0.3));
    expect(tool.checkCommand(command(at(3)), at(2.9))).toBeUndefined();
  });
});

describe('a configuration', () => {
  test('without_a_tool_needs_no_URDF', () => {
    expect(createToolGuard(config({ link: '' }), undefined)).toBeUndefined();
  });

  test('with_a_tool_needs_one', () => {
    expect(() => createToolGuard(config({ upper: [1, 1, 1] }), undefined)).toThrow(
      expect.objectContaining({ code: 'ROBOT_DESCRIPTION_MISSING' }),
    );
  });

  test('must_command_every_joint_that_moves_the_tool', () => {
    const base = config({ upper: [1, 1, 1] });
    const action = { ...base.action, joints: base.action.joints.slice(0, 1) };
    expect(() => new ToolGuard({ ...base, action }, gantry)).toThrow(
      expect.objectContaining({
        code: 'ROBOT_DESCRIPTION_JOINT',
        message: 'Expected the joints above tool in gantry.urdf among action.joints, received none for b',
      }),
    );
  });
});
