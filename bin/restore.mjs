/**
 * `npm run restore -- FILE`: fills an empty database from a backup (server/backup/restore.ts), then proves its ledger. Without
 * DATABASE_URL it makes the embedded database of the data folder, which must not be there yet.
 */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { endWith, keepLock, runInSight, withCrew } from './crew.mjs'
import { checkout, dataFolder } from './folders.mjs'
import { holdData } from './hold.mjs'
import { checkPlatform, childEnvironment, pinnedNode, preparePackages } from './install.mjs'
import { startCluster } from './postgres.mjs'
import { begin, done, line, Refusal } from './say.mjs'

/** What `npm run audit` says by its exit code. */
const ONLY_OVERDUE = 3

/** @param {string[]} args the file @returns {Promise<number>} the exit code */
export async function restore(args) {
  checkPlatform()
  const file = givenFile(args, 'Say what to restore: npm run restore -- FILE (or - for standard input).')
  if (file === '-' && process.stdin.isTTY) {
    throw new Refusal('There is no backup on a terminal: give a FILE, or let another program write it.')
  }
  return withCrew(async () => {
    keepLock(await preparePackages('restore'))
    const at = join(checkout, 'server', 'backup')
    const env = childEnvironment(process.env)
    const run = (/** @type {string[]} */ command) => runInSight(pinnedNode, command, { cwd: checkout, env })
    // Before anything is made for it.
    if (file !== '-') {
      const code = await run([join(at, 'check.ts'), file])
      if (code !== 0) return code
    }
    if (!env['DATABASE_URL']) {
      env['DATABASE_URL'] = await emptyCluster()
      delete env['MIGRATION_DATABASE_URL']
    }
    const loaded = await run([join(at, 'restore.ts'), file])
    if (loaded !== 0) return loaded
    // A file of seals that goes on where the backup ends would say that rows are missing, and they are: nothing to prove here.
    env['SEAL_FILE'] = ''
    const audited = await run([join(checkout, 'server', 'ledger', 'audit', 'audit.ts')])
    if (audited !== 0 && audited !== ONLY_OVERDUE) {
      line('Everything in the backup was restored as it was, and its ledger is not right: look at what differs.')
      return audited
    }
    line(
      audited === ONLY_OVERDUE
        ? 'The restored ledger is right. What is overdue is done when a server starts on it.'
        : 'The restored ledger is right.',
    )
    return 0
  })
}

/** @returns {Promise<string>} the address of a database that was just made in the data folder */
async function emptyCluster() {
  const folder = dataFolder(process.env)
  const held = await holdData(folder, { verb: 'restore' })
  if (!held.ok) {
    throw new Refusal(
      `${folder} is in use by "npm run ${held.holder.verb}" (process ${held.holder.pid}), and a backup is restored into an empty database only: set DATA_DIR to another folder.`,
    )
  }
  keepLock(held.lock)
  if (existsSync(join(folder, 'postgres'))) {
    throw new Refusal(
      `There is a database in ${folder} already, and a backup is restored into an empty one only: move postgres, postgres.json and seals.log out of that folder, together, or set DATA_DIR to another one. Nothing was changed.`,
    )
  }
  begin('Database', 'making')
  const cluster = await startCluster({ folder, onLost: (sentence) => endWith({ code: 1, sentence }) })
  done(`PostgreSQL ${cluster.version} at 127.0.0.1:${cluster.port}, empty`)
  return cluster.url('mobilesms')
}

/**
 * The one file that a person named, from where he stands.
 * @param {string[]} args
 * @param {string} usage
 */
export function givenFile(args, usage) {
  const [file, ...more] = args
  if (!file || more.length > 0 || (file !== '-' && file.startsWith('-'))) throw new Refusal(usage)
  return file === '-' ? file : resolve(process.env['INIT_CWD'] ?? process.cwd(), file)
}
