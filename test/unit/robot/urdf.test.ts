import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { readUrdfFile } from '../../../src/robot/description.js';
import { Pi05Error } from '../../../src/errors.js';
import { parseUrdf } from '../../../src/robot/urdf.js';
import { packageRoot } from '../root.js';

const joint = (content: string, attributes = 'name="j" type="revolute"'): string =>
  `<robot name="r"><link name="a"/><link name="b"/><joint ${attributes}>
    <parent link="a"/><child link="b"/>${content}</joint></robot>`;
const LIMIT = '<limit lower="-1" upper="1" velocity="2" effort="3"/>';

test('reads_links_joints_and_limits', () => {
  const model = parseUrdf(joint(`<origin xyz=" 1 2  3 "/><axis xyz="0 0 -2"/>${LIMIT}`), '/robot_description');
  expect([model.root, [...model.links]]).toEqual(['a', ['a', 'b']]);
  expect(model.joints.get('j')).toEqual({
    ...{ name: 'j', type: 'revolute', parent: 'a', child: 'b' },
    ...{ xyz: [1, 2, 3], rpy: [0, 0, 0], axis: [0, 0, -1] },
    ...{ lower: -1, upper: 1, velocity: 2, mimic: undefined },
  });
});

test('an_axis_of_any_length_becomes_one_of_length_1', () => {
  for (const [xyz, expected] of [
    ['1.7e308 0 1.7e308', [Math.SQRT1_2, 0, Math.SQRT1_2]],
    ['0 -5e-324 0', [0, -1, 0]],
  ] as const) {
    const { axis } = parseUrdf(joint(`<axis xyz="${xyz}"/>${LIMIT}`), 'x').joints.get('j')!;
    for (const [i, value] of expected.entries()) expect(axis[i]).toBeCloseTo(value, 12);
  }
});

test('a_continuous_joint_has_no_position_limits', () => {
  const model = parseUrdf(joint('<limit lower="0" upper="0" velocity="2"/>', 'name="j" type="continuous"'), 'x');
  expect(model.joints.get('j')).toMatchObject({ lower: -Infinity, upper: Infinity, velocity: 2, axis: [1, 0, 0] });
});

test('reads_the_URDF_of_the_simulated_arm', () => {
  const model = readUrdfFile(join(packageRoot, 'sim', 'gazebo', 'arm.urdf'));
  expect(model.root).toBe('world');
  expect(model.joints.get('panda_joint4')).toMatchObject({ lower: -3.0718, upper: -0.0698, velocity: 2.175 });
  expect(model.joints.get('panda_finger_joint2')?.mimic).toEqual({
    joint: 'panda_finger_joint1',
    multiplier: 1,
    offset: 0,
  });
});

describe('refuses', () => {
  test.each<[string, string, string]>([
    ['text', 'hello', 'Expected a URDF in x, received no XML'],
    ['an_empty_text', '', 'Expected a URDF in x, received no XML'],
    ['XML_that_is_cut_off', joint(LIMIT).slice(0, -10), 'Expected a URDF in x, received no XML'],
    ['an_SDF', '<sdf/>', 'Expected a URDF, whose root element is robot, in x, received sdf'],
    [
      'an_entity_of_the_document',
      '<!DOCTYPE r [<!ENTITY e "x">]><robot>&e;</robot>',
      'Expected a URDF in x, received no XML',
    ],
    [
      'a_joint_without_name',
      joint(LIMIT, 'type="revolute"'),
      'Expected the attribute name of a joint in x, received none',
    ],
    [
      'an_unknown_type',
      joint(LIMIT, 'name="j" type="hinge"'),
      'Expected one of revolute, continuous, prismatic, fixed, floating, planar as the type of joint j in x, received hinge',
    ],
    ['a_revolute_joint_without_limit', joint(''), 'Expected a limit of joint j in x, received none'],
    [
      'a_limit_that_is_no_number',
      joint('<limit lower="${low}" upper="1" velocity="1"/>'),
      'Expected a finite lower of joint j in x, received "${low}"',
    ],
    [
      'an_infinite_limit',
      joint('<limit lower="0" upper="1" velocity="Infinity"/>'),
      'Expected a finite velocity of joint j in x, received "Infinity"',
    ],
    [
      'two_numbers_for_a_position',
      joint(`<origin xyz="1 2"/>${LIMIT}`),
      'Expected three numbers for xyz of joint j in x, received "1 2"',
    ],
    [
      'an_axis_of_0',
      joint(`<axis xyz="0 0 0"/>${LIMIT}`),
      'Expected a direction for the axis of joint j in x, received 0 0 0',
    ],
    [
      'a_joint_of_an_unknown_link',
      joint(LIMIT).replace('<link name="b"/>', ''),
      'Expected a link b, which joint j names, in x, received none',
    ],
    [
      'two_roots',
      joint(LIMIT).replace('<link name="b"/>', '<link name="b"/><link name="c"/>'),
      'Expected one root link in x, received a, c',
    ],
    ['no_link', '<robot/>', 'Expected a root link in x, received no link'],
    [
      'the_mimic_of_an_unknown_joint',
      joint(`${LIMIT}<mimic joint="k"/>`),
      'Expected a joint k, which j mimics, in x, received none',
    ],
  ])('%s', (_, xml, sentence) => {
    expect(() => parseUrdf(xml, 'x')).toThrow(
      expect.objectContaining({ code: 'ROBOT_DESCRIPTION_DATA', message: expect.stringContaining(sentence) }),
    );
  });

  test('a_loop_of_joints', () => {
    const links = ['a', 'b', 'c'].map((name) => `<link name="${name}"/>`).join('');
    const fixed = (parent: string, child: string): string =>
      `<joint name="${parent}${child}" type="fixed"><parent link="${parent}"/><child link="${child}"/></joint>`;
    const loop = `<robot>${links}${fixed('b', 'c')}${fixed('c', 'b')}</robot>`;
    expect(() => parseUrdf(loop, 'x')).toThrow('Expected a tree of links in x, received a loop at b');
  });

  test('a_file_that_is_not_there', () => {
    expect(() => readUrdfFile('/nowhere/arm.urdf')).toThrow(
      expect.objectContaining({ code: 'ROBOT_DESCRIPTION_MISSING', source: '/nowhere/arm.urdf' }),
    );
  });
});

describe('a description of a megabyte', () => {
  const links = (count: number): string => Array.from({ length: count }, (_, i) => `<link name="${i}"/>`).join('');
  const fixed = (parent: number, child: number): string =>
    `<joint name="j${child}" type="fixed"><parent link="${parent}"/><child link="${child}"/></joint>`;

  test('that_is_one_chain_is_read_link_by_link', () => {
    const count = 9000;
    const joints = Array.from({ length: count - 1 }, (_, i) => fixed(i, i + 1)).join('');
    expect(parseUrdf(`<robot name="r">${links(count)}${joints}</robot>`, 'x').root).toBe('0');
  });

  test('with_elements_inside_each_other_is_refused', () => {
    const deep = '<a>'.repeat(300_000);
    for (const xml of [`<robot>${deep}`, `<robot>${deep}${deep.replaceAll('<', '</')}</robot>`]) {
      expect(() => parseUrdf(xml, 'x')).toThrow(
        new Pi05Error(
          'ROBOT_DESCRIPTION_DATA',
          'Expected a URDF in x, received elements that are nested too deeply',
          'x',
        ),
      );
    }
  });

  test('is_refused_in_a_short_sentence', () => {
    const name = 'x'.repeat(200_000);
    const lines = '&#10;'.repeat(1000);
    for (const xml of [
      `<robot name="r">${links(9000)}</robot>`,
      `<${name}/>`,
      `<robot><link name="${name}"/><link name="${name}"/></robot>`,
      `<robot><joint name="${name}"/></robot>`,
      `<robot><joint name="a${lines}b" type="${name}"/></robot>`,
      `<robot><${name}></robot>`,
      `<robot><link name="a"/>${fixed(0, 1).replaceAll('"0"', `"${name}"`)}</robot>`,
    ]) {
      expect(() => parseUrdf(xml, 'x')).toThrow(/^Expected [^\n]{1,250}, received [^\n]{1,250}$/);
    }
  });

  test('with_a_loop_apart_from_the_root_is_refused', () => {
    const xml = `<robot name="r">${links(3)}${fixed(1, 2)}${fixed(2, 1)}</robot>`;
    expect(() => parseUrdf(xml, 'x')).toThrow('Expected a tree of links in x, received a loop at 1');
  });
});
