/**
 * The ledger's specification, in words: one line per command, ending in its result. Every table is carried out twice: command by
 * command, and as one list in one call. The answers and the books must be the same, because a batch is an envelope and nothing more.
 *
 *   <customer> <kind> [amount] [cause] [#name] [of #hold] [max n] [suspended …]   <result>
 *   { … }                      the commands between the braces are a group
 *   <customer> has available / held / frozen / owed
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import pg from 'pg'
import { micros, printAmount, usd } from '../../contract/money.ts'
import { freshDatabase, type TestDatabase } from '../../test/database.ts'
import { until } from '../../test/until.ts'
import type { Database, Queryable } from '../platform/db.ts'
import { derivedId, newId } from '../platform/ids.ts'
import { type Log, openLog } from '../platform/log.ts'
import { auditLedger } from './audit/audit.ts'
import type { Cause, HoldCause } from './chart.ts'
import { bookHouseEntry } from './house.ts'
import { type Command, createLedger, type HouseEntry, type Ledger, type Outcome } from './ledger.ts'

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

let db: TestDatabase
let ledger: Ledger
let nextAccount = 1n

before(async () => {
  db = await freshDatabase()
  ledger = createLedger({ database: db.database, log: openLog({ level: 'silent' }) })
})
after(async () => {
  const differences = await auditLedger(db.database.pool, 'ledger')
  await ledger.close()
  await db.close()
  assert.deepEqual(differences, [])
})

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
      await asOwner(`update ledger_accounts set suspended = true where id = ${first.suspend}`)
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

function print(outcome: Outcome): string {
  assert.equal(outcome.done, outcome.result === 'ok' || outcome.result === 'exists')
  return outcome.done || !outcome.differs ? outcome.result : `${outcome.result}: ${outcome.differs.join(', ')}`
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
        accounts.set(customer, customer === 'zoe' ? 999_999_999n : nextAccount++)
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

async function asOwner(statement: string): Promise<void> {
  const { default: pg } = await import('pg')
  const owner = new pg.Client({ connectionString: db.url })
  await owner.connect()
  await owner.query(statement)
  await owner.end()
}

async function customer(credit: string): Promise<bigint> {
  const accountId = nextAccount++
  await ledger.open(db.database.pool, accountId)
  const outcome = await ledger.submit({
    ...base(accountId),
    kind: 'credit',
    code: 'gift',
    contra: 'goodwill',
    amount: usd(credit),
  })
  assert.equal(outcome.result, 'ok')
  return accountId
}

async function results(tx: pg.PoolClient, commands: Command[], options?: { asGroup: boolean }): Promise<string[]> {
  return (await ledger.apply(tx, commands, options)).map(({ result }) => result)
}

function base(accountId: bigint) {
  return { id: newId(), accountId, reference: newId() }
}

function hold(accountId: bigint, amount: string, id = newId()): Command {
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

/** A command as drawn: small numbers, so that ids, holds and credit collide all the time. */
type Draw = { who: 0 | 1; kind: Command['kind']; cents: number; id: number; hold: number; max: number }

const draw: fc.Arbitrary<Draw> = fc.record({
  who: fc.constantFrom(0, 1),
  kind: fc.constantFrom(
    'credit',
    'debit',
    'hold',
    'hold',
    'capture',
    'capture',
    'void',
    'clawback_debit',
    'clawback_hold',
  ),
  cents: fc.integer({ min: 1, max: 400 }),
  id: fc.integer({ min: 1, max: 12 }),
  hold: fc.integer({ min: 1, max: 12 }),
  max: fc.integer({ min: 1, max: 4 }),
})

test('any list of commands and groups may be split anywhere without changing an answer or a figure', async () => {
  // One lane: what is submitted together goes as one list.
  const together = createLedger({ database: db.database, log: openLog({ level: 'silent' }), lanes: 1 })
  try {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(draw, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 14 }),
        async (lists) => {
          const seen: string[] = []
          for (const how of ['as one list', 'one by one'] as const) {
            const accounts = [nextAccount++, nextAccount++] as const
            const ids = new Map<number, string>()
            const id = (number: number) => {
              if (!ids.has(number)) ids.set(number, newId())
              return ids.get(number)!
            }
            const reference = newId()
            for (const account of accounts) await ledger.open(db.database.pool, account)
            // Half of the groups stay within one customer, as they must; the other half tries what must be refused.
            const groups = lists.map((list) => list.map((one) => commandOf(one, accounts, id, reference)))
            const outcomes =
              how === 'as one list'
                ? await Promise.all(groups.map((group) => together.submitGroup(group)))
                : await inTurn(groups, (group) => ledger.submitGroup(group))
            const figures = await inTurn([...accounts], (account) => ledger.balance(db.database.pool, account))
            seen.push(
              JSON.stringify([outcomes.map((group) => group.map(print)), figures], (_, value) =>
                typeof value === 'bigint' ? String(value) : value,
              ),
            )
          }
          assert.equal(seen[0], seen[1])
        },
      ),
      { numRuns: 60 },
    )
  } finally {
    await together.close()
  }
})

function commandOf(
  one: Draw,
  accounts: readonly [bigint, bigint],
  id: (number: number) => string,
  reference: string,
): Command {
  const isHold = one.kind === 'hold' || one.kind === 'clawback_hold'
  return {
    id: id(one.id),
    kind: one.kind,
    accountId: accounts[one.who],
    code: one.kind === 'capture' || one.kind === 'void' || isHold ? 'order' : 'adjustment',
    contra: 'revenue',
    reference,
    ...(one.kind === 'capture' || one.kind === 'void'
      ? { holdId: id(one.hold) }
      : { amount: micros(BigInt(one.cents) * 10_000n) }),
    ...(one.kind === 'capture' && one.cents % 3 === 0 ? { amount: micros(BigInt(one.cents) * 10_000n) } : {}),
    ...(isHold ? { expiresAt: new Date('2100-01-01'), onExpiry: 'void', openMax: one.max } : {}),
  } as Command
}

async function inTurn<Item, Result>(items: Item[], act: (item: Item) => Promise<Result>): Promise<Result[]> {
  const results: Result[] = []
  for (const item of items) results.push(await act(item))
  return results
}

test('of 200 holds at once with credit for 50, exactly 50 are granted', async () => {
  const ana = await customer('60.00')
  const outcomes = await Promise.all(Array.from({ length: 200 }, () => ledger.submit(hold(ana, '1.20'))))
  assert.equal(outcomes.filter((outcome) => outcome.result === 'ok').length, 50)
  assert.equal(outcomes.filter((outcome) => outcome.result === 'insufficient_credits').length, 150)
})

test('the same command 50 times at once, over the batcher and beside it, moves once', async () => {
  const ana = await customer('10.00')
  const command = hold(ana, '1.00')
  const outcomes = await Promise.all([
    ...Array.from({ length: 25 }, () => ledger.submit(command)),
    ...Array.from({ length: 25 }, async () => (await db.database.transaction((tx) => ledger.apply(tx, [command])))[0]!),
  ])
  assert.equal(outcomes.filter((outcome) => outcome.result === 'ok').length, 1)
  assert.equal(outcomes.filter((outcome) => outcome.result === 'exists').length, 49)
})

test('capture and void of one hold at once: one wins, the other is told the truth', async () => {
  const ana = await customer('50.00')
  for (let round = 0; round < 40; round++) {
    const holdId = newId()
    await ledger.submit(hold(ana, '1.00', holdId))
    const [captured, voided] = await Promise.all([
      ledger.submit({ ...base(ana), kind: 'capture', code: 'order', contra: 'revenue', holdId }),
      db.database
        .transaction((tx) =>
          ledger.apply(tx, [{ ...base(ana), kind: 'void', code: 'order_cancelled', contra: 'revenue', holdId }]),
        )
        .then((outcomes) => outcomes[0]!),
    ])
    const pair = `${captured.result} / ${voided.result}`
    assert.ok(['ok / already_captured', 'already_voided / ok'].includes(pair), pair)
  }
})

test('whoever writes beside others in a transaction of his own is served at once, on one account or each on his', async () => {
  const one = await customer('100.00')
  const own = await Promise.all(Array.from({ length: 8 }, () => customer('100.00')))
  for (const accounts of [own.map(() => one), own]) {
    for (let round = 0; round < 5; round++) {
      const outcomes = await Promise.all(
        accounts.map((account) =>
          db.database.transaction((tx) => ledger.apply(tx, [hold(999_999_999n, '0.10'), hold(account, '0.10')])),
        ),
      )
      assert.deepEqual(
        outcomes.map((list) => list.map(({ result }) => result)),
        accounts.map(() => ['account_not_found', 'ok']),
      )
    }
  }
  assert.equal((await ledger.balance(db.database.pool, one))!.held, usd('4.00'))
})

test('while somebody decides by the balance of an account, its money stands still', async () => {
  const [ana, bob] = [await customer('1.00'), await customer('1.00')]
  const credit = { ...base(ana), kind: 'credit', code: 'gift', contra: 'goodwill', amount: usd('1.00') } as const
  const watching = new pg.Client({ connectionString: db.url })
  await watching.connect()
  try {
    await db.database.transaction(async (tx) => {
      await ledger.lock(tx, ana)
      const { rows } = await tx.query('select pg_backend_pid() as pid')
      let isOver = false
      void ledger.submit(credit).finally(() => {
        isOver = true
      })
      await until(async () => {
        const waits = await watching.query('select from pg_stat_activity where $1 = any (pg_blocking_pids(pid))', [
          rows[0].pid,
        ])
        return isOver || waits.rows.length > 0
      })
      assert.equal((await ledger.balance(tx, ana))!.available, usd('1.00'))
      // Nobody else's does.
      assert.deepEqual(await db.database.transaction((other) => results(other, [hold(bob, '0.50')])), ['ok'])
    })
    await until(async () => (await ledger.balance(db.database.pool, ana))!.available === usd('2.00'))
  } finally {
    await watching.end()
  }
})

test('a deadline is moved when nobody else moves money of that account, and is not held up by others', async () => {
  const [ana, bob] = [await customer('1.00'), await customer('1.00')]
  const [held, other] = [hold(ana, '0.50'), hold(bob, '0.50')]
  for (const one of [held, other]) assert.equal((await ledger.submit(one)).result, 'ok')
  const pool = db.database.pool
  const later = (accountId: bigint, holdId: string) =>
    ledger.moveDeadline(pool, { accountId, holdId, expiresAt: new Date('2100-01-01') })
  const watching = new pg.Client({ connectionString: db.url })
  await watching.connect()
  try {
    let isMoved = false
    const moving = await db.database.transaction(async (tx) => {
      await ledger.lock(tx, ana)
      const { rows } = await tx.query('select pg_backend_pid() as pid')
      const moved = later(ana, held.id).finally(() => {
        isMoved = true
      })
      await until(async () => {
        const waits = await watching.query('select from pg_stat_activity where $1 = any (pg_blocking_pids(pid))', [
          rows[0].pid,
        ])
        return isMoved || waits.rows.length > 0
      })
      assert.equal(isMoved, false)
      assert.equal(await later(bob, other.id), true)
      return { moved }
    })
    assert.equal(await moving.moved, true)
  } finally {
    await watching.end()
  }
})

test('the only customer there is is waited for, too, also by a list that is carried out in order', async () => {
  const own = await freshDatabase()
  const [keeper, list, watching] = Array.from({ length: 3 }, () => new pg.Client({ connectionString: own.url })) as [
    pg.Client,
    pg.Client,
    pg.Client,
  ]
  await Promise.all([keeper, list, watching].map((client) => client.connect()))
  try {
    await ledger.open(keeper, 1n)
    await keeper.query('begin')
    await keeper.query('select from ledger_accounts where id = 1 for no key update')
    const gift = () => ({ ...base(1n), kind: 'credit', code: 'gift', contra: 'goodwill', amount: usd('1.00') }) as const
    let isOver = false
    const answers = results(list as unknown as pg.PoolClient, [gift(), gift()]).finally(() => {
      isOver = true
    })
    answers.catch(() => {})
    await until(async () => {
      const waits = await watching.query(`select from pg_stat_activity where cardinality(pg_blocking_pids(pid)) > 0`)
      return isOver || waits.rows.length > 0
    })
    await keeper.query('commit')
    assert.deepEqual(await answers, ['ok', 'ok'])
  } finally {
    await Promise.all([keeper, list, watching].map((client) => client.end()))
    await own.close()
  }
})

test('an account that is opened, and paid into, while a list waits for its locks is not there yet for the list, and no trouble', async () => {
  const clients = Array.from({ length: 4 }, () => new pg.Client({ connectionString: db.url }))
  const [list, payer, keeper, other] = clients as [pg.Client, pg.Client, pg.Client, pg.Client]
  await Promise.all(clients.map((client) => client.connect()))
  const pidOf = async (client: pg.Client) => (await client.query('select pg_backend_pid() as pid')).rows[0].pid
  const [waiting, ...pids] = await Promise.all(clients.map(pidOf))
  const waitsFor = (blocker: pg.Client) =>
    until(async () => {
      const { rows } = await other.query('select pg_blocking_pids($1) as by', [waiting])
      return rows[0].by.includes(pids[clients.indexOf(blocker) - 1])
    })
  const apply = (client: pg.Client, commands: Command[]) =>
    ledger.apply(client as unknown as pg.PoolClient, commands).then((outcomes) => outcomes.map(({ result }) => result))
  try {
    const [ana, bob] = [await customer('1.00'), nextAccount++]
    const credit = (accountId: bigint) =>
      ({ ...base(accountId), kind: 'credit', code: 'gift', contra: 'goodwill', amount: usd('1.00') }) as const
    await keeper.query('begin')
    await keeper.query('select from ledger_accounts where id = $1 for update', [ana])
    const answers = apply(list, [credit(ana), credit(ana), credit(bob)])
    answers.catch(() => {})
    await waitsFor(keeper)
    // Bob is opened now, and somebody is paying him while the list goes on.
    await ledger.open(other, bob)
    await payer.query('begin')
    assert.deepEqual(await apply(payer, [credit(bob)]), ['ok'])
    await keeper.query('commit')
    assert.deepEqual(await answers, ['ok', 'ok', 'account_not_found'])
    await payer.query('commit')
    assert.equal((await ledger.balance(db.database.pool, ana))!.available, usd('3.00'))
    assert.equal((await ledger.balance(db.database.pool, bob))!.available, usd('1.00'))
  } finally {
    await Promise.all(clients.map((client) => client.end()))
  }
})

test('a list that waits for a customer keeps nobody of those after him waiting', async () => {
  const [bob, ana] = [await customer('1.00'), await customer('1.00')]
  const clients = Array.from({ length: 3 }, () => new pg.Client({ connectionString: db.url }))
  const [list, keeper, other] = clients as [pg.Client, pg.Client, pg.Client]
  await Promise.all(clients.map((client) => client.connect()))
  try {
    const pid = (await list.query('select pg_backend_pid() as pid')).rows[0].pid
    await keeper.query('begin')
    await keeper.query('select from ledger_accounts where id = $1 for update', [bob])
    // Ana's could be done at once; the others look at each other.
    const commands = [hold(ana, '0.10'), hold(bob, '0.10'), hold(bob, '0.20')]
    const answers = ledger.apply(list as unknown as pg.PoolClient, commands)
    await until(async () => {
      const { rows } = await other.query('select cardinality(pg_blocking_pids($1)) > 0 as waits', [pid])
      return rows[0].waits
    })
    await other.query('select from ledger_accounts where id = $1 for update nowait', [ana])
    await keeper.query('commit')
    assert.deepEqual(
      (await answers).map(({ result }) => result),
      ['ok', 'ok', 'ok'],
    )
  } finally {
    await Promise.all(clients.map((client) => client.end()))
  }
})

test('what can be done is done by one statement, whatever its kind; only what cannot is looked at in order', async () => {
  const owner = new pg.Client({ connectionString: db.url })
  await owner.connect()
  const calls = async (): Promise<number> => {
    const { rows } = await owner.query(
      `select coalesce(sum(calls), 0)::int as n from pg_stat_xact_user_functions where funcname = 'ledger_carry_out_in_order'`,
    )
    return rows[0].n
  }
  const done = async (...commands: Command[]) => {
    await owner.query(`begin; set local track_functions = 'pl'`)
    // What was counted before may not have been reported yet.
    const before = await calls()
    const outcomes = await ledger.apply(owner as unknown as pg.PoolClient, commands)
    const how = (await calls()) === before ? 'at once' : 'in order'
    await owner.query('commit')
    return `${outcomes.map(({ result }) => result).join()} ${how}`
  }
  try {
    const [ana, bob] = [await customer('10.00'), await customer('1.00')]
    const moves = (kind: 'credit' | 'debit' | 'clawback_debit', amount: string) =>
      ({ ...base(ana), kind, code: 'adjustment', contra: 'goodwill', amount: usd(amount) }) as const
    const ends = (kind: 'capture' | 'void', held: Command, amount?: string) =>
      ({
        ...base(ana),
        kind,
        code: 'order',
        contra: 'revenue',
        holdId: held.id,
        ...(amount && { amount: usd(amount) }),
      }) as Command
    const claims = (code: HoldCause, amount: string) =>
      ({ ...hold(ana, amount), kind: 'clawback_hold', code, onExpiry: 'alarm' }) as Command
    const most = (held: Command, openMax: number, code: HoldCause = 'order') => ({ ...held, code, openMax }) as Command
    const [whole, part, all, back, last] = ['3.00', '2.00', '0.50', '1.00', '0.25'].map((amount) => hold(ana, amount))
    const [won, lost, won2] = [claims('dispute', '1.00'), claims('dispute', '2.00'), claims('topup_refund', '0.10')]
    const steps: [Command[], string][] = [
      [[whole!], 'ok at once'],
      [[most(part!, 2)], 'ok at once'],
      [[most(hold(ana, '0.10'), 2)], 'too_many_open_holds in order'],
      [[most(all!, 1, 'topup_refund')], 'ok at once'],
      [[most(hold(ana, '0.10'), 1, 'topup_refund')], 'too_many_open_holds in order'],
      [[ends('capture', whole!)], 'ok at once'],
      [[ends('capture', part!, '0.50')], 'ok at once'],
      [[ends('capture', all!, '0.50')], 'ok at once'],
      [[back!], 'ok at once'],
      [[ends('capture', back!, '1.01')], 'exceeds_hold in order'],
      [[ends('void', back!)], 'ok at once'],
      [[ends('void', back!)], 'already_voided in order'],
      [[moves('debit', '0.25')], 'ok at once'],
      [[moves('debit', '5.75')], 'ok at once'],
      [[moves('debit', '0.01')], 'insufficient_credits in order'],
      [[moves('credit', '0.25')], 'ok at once'],
      [[last!], 'ok at once'],
      [[won], 'ok at once'],
      [[lost], 'ok at once'],
      [[most(claims('dispute', '0.10'), 1, 'dispute')], 'ok at once'],
      [[won2], 'ok at once'],
      [[ends('void', won)], 'ok at once'],
      [[ends('capture', lost)], 'ok at once'],
      [[ends('void', won2)], 'ok at once'],
      [[moves('clawback_debit', '4.00')], 'ok at once'],
      [[moves('credit', '1.00')], 'ok at once'],
      [[moves('credit', '9.00')], 'ok at once'],
      [[moves('credit', '0.30'), { ...hold(bob, '0.40') }], 'ok,ok at once'],
      [[moves('credit', '0.10'), moves('credit', '0.20')], 'ok,ok in order'],
      [[moves('credit', '0.10'), hold(bob, '7.00')], 'ok,insufficient_credits in order'],
    ]
    for (const [index, [commands, expected]] of steps.entries())
      assert.equal(await done(...commands), expected, `step ${index}: ${commands[0]!.kind}`)
    const smallest = { ...base(bob), amount: micros(1n) }
    const least = { ...hold(bob, '0.10'), amount: micros(1n) } as Command
    assert.equal(await done({ ...smallest, kind: 'credit', code: 'gift', contra: 'goodwill' }), 'ok at once')
    assert.equal(await done(least), 'ok at once')
    assert.equal(await done({ ...ends('capture', least), accountId: bob, amount: micros(1n) } as Command), 'ok at once')
    await owner.query('update ledger_accounts set suspended = true where id = $1', [ana])
    assert.equal(await done(moves('debit', '0.35')), 'ok at once')
    assert.equal(await done(hold(ana, '0.10')), 'account_suspended in order')
    const figures = await Promise.all([ana, bob].map((account) => ledger.balance(db.database.pool, account)))
    assert.deepEqual(
      figures.map((of) => [of!.available, of!.held, of!.frozen, of!.owed].map(printAmount).join(' / ')),
      ['4.25 / 0.25 / 0.10 / 0.00', '0.60 / 0.40 / 0.00 / 0.00'],
    )
  } finally {
    await owner.end()
  }
})

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

test('a repetition that differs in a field is told which, whether the first one stands in the ledger or in the same list', async () => {
  const bob = await customer('10.00')
  const differsIn: Record<string, object> = {
    account: { accountId: bob },
    kind: { kind: 'clawback_hold' },
    contra: { contra: 'disputes' },
    code: { code: 'topup_refund' },
    amount: { amount: usd('1.01') },
    reference: { reference: newId() },
    hold: { holdId: newId() },
  }
  for (const [field, change] of Object.entries(differsIn)) {
    const ana = await customer('10.00')
    for (const how of ['in the ledger', 'in the same list'] as const) {
      const held = hold(ana, '1.00')
      const taken: Command = { ...base(ana), kind: 'capture', code: 'order', contra: 'revenue', holdId: held.id }
      const before = field === 'hold' ? [held] : []
      const first = field === 'hold' ? taken : held
      const other = { ...first, ...change } as Command
      const lists =
        how === 'in the ledger'
          ? [
              [...before, first],
              [other, first],
            ]
          : [[...before, first, other, first]]
      const words: string[] = []
      for (const list of lists)
        words.push(...(await db.database.transaction((tx) => ledger.apply(tx, list))).map((outcome) => print(outcome)))
      const expected = [...before, first].map(() => 'ok')
      assert.deepEqual(words, [...expected, `exists_with_different_fields: ${field}`, 'exists'], `${field}, ${how}`)
    }
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

test('what a refused group had done is undone for whoever comes after it in the same batch', async () => {
  // One lane: what is submitted together goes as one list.
  const together = createLedger({ database: db.database, log: openLog({ level: 'silent' }), lanes: 1 })
  try {
    const ana = await customer('2.00')
    const held = hold(ana, '1.00')
    assert.equal((await ledger.submit(held)).result, 'ok')
    const ends = { code: 'order', contra: 'revenue', holdId: held.id } as const
    const [group, captured, late] = await Promise.all([
      together.submitGroup([{ ...base(ana), ...ends, kind: 'void' }, hold(ana, '9.00')]),
      together.submit({ ...base(ana), ...ends, kind: 'capture' }),
      together.submit({ ...base(ana), ...ends, kind: 'void' }),
    ])
    assert.deepEqual(
      [...group, captured, late].map(({ result }) => result),
      ['group_refused', 'insufficient_credits', 'ok', 'already_captured'],
    )
    const other = hold(ana, '0.50')
    assert.equal((await ledger.submit(other)).result, 'ok')
    const both = (['capture', 'void'] as const).map((kind) =>
      together.submit({ ...base(ana), ...ends, holdId: other.id, kind }),
    )
    assert.deepEqual(
      (await Promise.all(both)).map(({ result }) => result),
      ['ok', 'already_captured'],
    )
  } finally {
    await together.close()
  }
})

test('a list of nothing is answered by nothing; what is no id is a bug of the caller, and nothing of it is sent', async () => {
  assert.deepEqual(await ledger.submitGroup([]), [])
  assert.deepEqual(await db.database.transaction((tx) => ledger.apply(tx, [])), [])
  const ana = await customer('1.00')
  const strange = { ...hold(ana, '0.10'), reference: `${newId()},${newId()}` }
  await assert.rejects(
    db.database.transaction((tx) => ledger.apply(tx, [strange])),
    { message: `This is no id: ${strange.reference}` },
  )
  assert.equal((await ledger.balance(db.database.pool, ana))!.held, 0n)
})

test('of a refused group nothing is left for the groups and commands after it in one list', async () => {
  const ana = await customer('5.00')
  const [held, later] = [hold(ana, '1.00'), hold(ana, '0.20')]
  const claim = { ...hold(ana, '0.50'), kind: 'clawback_hold', code: 'dispute', onExpiry: 'alarm' } as Command
  const refund = { ...hold(ana, '0.30'), code: 'topup_refund' } as Command
  for (const one of [held, claim, refund]) assert.equal((await ledger.submit(one)).result, 'ok')
  const gift = (amount: string) =>
    ({ ...base(ana), kind: 'credit', code: 'gift', contra: 'goodwill', amount: usd(amount) }) as const
  const ends = (kind: 'capture' | 'void', of: Command) =>
    ({ ...base(ana), kind, code: 'order', contra: 'revenue', holdId: of.id }) as Command
  const most = (openMax: number, code: HoldCause) => ({ ...hold(ana, '0.10'), code, openMax }) as Command
  const list: [group: number | null, command: Command, expected: string][] = [
    [1, gift('1.00'), 'group_refused'],
    [1, ends('capture', held), 'group_refused'],
    [1, ends('void', claim), 'group_refused'],
    [1, ends('capture', refund), 'group_refused'],
    [1, later, 'group_refused'],
    [1, hold(ana, '99.00'), 'insufficient_credits'],
    [null, most(1, 'order'), 'too_many_open_holds'],
    [null, most(1, 'topup_refund'), 'too_many_open_holds'],
    [null, later, 'ok'],
    [2, gift('0.05'), 'ok'],
    [2, ends('void', later), 'ok'],
    [null, ends('void', held), 'ok'],
    [null, ends('capture', held), 'already_voided'],
    [3, ends('capture', claim), 'ok'],
    [3, hold(ana, '0.40'), 'ok'],
    [null, hold(ana, '3.86'), 'insufficient_credits'],
    [null, hold(ana, '3.85'), 'ok'],
  ]
  // The door takes one group a call; the batcher sends many in one.
  const asSent = {
    query: (asked: pg.QueryConfig) =>
      db.database.pool.query({
        ...asked,
        values: [...asked.values!.slice(0, -1), `{${list.map(([group]) => group ?? 'NULL').join()}}`],
      }),
  } as unknown as pg.PoolClient
  const outcomes = await ledger.apply(
    asSent,
    list.map(([, command]) => command),
  )
  assert.deepEqual(
    outcomes.map(({ result }) => result),
    list.map(([, , expected]) => expected),
  )
  const balance = (await ledger.balance(db.database.pool, ana))!
  assert.deepEqual([balance.available, balance.held, balance.frozen].map(printAmount), ['0.00', '4.55', '0.00'])
})

test('in one list, too, a hold is resolved by whoever comes first, and a stranger learns nothing of it', async () => {
  const [ana, bob] = [await customer('5.00'), await customer('5.00')]
  const [one, two] = [hold(ana, '1.00'), hold(ana, '1.00')]
  for (const held of [one, two]) assert.equal((await ledger.submit(held)).result, 'ok')
  const ends = (accountId: bigint, kind: 'capture' | 'void', of: Command) =>
    ({ ...base(accountId), kind, code: 'order', contra: 'revenue', holdId: of.id }) as Command
  const asked = (...commands: Command[]) => db.database.transaction((tx) => results(tx, commands))
  assert.deepEqual(await asked(ends(ana, 'capture', one), ends(ana, 'void', one)), ['ok', 'already_captured'])
  assert.deepEqual(await asked(ends(ana, 'capture', two), ends(bob, 'void', two)), ['ok', 'hold_not_found'])
})

test('a group of which a part exists is looked at to its end, and a group of one is carried out', async () => {
  const ana = await customer('10.00')
  const takes = (amount: string) =>
    ({ ...base(ana), kind: 'debit', code: 'adjustment', contra: 'goodwill', amount: usd(amount) }) as const
  const asGroup = (...commands: Command[]) => db.database.transaction((tx) => results(tx, commands, { asGroup: true }))
  const known = takes('1.00')
  assert.deepEqual(await asGroup(known), ['ok'])
  assert.deepEqual(await asGroup(known, takes('6.00'), takes('6.00')), [
    'exists',
    'group_refused',
    'insufficient_credits',
  ])
  assert.equal((await ledger.balance(db.database.pool, ana))!.available, usd('9.00'))
})

test('what several customers move in one list comes to the platform as one sum', async () => {
  const [ana, bob] = [await customer('5.00'), await customer('5.00')]
  const pool = db.database.pool
  const before = await ledger.platformBalance(pool, 'goodwill')
  const takes = (accountId: bigint, amount: string) =>
    ({ ...base(accountId), kind: 'debit', code: 'adjustment', contra: 'goodwill', amount: usd(amount) }) as const
  const list = [takes(ana, '1.00'), takes(bob, '2.00')]
  assert.deepEqual(await db.database.transaction((tx) => results(tx, list)), ['ok', 'ok'])
  assert.equal(before - (await ledger.platformBalance(pool, 'goodwill')), usd('3.00'))
})

test('a list with one impossible command is carried out around it', async () => {
  const ana = await customer('1.00')
  const outcomes = await Promise.all([
    ledger.submit({ ...base(ana), kind: 'credit', code: 'gift', contra: 'goodwill', amount: usd('1.00') }),
    // Overflows the account's counter: PostgreSQL refuses the whole statement.
    ledger
      .submit({
        ...base(ana),
        kind: 'credit',
        code: 'gift',
        contra: 'goodwill',
        amount: micros(9_223_372_036_854_775_807n),
      })
      .then(
        (outcome) => outcome.result as string,
        (error: { code: string }) => error.code,
      ),
    ledger.submit({ ...base(ana), kind: 'credit', code: 'gift', contra: 'goodwill', amount: usd('1.00') }),
  ])
  assert.deepEqual(
    [(outcomes[0] as Outcome).result, outcomes[1], (outcomes[2] as Outcome).result],
    ['ok', '22003', 'ok'],
  )
  assert.equal((await ledger.balance(db.database.pool, ana))!.available, usd('3.00'))
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

test('a deadline can be moved while the hold is open, and not after', async () => {
  const ana = await customer('10.00')
  const holdId = newId()
  await ledger.submit(hold(ana, '3.00', holdId))
  const later = { accountId: ana, holdId, expiresAt: new Date('2101-01-01') }
  assert.equal(await ledger.moveDeadline(db.database.pool, later), true)
  assert.equal(await ledger.moveDeadline(db.database.pool, { ...later, accountId: ana + 1n }), false)
  await ledger.submit({ ...base(ana), kind: 'void', code: 'order_cancelled', contra: 'revenue', holdId })
  assert.equal(await ledger.moveDeadline(db.database.pool, later), false)
})

test('a hold that its owner forgot is given back by the sweep, once, or only alarmed about', async () => {
  const ana = await customer('10.00')
  const long = { expiresAt: new Date('2020-01-01') }
  await ledger.submit({ ...hold(ana, '3.00'), ...long } as Command)
  await ledger.submit({ ...hold(ana, '2.00'), ...long, onExpiry: 'alarm' } as Command)
  assert.equal(await ledger.sweepOverdueHolds(), 1)
  assert.equal(await ledger.sweepOverdueHolds(), 0)
  const balance = await ledger.balance(db.database.pool, ana)
  assert.deepEqual([balance!.available, balance!.held], [usd('8.00'), usd('2.00')])
})

test('a quarter of an hour after its deadline a hold is forgotten, and not before; what gives it back follows from it', async () => {
  const ana = await customer('10.00')
  const held = { ...hold(ana, '3.00'), expiresAt: new Date('2021-01-01T00:00:00Z') } as Command
  await ledger.submit(held)
  assert.equal(await ledger.sweepOverdueHolds(new Date('2021-01-01T00:15:00Z')), 0)
  assert.equal(await ledger.sweepOverdueHolds(new Date('2021-01-01T00:15:00.001Z')), 1)
  const [last] = await ledger.history(db.database.pool, ana, { limit: 1 })
  assert.deepEqual(
    { id: last!.id, kind: last!.kind, code: last!.code, reference: last!.reference },
    { id: derivedId(held.id, 'overdue'), kind: 'void', code: 'hold_overdue', reference: held.reference },
  )
})

test('a forgotten hold that cannot be given back is said, and keeps no other from being given back', async () => {
  const said: string[] = []
  const say = (about: { hold: string }, words: string) => void said.push(`${about.hold} ${words}`)
  const log = { ...openLog({ level: 'silent' }), error: say } as unknown as Log
  const sweeping = createLedger({ database: db.database, log })
  const [ana, bob] = [await customer('3.00'), await customer('3.00')]
  const holds = [
    { ...hold(ana, '3.00'), expiresAt: new Date('2020-01-01') } as Command,
    { ...hold(bob, '3.00'), expiresAt: new Date('2020-01-02') } as Command,
  ]
  for (const each of holds) await ledger.submit(each)
  // A hand with the owner's power made Ana's figures such that one would fall below zero.
  const held = (amount: number) => asOwner(`update ledger_accounts set held = ${amount} where id = ${ana}`)
  await held(0)
  try {
    assert.equal(await sweeping.sweepOverdueHolds(), 1)
  } finally {
    await held(3_000_000)
    await sweeping.close()
  }
  assert.equal((await ledger.balance(db.database.pool, bob))!.available, usd('3.00'))
  const [first, second] = holds.map(({ id }) => id) as [string, string]
  assert.deepEqual(
    said.filter((words) => words.startsWith(first) || words.startsWith(second)),
    [
      `${first} Incident: a hold is overdue`,
      `${first} An overdue hold could not be given back`,
      `${second} Incident: a hold is overdue`,
    ],
  )
  assert.equal(await ledger.sweepOverdueHolds(), 1)
})

test('holds that only alarm do not keep the sweep from giving back a forgotten one behind them', async () => {
  const ana = await customer('300.00')
  const alarming = { expiresAt: new Date('2019-01-01'), onExpiry: 'alarm' }
  await Promise.all(Array.from({ length: 100 }, () => ledger.submit({ ...hold(ana, '2.00'), ...alarming } as Command)))
  await ledger.submit({ ...hold(ana, '3.00'), expiresAt: new Date('2020-01-01') } as Command)
  assert.equal(await ledger.sweepOverdueHolds(), 1)
})

test('the house books its own movements once', async () => {
  const entry = {
    id: newId(),
    debit: 'card_fees',
    credit: 'card_clearing',
    amount: usd('0.59'),
    code: 'fee',
    reference: newId(),
  } as const
  const pool = db.database.pool
  // Whatever was booked before it, and after it.
  assert.equal(await bookHouseEntry(pool, { ...entry, id: newId(), reference: newId() }), 'ok')
  assert.equal(await bookHouseEntry(pool, entry), 'ok')
  assert.equal(await bookHouseEntry(pool, { ...entry, id: newId(), reference: newId() }), 'ok')
  assert.equal(await bookHouseEntry(pool, entry), 'exists')
  assert.equal(await bookHouseEntry(pool, { ...entry, amount: usd('0.60') }), 'exists_with_different_fields')
  const happenedAt = new Date('2026-01-02T03:04:05Z')
  const told = { ...entry, id: newId(), reference: newId(), happenedAt }
  assert.equal(await bookHouseEntry(pool, told), 'ok')
  const { rows } = await pool.query('select happened_at from house_entries where id = $1', [told.id])
  assert.deepEqual(rows, [{ happened_at: happenedAt }])
})

test('through the door, too; and an id that two facts share is a bug, not a refusal', async () => {
  const pool = db.database.pool
  const balance = () => ledger.platformBalance(pool, 'supplier_costs')
  const entry = { debit: 'supplier_costs', credit: 'bank', amount: usd('0.07'), code: 'supplier_cost' } as const
  const [first, back] = [0, 1].map(() => ({ ...entry, id: newId(), reference: newId() })) as [HouseEntry, HouseEntry]
  assert.equal(await balance(), 0n)
  assert.equal(await ledger.book(pool, first), 'ok')
  assert.equal(await ledger.book(pool, first), 'exists')
  await assert.rejects(ledger.book(pool, { ...first, amount: usd('0.08') }), /belongs to another movement/)
  assert.equal(await balance(), usd('0.07'))
  await ledger.book(pool, { ...back, debit: 'bank', credit: 'supplier_costs', amount: usd('0.02') })
  assert.equal(await balance(), usd('0.05'))
  await ledger.book(pool, { ...entry, id: newId(), reference: newId(), code: 'adjustment', amount: usd('0.10') })
  assert.equal(await balance(), usd('0.15'))
})

test('summing up the deltas changes no total, in no snapshot, with everybody writing beside it', async () => {
  const own = await freshDatabase()
  const owner = new pg.Client({ connectionString: own.url })
  await owner.connect()
  const writer = createLedger({ database: own.database, log: openLog({ level: 'silent' }) })
  try {
    for (let account = 1n; account <= 20n; account++) await writer.open(own.database.pool, account)
    // What was counted before it is read is in every total that is read after it.
    let written = 0n
    let over = false
    const writing = Array.from({ length: 8 }, async (_, n) => {
      for (let i = 0; i < 60; i++) {
        const accountId = BigInt(((n * 7 + i) % 20) + 1)
        const reference = newId()
        const credit = {
          id: newId(),
          kind: 'credit',
          accountId,
          code: 'gift',
          contra: 'goodwill',
          amount: micros(1_000_000n),
          reference,
        } as const
        assert.ok((await writer.submit(credit)).done)
        written += 1_000_000n
        if (i % 3 === 0)
          assert.equal(
            await bookHouseEntry(own.database.pool, {
              id: newId(),
              debit: 'card_fees',
              credit: 'card_clearing',
              amount: micros(10_000n),
              code: 'fee',
              reference,
            }),
            'ok',
          )
      }
    })
    const compacting = [1, 2, 3].map(async () => {
      let rows = 0
      while (!over) {
        const { rows: answer } = await own.database.pool.query('select ledger_compact($1) as taken', [7])
        rows += answer[0].taken
      }
      return rows
    })
    const looking = (async () => {
      let looks = 0
      while (!over) {
        const before = written
        const { rows } = await owner.query(
          `select (select coalesce(sum(debits - credits), 0) from platform_totals where platform = 6)::text as given,
                  (select sum(credits) from ledger_accounts)::text as owned,
                  (select coalesce(sum(credits - debits), 0) from platform_totals where platform in (1, 8))::text as house`,
        )
        assert.equal(rows[0].given, rows[0].owned)
        assert.equal(rows[0].house, '0')
        assert.ok(BigInt(rows[0].given) >= before)
        looks++
      }
      return looks
    })()
    await Promise.all(writing).finally(() => {
      over = true
    })
    const looks = await looking
    const summed = (await Promise.all(compacting)).reduce((a, b) => a + b, 0)
    assert.ok(summed > 0 && looks > 0)
    await writer.compact()
    const { rows } = await owner.query(
      `select (select count(*)::int from platform_deltas) as deltas, (select count(*)::int from platform_sums) as sums,
              (select sum(entries)::int from platform_totals) as entries`,
    )
    assert.deepEqual(rows, [{ deltas: 0, sums: 3, entries: 8 * 60 + 2 * 8 * 20 }])
    assert.equal(await writer.compact(), 0, 'a second time there is nothing to do')
    assert.deepEqual(await auditLedger(own.database.pool, 'ledger'), [])
  } finally {
    await writer.close()
    await owner.end()
    await own.close()
  }
})

test('one run sums up all deltas, also more than go into one transaction', async () => {
  const own = await freshDatabase()
  const owner = new pg.Client({ connectionString: own.url })
  await owner.connect()
  const compacting = createLedger({ database: own.database, log: openLog({ level: 'silent' }) })
  try {
    await owner.query('insert into platform_deltas select 1, 30, 1, 0, 1 from generate_series(1, 5003)')
    assert.deepEqual((await owner.query('select ledger_compact(2) as taken')).rows, [{ taken: 2 }])
    assert.equal(await compacting.compact(), 5001)
    const { rows } = await owner.query('select debits, credits, entries from platform_sums')
    assert.deepEqual(rows, [{ debits: '5003', credits: '0', entries: '5003' }])
  } finally {
    await compacting.close()
    await owner.end()
    await own.close()
  }
})

test('what never ends is summed up for fifty transactions, until little is left, and not at all while the server stops', async () => {
  const of = (rowsThereAre: number, transactions: number) => {
    let [left, asked] = [rowsThereAre, 0]
    const pool = {
      async query(_: string, [rows]: [number]) {
        if (++asked > transactions) throw new Error('asked once more')
        const taken = Math.min(rows, left)
        left -= taken
        return { rows: [{ taken }] }
      },
    }
    return createLedger({ database: { pool } as unknown as Database, log: openLog({ level: 'silent' }) })
  }
  assert.equal(await of(Infinity, 50).compact(), 50 * 5000)
  assert.equal(await of(9999, 2).compact(), 9999)
  assert.equal(await of(Infinity, 0).compact(AbortSignal.abort()), 0)
})

test('a compaction that dies half-way has changed nothing', async () => {
  const fee = {
    id: newId(),
    debit: 'card_fees',
    credit: 'card_clearing',
    amount: usd('0.59'),
    code: 'fee',
    reference: newId(),
  } as const
  assert.equal(await bookHouseEntry(db.database.pool, fee), 'ok')
  const before = await totals()
  const client = await db.database.connect()
  try {
    await client.query('begin')
    const { rows } = await client.query('select ledger_compact(1000) as taken')
    assert.ok(rows[0].taken > 0)
    assert.equal(await ledger.compact(), 0, 'one at a time: the second leaves it to the first')
    assert.deepEqual(await totals(), before)
  } finally {
    client.release(true)
  }
  await ledger.compact()
  assert.deepEqual(await totals(), before)
  assert.deepEqual(await auditLedger(db.database.pool, 'ledger'), [])
})

async function totals(): Promise<unknown[]> {
  const { rows } = await db.database.pool.query('select * from platform_totals order by platform, code')
  return rows
}

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
