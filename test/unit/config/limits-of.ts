/** Parameters with all limits of action joints. */
export function limitsOf(...joints: readonly string[]): Record<string, number> {
  const values = { lower: -2, upper: 2, max_velocity: 1, max_acceleration: 10 };
  return Object.fromEntries(
    joints.flatMap((joint) => Object.entries(values).map(([name, value]) => [`action.${joint}.${name}`, value])),
  );
}
