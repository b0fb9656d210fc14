/**
 * Wire time: what a clock on the wall says, in milliseconds since 1970. The outside world knows no house time; only the desk's
 * buttons move that, on the server itself. Tests hand in a clock of their own.
 */
export type Clock = () => number

export const SECOND = 1_000
export const MINUTE = 60 * SECOND
export const HOUR = 60 * MINUTE
export const DAY = 24 * HOUR

/** Whole seconds since 1970, as Stripe counts. */
export function seconds(clock: Clock): number {
  return Math.floor(clock() / SECOND)
}
