/**
 * `npm run audit`: proves the ledger of the configured database; non-zero on any difference. The embedded database is
 * used where it runs, and started for the purpose where it does not.
 */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { endWith, keepLock, runInSight, withCrew } from './crew.mjs'
import { checkout, dataFolder } from './folders.mjs'
import { holdData } from './hold.mjs'
import { checkPlatform, childEnvironment, pinnedNode, preparePackages } from './install.mjs'
import { runningUrl, startCluster } from './postgres.mjs'
import { Refusal } from './say.mjs'

/** @param {string[]} args given to the auditor @returns {Promise<number>} the exit code */
export async function audit(args) {
  checkPlatform()
  return withCrew(async () => {
    keepLock(await preparePackages('audit'))
    const given = process.env['DATABASE_URL']
    const databaseUrl = given || (await embeddedUrl('audit'))
    const sealFile = process.env['SEAL_FILE'] || (given ? '' : join(dataFolder(process.env), 'seals.log'))
    const env = { ...childEnvironment(process.env), DATABASE_URL: databaseUrl, SEAL_FILE: sealFile }
    return runInSight(pinnedNode, [join(checkout, 'server', 'ledger', 'audit', 'audit.ts'), ...args.map(fromHere)], {
      cwd: checkout,
      env,
    })
  })
}

/**
 * A file as the person meant it, from where he stands; options as they are.
 * @param {string} arg
 */
function fromHere(arg) {
  return arg.startsWith('-') ? arg : resolve(process.env['INIT_CWD'] ?? process.cwd(), arg)
}

/** @param {string} verb what it is needed for */
export async function embeddedUrl(verb) {
  const folder = dataFolder(process.env)
  if (!existsSync(join(folder, 'postgres'))) {
    throw new Refusal(`There is no database in ${folder} yet: run npm start first, or set DATABASE_URL or DATA_DIR.`)
  }
  const held = await holdData(folder, { verb })
  if (held.ok) {
    keepLock(held.lock)
    const cluster = await startCluster({ folder, onLost: (sentence) => endWith({ code: 1, sentence }) })
    return cluster.url('mobilesms')
  }
  const url = runningUrl(folder, 'mobilesms')
  if (url) return url
  throw new Refusal(
    `The database of process ${held.holder.pid} (${held.holder.verb}) is not ready: try again in a moment.`,
  )
}
