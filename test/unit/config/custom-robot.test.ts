import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { PolicyConfig } from '../../../src/config/config.js';
import { configFromFile } from '../../../src/config/file.js';
import { packageRoot } from '../root.js';

const page = readFileSync(join(packageRoot, 'docs', 'custom-robot.md'), 'utf8');
const yaml = /```yaml\n([\s\S]*?)```/.exec(page)?.[1] ?? '';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'pi05-custom-robot-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

function load(text: string): PolicyConfig {
  writeFileSync(join(directory, 'six.yaml'), text);
  return configFromFile(join(directory, 'six.yaml'));
}

describe('docs/custom-robot.md', () => {
  test('its_parameter_file_describes_a_robot_with_two_cameras_and_seven_joints', () => {
    const { cameras, state, action, outputs } = load(yaml);
    expect(cameras.map(({ name, rotate }) => [name, rotate])).toEqual([
      ['overhead', 0],
      ['hand', 180],
    ]);
    expect([state.joints.length, action.joints.length]).toEqual([7, 7]);
    expect(action.joints.map(({ kind }) => kind)).toEqual([...new Array<string>(6).fill('delta'), 'position']);
    expect(outputs.map(({ type }) => type)).toEqual(['joint_trajectory', 'float64_multi_array']);
  });

  test.each([
    ['schedule.replan_steps: 8', 'schedule.replan_step: 8'],
    ['control_rate: 10.0', 'control_rate: 10'],
    ['topic: hand/image_raw', 'topic: overhead/image_raw'],
    ['slot: left_wrist_0_rgb', 'slot: wrist'],
  ])('quotes_the_error_when_%j_is_written_as_%j', (right, wrong) => {
    expect(yaml).toContain(right);
    let message = '';
    try {
      load(yaml.replace(right, wrong));
    } catch (error) {
      message = (error as Error).message.replaceAll(join(directory, 'six.yaml'), 'six.yaml');
    }
    const sentences = message.split('\n').map((line) => line.replace(/^CONFIG_\w+: /, ''));
    expect(sentences.some((sentence) => page.includes(`| ${sentence} |`))).toBe(true);
  });
});
