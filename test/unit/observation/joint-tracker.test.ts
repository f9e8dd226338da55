import { describe, expect, test } from '@jest/globals';
import type { PolicyConfig } from '../../../src/config/config.js';
import { JointTracker } from '../../../src/observation/joint-tracker.js';
import { actionJoint, image, joints, MS, robot, stateJoint, T0 } from '../pipeline/robot.js';
import { Harness } from './harness.js';

const base = robot();
/** An arm of two joints and a gripper g. */
const ARM = { a: 1, b: 2 };
const threeJoints = (gripper = stateJoint('g')): PolicyConfig =>
  robot({
    state: { ...base.state, joints: [stateJoint('a'), stateJoint('b'), gripper] },
    action: {
      joints: [actionJoint('a'), actionJoint('b'), actionJoint('g', { gripper: true })],
      bound: 'none',
    },
  });

/** Offers one image of each camera. */
function offerImages(harness: Harness, stamp: bigint): void {
  harness.offerImage('exterior', image(stamp, 1), stamp);
  harness.offerImage('wrist', image(stamp, 2), stamp);
}

const stateAt = (harness: Harness, now: bigint): number[] => [...(harness.takeObservation(now)?.state ?? [])];

describe('messages with some of the joints', () => {
  test('give_an_observation_of_the_newest_value_of_each_joint', () => {
    const harness = new Harness(threeJoints());
    offerImages(harness, T0);
    harness.offerJoints(joints(T0, ARM), T0);
    expect(harness.takeObservation(T0)).toBeUndefined();
    harness.offerJoints(joints(T0 + MS, { g: 3 }), T0 + MS);
    expect(stateAt(harness, T0 + MS)).toEqual([1, 2, 3]);
    harness.offerJoints(joints(T0 + 20n * MS, { a: 4, b: 5 }), T0 + 20n * MS);
    expect(stateAt(harness, T0 + 20n * MS)).toEqual([4, 5, 3]);
    harness.offerJoints(joints(T0 + 21n * MS, { g: 6 }), T0 + 21n * MS);
    expect(stateAt(harness, T0 + 21n * MS)).toEqual([4, 5, 6]);
    harness.checkConditions(T0 + 21n * MS);
    expect(harness.takeCodes()).toEqual([]);
  });

  test('of_one_stamp_give_the_observations_of_complete_messages', () => {
    const observe = (offer: (harness: Harness, t: bigint, i: number) => void): unknown[] => {
      const harness = new Harness(threeJoints());
      const taken: unknown[] = [];
      for (let i = 0; i < 20; i++) {
        const t = T0 + BigInt(i) * 20n * MS;
        if (i % 3 === 0) offerImages(harness, t);
        offer(harness, t, i);
        const observation = harness.takeObservation(t + MS);
        if (observation !== undefined) taken.push([observation.stamp, ...observation.state]);
      }
      expect(harness.takeCodes()).toEqual([]);
      return taken;
    };
    const complete = observe((harness, t, i) => harness.offerJoints(joints(t, { a: i, b: -i, g: i / 2 }), t + MS));
    const halves = observe((harness, t, i) => {
      harness.offerJoints(joints(t, { a: i, b: -i }), t);
      // The other part is expected.
      if (i % 3 !== 0) expect(harness.takeObservation(t)).toBeUndefined();
      harness.offerJoints(joints(t, { g: i / 2 }), t + MS);
    });
    expect(complete).toHaveLength(20);
    expect(halves).toEqual(complete);
  });

  test('a_part_that_no_longer_comes_is_expected_once', () => {
    const harness = new Harness(threeJoints());
    offerImages(harness, T0);
    harness.offerJoints(joints(T0, ARM), T0);
    harness.offerJoints(joints(T0, { g: 3 }), T0);
    harness.offerJoints(joints(T0 + 10n * MS, { a: 4, b: 2 }), T0 + 10n * MS);
    expect(stateAt(harness, T0 + 10n * MS)).toEqual([1, 2, 3]);
    harness.offerJoints(joints(T0 + 20n * MS, { a: 5, b: 2 }), T0 + 20n * MS);
    expect(stateAt(harness, T0 + 20n * MS)).toEqual([5, 2, 3]);
  });

  test('a_message_without_any_of_the_joints_is_ignored_whatever_it_has', () => {
    const harness = new Harness();
    const wheels = { ...joints(T0 - 1000n * MS, { wheel_left: NaN, wheel_right: 1 }), position: new Float64Array(1) };
    expect(harness.offerJoints(wheels, T0)).toBe(false);
    expect(harness.offerJoints(joints(T0, {}), T0)).toBe(false);
    expect(harness.takeCodes()).toEqual([]);
  });

  test('stamps_of_two_publishers_do_not_have_to_advance_together_but_those_of_a_joint_do', () => {
    const harness = new Harness(threeJoints());
    harness.offerJoints(joints(T0 + 20n * MS, ARM), T0 + 20n * MS);
    harness.offerJoints(joints(T0 + 5n * MS, { g: 3 }), T0 + 21n * MS);
    expect(harness.takeCodes()).toEqual([]);
    harness.offerJoints(joints(T0 + 4n * MS, { g: 3 }), T0 + 22n * MS);
    expect(harness.takeCodes()).toEqual(['TIME_BACKWARDS']);
  });
});

describe('a joint that', () => {
  test('never_comes_is_missing_by_name', () => {
    const harness = new Harness(threeJoints());
    for (let t = T0; t <= T0 + 300n * MS; t += 20n * MS) {
      offerImages(harness, t);
      harness.offerJoints(joints(t, ARM), t);
      harness.checkConditions(t);
    }
    expect(harness.refusals.map(String)).toEqual([
      'JOINT_MISSING: Expected 3 values for state, received 2 from joint_states (missing: g)',
    ]);
    expect(harness.observer.measuredPositions(T0 + 300n * MS)).toBeUndefined();
  });

  test('never_comes_while_others_do_is_missing_and_does_not_count_as_silence', () => {
    const harness = new Harness();
    harness.offerJoints(joints(T0, { wheel: 1 }), T0);
    offerImages(harness, T0 + 90n * MS);
    harness.checkConditions(T0 + 101n * MS);
    expect(harness.refusals.map(String)).toEqual([
      'JOINT_MISSING: Expected 2 values for state, received 0 from joint_states (missing: a, b)',
    ]);
  });

  test('stops_is_stale_by_name_after_its_age_and_gives_no_observation_and_no_measured_positions', () => {
    const harness = new Harness(threeJoints());
    harness.offerJoints(joints(T0, { ...ARM, g: 3 }), T0);
    for (let t = T0 + 20n * MS; t <= T0 + 100n * MS; t += 20n * MS) harness.offerJoints(joints(t, ARM), t);
    harness.checkConditions(T0 + 100n * MS);
    expect(harness.takeCodes()).toEqual([]);
    expect(harness.observer.measuredPositions(T0 + 100n * MS)).toBeDefined();
    offerImages(harness, T0 + 101n * MS);
    harness.offerJoints(joints(T0 + 101n * MS, ARM), T0 + 101n * MS);
    harness.checkConditions(T0 + 101n * MS);
    expect(harness.refusals.map(String)).toEqual([
      'STATE_STALE: Expected valid data at most 0.100 s old for g on joint_states, received the last 0.101 s ago',
    ]);
    expect(harness.takeObservation(T0 + 101n * MS)).toBeUndefined();
    expect(harness.observer.measuredPositions(T0 + 101n * MS)).toBeUndefined();
  });

  test('was_never_decoded_is_stale_and_not_reported_as_silent', () => {
    const harness = new Harness();
    offerImages(harness, T0 + 50n * MS);
    harness.observer.announceUnread('joint_states');
    harness.checkConditions(T0 + 101n * MS);
    expect(harness.refusals.map(String)).toEqual([
      'STATE_STALE: Expected valid data at most 0.100 s old on joint_states, received the last 0.101 s ago',
    ]);
  });
});

describe('the stamps of an observation', () => {
  test('agree_with_the_oldest_joint_within_the_largest_skew', () => {
    const harness = new Harness(threeJoints());
    harness.offerJoints(joints(T0, { g: 3 }), T0);
    harness.offerJoints(joints(T0 + 10n * MS, ARM), T0 + 10n * MS);
    offerImages(harness, T0 + 10n * MS);
    harness.offerJoints(joints(T0 + 60n * MS, { a: 9, b: 9 }), T0 + 60n * MS);
    offerImages(harness, T0 + 60n * MS);
    // g is 60 ms older than the newest arm and images, so the ones before are used.
    const observation = harness.takeObservation(T0 + 60n * MS)!;
    expect([observation.stamp, ...observation.state]).toEqual([T0 + 10n * MS, 1, 2, 3]);
  });

  test('a_joint_with_a_maximum_age_of_its_own_may_be_older_by_it', () => {
    const harness = new Harness(threeJoints(stateJoint('g', { maxAge: 500n * MS })));
    harness.offerJoints(joints(T0, { g: 3 }), T0);
    for (const t of [T0 + 450n * MS, T0 + 500n * MS]) {
      offerImages(harness, t);
      harness.offerJoints(joints(t, ARM), t);
      expect(stateAt(harness, t)).toEqual([1, 2, 3]);
    }
    offerImages(harness, T0 + 501n * MS);
    harness.offerJoints(joints(T0 + 501n * MS, ARM), T0 + 501n * MS);
    expect(harness.takeObservation(T0 + 501n * MS)).toBeUndefined();
    harness.checkConditions(T0 + 501n * MS);
    expect(harness.refusals.map(String)).toEqual([
      'STATE_STALE: Expected valid data at most 0.500 s old for g on joint_states, received the last 0.501 s ago',
    ]);
  });

  test('a_set_is_complete_when_every_part_of_its_time_is_there', () => {
    const harness = new Harness(threeJoints());
    harness.offerJoints(joints(T0, { ...ARM, g: 3 }), T0);
    const t = T0 + 10n * MS;
    offerImages(harness, t);
    harness.offerJoints(joints(t, ARM), t);
    expect(harness.observer.isComplete(t, t)).toBe(false);
    harness.offerJoints(joints(t, { g: 3 }), t);
    expect(harness.observer.isComplete(t, t)).toBe(true);
  });
});

describe('several topics', () => {
  const config = threeJoints(stateJoint('g', { topic: 'gripper/joint_states' }));

  test('a_joint_is_read_from_its_own_topic_only', () => {
    const tracker = new JointTracker(config);
    expect(tracker.update(joints(T0, { ...ARM, g: 9 }), 'joint_states', T0)).toEqual({
      outcome: 'accepted',
      sample: undefined,
    });
    expect(tracker.update(joints(T0, { a: 9 }), 'gripper/joint_states', T0)).toEqual({ outcome: 'ignored' });
    expect(tracker.update(joints(T0, { g: 3 }), 'gripper/joint_states', T0)).toMatchObject({
      outcome: 'accepted',
      sample: { state: Float64Array.of(1, 2, 3) },
    });
    expect([...tracker.measured(T0)!.positions]).toEqual([1, 2, 3]);
  });

  test('each_that_is_silent_is_reported_with_its_name', () => {
    const harness = new Harness(config);
    offerImages(harness, T0 + 50n * MS);
    harness.offerJoints(joints(T0 + 50n * MS, ARM), T0 + 50n * MS);
    harness.checkConditions(T0 + 101n * MS);
    expect(harness.refusals.map(String)).toEqual([
      'STATE_STALE: Expected messages on gripper/joint_states, received none in 0.101 s',
    ]);
  });

  test('a_refused_message_names_its_topic', () => {
    const harness = new Harness(config);
    harness.offerJoints(joints(T0, { g: NaN }), T0, 'gripper/joint_states');
    expect(harness.refusals.map(({ code, source }) => [code, source])).toEqual([
      ['JOINT_NOT_FINITE', 'gripper/joint_states'],
    ]);
  });
});

describe('ages', () => {
  test('are_those_of_the_oldest_arm_joint_and_of_the_joint_that_is_next_to_be_too_old', () => {
    const tracker = new JointTracker(threeJoints(stateJoint('g', { maxAge: 500n * MS })));
    expect(tracker.ages((stamp) => T0 - stamp)).toBeUndefined();
    tracker.update(joints(T0 - 450n * MS, { g: 3 }), 'joint_states', T0 - 450n * MS);
    tracker.update(joints(T0 - 30n * MS, { a: 1 }), 'joint_states', T0 - 30n * MS);
    tracker.update(joints(T0 - 20n * MS, { b: 2 }), 'joint_states', T0 - 20n * MS);
    expect(tracker.ages((stamp) => T0 - stamp)).toEqual({ age: 30n * MS, overdue: -50n * MS });
    expect(tracker.measured(T0)?.stamp).toBe(T0 - 30n * MS);
  });
});

describe('a message without a stamp', () => {
  test('has_the_time_of_its_arrival_where_zero_stamp_is_arrival_and_is_refused_with_the_parameters_name_otherwise', () => {
    const refusing = new Harness();
    refusing.offerJoints(joints(0n), T0);
    expect(refusing.refusals[0]?.message).toContain('(its stamp is 0; state.zero_stamp: arrival takes');
    const harness = new Harness(robot({ state: { ...base.state, zeroStamp: 'arrival' } }));
    harness.offerJoints(joints(0n), T0);
    harness.offerJoints(joints(0n, { a: 1, b: 2 }), T0 + 20n * MS);
    expect(harness.observer.measuredPositions(T0 + 20n * MS)).toMatchObject({ stamp: T0 + 20n * MS });
    expect(harness.takeCodes()).toEqual([]);
  });

  test('of_a_number_has_the_time_of_its_arrival', () => {
    const tracker = new JointTracker(threeJoints(stateJoint('g', { source: 'data', topic: 'width' })));
    tracker.update(joints(T0, ARM), 'joint_states', T0);
    const update = tracker.update(joints(0n, { g: 3 }), 'width', T0 + 5n * MS);
    expect(update).toMatchObject({ sample: { stamp: T0 + 5n * MS, state: Float64Array.of(1, 2, 3) } });
  });
});

describe('a step that no joint can make', () => {
  /** Joints a and b with 2 rad/s, at rest at 1 and -1. */
  const REST = { a: 1, b: -1 };
  const limited = robot({
    action: { joints: [actionJoint('a', { maxVelocity: 2 }), actionJoint('b', { maxVelocity: 2 })], bound: 'none' },
  });

  test('is_withheld_and_neither_value_is_used_until_they_have_agreed_for_a_second', () => {
    const harness = new Harness(limited);
    harness.offerJoints(joints(T0, REST), T0);
    offerImages(harness, T0 + MS);
    harness.offerJoints(joints(T0 + MS, { a: 0, b: 0 }), T0 + MS);
    expect(harness.refusals.map(String)).toEqual([
      'JOINT_JUMP: Expected steps that the joints can make, received 1.00 in 0.001 s (at most 0.204) of a, ' +
        '1.00 in 0.001 s (at most 0.204) of b from joint_states; not used',
    ]);
    harness.takeCodes();
    expect(harness.observer.measuredPositions(T0 + MS)).toBeUndefined();
    expect(harness.takeObservation(T0 + MS)).toBeUndefined();
    let t = T0 + MS;
    for (; t < T0 + 1001n * MS; t += 50n * MS) {
      harness.offerJoints(joints(t, { a: 0, b: 0 }), t);
      expect(harness.observer.measuredPositions(t)).toBeUndefined();
    }
    harness.checkConditions(t);
    expect(harness.refusals.filter(({ code }) => code === 'JOINT_JUMP').map(({ message }) => message)).toEqual([
      'Expected values of a, b that agree for 1.000 s after a jump, received 0.950 s of them from joint_states; not used',
    ]);
    harness.offerJoints(joints(t, { a: 0, b: 0 }), t);
    expect([...harness.observer.measuredPositions(t)!.positions]).toEqual([0, 0]);
  });

  test('of_two_publishers_in_turn_leaves_no_value_however_long_it_lasts', () => {
    const harness = new Harness(limited);
    harness.offerJoints(joints(T0, REST), T0);
    for (let i = 1n; i < 200n; i++) {
      const t = T0 + i * 20n * MS;
      // One at 50 Hz, the other at 10 Hz.
      harness.offerJoints(joints(t, REST), t);
      if (i % 5n !== 0n) continue;
      harness.offerJoints(joints(t + MS, { a: 0, b: 0 }), t + MS);
      expect(harness.observer.measuredPositions(t + MS)).toBeUndefined();
      offerImages(harness, t + MS);
      expect(harness.takeObservation(t + MS)).toBeUndefined();
    }
    expect(new Set(harness.takeCodes())).toEqual(new Set(['JOINT_JUMP']));
  });

  test('of_two_publishers_of_which_one_has_a_clock_that_is_behind_leaves_no_value_although_its_stamps_are_refused', () => {
    const harness = new Harness(limited);
    for (let i = 0n; i < 150n; i++) {
      const t = T0 + i * 20n * MS;
      harness.offerJoints(joints(t, { a: 0, b: 0 }), t);
      harness.offerJoints(joints(t - 60n * MS, REST), t);
      expect(harness.observer.measuredPositions(t)).toBeUndefined();
    }
  });

  test('is_none_for_a_message_of_a_fast_arm_that_is_overtaken_by_later_ones', () => {
    const harness = new Harness(limited);
    for (const after of [0n, 90n, 10n, 100n]) {
      const position = (3 * Number(after)) / 1000;
      harness.offerJoints(joints(T0 + after * MS, { a: position, b: position }), T0 + 100n * MS);
    }
    expect(harness.takeCodes()).toEqual(['TIME_BACKWARDS']);
  });

  test('is_none_for_an_arm_at_full_speed_whose_stamps_jitter', () => {
    const harness = new Harness(limited);
    let seed = 7;
    const random = (): number => (seed = (seed * 16807) % 2147483647) / 2147483647;
    for (let i = 0; i < 500; i++) {
      const measuredAt = T0 + BigInt(i) * 10n * MS;
      const stamp = measuredAt + BigInt(Math.floor(random() * 9e6));
      const position = 2 * (i / 100);
      harness.offerJoints(joints(stamp, { a: position, b: -position }), stamp);
    }
    expect(harness.takeCodes()).toEqual([]);
  });

  test('is_none_where_the_joint_had_the_time_because_messages_were_lost', () => {
    const harness = new Harness(limited);
    harness.offerJoints(joints(T0, REST), T0);
    harness.offerJoints(joints(T0 + 500n * MS, { a: 2, b: -2 }), T0 + 500n * MS);
    expect(harness.takeCodes()).toEqual([]);
    expect([...harness.observer.measuredPositions(T0 + 500n * MS)!.positions]).toEqual([2, -2]);
  });

  test('is_none_for_a_gripper_whose_fingers_snap_to', () => {
    const gripper = actionJoint('b', { maxVelocity: 2, gripper: true });
    const harness = new Harness(
      robot({ action: { joints: [actionJoint('a', { maxVelocity: 2 }), gripper], bound: 'none' } }),
    );
    harness.offerJoints(joints(T0, REST), T0);
    harness.offerJoints(joints(T0 + MS, { a: 1, b: 0 }), T0 + MS);
    expect(harness.takeCodes()).toEqual([]);
    expect([...harness.observer.measuredPositions(T0 + MS)!.positions]).toEqual([1, 0]);
  });

  test('is_forgotten_by_a_reset', () => {
    const harness = new Harness(limited);
    harness.offerJoints(joints(T0, REST), T0);
    harness.offerJoints(joints(T0 + MS, { a: 0, b: 0 }), T0 + MS);
    harness.observer.reset(T0 + 2n * MS);
    harness.offerJoints(joints(T0 + 3n * MS, REST), T0 + 3n * MS);
    expect(harness.observer.measuredPositions(T0 + 3n * MS)).toBeDefined();
  });

  test('is_judged_with_the_limits_of_a_robot_description_that_comes_later', () => {
    const tracker = new JointTracker(robot());
    tracker.update(joints(T0, REST), 'joint_states', T0);
    tracker.update(joints(T0 + MS, { a: 0, b: 0 }), 'joint_states', T0 + MS);
    expect(tracker.inDoubt).toBe(false);
    tracker.setLimits(limited);
    expect(() => tracker.update(joints(T0 + 2n * MS, REST), 'joint_states', T0 + 2n * MS)).toThrow('steps');
    expect(tracker.inDoubt).toBe(true);
    expect(tracker.newestMeasured()).toBeUndefined();
  });
});
