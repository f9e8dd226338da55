import { beforeEach, describe, expect, test } from '@jest/globals';
import sharp from 'sharp';
import type { PolicyConfig } from '../../../src/config/config.js';
import type { Refusal } from '../../../src/errors.js';
import { Observer } from '../../../src/observation/observer.js';
import { exterior, image, joints, MS, robot, SECOND, stateJoint, T0, wrist } from '../pipeline/robot.js';

let said: Refusal[];
let changes: number;
let now: bigint;

beforeEach(() => {
  said = [];
  changes = 0;
  now = T0;
});

function observer(config: PolicyConfig = robot()): Observer {
  const made = new Observer(
    config,
    (refusal) => said.push(refusal),
    () => changes++,
    () => now,
  );
  made.reset(T0);
  return made;
}

/** Codes reported since the last call. */
function codes(): string[] {
  return said.splice(0).map(({ code }) => code);
}

/** One message of each stream stamped `stamp`, arriving then. */
function offerAll(to: Observer, stamp: bigint): void {
  to.offerImage('exterior', image(stamp, 1), stamp);
  to.offerImage('wrist', image(stamp, 2), stamp);
  to.offerJoints(joints(stamp, { a: 1, b: 2 }), stamp);
}

describe('building an observation', () => {
  test('a_whole_set_gives_views_in_slot_order_state_and_prompt', () => {
    const from = observer();
    from.offerImage('wrist', image(T0 + 10n * MS, 2), T0 + 12n * MS);
    from.offerJoints(joints(T0 + 5n * MS, { b: 2, a: 1 }), T0 + 12n * MS);
    expect(from.take(T0 + 12n * MS)).toBeUndefined();
    from.offerImage('exterior', image(T0, 1), T0 + 13n * MS);
    const observation = from.take(T0 + 13n * MS)!;
    expect(observation.stamp).toBe(T0 + 10n * MS);
    expect(observation.views.map(({ camera, slot, frame }) => [camera, slot, frame.stamp])).toEqual([
      ['exterior', 'base_0_rgb', T0],
      ['wrist', 'left_wrist_0_rgb', T0 + 10n * MS],
    ]);
    expect([...observation.state]).toEqual([1, 2]);
    expect(observation.prompt).toBe('pick up the red block');
  });

  test('a_set_is_given_once_and_the_next_must_be_newer', () => {
    const from = observer();
    offerAll(from, T0);
    expect(from.take(T0)?.stamp).toBe(T0);
    expect(from.take(T0)).toBeUndefined();
    from.offerJoints(joints(T0), T0);
    expect(from.take(T0)).toBeUndefined();
    from.offerJoints(joints(T0 + 1n), T0 + 1n);
    expect(from.take(T0 + 1n)?.stamp).toBe(T0 + 1n);
  });

  test('what_is_too_old_is_not_used_though_it_agrees', () => {
    const from = observer();
    offerAll(from, T0);
    expect(from.take(T0 + 100n * MS + 1n)).toBeUndefined();
  });

  test('an_older_frame_is_used_where_the_newest_disagrees', () => {
    const from = observer();
    offerAll(from, T0);
    from.offerImage('exterior', image(T0 + 90n * MS, 3), T0 + 90n * MS);
    expect(from.take(T0 + 90n * MS)?.views.map(({ frame }) => frame.stamp)).toEqual([T0, T0]);
  });

  test('without_joint_space_state_the_cameras_alone_are_a_set', () => {
    const from = observer(robot({ state: { mode: 'none', topic: '', maxAge: 0n, joints: [] } }));
    from.offerImage('exterior', image(T0, 1), T0);
    from.offerImage('wrist', image(T0, 2), T0);
    expect(from.take(T0)?.state).toEqual(new Float64Array(0));
    expect([...from.measured(T0)!]).toEqual([NaN, NaN]);
    from.watch(T0 + 10n * MS);
    expect(codes()).toEqual([]);
  });

  test('a_set_is_complete_only_with_every_input_of_its_time', () => {
    const from = observer();
    offerAll(from, T0);
    from.offerJoints(joints(T0 + 40n * MS), T0 + 40n * MS);
    from.offerImage('wrist', image(T0 + 40n * MS, 4), T0 + 40n * MS);
    expect(from.isComplete(T0 + 40n * MS, T0 + 40n * MS)).toBe(false);
    from.offerImage('exterior', image(T0 + 40n * MS, 3), T0 + 40n * MS);
    expect(from.isComplete(T0 + 40n * MS, T0 + 40n * MS)).toBe(true);
  });
});

describe('a bad message', () => {
  test.each<[string, (to: Observer) => void, string, string]>([
    [
      'image',
      (to) => to.offerImage('wrist', image(T0 + 1n, 1, { encoding: 'nv12' }), T0 + 1n),
      'IMAGE_ENCODING',
      'wrist/image_raw',
    ],
    ['size', (to) => to.offerImage('wrist', image(T0 + 1n, 1, { width: 1 }), T0 + 1n), 'IMAGE_SIZE', 'wrist/image_raw'],
    ['data', (to) => to.offerImage('wrist', image(T0 + 1n, 1, { step: 13 }), T0 + 1n), 'IMAGE_DATA', 'wrist/image_raw'],
    ['joint', (to) => to.offerJoints(joints(T0 + 1n, { a: 1 }), T0 + 1n), 'JOINT_MISSING', 'joint_states'],
    ['range', (to) => to.offerJoints(joints(T0 + 1n, { a: 1, b: 4 }), T0 + 1n), 'JOINT_RANGE', 'joint_states'],
    [
      'image that is not new',
      (to) => to.offerImage('wrist', image(T0, 9), T0 + 1n),
      'CAMERA_FROZEN',
      'wrist/image_raw',
    ],
    ['older image', (to) => to.offerImage('wrist', image(T0 - 1n, 2), T0 + 1n), 'TIME_BACKWARDS', 'wrist/image_raw'],
    ['older reading', (to) => to.offerJoints(joints(T0 - 1n), T0 + 1n), 'TIME_BACKWARDS', 'joint_states'],
    ['value', (to) => to.offerJoints(joints(T0 + 1n, { a: 1, b: NaN }), T0 + 1n), 'JOINT_NOT_FINITE', 'joint_states'],
  ])('%s is refused each time, evicts nothing, and the next good one is used at once', (_, offerBad, code, topic) => {
    const limited = [stateJoint('a'), stateJoint('b', { lower: -3, upper: 3 })];
    const from = observer(robot({ state: { ...robot().state, joints: limited } }));
    offerAll(from, T0);
    offerBad(from);
    offerBad(from);
    expect(said.map(({ code, source }) => [code, source])).toEqual([
      [code, topic],
      [code, topic],
    ]);
    expect(from.take(T0 + 1n)?.stamp).toBe(T0);
    offerAll(from, T0 + 2n);
    expect(from.take(T0 + 2n)?.views.map(({ frame }) => frame.stamp)).toEqual([T0 + 2n, T0 + 2n]);
  });

  test('a_stamp_far_ahead_of_the_clock_is_refused_and_does_not_feign_life', () => {
    const from = observer();
    offerAll(from, T0);
    from.offerImage('wrist', image(T0 + SECOND, 9), T0 + 50n * MS);
    expect(said[0]?.message).toBe(
      'Expected a stamp within 0.200 s, received one 0.950 s ahead of the clock from wrist/image_raw',
    );
    expect(codes()).toEqual(['CAMERA_STALE']);
    from.offerImage('wrist', image(T0 + 200n * MS, 9), T0 + 50n * MS);
    for (const camera of ['exterior', 'wrist'])
      from.offerImage(camera, image(T0 + 51n * MS, camera.length), T0 + 51n * MS);
    from.watch(T0 + 100n * MS);
    expect(codes()).toEqual(['TIME_BACKWARDS']);
    from.watch(T0 + 252n * MS);
    expect(said.map(({ source }) => source)).toEqual(['exterior/image_raw', 'wrist/image_raw', 'joint_states']);
  });

  test('a_message_too_old_on_arrival_is_refused_by_its_age', () => {
    const from = observer();
    from.offerJoints(joints(T0 - 500n * MS), T0);
    expect(said.map(String)).toEqual([
      'STATE_STALE: Expected a stamp within 0.100 s, received one 0.500 s behind the clock from joint_states',
    ]);
  });
});

test('a_stamp_of_0_is_named_as_such', () => {
  const from = observer();
  from.offerImage('wrist', image(0n), T0);
  expect(said[0]?.message).toBe(
    'Expected a stamp within 0.200 s, received one 1000.000 s behind the clock from wrist/image_raw (its stamp is 0)',
  );
});

test('a_stamp_years_off_asks_about_simulated_time', () => {
  const from = observer();
  from.offerJoints(joints(T0), T0 + 1_795_280_404n * SECOND);
  expect(said[0]?.message).toBe(
    'Expected a stamp within 0.100 s, received one 1795280404.000 s behind the clock from joint_states' +
      ' (does use_sim_time agree with the publisher?)',
  );
});

describe('conditions', () => {
  test('a_camera_never_seen_is_missing_within_its_age_and_one_tick_naming_the_topic', () => {
    const from = observer();
    for (let t = T0; t <= T0 + 300n * MS; t += 100n * MS) {
      from.offerJoints(joints(t), t);
      from.offerImage('exterior', image(t, 1), t);
      from.watch(t);
    }
    expect(said.map(String)).toEqual([
      'CAMERA_MISSING: Expected messages on wrist/image_raw, received none in 0.300 s',
    ]);
  });

  test('a_camera_whose_every_image_is_bad_is_stale_not_missing', () => {
    const from = observer();
    from.offerImage('wrist', image(T0, 1, { encoding: 'nv12' }), T0);
    from.watch(T0 + 300n * MS);
    expect(said.map(({ code, source }) => [code, source])).toEqual([
      ['IMAGE_ENCODING', 'wrist/image_raw'],
      ['CAMERA_MISSING', 'exterior/image_raw'],
      ['CAMERA_STALE', 'wrist/image_raw'],
      ['STATE_STALE', 'joint_states'],
    ]);
  });

  test('a_stream_that_ends_is_stale_at_its_own_age_and_well_again_with_its_next_message', () => {
    const from = observer();
    offerAll(from, T0);
    from.watch(T0 + 100n * MS);
    expect(codes()).toEqual([]);
    from.watch(T0 + 101n * MS);
    expect(said[0]?.message).toBe(
      'Expected valid data at most 0.100 s old on joint_states, received the last 0.101 s ago',
    );
    expect(codes()).toEqual(['STATE_STALE']);
    from.watch(T0 + 201n * MS);
    expect(codes()).toEqual(['CAMERA_STALE', 'CAMERA_STALE']);
    offerAll(from, T0 + 300n * MS);
    from.watch(T0 + 300n * MS);
    expect(codes()).toEqual([]);
    expect(from.take(T0 + 300n * MS)?.stamp).toBe(T0 + 300n * MS);
    from.watch(T0 + 401n * MS);
    expect(codes()).toEqual(['STATE_STALE']);
  });

  test('age_counts_from_the_stamp_not_from_the_arrival', () => {
    const from = observer();
    offerAll(from, T0 + 200n * MS);
    from.offerJoints(joints(T0 + 250n * MS), T0 + 340n * MS);
    from.watch(T0 + 350n * MS);
    expect(codes()).toEqual([]);
    from.watch(T0 + 351n * MS);
    expect(codes()).toEqual(['STATE_STALE']);
  });

  test('a_condition_that_lasts_is_said_once_a_second', () => {
    const from = observer(robot({ prompt: ' ' }));
    const times: bigint[] = [];
    for (let t = T0; t < T0 + 3n * SECOND; t += 100n * MS) {
      offerAll(from, t);
      from.watch(t);
      if (codes().includes('PROMPT_EMPTY')) times.push(t - T0);
    }
    expect(times).toEqual([0n, SECOND, 2n * SECOND]);
  });

  test.each(['', ' \n\t', '\0', '\u200b\u2003\ufeff', ' '.repeat(100_000)])(
    'a_prompt_of_nothing_visible_is_empty',
    (prompt) => {
      const from = observer(robot({ prompt }));
      offerAll(from, T0);
      from.watch(T0);
      expect(said[0]?.message.length).toBeLessThan(200);
      expect(codes()).toEqual(['PROMPT_EMPTY']);
      expect(from.take(T0)).toBeUndefined();
    },
  );

  test('an_empty_prompt_is_said_and_gives_no_observation_until_there_is_one', () => {
    const from = observer(robot({ prompt: ' \n' }));
    offerAll(from, T0);
    from.watch(T0);
    expect(codes()).toEqual(['PROMPT_EMPTY']);
    expect(from.take(T0)).toBeUndefined();
    from.prompt = 'go';
    from.watch(T0);
    expect(codes()).toEqual([]);
    expect(from.take(T0)?.prompt).toBe('go');
    from.prompt = '';
    from.watch(T0 + 1n);
    expect(codes()).toEqual(['PROMPT_EMPTY']);
    from.prompt = 'go';
    from.prompt = ' ';
    from.watch(T0 + 2n);
    from.watch(T0 + 3n);
    expect(codes()).toEqual(['PROMPT_EMPTY']);
  });
});

describe('skew', () => {
  /** Both cameras at 2 Hz and half a period apart, joints at 100 Hz. */
  function slow(to: Observer, offset: bigint): string[] {
    for (let t = T0; t < T0 + 2n * SECOND; t += 10n * MS) {
      to.offerJoints(joints(t), t);
      if ((t - T0) % (500n * MS) === 0n) to.offerImage('exterior', image(t, 1), t);
      if ((t - T0 - offset) % (500n * MS) === 0n) to.offerImage('wrist', image(t, 2), t);
      if ((t - T0) % (100n * MS) === 0n) to.watch(t);
    }
    return codes();
  }
  const config = robot({
    cameras: [
      { ...exterior, maxAge: SECOND },
      { ...wrist, maxAge: SECOND },
    ],
    state: { ...robot().state, maxAge: SECOND },
  });

  test('fresh_frames_that_never_agree_are_refused', () => {
    expect(slow(observer(config), 250n * MS)).toEqual(['CAMERA_SKEW', 'CAMERA_SKEW']);
  });

  test('the_sentence_names_both_ends', () => {
    const from = observer();
    from.offerImage('exterior', image(T0, 1), T0);
    from.offerImage('wrist', image(T0 + 60n * MS, 2), T0 + 60n * MS);
    from.offerJoints(joints(T0 + 55n * MS), T0 + 60n * MS);
    from.watch(T0 + 60n * MS);
    expect(said.map(String)).toEqual([
      'CAMERA_SKEW: Expected stamps within 0.050 s of each other, received 0.060 s between wrist/image_raw and exterior/image_raw',
    ]);
    expect(said[0]?.source).toBe('exterior/image_raw');
  });

  test('frames_that_agree_within_the_skew_are_not', () => {
    expect(slow(observer(config), 50n * MS)).toEqual([]);
  });

  test('cameras_that_part_are_reported_at_the_next_tick_though_an_older_set_agreed', () => {
    const from = observer(config);
    offerAll(from, T0);
    from.watch(T0);
    from.offerImage('exterior', image(T0 + 100n * MS, 1), T0 + 100n * MS);
    from.offerJoints(joints(T0 + 200n * MS), T0 + 200n * MS);
    from.watch(T0 + 200n * MS);
    expect(codes()).toEqual([]);
    from.offerImage('wrist', image(T0 + 200n * MS, 2), T0 + 200n * MS);
    from.watch(T0 + 210n * MS);
    expect(codes()).toEqual(['CAMERA_SKEW']);
    expect(from.take(T0 + 210n * MS)?.stamp).toBe(T0);
    offerAll(from, T0 + 300n * MS);
    from.watch(T0 + 300n * MS);
    expect(codes()).toEqual([]);
    expect(from.take(T0 + 300n * MS)?.stamp).toBe(T0 + 300n * MS);
    from.offerImage('exterior', image(T0 + 400n * MS, 1), T0 + 400n * MS);
    from.offerJoints(joints(T0 + 500n * MS), T0 + 500n * MS);
    from.offerImage('wrist', image(T0 + 500n * MS, 2), T0 + 500n * MS);
    from.watch(T0 + 500n * MS);
    expect(codes()).toEqual(['CAMERA_SKEW']);
  });

  test('unsynchronised_cameras_at_30_Hz_are_never_reported', () => {
    const from = observer();
    for (let t = 0n; t < 2000n; t += 1n) {
      const time = T0 + t * MS;
      if (t % 10n === 0n) from.offerJoints(joints(time), time);
      if (t % 33n === 0n) from.offerImage('exterior', image(time, 1), time);
      if (t % 34n === 20n) from.offerImage('wrist', image(time, 2), time);
      if (t > 100n && t % 20n === 0n) from.watch(time);
    }
    expect(codes()).toEqual([]);
  });
});

describe('duplicates', () => {
  test('one_picture_in_two_slots_is_refused_and_another_one_accepted_at_once', () => {
    const from = observer();
    for (const camera of ['exterior', 'wrist']) from.offerImage(camera, image(T0, 1), T0);
    from.offerJoints(joints(T0), T0);
    expect(from.take(T0)).toBeUndefined();
    expect(said.map(String)).toEqual([
      'CAMERA_DUPLICATE: Expected different views for base_0_rgb and left_wrist_0_rgb, received identical pixels from exterior/image_raw and wrist/image_raw',
    ]);
    from.offerImage('wrist', image(T0 + 1n, 2), T0 + 1n);
    expect(from.take(T0 + 1n)?.stamp).toBe(T0 + 1n);
  });

  test('it_is_reported_at_the_tick_though_nobody_asks_for_an_observation', () => {
    const from = observer();
    for (const camera of ['exterior', 'wrist']) from.offerImage(camera, image(T0, 1), T0);
    from.offerJoints(joints(T0), T0);
    from.watch(T0);
    from.watch(T0);
    expect(codes()).toEqual(['CAMERA_DUPLICATE']);
    from.offerJoints(joints(T0 + 1n), T0 + 1n);
    expect(from.take(T0 + 1n)).toBeUndefined();
  });

  test('a_still_scene_is_no_duplicate', () => {
    const from = observer();
    offerAll(from, T0);
    expect(from.take(T0)).toBeDefined();
    offerAll(from, T0 + 33n * MS);
    expect(from.take(T0 + 33n * MS)).toBeDefined();
    expect(codes()).toEqual([]);
  });
});

describe('measured positions', () => {
  test('they_are_the_newest_and_unknown_once_stale', () => {
    const from = observer();
    expect(from.measured(T0)).toBeUndefined();
    from.offerJoints(joints(T0 + 2n, { a: 5, b: 6 }), T0 + 2n);
    from.offerJoints(joints(T0, { a: 1, b: 2 }), T0 + 2n);
    expect(codes()).toEqual(['TIME_BACKWARDS']);
    expect([...from.measured(T0 + 2n)!]).toEqual([5, 6]);
    expect(from.measured(T0 + 2n + 100n * MS)).toBeDefined();
    expect(from.measured(T0 + 3n + 100n * MS)).toBeUndefined();
  });
});

describe('compressed images', () => {
  const jpeg = (shade: number): Promise<Buffer> =>
    sharp({ create: { width: 8, height: 8, channels: 3, background: { r: shade, g: 0, b: 0 } } })
      .jpeg()
      .toBuffer();
  const message = async (stamp: bigint, shade: number) => ({
    stamp,
    format: 'jpeg',
    data: await jpeg(shade),
  });

  test('a_decoded_image_completes_a_set_and_says_so', async () => {
    const from = observer();
    from.offerImage('exterior', image(T0, 1), T0);
    from.offerJoints(joints(T0), T0);
    from.offerCompressed('wrist', await message(T0, 200));
    expect(from.take(T0)).toBeUndefined();
    await from.idle();
    expect(changes).toBe(1);
    expect(from.take(T0)?.views[1]?.frame).toMatchObject({ width: 8, height: 8, stamp: T0 });
  });

  test('while_one_is_decoded_only_the_newest_other_one_waits', async () => {
    const from = observer();
    const messages = await Promise.all(Array.from({ length: 10 }, (_, i) => message(T0 + 100n + BigInt(i), 100)));
    for (const m of messages) from.offerCompressed('wrist', m);
    await from.idle();
    expect(changes).toBe(2);
    from.offerImage('exterior', image(T0 + 109n, 1), T0 + 109n);
    from.offerJoints(joints(T0 + 109n), T0 + 109n);
    expect(from.take(T0 + 109n)?.views[1]?.frame.stamp).toBe(T0 + 109n);
  });

  test('a_broken_one_is_refused_and_the_next_is_decoded', async () => {
    const from = observer();
    from.offerCompressed('wrist', { ...(await message(T0, 1)), data: (await jpeg(1)).subarray(0, 100) });
    from.offerCompressed('wrist', await message(T0 + 1n, 1));
    await from.idle();
    expect(codes()).toEqual(['IMAGE_DECODE']);
    expect(changes).toBe(1);
  });

  test('what_was_offered_before_a_reset_is_dropped', async () => {
    const from = observer();
    const messages = [await message(T0, 1), await message(T0 + 1n, 1)];
    for (const m of messages) from.offerCompressed('wrist', m);
    from.reset(T0);
    await from.idle();
    expect(changes).toBe(0);
  });
});

test('an_unknown_camera_is_a_mistake_of_the_caller', () => {
  expect(() => observer().offerImage('third', image(T0), T0)).toThrow('No camera third is configured');
});
