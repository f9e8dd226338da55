import type { PolicyConfig } from '../config/config.js';
import { Problems } from '../config/problems.js';
import { toRobot } from '../config/units.js';
import { Pi05Error, Refusal } from '../errors.js';
import { type ActionChunk, IMAGE_SLOTS, type Observation, type Pixels } from '../frame/frame.js';
import { checkCompatibility } from './compatibility.js';
import type { PolicyModel } from './model.js';
import { noise } from './noise.js';
import type { Normalizers } from './normalizers.js';
import { TokenizerWorkerClient } from './tokenizer/tokenizer-thread.js';
import { loadTokenizer } from './tokenizer/load.js';
import { binarize, bound, toAbsolute } from './transforms/actions.js';
import { rotated } from './transforms/images.js';
import {
  cleanPrompt,
  padded,
  promptWithoutState,
  promptWithState,
  pythonStrip,
  stateBins,
} from './transforms/prompt.js';

/** The engine's inputs for one inference. */
export interface PolicyInputs {
  /** One per model slot; undefined = no camera in that slot. */
  readonly images: (Pixels | undefined)[];
  /** Token ids, BOS first, without padding. */
  readonly tokens: Int32Array;
  /** [horizon, action dim] */
  readonly noise: Float32Array;
}

/** Converts observations to model inputs, and model outputs to actions in the robot's units. */
export class Policy {
  readonly #model: PolicyModel;
  readonly #config: PolicyConfig;
  readonly #tokenizer: TokenizerWorkerClient;
  readonly #normalizers: Normalizers;

  private constructor(
    model: PolicyModel,
    config: PolicyConfig,
    tokenizer: TokenizerWorkerClient,
    normalizers: Normalizers,
  ) {
    this.#model = model;
    this.#config = config;
    this.#tokenizer = tokenizer;
    this.#normalizers = normalizers;
  }

  /**
   * Reads the tokenizer and the statistics of a checkpoint directory, and checks them and the model against the configuration.
   * @throws ProblemsError with every problem: CONFIG_RANGE, CHECKPOINT_STATS, CHECKPOINT_TOKENIZER.
   */
  static async load(directory: string, model: PolicyModel, config: PolicyConfig): Promise<Policy> {
    const problems = new Problems();
    const normalizers = checkCompatibility(directory, model, config, problems);
    const load = TokenizerWorkerClient.load.bind(TokenizerWorkerClient);
    const tokenizer = await loadTokenizer(load, directory, model, problems);
    try {
      problems.throwIfAny();
      if (tokenizer === undefined || normalizers === undefined) {
        throw new Pi05Error('INTERNAL', 'Expected a problem for each part that is missing, received none');
      }
      return new Policy(model, config, tokenizer, normalizers);
    } catch (error) {
      await tokenizer?.close();
      throw error;
    }
  }

  /** The model inputs for an observation. @throws Refusal PROMPT_EMPTY, PROMPT_TOO_LONG. */
  prepare(observation: Observation): PolicyInputs {
    const images = Array.from({ length: this.#model.slots }, (_, index) => {
      const view = observation.views.find(({ slot }) => IMAGE_SLOTS.indexOf(slot) === index);
      const camera = this.#config.cameras.find(({ name }) => name === view?.camera);
      return view && rotated(view.frame, camera?.rotate ?? 0);
    });
    return {
      images,
      tokens: this.#tokens(observation),
      noise: noise(this.#config.seed, observation.stamp, this.#model.horizon * this.#model.actionDim),
    };
  }

  /** @param actions [horizon, action dim], the engine's result for this observation. */
  finish(actions: Float32Array, observation: Observation): ActionChunk {
    const { horizon, actionDim } = this.#model;
    const { joints, bound: mode } = this.#config.action;
    if (actions.length !== horizon * actionDim) {
      throw new Pi05Error(
        'INVALID_ARGUMENT',
        `Expected ${String(horizon * actionDim)} action values, received ${String(actions.length)}`,
      );
    }
    const { columns } = this.#normalizers;
    const unnormalized = this.#normalizers.actions.unnormalize(firstColumns(actions, actionDim, columns), columns);
    const thresholds = joints.map((joint) => joint.binarize);
    const velocities = joints.map((joint) => joint.kind === 'velocity');
    const states = joints.map((joint) => (joint.kind === 'delta' ? this.#state(joint.name, observation) : undefined));
    const values = new Float64Array(horizon * joints.length);
    for (let step = 0; step < horizon; step += 1) {
      const start = step * columns;
      const row = bound(binarize(unnormalized.slice(start, start + joints.length), thresholds), mode, velocities);
      toAbsolute(row, states).forEach((value, i) => {
        const joint = joints[i];
        if (joint !== undefined) values[step * joints.length + i] = toRobot(value, joint);
      });
    }
    return {
      stamp: observation.stamp,
      joints: joints.map(({ name }) => name),
      rows: horizon,
      values,
      period: 1 / this.#config.controlRate,
      model: { actions, state: observation.state },
    };
  }

  /**
   * The rows of a chunk that `finish` returned, from `firstRow` on, as the engine takes them: [rows − firstRow, action dim]
   * normalised. Deltas, which are relative to the state of the chunk's observation, become relative to that of `observation`;
   * everything else is what the engine computed.
   */
  previousActions({ rows, model }: ActionChunk, firstRow: number, observation: Observation): Float32Array {
    if (model === undefined) throw new Pi05Error('INTERNAL', 'Expected a chunk of the engine, received one without');
    const { actionDim } = this.#model;
    const { joints } = this.#config.action;
    const previous = model.actions.slice(firstRow * actionDim, rows * actionDim);
    const shifts = joints.map((joint) =>
      joint.kind === 'delta' ? this.#state(joint.name, model) - this.#state(joint.name, observation) : 0,
    );
    if (shifts.every((shift) => shift === 0)) return previous;
    const { columns, actions: normalizer } = this.#normalizers;
    const unnormalized = normalizer.unnormalize(firstColumns(previous, actionDim, columns), columns);
    for (let row = 0; row < rows - firstRow; row += 1) {
      const start = row * columns;
      const shifted = unnormalized.slice(start, start + joints.length).map((value, i) => value + (shifts[i] ?? 0));
      const normalized = normalizer.normalize(shifted);
      shifts.forEach((shift, i) => {
        if (shift !== 0) previous[row * actionDim + i] = normalized[i] ?? NaN;
      });
    }
    return previous;
  }

  /** Ends the tokenizer's thread. `prepare` cannot be called afterwards. */
  async close(): Promise<void> {
    await this.#tokenizer.close();
  }

  #tokens({ prompt, state }: Observation): Int32Array {
    const { promptTopic, state: stateConfig } = this.#config;
    const cleaned = cleanPrompt(prompt);
    if (pythonStrip(cleaned) === '') {
      throw new Refusal(
        'PROMPT_EMPTY',
        `Expected a prompt in the parameter prompt or on ${promptTopic}, received ${JSON.stringify(prompt.slice(0, 40))}`,
        promptTopic,
      );
    }
    const normalizer = this.#normalizers.state;
    const texts =
      normalizer === undefined
        ? promptWithoutState(cleaned)
        : [promptWithState(cleaned, stateBins(padded(normalizer.normalize(state), this.#model.paddedState)))];
    const { maxTokens } = this.#model;
    const tooLong = (received: string): Refusal => {
      const count = Math.max(stateConfig.joints.length, this.#model.paddedState);
      const numbers = normalizer === undefined ? '' : ` and ${String(count)} state numbers`;
      const from = `a prompt of ${String(prompt.length)} characters${numbers} (${promptTopic})`;
      return new Refusal(
        'PROMPT_TOO_LONG',
        `Expected at most ${String(maxTokens)} tokens, received ${received} from ${from}`,
        promptTopic,
      );
    };
    // Checked before tokenising, which takes seconds for a very long text.
    const minTokens = Math.ceil(cleaned.length / this.#tokenizer.longestPiece);
    if (minTokens > maxTokens) throw tooLong(`${String(minTokens)} or more`);
    const tokens = Int32Array.from([this.#tokenizer.bos, ...texts.flatMap((text) => this.#tokenizer.encode(text))]);
    if (tokens.length > maxTokens) throw tooLong(String(tokens.length));
    return tokens;
  }

  #state(name: string, { state }: Pick<Observation, 'state'>): number {
    return state[this.#config.state.joints.findIndex((joint) => joint.name === name)] ?? NaN;
  }
}

/** The first columns of a row-major matrix. */
function firstColumns(values: Float32Array, width: number, columns: number): Float32Array {
  if (columns === width) return values;
  const rows = values.length / width;
  const result = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row += 1) {
    result.set(values.subarray(row * width, row * width + columns), row * columns);
  }
  return result;
}
