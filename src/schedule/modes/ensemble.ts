import { toNanoseconds } from '../../time.js';
import { type ExecutionMode, type MergeInput, type Plan, replacePlan } from './mode.js';

/**
 * Temporal ensembling (ACT, Zhao et al. 2023): each step is the weighted mean of what all chunks predict for it, with the
 * weight exp(−decay · i) for the i-th oldest of them, i = 0 for the oldest.
 */
export const ensemble: ExecutionMode = {
  executesDuringInference: true,
  merge: average,
};

/**
 * Positions are absolute in every chunk, each from the state of its own observation, so that they can be averaged. A binarised
 * joint is not averaged, because it would stand half open: the newest chunk decides.
 */
function average({ earlier, config, ...input }: MergeInput): Plan {
  const { chunk, now, maxAge } = input;
  const { nextRow } = replacePlan({ earlier, config, ...input });
  const columns = config.action.joints.flatMap(({ binarize }, j) => (binarize === undefined ? [j] : []));
  const values = chunk.values.slice();
  for (let row = nextRow; row < chunk.rows; row++) {
    const time = now + toNanoseconds((row - nextRow) * chunk.period);
    const predictions = earlier
      .map((plan) => ({ chunk: plan.chunk, row: plan.nextRow + row - nextRow }))
      .filter((prediction) => prediction.row < prediction.chunk.rows && time - prediction.chunk.stamp <= maxAge);
    predictions.push({ chunk, row });
    const weights = predictions.map((_, i) => Math.exp(-config.schedule.ensembleDecay * i));
    const sum = weights.reduce((total, weight) => total + weight, 0);
    for (const j of columns) {
      const weighted = predictions.map(
        (prediction, i) => weights[i]! * prediction.chunk.values[prediction.row * chunk.joints.length + j]!,
      );
      values[row * chunk.joints.length + j] = weighted.reduce((total, value) => total + value, 0) / sum;
    }
  }
  return { chunk: { ...chunk, values }, nextRow };
}
