/**
 * R4: crypto is credited after three confirmations, with live progress 0/3 … 3/3. What arrives is credited. Told over HTTP and by
 * server-sent events, by the whole server over the sandbox's own networks.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Balance, CryptoTopup, CryptoTransaction, Receipt } from '../../contract/contract.ts'
import type { Problem } from '../../contract/refusals.ts'
import { until } from '../until.ts'
import { type Customer, startWorld, type World } from '../world.ts'

let world: World

before(async () => {
  world = await startWorld({ crypto: true })
  await ticks()
})
after(() => world.proveAndStop())

/** What the server does by itself every few seconds: prices, and the networks read on. */
const ticks = () => world.server.parts.queue.runTicks()

const mine = async (chain: string, blocks = 1) => {
  await world.control(`/chains/${chain}/mine`, { blocks })
  await ticks()
}

async function quote(who: Customer, asset: string, amount = '10.00'): Promise<CryptoTopup> {
  return until(async () => {
    const started = await who.post<CryptoTopup>('/topups', { method: 'crypto', amount, asset })
    if (started.status === 503) return ticks().then(() => null)
    assert.equal(started.status, 201, JSON.stringify(started.body))
    return started.body
  })
}

const now = async (who: Customer, topup: CryptoTopup) => (await who.get<CryptoTopup>(`/topups/${topup.id}`)).body

for (const [asset, chain] of [
  ['BTC', 'btc'],
  ['LTC', 'ltc'],
  ['ETH', 'eth'],
  ['USDT', 'eth'],
  ['USDC', 'eth'],
] as const) {
  test(`${asset}: seen, 1/3, 2/3, 3/3, credited; each step is told to the open page, and the credits are there`, async () => {
    const ana = await world.customer()
    const page = await world.live(ana)
    const topup = await quote(ana, asset)
    assert.equal(topup.status, 'awaiting_payment')
    assert.equal(topup.confirmations_required, 3)
    assert.equal(topup.asset_amount_left, topup.asset_amount)

    await world.control(`/chains/${chain}/pay`, { address: topup.address, amount: topup.asset_amount, asset })
    await ticks()
    const seen = await now(ana, topup)
    assert.deepEqual(
      [seen.status, seen.confirmations, seen.payments.map(({ state }) => state)],
      ['confirming', 0, ['seen']],
    )

    for (const k of [1, 2]) {
      await mine(chain)
      const on = await now(ana, topup)
      assert.deepEqual([on.status, on.confirmations, on.payments[0]!.state], ['confirming', k, 'confirming'], `${k}/3`)
      assert.equal((await ana.get<Balance>('/balance')).body.pending, '10.00')
      assert.equal((await ana.balance()).available, '0.00')
    }
    await mine(chain)
    const credited = await now(ana, topup)
    assert.deepEqual(
      [credited.status, credited.confirmations, credited.credited, credited.labels, credited.payments[0]!.state],
      ['credited', 3, '10.00', [], 'credited'],
    )
    assert.deepEqual((({ available, pending }) => ({ available, pending }))(await ana.balance()), {
      available: '10.00',
      pending: '0.00',
    })

    const told = await until(async () => {
      const steps = page.told
        .filter(({ event, data }) => event === 'topup' && data['id'] === topup.id)
        .map(({ data }) => `${data['status']} ${data['confirmations']}/${data['confirmations_required']}`)
      return steps.includes('credited 3/3') && steps
    })
    const inOrder = told.filter((step, at) => told.indexOf(step) === at)
    for (const step of ['confirming 0/3', 'confirming 1/3', 'confirming 2/3', 'credited 3/3'])
      assert.ok(inOrder.includes(step), `${step} of ${inOrder.join(', ')}`)
    await page.hears('balance', ({ available }) => available === '10.00')
    await page.end()

    const [row] = await ana.history()
    assert.deepEqual([row!.type, row!.amount, row!.topup_id], ['topup', '10.00', topup.id])
    assert.match(row!.text, new RegExp(`^Top-up by crypto: [\\d.]+ ${asset} on `))
    const receipt = (await ana.get<Receipt>(`/receipts/${topup.id}`)).body
    assert.equal(receipt.credits, '10.00')
    assert.equal(receipt.payments[0]!.transaction_id, credited.payments[0]!.transaction_id)
    assert.equal(receipt.card, null)
    assert.equal((await ana.get(`/receipts/${topup.id}.pdf`)).status, 200)

    const where = await ana.get<CryptoTransaction>(
      `/topups/${topup.id}/transaction?txid=${credited.payments[0]!.transaction_id}`,
    )
    assert.deepEqual([where.body.where, where.body.confirmations], ['block', 3])
  })
}

test('after a reorganisation of two blocks the steps go back, and forward again, and it is credited once', async () => {
  const bea = await world.customer()
  const topup = await quote(bea, 'BTC', '20.00')
  await world.control('/chains/btc/pay', { address: topup.address, amount: topup.asset_amount })
  await mine('btc', 2)
  assert.equal((await now(bea, topup)).confirmations, 2)
  await world.control('/chains/btc/reorg', { depth: 2, drop: false })
  await ticks()
  await mine('btc', 4)
  const on = await now(bea, topup)
  assert.equal(on.status, 'credited')
  assert.ok(on.labels.includes('reorganised'))
  assert.equal(on.payments.length, 1)
  assert.ok(on.payments[0]!.events.some(({ what }) => what === 'unmined'))
  assert.equal((await bea.balance()).available, '20.00')
})

test('a credited payment that a deep reorganisation leaves out is taken back, what was spent of it is owed, and the mail says so', async () => {
  const cleo = await world.customer()
  const topup = await quote(cleo, 'LTC', '15.00')
  await world.control('/chains/ltc/pay', { address: topup.address, amount: topup.asset_amount })
  await mine('ltc', 4)
  assert.equal((await now(cleo, topup)).status, 'credited')
  const order = await cleo.order()
  await world.sms({ to: order.phone_number, from: 'Telegram', text: 'Telegram code 48213' })
  await until(async () => (await cleo.orderNow(order.id)).status === 'received')
  await world.control('/chains/ltc/reorg', { depth: 4, drop: true })
  await ticks()
  await mine('ltc', 4)
  const gone = await now(cleo, topup)
  assert.deepEqual([gone.status, gone.credited, gone.payments[0]!.state], ['reversed', '0.00', 'reversed'])
  assert.equal((await cleo.balance()).available, '0.00')
  assert.equal((await cleo.balance()).owed, '1.20')
  const letter = await world.mail(`${cleo.name}@sandbox.example`, /^Taken back: \$15\.00/)
  assert.match(
    letter.text,
    /We took the \$15\.00 back\. You had spent some of it, so you owe \$1\.20; the next credit pays it first\./,
  )
  assert.match(letter.text, /Your wallet shows where the coins went; you can pay anew, to the same address\./)
  const receipt = await cleo.get<Problem>(`/receipts/${topup.id}`)
  assert.deepEqual([receipt.status, receipt.body.code], [409, 'not_credited'])
  assert.match(receipt.body.detail, /or a chain took its payment back/)
  const [row] = await cleo.history()
  assert.deepEqual([row!.type, row!.amount], ['reversal', '-15.00'])
  assert.match(row!.text, /^Taken back, your payment of [\d.]+ LTC is gone from the Litecoin chain/)
  // Somebody was called, as it must be.
  const alarms = world.alarms.splice(0)
  assert.match(alarms.map(({ sentence }) => sentence).join('\n'), /not on the chain any more/)
})

test('a transaction id that nobody knows, and one that pays somebody else, are told apart', async () => {
  const dan = await world.customer()
  const topup = await quote(dan, 'BTC')
  const other = await quote(dan, 'BTC')
  await world.control('/chains/btc/pay', { address: other.address, amount: other.asset_amount })
  await mine('btc')
  const { transaction_id } = (await now(dan, other)).payments[0]!
  const ask = async (txid: string) =>
    (await dan.get<CryptoTransaction>(`/topups/${topup.id}/transaction?txid=${txid}`)).body
  assert.equal((await ask(transaction_id)).where, 'other_address')
  assert.equal((await ask('0'.repeat(64))).where, 'not_found')
  const wrong = await dan.get<{ code: string; field: string }>(`/topups/${topup.id}/transaction?txid=hello`)
  assert.deepEqual([wrong.status, wrong.body.code, wrong.body.field], [400, 'invalid_request', 'txid'])
  await mine('btc', 3)
})
