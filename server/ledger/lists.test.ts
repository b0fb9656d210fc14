/** A list is an envelope: of what goes together, each is answered as if it had come alone, in its order; of a group, all or nothing. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import fc from 'fast-check'
import pg from 'pg'
import { micros, printAmount, usd } from '../../contract/money.ts'
import { base, hold, openBooks, print } from '../../test/ledger/books.ts'
import { newId } from '../platform/ids.ts'
import { openLog } from '../platform/log.ts'
import type { HoldCause } from './chart.ts'
import { type Command, createLedger, type Outcome } from './ledger.ts'

const { db, ledger, newAccount, customer, results, close } = await openBooks()
after(close)

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
            const accounts = [newAccount(), newAccount()] as const
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
