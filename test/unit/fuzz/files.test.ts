import { expect, test } from '@jest/globals';
import { fuzzBags } from './fuzz-bags.js';
import { fuzzSafetensors } from './fuzz-safetensors.js';

const COUNT = 10_000;
const SEED = 20261129;
const TIMEOUT = 120_000;

test(
  'a_changed_safetensors_file_is_refused_or_each_of_its_bytes_belongs_to_one_tensor',
  () => {
    const { accepted, refused, wrong } = fuzzSafetensors(COUNT, SEED);
    expect(wrong.slice(0, 5)).toEqual([]);
    expect(accepted).toBeGreaterThan(COUNT / 100);
    expect([...refused.keys()]).toEqual(['INVALID_ARGUMENT']);
  },
  TIMEOUT,
);

test(
  'a_changed_bag_is_refused_with_a_code_or_its_messages_are_those_that_were_written_in_the_order_of_time',
  async () => {
    const { accepted, refused, wrong } = await fuzzBags(300, SEED);
    expect(wrong.slice(0, 5)).toEqual([]);
    expect(accepted).toBeGreaterThan(10);
    expect([...refused.keys()].sort()).toEqual(['BAG_DATA', 'BAG_FILE']);
  },
  TIMEOUT,
);
