/** Something a person can mend: one sentence with its remedy, printed without a stack trace. */
export class Problem extends Error {
  /** @param {string} message @param {number} status exit status: 1 a step failed, 2 a prerequisite is missing */
  constructor(message, status = 1) {
    super(message);
    this.status = status;
  }
}

/** Runs a script's main function; a Problem becomes its sentence and exit status. */
export async function main(body) {
  try {
    process.exitCode = (await body()) ?? 0;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = error.status;
  }
}
