import type { Problems } from './problems.js';
import { type Declaration, type Parameter, SCHEMA } from './schema.js';

/** Parameters that ROS itself declares for every node. */
const ROS_PARAMETERS = /^(use_sim_time|start_type_description_service|qos_overrides\..*)$/;

/** Adds a problem for each name in `flat` that is not in `parameters`; it suggests the most similar one. */
export function checkUnknown(
  flat: ReadonlyMap<string, unknown>,
  parameters: readonly Parameter[],
  problems: Problems,
  place: (name: string) => string,
): void {
  const allowed = new Set(parameters.map(({ name }) => name));
  // If a list of names has a problem, the parameters of its members cannot be checked.
  const uncheckedPrefixes = LISTS.filter(({ list }) => problems.concerns([list])).map(({ prefix }) => prefix);
  for (const name of flat.keys()) {
    if (allowed.has(name) || ROS_PARAMETERS.test(name) || uncheckedPrefixes.some((prefix) => name.startsWith(prefix)))
      continue;
    const unlisted = unlistedMember(name);
    const why = unlisted === undefined ? '' : `${unlisted.member} is not in ${unlisted.list}; `;
    problems.add(
      'CONFIG_UNKNOWN_KEY',
      `Expected a known parameter, received ${name}${place(name)} (${why}nearest: ${nearest(name, allowed)})`,
      name,
    );
  }
}

/** The parameters that list names, with the prefix and the suffixes of the parameters of each listed name. */
const LISTS = Object.entries<Declaration>(SCHEMA).flatMap(([list, { members }]) => {
  if (members === undefined) return [];
  const patterns = Object.keys(SCHEMA).filter((pattern) => pattern.startsWith(members));
  const prefix = members.replace(/<.*/, '');
  return [{ list, prefix, suffixes: patterns.map((pattern) => pattern.slice(members.length - 1)) }];
});

/** The camera, joint or output whose parameter this would be if it were listed. */
function unlistedMember(name: string): { readonly list: string; readonly member: string } | undefined {
  for (const { list, prefix, suffixes } of LISTS) {
    const suffix = suffixes.find((candidate) => name.startsWith(prefix) && name.endsWith(candidate));
    const member = suffix && name.slice(prefix.length, name.length - suffix.length);
    if (member) return { list, member };
  }
  return undefined;
}

function nearest(name: string, allowed: Iterable<string>): string {
  let best = '';
  let smallest = Infinity;
  for (const candidate of allowed) {
    const distance = editDistance(name, candidate);
    if (distance < smallest) [best, smallest] = [candidate, distance];
  }
  return best;
}

/** Levenshtein distance: the fewest insertions, deletions and replacements of one character. */
function editDistance(source: string, target: string): number {
  let previous = Array.from({ length: target.length + 1 }, (_, column) => column);
  for (let row = 1; row <= source.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= target.length; column += 1) {
      const replace = (previous[column - 1] ?? 0) + (source[row - 1] === target[column - 1] ? 0 : 1);
      current.push(Math.min(replace, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[target.length] ?? 0;
}
