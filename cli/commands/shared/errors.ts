// How a command ends other than well.

/** Exit statuses of all commands. */
export const STATUS = { done: 0, failed: 1, wrongUse: 2, interrupted: 130 } as const;
export type Status = (typeof STATUS)[keyof typeof STATUS];

/** The command line itself is wrong: exit status 2. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** Runs a check of something that was typed: whatever it throws is wrong use. */
export function usage<T>(check: () => T, flag?: string): T {
  try {
    return check();
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new UsageError(flag ? `${flag}: ${message}` : message, { cause });
  }
}
