/** An error that the user can fix: one sentence with its remedy, printed without a stack trace. */
export class UserError extends Error {
  /** @param {string} message @param {number} status exit status: 1 a step failed, 2 a prerequisite is missing */
  constructor(message, status = 1) {
    super(message);
    this.status = status;
  }
}

/** Runs the main function of a script. Prints the sentence of a UserError and exits with its status. */
export async function main(body) {
  try {
    process.exitCode = (await body()) ?? 0;
  } catch (error) {
    const userError = error instanceof UserError ? error : fromFileSystem(error);
    if (userError === undefined) throw error;
    process.stderr.write(`${userError.message}\n`);
    process.exitCode = userError.status;
  }
}

const FILE_SYSTEM = {
  ENOSPC: 'the disk is full: free some space',
  EDQUOT: 'the disk quota is exhausted: free some space',
  EROFS: 'it is read-only: make it writable, or clone this elsewhere',
  EACCES: 'it belongs to another user: start as that user, or clone this elsewhere',
  EPERM: 'it belongs to another user: start as that user, or clone this elsewhere',
};

/** The UserError for an error of the file system; undefined for other errors. */
function fromFileSystem(error) {
  if (error?.syscall?.startsWith('spawn')) return undefined;
  const reason = FILE_SYSTEM[error?.code];
  return reason && new UserError(`Expected to write ${error.dest ?? error.path ?? 'a file'}, but ${reason}.`);
}
