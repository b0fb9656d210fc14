/**
 * `npm run crypto -- keys | addresses | sweep`: the operator's hand on the addresses that customers pay to (server/wallet.ts says how).
 * Without DATABASE_URL it is the embedded database, and in sandbox mode the sandbox's chains, which `npm start` runs.
 */
import { join } from 'node:path'
import { embeddedUrl } from './audit.mjs'
import { keepLock, runInSight, withCrew } from './crew.mjs'
import { checkout } from './folders.mjs'
import { checkPlatform, childEnvironment, pinnedNode, preparePackages } from './install.mjs'
import { keepOutputFree } from './say.mjs'
import { readSettings, sandboxChains } from './settings.mjs'

/** @param {string[]} args given to the program @returns {Promise<number>} the exit code */
export async function crypto(args) {
  checkPlatform()
  // A list for another program.
  if (args[0] === 'sweep') keepOutputFree()
  return withCrew(async () => {
    keepLock(await preparePackages('crypto'))
    const settings = readSettings({ ...process.env, ROLE: 'all' })
    // Keys are compared before there is anything else.
    const needsDatabase = args[0] === 'addresses' || args[0] === 'sweep'
    const databaseUrl = process.env['DATABASE_URL'] || (needsDatabase ? await embeddedUrl('crypto') : '')
    const env = {
      ...(settings.mode === 'sandbox' ? sandboxChains(settings) : {}),
      ...childEnvironment(process.env),
      MODE: settings.mode,
      DATABASE_URL: databaseUrl,
    }
    return runInSight(pinnedNode, [join(checkout, 'server', 'wallet.ts'), ...args], { cwd: checkout, env })
  })
}
