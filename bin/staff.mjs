/**
 * `npm run staff -- create …`: makes a login for a member of staff in the configured database (server/accounts/staff.ts says how).
 */
import { join } from 'node:path'
import { embeddedUrl } from './audit.mjs'
import { keepLock, runInSight, withCrew } from './crew.mjs'
import { checkout } from './folders.mjs'
import { checkPlatform, childEnvironment, pinnedNode, preparePackages } from './install.mjs'

/** @param {string[]} args given to the program @returns {Promise<number>} the exit code */
export async function staff(args) {
  checkPlatform()
  return withCrew(async () => {
    keepLock(await preparePackages('staff'))
    const databaseUrl = process.env['DATABASE_URL'] || (await embeddedUrl('staff'))
    const env = { ...childEnvironment(process.env), DATABASE_URL: databaseUrl }
    return runInSight(pinnedNode, [join(checkout, 'server', 'accounts', 'staff.ts'), ...args], { cwd: checkout, env })
  })
}
