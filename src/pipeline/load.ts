import type { PolicyConfig } from '../config/config.js';
import type { Engine } from '../engine/engine.js';
import { openEngine } from '../engine/native.js';
import { Policy } from '../policy/policy.js';

/** Loads the checkpoint, its statistics and its tokenizer. @throws Pi05Error CHECKPOINT_*, CONFIG_* and the engine's */
export async function loadPolicy(config: PolicyConfig): Promise<{ engine: Engine; policy: Policy }> {
  const { checkpoint, backend, threads } = config;
  const engine = await openEngine({ checkpoint, backend, threads, prepare: true });
  try {
    return { engine, policy: await Policy.load(checkpoint, engine.info, config) };
  } catch (error) {
    await engine.close();
    throw error;
  }
}
