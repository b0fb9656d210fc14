/**
 * The oldest PostgreSQL that the product promises to run on, for the tests that run on it: the machine's own programs of version 15,
 * or those of its distribution.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { installer } from './apt.mjs'
import { runQuietly } from './crew.mjs'
import { begin, done, Refusal } from './say.mjs'

export const MAJOR = 15

const usualPlaces = [
  '/usr/lib/postgresql/15/bin', // Debian, Ubuntu
  '/usr/pgsql-15/bin', // Red Hat and its kin
  '/opt/homebrew/opt/postgresql@15/bin',
  '/usr/local/opt/postgresql@15/bin',
  '/Applications/Postgres.app/Contents/Versions/15/bin',
  '/usr/local/pgsql/bin',
]

const whatToDo =
  `install it (Debian: apt-get install postgresql-15, also from apt.postgresql.org; macOS: brew install postgresql@15), ` +
  `or set PG15_BIN to the folder with its programs, then run npm test again.`

/** @returns {Promise<string>} the folder with `postgres` and `initdb` of version 15 */
export async function ensurePostgres15() {
  begin('Postgres15', 'looking')
  const given = process.env['PG15_BIN']
  if (given) {
    const trouble = await troubleWith(given)
    if (trouble) throw new Refusal(`PG15_BIN is ${given}, but ${trouble}: correct it, or unset it.`)
    return found(given)
  }
  const there = await firstThatRuns()
  if (there) return found(there)
  done('none on this machine, installing it')
  await fromDistribution()
  const installed = await firstThatRuns()
  if (installed) {
    begin('Postgres15')
    return found(installed)
  }
  throw new Refusal(`The tests also run on PostgreSQL 15, and there is none here: ${whatToDo}`)
}

/** @param {string} folder */
function found(folder) {
  done(folder)
  return folder
}

async function firstThatRuns() {
  for (const folder of usualPlaces)
    if (existsSync(join(folder, 'postgres')) && (await troubleWith(folder)) === null) return folder
  return undefined
}

/** @param {string} folder @returns {Promise<string | null>} */
async function troubleWith(folder) {
  for (const name of ['postgres', 'initdb']) {
    const { code, output, error } = await runQuietly(join(folder, name), ['--version'], { timeout: 20_000 })
    if (code !== 0) return `its ${name} does not run (${error?.message ?? output.trim().split('\n')[0]})`
    const major = Number(/\(PostgreSQL\) (\d+)/.exec(output)?.[1])
    if (major !== MAJOR) return `its ${name} is of version ${major || '?'}, not ${MAJOR}`
  }
  return null
}

/**
 * Debian makes and starts a cluster on port 5432 when its package is installed; nobody asked for that one. Its own setting against
 * that stands in the file only as long as the installing takes.
 */
async function fromDistribution() {
  const installing = await installer()
  if (!installing) return
  const { run, apt } = installing
  const file = '/etc/postgresql-common/createcluster.conf'
  const mark = '# by the tests of MobileSMS'
  await apt('update')
  if (!(await apt('install', '-y', '--no-install-recommends', 'postgresql-common'))) return
  try {
    const written = await run('sh', '-c', `printf '\\ncreate_main_cluster = false ${mark}\\n' >> ${file}`)
    if (written) await apt('install', '-y', '--no-install-recommends', 'postgresql-15')
  } finally {
    await run('sed', '-i', `/${mark}$/d`, file)
  }
}
