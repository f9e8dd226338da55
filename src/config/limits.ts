import type { ErrorCode } from '../errors.js';
import type { ActionJoint, PolicyConfig } from './config.js';
import { type Pattern, parameterName } from './schema.js';

/** The limits of an action joint and their parameters. */
const LIMITS = {
  lower: 'action.<joint>.lower',
  upper: 'action.<joint>.upper',
  maxVelocity: 'action.<joint>.max_velocity',
  maxAcceleration: 'action.<joint>.max_acceleration',
} as const satisfies Partial<Record<keyof ActionJoint, Pattern>>;

export type LimitName = keyof typeof LIMITS;

const NEEDED_OF_JOINTS = Object.keys(LIMITS) as LimitName[];
/** A command that is not a joint has no velocity or acceleration; its value is limited. */
const NEEDED_OF_VALUES: readonly LimitName[] = ['lower', 'upper'];

/** Whether a URDF adds limits to those of the parameters. */
export function hasRobotDescription({ robotDescription: { topic, file } }: PolicyConfig): boolean {
  return topic !== '' || file !== '';
}

/** The limits that an action joint needs and does not have. */
export function missingLimits(joint: ActionJoint): LimitName[] {
  const needed = joint.isJoint ? NEEDED_OF_JOINTS : NEEDED_OF_VALUES;
  return needed.filter((limit) => !Number.isFinite(joint[limit]));
}

/**
 * Reports LIMIT_MISSING for each action joint without all of its limits, unless `action.limits` is `none`. An integrated
 * velocity needs `max_velocity` even then, because it limits how far the command may lead the joint.
 * @param descriptionFollows whether a robot description can still add position and velocity limits.
 */
export function checkLimits(
  { action, limits }: PolicyConfig,
  descriptionFollows: boolean,
  report: (code: ErrorCode, message: string, ...about: readonly string[]) => void,
): void {
  for (const joint of action.joints) {
    const missing = missingLimits(joint).filter((limit) => {
      if (descriptionFollows && joint.isJoint && limit !== 'maxAcceleration') return false;
      return limits === 'finite' || (joint.integrated && limit === 'maxVelocity');
    });
    if (missing.length > 0) report('LIMIT_MISSING', missingSentence(joint, missing), ...parametersOf(joint, missing));
    if (!joint.isJoint && joint.kind === 'velocity' && (joint.lower > 0 || joint.upper < 0)) {
      report(
        'CONFIG_RANGE',
        `Expected 0, which stops ${joint.name}, between its lower and upper, received ${joint.lower} and ${joint.upper}`,
        ...parametersOf(joint, ['lower', 'upper']),
      );
    }
  }
}

function missingSentence(joint: ActionJoint, missing: readonly LimitName[]): string {
  const { name, isJoint, integrated } = joint;
  const parameters = parametersOf(joint, missing);
  const examples = parameters.map((parameter) => `${parameter}: ${EXAMPLE[missing[parameters.indexOf(parameter)]!]}`);
  const unit = isJoint ? 'rad or m' : 'the units of the command';
  const others = [
    ...(isJoint && missing.some((limit) => limit !== 'maxAcceleration')
      ? ['robot_description_topic or robot_description_file takes positions and velocities from a URDF']
      : []),
    ...(isJoint && joint.kind !== 'delta' ? [`action.${name}.joint: false if it is not a joint of the robot`] : []),
    ...(integrated && missing.includes('maxVelocity') ? [] : ['action.limits: none moves it without limits']),
  ];
  return (
    `Expected finite limits for ${name}, received no ${parameters.join(', ')}: ` +
    `write ${examples.join(', ')} with the numbers of your robot (${unit}); ${others.join('; ')}`
  );
}

const EXAMPLE: Readonly<Record<LimitName, string>> = {
  lower: '-1.0',
  upper: '1.0',
  maxVelocity: '1.0',
  maxAcceleration: '5.0',
};

function parametersOf({ name }: ActionJoint, limits: readonly LimitName[]): string[] {
  return limits.map((limit) => parameterName(LIMITS[limit], name));
}

/** The action joints without all of their limits and what each lacks: `j1 (lower, upper)`. Empty where there are none. */
export function describeMissingLimits(config: PolicyConfig): string {
  return config.action.joints
    .map((joint) => ({ name: joint.name, missing: missingLimits(joint) }))
    .filter(({ missing }) => missing.length > 0)
    .map(({ name, missing }) => `${name} (${missing.map((limit) => LIMITS[limit].split('.').at(-1)).join(', ')})`)
    .join(', ');
}
