import { expect, test } from '@jest/globals';

import { checkEnvironment } from '../../../src/ros/environment.js';

test('a_shell_without_ros_is_rejected_with_the_remedy_in_one_sentence', () => {
  expect(() => checkEnvironment({ ROS_DISTRO: 'jazzy' })).toThrow(
    expect.objectContaining({
      code: 'ENVIRONMENT',
      message: expect.stringMatching(/found no AMENT_PREFIX_PATH: start it with `bin\/pi05`/),
    }),
  );
});

test('a_shell_with_a_sourced_ros_is_accepted', () => {
  expect(() => checkEnvironment({ AMENT_PREFIX_PATH: '/opt/ros/jazzy', ROS_DISTRO: 'jazzy' })).not.toThrow();
});
