import { describe, expect, test } from '@jest/globals';
import { exterior, image, joints, MS, robot, SECOND, stateJoint, T0, wrist } from '../pipeline/robot.js';
import { Harness } from './harness.js';

/** One message of each stream stamped `stamp`, arriving then. */
function offerAll(harness: Harness, stamp: bigint): void {
  harness.offerImage('exterior', image(stamp, 1), stamp);
  harness.offerImage('wrist', image(stamp, 2), stamp);
  harness.offerJoints(joints(stamp, { a: 1, b: 2 }), stamp);
}

describe('building an observation', () => {
  test('a_complete_set_gives_views_in_slot_order_state_and_prompt', () => {
    const harness = new Harness();
    harness.offerImage('wrist', image(T0 + 10n * MS, 2), T0 + 12n * MS);
    harness.offerJoints(joints(T0 + 5n * MS, { b: 2, a: 1 }), T0 + 12n * MS);
    expect(harness.takeObservation(T0 + 12n * MS)).toBeUndefined();
    harness.offerImage('exterior', image(T0, 1), T0 + 13n * MS);
    const observation = harness.takeObservation(T0 + 13n * MS)!;
    expect(observation.stamp).toBe(T0 + 10n * MS);
    expect(observation.views.map(({ camera, slot, frame }) => [camera, slot, frame.stamp])).toEqual([
      ['exterior', 'base_0_rgb', T0],
      ['wrist', 'left_wrist_0_rgb', T0 + 10n * MS],
    ]);
    expect([...observation.state]).toEqual([1, 2]);
    expect(observation.prompt).toBe('pick up the red block');
  });

  test('a_set_is_used_once_and_the_next_must_be_newer', () => {
    const harness = new Harness();
    offerAll(harness, T0);
    expect(harness.takeObservation(T0)?.stamp).toBe(T0);
    expect(harness.takeObservation(T0)).toBeUndefined();
    harness.offerJoints(joints(T0), T0);
    expect(harness.takeObservation(T0)).toBeUndefined();
    harness.offerJoints(joints(T0 + 1n), T0 + 1n);
    expect(harness.takeObservation(T0 + 1n)?.stamp).toBe(T0 + 1n);
  });

  test('a_set_that_agrees_but_is_too_old_is_not_used', () => {
    const harness = new Harness();
    offerAll(harness, T0);
    expect(harness.takeObservation(T0 + 100n * MS + 1n)).toBeUndefined();
  });

  test('an_older_frame_is_used_where_the_newest_disagrees', () => {
    const harness = new Harness();
    offerAll(harness, T0);
    harness.offerImage('exterior', image(T0 + 90n * MS, 3), T0 + 90n * MS);
    expect(harness.takeObservation(T0 + 90n * MS)?.views.map(({ frame }) => frame.stamp)).toEqual([T0, T0]);
  });

  test('without_joint_space_state_the_cameras_alone_are_a_set', () => {
    const harness = new Harness(
      robot({ state: { mode: 'none', topic: '', maxAge: 0n, zeroStamp: 'refuse', joints: [] } }),
    );
    harness.offerImage('exterior', image(T0, 1), T0);
    harness.offerImage('wrist', image(T0, 2), T0);
    expect(harness.takeObservation(T0)?.state).toEqual(new Float64Array(0));
    expect([...harness.observer.measuredPositions(T0)!.positions]).toEqual([NaN, NaN]);
    harness.checkConditions(T0 + 10n * MS);
    expect(harness.takeCodes()).toEqual([]);
  });

  test('a_set_is_complete_only_with_every_input_of_its_time', () => {
    const harness = new Harness();
    offerAll(harness, T0);
    harness.offerJoints(joints(T0 + 40n * MS), T0 + 40n * MS);
    harness.offerImage('wrist', image(T0 + 40n * MS, 4), T0 + 40n * MS);
    expect(harness.observer.isComplete(T0 + 40n * MS, T0 + 40n * MS)).toBe(false);
    harness.offerImage('exterior', image(T0 + 40n * MS, 3), T0 + 40n * MS);
    expect(harness.observer.isComplete(T0 + 40n * MS, T0 + 40n * MS)).toBe(true);
  });
});

describe('a bad message', () => {
  test.each<[string, (harness: Harness) => void, string, string]>([
    [
      'image',
      (harness) => harness.offerImage('wrist', image(T0 + 1n, 1, { encoding: '16UC1' }), T0 + 1n),
      'IMAGE_ENCODING',
      'wrist/image_raw',
    ],
    [
      'size',
      (harness) => harness.offerImage('wrist', image(T0 + 1n, 1, { width: 1 }), T0 + 1n),
      'IMAGE_SIZE',
      'wrist/image_raw',
    ],
    [
      'data',
      (harness) => harness.offerImage('wrist', image(T0 + 1n, 1, { step: 13 }), T0 + 1n),
      'IMAGE_DATA',
      'wrist/image_raw',
    ],
    [
      'range',
      (harness) => harness.offerJoints(joints(T0 + 1n, { a: 1, b: 4 }), T0 + 1n),
      'JOINT_RANGE',
      'joint_states',
    ],
    [
      'image that is not new',
      (harness) => harness.offerImage('wrist', image(T0, 9), T0 + 1n),
      'CAMERA_FROZEN',
      'wrist/image_raw',
    ],
    [
      'older image',
      (harness) => harness.offerImage('wrist', image(T0 - 1n, 2), T0 + 1n),
      'TIME_BACKWARDS',
      'wrist/image_raw',
    ],
    ['older reading', (harness) => harness.offerJoints(joints(T0 - 1n), T0 + 1n), 'TIME_BACKWARDS', 'joint_states'],
    [
      'value',
      (harness) => harness.offerJoints(joints(T0 + 1n, { a: 1, b: NaN }), T0 + 1n),
      'JOINT_NOT_FINITE',
      'joint_states',
    ],
  ])('%s is refused each time, evicts nothing, and the next good one is used at once', (_, offerBad, code, topic) => {
    const limited = [stateJoint('a'), stateJoint('b', { lower: -3, upper: 3 })];
    const harness = new Harness(robot({ state: { ...robot().state, joints: limited } }));
    offerAll(harness, T0);
    offerBad(harness);
    offerBad(harness);
    expect(harness.refusals.map(({ code, source }) => [code, source])).toEqual([
      [code, topic],
      [code, topic],
    ]);
    expect(harness.takeObservation(T0 + 1n)?.stamp).toBe(T0);
    offerAll(harness, T0 + 2n);
    expect(harness.takeObservation(T0 + 2n)?.views.map(({ frame }) => frame.stamp)).toEqual([T0 + 2n, T0 + 2n]);
  });

  test('a_stamp_far_ahead_of_the_clock_is_refused_and_does_not_count_as_recent_data', () => {
    const harness = new Harness();
    offerAll(harness, T0);
    harness.offerImage('wrist', image(T0 + SECOND, 9), T0 + 50n * MS);
    expect(harness.refusals[0]?.message).toBe(
      'Expected a stamp within 0.200 s, received one 0.950 s ahead of the clock from wrist/image_raw',
    );
    expect(harness.takeCodes()).toEqual(['CAMERA_STALE']);
    harness.offerImage('wrist', image(T0 + 200n * MS, 9), T0 + 50n * MS);
    for (const camera of ['exterior', 'wrist'])
      harness.offerImage(camera, image(T0 + 51n * MS, camera.length), T0 + 51n * MS);
    harness.checkConditions(T0 + 100n * MS);
    expect(harness.takeCodes()).toEqual(['TIME_BACKWARDS']);
    harness.checkConditions(T0 + 252n * MS);
    expect(harness.refusals.map(({ source }) => source)).toEqual([
      'exterior/image_raw',
      'wrist/image_raw',
      'joint_states',
    ]);
  });

  test('a_message_too_old_on_arrival_is_refused_by_its_age', () => {
    const harness = new Harness();
    harness.offerJoints(joints(T0 - 500n * MS), T0);
    expect(harness.refusals.map(String)).toEqual([
      'STATE_STALE: Expected a stamp within 0.100 s, received one 0.500 s behind the clock from joint_states',
    ]);
  });
});

test('a_stamp_of_0_is_named_as_such', () => {
  const harness = new Harness();
  harness.offerImage('wrist', image(0n), T0);
  expect(harness.refusals[0]?.message).toBe(
    'Expected a stamp within 0.200 s, received one 1000.000 s behind the clock from wrist/image_raw ' +
      '(its stamp is 0; cameras.wrist.zero_stamp: arrival takes the time of arrival instead)',
  );
});

test('a_stamp_that_is_years_off_gives_a_hint_about_simulated_time', () => {
  const harness = new Harness();
  harness.offerJoints(joints(T0), T0 + 1_795_280_404n * SECOND);
  expect(harness.refusals[0]?.message).toBe(
    'Expected a stamp within 0.100 s, received one 1795280404.000 s behind the clock from joint_states' +
      ' (does use_sim_time agree with the publisher?)',
  );
});

describe('conditions', () => {
  test('a_camera_without_messages_is_missing_after_its_age_and_one_tick_with_its_topic', () => {
    const harness = new Harness();
    for (let t = T0; t <= T0 + 300n * MS; t += 100n * MS) {
      harness.offerJoints(joints(t), t);
      harness.offerImage('exterior', image(t, 1), t);
      harness.checkConditions(t);
    }
    expect(harness.refusals.map(String)).toEqual([
      'CAMERA_MISSING: Expected messages on wrist/image_raw, received none in 0.300 s',
    ]);
  });

  test('a_camera_whose_images_are_all_refused_is_stale_not_missing', () => {
    const harness = new Harness();
    harness.offerImage('wrist', image(T0, 1, { encoding: '16UC1' }), T0);
    harness.checkConditions(T0 + 300n * MS);
    expect(harness.refusals.map(({ code, source }) => [code, source])).toEqual([
      ['IMAGE_ENCODING', 'wrist/image_raw'],
      ['CAMERA_MISSING', 'exterior/image_raw'],
      ['CAMERA_STALE', 'wrist/image_raw'],
      ['STATE_STALE', 'joint_states'],
    ]);
  });

  test('a_stream_that_ends_is_stale_after_its_own_age_and_recovers_with_its_next_message', () => {
    const harness = new Harness();
    offerAll(harness, T0);
    harness.checkConditions(T0 + 100n * MS);
    expect(harness.takeCodes()).toEqual([]);
    harness.checkConditions(T0 + 101n * MS);
    expect(harness.refusals[0]?.message).toBe(
      'Expected valid data at most 0.100 s old on joint_states, received the last 0.101 s ago',
    );
    expect(harness.takeCodes()).toEqual(['STATE_STALE']);
    harness.checkConditions(T0 + 201n * MS);
    expect(harness.takeCodes()).toEqual(['CAMERA_STALE', 'CAMERA_STALE']);
    offerAll(harness, T0 + 300n * MS);
    harness.checkConditions(T0 + 300n * MS);
    expect(harness.takeCodes()).toEqual([]);
    expect(harness.takeObservation(T0 + 300n * MS)?.stamp).toBe(T0 + 300n * MS);
    harness.checkConditions(T0 + 401n * MS);
    expect(harness.takeCodes()).toEqual(['STATE_STALE']);
  });

  test('age_counts_from_the_stamp_not_from_the_arrival', () => {
    const harness = new Harness();
    offerAll(harness, T0 + 200n * MS);
    harness.offerJoints(joints(T0 + 250n * MS), T0 + 340n * MS);
    harness.checkConditions(T0 + 350n * MS);
    expect(harness.takeCodes()).toEqual([]);
    harness.checkConditions(T0 + 351n * MS);
    expect(harness.takeCodes()).toEqual(['STATE_STALE']);
  });

  test('a_condition_that_lasts_is_reported_once_per_second', () => {
    const harness = new Harness(robot({ prompt: ' ' }));
    const times: bigint[] = [];
    for (let t = T0; t < T0 + 3n * SECOND; t += 100n * MS) {
      offerAll(harness, t);
      harness.checkConditions(t);
      if (harness.takeCodes().includes('PROMPT_EMPTY')) times.push(t - T0);
    }
    expect(times).toEqual([0n, SECOND, 2n * SECOND]);
  });

  test.each(['', ' \n\t', '\0', '\u200b\u2003\ufeff', ' '.repeat(100_000)])(
    'a_prompt_without_visible_characters_is_empty',
    (prompt) => {
      const harness = new Harness(robot({ prompt }));
      offerAll(harness, T0);
      harness.checkConditions(T0);
      expect(harness.refusals[0]?.message.length).toBeLessThan(200);
      expect(harness.takeCodes()).toEqual(['PROMPT_EMPTY']);
      expect(harness.takeObservation(T0)).toBeUndefined();
    },
  );

  test('an_empty_prompt_is_reported_and_gives_no_observation_until_there_is_one', () => {
    const harness = new Harness(robot({ prompt: ' \n' }));
    offerAll(harness, T0);
    harness.checkConditions(T0);
    expect(harness.refusals[0]?.message).toBe(
      'Expected a prompt in the parameter prompt or on prompt, received " \\n"',
    );
    expect(harness.takeCodes()).toEqual(['PROMPT_EMPTY']);
    expect(harness.takeObservation(T0)).toBeUndefined();
    harness.observer.prompt = 'go';
    harness.checkConditions(T0);
    expect(harness.takeCodes()).toEqual([]);
    expect(harness.takeObservation(T0)?.prompt).toBe('go');
    harness.observer.prompt = '';
    harness.checkConditions(T0 + 1n);
    expect(harness.takeCodes()).toEqual(['PROMPT_EMPTY']);
    harness.observer.prompt = 'go';
    harness.observer.prompt = ' ';
    harness.checkConditions(T0 + 2n);
    harness.checkConditions(T0 + 3n);
    expect(harness.takeCodes()).toEqual(['PROMPT_EMPTY']);
  });
});

describe('skew', () => {
  /** Both cameras at 2 Hz and half a period apart, joints at 100 Hz. */
  function offerSlow(harness: Harness, offset: bigint): string[] {
    for (let t = T0; t < T0 + 2n * SECOND; t += 10n * MS) {
      harness.offerJoints(joints(t), t);
      if ((t - T0) % (500n * MS) === 0n) harness.offerImage('exterior', image(t, 1), t);
      if ((t - T0 - offset) % (500n * MS) === 0n) harness.offerImage('wrist', image(t, 2), t);
      if ((t - T0) % (100n * MS) === 0n) harness.checkConditions(t);
    }
    return harness.takeCodes();
  }
  const config = robot({
    cameras: [
      { ...exterior, maxAge: SECOND },
      { ...wrist, maxAge: SECOND },
    ],
    state: { ...robot().state, maxAge: SECOND },
  });

  test('fresh_frames_that_never_agree_are_refused', () => {
    expect(offerSlow(new Harness(config), 250n * MS)).toEqual(['CAMERA_SKEW', 'CAMERA_SKEW']);
  });

  test('the_sentence_names_the_newest_and_the_oldest_stream', () => {
    const harness = new Harness();
    harness.offerImage('exterior', image(T0, 1), T0);
    harness.offerImage('wrist', image(T0 + 60n * MS, 2), T0 + 60n * MS);
    harness.offerJoints(joints(T0 + 55n * MS), T0 + 60n * MS);
    harness.checkConditions(T0 + 60n * MS);
    expect(harness.refusals.map(String)).toEqual([
      'CAMERA_SKEW: Expected stamps within 0.050 s of each other, received 0.060 s between wrist/image_raw and exterior/image_raw',
    ]);
    expect(harness.refusals[0]?.source).toBe('exterior/image_raw');
  });

  test('frames_that_agree_within_the_skew_are_not', () => {
    expect(offerSlow(new Harness(config), 50n * MS)).toEqual([]);
  });

  test('cameras_that_begin_to_disagree_are_reported_at_the_next_tick_although_an_older_set_agreed', () => {
    const harness = new Harness(config);
    offerAll(harness, T0);
    harness.checkConditions(T0);
    harness.offerImage('exterior', image(T0 + 100n * MS, 1), T0 + 100n * MS);
    harness.offerJoints(joints(T0 + 200n * MS), T0 + 200n * MS);
    harness.checkConditions(T0 + 200n * MS);
    expect(harness.takeCodes()).toEqual([]);
    harness.offerImage('wrist', image(T0 + 200n * MS, 2), T0 + 200n * MS);
    harness.checkConditions(T0 + 210n * MS);
    expect(harness.takeCodes()).toEqual(['CAMERA_SKEW']);
    expect(harness.takeObservation(T0 + 210n * MS)?.stamp).toBe(T0);
    offerAll(harness, T0 + 300n * MS);
    harness.checkConditions(T0 + 300n * MS);
    expect(harness.takeCodes()).toEqual([]);
    expect(harness.takeObservation(T0 + 300n * MS)?.stamp).toBe(T0 + 300n * MS);
    harness.offerImage('exterior', image(T0 + 400n * MS, 1), T0 + 400n * MS);
    harness.offerJoints(joints(T0 + 500n * MS), T0 + 500n * MS);
    harness.offerImage('wrist', image(T0 + 500n * MS, 2), T0 + 500n * MS);
    harness.checkConditions(T0 + 500n * MS);
    expect(harness.takeCodes()).toEqual(['CAMERA_SKEW']);
  });

  test('unsynchronised_cameras_at_30_Hz_are_never_reported', () => {
    const harness = new Harness();
    for (let t = 0n; t < 2000n; t += 1n) {
      const time = T0 + t * MS;
      if (t % 10n === 0n) harness.offerJoints(joints(time), time);
      if (t % 33n === 0n) harness.offerImage('exterior', image(time, 1), time);
      if (t % 34n === 20n) harness.offerImage('wrist', image(time, 2), time);
      if (t > 100n && t % 20n === 0n) harness.checkConditions(time);
    }
    expect(harness.takeCodes()).toEqual([]);
  });
});

describe('duplicates', () => {
  test('identical_images_in_two_slots_are_refused_and_the_next_different_one_is_accepted', () => {
    const harness = new Harness();
    for (const camera of ['exterior', 'wrist']) harness.offerImage(camera, image(T0, 1), T0);
    harness.offerJoints(joints(T0), T0);
    expect(harness.takeObservation(T0)).toBeUndefined();
    expect(harness.refusals.map(String)).toEqual([
      'CAMERA_DUPLICATE: Expected different views for base_0_rgb and left_wrist_0_rgb, received identical pixels from exterior/image_raw and wrist/image_raw',
    ]);
    harness.offerImage('wrist', image(T0 + 1n, 2), T0 + 1n);
    expect(harness.takeObservation(T0 + 1n)?.stamp).toBe(T0 + 1n);
  });

  test('it_is_reported_at_the_tick_although_no_observation_is_requested', () => {
    const harness = new Harness();
    for (const camera of ['exterior', 'wrist']) harness.offerImage(camera, image(T0, 1), T0);
    harness.offerJoints(joints(T0), T0);
    harness.checkConditions(T0);
    harness.checkConditions(T0);
    expect(harness.takeCodes()).toEqual(['CAMERA_DUPLICATE']);
    harness.offerJoints(joints(T0 + 1n), T0 + 1n);
    expect(harness.takeObservation(T0 + 1n)).toBeUndefined();
  });

  test('a_still_scene_is_no_duplicate', () => {
    const harness = new Harness();
    offerAll(harness, T0);
    expect(harness.takeObservation(T0)).toBeDefined();
    offerAll(harness, T0 + 33n * MS);
    expect(harness.takeObservation(T0 + 33n * MS)).toBeDefined();
    expect(harness.takeCodes()).toEqual([]);
  });
});

describe('measured positions', () => {
  test('they_are_the_newest_ones_and_undefined_when_stale', () => {
    const harness = new Harness();
    expect(harness.observer.measuredPositions(T0)).toBeUndefined();
    harness.offerJoints(joints(T0 + 2n, { a: 5, b: 6 }), T0 + 2n);
    harness.offerJoints(joints(T0, { a: 1, b: 2 }), T0 + 2n);
    expect(harness.takeCodes()).toEqual(['TIME_BACKWARDS']);
    expect([...harness.observer.measuredPositions(T0 + 2n)!.positions]).toEqual([5, 6]);
    expect(harness.observer.measuredPositions(T0 + 2n + 100n * MS)).toBeDefined();
    expect(harness.observer.measuredPositions(T0 + 3n + 100n * MS)).toBeUndefined();
  });
});

test('an_unknown_camera_is_a_programming_error', () => {
  expect(() => new Harness().offerImage('third', image(T0), T0)).toThrow('No camera third is configured');
});
