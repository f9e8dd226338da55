import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import type { PolicyConfig } from '../../../src/config/config.js';
import { FaultMonitor } from '../../../src/ros/fault-monitor.js';
import type { EndpointInfo, LifecycleNode } from '../../../src/ros/rcl.js';
import { robot } from '../pipeline/robot.js';

const COMMANDS = '/arm/commands';
const TYPE = 'std_msgs/msg/Float64MultiArray';
const RESOLVED = robot({
  outputs: [{ name: 'arm', topic: COMMANDS, type: 'float64_multi_array', stamp: 'zero', joints: ['a', 'b'] }],
});
/** A control period, ms. */
const PERIOD = 20;

/** The ROS graph as the node sees it; who they are is asked for less often than how many there are. */
class Graph {
  readonly publishers = new Map<string, EndpointInfo[]>();
  readonly subscriptions = new Map<string, EndpointInfo[]>();
  lookups = 0;

  endpoint(name: string, topic_type = TYPE): EndpointInfo {
    const qos_profile = { reliability: 1, durability: 2, deadline: { seconds: 0n, nanoseconds: 0 }, liveliness: 1 };
    return { node_name: name, node_namespace: '/', topic_type, endpoint_gid: [1], qos_profile };
  }

  readonly node = {
    getFullyQualifiedName: () => '/policy_node',
    getNodeNamesAndNamespaces: () => [{ name: 'policy_node', namespace: '/' }],
    countPublishers: (topic: string) => this.publishers.get(topic)?.length ?? 0,
    countSubscribers: (topic: string) => this.subscriptions.get(topic)?.length ?? 0,
    getPublishersInfoByTopic: (topic: string) => {
      this.lookups++;
      return this.publishers.get(topic) ?? [];
    },
    getSubscriptionsInfoByTopic: (topic: string) => this.subscriptions.get(topic) ?? [],
  } as unknown as LifecycleNode;
}

let graph: Graph;
let monitor: FaultMonitor;
let commanders: string[];
/** The codes of each check that the monitor asked for. */
let checks: string[];

function start(config: PolicyConfig = RESOLVED): void {
  const time = { unchangedFor: 0n, known: true, simulated: true } as never;
  const log = { warn: () => undefined } as never;
  let now = 0;
  jest.useFakeTimers();
  monitor = new FaultMonitor(
    graph.node,
    time,
    false,
    PERIOD,
    log,
    {
      onChange: () =>
        checks.push(
          monitor
            .check(config, new Set())
            .map(({ code }) => code)
            .join(),
        ),
      onError: (error) => {
        throw error;
      },
    },
    () => now,
  );
  monitor.start(
    config,
    () => false,
    (fault) => commanders.push(fault?.code ?? 'gone'),
  );
  advance = (ms) => {
    for (const end = now + ms; now < end;) {
      now += PERIOD;
      jest.advanceTimersByTime(PERIOD);
    }
    return checks.splice(0);
  };
}
let advance: (ms: number) => string[];

beforeEach(() => {
  graph = new Graph();
  graph.subscriptions.set(COMMANDS, [graph.endpoint('controller')]);
  commanders = [];
  checks = [];
});

afterEach(() => {
  monitor.stop();
  jest.useRealTimers();
});

describe('within one control period of its discovery', () => {
  beforeEach(() => {
    start();
    advance(PERIOD);
  });

  test('another_commander_is_reported_and_its_end', () => {
    graph.publishers.set(COMMANDS, [graph.endpoint('teleop')]);
    expect(advance(PERIOD)).toContain('OUTPUT_SHARED');
    graph.publishers.delete(COMMANDS);
    expect(advance(PERIOD)).toContain('');
    expect(commanders).toEqual(['OUTPUT_SHARED', 'gone']);
  });

  test('a_second_clock_is_reported', () => {
    graph.publishers.set('/clock', [graph.endpoint('bag'), graph.endpoint('simulation')]);
    expect(advance(PERIOD)).toEqual(['CLOCK_SHARED']);
  });

  test('a_publisher_of_another_type_is_reported', () => {
    graph.publishers.set('joint_states', [graph.endpoint('driver')]);
    expect(advance(PERIOD)).toEqual(['TOPIC_TYPE']);
  });
});

test('while_nothing_changes_nobody_is_looked_up_in_a_control_period', () => {
  start();
  advance(PERIOD);
  const before = graph.lookups;
  expect(advance(9 * PERIOD)).toEqual([]);
  expect(graph.lookups).toBe(before);
});

test('commands_that_nobody_hears_are_reported_after_a_second_since_discovery_takes_time', () => {
  start();
  advance(PERIOD);
  graph.subscriptions.delete(COMMANDS);
  expect(advance(1000)).toEqual(['']);
  expect(advance(PERIOD)).toEqual(['OUTPUT_UNHEARD']);
  graph.subscriptions.set(COMMANDS, [graph.endpoint('controller')]);
  expect(advance(PERIOD)).toEqual(['']);
});

test('an_input_from_which_nothing_comes_is_reported_three_seconds_after_the_activation', () => {
  graph.publishers.set('joint_states', [graph.endpoint('driver', 'sensor_msgs/msg/JointState')]);
  start();
  expect(advance(3000 - PERIOD)).not.toContain('INPUT_SILENT');
  expect(advance(PERIOD)).toEqual(['INPUT_SILENT']);
});
