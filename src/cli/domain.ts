import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';

/** Domains above 101 have ports that Linux may hand out to others. */
const DOMAINS = 101;

export interface Reservation {
  /** A ROS_DOMAIN_ID that nobody on this machine uses. */
  readonly domain: number;
  /** For as long as it is not released, no other run takes the same domain. */
  release(): void;
}

/** Reserves a free ROS domain, trying them in a random order; undefined where all are in use. */
export async function reserveDomain(random: () => number = Math.random): Promise<Reservation | undefined> {
  const first = Math.floor(random() * DOMAINS);
  for (let i = 0; i < DOMAINS; i++) {
    const domain = 1 + ((first + i) % DOMAINS);
    const release = await lock(domain);
    if (release === undefined) continue;
    if (await isSilent(domain)) return { domain, release };
    release();
  }
  return undefined;
}

/** An abstract socket's name is taken by one process at a time and given back when that ends, however it ends. */
function lock(domain: number): Promise<(() => void) | undefined> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(undefined));
    server.listen(`\0pi05-demo-${domain}`, () => resolve(() => server.close()));
  });
}

/** Whether no DDS participant has its first port here. */
function isSilent(domain: number): Promise<boolean> {
  const socket = createSocket('udp4');
  return new Promise((resolve) => {
    socket.once('error', () => {
      socket.close();
      resolve(false);
    });
    socket.bind(7410 + 250 * domain, () => socket.close(() => resolve(true)));
  });
}
