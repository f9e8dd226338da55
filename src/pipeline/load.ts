import type { PolicyConfig } from '../config/config.js';
import type { Engine } from '../engine/engine.js';
import { openEngine } from '../engine/native.js';
import { Policy } from '../policy/policy.js';

/**
 * Loads the checkpoint, its statistics and its tokenizer.
 * @param realTime whether time goes on while it infers: then inference gives way to everything else, and no prompt's first
 * inference is to be slower than the next. @throws Pi05Error CHECKPOINT_*, CONFIG_* and the engine's
 */
export async function loadPolicy(config: PolicyConfig, realTime = true): Promise<{ engine: Engine; policy: Policy }> {
  const { checkpoint, backend, threads } = config;
  const engine = await openEngine({ checkpoint, backend, threads, prepare: realTime, lowPriority: realTime });
  try {
    return { engine, policy: await Policy.load(checkpoint, engine.info, config) };
  } catch (error) {
    await engine.close();
    throw error;
  }
}
