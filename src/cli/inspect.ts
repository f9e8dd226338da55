import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { configFromFile, parametersFromFile } from '../config/file.js';
import { Problems } from '../config/problems.js';
import type { CheckpointDescription, ModelInfo } from '../engine/engine.js';
import { describeCheckpoint } from '../engine/inspect.js';
import { IMAGE_SLOTS } from '../frame/frame.js';
import { packageRoot } from '../package-root.js';
import { checkCompatibility } from '../policy/compatibility.js';
import { inspectStatistics, inspectTokenizer } from '../policy/inspect.js';
import { parse, usage, warn } from './arguments.js';
import type { Fit, Inspection, Joints, ProblemReport } from './inspection.js';
import { inspectionOutput } from './inspection-output.js';

const HELP = `Usage: pi05 inspect DIR [--params FILE]… [--json]

Describes a checkpoint and lists every problem with it: family, dimensions, types, sizes,
statistics, tokenizer, and which presets fit it. Reads only the headers of the weight files.

  --params FILE   check this parameter file of the node instead of the presets; may be repeated.
                  Problems of the file itself are listed too.
  --json          print the same as JSON
Exit status: 0 no problem, and each FILE fits; 2 otherwise.
`;

export async function run(argv: string[]): Promise<number> {
  const { values, positionals } = parse(
    'inspect',
    argv,
    {
      params: { type: 'string', multiple: true },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h' },
    },
    1,
  );
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const [directory] = positionals;
  if (directory === undefined || directory === '') {
    throw usage('inspect', 'Expected a checkpoint directory, received none');
  }
  const inspection = await inspect(directory, values.params ?? presets());
  process.stdout.write(values.json ? `${JSON.stringify(inspection, undefined, 2)}\n` : inspectionOutput(inspection));
  const allFit = values.params === undefined || inspection.presets.every(({ fits }) => fits);
  return inspection.ok && allFit ? 0 : 2;
}

async function inspect(directory: string, files: readonly string[]): Promise<Inspection> {
  const description = await describeCheckpoint(directory);
  const { info, dtypes } = description;
  const problems = new Problems();
  const statistics = inspectStatistics(directory, info, problems);
  const tokenizerProblems = new Problems();
  const tokenizer = await inspectTokenizer(directory, info, tokenizerProblems);
  const reports = [...description.problems, ...problems.list, ...tokenizerProblems.list].map(problemReport);
  // With these, loading fails whatever the parameters are.
  const fatal = [...description.problems, ...tokenizerProblems.list].map(problemReport);
  return {
    directory,
    ok: reports.length === 0,
    family: { name: info.family, reason: info.familyReason },
    model: {
      imageSize: info.imageSize,
      patch: description.patch,
      slots: IMAGE_SLOTS.slice(0, info.slots),
      resize: info.resize,
      vision: description.vision,
      prefix: description.prefix,
      expert: description.expert,
      actionDim: info.actionDim,
      horizon: info.horizon,
      flowSteps: info.flowSteps,
      maxTokens: info.maxTokens,
      vocab: info.vocab,
      stateInPrompt: info.stateInPrompt,
      paddedState: info.paddedState,
    },
    rtc: { trainedMaxDelay: info.rtcTrainedMaxDelay },
    weights: { parameters: info.parameters, bytes: info.weightBytes, dtypes },
    memory: expectedMemory(description),
    statistics,
    tokenizer: tokenizer ?? null,
    presets: files.map((path) => fit(directory, info, fatal, path)),
    problems: reports,
  };
}

/**
 * The CPU reads the weights as they are stored, the GPU holds them as bf16. What comes on top was measured at the full
 * size: 0.1 GB on the CPU; 1.4 GB on an H200, the CUDA context included.
 */
function expectedMemory({ readBytes, usedParameters }: CheckpointDescription): Inspection['memory'] {
  if (usedParameters === 0) return null;
  return { cpu: Math.round(readBytes * 1.02), cuda: Math.round(usedParameters * 2 * 1.12 + 0.6e9) };
}

/** Paths of the package's parameter files for the policy node. */
function presets(): string[] {
  const directory = join(packageRoot, 'configs');
  return readdirSync(directory)
    .filter((name) => name.endsWith('.yaml'))
    .sort()
    .map((name) => join(directory, name))
    .filter((path) => {
      try {
        return parametersFromFile(path).has('checkpoint');
      } catch {
        return false;
      }
    });
}

/** @param fatal problems of the checkpoint that no parameter file changes. */
function fit(directory: string, model: ModelInfo, fatal: readonly ProblemReport[], path: string): Fit {
  const problems = new Problems();
  let joints: Joints | undefined;
  try {
    const config = configFromFile(path, warn);
    checkCompatibility(directory, model, config, problems);
    joints = { assetId: config.assetId, state: names(config.state.joints), actions: names(config.action.joints) };
  } catch (error) {
    problems.addError(error);
  }
  const reasons = [...problems.list.map(problemReport), ...fatal];
  return { name: basename(path, '.yaml'), path, fits: reasons.length === 0, reasons, joints };
}

function names(joints: readonly { readonly name: string }[]): string[] {
  return joints.map(({ name }) => name);
}

/** Sentences of the engine have their details in further lines. */
function problemReport(problem: { readonly code: string; readonly message: string }): ProblemReport {
  const { code, message: text } = problem;
  const [message = '', ...details] = text.split('\n').map((line) => line.trim());
  return { code, message, details };
}
