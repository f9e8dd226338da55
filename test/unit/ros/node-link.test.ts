import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { NodeLink } from '../../../src/ros/services/node-link.js';
import { LIMIT, REQUEST_INTERVAL_MS, type FromServices } from '../../../src/ros/services/protocol.js';

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

const OK = [{ successful: true, reason: '' }];

function link(): { link: NodeLink; sent: FromServices[]; request: (name: string) => Promise<unknown> | undefined } {
  const sent: FromServices[] = [];
  const link = new NodeLink((message) => sent.push(message));
  return { link, sent, request: (name) => link.request({ kind: 'get_logger_levels', names: [name] }) };
}

test('a_second_request_waits_for_the_response_and_for_the_interval', async () => {
  const { link: node, sent, request } = link();
  const first = request('a');
  void request('b');
  jest.advanceTimersByTime(REQUEST_INTERVAL_MS);
  expect(sent).toHaveLength(1);
  node.onResponse({ id: 0, body: OK });
  expect(await first).toEqual(OK);
  expect(sent).toHaveLength(2);
  void request('c');
  node.onResponse({ id: 1, body: OK });
  expect(sent).toHaveLength(2);
  jest.advanceTimersByTime(REQUEST_INTERVAL_MS);
  expect(sent).toHaveLength(3);
});

test('a_response_to_another_request_is_ignored', () => {
  const { link: node, sent, request } = link();
  void request('a');
  void request('b');
  node.onResponse({ id: 7, body: OK });
  jest.advanceTimersByTime(REQUEST_INTERVAL_MS);
  expect(sent).toHaveLength(1);
});

test('a_request_beyond_the_limit_is_not_accepted', () => {
  const { request } = link();
  for (let i = 0; i <= LIMIT.waiting; i++) expect(request('a')).toBeDefined();
  expect(request('a')).toBeUndefined();
});

test('refused_requests_are_reported_once_per_second_with_their_number', () => {
  const { link: node, sent } = link();
  for (const reason of ['first', 'second', 'third']) node.refused(reason);
  jest.advanceTimersByTime(1000);
  expect(sent).toEqual([{ kind: 'refused', count: 3, reason: 'first' }]);
  node.refused('fourth');
  jest.advanceTimersByTime(1000);
  expect(sent[1]).toEqual({ kind: 'refused', count: 1, reason: 'fourth' });
});
