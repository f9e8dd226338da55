import type { PolicyConfig } from '../../../src/config/config.js';
import { configFromParameters } from '../../../src/config/parameters.js';
import type { ProblemsError } from '../../../src/config/problems.js';

type Parameters = Readonly<Record<string, unknown>>;

/** The configuration of parameters with changes; `undefined` removes a parameter. */
export class ChangedParameters {
  constructor(private readonly base: Parameters) {}

  config(changes: Parameters = {}): PolicyConfig {
    const entries = Object.entries({ ...this.base, ...changes }).filter(([, value]) => value !== undefined);
    return configFromParameters(new Map(entries));
  }

  /** `CODE: sentence` of each problem. */
  problems(changes: Parameters): string[] {
    try {
      this.config(changes);
    } catch (error) {
      return (error as ProblemsError).problems.map(({ code, message }) => `${code}: ${message}`);
    }
    return [];
  }
}
