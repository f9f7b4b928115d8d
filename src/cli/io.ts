/** What a command may touch of the outside: given by main, replaced by tests. */
export interface Io {
  /** A line for the user, to stdout. */
  out(text: string): void;
  /** A line for the operator, to stderr. */
  err(text: string): void;
  /** A line of stderr that replaces itself, null to take it away. Absent where stderr is no terminal. */
  readonly progress?: (text: string | null) => void;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Columns of the terminal; 80 where there is none. */
  readonly width: number;
  /** Whether stdout is a terminal. */
  readonly isTty: boolean;
}
