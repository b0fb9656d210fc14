/**
 * The ledger's specification, in words: one line per command, ending in its result. Every table is carried out twice: command by
 * command, and as one list in one call. The answers and the books must be the same, because a batch is an envelope and nothing more.
 *
 *   <customer> <kind> [amount] [cause] [#name] [of #hold] [max n] [suspended …]   <result>
 *   { … }                      the commands between the braces are a group
 *   <customer> has available / held / frozen / owed
 */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import type pg from 'pg'
import { printAmount, usd } from '../../contract/money.ts'
import { base, hold, openBooks, print } from '../../test/ledger/books.ts'
import type { Queryable } from '../platform/db.ts'
import { derivedId, newId } from '../platform/ids.ts'
import type { Cause, HoldCause } from './chart.ts'
import type { Command, Ledger } from './ledger.ts'

const tables: Record<string, string> = {
  'an order holds its price and takes it when the code arrives': `
    ana credit 10.00 topup_card            ok
    ana hold 1.20 order #h                 ok
    ana has 8.80 / 1.20 / 0.00 / 0.00
    ana capture order of #h                ok
    ana has 8.80 / 0.00 / 0.00 / 0.00`,

  'an order without a code gives everything back': `
    ana credit 10.00 topup_card            ok
    ana hold 1.20 order #h                 ok
    ana void order_expired of #h           ok
    ana has 10.00 / 0.00 / 0.00 / 0.00`,

  'a hold is resolved once, by whoever comes first': `
    ana credit 10.00 topup_card            ok
    ana hold 1.20 order #h                 ok
    ana capture order of #h                ok
    ana void order_cancelled of #h         already_captured
    ana capture order of #h                already_captured
    ana capture 0.00 order of #h           malformed_command
    ana hold 1.00 order #k                 ok
    ana void order_cancelled of #k         ok
    ana capture order of #k                already_voided
    ana void order_expired of #k           already_voided
    ana has 8.80 / 0.00 / 0.00 / 0.00`,

  'nobody can hold what is held already': `
    ana credit 2.00 gift                   ok
    ana hold 1.20 order                    ok
    ana hold 1.20 order                    insufficient_credits
    ana hold 0.80 order                    ok
    ana hold 0.000001 order                insufficient_credits
    ana debit 0.01 adjustment              insufficient_credits
    ana has 0.00 / 2.00 / 0.00 / 0.00`,

  'the same id again is the same command; other fields are refused and named': `
    ana credit 10.00 topup_card #t         ok
    ana credit 10.00 topup_card #t         exists
    ana credit 11.00 topup_card #t         exists_with_different_fields: amount
    ana credit 10.00 gift #t               exists_with_different_fields: contra, code
    ana hold 10.00 order #t                exists_with_different_fields: kind, contra, code
    bob credit 10.00 topup_card #t         exists_with_different_fields: account
    ana hold 1.20 order #h                 ok
    ana hold 1.20 order #h                 exists
    ana capture order #c of #h             ok
    ana capture order #c of #h             exists
    ana capture 1.00 order #c of #h        exists_with_different_fields: amount
    ana has 8.80 / 0.00 / 0.00 / 0.00
    bob has 0.00 / 0.00 / 0.00 / 0.00`,

  'a refusal leaves no trace, and the same id may succeed later': `
    ana hold 1.20 order #h                 insufficient_credits
    ana capture order of #h                hold_not_found
    ana credit 5.00 gift                   ok
    ana hold 1.20 order #h                 ok
    ana hold 1.20 order #h                 exists
    ana has 3.80 / 1.20 / 0.00 / 0.00`,

  'part of a hold can be captured; the rest returns with it': `
    ana credit 10.00 topup_card            ok
    ana hold 3.00 order #h                 ok
    ana capture 4.00 order of #h           exceeds_hold
    ana capture 1.00 order of #h           ok
    ana has 9.00 / 0.00 / 0.00 / 0.00`,

  'a hold is given back whole, or not at all': `
    ana credit 10.00 topup_card            ok
    ana hold 3.00 order #h                 ok
    ana void 2.00 order_cancelled of #h    malformed_command
    ana void 4.00 order_cancelled of #h    exceeds_hold
    ana has 7.00 / 3.00 / 0.00 / 0.00
    ana void 3.00 order_cancelled of #h    ok
    ana has 10.00 / 0.00 / 0.00 / 0.00`,

  'somebody else cannot touch a hold': `
    ana credit 10.00 topup_card            ok
    bob credit 10.00 topup_card            ok
    ana hold 3.00 order #h                 ok
    bob capture order of #h                hold_not_found
    bob void order_cancelled of #h         hold_not_found
    ana has 7.00 / 3.00 / 0.00 / 0.00
    bob has 10.00 / 0.00 / 0.00 / 0.00`,

  'open holds are counted under the account: by cause, and down again when they are resolved': `
    ana credit 10.00 topup_card            ok
    ana hold 1.00 order #a max 2           ok
    ana hold 1.00 order #b max 2           ok
    ana hold 1.00 order #c max 2           too_many_open_holds
    ana hold 1.00 topup_refund max 1       ok
    ana void order_cancelled of #a         ok
    ana hold 1.00 order #c max 2           ok
    ana hold 99.00 order max 2             too_many_open_holds
    ana has 7.00 / 3.00 / 0.00 / 0.00`,

  'a suspended account cannot hold; what is under way goes on': `
    eve credit 10.00 topup_card            ok
    eve hold 1.00 order #h                 ok
    eve suspended
    eve hold 1.00 order                    account_suspended
    eve capture order of #h                ok
    eve credit 1.00 topup_card             ok
    eve has 10.00 / 0.00 / 0.00 / 0.00`,

  'a dispute freezes; won, the credits return': `
    ana credit 10.00 topup_card            ok
    ana clawback_hold 10.00 dispute #d     ok
    ana has 0.00 / 0.00 / 10.00 / 0.00
    ana hold 1.00 order                    insufficient_credits
    ana void dispute of #d                 ok
    ana has 10.00 / 0.00 / 0.00 / 0.00`,

  'a dispute of what was spent is owed, visibly; lost, it stays owed; what comes in pays it first': `
    ana credit 10.00 topup_card            ok
    ana hold 4.00 order #h                 ok
    ana capture order of #h                ok
    ana clawback_hold 10.00 dispute #d     ok
    ana has 0.00 / 0.00 / 10.00 / 4.00
    ana capture dispute of #d              ok
    ana has 0.00 / 0.00 / 0.00 / 4.00
    ana credit 3.00 topup_card             ok
    ana has 0.00 / 0.00 / 0.00 / 1.00
    ana credit 3.00 topup_card             ok
    ana has 2.00 / 0.00 / 0.00 / 0.00`,

  'an order under way is charged even while a dispute takes everything': `
    ana credit 10.00 topup_card            ok
    ana hold 3.00 order #h                 ok
    ana clawback_hold 10.00 dispute        ok
    ana has 0.00 / 3.00 / 10.00 / 3.00
    ana capture order of #h                ok
    ana has 0.00 / 0.00 / 10.00 / 3.00`,

  'outside money that was taken back is a clawback, and never refused': `
    ana credit 5.00 topup_crypto           ok
    ana clawback_debit 7.00 reversal       ok
    ana has 0.00 / 0.00 / 0.00 / 2.00
    ana debit 1.00 adjustment              insufficient_credits`,

  'a group is all or nothing, and later commands may name earlier ones': `
    ana credit 1.00 gift                   ok
    {
    ana credit 1.20 order_refund #r        ok
    ana hold 2.20 order #h                 ok
    }
    ana has 0.00 / 2.20 / 0.00 / 0.00
    {
    ana void order_cancelled of #h         ok
    ana hold 2.00 order #k                 ok
    ana capture order of #k                ok
    }
    ana has 0.20 / 0.00 / 0.00 / 0.00
    {
    ana credit 1.00 gift #g                group_refused
    ana hold 9.00 order #m                 insufficient_credits
    ana capture order of #m                group_refused
    }
    ana has 0.20 / 0.00 / 0.00 / 0.00
    ana credit 1.00 gift #g                ok
    ana has 1.20 / 0.00 / 0.00 / 0.00`,

  'a group that was carried out exists as a whole; a part of one is another group': `
    {
    ana credit 2.00 order_refund #r        ok
    ana hold 1.00 order #h                 ok
    }
    {
    ana credit 2.00 order_refund #r        exists
    ana hold 1.00 order #h                 exists
    }
    {
    ana credit 2.00 order_refund #r        exists
    ana hold 1.00 order #k                 group_refused
    }
    ana has 1.00 / 1.00 / 0.00 / 0.00
    ana capture order of #k                hold_not_found`,

  'an id that comes twice in a group refuses the group, and nobody is told that it is there': `
    {
    ana credit 1.00 gift #g                group_refused
    ana credit 1.00 gift #g                group_refused
    }
    ana has 0.00 / 0.00 / 0.00 / 0.00
    {
    ana credit 1.00 gift #g                group_refused
    ana credit 1.00 gift #g                group_refused
    ana hold 9.00 order                    insufficient_credits
    }
    ana credit 1.00 gift #g                ok
    ana has 1.00 / 0.00 / 0.00 / 0.00`,

  'a refused group gives back the holds it had resolved': `
    ana credit 2.00 gift                   ok
    ana hold 1.00 order #h                 ok
    {
    ana void order_cancelled of #h         group_refused
    ana hold 9.00 order                    insufficient_credits
    }
    ana capture order of #h                ok
    ana has 1.00 / 0.00 / 0.00 / 0.00`,

  'the smallest amount that there is can be had and held': `
    ana credit 0.000001 gift               ok
    ana has 0.000001 / 0.00 / 0.00 / 0.00
    ana hold 0.000001 order                ok
    ana has 0.00 / 0.000001 / 0.00 / 0.00`,

  'what makes no sense is refused and moves nothing': `
    ana credit 0.00 gift                   malformed_command
    ana credit -1.00 gift                  malformed_command
    zoe credit 1.00 gift                   account_not_found
    ana has 0.00 / 0.00 / 0.00 / 0.00
    {
    ana credit 1.00 gift                   group_refused
    bob credit 1.00 gift                   malformed_command
    }
    {
    zoe credit 1.00 gift                   account_not_found
    zoe credit 1.00 gift                   group_refused
    }
    ana has 0.00 / 0.00 / 0.00 / 0.00
    bob has 0.00 / 0.00 / 0.00 / 0.00`,
}

const { db, ledger, newAccount, customer, close } = await openBooks()
after(close)

for (const [promise, table] of Object.entries(tables)) {
  test(promise, async () => {
    await play(table, 'one by one')
  })
  test(`${promise} (as one list)`, async () => {
    await play(table, 'as one list')
  })
}

type Step =
  | { line: string; command: Command; expected: string; group: number | null }
  | { line: string; suspend: bigint }
  | { line: string; balanceOf: bigint; expected: string }

async function play(table: string, how: 'one by one' | 'as one list'): Promise<void> {
  const steps = await read(table)
  const lists: Step[][] = []
  for (const step of steps) {
    const last = lists.at(-1)
    const joins =
      last !== undefined &&
      'command' in step &&
      'command' in last[0]! &&
      (how === 'as one list' || (step.group !== null && step.group === last[0].group))
    if (joins) last.push(step)
    else lists.push([step])
  }
  for (const list of lists) {
    const first = list[0]!
    if ('suspend' in first) {
      await db.asOwner(`update ledger_accounts set suspended = true where id = ${first.suspend}`)
    } else if ('balanceOf' in first) {
      const balance = await ledger.balance(db.database.pool, first.balanceOf)
      const seen = [balance!.available, balance!.held, balance!.frozen, balance!.owed].map(printAmount).join(' / ')
      assert.equal(seen, first.expected, first.line)
    } else {
      const commands = list.filter((step) => 'command' in step)
      const outcomes = await db.database.transaction((tx) =>
        applyGrouped(
          tx,
          commands.map((step) => step.command),
          commands.map((step) => step.group),
        ),
      )
      for (const [index, step] of commands.entries()) assert.equal(outcomes[index], step.expected, step.line)
    }
  }
}

/** The SQL function itself, so that a list may mix groups and single commands. */
async function applyGrouped(
  tx: Parameters<Ledger['apply']>[0],
  commands: Command[],
  groups: (number | null)[],
): Promise<string[]> {
  const answers: string[] = []
  for (let start = 0; start < commands.length; ) {
    // Single commands may travel together; a group travels alone, as the door allows one group a call.
    let end = start + 1
    while (end < commands.length && groups[end] === groups[start]) end++
    const outcomes = await ledger.apply(tx, commands.slice(start, end), { asGroup: groups[start] !== null })
    answers.push(...outcomes.map(print))
    start = end
  }
  return answers
}

async function read(table: string): Promise<Step[]> {
  const accounts = new Map<string, bigint>()
  const names = new Map<string, string>()
  const id = (name: string | undefined) => {
    if (!name) return newId()
    if (!names.has(name)) names.set(name, newId())
    return names.get(name)!
  }
  const reference = newId()
  const steps: Step[] = []
  let group: number | null = null
  let groups = 0
  for (const line of table.split('\n').map((text) => text.trim())) {
    if (line === '') continue
    if (line === '{') group = ++groups
    else if (line === '}') group = null
    else {
      const customer = line.split(' ')[0]!
      if (!accounts.has(customer)) {
        accounts.set(customer, customer === 'zoe' ? 999_999_999n : newAccount())
        if (customer !== 'zoe') await ledger.open(db.database.pool, accounts.get(customer)!)
      }
      const accountId = accounts.get(customer)!
      const has = / has (.*)$/.exec(line)
      if (has) steps.push({ line, balanceOf: accountId, expected: has[1]! })
      else if (line.endsWith(' suspended')) steps.push({ line, suspend: accountId })
      else {
        const match =
          /^\w+ (\w+)(?: (-?[\d.]+))? (\w+)(?: (#\w+))?(?: of (#\w+))?(?: max (\d+))?\s{2,}(.+)$/.exec(line) ??
          assert.fail(`This line of the table cannot be read: ${line}`)
        const [, kind, amount, code, name, hold, max, expected] = match
        steps.push({
          line,
          group,
          expected: expected!,
          command: {
            id: id(name),
            accountId,
            kind: kind as 'credit',
            code: code as Cause & HoldCause,
            contra: contraOf(code!),
            reference,
            ...(amount ? { amount: usd(amount) } : {}),
            ...(hold ? { holdId: id(hold) } : {}),
            ...(kind!.endsWith('hold') ? { expiresAt: new Date('2100-01-01'), onExpiry: 'void' } : {}),
            ...(max ? { openMax: Number(max) } : {}),
          } as Command,
        })
      }
    }
  }
  return steps
}

function contraOf(code: string) {
  if (code.startsWith('topup')) return 'card_clearing'
  if (code === 'dispute' || code === 'reversal') return 'disputes'
  return code === 'gift' || code === 'adjustment' ? 'goodwill' : 'revenue'
}

test('the ledger refuses to work where it would not see what was committed meanwhile', async () => {
  const ana = await customer('1.00')
  for (const level of ['repeatable read', 'serializable']) {
    const work = db.database.transaction(async (tx) => {
      await tx.query(`set transaction isolation level ${level}`)
      await ledger.apply(tx, [hold(ana, '0.10')])
    })
    await assert.rejects(work, /the ledger needs READ COMMITTED/)
  }
})

test('a command that lacks something, or has what is none of its kind, is malformed and moves nothing', async () => {
  const ana = await customer('10.00')
  const whole = {
    id: newId(),
    kind: 'hold' as string | null,
    contra: 3 as number | null,
    amount: 1_000_000 as number | null,
    hold: null as string | null,
    code: 1 as number | null,
    reference: newId() as string | null,
    expires: '2100-01-01' as string | null,
    on_expiry: 'void' as string | null,
  }
  const word = async (command: Record<keyof typeof whole, unknown>) => {
    const { rows } = await db.database.pool.query(
      `select (ledger_apply(array[$1::uuid], array[$2::transfer_kind], array[$3::bigint], array[$4::smallint], array[$5::bigint],
                            array[$6::uuid], array[$7::smallint], array[$8::uuid], array[null::timestamptz], array[$9::timestamptz],
                            array[$10::text], array[null::int], array[null::int]))[1] as word`,
      [
        command.id,
        command.kind,
        ana,
        command.contra,
        command.amount,
        command.hold,
        command.code,
        command.reference,
        command.expires,
        command.on_expiry,
      ],
    )
    return rows[0].word
  }
  const open = hold(ana, '1.00')
  assert.equal((await ledger.submit(open)).result, 'ok')
  const wrong: Partial<Record<keyof typeof whole, unknown>>[] = [
    { id: null },
    { kind: null },
    { kind: null, hold: open.id, amount: null },
    { contra: null },
    { code: null },
    { reference: null },
    { amount: null },
    { amount: 0 },
    { amount: -1 },
    { hold: newId() },
    { expires: null },
    { on_expiry: null },
    { on_expiry: 'never' },
    { code: 0 },
    { code: 4 },
    { kind: 'clawback_hold', expires: null },
    { kind: 'credit', hold: newId() },
    { kind: 'credit', amount: null },
    { kind: 'credit', code: null },
    { kind: 'credit', reference: null },
    { kind: 'capture' },
    { kind: 'void' },
    { kind: 'capture', hold: newId(), amount: 0 },
  ]
  for (const change of wrong)
    assert.equal(await word({ ...whole, id: newId(), ...change }), 'malformed_command', JSON.stringify(change))
  for (const right of [
    { code: 2 },
    { code: 3 },
    { on_expiry: 'alarm' },
    { kind: 'credit', code: 41, expires: null, on_expiry: null },
  ])
    assert.equal(await word({ ...whole, id: newId(), ...right }), 'ok', JSON.stringify(right))
  const { available, held } = (await ledger.balance(db.database.pool, ana))!
  assert.deepEqual([available, held], [usd('7.00'), usd('4.00')])
})

test('running numbers have no gap, and each row says what was there after it', async () => {
  const ana = await customer('10.00')
  const holdId = newId()
  await ledger.submit(hold(ana, '3.00', holdId))
  await ledger.submit({ ...base(ana), kind: 'capture', code: 'order', contra: 'revenue', holdId, amount: usd('1.00') })
  const rows = await ledger.history(db.database.pool, ana, { limit: 10 })
  assert.deepEqual(
    rows.map((row) => [row.number, row.kind, row.amount, row.returned, row.availableAfter, row.heldAfter]),
    [
      [3n, 'capture', usd('1'), usd('2'), usd('9'), 0n],
      [2n, 'hold', usd('3'), 0n, usd('7'), usd('3')],
      [1n, 'credit', usd('10'), 0n, usd('10'), 0n],
    ],
  )
  assert.deepEqual(
    (await ledger.history(db.database.pool, ana, { limit: 1, before: 3n })).map((row) => row.number),
    [2n],
  )
})

test('a history is narrowed by what moved and by when it happened, and each row says everything', async () => {
  const ana = await customer('10.00')
  const on = (day: number) => new Date(`2026-03-0${day}T00:00:00Z`)
  const holdId = newId()
  const claim = { ...hold(ana, '12.00'), kind: 'clawback_hold', code: 'dispute', contra: 'disputes' } as Command
  const done: Command[] = [
    { ...hold(ana, '3.00', holdId), happenedAt: on(1) },
    { ...base(ana), kind: 'capture', code: 'order', contra: 'revenue', holdId, amount: usd('1.00'), happenedAt: on(2) },
    { ...base(ana), kind: 'credit', code: 'order_refund', contra: 'revenue', amount: usd('1.00'), happenedAt: on(3) },
    { ...claim, happenedAt: on(4) },
  ]
  for (const command of done) assert.equal((await ledger.submit(command)).result, 'ok')
  const numbers = async (page: Partial<Parameters<Ledger['history']>[2]>) =>
    (await ledger.history(db.database.pool, ana, { limit: 10, ...page })).map((row) => Number(row.number))
  assert.deepEqual(await numbers({}), [5, 4, 3, 2, 1])
  assert.deepEqual(await numbers({ movements: [{ kind: 'hold', code: 'order' }] }), [2])
  assert.deepEqual(
    await numbers({
      movements: [
        { kind: 'capture', code: 'order' },
        { kind: 'credit', code: 'gift' },
      ],
    }),
    [3, 1],
  )
  assert.deepEqual(await numbers({ movements: [] }), [])
  assert.deepEqual(await numbers({ from: on(2), to: on(4) }), [4, 3])
  assert.deepEqual(await numbers({ to: on(2) }), [2])
  assert.deepEqual(await numbers({ from: on(3), before: 5n }), [4, 1])
  const [row] = await ledger.history(db.database.pool, ana, { limit: 1 })
  const { id, reference } = done[3]!
  assert.deepEqual(row, {
    id,
    number: 5n,
    kind: 'clawback_hold',
    code: 'dispute',
    reference,
    amount: usd('12.00'),
    returned: 0n,
    availableAfter: 0n,
    heldAfter: 0n,
    frozenAfter: usd('12.00'),
    owedAfter: usd('2.00'),
    happenedAt: on(4),
  })
  assert.equal(await ledger.balance(db.database.pool, 888_888_888n), null)
})

test("the server's role cannot write the ledger's tables, only ask its functions", async () => {
  const pool = db.database.pool
  for (const statement of [
    'update ledger_accounts set credits = credits + 1',
    'delete from transfers',
    'update transfers set amount = 1',
    'insert into ledger_accounts (id) values (7777777)',
    'delete from open_holds',
    'insert into platform_deltas values (1, 1, 1, 1, 1)',
    'update platform_sums set credits = credits + 1',
    'update house_entries set amount = 1',
    'truncate transfers',
    'drop table transfers',
    'alter table ledger_accounts drop constraint nothing_spent_twice',
  ]) {
    await assert.rejects(pool.query(statement), { code: '42501' }, statement)
  }
})

test('ids that follow from something are derived alike in TypeScript and in the database', async () => {
  for (let round = 0; round < 50; round++) {
    const origin = newId()
    const { rows } = await db.database.pool.query('select derived_id($1, $2, $3) as id', [origin, 'capture', round])
    assert.equal(rows[0].id, derivedId(origin, 'capture', round))
  }
})

test('a page of the history is found by the index, however deep it is', async () => {
  let asked = ''
  const spy = {
    query: (statement: pg.QueryConfig) => {
      asked = statement.text
      return db.database.pool.query(statement)
    },
  } as unknown as Queryable
  await ledger.history(spy, 1n, { limit: 50, before: 1_000n })
  const connection = await db.database.connect()
  try {
    await connection.query('set enable_seqscan = off') // the table of a test is small enough to be read whole
    await connection.query(`prepare page (bigint, bigint, text[], timestamptz, timestamptz, bigint) as ${asked}`)
    const { rows } = await connection.query('explain execute page (1, 1000, null, null, null, 50)')
    const plan = rows.map((row) => row['QUERY PLAN']).join('\n')
    assert.match(plan, /Index Cond: \(\(account_id = \$1\) AND \(number < \$2\)\)/)
  } finally {
    connection.release(true)
  }
})
