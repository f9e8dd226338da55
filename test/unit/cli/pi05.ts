import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The compiled sources. */
export const sources = fileURLToPath(new URL('../../../src', import.meta.url));

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command line in its own process. */
export function pi05(...argv: string[]): Promise<Outcome> {
  return pi05In(sources, argv);
}

/** The same from another copy of the compiled sources. */
export async function pi05In(directory: string, argv: readonly string[]): Promise<Outcome> {
  const child = spawn(process.execPath, [join(directory, 'cli', 'main.js'), ...argv], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  const code = await new Promise<number | null>((resolve, reject) =>
    child.once('close', resolve).once('error', reject),
  );
  return { code, ...output };
}
