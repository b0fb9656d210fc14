/**
 * The verbs, and how each of them ends.
 */
import { database } from './database.mjs'
import { Refusal, warn } from './say.mjs'

/** @type {Record<string, (args: string[]) => Promise<number>>} each returns the exit code */
const verbs = { database }

/**
 * @param {string | undefined} verb
 * @param {string[]} args
 */
export async function main(verb, args) {
  try {
    const run = Object.hasOwn(verbs, verb ?? '') ? verbs[verb ?? ''] : undefined
    if (!run) throw new Refusal(`Say what to run: ${Object.keys(verbs).join(', ')}.`)
    process.exitCode = await run(args)
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    warn(error.message)
    process.exitCode = 1
  }
}
