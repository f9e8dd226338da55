import type { PolicyConfig } from '../config/config.js';
import type { Engine } from '../engine/engine.js';
import { openEngine } from '../engine/native.js';
import { Policy } from '../policy/policy.js';

/**
 * Loads the checkpoint, its statistics and its tokenizer.
 * @param realTime whether a robot waits for the results: inference then runs at low priority, so that it delays no control
 * tick, and the engine prepares for all prompt lengths at load, so that the first inference is not slower than the others.
 * @throws Pi05Error CHECKPOINT_*, CONFIG_* and those of `openEngine`.
 */
export async function loadPolicy(config: PolicyConfig, realTime = true): Promise<{ engine: Engine; policy: Policy }> {
  const { checkpoint, backend, precision, threads } = config;
  const knownSteps = config.schedule.mode === 'rtc_trained';
  const engine = await openEngine({
    checkpoint,
    backend,
    precision,
    threads,
    prepare: realTime,
    knownSteps,
    lowPriority: realTime,
  });
  try {
    return { engine, policy: await Policy.load(checkpoint, engine.info, config) };
  } catch (error) {
    await engine.close();
    throw error;
  }
}
