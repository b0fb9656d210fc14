/**
 * A database of one's own for a test file: copied from a template that was migrated once per run, so it costs a few hundredths of a
 * second and every file may run beside the others.
 */
import { createHash, randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { queues } from '../server/jobs.ts'
import { pause } from '../server/platform/clock.ts'
import { type Database, openDatabase } from '../server/platform/db.ts'
import { migrate } from '../server/platform/migrate.ts'

const TEMPLATE_LOCK = 7_203_002
/** Who is still there after so long was left open, and is ended. */
const GOOD_BYES_MS_MAX = 2_000

export type TestDatabase = {
  /** The owner's login: may do anything, for looking and for damage. */
  url: string
  name: string
  /** As the server sees it. */
  database: Database
  /** One statement, or several, by the owner's login. */
  asOwner(text: string, values?: unknown[]): Promise<pg.QueryResult>
  close(): Promise<void>
}

export function clusterUrl(): string {
  const url = process.env['TEST_DATABASE_URL']
  if (!url)
    throw new Error(
      'Set TEST_DATABASE_URL, or run the tests by `npm test -- <file>`, which starts a PostgreSQL for them.',
    )
  return url
}

/** TEST_DATABASE_SQL: a file of SQL that is run in each of them, as the owner; for functions in which a bug is planted. */
export async function freshDatabase(options: { connectionsMax?: number } = {}): Promise<TestDatabase> {
  const db = await createdFrom(await templateDatabase(), options)
  const planted = process.env['TEST_DATABASE_SQL']
  if (planted) await asOwner((owner) => owner.query(readFileSync(planted, 'utf8')), db.url)
  return db
}

/**
 * As an operator makes one, before the first start (docs/operating/install.md): nothing is in it, it belongs to no mode yet, one login
 * owns it and another serves.
 */
export async function operatorsDatabase(): Promise<TestDatabase & { ownerUrl: string; serverUrl: string }> {
  // The two roles are the cluster's: they are there, and their maker has what he has of them.
  await (await freshDatabase()).close()
  const db = await createdFrom('template0', {})
  const names = { owner: `${db.name}_owner`, server: `${db.name}_server` }
  await asOwner(async (owner) => {
    await owner.query(`create role ${names.owner} login password 'secret' createrole`)
    await owner.query(`create role ${names.server} login password 'secret'`)
    await owner.query(`grant mobilesms_app, mobilesms_auth to ${names.owner} with admin option`)
    await owner.query(`alter database ${db.name} owner to ${names.owner}`)
  })
  const urlAs = (login: string) => {
    const url = new URL(db.url)
    url.username = login
    url.password = 'secret'
    return url.toString()
  }
  return {
    ...db,
    ownerUrl: urlAs(names.owner),
    serverUrl: urlAs(names.server),
    async close() {
      await db.close()
      await asOwner(async (owner) => {
        // What it granted to others goes with it.
        await owner.query(`drop owned by ${names.owner}, ${names.server} cascade`)
        await owner.query(`drop role ${names.server}, ${names.owner}`)
      })
    },
  }
}

async function createdFrom(template: string, options: { connectionsMax?: number }): Promise<TestDatabase> {
  const name = `test_${process.pid}_${randomBytes(4).toString('hex')}`
  await asOwner((owner) => owner.query(`create database ${name} template ${template}`))
  const url = urlOf(name)
  const database = openDatabase({
    url,
    role: 'mobilesms_app',
    connectionsMax: options.connectionsMax ?? 8,
    onIdleError: () => {},
  })
  return {
    url,
    name,
    database,
    asOwner: (text, values) => asOwner((owner) => owner.query(text, values), url),
    async close() {
      await database.close()
      await asOwner(async (owner) => {
        await untilNobodyIsIn(owner, name)
        await owner.query(`drop database if exists ${name} with (force)`)
      })
    },
  }
}

/** Named after what it was made from, so that a changed migration or function makes another one. */
async function templateDatabase(): Promise<string> {
  const root = join(import.meta.dirname, '..')
  const hash = createHash('sha256')
  for (const folder of ['db/migrations', 'server']) {
    for (const file of readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).sort()) {
      if (file.endsWith('.sql') || file.endsWith('migrate.ts') || file.endsWith('jobs.ts')) {
        hash.update(file).update(readFileSync(join(root, folder, file)))
      }
    }
  }
  const name = `template_${hash.digest('hex').slice(0, 16)}`
  await asOwner(async (owner) => {
    await owner.query('select pg_advisory_lock($1)', [TEMPLATE_LOCK])
    const { rowCount } = await owner.query('select from pg_database where datname = $1', [name])
    if (rowCount) return
    // Under another name until it is whole, so that a run that dies here leaves no half template.
    const unfinished = `${name}_unfinished`
    await owner.query(`drop database if exists ${unfinished} with (force)`)
    await owner.query(`create database ${unfinished}`)
    const url = urlOf(unfinished)
    await migrate({ ownerUrl: url, serverUrl: url, mode: 'sandbox', queues })
    await owner.query(`alter database ${unfinished} rename to ${name}`)
  })
  return name
}

/**
 * A pool that was ended has said good-bye, but PostgreSQL may not have heard it: what it ends by force then tells a connection that
 * nobody listens to any more, and the test that is over fails.
 */
async function untilNobodyIsIn(owner: pg.Client, name: string): Promise<void> {
  const end = performance.now() + GOOD_BYES_MS_MAX
  while (performance.now() < end) {
    const { rowCount } = await owner.query('select from pg_stat_activity where datname = $1', [name])
    if (rowCount === 0) return
    await pause(10)
  }
}

async function asOwner<T>(work: (owner: pg.Client) => Promise<T>, url = clusterUrl()): Promise<T> {
  const owner = new pg.Client({ connectionString: url })
  await owner.connect()
  try {
    return await work(owner)
  } finally {
    await owner.end()
  }
}

function urlOf(name: string): string {
  const url = new URL(clusterUrl())
  url.pathname = `/${name}`
  return url.toString()
}
