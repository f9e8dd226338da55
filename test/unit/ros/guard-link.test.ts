import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { LatchFile } from '../../../src/guard/latch-file.js';
import { encodeMessage, LineReader, parsePolicyMessage } from '../../../src/guard/protocol.js';
import { GuardLink } from '../../../src/ros/guard-link.js';

let directory: string;
let path: string;
let server: Server;
let sockets: Socket[];
/** The types of the messages of the policy, in order. */
let received: string[];
let wake: () => void;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'pi05-link-'));
  path = join(directory, 'guard.sock');
  sockets = [];
  received = [];
  wake = () => {};
});

afterEach(() => {
  for (const socket of sockets) socket.destroy();
  server.close();
  rmSync(directory, { recursive: true });
});

/** A guard that sends nothing but, where it `answers`, the answer to `attach`. */
async function serve(answers: boolean): Promise<void> {
  server = createServer((socket) => {
    sockets.push(socket);
    const reader = new LineReader();
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      for (const line of reader.push(bytes)) {
        const { type } = parsePolicyMessage(line);
        received.push(type);
        if (type === 'attach' && answers) socket.write(encodeMessage({ type: 'attached', pid: 1, latched: null }));
        if (type === 'detach') socket.destroy();
      }
      wake();
    });
  });
  server.listen(path);
  await once(server, 'listening');
}

async function receivedUntil(type: string): Promise<void> {
  while (!received.includes(type)) await new Promise<void>((resolve) => (wake = resolve));
}

/** @param onLost called when the link reports the guard as lost. */
function link(onLost: () => void = () => {}): GuardLink {
  const options = { node: '/policy_node', path, config: 'a', argv: [], timeout: 1_000_000n };
  return new GuardLink(options, { onStopped() {}, onLatched() {}, onReleased() {}, onLost, onError() {} });
}

test('a_guard_that_accepts_a_connection_and_does_not_answer_does_not_keep_the_policy_from_its_end', async () => {
  await serve(false);
  const policy = link();
  const opened = policy.open();
  await receivedUntil('attach');
  await Promise.all([policy.close(), expect(opened).rejects.toMatchObject({ code: 'GUARD_LOST' })]);
});

test('a_guard_that_is_silent_still_learns_that_the_policy_is_inactive_and_the_latch_outlives_the_policy', async () => {
  await serve(true);
  const lost = new Promise<void>((resolve) => {
    const policy = link(() => {
      expect(policy.latch?.code).toBe('GUARD_LOST');
      expect(new LatchFile(path).read()).toEqual(policy.latch);
      void policy.deactivate().then(async (acknowledged) => {
        expect(acknowledged).toBeUndefined();
        await receivedUntil('deactivate');
        await policy.close();
        resolve();
      });
    });
    void policy.open().then(() => policy.activate());
  });
  await lost;
  expect(received.slice(0, 2)).toEqual(['attach', 'activate']);
});
