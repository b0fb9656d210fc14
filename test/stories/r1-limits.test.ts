/**
 * R1. A top-up is at least $5.00 and at most $1,000.00 (both settings). Below and above: a clear refusal that names the limit.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type CardWorld, startCardWorld } from '../card-world.ts'

let world: CardWorld
before(async () => {
  world = await startCardWorld()
})
after(() => world?.stop())

test('both limits themselves are allowed, however the amount is written', async () => {
  const ana = await world.customer()
  for (const [written, amount] of [
    ['5', '5.00'],
    ['5.0', '5.00'],
    ['5.00', '5.00'],
    ['10.5', '10.50'],
    ['1000.00', '1000.00'],
  ]) {
    const topup = await ana.startsTopup(written)
    assert.equal(topup.amount, amount)
    assert.equal(topup.status, 'awaiting_payment')
    assert.deepEqual(
      topup.trace.map(({ step, state }) => `${step} ${state}`),
      ['started done', 'bank_asked waiting', 'bank_answered to_come', 'taken to_come', 'credited to_come'],
    )
  }
})

test('what is outside the limits, or no amount, is refused and leaves no trace', async () => {
  const ben = await world.customer()
  const sessionsBefore = (await world.bankBooks()).sessions.length
  const refused = async (amount: unknown, asked: object = { method: 'card' }) => {
    const { status, body } = await ben.refused('/topups', { ...asked, amount }, { 'idempotency-key': 'the-same' })
    assert.equal(status, 400)
    return body
  }

  const below = await refused('4.99')
  assert.equal(below.code, 'amount_below_minimum')
  assert.equal(below.field, 'amount')
  assert.match(below.detail, /\$5\.00/)
  assert.equal(below['minimum'], '5.00')

  const above = await refused('1000.01')
  assert.equal(above.code, 'amount_above_maximum')
  assert.equal(above.field, 'amount')
  assert.match(above.detail, /\$1,000\.00/)

  for (const amount of [
    '-5',
    '1e3',
    '5.001',
    'NaN',
    '',
    ' 10',
    '10,00',
    '0x10',
    '１０',
    10,
    null,
    undefined,
    ['10.00'],
    {},
  ]) {
    const { code, field } = await refused(amount)
    assert.deepEqual({ code, field }, { code: 'invalid_amount', field: 'amount' }, JSON.stringify(amount))
  }
  for (const method of ['CARD', '', null, undefined, 1]) {
    const { code, field } = await refused('10.00', { method })
    assert.deepEqual({ code, field }, { code: 'invalid_request', field: 'method' }, JSON.stringify(method))
  }
  const { code, field } = await refused('10.00', { method: 'crypto' })
  assert.deepEqual({ code, field }, { code: 'unknown_asset', field: 'asset' })

  assert.deepEqual((await ben.call('/topups')).body as unknown, { items: [], next_cursor: null })
  assert.equal((await world.bankBooks()).sessions.length, sessionsBefore)
  // A refusal does not use the key up.
  await ben.startsTopup('10.00', { 'idempotency-key': 'the-same' })
})

test('nobody starts a top-up without being signed in', async () => {
  const answer = await world.payments.start({ accountId: 1n, method: 'card', amount: '1', idempotencyKey: null })
  assert.equal(answer.ok, false)
  const anonymous = await world.customer()
  for (const path of ['/topups', '/topups/top_00000000000000000000000000000000']) {
    const { status, body } = await anonymous.refused(path, undefined, { 'x-account': '' })
    assert.equal(status, 401)
    assert.equal(body.code, 'unauthenticated')
  }
})

test('a key is one top-up, also 20 times at once; with another amount it is refused', async () => {
  const cleo = await world.customer()
  const headers = { 'idempotency-key': 'one' }
  const answers = await Promise.all(Array.from({ length: 20 }, () => cleo.startsTopup('25.00', headers)))
  assert.equal(new Set(answers.map((topup) => `${topup.id} ${topup.checkout_url}`)).size, 1)
  const { status, body } = await cleo.refused('/topups', { method: 'card', amount: '25.01' }, headers)
  assert.equal(status, 409)
  assert.equal(body.code, 'idempotency_key_reused')
  // Another customer's key of the same name is another key.
  const dora = await world.customer()
  assert.notEqual((await dora.startsTopup('25.00', headers)).id, answers[0]!.id)
  assert.equal(((await cleo.call<{ items: [] }>('/topups')).body.items as []).length, 1)
})

test('top-ups are listed newest first, page by page, each customer his own', async () => {
  const eve = await world.customer()
  const made = []
  for (let i = 0; i < 5; i++) made.unshift((await eve.startsTopup('10.00')).id)
  type Page = { items: { id: string }[]; next_cursor: string | null }
  const seen: string[] = []
  let cursor = ''
  do {
    const { body } = await eve.call<Page>(`/topups?limit=2${cursor && `&cursor=${cursor}`}`)
    seen.push(...body.items.map((item) => item.id))
    cursor = body.next_cursor ?? ''
  } while (cursor)
  assert.deepEqual(seen, made)
})
