/** R9 in the whole house: what the customer reads of a return in the Billing History, in his mailbox, and what his programs may not do. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { CardTopup, TopupRefund } from '../../contract/contract.ts'
import type { Problem } from '../../contract/refusals.ts'
import { until } from '../until.ts'
import { startWorld, type World } from '../world.ts'

const FRICTIONLESS = '4000000032200000'

let world: World
before(async () => {
  world = await startWorld()
})
after(() => world?.proveAndStop())

test('topped up, one code bought, one order open, the rest returned: the history and the mails say what happened', async () => {
  const ana = await world.customer({ name: 'ana' })
  const browser = await world.signIn(ana)
  const topup = await ana.startTopup('10.00')
  await world.pay(topup, FRICTIONLESS)
  const look = async () => (await ana.get<CardTopup>(`/topups/${topup.id}`)).body
  await until(async () => (await look()).status === 'credited')

  const charged = await ana.order()
  await world.sms({ to: charged.phone_number, from: 'Telegram', text: 'Telegram code 48213' })
  await until(async () => (await ana.orderNow(charged.id)).status === 'received')
  const open = await ana.order()
  const { returnable } = await look()
  assert.equal(returnable, (10 - Number(charged.price) - Number(open.price)).toFixed(2))

  // A key that leaked cannot move money, not even back to the card.
  const program = await ana.post<Problem>(`/topups/${topup.id}/refunds`, { amount: returnable })
  assert.equal(program.body.code, 'forbidden')

  const above = await browser.post<Problem>(`/topups/${topup.id}/refunds`, { amount: '10.00' })
  assert.equal(above.body.code, 'amount_above_returnable')
  assert.equal(above.body['returnable'], returnable)

  const returned = await browser.post<TopupRefund>(
    `/topups/${topup.id}/refunds`,
    { amount: returnable },
    { 'idempotency-key': 'the-button' },
  )
  assert.equal(returned.status, 201)
  assert.equal(returned.body.status, 'succeeded')
  const rows = await ana.history('?type=topup_refund')
  assert.deepEqual(
    rows.map(({ text, amount, held }) => [text, amount, held]),
    [
      ['Sent back to your Visa ending in 0000', `-${returnable}`, `-${returnable}`],
      ['On its way back to your Visa ending in 0000', '0.00', returnable],
    ],
  )
  assert.ok(rows.every((row) => row.topup_id === topup.id))
  const { rows: to } = await world.db.database.pool.query('select mail_address_of($1) as address', [ana.accountId])
  await world.mail(to[0].address, /is on its way to/)

  // Days later the bank sends it back.
  const { rows: refund } = await world.db.database.pool.query('select external_id from topup_refunds')
  await world.control(`/stripe/refunds/${refund[0].external_id}`, { status: 'failed' })
  await until(async () => (await look()).refunds[0]!.status === 'failed')
  const [back] = await ana.history('?type=topup_refund')
  assert.deepEqual(
    [back!.text, back!.amount, back!.held],
    ['Came back from your Visa ending in 0000, yours to spend again', returnable, '0.00'],
  )
  await world.mail(to[0].address, /failed: the money is back/)
  assert.equal((await look()).returnable, returnable)
})
