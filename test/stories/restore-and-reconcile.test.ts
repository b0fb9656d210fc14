/**
 * After a restore the card company knows more than the house: what was paid since the backup. `npm run reconcile -- card` closes the gap,
 * each payment once, and names what only a person can decide.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import pg from 'pg'
import type { CardTopup } from '../../contract/contract.ts'
import { restoreBackup } from '../../server/backup/restore.ts'
import { auditLedger } from '../../server/ledger/audit/audit.ts'
import { cards } from '../card-world.ts'
import { clusterUrl } from '../database.ts'
import { reconcileByHand, runProgram } from '../program.ts'
import { type Customer, startWorld, type World } from '../world.ts'

let world: World
let place: string
const restored = `restored_${randomBytes(4).toString('hex')}`

before(async () => {
  place = mkdtempSync(join(process.env['MOBILESMS_TEST_DATA'] ?? tmpdir(), 'reconcile-'))
  chmodSync(place, 0o711)
  world = await startWorld()
})
after(async () => {
  await world.stop()
  await ask(clusterUrl(), `drop database if exists ${restored} with (force)`)
  rmSync(place, { recursive: true, force: true })
})

async function ask(url: string, text: string, values: unknown[] = []) {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query(text, values)).rows
  } finally {
    await client.end()
  }
}

const reconcile = (databaseUrl: string, more: Record<string, string> = {}) =>
  reconcileByHand('card', {
    DATABASE_URL: databaseUrl,
    STRIPE_SECRET_KEY: 'sk_test_sandbox',
    STRIPE_API_URL: world.sandbox.url,
    ...more,
  })

async function starts(who: Customer, amount: string): Promise<CardTopup> {
  const { status, body } = await who.post<CardTopup>('/topups', { method: 'card', amount })
  assert.equal(status, 201, JSON.stringify(body))
  return body
}

async function pays(who: Customer, topup: CardTopup): Promise<void> {
  await world.pay(topup, cards.confirms, 'complete')
  const { body } = await who.post<CardTopup>(`/topups/${topup.id}/return`)
  assert.equal(body.status, 'credited')
}

test('by hand: it says what it compared and ends with 0, and with 2 where it cannot', async () => {
  const eve = await world.customer({ name: 'eve' })
  await pays(eve, await starts(eve, '5.00'))
  const { code, said } = await reconcile(world.db.url)
  assert.equal(code, 0, said)
  assert.match(said, /our books and Stripe's agree(, but for 1 waiting)?\.\n$/)

  const [noKey, wrongKey, away, wrongWord] = await Promise.all([
    reconcile(world.db.url, { STRIPE_SECRET_KEY: '' }),
    reconcile(world.db.url, { STRIPE_SECRET_KEY: 'sk_test_other' }),
    reconcile('postgres://nobody@127.0.0.1:1/nothing'),
    reconcileByHand('chains', {}),
  ])
  assert.match(noKey.said, /STRIPE_SECRET_KEY is missing/)
  assert.match(wrongKey.said, /Stripe does not accept our key/)
  assert.match(away.said, /could not run/)
  assert.match(wrongWord.said, /Say what to reconcile/)
  assert.deepEqual([noKey.code, wrongKey.code, away.code, wrongWord.code], [2, 2, 2, 2])
})

test('what was paid after the backup is credited once when the restored books are reconciled', async () => {
  const ana = await world.customer({ name: 'ana' })
  await pays(ana, await starts(ana, '10.00'))
  const halfway = await starts(ana, '20.00')

  const file = join(place, 'backup')
  const copied = await runProgram('server/backup/backup.ts', [file], { DATABASE_URL: world.db.url })
  assert.equal(copied.code, 0, copied.said)

  // All of this is lost, but for what the card company knows of it.
  await pays(ana, halfway)
  const whole = await starts(ana, '30.00')
  await pays(ana, whole)
  const bob = await world.customer({ name: 'bob' })
  const bobs = await starts(bob, '40.00')
  await pays(bob, bobs)
  await world.expectBooks('ana available 60.00')
  await world.server.stop()

  await ask(clusterUrl(), `create database ${restored} encoding 'UTF8' template template0`)
  const url = new URL(clusterUrl())
  url.pathname = `/${restored}`
  await restoreBackup(file, { DATABASE_URL: url.toString() }, () => {})
  const house = await world.beside({ DATABASE_URL: url.toString() })
  // Somebody new gets the number that Bob's account had: it tells nothing of whose a payment is.
  const { max } = (await ask(url.toString(), 'select max(id)::text as max from accounts'))[0]!
  await ask(url.toString(), `select setval(pg_get_serial_sequence('accounts', 'id'), $1::bigint - 1)`, [bob.accountId])
  assert.ok(BigInt(String(max)) < bob.accountId)
  const again = await ask(
    url.toString(),
    `with login as (insert into auth."user" ("name", "email", "emailVerified", "username", "role")
                    values ('carl', 'carl@example.com', true, 'carl', 'customer') returning id)
     select account_open(id) as account from login`,
  )
  assert.equal(String(again[0]!['account']), String(bob.accountId))

  for (let time = 0; time < 2; time++) {
    const { code, said } = await reconcile(url.toString())
    assert.equal(code, 1, said)
    assert.match(
      said,
      new RegExp(`OPEN: Stripe took \\$40\\.00 \\(ch_\\w+\\) for ${bobs.id}, which this database does not know\\.`),
    )
    assert.match(said, /1 open\.\n$/)
    const { body } = await world.clientAt(house, ana).get('/balance')
    assert.equal(body['available'], '60.00')
    const credits = await ask(
      url.toString(),
      `select a.username, count(*)::int as credits
         from transfers t join accounts a on a.id = t.account_id where t.code = 30 group by 1 order by 1`,
    )
    assert.deepEqual(credits, [
      { username: 'ana', credits: 3 },
      { username: 'eve', credits: 1 },
    ])
  }
  assert.equal((await world.clientAt(house, ana).get<CardTopup>(`/topups/${whole.id}`)).body.status, 'credited')
  const pool = new pg.Pool({ connectionString: url.toString(), max: 1 })
  assert.deepEqual(await auditLedger(pool), [])
  await pool.end()
  await house.stop()
})
