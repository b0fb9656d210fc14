/**
 * Steps with their durations, and what is said of them at the end.
 */
import { line } from './say.mjs'

/** @typedef {{ name: string, ok: boolean, seconds: number }} Step */

/**
 * @param {string} name
 * @param {() => Promise<boolean>} work returns whether it passed
 * @returns {Promise<Step>}
 */
export async function timed(name, work) {
  const since = performance.now()
  const ok = await work()
  return { name, ok, seconds: (performance.now() - since) / 1000 }
}

/** Prints what ran. @param {Step[]} steps @returns {number} the exit code */
export function report(steps) {
  line('')
  for (const { name, ok, seconds } of steps)
    line(`  ${ok ? 'passed' : 'FAILED'}  ${seconds.toFixed(1).padStart(6)} s  ${name}`)
  const failed = steps.filter(({ ok }) => !ok)
  const total = steps.reduce((sum, { seconds }) => sum + seconds, 0).toFixed(1)
  line(
    failed.length === 0
      ? `All ${steps.length} steps passed in ${total} s.`
      : `${failed.length} of ${steps.length} steps failed, after ${total} s.`,
  )
  return failed.length === 0 ? 0 : 1
}
