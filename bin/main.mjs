/**
 * The verbs, and how each of them ends.
 */
import { audit } from './audit.mjs'
import { backup } from './backup.mjs'
import { bench } from './bench.mjs'
import { check } from './check.mjs'
import { crypto } from './crypto.mjs'
import { database } from './database.mjs'
import { faults } from './faults.mjs'
import { canaries, mutants } from './planted.mjs'
import { reconcile } from './reconcile.mjs'
import { restore } from './restore.mjs'
import { Refusal, warn } from './say.mjs'
import { staff } from './staff.mjs'
import { start } from './start.mjs'
import { test } from './test.mjs'

/** @type {Record<string, (args: string[]) => Promise<number>>} each returns the exit code */
const verbs = {
  start,
  test,
  check,
  canaries,
  mutants,
  faults,
  bench,
  audit,
  backup,
  restore,
  reconcile,
  crypto,
  staff,
  database,
}

/**
 * @param {string | undefined} verb
 * @param {string[]} args
 */
export async function main(verb, args) {
  process.exit(await exitCodeOf(verb ?? '', args))
}

/**
 * @param {string} verb
 * @param {string[]} args
 */
async function exitCodeOf(verb, args) {
  try {
    const run = Object.hasOwn(verbs, verb) ? verbs[verb] : undefined
    if (!run) throw new Refusal(`Say what to run: ${Object.keys(verbs).join(', ')}.`)
    return await run(args)
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    warn(error.message)
    return 1
  }
}
