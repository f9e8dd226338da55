import { allParameters, type Pattern } from './schema.js';

/** Values that 0.2.0 renamed, old to new. The old ones are accepted with a warning until 0.3.0. */
export const DEPRECATED_VALUES: Readonly<Partial<Record<Pattern, Readonly<Record<string, string>>>>> = {
  'outputs.<output>.type': { positions: 'joint_trajectory', array: 'float64_multi_array' },
};

/**
 * The given parameters, with the new value in place of each deprecated one.
 * @param warn gets one sentence for each replacement. @param place says where a parameter was given: ` in FILE line N`, or ''.
 */
export function replaceDeprecated(
  flat: ReadonlyMap<string, unknown>,
  warn: (sentence: string) => void,
  place: (name: string) => string = () => '',
): Map<string, unknown> {
  const result = new Map(flat);
  for (const { name, pattern } of allParameters(flat)) {
    const value = flat.get(name);
    const renamed = DEPRECATED_VALUES[pattern];
    if (renamed === undefined || typeof value !== 'string' || !Object.hasOwn(renamed, value)) continue;
    const current = renamed[value]!;
    warn(
      `Expected "${current}" for ${name}, received its old name "${value}"${place(name)}, which is accepted until 0.3.0`,
    );
    result.set(name, current);
  }
  return result;
}
