import { type ErrorCode, FAULT_CODES, REFUSAL_CODES } from '../errors.js';
import { toSeconds } from '../time.js';
import type { ActionJoint, PolicyConfig } from './config.js';
import type { Problems } from './problems.js';
import { checkLimits, hasRobotDescription } from './limits.js';
import { isPosition } from './needed-joints.js';
import { type Pattern, parameterName } from './schema.js';
import { sameUnits, type Units } from './units.js';

/**
 * Checks the rules between parameters. A rule does not report a parameter that already has a problem: its value here is a
 * placeholder.
 */
export function checkRules(config: PolicyConfig, problems: Problems): void {
  const report: Report = (code, message, ...about) => {
    if (!problems.concerns(about)) problems.add(code, message, ...about);
  };
  checkNames(config, report);
  checkPrecision(config, report);
  checkSchedule(config, report);
  checkSafety(config, report);
  checkCameras(config, report);
  checkState(config, report);
  for (const joint of config.action.joints) checkActionJoint(joint, config, report);
  checkRobotDescription(config, report);
  checkTool(config, report);
  checkLimits(config, hasRobotDescription(config), report);
  checkOutputs(config, report);
  checkOutputRate(config, report);
}

type Report = (code: ErrorCode, message: string, ...about: readonly string[]) => void;

function checkNames(config: PolicyConfig, report: Report): void {
  const lists: readonly (readonly [Pattern, readonly { readonly name: string }[]])[] = [
    ['cameras.names', config.cameras],
    ['state.joints', config.state.joints],
    ['action.joints', config.action.joints],
    ['outputs.names', config.outputs],
    ['safety.keep_out_planes.names', config.tool.planes],
  ];
  for (const [list, members] of lists) {
    for (const [name, count] of counts(members.map((member) => member.name))) {
      if (count > 1) report('CONFIG_RANGE', `Expected each name once in ${list}, received ${name} twice`, list);
    }
  }
  for (const list of ['cameras.names', 'action.joints'] as const) {
    const members = list === 'cameras.names' ? config.cameras : config.action.joints;
    if (members.length === 0) report('CONFIG_RANGE', `Expected one or more names in ${list}, received none`, list);
  }
}

function checkPrecision({ backend, precision }: PolicyConfig, report: Report): void {
  if (backend !== 'cpu' || precision === 'bf16') return;
  report(
    'CONFIG_RANGE',
    `Expected backend auto or cuda for precision ${precision}, received cpu`,
    'backend',
    'precision',
  );
}

function checkSchedule({ schedule }: PolicyConfig, report: Report): void {
  const { injectedDelay, injectedJitter, engineTimeout } = schedule;
  if (injectedDelay + injectedJitter < engineTimeout) return;
  const jitter = injectedJitter > 0n ? ` + ${toSeconds(injectedJitter)} of schedule.injected_jitter` : '';
  report(
    'CONFIG_RANGE',
    'Expected schedule.injected_delay below schedule.engine_timeout, after which a chunk is not used, received ' +
      `${toSeconds(injectedDelay)}${jitter} and ${toSeconds(engineTimeout)} s`,
    'schedule.injected_delay',
    'schedule.engine_timeout',
  );
}

function checkSafety({ safety: { latch } }: PolicyConfig, report: Report): void {
  const known: readonly string[] = [...FAULT_CODES, ...REFUSAL_CODES];
  for (const code of latch.filter((name) => !known.includes(name))) {
    report('CONFIG_RANGE', `Expected codes of faults or refusals in safety.latch, received ${code}`, 'safety.latch');
  }
}

function checkCameras(config: PolicyConfig, report: Report): void {
  const { cameras, image } = config;
  cameras.forEach((camera, index) => {
    for (const other of cameras.slice(0, index)) {
      if (other.name === camera.name) continue;
      if (other.topic === camera.topic) {
        report(
          'CAMERA_DUPLICATE',
          `Expected a different topic for each camera, received ${camera.topic} for ${other.name} and ${camera.name}`,
          parameterName('cameras.<camera>.topic', other.name),
          parameterName('cameras.<camera>.topic', camera.name),
        );
      }
      if (other.slot === camera.slot) {
        report(
          'CONFIG_RANGE',
          `Expected a different slot for each camera, received ${camera.slot} for ${other.name} and ${camera.name}`,
          parameterName('cameras.<camera>.slot', other.name),
          parameterName('cameras.<camera>.slot', camera.name),
        );
      }
    }
  });
  if (image.minSize > image.maxSize) {
    report(
      'CONFIG_RANGE',
      `Expected image.min_size up to image.max_size, received ${String(image.minSize)} and ${String(image.maxSize)}`,
      'image.min_size',
      'image.max_size',
    );
  }
}

function checkState({ state }: PolicyConfig, report: Report): void {
  if (state.mode === 'joints' && state.joints.length === 0) {
    report(
      'CONFIG_RANGE',
      'Expected one or more names in state.joints with state.mode joints, received none',
      'state.mode',
      'state.joints',
    );
  }
  if (state.mode === 'none' && state.joints.length > 0) {
    report(
      'CONFIG_RANGE',
      `Expected no names in state.joints with state.mode none, received ${names(state.joints)}`,
      'state.mode',
      'state.joints',
    );
  }
  for (const { name, topic, source } of state.joints) {
    if (source !== 'data') continue;
    const parameter = parameterName('state.<joint>.topic', name);
    const others = state.joints.filter((other) => other.name !== name && (other.topic ?? state.topic) === topic);
    if (topic !== undefined && topic !== state.topic && others.length === 0) continue;
    const received = topic === undefined ? 'none' : `${topic} of ${others.length > 0 ? names(others) : 'state.topic'}`;
    report(
      'CONFIG_RANGE',
      `Expected a topic of its own for ${parameter} with source data, received ${received}`,
      parameter,
      parameterName('state.<joint>.source', name),
    );
  }
  for (const { name, lower, upper } of state.joints) {
    if (lower < upper) continue;
    report(
      'CONFIG_RANGE',
      `Expected state.${name}.lower below its upper, received ${String(lower)} and ${String(upper)}`,
      parameterName('state.<joint>.lower', name),
      parameterName('state.<joint>.upper', name),
    );
  }
}

function checkRobotDescription({ robotDescription: { topic, file } }: PolicyConfig, report: Report): void {
  if (topic === '' || file === '') return;
  report(
    'CONFIG_RANGE',
    `Expected one of robot_description_topic and robot_description_file, received ${topic} and ${file}`,
    'robot_description_topic',
    'robot_description_file',
  );
}

function checkTool(config: PolicyConfig, report: Report): void {
  const { link, lower, upper, maxSpeed, planes } = config.tool;
  const limits = [
    ...(lower === undefined ? [] : ['safety.workspace.lower']),
    ...(upper === undefined ? [] : ['safety.workspace.upper']),
    ...(maxSpeed === undefined ? [] : ['safety.max_tool_speed']),
    ...(planes.length === 0 ? [] : ['safety.keep_out_planes.names']),
  ];
  if (link === '' && limits.length > 0) {
    report(
      'CONFIG_RANGE',
      `Expected safety.tool_link with ${limits.join(', ')}, received none`,
      'safety.tool_link',
      ...limits,
    );
  }
  if (link !== '' && limits.length === 0) {
    const expected = 'safety.workspace.lower or upper, safety.max_tool_speed or safety.keep_out_planes.names';
    report('CONFIG_RANGE', `Expected ${expected} with safety.tool_link, received none`, 'safety.tool_link');
  }
  if (link !== '' && !hasRobotDescription(config)) {
    report(
      'CONFIG_RANGE',
      `Expected robot_description_topic or robot_description_file with safety.tool_link, received neither`,
      'safety.tool_link',
      'robot_description_topic',
      'robot_description_file',
    );
  }
  if (lower !== undefined && upper?.some((value, axis) => lower[axis]! >= value)) {
    report(
      'CONFIG_RANGE',
      `Expected safety.workspace.lower below its upper, received [${lower.join(', ')}] and [${upper.join(', ')}]`,
      'safety.workspace.lower',
      'safety.workspace.upper',
    );
  }
  for (const { name, normal } of planes) {
    const about = parameterName('safety.keep_out_planes.<plane>.normal', name);
    if (normal.every((value) => value === 0)) {
      report('CONFIG_RANGE', `Expected a direction for ${about}, received [${normal.join(', ')}]`, about);
    }
  }
}

function checkActionJoint(joint: ActionJoint, config: PolicyConfig, report: Report): void {
  const parameter = (pattern: Pattern): string => parameterName(pattern, joint.name);
  const kind = parameter('action.<joint>.kind');
  const state = config.state.joints.find(({ name }) => name === joint.name);
  const measured = state !== undefined && isPosition(state.source);
  const needsState = (reason: string, ...about: readonly string[]): void => {
    const received = state === undefined ? 'none' : `its ${state.source}`;
    report(
      'CONFIG_RANGE',
      `Expected the position of ${joint.name} in the state, since ${reason}, received ${received}`,
      kind,
      'state.joints',
      parameterName('state.<joint>.source', joint.name),
      ...about,
    );
  };

  if (joint.lower >= joint.upper) {
    report(
      'CONFIG_RANGE',
      `Expected lower below upper for ${joint.name}, received ${String(joint.lower)} and ${String(joint.upper)}`,
      parameter('action.<joint>.lower'),
      parameter('action.<joint>.upper'),
    );
  }
  if (joint.gripper && joint.kind === 'velocity') {
    report(
      'CONFIG_RANGE',
      `Expected kind position or delta for the gripper ${joint.name}, whose last command is kept, received velocity`,
      kind,
      parameter('action.<joint>.gripper'),
    );
  }
  if (!joint.isJoint && (joint.kind === 'delta' || joint.integrated)) {
    const received = joint.integrated
      ? 'an output of type joint_trajectory, which integrates velocities,'
      : 'kind delta';
    report(
      'CONFIG_RANGE',
      `Expected a joint of the robot for ${joint.name}, received joint: false with ${received}`,
      kind,
      parameter('action.<joint>.joint'),
    );
  } else if (joint.kind === 'delta') {
    if (!measured) needsState('its deltas are added to it');
    else if (!sameUnits(joint, state)) {
      report(
        'CONFIG_RANGE',
        `Expected the same scale, offset and transform for the state and the deltas of ${joint.name}, received ` +
          `${conversion(state)} and ${conversion(joint)}`,
        kind,
        ...(['state.<joint>.scale', 'state.<joint>.offset', 'state.<joint>.transform'] as const).map(parameter),
        ...(['action.<joint>.scale', 'action.<joint>.offset', 'action.<joint>.transform'] as const).map(parameter),
      );
    }
  } else if (joint.kind === 'position') {
    if (!joint.isJoint && !joint.gripper) {
      report(
        'CONFIG_RANGE',
        `Expected kind velocity or gripper: true for ${joint.name}, which is not a joint that the stop action can hold, received neither`,
        kind,
        parameter('action.<joint>.joint'),
        parameter('action.<joint>.gripper'),
      );
    } else if (!measured && !joint.gripper) {
      needsState('the stop action holds it', parameter('action.<joint>.gripper'));
    }
  } else if (joint.integrated) {
    const types = config.outputs
      .filter(({ joints }) => joints.includes(joint.name))
      .map(({ name }) => parameterName('outputs.<output>.type', name));
    if (!measured) needsState('its velocity is integrated from there', ...types);
  } else if (joint.isJoint && !measured && (Number.isFinite(joint.lower) || Number.isFinite(joint.upper))) {
    needsState(
      'position limits stop its velocity',
      parameter('action.<joint>.lower'),
      parameter('action.<joint>.upper'),
    );
  }
}

function checkOutputRate({ controlRate, outputRate, action }: PolicyConfig, report: Report): void {
  if (outputRate === undefined) return;
  if (outputRate < controlRate) {
    const message = `Expected output_rate of at least control_rate, received ${outputRate} and ${controlRate}`;
    report('CONFIG_RANGE', message, 'output_rate', 'control_rate');
  }
  const relative = action.joints.filter(({ isJoint, kind }) => !isJoint && kind === 'velocity');
  if (relative.length === 0) return;
  report(
    'CONFIG_RANGE',
    `Expected no output_rate with relative commands, which the robot adds up, received it with ${names(relative)}`,
    'output_rate',
    ...relative.map(({ name }) => parameterName('action.<joint>.joint', name)),
  );
}

function checkOutputs(config: PolicyConfig, report: Report): void {
  const joints = new Set(config.action.joints.map(({ name }) => name));
  const lists = config.outputs.map(({ name }) => parameterName('outputs.<output>.joints', name));
  config.outputs.forEach((output, index) => {
    const list = lists[index] ?? '';
    if (output.joints.length === 0)
      report('CONFIG_RANGE', `Expected one or more names in ${list}, received none`, list);
    if (output.type === 'float64' && output.joints.length > 1) {
      const type = parameterName('outputs.<output>.type', output.name);
      const received = output.joints.join(', ');
      report('CONFIG_RANGE', `Expected one name in ${list} with type float64, received ${received}`, list, type);
    }
    for (const name of output.joints) {
      if (!joints.has(name))
        report('CONFIG_RANGE', `Expected names of action.joints in ${list}, received ${name}`, list, 'action.joints');
    }
  });

  for (const { name, type, stamp } of config.outputs) {
    if (stamp === 'zero' || (type !== 'float64_multi_array' && type !== 'float64')) continue;
    const parameter = parameterName('outputs.<output>.stamp', name);
    const message = `Expected zero for ${parameter}, because std_msgs/${type === 'float64' ? 'Float64' : 'Float64MultiArray'} has no header, received ${stamp}`;
    report('CONFIG_RANGE', message, parameter, parameterName('outputs.<output>.type', name));
  }

  for (const { name, type, joints: members } of config.outputs) {
    if (type !== 'joint_trajectory_chunk') continue;
    const velocities = config.action.joints.filter(
      (joint) => joint.kind === 'velocity' && members.includes(joint.name),
    );
    if (velocities.length === 0) continue;
    report(
      'CONFIG_RANGE',
      `Expected joints of kind position or delta in outputs.${name} of type joint_trajectory_chunk, because where velocities ` +
        `lead is measured at each control tick, received ${names(velocities)}: use joint_trajectory`,
      parameterName('outputs.<output>.type', name),
      parameterName('outputs.<output>.joints', name),
      ...velocities.map((joint) => parameterName('action.<joint>.kind', joint.name)),
    );
  }

  const sent = counts(config.outputs.flatMap((output) => output.joints));
  for (const [name, count] of sent) {
    if (count > 1)
      report('CONFIG_RANGE', `Expected ${name} in one output, received it in ${String(count)} places`, ...lists);
  }
  const unsent = [...joints].filter((name) => !sent.has(name));
  if (config.outputs.length > 0 && unsent.length > 0) {
    report(
      'CONFIG_RANGE',
      `Expected every action joint in one output, received none for ${unsent.join(', ')}`,
      'action.joints',
      'outputs.names',
      ...lists,
    );
  }

  const topics = counts([config.chunkTopic, ...config.outputs.map((output) => output.topic)]);
  for (const [topic, count] of topics) {
    if (count < 2) continue;
    const users = config.outputs.filter((output) => output.topic === topic);
    report(
      'CONFIG_RANGE',
      `Expected different topics for all outputs and chunk_topic, received ${topic} ${String(count)} times`,
      'chunk_topic',
      ...users.map((output) => parameterName('outputs.<output>.topic', output.name)),
    );
  }
}

function conversion({ transform, scale, offset }: Units): string {
  const linear = `× ${String(scale)} + ${String(offset)}`;
  return transform === 'none' ? linear : `${linear} and ${transform}`;
}

function names(members: readonly { readonly name: string }[]): string {
  return members.map((member) => member.name).join(', ');
}

function counts(items: readonly string[]): Map<string, number> {
  const result = new Map<string, number>();
  for (const item of items) result.set(item, (result.get(item) ?? 0) + 1);
  return result;
}
