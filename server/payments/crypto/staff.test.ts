/** What people do about crypto: money that goes back, payments that need a look, the comparison. The network is scripted; the rest is real. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import { Address } from '@scure/btc-signer'
import pg from 'pg'
import type { CryptoAsset } from '../../../contract/contract.ts'
import { printAmount, usd } from '../../../contract/money.ts'
import { freshDatabase, type TestDatabase } from '../../../test/database.ts'
import { createScriptedChain, type ScriptedChain, type ScriptedTx } from '../../../test/scripted-chain.ts'
import { auditLedger } from '../../ledger/audit/audit.ts'
import { createLedger, type Ledger } from '../../ledger/ledger.ts'
import { wireClock } from '../../platform/clock.ts'
import { derivedId, newId, printId, readId } from '../../platform/ids.ts'
import { type Log, openLog } from '../../platform/log.ts'
import { readAddress } from './address.ts'
import { assets, networkOf } from './assets.ts'
import { type Chain, type Found, NodeTrouble } from './chain.ts'
import { createCredits } from './credits.ts'
import { createFollower } from './follower.ts'
import { nameOf } from './reconcile.ts'
import { RETURNED_FROM, unitsFor } from './refunds.ts'
import { createCryptoStaff } from './staff.ts'

const network = networkOf('bitcoin')
const PRICE = usd('50000.00')
const REGTEST = { bech32: 'bcrt', pubKeyHash: 0x6f, scriptHash: 0xc4, wif: 0xef }
const admin = { accountId: 900n, role: 'admin' } as const
const approver = { accountId: 901n, role: 'approver' } as const

let db: TestDatabase
let ledger: Ledger
let chain: ScriptedChain
let unknownTokens: NonNullable<Extract<Found, { where: 'block' }>['unknown']>
let swept: Map<string, bigint>
let surplus: Map<string, bigint>
let keyId: string
let rateId: bigint
let numbers = 0
const letters: string[] = []
const alarms: string[] = []
const log = openLog({ level: 'silent' })
log.error = ((_: unknown, sentence: string) => alarms.push(sentence)) as unknown as Log['error']

// Each test has books of its own, and they are right in the end.
beforeEach(async () => {
  db = await freshDatabase({ connectionsMax: 16 })
  ledger = createLedger({ database: db.database, log })
  keyId = await one(
    `insert into crypto_keys (family, descriptor, active, created_at) values ('btc', 'wpkh(test)', true, house_now()) returning id`,
  )
  rateId = BigInt(
    await one(
      `insert into crypto_rates (asset, price, sources, samples, at) values ('BTC', ${PRICE}, 3, '[]', house_now() - interval '1 day') returning id`,
    ),
  )
  chain = createScriptedChain()
  for (let n = 0; n < 20; n++) chain.mine()
  unknownTokens = []
  swept = new Map()
  surplus = new Map()
  letters.length = 0
  alarms.length = 0
})
afterEach(async () => {
  await ledger.close()
  await db.close()
})

// ── Money that goes back ─────────────────────────────────────────────────────────────────────────────────────────────

test('what is unspent goes back to the address that the customer names, and leaves the credits when it is confirmed', async () => {
  const ana = await customer('50.00')
  const asked = await request(ana, { amount: '15.00' })
  assert.deepEqual([asked.status, asked.amount, asked.transaction_id], ['requested', '15.00', null])
  await expectBalance(ana, '35.00 available, 15.00 held')

  const approved = await staffSays(staff().approve(admin, idOf(asked), null))
  assert.deepEqual(
    [approved.status, approved.second_person, approved.may],
    ['approved', false, ['price', 'paid', 'decline']],
  )
  const priced = await staffSays(staff().price(admin, idOf(asked)))
  assert.equal(priced.price?.asset_amount, '0.0003')
  assert.ok(priced.price.uri.startsWith(`bitcoin:${ana.own.address}?amount=0.0003`))

  const tx = pays(ana.own.script, 30_000n)
  chain.wait([tx])
  const paid = await staffSays(staff().paid(admin, idOf(asked), tx.txid))
  assert.deepEqual([paid.status, paid.confirmations], ['sent', 0])
  chain.mine([tx])
  for (const confirmations of [1, 2]) {
    await follow()
    await staff().ticks[0]!.run(never)
    assert.deepEqual(await standing(asked), { status: 'sent', confirmations })
    await expectBalance(ana, '35.00 available, 15.00 held')
    chain.mine()
  }
  await follow()
  await Promise.all([staff().ticks[0]!.run(never), staff().ticks[0]!.run(never)])
  await staff().ticks[0]!.run(never)
  assert.deepEqual(await standing(asked), { status: 'succeeded', confirmations: 3 })
  await expectBalance(ana, '35.00 available, 0.00 held')
  await nothingIsWrong()
})

test('each refusal to a customer', async () => {
  const ana = await customer('12.00')
  const bea = await customer('30.00')
  const refused = async (who: Customer, asked: { amount?: unknown; address?: unknown; topupId?: string }) => {
    const answer = await staff().sendBack({
      accountId: who.accountId,
      topupId: asked.topupId ?? who.topupId,
      amount: asked.amount,
      address: 'address' in asked ? asked.address : who.own.address,
      idempotencyKey: null,
    })
    return answer === null ? null : answer.ok ? 'ok' : answer.refused.code
  }
  assert.equal(await refused(ana, { topupId: bea.topupId }), null)
  assert.equal(await refused(ana, { topupId: newId() }), null)
  for (const amount of ['-1', '1e3', '1.001', 5, '']) assert.equal(await refused(ana, { amount }), 'invalid_amount')
  assert.equal(await refused(ana, { amount: '0.99' }), 'amount_below_minimum')
  assert.equal(await refused(ana, { amount: '12.01' }), 'amount_above_returnable')
  const bad = ana.own.address.replace(/.$/, (last) => (last === 'q' ? 'p' : 'q'))
  for (const address of [
    undefined,
    '',
    'bcrt1',
    bad,
    'bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu',
    '0xdac17f958d2ee523a2206206994597c13d831ec7',
    'x'.repeat(500),
    ana.deposit.address,
  ])
    assert.equal(await refused(ana, { address }), 'invalid_address', String(address))
  const nothing = await customer(null)
  assert.equal(await refused(nothing, {}), 'not_credited')
  await spend(bea, '30.00')
  assert.equal(await refused(bea, {}), 'nothing_to_return')
  assert.equal(RETURNED_FROM, usd('1.00'))
  await one(`update ledger_accounts set suspended = true where id = ${ana.accountId}`)
  assert.equal(await refused(ana, {}), 'account_suspended')
  await nothingIsWrong()
})

test('asked twice with one key it is one refund; twice at once without, never more than there is', async () => {
  const ana = await customer('10.00')
  const key = () => request(ana, { amount: '4.00', key: 'k1' })
  const [first, again] = await Promise.all([key(), key()])
  assert.equal(first.id, again.id)
  assert.equal((await key()).id, first.id)
  const other = await ask(ana, { amount: '5.00', key: 'k1' })
  assert.equal(!other!.ok && other!.refused.code, 'idempotency_key_reused')
  const both = await Promise.all([ask(ana, { amount: '5.00' }), ask(ana, { amount: '5.00' })])
  assert.equal(both.filter((one) => one!.ok).length, 1)
  await expectBalance(ana, '1.00 available, 9.00 held')
  await nothingIsWrong()
})

test('above the limit two different people agree, the second of them an approver; nobody agrees to his own', async () => {
  const ana = await customer('50.00')
  const asked = await request(ana, {})
  const code = async (by: { accountId: bigint; role: 'admin' | 'approver' }) =>
    refusal(await staff().approve(by, idOf(asked), null))
  assert.equal(await code({ accountId: ana.accountId, role: 'approver' }), 'second_person_needed')
  assert.equal(refusal(await staff().price(admin, idOf(asked))), 'second_person_needed')
  assert.equal(refusal(await staff().paid(admin, idOf(asked), '0'.repeat(64))), 'second_person_needed')
  assert.equal(await code(approver), null)
  assert.equal(await code(approver), 'second_person_needed')
  assert.equal(await code(admin), 'second_person_needed')
  assert.equal((await standing(asked)).status, 'requested')
  assert.equal(await code({ accountId: 902n, role: 'approver' }), null)
  assert.equal((await standing(asked)).status, 'approved')
  assert.equal(await code(approver), null)
  const { history } = await shown(asked)
  assert.deepEqual(
    history.map(({ what }) => what),
    ['asked to approve', 'approved'],
  )
  assert.equal(await staff().approve(admin, newId(), null), null)
  await nothingIsWrong()
})

test('declined, by two at once, the money is the customer’s again, once', async () => {
  const ana = await customer('10.00')
  const asked = await request(ana, {})
  await Promise.all([
    staff().decline(admin, idOf(asked), 'No.'),
    staff().decline(approver, idOf(asked), 'No.'),
    staff().approve(approver, idOf(asked), null),
  ])
  const { status } = await standing(asked)
  if (status === 'approved') await staff().decline(admin, idOf(asked), 'No.')
  assert.equal((await standing(asked)).status, 'declined')
  await expectBalance(ana, '10.00 available, 0.00 held')
  assert.equal(refusal(await staff().approve(admin, idOf(asked), null)), 'already_decided')
  assert.equal(refusal(await staff().price(admin, idOf(asked))), 'already_decided')
  const told = await tells(ana)
  assert.deepEqual([told[0]!.status, told[0]!.reason], ['failed', 'declined_by_us'])
  await nothingIsWrong()
})

test('a wrong transaction is refused, each kind of wrong', async () => {
  const ana = await customer('15.00')
  const asked = await request(ana, {})
  const old = pays(ana.own.script, 30_000n)
  chain.mine([old])
  await follow()
  await staff().approve(admin, idOf(asked), null)
  const code = async (txid: unknown) => refusal(await staff().paid(admin, idOf(asked), txid))
  assert.equal(await code(old.txid), 'wrong_transaction', 'before anybody asked what to pay')
  await staff().price(admin, idOf(asked))
  for (const id of ['', 'f00', 7, null]) assert.equal(await code(id), 'invalid_request')
  assert.equal(await code('a'.repeat(64)), 'wrong_transaction', 'unknown')
  assert.equal(await code(old.txid), 'wrong_transaction', 'in a block from before')
  const little = pays(ana.own.script, 29_999n)
  const elsewhere = pays('00'.repeat(22), 30_000n)
  chain.wait([little, elsewhere])
  assert.equal(await code(little.txid), 'wrong_transaction', 'another amount')
  assert.equal(await code(elsewhere.txid), 'wrong_transaction', 'another address')
  chain.script.before = () => {
    throw new NodeTrouble('unreachable', 'no answer')
  }
  assert.equal(await code('b'.repeat(64)), 'temporarily_unavailable')
  chain.script.before = null
  assert.equal((await standing(asked)).status, 'approved')

  // The same transaction serves for one refund only; one that pays twice, for two.
  const bea = await customer('30.00', ana.own)
  const twin = await request(bea, { amount: '15.00' })
  await staff().approve(admin, idOf(twin), null)
  await staff().price(admin, idOf(twin))
  const right = pays(ana.own.script, 30_000n)
  chain.wait([right])
  assert.equal(await code(`0x${right.txid.toUpperCase()}`), null)
  assert.equal(await code(right.txid), null, 'said twice')
  assert.equal(refusal(await staff().paid(approver, idOf(twin), right.txid)), 'wrong_transaction')
  assert.equal(await code('c'.repeat(64)), 'already_decided')
  assert.equal(refusal(await staff().decline(admin, idOf(asked), 'No.')), 'already_decided')
  const several = { ...pays(ana.own.script, 30_000n) }
  chain.wait([right, several])
  assert.equal(refusal(await staff().paid(approver, idOf(twin), several.txid)), null)
  await nothingIsWrong()
})

test('a price that was said stays good when the rate moves before it is paid', async () => {
  const ana = await customer('15.00')
  const asked = await request(ana, {})
  await staff().approve(admin, idOf(asked), null)
  await staff().price(admin, idOf(asked))
  const tx = pays(ana.own.script, 30_000n)
  chain.wait([tx])
  await staff(usd('60000.00')).price(admin, idOf(asked))
  assert.equal((await shown(asked)).price?.asset_amount, '0.00025')
  assert.equal(refusal(await staff().paid(admin, idOf(asked), tx.txid)), null)
  assert.equal((await tells(ana))[0]!.asset_amount, '0.0003')
})

test('it vanishes: staff are told, and it is paid anew or given up; confirmed and taken back, it is watched again', async () => {
  const ana = await customer('40.00')
  const [first, second] = [await request(ana, { amount: '15.00' }), await request(ana, { amount: '15.00' })]
  const txs = [pays(ana.own.script, 30_000n), pays(ana.own.script, 30_000n)]
  for (const [at, asked] of [first, second].entries()) {
    await staff().approve(admin, idOf(asked), null)
    await staff().price(admin, idOf(asked))
    chain.wait(txs)
    assert.equal(refusal(await staff().paid(admin, idOf(asked), txs[at]!.txid)), null)
  }
  chain.mine([txs[0]!])
  chain.mine()
  chain.mine()
  chain.wait([])
  await follow()
  await watch()
  assert.equal((await standing(first)).status, 'succeeded')
  assert.deepEqual(alarms, ['Alarm: A transaction by which money was sent back is not to be found any more'])
  const gone = await shown(second)
  assert.deepEqual([gone.status, gone.vanished_at !== null, gone.may], ['sent', true, ['price', 'paid', 'decline']])

  // The second is given up: its money is the customer's again.
  assert.equal(refusal(await staff().decline(admin, idOf(second), 'The network dropped it.')), null)
  assert.equal((await standing(second)).status, 'failed')
  await expectBalance(ana, '25.00 available, 0.00 held')

  // A reorganisation takes the first back; it was taken from the credits already, and is not taken again.
  chain.reorganise(3)
  await follow()
  await watch()
  assert.equal((await standing(first)).status, 'sent')
  await expectBalance(ana, '25.00 available, 0.00 held')
  const again = pays(ana.own.script, 30_000n)
  chain.mine([again])
  assert.equal(refusal(await staff().paid(approver, idOf(first), again.txid)), null)
  chain.mine()
  chain.mine()
  await follow()
  await watch()
  await watch()
  assert.equal((await standing(first)).status, 'succeeded')
  await expectBalance(ana, '25.00 available, 0.00 held')
  await nothingIsWrong()
})

test('while a payment of the top-up is in no block nothing more of it is sent; gone for good, the return is declined and pays what is owed', async () => {
  const ana = await customer('40.00')
  const tx = [...chain.blocks.values()].flatMap(({ txs }) => txs)[0]!
  const [first, second] = [await request(ana, { amount: '15.00' }), await request(ana, { amount: '15.00' })]
  await staff().approve(admin, idOf(first), null)
  chain.reorganise(3)
  chain.mine()
  await follow()
  assert.equal(refusal(await staff().price(admin, idOf(first))), 'not_on_chain')
  assert.equal(refusal(await staff().approve(admin, idOf(second), null)), 'not_on_chain')
  chain.mine([tx])
  await follow()
  assert.equal(refusal(await staff().price(admin, idOf(first))), null)

  chain.reorganise(2)
  for (let n = 0; n < 5; n++) chain.mine()
  await follow()
  assert.equal(refusal(await staff().approve(admin, idOf(second), null)), 'not_on_chain')
  for (const asked of [first, second])
    assert.equal(refusal(await staff().decline(admin, idOf(asked), 'The chain took the payment back.')), null)
  await expectBalance(ana, '0.00 available, 0.00 held')
  await nothingIsWrong()
})

test('taken from the credits, taken back by the chain and given up: it is credited again, once', async () => {
  const ana = await customer('15.00')
  const asked = await request(ana, {})
  await staff().approve(admin, idOf(asked), null)
  await staff().price(admin, idOf(asked))
  const tx = pays(ana.own.script, 30_000n)
  chain.mine([tx])
  await staff().paid(admin, idOf(asked), tx.txid)
  chain.mine()
  chain.mine()
  await follow()
  await watch()
  await expectBalance(ana, '0.00 available, 0.00 held')
  chain.reorganise(3)
  await follow()
  await watch()
  await Promise.all([staff().decline(admin, idOf(asked), 'Gone.'), staff().decline(approver, idOf(asked), 'Gone.')])
  await expectBalance(ana, '15.00 available, 0.00 held')
  await nothingIsWrong()
})

test('how many coins so many dollars are: up to what a wallet takes, in favour of the customer', () => {
  const cases: [string, string, CryptoAsset, bigint][] = [
    ['15.00', '50000.00', 'BTC', 30_000n],
    ['10.00', '30000.00', 'BTC', 33_334n],
    ['10.00', '3000.00', 'ETH', 3_333_340_000_000_000n],
    ['10.00', '0.999', 'USDT', 10_010_011n],
  ]
  for (const [amount, price, asset, units] of cases)
    assert.equal(unitsFor(usd(amount), usd(price), asset), units, asset)
})

// ── A network that is halted ─────────────────────────────────────────────────────────────────────────────────────────

test('a halted network goes on when a member of staff says why; what is not on its branch is taken back, and who it was is kept', async () => {
  const ana = await customer('15.00')
  const bea = { username: 'bea' }
  assert.equal(refusal(await staff().resume(bea, 'bitcoin', 'Nothing.')), 'not_halted')
  assert.equal(await staff().resume(bea, 'dogecoin', 'Nothing.'), null)
  assert.equal(await staff().resume(bea, 'litecoin', 'Not one of the settings.'), null)
  for (let n = 0; n < 205; n++) chain.mine()
  await follow()
  chain.reorganise(210)
  await follow()
  const [halted] = await staff().networks()
  assert.deepEqual([halted!.chain, halted!.state], ['bitcoin', 'halted'])
  await expectBalance(ana, '15.00 available, 0.00 held')

  const why = 'Two explorers show the branch of our node.'
  const both = await Promise.all([staff().resume(bea, 'bitcoin', why), staff().resume(bea, 'bitcoin', why)])
  assert.deepEqual(both.map(refusal).sort(), ['not_halted', null])
  for (let n = 0; n < 4; n++) chain.mine()
  await follow()
  const [now] = await staff().networks()
  assert.deepEqual([now!.state, now!.halted, now!.height], ['works', null, chain.tip.height])
  assert.deepEqual(
    now!.resumptions.map(({ by, why }) => [by, why]),
    [['bea', why]],
  )
  await expectBalance(ana, '0.00 available, 0.00 held')
  await nothingIsWrong()
})

test('a halted network whose node is away stays halted, and it says so', async () => {
  await follow()
  await one(`update chain_cursors set halted = 'rewritten' where chain = 'bitcoin'`)
  chain.script.before = () => {
    throw new NodeTrouble('unreachable', 'node cannot be asked')
  }
  const answer = await staff().resume({ username: 'bea' }, 'bitcoin', 'Seen.')
  assert.equal(refusal(answer), 'temporarily_unavailable')
  assert.equal((await staff().networks())[0]!.state, 'halted')
})

// ── What needs a look ────────────────────────────────────────────────────────────────────────────────────────────────

test('dust is listed once it cannot vanish; staff may credit it, at a rate or an amount, or leave it; decided once', async () => {
  const ana = await customer(null)
  const txs = [100n, 200n, 300n].map((n) => pays(ana.deposit.script, 546n + n))
  chain.mine(txs)
  await follow()
  assert.deepEqual(await open(), [])
  chain.mine()
  chain.mine()
  await follow()
  const items = await open()
  assert.deepEqual(
    items.map(({ kind, may }) => [kind, may]),
    [1, 2, 3].map(() => ['below_minimum', ['credit', 'leave']]),
  )
  const [one, two, three] = items.map(({ id }) => readId('rev', id)!) as [string, string, string]
  await Promise.all([close(admin, one, 'leave'), close(approver, one, 'leave')])
  assert.equal(refusal(await close(admin, one, 'credit')), 'already_decided')
  assert.equal(refusal(await close(admin, two, 'credit', { amount: '-5' })), 'invalid_amount')
  assert.equal(
    refusal(await close({ accountId: ana.accountId, role: 'approver' }, two, 'credit')),
    'second_person_needed',
  )
  await Promise.all([close(admin, two, 'credit', { amount: '0.40' }), close(admin, two, 'credit', { amount: '0.40' })])
  await expectBalance(ana, '0.40 available, 0.00 held')
  assert.equal(refusal(await close(admin, three, 'credit', { rate: '50000' })), null)
  const units = BigInt(items[2]!.asset_amount!.replace('0.', '').padEnd(8, '0'))
  const worth = (units * PRICE) / 10n ** 8n
  await expectBalance(ana, `${printAmount(usd(`0.${40 + Number((worth + 9_999n) / 10_000n)}`))} available, 0.00 held`)
  assert.equal(await close(admin, newId(), 'leave'), null)
  await nothingIsWrong()
})

test('on an address of nobody’s: credited to a top-up that staff name; above the limit by two; and taken back when its block is', async () => {
  const nobodys = await deposit(null)
  const ana = await customer(null)
  const tx = pays(nobodys.script, 100_000n)
  chain.mine([tx])
  await follow()
  const [item] = await open()
  assert.deepEqual([item!.kind, item!.username, item!.topup_id], ['unused_address', null, null])
  const id = readId('rev', item!.id)!
  assert.equal(refusal(await close(admin, id, 'credit')), 'invalid_request')
  const to = { topupId: ana.topupId }
  assert.equal(refusal(await close(admin, id, 'credit', to)), null)
  await expectBalance(ana, '0.00 available, 0.00 held')
  assert.equal((await open())[0]!.status, 'credit_asked')
  assert.equal(refusal(await close(admin, id, 'credit', to)), 'second_person_needed')
  assert.equal(refusal(await close(approver, id, 'credit', { amount: '9999.00' })), null)
  await expectBalance(ana, '0.00 available, 0.00 held')
  chain.mine()
  chain.mine()
  await follow()
  await expectBalance(ana, '50.00 available, 0.00 held')
  chain.reorganise(3)
  for (let n = 0; n < 3; n++) chain.mine()
  await follow()
  await expectBalance(ana, '0.00 available, 0.00 held')
  const kinds = (await open()).map(({ kind, may }) => [kind, may])
  assert.deepEqual(kinds, [['gone_after_credit', ['leave']]])
  await nothingIsWrong()
})

test('what is gone cannot be credited; what comes back settles by itself', async () => {
  const ana = await customer('12.00')
  const tx = [...chain.blocks.values()].flatMap(({ txs }) => txs)[0]!
  chain.reorganise(3)
  for (let n = 0; n < 3; n++) chain.mine()
  await follow()
  const [item] = await open()
  assert.equal(item!.kind, 'gone_after_credit')
  assert.equal(refusal(await close(admin, readId('rev', item!.id)!, 'credit')), 'not_on_chain')
  chain.mine([tx])
  chain.mine()
  chain.mine()
  await follow()
  assert.deepEqual(await open(), [])
  assert.equal((await staff().items({ status: 'closed', limit: 10, before: null })).items[0]!.status, 'settled')
  await expectBalance(ana, '12.00 available, 0.00 held')
  await nothingIsWrong()
})

test('by the id of a transaction: what it pays to us; a token that is not ours is opened, once, and credited by decision', async () => {
  const ana = await customer(null)
  const tx = pays(ana.deposit.script, 20_000n)
  chain.mine([tx])
  await follow()
  const look = async (id: string) => {
    const looked = await staff().lookup(admin, { chain: 'bitcoin', transactionId: id })
    assert.ok(looked.ok)
    return looked.told
  }
  assert.deepEqual(
    (await look(tx.txid)).pays.map(({ followed, topup_id }) => [followed, topup_id]),
    [[true, printId('top', ana.topupId)]],
  )
  assert.equal((await look('d'.repeat(64))).where, 'nowhere')
  const code = async (asked: Parameters<ReturnType<typeof staff>['lookup']>[1]) =>
    refusal(await staff().lookup(admin, asked))
  assert.equal(await code({ chain: 'dogecoin', transactionId: tx.txid }), 'invalid_request')
  assert.equal(await code({ chain: 'bitcoin', transactionId: 'me' }), 'invalid_request')
  assert.equal(await code({ chain: 'litecoin', transactionId: tx.txid }), 'temporarily_unavailable')

  unknownTokens = [{ contract: '0x00000000000000000000000000000000000000aa', script: ana.deposit.script, units: 7n }]
  const strange = pays('00'.repeat(22), 1n)
  chain.mine([strange])
  const [told, again] = [await look(strange.txid), await look(strange.txid)]
  assert.deepEqual([told.items.length, again.items.length], [1, 1])
  assert.equal(told.items[0]!.kind, 'unknown_token')
  const id = readId('rev', told.items[0]!.id)!
  assert.equal(refusal(await close(admin, id, 'credit')), 'invalid_request', 'nobody knows what it is worth')
  await Promise.all([close(admin, id, 'credit', { amount: '12.00' }), close(admin, id, 'credit', { amount: '12.00' })])
  await expectBalance(ana, '12.00 available, 0.00 held')

  // On a network that we do not ask.
  const bnb = { chain: 'other', network: 'BNB Smart Chain', transactionId: `0x${'e'.repeat(64)}` }
  assert.equal(await code({ ...bnb, address: 'nobody' }), 'invalid_address')
  assert.equal(await code({ ...bnb, network: '', address: ana.deposit.address }), 'invalid_request')
  const other = await staff().lookup(admin, { ...bnb, address: ana.deposit.address })
  assert.ok(other.ok)
  assert.deepEqual(
    other.told.items.map(({ kind, network, may }) => [kind, network, may]),
    [['other_network', 'BNB Smart Chain', ['credit', 'leave', 'recover']]],
  )
  assert.equal(refusal(await close(admin, readId('rev', other.told.items[0]!.id)!, 'recover')), null)
  await nothingIsWrong()
})

test('what members of staff did cannot be changed by the server', async () => {
  for (const table of ['crypto_staff_actions', 'crypto_refund_prices'])
    for (const change of [`update ${table} set at = now()`, `delete from ${table}`])
      await assert.rejects(db.database.pool.query(change), /permission denied/)
})

// ── Reconciliation ───────────────────────────────────────────────────────────────────────────────────────────────────

test('a chain that agrees with the books: nothing is open, and the sums say where the coins are', async () => {
  const ana = await customer('12.00')
  const tiny = pays(ana.deposit.script, 700n)
  chain.mine([tiny])
  chain.mine()
  chain.mine()
  await follow()
  swept.set(ana.deposit.script, 10_000n)
  const run = await compares()
  assert.equal(run.status, 'clean', JSON.stringify(run.found?.items ?? run.error))
  assert.deepEqual(run.found!.sums, [
    {
      asset: 'BTC',
      received: '0.000247',
      on_addresses: '0.000147',
      moved_on: '0.0001',
      credited: '12.00',
      not_credited: '0.000007',
      sent_back: '0.00',
    },
  ])
})

test('each difference is named', async () => {
  const ana = await customer('12.00')
  await customer('13.00')
  const bea = await customer('14.00')
  const missed = pays(ana.deposit.script, 50_000n)
  chain.mine([missed])
  await follow()
  await one(
    `delete from crypto_payment_events where payment_id in (select id from crypto_payments where txid = '${missed.txid}')`,
  )
  await one(`delete from crypto_payments where txid = '${missed.txid}'`)
  surplus.set(bea.deposit.script, 1_000n)
  await one(`update crypto_payments set units = units + 1 where topup_id = '${bea.topupId}'`)
  const nobodys = await deposit(null)
  chain.mine([pays(nobodys.script, 9_000n)])
  chain.mine()
  chain.mine()
  await follow()
  const run = await compares()
  assert.equal(run.status, 'open')
  assert.deepEqual(run.found!.items.map(({ kind, state }) => `${kind}, ${state}`).sort(), [
    'payment_differs, open',
    'payment_missing, open',
    'review_open, open',
    'surplus, open',
    'surplus, open',
  ])
  const since = new Map(run.found!.items.map((item) => [item.key, item.since]))
  const again = await compares()
  for (const item of again.found!.items) assert.equal(item.since, since.get(item.key))
})

test('the follower is behind, halted or has not begun: nothing is compared, and it says so', async () => {
  assert.match((await compares()).error!, /never read/)
  await follow()
  chain.mine()
  assert.match((await compares()).error!, /as far as block 20, and its node is at 21/)
  await one(`update chain_cursors set halted = 'deep_reorganisation'`)
  assert.match((await compares()).error!, /halted/)
})

test('twice at once it is one run; one that died is taken for failed', async () => {
  await follow()
  const room = staff().reconciliation
  const [a, b] = await Promise.all([room.begin('staff'), room.begin('command')])
  assert.deepEqual(a.ids, b.ids)
  await Promise.all([a.done, b.done])
  await one(
    `insert into crypto_reconciliations (id, chain, started_by, seen_at) values ('${newId()}', 'bitcoin', 'staff', now() - interval '1 hour')`,
  )
  const run = await compares()
  assert.equal(run.status, 'clean')
  assert.deepEqual((await room.runs(5)).map(({ status }) => status).sort(), ['clean', 'clean', 'failed'])
})

test('a run that died does not stop the daily one', async () => {
  await follow()
  const room = staff().reconciliation
  await one(
    `insert into crypto_reconciliations (id, chain, started_by, started_at, seen_at)
     values ('${newId()}', 'bitcoin', 'schedule', now() - interval '3 days', now() - interval '3 days')`,
  )
  await room.tick()
  await room.close()
  assert.deepEqual((await room.runs(5)).map(({ status }) => status).sort(), ['clean', 'failed'])
  await room.tick()
  assert.equal((await room.runs(5)).length, 2, 'until tomorrow')
})

test('a payment that is deep and not credited, by its reason', () => {
  const now = new Date('2026-11-23T12:00:00Z')
  const payment = {
    chain: 'bitcoin',
    height: 10,
    blockTime: new Date('2026-11-23T11:00:00Z'),
    confirmationsRequired: 3,
    coinbase: false,
    worth: usd('5.00'),
    review: null,
    creditedAt: null,
    reversedAt: null,
    unminedAtHeight: null,
  }
  const cases: [object, { tip?: number; wasLeft?: boolean }, string | null][] = [
    [{}, { tip: 11 }, null],
    [{}, {}, 'credit_missing, open'],
    [{ blockTime: now }, {}, 'credit_missing, waiting'],
    [{ worth: null }, {}, 'credit_missing, open'],
    [{ worth: 0n }, {}, null],
    [{ review: 'account_closed' }, {}, 'review_open, open'],
    [{ review: 'account_closed' }, { wasLeft: true }, null],
    [{ creditedAt: now }, {}, null],
    [{ creditedAt: now, height: null, unminedAtHeight: 11 }, {}, 'credit_without_payment, waiting'],
    [{ creditedAt: now, height: null, unminedAtHeight: 5 }, {}, 'credit_without_payment, open'],
    [{ creditedAt: now, reversedAt: now, height: null, unminedAtHeight: 5 }, {}, null],
  ]
  for (const [change, { tip = 12, wasLeft = false }, expected] of cases) {
    const named = nameOf({ ...payment, ...change } as Parameters<typeof nameOf>[0], { tip, now, wasLeft })
    assert.equal(
      named && `${named.kind}, ${named.state}`,
      expected,
      JSON.stringify(change, (_, v) => String(v)),
    )
  }
})

// ── The world of these tests ─────────────────────────────────────────────────────────────────────────────────────────

type Own = { address: string; script: string }
type Customer = { accountId: bigint; topupId: string; own: Own; deposit: Own }
const never = new AbortController().signal

function asChain(): Chain {
  return {
    ...(chain.chain as Chain),
    async find(txid) {
      const found = await chain.chain.find(txid)
      return found.where === 'block' ? { ...found, unknown: unknownTokens } : found
    },
    async balances(_asset, scripts) {
      const there = new Map<string, bigint>()
      for (const hash of chain.best)
        for (const { script, units } of chain.blocks.get(hash)!.transfers)
          there.set(script, (there.get(script) ?? 0n) + units)
      return scripts.map((one) => (there.get(one) ?? 0n) - (swept.get(one) ?? 0n) + (surplus.get(one) ?? 0n))
    },
  }
}

/** Another process of the house each time: nothing is kept in between. */
function staff(price = PRICE) {
  return createCryptoStaff({
    database: db.database,
    ledger,
    announce: { publish: () => {}, hear: () => () => {} } as never,
    mail: { send: async (_tx: unknown, { once }: { once?: string }) => void letters.push(once ?? '') } as never,
    log,
    clock: wireClock,
    environment: 'test',
    chains: new Map([['bitcoin', asChain()]]),
    explorers: new Map(),
    rates: { priceNow: async () => ({ ok: true, rateId, price, reused: false }) },
    priceAt: async () => ({ price: PRICE }),
    decide: credits().decide,
    resume: (_, by) => follower().resume(by),
    settings: { publicUrl: 'http://localhost:4499', supportEmail: 'support@sandbox.example' },
    followerMsMax: 0,
  })
}

function credits() {
  const none = async () => {}
  return createCredits({
    database: db.database,
    ledger,
    announce: { publish: () => {} } as never,
    log,
    priceAt: async () => ({ price: PRICE }),
    letters: { credited: none, reversed: none, late: none, gone: none },
  })
}

const follow = () => follower().tick()

function follower() {
  return createFollower({
    database: db.database,
    chain: asChain(),
    network,
    assets: assets.filter((asset) => asset.chain === network.name),
    environment: 'test',
    announce: { publish: () => {} },
    log,
    decide: credits().decide,
  })
}

const watch = () => staff().ticks[0]!.run(never)

async function one(sql: string): Promise<string> {
  const client = new pg.Client({ connectionString: db.url })
  await client.connect()
  try {
    return Object.values(((await client.query(sql)).rows?.[0] ?? {}) as object)[0]
  } finally {
    await client.end()
  }
}

function ownAddress(): Own {
  const hash = Uint8Array.from({ length: 20 }, (_, at) => (++numbers * (at + 7)) & 0xff)
  const address = Address(REGTEST).encode({ type: 'wpkh', hash })
  return { address, script: Buffer.from(readAddress('btc', 'test', address)!.script).toString('hex') }
}

async function deposit(of: { accountId: bigint; topupId: string } | null): Promise<Own & { id: string }> {
  const own = ownAddress()
  const id = await one(
    `insert into crypto_addresses (key_id, index, family, script, address, account_id, topup_id, given_at)
     values (${keyId}, ${++numbers}, 'btc', decode('${own.script}', 'hex'), '${own.address}',
             ${of ? `${of.accountId}, '${of.topupId}', house_now()` : 'null, null, null'}) returning id`,
  )
  return { ...own, id }
}

/** Somebody whose top-up by bitcoin credited so much; null: who was quoted and did not pay. */
async function customer(amount: string | null, own = ownAddress()): Promise<Customer> {
  const accountId = BigInt(1000 + ++numbers)
  await ledger.open(db.database.pool, accountId)
  const topupId = newId()
  const quoted = usd(amount ?? '12.00')
  await one(
    `insert into topups (id, account_id, amount, method, created_at, expires_at)
     values ('${topupId}', ${accountId}, ${quoted}, 'crypto', house_now(), house_now() + interval '15 minutes')`,
  )
  const given = await deposit({ accountId, topupId })
  const units = (quoted * 10n ** 8n) / PRICE
  await one(
    `insert into crypto_quotes (topup_id, asset, chain, address_id, units, rate_id, price, confirmations_required)
     values ('${topupId}', 'BTC', 'bitcoin', ${given.id}, ${units}, ${rateId}, ${PRICE}, 3) returning topup_id`,
  )
  const ana = { accountId, topupId, own, deposit: given }
  if (amount === null) return ana
  chain.mine([pays(given.script, units)])
  chain.mine()
  chain.mine()
  await follow()
  await expectBalance(ana, `${amount} available, 0.00 held`)
  return ana
}

function pays(script: string, units: bigint): ScriptedTx {
  const txid = (++numbers).toString(16).padStart(64, '0')
  return { txid, pays: [{ script, units }], spends: [`${txid}:in`] }
}

function ask(who: Customer, { amount, key = null }: { amount?: string; key?: string | null }) {
  const { accountId, topupId } = who
  return staff().sendBack({ accountId, topupId, amount, address: who.own.address, idempotencyKey: key })
}

async function request(who: Customer, asked: { amount?: string; key?: string | null }) {
  const answer = await ask(who, asked)
  assert.ok(answer?.ok, JSON.stringify(answer))
  return answer.refund
}

async function staffSays<Told>(
  answering: Promise<{ ok: true; told: Told } | { ok: false; refused: { detail: string } } | null>,
) {
  const answer = await answering
  assert.ok(answer?.ok, JSON.stringify(answer))
  return answer.told
}

/** The word of a refusal; null: it was done. */
function refusal(answer: { ok: true } | { ok: false; refused: { code: string } } | null): string | null {
  assert.ok(answer !== null)
  return answer.ok ? null : answer.refused.code
}

const idOf = ({ id }: { id: string }) => readId('ref', id)!
const shown = async (refund: { id: string }) =>
  (await staff().refunds({ status: null, limit: 50, before: null })).items.find(({ id }) => id === refund.id)!
const standing = async (refund: { id: string }) => {
  const { status, confirmations } = await shown(refund)
  return { status, confirmations }
}
const tells = async (who: Customer) => (await staff().refundsOf([who.topupId])).get(who.topupId)!

function close(
  by: { accountId: bigint; role: 'admin' | 'approver' },
  id: string,
  action: 'credit' | 'leave' | 'recover',
  more: { amount?: string; rate?: string; topupId?: string } = {},
) {
  return staff().closeItem(by, id, { action, why: null, ...more })
}

const open = async () => (await staff().items({ status: 'open', limit: 50, before: null })).items.reverse()

async function compares() {
  const room = staff().reconciliation
  const { ids, done } = await room.begin('staff')
  await done
  return (await room.runs(20)).find(({ id }) => id === ids[0])!
}

async function spend(who: Customer, amount: string): Promise<void> {
  const { done } = await ledger.submit({
    id: derivedId(newId(), 'spent'),
    kind: 'debit',
    accountId: who.accountId,
    code: 'adjustment',
    contra: 'goodwill',
    amount: usd(amount),
    reference: newId(),
  })
  assert.ok(done)
}

async function expectBalance(who: Customer, expected: string): Promise<void> {
  const { available, held } = (await ledger.balance(db.database.pool, who.accountId))!
  assert.equal(`${printAmount(available)} available, ${printAmount(held)} held`, expected)
}

async function nothingIsWrong(): Promise<void> {
  assert.deepEqual(await auditLedger(db.database.pool, 'everything'), [])
}
