import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { encodeMessage, LineReader, MAX_LINE, type PolicyMessage } from '../../../src/guard/protocol.js';
import { GuardServer } from '../../../src/guard/server.js';

const ATTACH: PolicyMessage = { type: 'attach', protocol: 1, node: '/policy_node', config: 'a', pid: 41 };

let directory: string;
let path: string;
let server: GuardServer;
let sockets: Socket[];
/** What the handlers received, in order. */
let events: string[];
let wake: () => void;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'pi05-server-'));
  path = join(directory, 'guard.sock');
  sockets = [];
  events = [];
  wake = () => {};
  const add = (event: string): void => {
    events.push(event);
    wake();
  };
  server = new GuardServer({
    attach: ({ config }) => {
      add(`attach ${config}`);
      return config === 'a'
        ? { type: 'attached', pid: 1, latched: null }
        : { type: 'refused', code: 'GUARD_CONFIG', message: 'other parameters' };
    },
    receive: ({ type }) => add(type),
    disconnect: (orderly, { code }) => add(orderly ? 'detached' : `lost ${code}`),
  });
});

afterEach(() => {
  for (const socket of sockets) socket.destroy();
  server.close();
  rmSync(directory, { recursive: true });
});

/** A connection, and the types of the messages that it receives. */
async function client(...messages: readonly PolicyMessage[]): Promise<{ socket: Socket; next: () => Promise<string> }> {
  const socket = connect(path);
  sockets.push(socket);
  socket.on('error', () => {});
  const reader = new LineReader();
  const received: string[] = [];
  let wakeReader = (): void => {};
  socket.on('data', (bytes) => {
    for (const line of reader.push(bytes)) {
      const { type, code } = JSON.parse(line) as { type: string; code?: string };
      received.push(code === undefined ? type : `${type} ${code}`);
    }
    wakeReader();
  });
  socket.on('close', () => {
    received.push('closed');
    wakeReader();
  });
  await once(socket, 'connect');
  for (const message of messages) socket.write(encodeMessage(message));
  const next = async (): Promise<string> => {
    while (received.length === 0) await new Promise<void>((resolve) => (wakeReader = resolve));
    return received.shift()!;
  };
  return { socket, next };
}

/** Waits until the handlers have received `count` events. */
async function eventsUntil(count: number): Promise<string[]> {
  while (events.length < count) await new Promise<void>((resolve) => (wake = resolve));
  return events;
}

describe('a policy', () => {
  beforeEach(() => server.listen(path));

  test('that_attaches_is_answered_and_its_messages_arrive_in_order', async () => {
    const { next } = await client(ATTACH, { type: 'activate' }, { type: 'tick' });
    expect(await next()).toBe('attached');
    expect(await eventsUntil(3)).toEqual(['attach a', 'activate', 'tick']);
    server.send({ type: 'heartbeat' });
    expect([await next(), server.attached]).toEqual(['heartbeat', true]);
  });

  test('that_closes_the_connection_is_lost_and_another_may_attach', async () => {
    const { socket } = await client(ATTACH);
    await eventsUntil(1);
    socket.destroy();
    expect(await eventsUntil(2)).toEqual(['attach a', 'lost POLICY_LOST']);
    const { next } = await client(ATTACH);
    expect(await next()).toBe('attached');
  });

  test('that_detaches_is_not_lost_and_nothing_after_it_is_read', async () => {
    const { next } = await client(ATTACH, { type: 'detach' }, { type: 'tick' });
    expect([await next(), await next()]).toEqual(['attached', 'closed']);
    expect([events, server.attached]).toEqual([['attach a', 'detached'], false]);
  });

  test('is_refused_while_another_is_attached_which_stays', async () => {
    const first = await client(ATTACH);
    await first.next();
    const second = await client(ATTACH);
    expect([await second.next(), await second.next()]).toEqual(['refused NODE_DUPLICATE', 'closed']);
    first.socket.write(encodeMessage({ type: 'tick' }));
    expect(await eventsUntil(2)).toEqual(['attach a', 'tick']);
  });

  test('that_the_handler_refuses_is_disconnected_and_not_lost', async () => {
    const { next } = await client({ ...ATTACH, config: 'b' });
    expect([await next(), await next()]).toEqual(['refused GUARD_CONFIG', 'closed']);
    expect([events, server.attached]).toEqual([['attach b'], false]);
  });

  test.each(['{"type":"fly"}\n', 'x'.repeat(MAX_LINE + 1)])('whose_bytes_are_no_message_is_lost: %#', async (bytes) => {
    const { socket } = await client(ATTACH);
    await eventsUntil(1);
    socket.write(bytes);
    expect(await eventsUntil(2)).toEqual(['attach a', 'lost GUARD_LINK']);
  });

  test('must_attach_first', async () => {
    const { next } = await client({ type: 'activate' });
    expect([await next(), events]).toEqual(['closed', []]);
  });

  test('that_does_not_read_does_not_keep_the_process_of_the_guard', async () => {
    const { socket, next } = await client(ATTACH);
    await next();
    socket.pause();
    for (let i = 0; i < 100_000; i++) server.send({ type: 'heartbeat' });
    server.send({ type: 'released', time: 1n });
    server.close();
    socket.resume();
    const read: string[] = [];
    do read.push(await next());
    while (read.at(-1) !== 'closed');
    expect(read).not.toContain('released');
  });

  test('that_does_not_read_gets_a_bounded_number_of_heartbeats', async () => {
    const { socket, next } = await client(ATTACH);
    await next();
    socket.pause();
    for (let i = 0; i < 100_000; i++) server.send({ type: 'heartbeat' });
    server.send({ type: 'released', time: 1n });
    let heartbeats = 0;
    socket.resume();
    while ((await next()) === 'heartbeat') heartbeats++;
    expect(heartbeats).toBeLessThan(100_000);
  });
});

describe('the socket', () => {
  test('has_one_guard', async () => {
    await server.listen(path);
    const other = new GuardServer({
      attach: () => ({ type: 'attached', pid: 1, latched: null }),
      receive() {},
      disconnect() {},
    });
    await expect(other.listen(path)).rejects.toMatchObject({ code: 'GUARD_RUNNING' });
    await client(ATTACH);
    expect(await eventsUntil(1)).toEqual(['attach a']);
  });

  test('that_an_earlier_guard_has_left_is_replaced', async () => {
    writeFileSync(path, '');
    await server.listen(path);
    const { next } = await client(ATTACH);
    expect(await next()).toBe('attached');
  });

  test('is_removed_at_the_end', async () => {
    await server.listen(path);
    server.close();
    expect(existsSync(path)).toBe(false);
  });

  test('in_a_directory_that_does_not_exist_is_an_error', async () => {
    await expect(server.listen(join(directory, 'missing', 'guard.sock'))).rejects.toMatchObject({
      code: 'ENVIRONMENT',
    });
  });
});
