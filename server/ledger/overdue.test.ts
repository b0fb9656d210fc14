/** Deadlines: moved while the hold is open, and after them the net that gives back what its owner forgot. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { usd } from '../../contract/money.ts'
import { base, hold, openBooks } from '../../test/ledger/books.ts'
import { derivedId, newId } from '../platform/ids.ts'
import { type Log, openLog } from '../platform/log.ts'
import { type Command, createLedger } from './ledger.ts'

const { db, ledger, customer, close } = await openBooks()
after(close)

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
  const held = (amount: number) => db.asOwner(`update ledger_accounts set held = ${amount} where id = ${ana}`)
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
