/** What works right now, as everybody may read it: it never says green for what nobody has seen. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import pg from 'pg'
import type { CardTopup, Status } from '../contract/contract.ts'
import { statusSchema } from '../contract/contract.ts'
import { startWorld, type World } from '../test/world.ts'
import { openDatabase } from './platform/db.ts'
import { openLog } from './platform/log.ts'
import { createStatus } from './status.ts'

const log = openLog({ level: 'silent' })
let world: World

before(async () => {
  // Without ticks beside: what is planted here for a look must not be tidied away before it.
  world = await startWorld({ env: { ROLE: 'web' } })
})
after(() => world?.stop())

async function asOwner(sql: string): Promise<void> {
  const owner = new pg.Client(world.db.url)
  await owner.connect()
  try {
    await owner.query(sql)
  } finally {
    await owner.end()
  }
}

/** A look of its own: the server's may be some seconds old. */
async function part(name: Status['parts'][number]['part']): Promise<Status['parts'][number]> {
  const { parts } = await createStatus({ database: world.db.database, log }).read()
  return parts.find((each) => each.part === name)!
}

test('nothing has happened yet: the pages answer, and the rest is not known', async () => {
  const answer = await world.stranger().get<Status>('/api/v1/status')
  assert.equal(answer.status, 200)
  assert.match(answer.headers.get('cache-control')!, /^public, max-age=10$/)
  statusSchema.parse(answer.body)
  assert.deepEqual(
    answer.body.parts.map(({ part: name, state }) => [name, state]),
    [
      ['pages', 'works'],
      ['cards', 'not_known'],
      ...world.server.parts.payments.networks.map((name) => [name, 'not_known']),
      ['sms', 'not_known'],
      ['mail', 'not_known'],
    ],
  )
  assert.equal(answer.body.parts[1]!.last_worked_at, null)
})

test('whoever asks within seconds gets the same look', async () => {
  const status = createStatus({ database: world.db.database, log })
  assert.equal(await status.read(), await status.read())
})

test('a payment that was credited shows that cards work, and stops showing it after hours', async () => {
  const ana = await world.customer({ name: 'ana' })
  const { body: topup } = await ana.post<CardTopup>('/api/v1/topups', { method: 'card', amount: '10.00' })
  assert.equal((await part('cards')).detail, 'Stripe answers.')
  await world.pay(topup, '4000000000003220', 'complete')
  await ana.post(`/api/v1/topups/${topup.id}/return`, {})
  const cards = await part('cards')
  assert.equal(cards.state, 'works')
  assert.equal(cards.detail, 'Stripe answers, and payments are credited.')
  assert.ok(cards.last_worked_at !== null)
})

test('a network that is offered is not known before a node of it answered, works when its newest block is read, and says what is wrong', async () => {
  const offered = () => createStatus({ database: world.db.database, log, chains: ['bitcoin'] }).read()
  const bitcoin = async () => (await offered()).parts.find((each) => each.part === 'bitcoin')!
  assert.equal((await bitcoin()).state, 'not_known')
  assert.ok(!(await offered()).parts.some((each) => each.part === 'litecoin'))
  await asOwner(
    `insert into chain_cursors (chain, identity, height, hash, block_time, node_height, looked_at, caught_up_at)
     values ('bitcoin', 'first', 7, 'seventh', house_now(), 7, now(), now())`,
  )
  const works = await bitcoin()
  assert.equal(works.state, 'works')
  assert.ok(works.last_worked_at !== null)
  await asOwner(
    `update chain_cursors set trouble = 'behind', trouble_since = now() - interval '14 minutes', caught_up_at = now() - interval '14 minutes'`,
  )
  const behind = await bitcoin()
  assert.equal(behind.state, 'trouble')
  assert.equal(behind.detail, 'Bitcoin: our node is 14 minutes behind; payments will be credited when it catches up.')
})

test('an order with a message shows that SMS come in', async () => {
  const bea = await world.customer({ name: 'bea', credit: '5.00' })
  const { body: order } = await bea.post<{ phone_number: string }>('/api/v1/orders', {
    service: 'telegram',
    country: 'GB',
  })
  await world.sms({ to: order.phone_number, from: 'Telegram', text: 'Telegram code 482771' })
  assert.equal((await part('sms')).state, 'works')
})

test('a message that could not be decided is trouble, said as it is', async () => {
  const { pool } = world.db.database
  await pool.query(
    `insert into inbox (source, external_id, subject, body, received_at)
     values ('sms:generic', 'undecided', '+447700900101', '{}', house_now() - interval '90 seconds')`,
  )
  assert.equal((await part('sms')).state, 'trouble')
  await pool.query("update inbox set handled_at = house_now() where external_id = 'undecided'")
  assert.equal((await part('sms')).state, 'works')
})

test('a payment page that did not open for the last who asked is trouble, until one opens', async () => {
  const { pool } = world.db.database
  const { rows } = await pool.query<{ id: string }>('select id from topups order by id desc limit 1')
  const age = (interval: string) =>
    pool.query(
      `update topups set session_id = null, asked_at = now() - $2::interval, status = 'expired', ended_at = house_now(),
              credited_at = null, payment_intent_id = null, charge_id = null, handed_out = false
        where id = $1`,
      [rows[0]!.id, interval],
    )
  await age('1 minute')
  assert.equal((await part('cards')).state, 'trouble')
  await age('1 hour')
  assert.notEqual((await part('cards')).state, 'trouble')
})

test('a webhook of the bank that nobody deals with is trouble', async () => {
  const { pool } = world.db.database
  await pool.query(
    `insert into inbox (source, external_id, subject, body, received_at)
     values ('stripe', 'evt_left', 'cs_1', '{}', house_now() - interval '5 minutes')`,
  )
  assert.equal((await part('cards')).state, 'trouble')
  await pool.query("update inbox set handled_at = house_now() where external_id = 'evt_left'")
})

test('mails that wait are trouble, and a sent one shows that they leave', async () => {
  await asOwner(
    `insert into mail_outbox (id, to_address, subject, body_text, body_html, can_switch_off, created_at, next_attempt_at)
     values ('00000000-0000-7000-8000-000000000001', 'a@sms.example', 's', 't', 'h', false,
             now() - interval '10 minutes', now() + interval '1 hour')`,
  )
  assert.equal((await part('mail')).state, 'trouble')
  await asOwner('update mail_outbox set sent_at = now(), next_attempt_at = null')
  assert.equal((await part('mail')).state, 'works')
})

test('what was seen too long ago shows nothing', async () => {
  await world.advance(7 * 3600)
  assert.equal((await part('sms')).state, 'not_known')
  assert.ok((await part('sms')).last_worked_at !== null)
})

test('without its database the server says so, and calls nothing green', async () => {
  const gone = openDatabase({
    url: 'postgres://nobody:x@127.0.0.1:1/none',
    role: 'mobilesms_app',
    connectionsMax: 1,
    onIdleError: () => {},
  })
  const { parts } = await createStatus({ database: gone, log }).read()
  await gone.close()
  assert.deepEqual(
    parts.map(({ state }) => state),
    ['trouble', 'not_known', 'not_known', 'not_known'],
  )
})
