/** Chance with a seed, so that a failing run can be repeated: SEED=… */
export type Chance = ReturnType<typeof chance>

export const SEED = Number(process.env['SEED'] ?? 20261122)

export function chance(seed: number) {
  let state = seed >>> 0

  /** From 0 to below 1 (mulberry32). */
  function next(): number {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }

  const whole = (from: number, to: number) => from + Math.floor(next() * (to - from + 1))
  return {
    next,
    /** A whole number, both ends included. */
    whole,
    oneOf: <T>(list: readonly T[]): T => list[whole(0, list.length - 1)]!,
    happens: (probability: number) => next() < probability,
  }
}
