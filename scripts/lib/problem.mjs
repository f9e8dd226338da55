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
    const problem = error instanceof Problem ? error : ofFileSystem(error);
    if (problem === undefined) throw error;
    process.stderr.write(`${problem.message}\n`);
    process.exitCode = problem.status;
  }
}

const FILE_SYSTEM = {
  ENOSPC: 'the disk is full: free some room',
  EDQUOT: 'the disk quota is used up: free some room',
  EROFS: 'it is read-only: make it writable, or clone this elsewhere',
  EACCES: 'it belongs to another user: start as that user, or clone this elsewhere',
  EPERM: 'it belongs to another user: start as that user, or clone this elsewhere',
};

/** What the file system refused, as a sentence; undefined for what is no fault of the machine. */
function ofFileSystem(error) {
  if (error?.syscall?.startsWith('spawn')) return undefined;
  const reason = FILE_SYSTEM[error?.code];
  return reason && new Problem(`Expected to write ${error.dest ?? error.path ?? 'a file'}, but ${reason}.`);
}
