/**
 * What must always be true of the ledger, by the names that the design gave: I1 to I5, I7 to I10, I12 and I13, each as far as the ledger
 * alone can keep it. What it takes a room to keep has its tests there: that a price is taken for a code only (I4) in orders, that credit
 * is given for payments only (I6) in payments. Much of it is asked of what four connections left that played streams against each other.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type pg from 'pg'
import { micros, usd } from '../../contract/money.ts'
import { auditLedger } from '../../server/ledger/audit/audit.ts'
import { causes, platformAccounts } from '../../server/ledger/chart.ts'
import { bookHouseEntry } from '../../server/ledger/house.ts'
import { type Command, createLedger, type Ledger, type Transfer } from '../../server/ledger/ledger.ts'
import { derivedId, newId } from '../../server/platform/ids.ts'
import { openLog } from '../../server/platform/log.ts'
import { chance, SEED } from '../random.ts'
import { isHold } from './model.ts'
import { type Oracle, openOracle } from './oracle.ts'

const STREAMS = 3
const COMMANDS_PER_STREAM = 250
const PAGE = 50
const ANSWERS_LOST = 2

let oracle: Oracle
/** Four, each with a connection of its own. */
let ledgers: Ledger[]
/** The customers of the streams. */
const played: bigint[] = []
/** What somebody saw who looked while the streams were played: all customers and all platform accounts together. */
const sums: string[] = []
/** Rows as they stood in the middle, by id. */
let midway: Map<string, string>
let nextAccount = 1_000n

before(async () => {
  oracle = await openOracle({ ledgers: 4, lanes: 1 })
  const { database } = oracle.db
  ledgers = [1, 2, 3, 4].map(() => createLedger({ database, log: openLog({ level: 'silent' }), lanes: 1 }))
  let over = false
  const looking = (async () => {
    while (!over) {
      const { rows } = await database.pool.query(
        `select ((select coalesce(sum(credits - debits), 0) from ledger_accounts)
               + (select coalesce(sum(credits - debits), 0) from platform_totals))::text as sum`,
      )
      sums.push(rows[0].sum)
    }
  })()
  try {
    for (let run = 0; run < STREAMS; run++) {
      const stream = oracle.play(SEED + run, COMMANDS_PER_STREAM)
      if (run === 1) midway = await wholeRows()
      const { difference, accounts } = await stream
      assert.equal(difference, null, `again: SEED=${SEED + run}`)
      played.push(...accounts)
    }
  } finally {
    over = true
    await looking
  }
})
after(async () => {
  const differences = await auditLedger(oracle.db.database.pool, 'ledger')
  await Promise.all(ledgers.map((ledger) => ledger.close()))
  await oracle.close()
  assert.deepEqual(differences, [])
})

test('I1: every movement sums to zero, and so does the whole ledger, whenever one looks', async () => {
  const other = new Map<string, { debits: bigint; credits: bigint }>()
  for (const { row, contra } of await allRows()) {
    const { credits, debits } = effect(row)
    const was = other.get(`${contra}`) ?? { debits: 0n, credits: 0n }
    // What comes to the customer leaves the account of the platform that the same row names.
    other.set(`${contra}`, { debits: was.debits + credits, credits: was.credits + debits })
  }
  const { rows: house } = await pool().query('select debit, credit, amount from house_entries')
  for (const { debit, credit, amount } of house) {
    const [from, to] = [other.get(`${debit}`), other.get(`${credit}`)]
    other.set(`${debit}`, { debits: (from?.debits ?? 0n) + BigInt(amount), credits: from?.credits ?? 0n })
    other.set(`${credit}`, { debits: to?.debits ?? 0n, credits: (to?.credits ?? 0n) + BigInt(amount) })
  }
  const { rows: totals } = await pool().query(
    'select platform, sum(debits)::text as debits, sum(credits)::text as credits from platform_totals group by platform',
  )
  assert.deepEqual(
    new Map(totals.map((row) => [`${row.platform}`, { debits: BigInt(row.debits), credits: BigInt(row.credits) }])),
    new Map([...other].filter(([, total]) => total.debits + total.credits > 0n)),
  )
  assert.ok(sums.length > 0)
  assert.deepEqual(new Set(sums), new Set(['0']))
})

test('I2: no hold or debit takes what is not there; only clawbacks raise what is owed', async () => {
  for (const accountId of played) {
    let owedBefore = 0n
    for (const row of await historyOf(accountId)) {
      if (row.kind === 'hold' || row.kind === 'debit') assert.equal(row.owedAfter, 0n, row.id)
      if (!row.kind.startsWith('clawback')) assert.ok(row.owedAfter <= owedBefore, row.id)
      assert.ok(row.availableAfter >= 0n && row.owedAfter >= 0n && (row.availableAfter === 0n || row.owedAfter === 0n))
      owedBefore = row.owedAfter
    }
  }
  // Not even the owner of the database, by mistake.
  const overdraw = 'update ledger_accounts set held = credits + owed - debits - frozen + 1 where id = $1'
  await assert.rejects(oracle.owner.query(overdraw, [played[0]]), { code: '23514' })
  const forget = 'update ledger_accounts set owed = owed + 1 where id = $1'
  await assert.rejects(oracle.owner.query(forget, [played[0]]), { code: '23514' })
})

test('I3: a hold ends exactly once, whoever races; what was taken and what returned is what was held', async () => {
  const ana = await customer('30.00')
  for (let round = 0; round < 15; round++) {
    const holdId = await holds(ana, '2.00')
    const words = await Promise.all(
      [
        { ...base(ana), kind: 'capture', code: 'order', contra: 'revenue', holdId, amount: usd('0.50') },
        { ...base(ana), kind: 'void', code: 'order_cancelled', contra: 'revenue', holdId },
        {
          ...base(ana),
          id: derivedId(holdId, 'overdue'),
          kind: 'void',
          code: 'hold_overdue',
          contra: 'revenue',
          holdId,
        },
        { ...base(ana), kind: 'capture', code: 'order', contra: 'revenue', holdId },
      ].map(async (command, index) => (await ledgers[index]!.submit(command as Command)).result),
    )
    const winner = words.indexOf('ok')
    const told = winner === 0 || winner === 3 ? 'already_captured' : 'already_voided'
    assert.deepEqual(
      words,
      words.map((_, index) => (index === winner ? 'ok' : told)),
    )
  }
  let ended = 0
  for (const { row, holdId } of await allRows()) {
    if (!holdId) continue
    ended++
    const { rows: held } = await pool().query('select amount, kind from transfers where id = $1', [holdId])
    assert.ok(isHold(held[0].kind))
    assert.equal(row.amount + row.returned, BigInt(held[0].amount))
  }
  assert.ok(ended > 15)
  // Where nobody looked first, the index says so.
  const again = `insert into transfers
    select gen_random_uuid(), nextval('transfer_seq'), account_id, number + 1000, 'capture', code, contra, amount, 0, hold_id, reference,
           available_after, held_after, frozen_after, owed_after, happened_at, recorded_at
      from transfers where hold_id is not null limit 1`
  await assert.rejects(oracle.owner.query(again), { code: '23505', constraint: 'transfers_resolves' })
})

test('I4: a code that comes after the end never charges', async () => {
  const ana = await customer('10.00')
  const holdId = await holds(ana, '1.20')
  const end: Command = { ...base(ana), kind: 'void', code: 'order_expired', contra: 'revenue', holdId }
  assert.equal((await ledgers[0]!.submit(end)).result, 'ok')
  const before = await historyOf(ana)
  for (const amount of [undefined, usd('1.20'), usd('0.000001'), usd('5.00')]) {
    const late = { ...base(ana), kind: 'capture', code: 'order', contra: 'revenue', holdId } as const
    const { result } = await ledgers[1]!.submit(amount === undefined ? late : { ...late, amount })
    assert.equal(result, 'already_voided')
  }
  assert.deepEqual(await historyOf(ana), before)
  assert.equal((await ledgers[0]!.balance(pool(), ana))!.available, usd('10.00'))
})

test('I5: an outside fact is booked once, however often and by how many it is reported, and once after it failed', async () => {
  const ana = await customer('1.00')
  const topup = newId()
  const fact: Command = {
    ...base(ana),
    id: derivedId(topup, 'credit'),
    reference: topup,
    kind: 'credit',
    code: 'topup_card',
    contra: 'card_clearing',
    amount: usd('10.00'),
  }
  // Who reported it first died before the commit.
  await assert.rejects(
    oracle.db.database.transaction(async (tx) => {
      assert.equal((await ledgers[0]!.apply(tx, [fact]))[0]!.result, 'ok')
      throw new Error('died')
    }),
    { message: 'died' },
  )
  const words = await Promise.all(
    Array.from({ length: 20 }, async (_, index) => (await ledgers[index % 4]!.submit(fact)).result),
  )
  assert.deepEqual(words.toSorted(), [...Array.from({ length: 19 }, () => 'exists'), 'ok'])
  assert.equal((await ledgers[0]!.balance(pool(), ana))!.available, usd('11.00'))
})

test('I7: what goes back is never more than what came', async () => {
  const ana = await customer('10.00')
  const refunds = await Promise.all(
    Array.from({ length: 8 }, async (_, index) => {
      const refund: Command = {
        ...base(ana),
        kind: 'hold',
        code: 'topup_refund',
        contra: 'refunds',
        amount: usd('4.00'),
        expiresAt: new Date('2100-01-01'),
        onExpiry: 'alarm',
      }
      return { id: refund.id, result: (await ledgers[index % 4]!.submit(refund)).result }
    }),
  )
  const granted = refunds.filter(({ result }) => result === 'ok')
  assert.equal(granted.length, 2)
  for (const { id: holdId } of granted) {
    const sent = { ...base(ana), kind: 'capture', code: 'topup_refund', contra: 'refunds', holdId } as const
    assert.equal((await ledgers[0]!.submit({ ...sent, amount: micros(4_000_001n) })).result, 'exceeds_hold')
    assert.equal((await ledgers[0]!.submit(sent)).result, 'ok')
    assert.equal((await ledgers[0]!.submit({ ...sent, id: newId() })).result, 'already_captured')
  }
  assert.equal((await ledgers[0]!.balance(pool(), ana))!.available, usd('2.00'))
  // Of an order there is one refund, because there is one id for it.
  const holdId = await holds(ana, '2.00')
  await ledgers[0]!.submit({ ...base(ana), kind: 'capture', code: 'order', contra: 'revenue', holdId })
  const returned = {
    ...base(ana),
    id: derivedId(holdId, 'return'),
    kind: 'credit',
    code: 'order_refund',
    contra: 'revenue',
  } as const
  const words = await Promise.all(
    ledgers.map(
      async (ledger, index) => (await ledger.submit({ ...returned, amount: usd(`${2 + (index % 2)}.00`) })).result,
    ),
  )
  assert.equal(words.filter((word) => word === 'ok').length, 1)
  assert.ok((await ledgers[0]!.balance(pool(), ana))!.available <= usd('3.00'))
})

test('I8: a row that was written is never changed or deleted, and no role of the server may', async () => {
  const now = await wholeRows()
  assert.ok(midway.size > 0 && now.size > midway.size)
  for (const [id, row] of midway) assert.equal(now.get(id), row)
  const { rows } = await oracle.owner.query(
    `select r as role, t as "table", p as right
       from unnest(array['mobilesms_app', 'mobilesms_auth', 'public']) r,
            unnest(array['transfers', 'house_entries', 'ledger_accounts', 'open_holds', 'platform_deltas', 'platform_sums']) t,
            unnest(array['insert', 'update', 'delete', 'truncate', 'trigger']) p
      where has_table_privilege(r, t, p)`,
  )
  assert.deepEqual(rows, [])
})

test('I9: a balance is the replay of its rows, and so is what each row says was there after it', async () => {
  for (const accountId of played) {
    const rows = await historyOf(accountId)
    const holdOf = new Map(rows.filter((row) => isHold(row.kind)).map((row) => [row.id, row]))
    const resolves = new Map((await allRows()).map(({ row, holdId }) => [row.id, holdId]))
    let [credits, debits, held, frozen] = [0n, 0n, 0n, 0n]
    for (const [index, row] of rows.entries()) {
      credits += effect(row).credits
      debits += effect(row).debits
      const hold = holdOf.get(resolves.get(row.id) ?? '')
      held += row.kind === 'hold' ? row.amount : hold?.kind === 'hold' ? -hold.amount : 0n
      frozen += row.kind === 'clawback_hold' ? row.amount : hold?.kind === 'clawback_hold' ? -hold.amount : 0n
      const free = credits - debits - held - frozen
      assert.deepEqual(
        [row.number, row.availableAfter - row.owedAfter, row.heldAfter, row.frozenAfter],
        [BigInt(index + 1), free, held, frozen],
      )
    }
    const balance = (await ledgers[0]!.balance(pool(), accountId))!
    const last = rows.at(-1)!
    assert.deepEqual(
      [balance.available, balance.held, balance.frozen, balance.owed],
      [last.availableAfter, last.heldAfter, last.frozenAfter, last.owedAfter],
    )
  }
})

test('I10: what was acknowledged is there; what was not is wholly there or wholly not; asked again, all is answered alike', async (t) => {
  const luck = chance(SEED)
  const accounts = await Promise.all([1, 2, 3, 4, 5].map(() => customer('20.00')))
  const groups = Array.from({ length: 120 }, (): Command[] => {
    const accountId = luck.oneOf(accounts)
    const holdId = newId()
    const credit = {
      ...base(accountId),
      kind: 'credit',
      code: 'gift',
      contra: 'goodwill',
      amount: usd('0.50'),
    } as const
    const hold = holdCommand(accountId, `${luck.whole(0, 4)}.60`, holdId)
    return [credit, hold, { ...base(accountId), kind: 'capture', code: 'order', contra: 'revenue', holdId }]
  })
  let over = false
  let cut = 0
  const cutting = (async () => {
    while (!over) {
      const { rows } = await oracle.owner.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
          where application_name = 'mobilesms_app' and datname = current_database() and query like '%ledger_apply%' and random() < 0.3`,
      )
      cut += rows.length
      await new Promise((resolve) => setTimeout(resolve, luck.whole(5, 60)))
    }
  })()
  const answers = await Promise.all(
    groups.map(async (group, index) => {
      await new Promise((resolve) => setTimeout(resolve, luck.whole(0, 800)))
      return ledgers[index % 4]!.submitGroup(group).then(
        (outcomes) => outcomes.map(({ result }) => result as string),
        (error: Error) => error.constructor.name,
      )
    }),
  ).finally(() => {
    over = true
  })
  await cutting
  const told: Record<string, number> = {}
  for (const [index, group] of groups.entries()) {
    const answer = answers[index]!
    const word = typeof answer === 'string' ? answer : answer.join(', ')
    told[word] = (told[word] ?? 0) + 1
    const ids = group.map(({ id }) => id)
    const { rows } = await pool().query('select count(*)::int as there from transfers where id = any ($1)', [ids])
    const { there } = rows[0]
    assert.ok(there === 0 || there === group.length, `${there} of ${group.length} rows of a group`)
    if (typeof answer !== 'string') {
      const done = answer.every((one) => one === 'ok' || one === 'exists')
      assert.equal(there === group.length, done, `told ${word}, and ${there} rows are there`)
    } else if (answer === 'Overloaded') assert.equal(there, 0)
    if (there === 0) continue
    const again = await ledgers[0]!.submitGroup(group)
    assert.deepEqual(
      again.map(({ result }) => result),
      group.map(() => 'exists'),
    )
    const other = await ledgers[0]!.submit({ ...(group[0] as Command & { kind: 'credit' }), amount: usd('0.51') })
    assert.deepEqual(other, { done: false, result: 'exists_with_different_fields', differs: ['amount'] })
  }
  t.diagnostic(`seed ${SEED}: ${cut} connections cut; ${JSON.stringify(told)}`)
  assert.ok(cut > 0)
})

test('I10: an answer that is lost after the commit is asked for again, and nothing moves twice', async () => {
  const { database } = oracle.db
  let answersLost = 0
  const losing = createLedger({
    database: {
      ...database,
      async connect() {
        const connection = await database.connect()
        const query = async (asked: string | pg.QueryConfig) => {
          const answer = await connection.query(asked)
          if (typeof asked === 'string' || answersLost === ANSWERS_LOST) return answer
          // It was carried out, and nobody hears of it.
          answersLost++
          throw Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })
        }
        return Object.assign(Object.create(connection) as pg.PoolClient, { query })
      },
    },
    log: openLog({ level: 'silent' }),
    lanes: 1,
  })
  try {
    const ana = await customer('10.00')
    const hold = holdCommand(ana, '1.20', newId())
    const tooMuch = holdCommand(ana, '50.00', newId())
    const outcomes = await Promise.all([losing.submit(hold), losing.submit(tooMuch)])
    assert.deepEqual(
      outcomes.map(({ result }) => result),
      ['exists', 'insufficient_credits'],
    )
    assert.equal(answersLost, ANSWERS_LOST)
    const { available, held } = (await losing.balance(pool(), ana))!
    assert.deepEqual([available, held], [usd('8.80'), usd('1.20')])
  } finally {
    await losing.close()
  }
})

test('I12: nothing is rounded: a part and its rest are the whole, to the micro-dollar; residues of conversions have an account', async () => {
  const ana = await customer('100.00')
  const luck = chance(SEED)
  for (let round = 0; round < 20; round++) {
    const whole = BigInt(luck.whole(2, 3_333_333))
    const part = luck.oneOf([1n, whole - 1n, whole / 3n || 1n, whole])
    const holdId = newId()
    await ledgers[0]!.submit({ ...holdCommand(ana, '1.00', holdId), amount: micros(whole) } as Command)
    const before = (await ledgers[0]!.balance(pool(), ana))!.available
    const take = {
      ...base(ana),
      kind: 'capture',
      code: 'order',
      contra: 'revenue',
      holdId,
      amount: micros(part),
    } as const
    assert.equal((await ledgers[0]!.submit(take)).result, 'ok')
    assert.equal((await ledgers[0]!.balance(pool(), ana))!.available - before, whole - part)
  }
  const entry = {
    id: newId(),
    debit: 'crypto_clearing',
    credit: 'rounding',
    amount: micros(7n),
    code: 'conversion_residue',
    reference: newId(),
  } as const
  assert.equal(await bookHouseEntry(pool(), entry), 'ok')
  assert.equal(await bookHouseEntry(pool(), entry), 'exists')
  const { rows } = await pool().query(
    'select sum(credits - debits)::text as kept from platform_totals where platform = $1',
    [platformAccounts.rounding],
  )
  assert.equal(rows[0].kept, '7')
})

test('I13: every movement has a cause of the chart, its evidence, and both its times; without them there is none', async () => {
  const known = new Set<number>(Object.values(causes))
  const { rows } = await pool().query('select code, reference, happened_at, recorded_at from transfers')
  assert.ok(rows.length > 0)
  for (const row of rows) assert.ok(known.has(row.code) && row.reference && row.happened_at && row.recorded_at)
  const ana = await customer('1.00')
  const gift = { ...base(ana), kind: 'credit', code: 'gift', contra: 'goodwill', amount: usd('1.00') }
  for (const without of ['code', 'reference', 'contra'])
    assert.equal((await ledgers[0]!.submit({ ...gift, [without]: undefined } as Command)).result, 'malformed_command')
  for (const column of ['code', 'reference', 'happened_at'])
    await assert.rejects(oracle.owner.query(`update transfers set ${column} = null`), { code: '23502' })
})

const pool = () => oracle.db.database.pool

async function customer(credit: string): Promise<bigint> {
  const accountId = nextAccount++
  await ledgers[0]!.open(pool(), accountId)
  const gift: Command = { ...base(accountId), kind: 'credit', code: 'gift', contra: 'goodwill', amount: usd(credit) }
  assert.equal((await ledgers[0]!.submit(gift)).result, 'ok')
  return accountId
}

function base(accountId: bigint) {
  return { id: newId(), accountId, reference: newId() }
}

function holdCommand(accountId: bigint, amount: string, id: string): Command {
  return {
    ...base(accountId),
    id,
    kind: 'hold',
    code: 'order',
    contra: 'revenue',
    amount: usd(amount),
    expiresAt: new Date('2100-01-01'),
    onExpiry: 'void',
  }
}

async function holds(accountId: bigint, amount: string): Promise<string> {
  const holdId = newId()
  assert.equal((await ledgers[0]!.submit(holdCommand(accountId, amount, holdId))).result, 'ok')
  return holdId
}

/** What a row adds to the customer's credits and debits. Written out here, instead of asking anybody. */
function effect(row: Pick<Transfer, 'kind' | 'amount'>): { credits: bigint; debits: bigint } {
  const isOut = row.kind === 'debit' || row.kind === 'clawback_debit' || row.kind === 'capture'
  return { credits: row.kind === 'credit' ? row.amount : 0n, debits: isOut ? row.amount : 0n }
}

/** All of an account's history, oldest first, by the pages that a customer would turn. */
async function historyOf(accountId: bigint): Promise<Transfer[]> {
  const rows: Transfer[] = []
  for (;;) {
    const before = rows.at(-1)?.number
    const page = await ledgers[0]!.history(pool(), accountId, { limit: PAGE, ...(before ? { before } : {}) })
    rows.push(...page)
    if (page.length < PAGE) return rows.reverse()
  }
}

/** Every row of every account, with what a history does not tell: the hold, and the platform's account. */
async function allRows(): Promise<{ row: Transfer; holdId: string | null; contra: number }[]> {
  const { rows } = await pool().query('select distinct account_id from transfers')
  const links = await pool().query('select id, hold_id, contra from transfers')
  const linkOf = new Map(links.rows.map((link) => [link.id as string, link]))
  const histories = await Promise.all(rows.map(({ account_id }) => historyOf(BigInt(account_id))))
  return histories.flat().map((row) => {
    const { hold_id: holdId, contra } = linkOf.get(row.id)!
    return { row, holdId, contra }
  })
}

/** Each row as text, with the transaction that wrote it: an update would show, also one that changes nothing. */
async function wholeRows(): Promise<Map<string, string>> {
  const { rows } = await pool().query(`select id, t.xmin || ' ' || t::text as whole from transfers t`)
  return new Map(rows.map((row) => [row.id, row.whole]))
}
