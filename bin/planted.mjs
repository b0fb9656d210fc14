/**
 * `npm run canaries` and `npm run mutants`: bugs planted in copies, on a PostgreSQL of their own, and what finds them
 * (test/canaries/canaries.ts, test/mutants/mutants.ts).
 */
import { join } from 'node:path'
import { keepLock, runInSight, withCrew } from './crew.mjs'
import { checkout } from './folders.mjs'
import { checkPlatform, pinnedNode, preparePackages } from './install.mjs'
import { freshDatabase, holdTests, testEnvironment } from './test.mjs'

/** From the checkout. */
const canariesProgram = join('test', 'canaries', 'canaries.ts')
const mutantsProgram = join('test', 'mutants', 'mutants.ts')

/** @param {string[]} args parts of names @returns {Promise<number>} the exit code */
export function canaries(args) {
  return run(canariesProgram, args)
}

/** @param {string[]} args given to the program @returns {Promise<number>} the exit code */
export function mutants(args) {
  return run(mutantsProgram, args)
}

/** @param {string} program @param {string[]} args @returns {Promise<number>} the exit code */
async function run(program, args) {
  checkPlatform()
  return withCrew(async () => {
    const folder = await holdTests()
    keepLock(await preparePackages('test'))
    const env = { ...testEnvironment(), TEST_DATABASE_URL: await freshDatabase(folder) }
    return runInSight(pinnedNode, [program, ...args], { cwd: checkout, env })
  })
}
