/**
 * What happens to payments on chains: the cases of the design's table, each in its row's words. Here on networks in memory, over the whole
 * payments room; on real nodes: crypto-nodes.test.ts, and beside each reader.
 */
import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import type { CryptoOffers, CryptoTransaction } from '../../contract/contract.ts'
import type { Ledger } from '../../server/ledger/ledger.ts'
import { readId } from '../../server/platform/ids.ts'
import { type CryptoWorld, startCryptoWorld, unitsOf } from '../crypto-world.ts'

let world: CryptoWorld

before(async () => {
  world = await startCryptoWorld()
})
afterEach(async () => {
  world.chains.bitcoin.sleeps(false)
  await world.prices({ BTC: '80000.00' })
  await world.follow()
  await world.booksAgree()
  world.alarms.length = 0
})
after(() => world.stop())

const alarmsSaid = () => world.alarms.splice(0).join('\n')

test('1: reorg of 1, mined again: 1/3, 0/3, and counted again from the new height; same payment row; credited once', async () => {
  const ana = await world.customer()
  const topup = await ana.starts()
  await world.pays(topup)
  await world.follow()
  assert.equal(await ana.sees(topup), 'confirming 0.00: seen 0/3 -')
  await world.blocks()
  assert.equal(await ana.sees(topup), 'confirming 0.00: confirming 1/3 20.00')
  assert.equal(await ana.has(), '0.00, on its way 20.00')
  world.chains.bitcoin.rewind(1)
  await world.follow()
  assert.equal(await ana.sees(topup), 'confirming 0.00 [reorganised]: unmined 0/3 20.00')
  await world.blocks(2)
  assert.equal(await ana.sees(topup), 'confirming 0.00 [reorganised]: confirming 2/3 20.00')
  await world.blocks()
  assert.equal(await ana.sees(topup), 'credited 20.00 [reorganised]: credited 3/3 20.00')
  assert.equal(await ana.has(), '20.00')
  assert.equal((await world.paymentsOf(topup)).length, 1)
})

test('2: reorg of 2, double-spent: conflicted, no credit, the top-up waits again, and the customer hears of it', async () => {
  const ana = await world.customer()
  const topup = await ana.starts()
  const txid = await world.pays(topup)
  await world.blocks(2)
  world.chains.bitcoin.rewind(2)
  world.chains.bitcoin.replace(txid)
  await world.blocks(3)
  assert.equal(await ana.sees(topup), 'awaiting_payment 0.00 [reorganised]: replaced 0/3 20.00')
  assert.equal(await ana.has(), '0.00')
  assert.match(ana.letters().join(), /^Not credited: a payment of 0.00025 BTC is gone from the chain$/)
  assert.ok((await ana.now(topup)).payments[0]!.events.some(({ what }) => what === 'conflicted'))
  await world.blocks(5)
  assert.equal(ana.letters().length, 1)
})

test('3: reorg of 4 below a credited payment, mined again: the credit is untouched, the height is the new one', async () => {
  const ana = await world.customer()
  const topup = await ana.starts()
  await world.pays(topup)
  await world.blocks(4)
  const before = (await ana.now(topup)).payments[0]!
  world.chains.bitcoin.rewind(4)
  world.chains.bitcoin.mine(2, { only: [] })
  await world.blocks(3)
  const { payments } = await ana.now(topup)
  assert.equal(payments[0]!.state, 'credited')
  assert.equal(payments[0]!.height, before.height! + 2)
  assert.equal(await ana.has(), '20.00')
  assert.deepEqual(
    payments[0]!.events.map(({ what }) => what),
    ['mined', 'valued', 'credited', 'unmined', 'mined'],
  )
})

test('4: reorg of 4, the credited payment is gone: after 3 blocks of the new branch it is reversed; what is not covered is owed', async () => {
  const ana = await world.customer()
  const topup = await ana.starts()
  await world.pays(topup)
  await world.blocks(4)
  await ana.spends('15.00')
  world.chains.bitcoin.rewind(4, { drop: true })
  await world.blocks(4)
  assert.equal(await ana.sees(topup), 'credited 20.00 [reorganised]: unmined 0/3 20.00')
  assert.equal(await ana.has(), '5.00')
  await world.blocks(3)
  assert.equal(await ana.sees(topup), 'reversed 0.00 [reorganised]: reversed 0/3 20.00')
  assert.equal(await ana.has(), '0.00, owes 15.00')
  assert.match(alarmsSaid(), /a credited payment is not on the chain any more; its credit was taken back/)
  assert.deepEqual(ana.letters(), ['Receipt: $20.00 added', 'Taken back: $20.00, your payment is gone from the chain'])
})

test('4: while a credited payment is in no block, nothing of it is sent back; in a block again, it can be', async () => {
  const ana = await world.customer()
  const topup = await ana.starts()
  await world.pays(topup)
  await world.blocks(4)
  world.chains.bitcoin.rewind(4)
  world.chains.bitcoin.mine(1, { only: [] })
  await world.follow()
  assert.equal(await ana.sees(topup), 'credited 20.00 [reorganised]: unmined 0/3 20.00')
  assert.equal((await ana.now(topup)).returnable, '0.00')
  const refused = await ana.refused(`/topups/${topup.id}/refunds`, {
    address: 'bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080',
  })
  assert.deepEqual([refused.status, refused.body.code], [409, 'nothing_to_return'])
  assert.match(refused.body.detail, /^The chain took back the block with a payment of this top-up/)
  await world.blocks(1)
  assert.equal((await ana.now(topup)).returnable, '20.00')
})

test('4: the credited payment is excluded by another transaction: reversed at once; mined again: credited anew, and what was owed is paid', async () => {
  const ana = await world.customer()
  const topup = await ana.starts()
  const txid = await world.pays(topup)
  await world.blocks(3)
  await ana.spends('20.00')
  const { bitcoin } = world.chains
  bitcoin.rewind(3)
  const other = bitcoin.replace(txid)
  await world.blocks(1)
  assert.equal(await ana.sees(topup), 'reversed 0.00 [reorganised]: reversed 0/3 20.00')
  assert.equal(await ana.has(), '0.00, owes 20.00')
  assert.match(alarmsSaid(), /taken back/)
  // The other branch wins after all.
  const [payment] = await world.paymentsOf(topup)
  bitcoin.rewind(1, { drop: true })
  bitcoin.evict(other)
  bitcoin.mineAgain({
    txid,
    spends: payment!['spends'] as string[],
    pays: { script: await world.scriptOf(topup), units: unitsOf(topup) },
  })
  await world.blocks(3)
  assert.equal(await ana.sees(topup), 'credited 20.00 [reorganised]: credited 3/3 20.00')
  assert.equal(await ana.has(), '0.00')
  assert.equal((await world.paymentsOf(topup))[0]!['round'], 2)
  assert.equal(ana.letters().at(-1), 'Credited again: $20.00')
})

test('8: the node is down for two hours, and the payment was inside the window: its block’s time decides, and nothing expires before we have caught up', async () => {
  const ana = await world.customer()
  const topup = await ana.starts()
  const paid = await ana.starts()
  world.chains.bitcoin.sleeps()
  const inTime = new Date()
  await world.passes(120)
  await world.prices({ BTC: '60000.00' })
  await world.follow()
  assert.equal((await ana.now(topup)).status, 'awaiting_payment')
  await world.pays(paid)
  // Two hours ago, by the clock of the house.
  world.chains.bitcoin.mine(1, { time: new Date(inTime.getTime() - 119 * 60_000) })
  world.chains.bitcoin.mine(2)
  world.chains.bitcoin.sleeps(false)
  await world.follow()
  assert.equal(await ana.sees(paid), 'credited 20.00: credited 3/3 20.00')
  assert.equal((await ana.now(topup)).status, 'expired')
  await world.prices({ BTC: '80000.00' })
})

test('12, 14: deciding twice, twice at once, by two processes, and reading a block again: one credit', async () => {
  const ana = await world.customer()
  const topup = await ana.starts()
  await world.pays(topup)
  for (const chain of Object.values(world.chains)) chain.mine(3)
  const second = world.room()
  await Promise.all([world.follow(), world.follow(second), world.follow(), world.follow(second)])
  await Promise.all([world.follow(), world.follow(second)])
  assert.equal(await ana.sees(topup), 'credited 20.00: credited 3/3 20.00')
  assert.equal(await ana.has(), '20.00')
  await second.close()
})

test('18: USDC to a USDT quote, and ETH to a USDT quote: credited as that asset at its current rate, label other_asset', async () => {
  const ana = await world.customer()
  const topup = await ana.starts('USDT')
  await world.pays(topup, { asset: 'USDC', units: 12_345_678n })
  await world.blocks(3)
  assert.equal(await ana.sees(topup), 'partially_credited 12.35 [partial other_asset]: credited 3/3 12.35')
  await world.pays(topup, { asset: 'ETH', units: 4_000_000_000_000_000n })
  await world.blocks(3)
  assert.equal(await ana.sees(topup), 'credited 22.35 [multiple other_asset]: credited 3/3 12.35, credited 3/3 10.00')
})

test('21: without trace support the operator is told at the start, and what to do', async () => {
  const blind = await startCryptoWorld({ blind: true })
  try {
    assert.match(blind.alarms.join('\n'), /no node of Ethereum traces.*set a node that offers debug_traceBlockByHash/)
  } finally {
    await blind.stop()
  }
  assert.deepEqual(world.alarms, [])
})

test('22: 1 satoshi under: treated as exact', async () => {
  const ana = await world.customer()
  const topup = await ana.starts()
  await world.pays(topup, { units: unitsOf(topup) - 1n })
  await world.blocks(3)
  assert.equal(await ana.sees(topup), 'credited 20.00: credited 3/3 20.00')
})

test('23: 30 % under, in time: credited at the locked rate, label partial, and the rest can be sent while it is open', async () => {
  const ana = await world.customer()
  const topup = await ana.starts()
  await world.pays(topup, { permille: 700n })
  await world.blocks(3)
  assert.equal(await ana.sees(topup), 'partially_credited 14.00 [partial]: credited 3/3 14.00')
  const open = await ana.now(topup)
  assert.equal(open.asset_amount_left, '0.000075')
  assert.match(open.uri, /amount=0\.000075$/)
  await world.pays(topup, { permille: 300n })
  await world.blocks(3)
  assert.equal(await ana.sees(topup), 'credited 20.00 [multiple]: credited 3/3 14.00, credited 3/3 6.00')
  assert.equal((await ana.now(topup)).asset_amount_left, null)
})

test('24: over by 5 %, over by 300 %: the locked rate up to 110 % of the quote, the surplus at the rate of the first block; label over', async () => {
  const ana = await world.customer()
  const [little, much] = [await ana.starts(), await ana.starts()]
  await world.prices({ BTC: '100000.00' })
  await world.pays(little, { permille: 1050n })
  await world.pays(much, { permille: 4000n })
  await world.blocks(1)
  await world.prices({ BTC: '80000.00' })
  await world.blocks(2)
  assert.equal(await ana.sees(little), 'credited 21.00 [over]: credited 3/3 21.00')
  assert.equal(await ana.sees(much), 'credited 94.50 [over]: credited 3/3 94.50')
  assert.deepEqual(
    (await ana.now(much)).payments[0]!.parts.map(({ basis, rate, value }) => `${basis} ${rate} ${value}`),
    ['locked 80000.00 22.00', 'surplus 100000.00 72.50'],
  )
})

test('25: two payments, 60 + 40 %: each credited by itself, the top-up is complete', async () => {
  const ana = await world.customer()
  const topup = await ana.starts()
  await world.pays(topup, { permille: 600n })
  await world.blocks(1)
  await world.pays(topup, { permille: 400n })
  await world.blocks(2)
  assert.equal(await ana.sees(topup), 'confirming 12.00 [multiple]: credited 3/3 12.00, confirming 2/3 8.00')
  assert.equal((await ana.now(topup)).confirmations, 2)
  await world.blocks(1)
  assert.equal(await ana.sees(topup), 'credited 20.00 [multiple]: credited 3/3 12.00, credited 3/3 8.00')
})

test('26: $4.80 after an exchange’s fee: the minimum binds the quote, not the payment', async () => {
  const ana = await world.customer()
  const topup = await ana.starts('LTC', '5.00')
  await world.pays(topup, { units: 4_800_000n })
  await world.blocks(3)
  assert.equal(await ana.sees(topup), 'partially_credited 4.80 [partial]: credited 3/3 4.80')
})

test('12: another movement of the account was recorded a moment later, and came first: credited and taken back when the ledger says', async () => {
  const ana = await world.customer()
  const topup = await ana.starts()
  const txid = await world.pays(topup)
  const later = () =>
    world.asOwner(`update ledger_accounts set last_at = last_at + interval '2 hours' where id = $1`, [ana.accountId])
  await world.blocks(2)
  await world.asOwner(`update ledger_accounts set last_at = house_now() + interval '1 hour' where id = $1`, [
    ana.accountId,
  ])
  await world.blocks()
  assert.equal(await ana.sees(topup), 'credited 20.00: credited 3/3 20.00')
  await world.booksAgree()
  await later()
  world.chains.bitcoin.rewind(3)
  world.chains.bitcoin.replace(txid)
  await world.blocks(4)
  assert.equal(await ana.has(), '0.00')
  world.alarms.length = 0
  await world.booksAgree()
})

test('27: dust: recorded, not credited, and nobody is told', async () => {
  const ana = await world.customer()
  const topup = await ana.starts()
  await world.pays(topup, { units: 600n })
  await world.blocks(4)
  assert.equal(await ana.sees(topup), 'awaiting_payment 0.00: dust 3/3 0.00')
  assert.equal(await ana.has(), '0.00')
  assert.deepEqual(ana.letters(), [])
  await world.pays(topup, { units: 300n })
  await world.blocks(4)
  assert.equal((await ana.now(topup)).status, 'awaiting_payment')
})

test('28: seen in the pool before expiry, mined 3 h later: the locked rate; a fee-bumped replacement to the same output keeps it', async () => {
  const ana = await world.customer()
  const [waits, bumped] = [await ana.starts(), await ana.starts()]
  await world.pays(waits)
  const first = await world.pays(bumped)
  await world.follow()
  await world.passes(180)
  world.chains.bitcoin.replace(first, [{ script: await world.scriptOf(bumped), units: unitsOf(bumped) }])
  await world.prices({ BTC: '40000.00' })
  await world.blocks(3)
  assert.equal(await ana.sees(waits), 'credited 20.00: credited 3/3 20.00')
  assert.match(await ana.sees(bumped), /^credited 20\.00: .*credited 3\/3 20\.00/)
  await world.prices({ BTC: '80000.00' })
})

test('29: first seen after expiry, the rate moved −8 % and +8 %: the rate of its block, both ways; label late, and a letter', async () => {
  for (const [price, worth] of [
    ['73600.00', '18.40'],
    ['86400.00', '21.60'],
  ] as const) {
    const ana = await world.customer()
    const topup = await ana.starts()
    await world.passes(16)
    await world.follow()
    assert.equal(await ana.sees(topup), 'expired 0.00')
    await world.prices({ BTC: price })
    await world.pays(topup)
    await world.blocks(1)
    assert.equal(await ana.sees(topup), `confirming 0.00 [late]: confirming 1/3 ${worth}`)
    await world.prices({ BTC: '80000.00' })
    await world.blocks(2)
    assert.equal(await ana.sees(topup), `credited ${worth} [late]: credited 3/3 ${worth}`)
    assert.deepEqual(ana.letters(), [
      `Your payment came after its rate had ended: it will be $${worth}`,
      `Receipt: $${worth} added`,
    ])
  }
})

test('30: a payment a year later: still credited; to a suspended account it waits for a person', async () => {
  const [ana, bea] = [await world.customer(), await world.customer()]
  const [hers, suspended] = [await ana.starts('LTC'), await bea.starts('LTC')]
  await world.passes(365 * 24 * 60)
  await world.asOwner('update ledger_accounts set suspended = true where id = $1', [bea.accountId])
  await world.pays(hers)
  await world.pays(suspended)
  await world.blocks(3)
  assert.equal(await ana.sees(hers), 'credited 20.00 [late]: credited 3/3 20.00')
  assert.equal(await bea.sees(suspended), 'confirming 0.00 [late]: needs_review 3/3 20.00')
  assert.equal(await bea.has(), '0.00, on its way 20.00')
  assert.equal((await world.paymentsOf(suspended))[0]!['review'], 'account_suspended')
})

test('30: to a suspended account, and staff leave it: its customer reads that, and nothing is on its way any more', async () => {
  const bea = await world.customer()
  const topup = await bea.starts('LTC')
  await world.asOwner('update ledger_accounts set suspended = true where id = $1', [bea.accountId])
  await world.pays(topup)
  await world.blocks(3)
  assert.equal(await bea.has(), '0.00, on its way 20.00')
  const { cryptoStaff } = world.payments
  const { items } = await cryptoStaff.items({ status: 'open', limit: 10, before: null })
  const id = readId('rev', items.find((one) => one.topup_id === topup.id)!.id)!
  for (let twice = 0; twice < 2; twice++)
    assert.ok(
      (await cryptoStaff.closeItem({ accountId: 900n, role: 'admin' }, id, { action: 'leave', why: 'theft' }))?.ok,
    )
  assert.equal((await bea.now(topup)).payments[0]!.state, 'left')
  assert.equal(await bea.has(), '0.00')
  await world.passes(20)
  await world.follow()
  // Wherever its chain puts it now: nobody waits for it, and nobody hears that it is gone.
  const letters = bea.letters().length
  world.chains.litecoin.rewind(3, { drop: true })
  await world.blocks(6)
  assert.equal((await bea.now(topup)).payments[0]!.state, 'left')
  assert.equal(await bea.has(), '0.00')
  assert.equal(bea.letters().length, letters)
  assert.equal(await bea.sees(topup), 'expired 0.00 [reorganised]: left 0/3 20.00')
})

test('30: to a suspended account, credited by staff who say no amount: what its customer saw, and not the rate of its block', async () => {
  const bea = await world.customer()
  const topup = await bea.starts('LTC')
  await world.asOwner('update ledger_accounts set suspended = true where id = $1', [bea.accountId])
  await world.prices({ LTC: '90.00' })
  await world.pays(topup)
  await world.blocks(3)
  const seen = (await bea.now(topup)).payments[0]!
  const { cryptoStaff } = world.payments
  const { items } = await cryptoStaff.items({ status: 'open', limit: 10, before: null })
  const item = items.find((one) => one.topup_id === topup.id)!
  assert.equal(item.worth, '20.00')
  const id = readId('rev', item.id)!
  for (let twice = 0; twice < 2; twice++) {
    const closed = await cryptoStaff.closeItem({ accountId: 900n, role: 'admin' }, id, { action: 'credit', why: null })
    assert.ok(closed?.ok, JSON.stringify(closed))
  }
  assert.equal(await bea.sees(topup), 'credited 20.00: credited 3/3 20.00')
  assert.deepEqual((await bea.now(topup)).payments[0]!.parts, seen.parts)
  assert.equal(await bea.has(), '20.00')
  await world.prices({ LTC: '100.00' })
})

test('31: replaced by one that pays the same output, less, nothing: it counts only in a block, and the display follows', async () => {
  const ana = await world.customer()
  const [same, less, nothing] = [await ana.starts(), await ana.starts(), await ana.starts()]
  const { bitcoin } = world.chains
  const ids = [await world.pays(same), await world.pays(less), await world.pays(nothing)]
  await world.follow()
  bitcoin.replace(ids[0]!, [{ script: await world.scriptOf(same), units: unitsOf(same) }])
  bitcoin.replace(ids[1]!, [{ script: await world.scriptOf(less), units: unitsOf(less) / 2n }])
  bitcoin.replace(ids[2]!)
  await world.follow()
  assert.equal(await ana.sees(nothing), 'awaiting_payment 0.00: replaced 0/3 -')
  assert.equal(await ana.has(), '0.00')
  await world.blocks(3)
  assert.match(await ana.sees(same), /^credited 20\.00: .*credited 3\/3 20\.00/)
  assert.match(await ana.sees(less), /^partially_credited 10\.00 \[partial\]: .*credited 3\/3 10\.00/)
  assert.equal(await ana.sees(nothing), 'awaiting_payment 0.00: replaced 0/3 -')
})

test('32: forgotten by the pool: the display goes back to awaiting, nothing is ever negative', async () => {
  const ana = await world.customer()
  const topup = await ana.starts()
  const txid = await world.pays(topup)
  await world.follow()
  assert.equal((await ana.now(topup)).status, 'confirming')
  world.chains.bitcoin.evict(txid)
  await world.follow()
  assert.equal(await ana.sees(topup), 'awaiting_payment 0.00: dropped 0/3 -')
  assert.equal((await world.row(topup))['status'], 'awaiting_payment')
  assert.equal(await ana.has(), '0.00')
})

test('33: two top-ups by one customer, swapped addresses: each payment follows the address it hit', async () => {
  const ana = await world.customer()
  const [five, twenty] = [await ana.starts('BTC', '5.00'), await ana.starts('BTC', '20.00')]
  await world.pays(five, { units: unitsOf(twenty) })
  await world.pays(twenty, { units: unitsOf(five) })
  await world.blocks(3)
  assert.equal(await ana.sees(five), 'credited 20.00 [over]: credited 3/3 20.00')
  assert.equal(await ana.sees(twenty), 'partially_credited 5.00 [partial]: credited 3/3 5.00')
  assert.equal(await ana.has(), '25.00')
})

test('34: an old address is paid again: credited as a late payment to the same customer', async () => {
  const ana = await world.customer()
  const topup = await ana.starts()
  await world.pays(topup)
  await world.blocks(3)
  await world.passes(60 * 24 * 30)
  await world.pays(topup)
  await world.blocks(3)
  assert.equal(await ana.sees(topup), 'credited 40.00 [late multiple]: credited 3/3 20.00, credited 3/3 20.00')
})

test('38: newly mined coins need 100 confirmations', async () => {
  const ana = await world.customer()
  const topup = await ana.starts()
  await world.pays(topup, { coinbase: true })
  await world.blocks(99)
  assert.equal(await ana.sees(topup), 'confirming 0.00: confirming 99/100 20.00')
  await world.blocks(1)
  assert.equal(await ana.sees(topup), 'credited 20.00: credited 100/100 20.00')
})

test('39: one transaction with several outputs to one and to several customers: one payment each', async () => {
  const [ana, bea] = [await world.customer(), await world.customer()]
  const [hers, theirs] = [await ana.starts(), await bea.starts()]
  const [a, b] = [await world.scriptOf(hers), await world.scriptOf(theirs)]
  world.chains.bitcoin.pay([
    { script: a, units: 10_000n },
    { script: b, units: 25_000n },
    { script: a, units: 15_000n },
  ])
  await world.blocks(3)
  assert.equal(await ana.sees(hers), 'credited 20.00 [multiple]: credited 3/3 8.00, credited 3/3 12.00')
  assert.equal(await bea.sees(theirs), 'credited 20.00: credited 3/3 20.00')
})

test('41: the clock of a block is hours ahead: what we saw before expiry is in time', async () => {
  const ana = await world.customer()
  const topup = await ana.starts()
  await world.pays(topup)
  await world.follow()
  await world.passes(14)
  world.chains.bitcoin.mine(1, { time: new Date(Date.now() + 2 * 3600_000) })
  await world.blocks(2)
  assert.equal(await ana.sees(topup), 'credited 20.00: credited 3/3 20.00')
})

test('42: the confirmations are those of the quote, whatever is asked for later', async () => {
  const ana = await world.customer()
  const topup = await ana.starts()
  await world.asOwner('update crypto_quotes set confirmations_required = 5 where topup_id = $1', [
    (await world.row(topup))['id'],
  ])
  await world.pays(topup)
  await world.blocks(4)
  assert.equal(await ana.sees(topup), 'confirming 0.00: confirming 4/5 20.00')
  await world.blocks(1)
  assert.equal(await ana.sees(topup), 'credited 20.00: credited 5/5 20.00')
})

test('43: the ledger write fails: the payment stays confirmed, is tried again, holds up no other, and after five minutes somebody is called', async () => {
  const [ana, bea] = [await world.customer(), await world.customer()]
  const [fails, goes] = [await ana.starts(), await bea.starts()]
  await world.pays(fails)
  await world.pays(goes)
  const broken: Ledger = {
    ...world.ledger,
    apply: (tx, commands, options) =>
      commands.some(({ accountId }) => accountId === ana.accountId)
        ? Promise.reject(new Error('The ledger of this test is broken'))
        : world.ledger.apply(tx, commands, options),
  }
  const sick = world.room(broken)
  for (const chain of Object.values(world.chains)) chain.mine(3)
  await world.follow(sick)
  assert.equal(await ana.sees(fails), 'confirming 0.00: confirmed 3/3 20.00')
  assert.equal(await bea.sees(goes), 'credited 20.00: credited 3/3 20.00')
  assert.equal(alarmsSaid(), '')
  await world.passes(6)
  await world.follow(sick)
  assert.match(alarmsSaid(), /deep enough for five minutes and not credited/)
  await world.follow(sick)
  assert.equal(alarmsSaid(), '', 'once in five minutes')
  await world.follow()
  assert.equal(await ana.sees(fails), 'credited 20.00: credited 3/3 20.00')
  await sick.close()
})

test('40: no rate of the block is known: a late payment waits, is never guessed, and is credited when there is one', async () => {
  const ana = await world.customer()
  const topup = await ana.starts()
  await world.passes(30)
  await world.asOwner('delete from crypto_rates where id not in (select rate_id from crypto_quotes)')
  await world.asOwner(`update crypto_rates set at = at - interval '1 day'`)
  await world.pays(topup)
  await world.blocks(4)
  assert.equal(await ana.sees(topup), 'confirming 0.00: confirmed 3/3 -')
  await world.prices({})
  await world.follow()
  assert.equal(await ana.sees(topup), 'credited 20.00 [late]: credited 3/3 20.00')
})

test('44: USDT sent on another network to the same address: not seen by us; what not to use is named before, and asking for its transaction says so', async () => {
  const ana = await world.customer()
  const { body: offers } = await ana.call<CryptoOffers>('/crypto')
  const usdt = offers.assets.find(({ asset }) => asset === 'USDT')!
  assert.equal(usdt.network_title, 'Ethereum')
  for (const other of ['Tron', 'BNB', 'Polygon'])
    assert.ok(
      usdt.do_not_use.some((name) => name.includes(other)),
      `${other} of ${usdt.do_not_use}`,
    )
  const topup = await ana.starts('USDT')
  const asked = await ana.call<CryptoTransaction>(`/topups/${topup.id}/transaction?txid=0x${'ab'.repeat(32)}`)
  assert.equal(asked.body.where, 'not_found')
  assert.equal(await ana.sees(topup), 'awaiting_payment 0.00')
})

test('each change is told to open pages, the balance too where it changed', async () => {
  const ana = await world.customer()
  const topup = await ana.starts()
  await world.pays(topup)
  world.announced.length = 0
  await world.blocks(1)
  await world.blocks(2)
  const mine = world.announced.filter((one) => 'accountId' in one && one.accountId === ana.accountId)
  assert.ok(mine.filter(({ what }) => what === 'topup').length >= 3)
  assert.ok(mine.some(({ what }) => what === 'balance'))
})
