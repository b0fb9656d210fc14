/**
 * `npm run backup -- FILE`: copies the configured database into one file, beside the server that uses it (server/backup/backup.ts).
 */
import { join } from 'node:path'
import { embeddedUrl } from './audit.mjs'
import { keepLock, runInSight, withCrew } from './crew.mjs'
import { checkout } from './folders.mjs'
import { checkPlatform, childEnvironment, pinnedNode, preparePackages } from './install.mjs'
import { givenFile } from './restore.mjs'
import { keepOutputFree, Refusal } from './say.mjs'

/** @param {string[]} args the file @returns {Promise<number>} the exit code */
export async function backup(args) {
  checkPlatform()
  const file = givenFile(args, 'Say where the backup goes: npm run backup -- FILE (or - for standard output).')
  if (file === '-') {
    if (process.stdout.isTTY) {
      throw new Refusal('A backup is nothing to read on a terminal: give a FILE, or let another program read it.')
    }
    keepOutputFree()
  }
  return withCrew(async () => {
    keepLock(await preparePackages('backup'))
    const env = childEnvironment(process.env)
    if (!env['DATABASE_URL']) {
      env['DATABASE_URL'] = await embeddedUrl('backup')
      delete env['MIGRATION_DATABASE_URL']
    }
    return runInSight(pinnedNode, [join(checkout, 'server', 'backup', 'backup.ts'), file], { cwd: checkout, env })
  })
}
