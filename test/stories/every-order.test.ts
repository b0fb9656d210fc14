/**
 * The bank's events come in any order. Six of one payment, its capture and a part of it that went back: in each of their 720 orders the
 * same is left in the books.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { CardTopup } from '../../contract/contract.ts'
import { auditLedger } from '../../server/ledger/audit/audit.ts'
import { signEvent } from '../../server/payments/card/stripe.ts'
import type { SettleJob } from '../../server/payments/payments.ts'
import { printId, readId } from '../../server/platform/ids.ts'
import { type CardCompany, type CardWorld, cards, sessionOf, startCardWorld } from '../card-world.ts'

const TYPES = [
  'payment_intent.amount_capturable_updated',
  'checkout.session.completed',
  'charge.captured',
  'payment_intent.succeeded',
  'refund.created',
  'charge.refunded',
]
const AT_ONCE = 8

let world: CardWorld
before(async () => {
  world = await startCardWorld()
  await world.webhooks('off')
})
after(() => world?.stop())

/** What the bank holds and tells of one payment that nobody here has looked at: captured, and partly sent back, by a hand that died or is another's. */
async function templateOf(topup: CardTopup) {
  const topupId = readId('top', topup.id)!
  await world.pay(topup, cards.frictionless)
  const open = await world.stripe.readSession(sessionOf(topup))
  assert.ok(open.ok)
  const intent = (open.value.payment_intent as { id: string }).id
  assert.ok((await world.stripe.capture(topupId, intent)).ok)
  await world.control('/stripe/refunds', { payment: topup.id, amount: 400 })
  const [session, refunds, events] = await Promise.all([
    world.stripe.readSession(sessionOf(topup)),
    world.stripe.listRefunds(intent),
    world.stripe.listEvents({ limit: 100 }),
  ])
  assert.ok(session.ok && refunds.ok && events.ok)
  const told = TYPES.map((type) => events.value.data.find((event) => event.type === type) ?? assert.fail(`no ${type}`))
  const refund = refunds.value[0]!
  const charge = (session.value.payment_intent as { latest_charge: { id: string } }).latest_charge.id
  const ids = [topup.id, sessionOf(topup), intent, charge, refund.id, ...told.map(({ id }) => id)]
  return { session: session.value, refund, told, ids }
}

/** All orders of so many things, as lists of their places. */
function ordersOf(count: number): number[][] {
  if (count === 0) return [[]]
  return ordersOf(count - 1).flatMap((order) =>
    Array.from({ length: count }, (_, place) => order.toSpliced(place, 0, count - 1)),
  )
}

test('all 720 orders of six events of one payment leave the same in the books', async (t) => {
  const ana = await world.customer()
  const template = await templateOf(await ana.startsTopup('10.00'))

  async function play(order: number[], n: number): Promise<object> {
    const who = await world.customer()
    let topup = ''
    /** The same once more, under other names. */
    const copied = <Value>(value: Value): Value => {
      const named = (text: string, id: string) => text.replaceAll(id, id === template.ids[0] ? topup : `${id}_${n}`)
      return JSON.parse(template.ids.reduce(named, JSON.stringify(value))) as Value
    }
    const jobs: SettleJob[] = []
    const refuses = async (): Promise<never> => assert.fail('Nothing is left to be asked for')
    const card: CardCompany = {
      ...world.stripe,
      async createSession(topupId) {
        topup = printId('top', topupId)
        return { ok: true, value: copied({ ...template.session, url: 'http://127.0.0.1/c/page' }) }
      },
      readSession: async () => ({ ok: true, value: copied(template.session) }),
      readRefund: async () => ({ ok: true, value: copied(template.refund) }),
      listRefunds: async () => ({ ok: true, value: [copied(template.refund)] }),
      capture: refuses,
      cancel: refuses,
      createRefund: refuses,
    }
    const room = world.room(card, {
      takesJobs: { send: async (_tx, _queue, job) => void jobs.push(job as SettleJob) },
    })
    const started = await room.start({
      accountId: who.accountId,
      method: 'card',
      amount: '10.00',
      idempotencyKey: null,
    })
    assert.ok(started.ok)
    for (const place of order) {
      const body = JSON.stringify(copied(template.told[place]))
      const signature = signEvent(body, 'whsec_sandbox', new Date())
      assert.equal(await room.event({ body: Buffer.from(body), signature }), 'accepted')
      // Its job runs at once, or with those that came after it.
      if ((n + place) % 3 > 0) for (const job of jobs.splice(0)) await room.settleJob(job)
    }
    await Promise.all(jobs.map((job) => room.settleJob(job).catch(() => {})))
    for (const job of jobs) await room.settleJob(job)
    // A refund that was told before anybody here knew its payment waits: the sweeper tries it again, when half a minute is over.
    const { rows } = await world.db.database.pool.query<{ id: string }>(
      'select id from inbox where subject = $1 and handled_at is null',
      [copied(template.refund).id],
    )
    for (const { id } of rows) await room.settleJob({ topupId: topup, inboxId: id })
    return left(who.accountId, copied(template.ids.slice(1)))
  }

  const orders = ordersOf(TYPES.length)
  assert.equal(new Set(orders.map(String)).size, 720)
  const queue = [...orders.entries()]
  const seen = new Map<string, number[]>()
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let next = queue.shift(); next; next = queue.shift()) {
        const state = JSON.stringify(await play(next[1], next[0] + 1))
        if (!seen.has(state)) seen.set(state, next[1])
      }
    }),
  )
  t.diagnostic(`${orders.length} orders, ${seen.size} final state: ${[...seen.keys()][0]}`)
  assert.deepEqual([...seen.keys()].slice(1), [], `${[...seen.values()].join(' | ')}`)
  const [state] = [...seen.keys()].map((text) => JSON.parse(text))
  assert.equal(state.topup.status, 'credited')
  assert.equal(state.available, '6000000')
  assert.equal(state.waiting, 0)
  assert.deepEqual(world.alarms, [])
  assert.deepEqual(await auditLedger(world.db.database.pool), [])
})

/** Everything that stands in the books of one customer, without names and times. */
async function left(accountId: bigint, names: string[]): Promise<object> {
  const { rows } = await world.db.database.pool.query(
    `select (select jsonb_build_object('status', status, 'reason', reason, 'amount', amount, 'release_due', release_due,
                                       'pending', bank_may_show_pending, 'looks', next_look_at, 'taken', taken_at is not null)
               from topups where account_id = $1) as topup,
            (select jsonb_agg(jsonb_build_array(number, kind, code, contra, amount) order by number) from transfers where account_id = $1) as transfers,
            (select jsonb_agg(jsonb_build_array(r.status, r.amount, r.origin)) from topup_refunds r join topups t on t.id = r.topup_id where t.account_id = $1) as refunds,
            (select (credits - debits - held - frozen)::text from ledger_accounts where id = $1) as available,
            (select jsonb_agg(distinct outcome) from inbox where source = 'stripe' and external_id = any ($2)) as outcomes,
            (select count(*)::int from inbox where source = 'stripe' and external_id = any ($2) and handled_at is null) as waiting`,
    [accountId, names],
  )
  return rows[0]
}
