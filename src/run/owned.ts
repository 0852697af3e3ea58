// The refusals of this folder. main.ts prints the message, one line, and ends the process with the exit code.

/** Exit code of a process that was started with a wrong configuration. */
export const EXIT_CONFIGURATION = 2;
/** Exit code of a process that found its port or DATA_DIR owned by another service. */
export const EXIT_OWNED = 3;

/** What was asked for belongs to a running process; the message names what, whose it is, and what to do. */
export class Owned extends Error {
  override readonly name = 'Owned';
  readonly exitCode = EXIT_OWNED;
  readonly what: 'data_dir' | 'port';
  /** The owner's process id; undefined when it could not be learnt. */
  readonly pid: number | undefined;

  constructor(what: 'data_dir' | 'port', pid: number | undefined, message: string) {
    super(message);
    this.what = what;
    this.pid = pid;
  }
}

/** DATA_DIR cannot be used as it is: not a directory, no permission, a file system without sockets. */
export class DataDirUnusable extends Error {
  override readonly name = 'DataDirUnusable';
  readonly exitCode = EXIT_CONFIGURATION;
}
