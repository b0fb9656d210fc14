/** The card company's account against ours, in both directions: each planted difference is named, what can be mended is, once. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import pg from 'pg'
import type { CardTopup, TopupRefund } from '../../../contract/contract.ts'
import { micros, printAmount, usd } from '../../../contract/money.ts'
import { type CardWorld, cards, startCardWorld } from '../../../test/card-world.ts'
import { until } from '../../../test/until.ts'
import { auditLedger } from '../../ledger/audit/audit.ts'
import { createLedger, type Ledger, type PlatformAccount } from '../../ledger/ledger.ts'
import { readId } from '../../platform/ids.ts'
import { openLog } from '../../platform/log.ts'
import { type CardReconciliation, createReconciliation, type Item, type Menders } from './reconcile.ts'
import type { BalanceTransaction, CardCompany } from './stripe.ts'

let world: CardWorld
let ledger: Ledger
const log = openLog({ level: 'silent' })

before(async () => {
  world = await startCardWorld()
  await world.webhooks('off')
  ledger = createLedger({ database: world.db.database, log })
})
after(async () => {
  assert.deepEqual(await auditLedger(world.db.database.pool), [])
  await ledger.close()
  await world.stop()
})

type Wire = (entries: BalanceTransaction[]) => BalanceTransaction[]

/** A reconciliation that waits for nothing, over Stripe as it is, or as `wire` changes what it tells of the balance. */
function reconciliation({ wire, menders = null }: { wire?: Wire; menders?: Menders | null } = {}): CardReconciliation {
  const card: CardCompany = {
    ...world.stripe,
    async listBalance(asked) {
      const page = await world.stripe.listBalance(asked)
      return page.ok && wire ? { ok: true, value: { ...page.value, entries: wire(page.value.entries) } } : page
    },
  }
  const { database } = world.db
  return createReconciliation({ database, ledger, card, log, menders, graceHours: 0, toldWithinMinutes: 0 })
}

const settling: Menders = {
  settle: (topupId) => world.payments.settle(topupId),
  learnRefund: (topupId, refundId) => world.payments.learnRefund(topupId, refundId),
  learnDispute: (topupId, disputeId) => world.payments.learnDispute(topupId, disputeId),
}

async function run(by: CardReconciliation) {
  const { id, done } = await by.begin('command')
  await done
  // Another's run under way is this one's answer, too.
  return until(async () => (await by.runs(10)).find((each) => each.id === id && each.status !== 'running'))
}

/** What is said of a top-up, or of an id at Stripe. */
async function said(by: CardReconciliation, about: CardTopup | string): Promise<Item[]> {
  const topupId = typeof about === 'string' ? null : readId('top', about.id)
  return (await by.items(100)).filter((item) => item.externalId === about || (topupId && item.topupId === topupId))
}
const kinds = (items: Item[]) => items.map(({ kind, state }) => `${kind}, ${state}`)

async function credited(amount = '10.00'): Promise<CardTopup> {
  const ana = await world.customer()
  const topup = await ana.startsTopup(amount)
  await world.pay(topup, cards.confirms, 'complete')
  const back = await ana.comesBack(topup)
  assert.equal(back.status, 'credited')
  return back
}

/** Taken at Stripe by another hand than ours: our row knows nothing of it. */
async function takenElsewhere(amount = '10.00') {
  const ana = await world.customer()
  const topup = await ana.startsTopup(amount)
  await world.pay(topup, cards.confirms, 'complete')
  const id = readId('top', topup.id)!
  const chargeId = await captureOf(String((await world.row(topup))['session_id']), id)
  return { ana, topup, chargeId }
}

async function captureOf(sessionId: string, topupId: string): Promise<string> {
  const session = await world.stripe.readSession(sessionId)
  assert.ok(session.ok && typeof session.value.payment_intent === 'object' && session.value.payment_intent)
  const taken = await world.stripe.capture(topupId, session.value.payment_intent.id)
  assert.ok(taken.ok && typeof taken.value.latest_charge === 'object')
  return taken.value.latest_charge!.id
}

/** Stripe books a charge a moment after it was taken. */
async function booked(chargeId: string): Promise<BalanceTransaction> {
  return until(async () => {
    const page = await world.stripe.listBalance({
      from: new Date(0),
      until: new Date(4e12),
      after: null,
    })
    return page.ok && page.value.entries.find((entry) => entry.source === chargeId)
  })
}

async function chargeOf(topup: CardTopup): Promise<string> {
  return String((await world.row(topup))['charge_id'])
}

async function owner(text: string, values: unknown[] = []): Promise<void> {
  const client = new pg.Client({ connectionString: world.db.url })
  await client.connect()
  try {
    await client.query(text, values)
  } finally {
    await client.end()
  }
}

async function feesOf(entry: BalanceTransaction): Promise<{ entries: number; amount: string }> {
  const { rows } = await world.db.database.pool.query<{ entries: number; amount: string }>(
    `select count(*)::int as entries, coalesce(sum(h.amount), 0) as amount
       from house_entries h
       join balance_transactions b on b.reference = h.reference
      where b.id = $1 and h.code = 61`,
    [entry.id],
  )
  return { entries: rows[0]!.entries, amount: printAmount(micros(rows[0]!.amount)) }
}

test('a top-up and its charge fit, the fee is the house’s, and clearing is what lies at Stripe', async () => {
  const topup = await credited('10.00')
  await booked(await chargeOf(topup))
  const by = reconciliation()
  const { status, result } = await run(by)
  assert.equal(status, 'clean')
  assert.deepEqual(await said(by, topup), [])
  assert.equal(result!.charges, 1)
  assert.deepEqual(result!.sums, {
    clearing: '9.41',
    at_stripe: '9.41',
    on_its_way: '0.00',
    unexplained: '0.00',
    fees: '0.59',
    paid_out: '0.00',
  })
})

test('a fee is booked once, however often and by how many at once it is reconciled', async () => {
  const topup = await credited('20.00')
  const entry = await booked(await chargeOf(topup))
  await Promise.all([run(reconciliation()), run(reconciliation()), run(reconciliation())])
  await run(reconciliation())
  assert.deepEqual(await feesOf(entry), { entries: 1, amount: '0.88' })

  // As when the mark that it is booked was lost with the process that had booked it.
  await owner('update balance_transactions set booked_at = null where id = $1', [entry.id])
  // And as when two runs believe that they are alone.
  const slow = reconciliation({ wire: (entries) => entries })
  const first = slow.begin('command')
  await owner(`update reconciliations set claimed_until = now() where status = 'running'`)
  await Promise.all([first.then(({ done }) => done), run(reconciliation())])
  assert.deepEqual(await feesOf(entry), { entries: 1, amount: '0.88' })
  assert.equal((await run(reconciliation())).status, 'clean')
})

test('a charge that was never credited is named, and credited once when it is mended', async () => {
  const { ana, topup, chargeId } = await takenElsewhere('15.00')
  await booked(chargeId)
  const looks = reconciliation()
  const found = await run(looks)
  assert.equal(found.status, 'open')
  assert.deepEqual(kinds(await said(looks, topup)), ['credit_missing, open'])
  assert.equal(await ana.has(), '0.00, on its way 0.00')
  assert.equal(found.result!.sums.unexplained, '0.00')

  const mends = reconciliation({ menders: settling })
  const [one] = await Promise.all([run(mends), run(reconciliation({ menders: settling }))])
  assert.equal(one.status, 'clean')
  assert.deepEqual(await said(mends, topup), [])
  assert.equal(await ana.has(), '15.00, on its way 0.00')
  assert.equal((await run(mends)).result!.mended, 0)
})

test('a top-up that the database has lost, and nobody can tell whose it was, is named and not credited', async () => {
  const { topup, chargeId } = await takenElsewhere('10.00')
  await booked(chargeId)
  await owner('delete from directory where subject = $1', [readId('top', topup.id)])
  await owner('delete from topups where id = $1', [readId('top', topup.id)])
  const by = reconciliation({ menders: settling })
  assert.equal((await run(by)).status, 'open')
  assert.deepEqual(kinds(await said(by, topup)), ['topup_unknown, open'])
  // For the tests that follow: as if the other installation had it.
  await owner(`update balance_transactions set owner = 'foreign' where source = $1`, [chargeId])
  assert.equal((await run(by)).status, 'clean')
})

test('a charge of other business on the same account is named apart, and is no difference', async () => {
  const theirs = '00000000-0000-7000-8000-000000000001'
  const session = await world.stripe.createSession(theirs, {
    mode: 'payment',
    line_items: [
      { quantity: 1, price_data: { currency: 'usd', unit_amount: 700, product_data: { name: 'Something else' } } },
    ],
    allowed_payment_method_types: ['card'],
    payment_method_options: { card: { request_three_d_secure: 'any' } },
    payment_intent_data: { capture_method: 'manual' },
    success_url: 'http://127.0.0.1/thanks',
  })
  assert.ok(session.ok)
  await world.control('/stripe/pay', { session: session.value.id, card: cards.confirms, challenge: 'complete' })
  const chargeId = await captureOf(session.value.id, theirs)
  await booked(chargeId)
  const by = reconciliation()
  const before = await run(by)
  assert.equal(before.status, 'clean')
  assert.deepEqual(await said(by, chargeId), [])
  assert.ok(before.result!.foreign.entries >= 1)
  assert.equal(before.result!.sums.unexplained, '0.00')
})

test('a credit without a charge at Stripe waits for its grace, and then is named', async () => {
  const topup = await credited('10.00')
  const charge = await chargeOf(topup)
  await booked(charge)
  const wire: Wire = (entries) => entries.filter((entry) => entry.source !== charge)
  const patient = createReconciliation({
    database: world.db.database,
    ledger,
    card: {
      ...world.stripe,
      async listBalance(asked) {
        const page = await world.stripe.listBalance(asked)
        return page.ok ? { ok: true, value: { ...page.value, entries: wire(page.value.entries) } } : page
      },
    },
    log,
    menders: null,
  })
  const young = await run(patient)
  assert.equal(young.status, 'clean')
  assert.deepEqual(kinds(await said(patient, topup)), ['charge_not_there, waiting'])
  assert.equal(young.result!.sums.on_its_way, '10.00')
  assert.equal(young.result!.sums.unexplained, '0.00')

  const old = reconciliation({ wire })
  assert.equal((await run(old)).status, 'open')
  assert.deepEqual(kinds(await said(old, topup)), ['charge_not_there, open'])
  assert.equal((await run(reconciliation())).status, 'clean')
})

test('a charge that Stripe booked with another amount, twice, or in another currency, is named', async () => {
  const topup = await credited('10.00')
  const charge = await chargeOf(topup)
  const entry = await booked(charge)
  const changed = (change: Partial<BalanceTransaction>): Wire => {
    return (entries) => entries.map((each) => (each.id === entry.id ? { ...each, ...change } : each))
  }
  for (const [change, kind] of [
    [{ amount: 900, net: 900 - entry.fee }, 'amount_differs'],
    [{ currency: 'eur' }, 'currency_differs'],
  ] as const) {
    const by = reconciliation({ wire: changed(change) })
    assert.equal((await run(by)).status, 'open')
    assert.deepEqual(
      kinds(await said(by, charge)).filter((each) => each.startsWith(kind)),
      [`${kind}, open`],
    )
    await owner('delete from balance_transactions where id = $1', [entry.id])
  }

  const twin: BalanceTransaction = { ...entry, id: `${entry.id}twin` }
  const by = reconciliation({ wire: (entries) => (entries.includes(twin) ? entries : [twin, ...entries]) })
  assert.equal((await run(by)).status, 'open')
  assert.deepEqual(kinds(await said(by, charge)), ['entry_doubled, open'])
  assert.deepEqual(await feesOf(entry), { entries: 1, amount: '0.59' })
  await owner('delete from balance_transactions where id = $1', [twin.id])
  assert.equal((await run(reconciliation())).status, 'clean')
})

/** What stands on an account of the house: debits less credits. */
const standsOn = async (account: PlatformAccount) =>
  printAmount(await ledger.platformBalance(world.db.database.pool, account))

test('a refund of ours fits, and clearing is less by it', async () => {
  const ana = await world.customer()
  const topup = await ana.startsTopup('10.00')
  await world.pay(topup, cards.confirms, 'complete')
  await ana.comesBack(topup)
  await booked(await chargeOf(topup))
  const before = [await standsOn('refunds'), (await run(reconciliation())).result!.refunds] as const
  const asked = await ana.call<TopupRefund>(`/topups/${topup.id}/refunds`, { amount: '4.00' })
  assert.equal(asked.status, 201, JSON.stringify(asked.body))
  const by = reconciliation()
  const { status, result } = await run(by)
  assert.equal(status, 'clean')
  assert.deepEqual(await said(by, topup), [])
  assert.equal(result!.refunds, before[1] + 1)
  assert.equal(result!.sums.unexplained, '0.00')
  assert.equal(await standsOn('refunds'), before[0], 'what the customer got back has left Stripe')

  // As when Stripe had never made it.
  const { rows } = await world.db.database.pool.query('select external_id from topup_refunds where topup_id = $1', [
    readId('top', topup.id),
  ])
  const lost = rows[0].external_id as string
  const wire: Wire = (entries) => entries.filter((entry) => entry.source !== lost)
  await owner('delete from balance_transactions where source = $1', [lost])
  const looks = reconciliation({ wire })
  assert.equal((await run(looks)).status, 'open')
  assert.deepEqual(kinds(await said(looks, topup)), ['refund_not_there, open'])
  assert.equal((await run(reconciliation())).status, 'clean')
})

test('a refund that nobody told us of is named, and booked once when it is mended', async () => {
  const ana = await world.customer()
  const topup = await ana.startsTopup('10.00')
  await world.pay(topup, cards.confirms, 'complete')
  await ana.comesBack(topup)
  const charge = await chargeOf(topup)
  await booked(charge)
  const refund = await world.control('/stripe/refunds', { payment: charge, amount: 250 })
  const looks = reconciliation()
  assert.equal((await run(looks)).status, 'open')
  assert.deepEqual(kinds(await said(looks, String(refund['id']))), ['refund_missing, open'])
  assert.equal(await ana.has(), '10.00, on its way 0.00')

  const mends = reconciliation({ menders: settling })
  const { status, result } = await run(mends)
  assert.deepEqual([status, result!.mended, result!.sums.unexplained], ['clean', 1, '0.00'])
  assert.equal(await ana.has(), '7.50, on its way 0.00')
  await Promise.all([run(mends), run(reconciliation({ menders: settling }))])
  assert.equal(await ana.has(), '7.50, on its way 0.00')
})

test('a dispute that nobody told us of is named, frozen when it is mended, and its fee is the house’s, once', async () => {
  for (const outcome of ['win', 'lose'] as const) {
    const ana = await world.customer()
    const topup = await ana.startsTopup('10.00')
    await world.pay(topup, cards.confirms, 'complete')
    await ana.comesBack(topup)
    const charge = await chargeOf(topup)
    await booked(charge)
    const mends = reconciliation({ menders: settling })
    await run(mends)
    const fees = await standsOn('card_fees')
    const disputes = await standsOn('disputes')
    const dispute = await world.control('/stripe/disputes', { payment: charge, kind: 'dispute' })
    const id = String(dispute['id'])
    const looks = reconciliation()
    await run(looks)
    assert.deepEqual(kinds(await said(looks, id)), ['dispute_missing, open'])
    assert.equal(await ana.has(), '10.00, on its way 0.00')

    assert.equal((await run(mends)).status, 'clean')
    assert.equal(await ana.has(), '0.00, on its way 0.00')
    assert.equal(await standsOn('card_fees'), printAmount(micros(usd(fees) + usd('15.00'))))
    assert.equal(await standsOn('disputes'), printAmount(micros(usd(disputes) + usd('10.00'))))

    await world.control(`/stripe/disputes/${id}`, { outcome })
    await world.payments.learnDispute(readId('top', topup.id)!, id)
    const ended = await run(mends)
    assert.deepEqual([ended.status, ended.result!.sums.unexplained], ['clean', '0.00'])
    assert.equal(await ana.has(), outcome === 'win' ? '10.00, on its way 0.00' : '0.00, on its way 0.00')
    assert.equal(await standsOn('card_fees'), printAmount(micros(usd(fees) + usd('15.00'))))
    assert.equal(await standsOn('disputes'), disputes, 'nothing is left between the bank and the customer')
  }
})

test('fees and payouts of the account itself are the house’s, once', async () => {
  const entry = await booked(await chargeOf(await credited('10.00')))
  const extra = (id: string, more: Partial<BalanceTransaction>): BalanceTransaction =>
    ({ ...entry, id, fee: 0, fee_details: [], source: null, ...more }) as BalanceTransaction
  const wire: Wire = (entries) => [
    extra('txn_fee', { type: 'stripe_fee', reporting_category: 'fee', amount: -150, net: -150 }),
    extra('txn_payout', { type: 'payout', reporting_category: 'payout', amount: -500, net: -500, source: 'po_1' }),
    extra('txn_reserve', { type: 'reserved_funds', reporting_category: 'risk_reserved_funds', amount: -1, net: -1 }),
    ...entries,
  ]
  const before = (await run(reconciliation())).result!
  for (let time = 0; time < 2; time++) {
    const { status, result } = await run(reconciliation({ wire }))
    assert.equal(status, 'clean')
    assert.deepEqual(
      [result!.fees - before.fees, result!.payouts - before.payouts, result!.sums.paid_out, result!.sums.unexplained],
      [1, 1, '5.00', '0.00'],
    )
  }
})

test('a run that died is taken over where it stopped, and Stripe out of reach is said so', async () => {
  const away: CardCompany = {
    ...world.stripe,
    listBalance: async () => ({ ok: false, why: 'unknown', code: 'api_error', message: 'no answer' }),
  }
  const { database } = world.db
  const blind = createReconciliation({ database, ledger, card: away, log, menders: null })
  const failed = await run(blind)
  assert.equal(failed.status, 'failed')
  assert.match(failed.error!, /could not be read \(no answer\)/)

  // Page by page, and dead after the first.
  const single: CardCompany = {
    ...world.stripe,
    async listBalance(asked) {
      if (asked.after !== null) return { ok: false, why: 'unknown', code: 'api_error', message: 'gone' }
      const page = await world.stripe.listBalance(asked)
      return page.ok ? { ok: true, value: { entries: page.value.entries.slice(0, 1), more: true } } : page
    },
  }
  assert.equal(
    (await run(createReconciliation({ database, ledger, card: single, log, menders: null }))).status,
    'failed',
  )
  const asked: (string | null)[] = []
  const going: CardCompany = {
    ...world.stripe,
    listBalance(page) {
      asked.push(page.after)
      return world.stripe.listBalance(page)
    },
  }
  const rest = createReconciliation({ database, ledger, card: going, log, menders: null, graceHours: 0 })
  assert.equal((await run(rest)).status, 'clean')
  assert.match(String(asked[0]), /^txn_/, 'it goes on after the entry that was read last')
})
