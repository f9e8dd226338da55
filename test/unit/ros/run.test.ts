import { expect, test } from '@jest/globals';

import { initFailure } from '../../../src/ros/run.js';

test.each([
  [
    "Couldn't parse params file: '--params-file a.yaml'. Error: Error opening YAML file, at /src/parser.c:271, at /src/rcl/arguments.c:415\nmore",
    "USAGE: Expected ROS arguments, but couldn't parse params file: '--params-file a.yaml'. Error: Error opening YAML file",
  ],
  [
    "Couldn't parse trailing -p flag. No parameter override rule found., at /src/rcl/arguments.c:356",
    "USAGE: Expected ROS arguments, but couldn't parse trailing -p flag. No parameter override rule found",
  ],
  ["Unknown ROS arguments: ['--x']", "USAGE: Expected ROS arguments, but unknown ROS arguments: ['--x']"],
  [
    'Failed to get logging directory, at /src/rcl_logging_spdlog.cpp:138',
    'ENVIRONMENT: Expected ROS to start, but it failed to get logging directory',
  ],
])('a_failed_init_is_one_sentence_without_source_locations: %s', (message, sentence) => {
  expect(initFailure(message).toString()).toBe(sentence);
});
