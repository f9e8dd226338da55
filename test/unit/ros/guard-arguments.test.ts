import { describe, expect, test } from '@jest/globals';
import { guardArguments, policyTopic } from '../../../src/ros/guard-arguments.js';

describe('guardArguments', () => {
  test.each([
    ['', 'policy_node', ''],
    ['--ros-args -p a:=b --params-file f', 'policy_node', '--ros-args -p a:=b --params-file f'],
    ['--ros-args -r __ns:=/left', 'policy_node', '--ros-args -r __ns:=/left'],
    ['--ros-args -r __node:=arm', 'arm', '--ros-args -r __node:=arm_guard'],
    [
      '--ros-args --remap __name:=arm -r __node:=other',
      'arm',
      '--ros-args --remap __node:=arm_guard -r __node:=other_guard',
    ],
    ['--ros-args -r policy_node:__node:=arm', 'arm', '--ros-args -r __node:=arm_guard'],
    ['--ros-args -r camera:__node:=arm', 'policy_node', '--ros-args -r camera:__node:=arm'],
    ['--ros-args -r joints:=/a/joints -r /b:=c', 'policy_node', '--ros-args -r joints:=/a/joints -r /b:=c'],
    ['--ros-args -r policy_node:joints:=/a', 'policy_node', '--ros-args -r joints:=/a'],
    ['--ros-args -r arm:joints:=/a -r __node:=arm', 'arm', '--ros-args -r joints:=/a -r __node:=arm_guard'],
    ['--ros-args -r other:joints:=/a', 'policy_node', '--ros-args -r other:joints:=/a'],
    ['--ros-args -r ~/joints:=~/a -r __node:=arm', 'arm', '--ros-args -r arm/joints:=arm/a -r __node:=arm_guard'],
    ['--ros-args -r policy_node:=x', 'policy_node', '--ros-args -r policy_node:=x'],
    ['-r __node:=arm --ros-args -- -r __node:=arm', 'policy_node', '-r __node:=arm --ros-args -- -r __node:=arm'],
  ])('%s', (given, policyName, expected) => {
    const words = (text: string): string[] => (text === '' ? [] : text.split(' '));
    expect(guardArguments(words(given))).toEqual({ policyName, argv: words(expected) });
  });
});

describe('policyTopic', () => {
  test.each([
    ['~/joints', 'arm/joints'],
    ['~', 'arm'],
    ['rosservice://~/stop', 'rosservice://arm/stop'],
    ['~joints', '~joints'],
    ['/a/~/b', '/a/~/b'],
    ['joints', 'joints'],
  ])('%s is %s', (topic, expected) => {
    expect(policyTopic(topic, 'arm')).toBe(expected);
  });
});
