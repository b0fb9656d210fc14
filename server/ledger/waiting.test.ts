/** Many at once: nobody gets what another has, whoever must wait does, and nobody else. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import pg from 'pg'
import { usd } from '../../contract/money.ts'
import { freshDatabase } from '../../test/database.ts'
import { base, hold, openBooks } from '../../test/ledger/books.ts'
import { until } from '../../test/until.ts'
import { newId } from '../platform/ids.ts'
import type { Command } from './ledger.ts'

const { db, ledger, newAccount, customer, results, waitsFor, close } = await openBooks()
after(close)

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
  await db.database.transaction(async (tx) => {
    await ledger.lock(tx, ana)
    await waitsFor(tx, ledger.submit(credit))
    assert.equal((await ledger.balance(tx, ana))!.available, usd('1.00'))
    // Nobody else's does.
    assert.deepEqual(await db.database.transaction((other) => results(other, [hold(bob, '0.50')])), ['ok'])
  })
  await until(async () => (await ledger.balance(db.database.pool, ana))!.available === usd('2.00'))
})

test('a deadline is moved when nobody else moves money of that account, and is not held up by others', async () => {
  const [ana, bob] = [await customer('1.00'), await customer('1.00')]
  const [held, other] = [hold(ana, '0.50'), hold(bob, '0.50')]
  for (const one of [held, other]) assert.equal((await ledger.submit(one)).result, 'ok')
  const pool = db.database.pool
  const later = (accountId: bigint, holdId: string) =>
    ledger.moveDeadline(pool, { accountId, holdId, expiresAt: new Date('2100-01-01') })
  const { moved } = await db.database.transaction(async (tx) => {
    await ledger.lock(tx, ana)
    const moved = later(ana, held.id)
    await waitsFor(tx, moved)
    assert.equal(await later(bob, other.id), true)
    return { moved }
  })
  assert.equal(await moved, true)
})

test('the only customer there is is waited for, too, also by a list that is carried out in order', async () => {
  const own = await freshDatabase()
  const [keeper, list] = [new pg.Client({ connectionString: own.url }), new pg.Client({ connectionString: own.url })]
  await Promise.all([keeper, list].map((client) => client.connect()))
  try {
    await ledger.open(keeper, 1n)
    await keeper.query('begin')
    await keeper.query('select from ledger_accounts where id = 1 for no key update')
    const gift = () => ({ ...base(1n), kind: 'credit', code: 'gift', contra: 'goodwill', amount: usd('1.00') }) as const
    const answers = results(list as unknown as pg.PoolClient, [gift(), gift()])
    await waitsFor(keeper, answers)
    await keeper.query('commit')
    assert.deepEqual(await answers, ['ok', 'ok'])
  } finally {
    await Promise.all([keeper, list].map((client) => client.end()))
    await own.close()
  }
})

test('an account that is opened, and paid into, while a list waits for its locks is not there yet for the list, and no trouble', async () => {
  const clients = Array.from({ length: 4 }, () => new pg.Client({ connectionString: db.url }))
  const [list, payer, keeper, other] = clients as [pg.Client, pg.Client, pg.Client, pg.Client]
  await Promise.all(clients.map((client) => client.connect()))
  const apply = (client: pg.Client, commands: Command[]) => results(client as unknown as pg.PoolClient, commands)
  try {
    const [ana, bob] = [await customer('1.00'), newAccount()]
    const credit = (accountId: bigint) =>
      ({ ...base(accountId), kind: 'credit', code: 'gift', contra: 'goodwill', amount: usd('1.00') }) as const
    await keeper.query('begin')
    await keeper.query('select from ledger_accounts where id = $1 for update', [ana])
    const answers = apply(list, [credit(ana), credit(ana), credit(bob)])
    await waitsFor(keeper, answers)
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
    await keeper.query('begin')
    await keeper.query('select from ledger_accounts where id = $1 for update', [bob])
    // Ana's could be done at once; the others look at each other.
    const commands = [hold(ana, '0.10'), hold(bob, '0.10'), hold(bob, '0.20')]
    const answers = results(list as unknown as pg.PoolClient, commands)
    await waitsFor(keeper, answers)
    await other.query('select from ledger_accounts where id = $1 for update nowait', [ana])
    await keeper.query('commit')
    assert.deepEqual(await answers, ['ok', 'ok', 'ok'])
  } finally {
    await Promise.all(clients.map((client) => client.end()))
  }
})
