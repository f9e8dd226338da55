import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';

/** Higher domains use ports of Linux's ephemeral range, which any process may get. */
const DOMAINS = 101;

export interface Reservation {
  /** A ROS_DOMAIN_ID that no process on this machine uses. */
  readonly domain: number;
  /** Lets other commands take this domain. */
  release(): void;
}

/** Reserves a free ROS domain, starting at a random one; undefined where all are in use. */
export async function reserveDomain(random: () => number = Math.random): Promise<Reservation | undefined> {
  const first = Math.floor(random() * DOMAINS);
  for (let i = 0; i < DOMAINS; i++) {
    const domain = 1 + ((first + i) % DOMAINS);
    const release = await lock(domain);
    if (release === undefined) continue;
    if (await isFree(domain)) return { domain, release };
    release();
  }
  return undefined;
}

/** Locks a domain by the name of an abstract socket, which the kernel releases when the process ends. */
function lock(domain: number): Promise<(() => void) | undefined> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(undefined));
    server.listen(`\0pi05-domain-${domain}`, () => resolve(() => server.close()));
  });
}

/** Whether no DDS participant of this machine uses the domain: the first one would have this port. */
function isFree(domain: number): Promise<boolean> {
  const socket = createSocket('udp4');
  return new Promise((resolve) => {
    socket.once('error', () => {
      socket.close();
      resolve(false);
    });
    socket.bind(7410 + 250 * domain, () => socket.close(() => resolve(true)));
  });
}
