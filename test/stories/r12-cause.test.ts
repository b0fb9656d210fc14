/**
 * R12. Nothing changes a balance except a ledger transfer with a cause.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import pg from 'pg'
import type { Balance, CardTopup, HistoryRow, Order } from '../../contract/contract.ts'
import { micros, printAmount, subtract, usd } from '../../contract/money.ts'
import { auditLedger } from '../../server/ledger/audit/audit.ts'
import { until } from '../until.ts'
import { type Customer, startWorld, type World } from '../world.ts'

const LIFETIME_SECONDS = 1200
const CANCEL_AFTER_SECONDS = 120

let world: World
before(async () => {
  world = await startWorld()
  await world.control('/stripe/webhooks', { mode: 'off' })
})
after(() => world?.proveAndStop())

/** A customer whose balance and rows are looked at around everything he does. */
function watched(who: Customer) {
  let balance: Balance
  let rows: HistoryRow[] = []
  const seen: string[] = []

  async function look() {
    balance = await who.balance()
    const now = await who.history('?limit=100')
    const fresh = now.slice(0, now.length - rows.length)
    assert.deepEqual(now.slice(fresh.length), rows, 'what stands in the books stays as it stands')
    rows = now
    return { balance, fresh }
  }

  return {
    seen,
    look,

    /** Whatever is done here moves nothing. */
    async nothingMoves<Result>(what: string, work: () => Promise<Result>): Promise<Result> {
      const before = balance
      const result = await work()
      const now = await look()
      assert.deepEqual({ what, ...now }, { what, balance: before, fresh: [] })
      return result
    },

    /** What is done here moves the balance by exactly one row, which names the order or top-up that it comes from. */
    async oneRow<Result extends Order | CardTopup>(
      type: HistoryRow['type'],
      work: () => Promise<Result>,
    ): Promise<Result> {
      const before = balance
      const cause = await work()
      const now = await look()
      assert.equal(now.fresh.length, 1, JSON.stringify(now.fresh))
      const row = now.fresh[0]!
      assert.equal(row.type, type)
      assert.deepEqual([row.order_id, row.topup_id].filter(Boolean), [cause.id])
      const owns = ({ available, held }: Balance) => micros(usd(available) + usd(held))
      assert.deepEqual(
        {
          amount: printAmount(subtract(owns(now.balance), owns(before))),
          held: printAmount(subtract(usd(now.balance.held), usd(before.held))),
          balance: printAmount(owns(now.balance)),
        },
        { amount: row.amount, held: row.held, balance: row.balance },
      )
      seen.push(type)
      return cause
    },
  }
}

test('over a whole journey each change of the balance is one row with its order or top-up, and nothing else moves it', async () => {
  const ana = await world.customer({ name: 'ana' })
  const bystander = await world.customer({ name: 'ben', credit: '5.00' })
  const { look, nothingMoves, oneRow, seen } = watched(ana)
  const other = watched(bystander)
  await Promise.all([look(), other.look()])

  const orders = (headers: Record<string, string> = {}, country = 'GB') =>
    ana.post<Order>('/orders', { service: 'telegram', country }, headers)
  const sms = (order: Order, text: string) => world.sms({ to: order.phone_number, from: 'Telegram', text })
  const comesBack = async (topup: CardTopup) => (await ana.post<CardTopup>(`/topups/${topup.id}/return`)).body
  const anew = (order: Order) => ana.orderNow(order.id)

  // The card.
  await nothingMoves('an order without credit', () => orders())
  const refused = await nothingMoves('starting a top-up', () => ana.startTopup('10.00'))
  await nothingMoves('a card that was declined', () => world.pay(refused, '4000000000000002'))
  await nothingMoves('coming back from it', () => comesBack(refused))
  const topup = await nothingMoves('starting another', () => ana.startTopup('10.00'))
  await nothingMoves('paying, before we know of it', () => world.pay(topup, '4000000000003220', 'complete'))
  await oneRow('topup', () =>
    until(async () => {
      const now = await comesBack(topup)
      return now.status === 'credited' && now
    }),
  )
  await nothingMoves('coming back again', () => comesBack(topup))

  // A code.
  const coded = await oneRow('hold', async () => (await orders({ 'idempotency-key': 'mine' })).body)
  await nothingMoves('the same request again', () => orders({ 'idempotency-key': 'mine' }))
  await nothingMoves('the same key for something else', () => orders({ 'idempotency-key': 'mine' }, 'DE'))
  await nothingMoves('a text without a code', () => sms(coded, 'Welcome to Telegram!'))
  await nothingMoves('a code for somebody else', () =>
    world.sms({ to: coded.phone_number, from: 'Google', text: 'G-482913' }),
  )
  await oneRow('deduction', async () => {
    await sms(coded, 'Telegram code 48213')
    return anew(coded)
  })
  await nothingMoves('another code', () => sms(coded, 'Telegram code 48214'))

  // No code.
  const cancelled = await oneRow('hold', async () => (await orders()).body)
  await nothingMoves('cancelling too early', () => ana.post(`/orders/${cancelled.id}/cancel`))
  await nothingMoves('time', () => world.advance(CANCEL_AFTER_SECONDS))
  await oneRow('release', async () => (await ana.post<Order>(`/orders/${cancelled.id}/cancel`)).body)
  await nothingMoves('cancelling again', () => ana.post(`/orders/${cancelled.id}/cancel`))
  const expired = await oneRow('hold', async () => (await orders()).body)
  await oneRow('release', async () => {
    await world.advance(LIFETIME_SECONDS)
    return anew(expired)
  })
  await nothingMoves('a late code', () => sms(expired, 'Telegram code 48215'))
  await nothingMoves('days', () => world.advance(3 * 86_400))

  assert.deepEqual(seen, ['topup', 'hold', 'deduction', 'hold', 'release', 'hold', 'release'])
  await other.nothingMoves('all of this', async () => {})
  await world.expectBooks(`
    ana available 8.80
    ana held      0.00
    ben available 5.00
    revenue       1.20`)
  // Behind the rows: every transfer of hers refers to an order or a top-up that is there.
  const { rows: transfers } = await world.db.database.pool.query<{ causes: number }>(
    `select (select count(*) from orders o where o.id = t.reference)::int + (select count(*) from topups p where p.id = t.reference)::int as causes
       from transfers t where t.account_id = $1`,
    [ana.accountId],
  )
  assert.deepEqual(
    transfers.map(({ causes }) => causes),
    seen.map(() => 1),
  )
})

const LEDGER_TABLES = [
  'ledger_accounts',
  'transfers',
  'open_holds',
  'house_entries',
  'platform_deltas',
  'platform_sums',
]

test("the server's login reads the books and cannot write them", async () => {
  const { pool } = world.db.database
  const { rows: grants } = await pool.query(
    `select t.name as table, r.name as role, p.name as privilege
       from unnest($1::text[]) t(name), unnest(array['mobilesms_app', 'mobilesms_auth', 'public']) r(name),
            unnest(array['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) p(name)
      where has_table_privilege(r.name, t.name, p.name)
         or (p.name in ('INSERT', 'UPDATE', 'REFERENCES') and has_any_column_privilege(r.name, t.name, p.name))`,
    [LEDGER_TABLES],
  )
  assert.deepEqual(grants, [])
  for (const statement of [
    'update ledger_accounts set credits = credits + 1000000',
    'update ledger_accounts set held = 0',
    'insert into ledger_accounts (id, credits) values (999999, 1000000)',
    'delete from transfers',
    'update transfers set amount = 1',
    'truncate transfers',
    'delete from open_holds',
    'insert into platform_deltas (platform, code, debits, credits, entries) values (3, 1, 0, 1000000, 1)',
    'alter table ledger_accounts drop constraint nothing_spent_twice',
    'drop table transfers',
  ]) {
    await assert.rejects(pool.query(statement), { code: '42501' }, statement)
  }
  await world.audit()
})

test('whoever changes the books all the same, with the power of their owner, is found by the audit', async () => {
  const owner = new pg.Client({ connectionString: world.db.url })
  await owner.connect()
  try {
    for (const damage of [
      "update ledger_accounts set credits = credits + 1 where id = (select id from accounts where username = 'ben')",
      // Appended, because the compactor may have summed up what was there.
      'insert into platform_deltas select 3, 1, 0, 0 + 1, 0',
      'update transfers set available_after = available_after + 1 where number = 1',
    ]) {
      await owner.query(damage)
      assert.notDeepEqual(await auditLedger(world.db.database.pool), [], damage)
      await owner.query(damage.replace('+ 1', '- 1'))
      await world.audit()
    }
  } finally {
    await owner.end()
  }
})
