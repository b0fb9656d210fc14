/**
 * `npm run reconcile -- card`: compares the books of the configured database with the card company's, `-- crypto` with the chains
 * (server/staff/reconcile.ts says how).
 * Without DATABASE_URL it is the embedded one; without that and STRIPE_SECRET_KEY the card company is the sandbox that `npm start` runs.
 */
import { join } from 'node:path'
import { embeddedUrl } from './audit.mjs'
import { keepLock, runInSight, withCrew } from './crew.mjs'
import { checkout } from './folders.mjs'
import { checkPlatform, childEnvironment, pinnedNode, preparePackages } from './install.mjs'
import { Refusal, warn } from './say.mjs'
import { readSettings, sandboxCardCompany, sandboxChains } from './settings.mjs'

/** What the program says by its exit code when it could not run; 1 says that something is open. */
const COULD_NOT_RUN = 2

/** @param {string[]} args given to the program @returns {Promise<number>} the exit code */
export async function reconcile(args) {
  try {
    checkPlatform()
    return await withCrew(async () => {
      keepLock(await preparePackages('reconcile'))
      const settings = readSettings({ ...process.env, ROLE: 'all' })
      const isGiven = process.env['DATABASE_URL'] && process.env['STRIPE_SECRET_KEY']
      const hasNodes = ['BITCOIN', 'LITECOIN', 'ETHEREUM'].some((name) => process.env[`${name}_RPC_URLS`])
      const databaseUrl = process.env['DATABASE_URL'] || (await embeddedUrl('reconcile'))
      const env = {
        ...childEnvironment(process.env),
        DATABASE_URL: databaseUrl,
        ...(isGiven || settings.mode === 'production' ? {} : sandboxCardCompany(settings)),
        ...(hasNodes || settings.mode === 'production' ? {} : sandboxChains(settings)),
      }
      return runInSight(pinnedNode, [join(checkout, 'server', 'staff', 'reconcile.ts'), ...args], {
        cwd: checkout,
        env,
      })
    })
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    warn(error.message)
    return COULD_NOT_RUN
  }
}
