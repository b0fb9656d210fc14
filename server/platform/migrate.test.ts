/** Preparing a database as the logins that operators have, on every version of PostgreSQL that the tests run on. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, test } from 'node:test'
import pg from 'pg'
import { clusterUrl, freshDatabase } from '../../test/database.ts'
import { queues } from '../jobs.ts'
import { openDatabase } from './db.ts'
import { CannotMigrate, migrate, troubleWith } from './migrate.ts'

const cleaning: string[] = []
after(async () => {
  for (const statement of cleaning.reverse()) await asSuperuser(statement)
})

async function asSuperuser(statement: string): Promise<pg.QueryResult> {
  const client = new pg.Client({ connectionString: clusterUrl() })
  await client.connect()
  try {
    return await client.query(statement)
  } finally {
    await client.end()
  }
}

/** A login of its own, and the address of a database as that login. */
async function login(powers = ''): Promise<{ name: string; at: (database: string) => string }> {
  const name = `login_${randomBytes(4).toString('hex')}`
  await asSuperuser(`create role ${name} login password 'secret' ${powers}`)
  cleaning.push(`drop role ${name}`)
  return {
    name,
    at(database) {
      const url = new URL(clusterUrl())
      url.username = name
      url.password = 'secret'
      url.pathname = `/${database}`
      return url.toString()
    },
  }
}

async function databaseOf(owner: string): Promise<string> {
  const name = `test_${randomBytes(4).toString('hex')}`
  await asSuperuser(`create database ${name} owner ${owner}`)
  cleaning.push(`drop database ${name} with (force)`)
  return name
}

function prepare(ownerUrl: string, serverUrl = ownerUrl): Promise<void> {
  return migrate({ ownerUrl, serverUrl, mode: 'sandbox', queues })
}

/** The server's own connection: it reads and may call the ledger, but not write to it. */
async function expectServes(url: string): Promise<void> {
  const database = openDatabase({ url, role: 'mobilesms_app', connectionsMax: 1, onIdleError: () => {} })
  try {
    const { rows } = await database.pool.query(
      'select current_user as role, (select count(*)::int from transfers) as n',
    )
    assert.deepEqual(rows, [{ role: 'mobilesms_app', n: 0 }])
    await assert.rejects(database.pool.query('delete from transfers'), /permission denied/)
  } finally {
    await database.close()
  }
}

test('an owner that may create roles prepares the database by itself, and the server then runs as what it is given', async () => {
  const owner = await login('createrole')
  // The roles are the cluster's, and others have made them. What their maker has by that: since version 16 he may grant them, to
  // himself as well, and is not allowed to become them before.
  await (await freshDatabase()).close()
  const { rows } = await asSuperuser("select current_setting('server_version_num')::int >= 160000 as apart")
  for (const role of ['mobilesms_app', 'mobilesms_auth'])
    await asSuperuser(
      `grant ${role} to ${owner.name} with admin ${rows[0].apart ? 'true, set false, inherit false' : 'option'}`,
    )
  const database = await databaseOf(owner.name)
  await prepare(owner.at(database))
  await expectServes(owner.at(database))

  const server = await login()
  await prepare(owner.at(database), server.at(database))
  await expectServes(server.at(database))
  await prepare(owner.at(database), server.at(database))
})

test('an owner without that right is told the whole of what a superuser must run, and starts after it', async () => {
  const [owner, server] = [await login(), await login()]
  const database = await databaseOf(owner.name)
  const refused = await prepare(owner.at(database), server.at(database)).then(
    () => assert.fail('It was prepared all the same'),
    (error: unknown) => error,
  )
  assert.ok(refused instanceof CannotMigrate)
  const [, statements] = /as a superuser, then start again: (.*)$/.exec(refused.message)!
  assert.match(
    statements!,
    new RegExp(`grant mobilesms_app to ${server.name}; grant mobilesms_auth to ${server.name};$`),
  )
  await asSuperuser(statements!)
  await prepare(owner.at(database), server.at(database))
  await expectServes(server.at(database))
})

test('a database that could lose what it has acknowledged is refused', async () => {
  const owner = await login()
  const database = await databaseOf(owner.name)
  await asSuperuser(`alter database ${database} set synchronous_commit = off`)
  await assert.rejects(prepare(owner.at(database)), (error) => {
    assert.ok(error instanceof CannotMigrate)
    assert.equal(
      error.message,
      'The database may lose payments that it has acknowledged, because synchronous_commit is off: turn it on, then start again.',
    )
    return true
  })
})

test('what is wrong with a database is said in words', () => {
  const good = { version: 150_018, encoding: 'UTF8', fsync: 'on', full_page_writes: 'on', synchronous_commit: 'on' }
  assert.equal(troubleWith(good), null)
  assert.equal(troubleWith({ ...good, synchronous_commit: 'remote_write' }), null)
  assert.match(
    troubleWith({ ...good, version: 140_012 })!,
    /^The database is PostgreSQL 14: MobileSMS needs 15 or newer\./,
  )
  assert.match(troubleWith({ ...good, encoding: 'SQL_ASCII' })!, /keeps text as SQL_ASCII/)
  assert.match(troubleWith({ ...good, fsync: 'off' })!, /because fsync is off: turn it on/)
  assert.match(
    troubleWith({ ...good, fsync: 'off', full_page_writes: 'off' })!,
    /because fsync and full_page_writes are off: turn them on/,
  )
})
