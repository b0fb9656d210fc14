/**
 * What callers of the ledger were told, held against its books, one by one.
 *
 * An acknowledged list is there, each command of it as one row with exactly its fields. A refused one, and one of which it was said that
 * nothing was done, left no row. One that nobody answered is wholly there or wholly not. Every row is that of a list somebody sent, and
 * follows lawfully from the rows before it: the model of the ledger, given the same commands in the order of the rows, ends with the same
 * books, figures, open holds and totals of the platform's accounts. Then everything is sent again: what is there answers `exists`, and
 * what is not is carried out or refused exactly as the model says.
 */
import assert from 'node:assert/strict'
import { causes, platformAccounts } from '../../server/ledger/chart.ts'
import { type Command, createLedger } from '../../server/ledger/ledger.ts'
import type { Database, Row } from '../../server/platform/db.ts'
import { openLog } from '../../server/platform/log.ts'
import { compare, createModel, type Model } from '../ledger/model.ts'
import { booksOf, firstDifference, print, readBooks, readTotals, type Totals } from '../ledger/oracle.ts'

/** `answer`: a word for each command; or it was sent away, and nothing was done; or nobody knows. */
export type Sent = { list: Command[]; answer: string[] | 'sent away' | 'unanswered' }
export type Counts = ReturnType<typeof noCounts>

/** Fewer than the batcher lets wait. */
const AGAIN_AT_ONCE = 1_000

export function noCounts() {
  return {
    commands: 0,
    acknowledged: 0,
    refused: 0,
    sentAway: 0,
    unansweredThere: 0,
    unansweredAbsent: 0,
    compared: 0,
    /** Of the absent ones, those that were carried out when they were sent again; the others were refused. */
    carriedOutAgain: 0,
  }
}

/** Of accounts that were opened for the purpose, and before anything was sent to them. */
export async function openProof(database: Database, accounts: bigint[]) {
  const before = await readTotals({ database })
  return {
    /** Nobody else is at work meanwhile. `told`: what was sent, of each sender in the order in which he did. */
    prove: (sent: Sent[], counts: Counts) => prove(database, accounts, before, sent, counts),
  }
}

async function prove(
  database: Database,
  accounts: bigint[],
  before: Totals,
  sent: Sent[],
  counts: Counts,
): Promise<void> {
  const model = createModel()
  for (const account of accounts) model.open(account)
  await replay(database, accounts, model, sent)
  const books = async () => readBooks({ database }, accounts, before, await readTotals({ database }))
  assert.equal(firstDifference(booksOf(model, accounts), await books()), null)

  // As they are now: what is sent again may add some.
  const movements = new Map(model.books().movements)
  const isThere = (command: Command) => {
    const movement = movements.get(command.id)
    return movement !== undefined && compare(movement, command) === 'exists'
  }
  const explained = new Set<string>()
  /** How often it was said that an id was carried out now. */
  const carriedOut = new Map<string, number>()
  for (const { list, answer } of sent) {
    const words = typeof answer === 'string' ? null : answer
    const whole = list.every(isThere)
    const mayBeDone = answer === 'unanswered' || words?.every((word) => word === 'ok' || word === 'exists')
    if (whole && mayBeDone) for (const { id } of list) explained.add(id)
    counts.commands += list.length
    counts.compared += list.length
    if (answer === 'sent away') counts.sentAway += list.length
    else if (answer === 'unanswered') counts[whole ? 'unansweredThere' : 'unansweredAbsent'] += list.length
    for (const [index, word] of (words ?? []).entries()) {
      const command = list[index]!
      if (word === 'ok' || word === 'exists') {
        counts.acknowledged++
        assert.ok(isThere(command), `acknowledged (${word}), and not there: ${show(command)}`)
        if (word === 'ok') carriedOut.set(command.id, (carriedOut.get(command.id) ?? 0) + 1)
      } else {
        counts.refused++
        // Unless it was one of this very list that had the id, and they were refused together.
        if (word.startsWith('exists_with') && list.filter(({ id }) => id === command.id).length === 1) {
          const other = movements.get(command.id)
          assert.ok(other, `it was said that this exists: ${show(command)}`)
          assert.equal(compare(other, command), word, show(command))
        }
      }
    }
  }
  for (const id of movements.keys()) {
    assert.ok(explained.has(id), `${id} is there, and its list is not wholly so, or was refused`)
    assert.ok((carriedOut.get(id) ?? 0) <= 1, `${id} was acknowledged as carried out twice`)
  }

  await again(database, model, sent, isThere, counts)
  assert.equal(firstDifference(booksOf(model, accounts), await books()), null)
}

/** Carries out in the model what the rows say was carried out, in their order. */
async function replay(database: Database, accounts: bigint[], model: Model, sent: Sent[]): Promise<void> {
  const candidates = new Map<string, Set<Command>>()
  for (const { list } of sent)
    for (const command of list) {
      const known = candidates.get(command.id)
      if (known) known.add(command)
      else candidates.set(command.id, new Set([command]))
    }
  const { rows } = await database.pool.query<
    Row<'transfers'> & { happened: Date | null; expires_at: Date | null; on_expiry: string | null }
  >(
    `select t.*, case when t.happened_at <> t.recorded_at then t.happened_at end as happened, o.expires_at, o.on_expiry
       from transfers t
       left join open_holds o on o.hold_id = t.id
      where t.account_id = any ($1)
      order by t.account_id, t.number`,
    [accounts],
  )
  for (const row of rows) {
    const isIts = (command: Command) =>
      command.accountId === BigInt(row.account_id) &&
      command.kind === row.kind &&
      causes[command.code] === row.code &&
      platformAccounts[command.contra] === row.contra &&
      command.reference === row.reference &&
      ('holdId' in command ? command.holdId : null) === row.hold_id &&
      (!('amount' in command) || command.amount === undefined || command.amount === BigInt(row.amount)) &&
      (command.happenedAt?.getTime() ?? null) === (row.happened?.getTime() ?? null) &&
      (row.expires_at === null ||
        ('expiresAt' in command &&
          command.expiresAt.getTime() === row.expires_at.getTime() &&
          command.onExpiry === row.on_expiry))
    const own = [...(candidates.get(row.id) ?? [])].filter(isIts)
    assert.ok(own.length > 0, `a row that nobody sent: ${JSON.stringify(row)}`)
    // Two may differ in what leaves no trace in the row.
    const fits = own.some((command) => model.apply([command])[0] === 'ok')
    assert.ok(fits, `a row that does not follow from those before it: ${JSON.stringify(row)}`)
  }
}

/** Over one connection, so that they are decided in the order in which they are sent. */
async function again(
  database: Database,
  model: Model,
  sent: Sent[],
  isThere: (command: Command) => boolean,
  counts: Counts,
): Promise<void> {
  const ledger = createLedger({ database, log: openLog({ level: 'silent' }), lanes: 1 })
  try {
    for (let from = 0; from < sent.length; from += AGAIN_AT_ONCE) {
      const some = sent.slice(from, from + AGAIN_AT_ONCE)
      const outcomes = await Promise.all(some.map(({ list }) => ledger.submitGroup(list)))
      for (const [index, { list, answer }] of some.entries()) {
        const words = outcomes[index]!.map(print)
        assert.deepEqual(
          words,
          model.apply(list),
          `sent again (${JSON.stringify(answer)}): ${list.map(show).join('\n')}`,
        )
        for (const [at, word] of words.entries()) {
          const command = list[at]!
          const first = typeof answer === 'string' ? answer : answer[at]
          if (first === 'ok' || (isThere(command) && list.length === 1)) assert.equal(word, 'exists', show(command))
          if (first === 'unanswered' && word === 'ok') counts.carriedOutAgain++
        }
      }
    }
  } finally {
    await ledger.close()
  }
}

function show(command: Command): string {
  return JSON.stringify(command, (_, value) => (typeof value === 'bigint' ? `${value}` : value))
}
