import type { ActionJoint, PolicyConfig } from '../config/config.js';
import { checkLimits } from '../config/limits.js';
import { Problems } from '../config/problems.js';
import type { RobotModel } from './urdf.js';

/** A configuration with the limits that hold: the stricter of parameters and URDF. */
export interface RobotLimits {
  readonly config: PolicyConfig;
  /** One sentence where the URDF is stricter than a parameter; undefined where none is. */
  readonly disagreement: string | undefined;
}

/**
 * Adds the position and velocity limits of a URDF to those of the parameters; the stricter of both applies. The policy and
 * the guard both call it, with the same parameters and the same URDF.
 * @param model undefined where there is no URDF: then the parameters must have all limits.
 * @throws ProblemsError ROBOT_DESCRIPTION_JOINT for each action joint that the URDF does not have, LIMIT_MISSING for each
 * without all limits, CONFIG_RANGE where a parameter and the URDF leave no position.
 */
export function withRobotLimits(config: PolicyConfig, model: RobotModel | undefined): RobotLimits {
  const problems = new Problems();
  const stricter: string[] = [];
  const joints = config.action.joints.map((joint) => {
    return model === undefined || !joint.isJoint ? joint : merged(joint, model, problems, stricter);
  });
  const result = { ...config, action: { ...config.action, joints } };
  checkLimits(result, false, (code, message, ...about) => {
    if (!problems.concerns(about)) problems.add(code, message, ...about);
  });
  problems.throwIfAny();
  const disagreement =
    stricter.length === 0
      ? undefined
      : `The limits of ${model?.source} are stricter than the parameters and apply: ${stricter.join(', ')}`;
  return { config: result, disagreement };
}

/** The joint with the stricter limits. @param stricter gets an entry for each limit where the URDF is stricter than the parameter. */
function merged(joint: ActionJoint, model: RobotModel, problems: Problems, stricter: string[]): ActionJoint {
  const { name } = joint;
  const parameters = ['lower', 'upper', 'max_velocity'].map((limit) => `action.${name}.${limit}`);
  const urdf = model.joints.get(name);
  if (urdf === undefined || urdf.type === 'fixed' || urdf.velocity <= 0) {
    const names = [...model.joints.values()].filter(({ type }) => type !== 'fixed').map((other) => other.name);
    const received =
      urdf === undefined
        ? `joints ${names.join(', ')}`
        : urdf.type === 'fixed'
          ? 'a fixed joint'
          : `a velocity limit of ${urdf.velocity}`;
    problems.add(
      'ROBOT_DESCRIPTION_JOINT',
      `Expected a moving joint ${name} in ${model.source}, received ${received} (action.${name}.joint: false if the command is not that of a joint)`,
      ...parameters,
    );
    return joint;
  }
  const pick = (limit: 'lower' | 'upper' | 'max_velocity', given: number, fromUrdf: number): number => {
    const isStricter = limit === 'lower' ? fromUrdf > given : fromUrdf < given;
    if (!isStricter) return given;
    if (Number.isFinite(given)) stricter.push(`${name} ${limit} ${fromUrdf} instead of ${given}`);
    return fromUrdf;
  };
  const lower = pick('lower', joint.lower, urdf.lower);
  const upper = pick('upper', joint.upper, urdf.upper);
  if (lower >= upper) {
    problems.add(
      'CONFIG_RANGE',
      `Expected positions of ${name} that the parameters and ${model.source} both allow, received ${joint.lower} to ` +
        `${joint.upper} and ${urdf.lower} to ${urdf.upper}`,
      ...parameters,
    );
  }
  return { ...joint, lower, upper, maxVelocity: pick('max_velocity', joint.maxVelocity, urdf.velocity) };
}
