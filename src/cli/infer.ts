import { openEngine } from '../engine/native.js';
import type { InferResult } from '../engine/engine.js';
import { writeSafetensors, type SafetensorsTensor } from '../safetensors.js';
import { oneOf, parse, required, usage, integer } from './arguments.js';
import { RTC_FLAGS, buildRequest, readCase } from './case.js';

const HELP = `Usage: pi05 infer --checkpoint DIR --case IN.safetensors --out OUT.safetensors [options]

Runs one inference, to compare the engine with a reference.

  --case FILE         inputs; repeat the option to spread them over several files
                        image_0…    uint8 [h, w, 3] RGB, any size; not needed for a slot that is not used
                        image_mask  int32 [slots], 1 = use this slot, 0 = leave it out
                        tokens      int32 [n] prompt token ids, without padding
                        noise       float32 [horizon, action dim]
                        prev_chunk  float32 [rows, action dim], only with --rtc
                      other tensors, such as a reference's results, are ignored
  --out FILE          actions float32 [horizon, action dim]
  --trace             write intermediate values too: siglip_i of each camera slot, prefix_k_i and prefix_v_i
                      of each layer, v_t_i of each flow step (the last one is v_t_last), time_cond_0
  --steps N           flow steps; by default as many as the checkpoint says
  --backend NAME      auto (default), cpu, cuda
  --rtc MODE          guided or trained real-time chunking, with
  --rtc-delay D         delay in steps
  --rtc-schedule NAME   guided: linear, exp, ones, zeros
  --rtc-horizon E       guided: the row from which weights are 0
  --rtc-max-weight B    guided: the largest guidance weight
                      These five may be given in a case file's metadata instead ("rtc": "guided",
                      "rtc-delay": "2" …); a flag overrides the metadata.
`;

export async function run(argv: string[]): Promise<number> {
  const { values } = parse('infer', argv, {
    checkpoint: { type: 'string' },
    case: { type: 'string', multiple: true },
    out: { type: 'string' },
    steps: { type: 'string' },
    backend: { type: 'string', default: 'auto' },
    trace: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h' },
    ...RTC_FLAGS,
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const checkpoint = required('infer', 'checkpoint', values.checkpoint);
  const out = required('infer', 'out', values.out);
  const backend = oneOf('infer', 'backend', values.backend, ['auto', 'cpu', 'cuda']);
  const steps = values.steps === undefined ? undefined : integer('infer', 'steps', values.steps, 1);
  if (values.case === undefined) throw usage('infer', 'Expected --case, received none');

  const inputs = readCase(values.case, values);
  const engine = await openEngine({ checkpoint, backend, threads: 0 });
  try {
    const request = buildRequest(inputs, engine.info);
    const result = await engine.infer({ ...request, trace: values.trace, ...(steps === undefined ? {} : { steps }) });
    const { horizon, actionDim } = engine.info;
    writeSafetensors(out, outputs(result, [horizon, actionDim]));
    process.stdout.write(`${out}: actions [${horizon}, ${actionDim}] in ${result.milliseconds.toFixed(1)} ms\n`);
  } finally {
    await engine.close();
  }
  return 0;
}

function outputs(result: InferResult, shape: number[]): [string, SafetensorsTensor][] {
  const traced = [...result.trace].map(([name, tensor]): [string, SafetensorsTensor] => [
    name,
    { dtype: 'F32', ...tensor },
  ]);
  return [['actions', { dtype: 'F32', shape, data: result.actions }], ...traced];
}
