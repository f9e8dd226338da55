import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { readUrdfFile } from '../../../src/robot/description.js';
import { Kinematics } from '../../../src/robot/kinematics.js';
import { parseUrdf } from '../../../src/robot/urdf.js';
import { packageRoot } from '../root.js';

interface Robot {
  readonly urdf: string;
  readonly joints: readonly string[];
  /** `poses`: position and row-major rotation by link, from MuJoCo. */
  readonly states: readonly { values: number[]; poses: Record<string, number[]> }[];
}

const ROBOTS = JSON.parse(readFileSync(join(packageRoot, 'test', 'fixtures', 'robot', 'poses.json'), 'utf8')) as Record<
  string,
  Robot
>;

describe.each(Object.entries(ROBOTS))('%s', (_, { urdf, joints, states }) => {
  const model = readUrdfFile(join(packageRoot, urdf));

  test.each(Object.keys(states[0]!.poses))('the_poses_of_%s_are_those_of_MuJoCo', (link) => {
    const kinematics = new Kinematics(model, link);
    expect(states).toHaveLength(200);
    let error = 0;
    for (const { values, poses } of states) {
      const { position, rotation } = kinematics.pose(kinematics.joints.map((name) => values[joints.indexOf(name)]!));
      [...position, ...rotation].forEach((value, i) => {
        error = Math.max(error, Math.abs(value - poses[link]![i]!));
      });
    }
    expect(error).toBeLessThan(1e-9);
  });
});

test('a_joint_that_mimics_is_moved_by_the_joint_at_the_end_of_its_mimics', () => {
  const model = readUrdfFile(join(packageRoot, 'test', 'fixtures', 'robot', 'odd.urdf'));
  expect(new Kinematics(model, 'tool').joints).toEqual(['turn', 'slide', 'spin']);
});

test('the_root_link_is_at_the_origin', () => {
  const model = readUrdfFile(join(packageRoot, 'sim', 'gazebo', 'arm.urdf'));
  const kinematics = new Kinematics(model, 'world');
  expect(kinematics.joints).toEqual([]);
  expect(kinematics.pose([]).position).toEqual([0, 0, 0]);
});

const chain = (middle: string): string => `<robot name="r"><link name="a"/><link name="b"/><link name="c"/>
  <joint name="j" type="floating"><parent link="a"/><child link="b"/></joint>${middle}</robot>`;

test('another_type_of_joint_above_the_link_is_refused', () => {
  const model = parseUrdf(chain('<joint name="k" type="fixed"><parent link="b"/><child link="c"/></joint>'), 'a.urdf');
  expect(() => new Kinematics(model, 'c')).toThrow(
    expect.objectContaining({
      code: 'ROBOT_DESCRIPTION_JOINT',
      message: 'Expected revolute, continuous, prismatic or fixed joints above c in a.urdf, received j (floating)',
    }),
  );
});

test('an_unknown_link_is_refused_with_the_links_there_are', () => {
  const model = parseUrdf('<robot name="r"><link name="a"/></robot>', 'a.urdf');
  expect(() => new Kinematics(model, 'hand')).toThrow(
    expect.objectContaining({ code: 'ROBOT_DESCRIPTION_LINK', message: 'Expected a link hand in a.urdf, received a' }),
  );
});

test('joints_that_mimic_each_other_are_refused', () => {
  const joint = (name: string, parent: string, child: string, mimics: string): string =>
    `<joint name="${name}" type="continuous"><parent link="${parent}"/><child link="${child}"/><mimic joint="${mimics}"/></joint>`;
  const links = '<link name="a"/><link name="b"/><link name="c"/>';
  const model = parseUrdf(`<robot>${links}${joint('j', 'a', 'b', 'k')}${joint('k', 'b', 'c', 'j')}</robot>`, 'a.urdf');
  expect(() => new Kinematics(model, 'c')).toThrow('received a loop of mimics');
});
