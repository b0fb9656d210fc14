/**
 * Plays a stream through the ledger with real PostgreSQL, over one connection or several, and holds every answer and all books
 * against the model.
 *
 * With several connections it is the database that decides the order. To compare exactly all the same, every transaction takes a
 * ticket while it holds the rows of all its customers, just before it commits: whatever two transactions had a customer in common got
 * their tickets in the order in which they had him. So the model, given the same commands in the order of the tickets, must say the
 * same words, also the refusals, and end with the same books. One thing is decided without a lock in common: whether an id is taken
 * already under another customer. There a refusal may be as if another's transaction, which was under way between question and
 * answer, had not been; a success never.
 */
import pg from 'pg'
import { causeOf, causes, platformAccounts } from '../../server/ledger/chart.ts'
import { bookHouseEntry } from '../../server/ledger/house.ts'
import { type Command, createLedger, type Ledger, type Outcome } from '../../server/ledger/ledger.ts'
import { Overloaded } from '../../server/platform/batch.ts'
import type { Database } from '../../server/platform/db.ts'
import { openLog } from '../../server/platform/log.ts'
import { freshDatabase, type TestDatabase } from '../database.ts'
import { createModel, type Model } from './model.ts'
import { drawStream, type Step } from './stream.ts'

export type Oracle = Awaited<ReturnType<typeof openOracle>>
/** `difference`: where ledger and model first differ, in words; null when they agree. */
export type Played = {
  difference: string | null
  /** In the order in which they came. */
  answers: { command: Command; word: string }[]
  transactions: number
  accounts: bigint[]
}

export const ACCOUNTS = 4
/** All subsets of these are tried. */
const UNSEEN_MAX = 6
/** Two lists that take each other's ids in another order: one gives way, undone, and is sent again. */
const TRIES_MAX = 20
const log = openLog({ level: 'silent' })

/** What was asked and answered at one moment of one connection. */
type Answered = {
  ticket: bigint
  /** When, counted in questions and answers. */
  asked: number
  /** What the model has to say to it; null: the same. */
  replay: (model: Model) => string | null
}

/**
 * A database with tickets. `prepare`: SQL that is run in it first, as the owner; `create`: another ledger than ours. `lanes`: of each batcher; `ledgers`: how many batchers there are, as in several processes. Each step of a
 * stream goes through one of them; `ledgers` × `lanes` connections work at a time.
 */
export async function openOracle(settings: {
  ledgers: number
  lanes: number
  prepare?: string
  create?: typeof createLedger
}) {
  const connections = settings.ledgers * settings.lanes
  const db = await freshDatabase({ connectionsMax: 3 * connections + 4 })
  const owner = new pg.Pool({ connectionString: db.url, max: connections })
  // Deadlocks are part of the play; no need to wait a second for each.
  await owner.query(`
    create sequence tickets;
    grant usage on sequence tickets to mobilesms_app;
    alter database ${db.name} set deadlock_timeout = '10ms'`)
  if (settings.prepare) await owner.query(settings.prepare)
  const tickets = countTickets(db.database)
  const ledgers = Array.from({ length: settings.ledgers }, () =>
    (settings.create ?? createLedger)({ database: tickets.database, log, lanes: settings.lanes }),
  )
  let nextAccount = 1n

  return {
    db,
    owner,
    /** Plays what a seed says. */
    play: (seed: number, commands: number): Promise<Played> =>
      playSteps((accounts, strangers) => drawStream(seed, { accounts, strangers, commands, alone: connections === 1 })),
    playSteps,
    async close(): Promise<void> {
      await Promise.all(ledgers.map((ledger) => ledger.close()))
      await owner.end()
      await db.close()
    },
  }

  async function playSteps(draw: (accounts: bigint[], strangers: bigint[]) => Step[]): Promise<Played> {
    const accounts = Array.from({ length: ACCOUNTS }, () => nextAccount++)
    const model = createModel()
    for (const account of accounts) {
      await ledgers[0]!.open(db.database.pool, account)
      model.open(account)
    }
    const steps = draw(accounts, [1_000_000_001n, 1_000_000_002n])
    const totalsBefore = await readTotals(db)
    const answered: Answered[] = []
    /** Of each id that was taken: in which transaction, and when that was told. */
    const takenBy = new Map<string, { ticket: bigint; told: number }>()
    const answers: Played['answers'] = []
    let moment = 0
    let taken = 0
    const hands = Array.from({ length: connections }, async (_, hand) => {
      while (taken < steps.length) {
        const step = steps[taken++]!
        await carryOut(step, ledgers[hand % ledgers.length]!)
      }
    })
    await Promise.all(hands)
    if (connections === 1 && answered.some((one, index) => index > 0 && one.ticket < answered[index - 1]!.ticket))
      throw new Error('With one connection, tickets come in the order of the steps')

    // The order of one list is the order in which its commands were asked.
    answered.sort((a, b) => Number(a.ticket - b.ticket) || a.asked - b.asked)
    let difference: string | null = null
    for (const one of answered) difference ??= one.replay(model)
    difference ??= firstDifference(
      booksOf(model, accounts),
      await readBooks(db, accounts, totalsBefore, await readTotals(db)),
    )
    return { difference, answers, transactions: new Set(answered.map((one) => one.ticket)).size, accounts }

    async function carryOut(step: Step, ledger: Ledger): Promise<void> {
      const asked = moment++
      const tell = (ticket: bigint, replay: Answered['replay']) => void answered.push({ ticket, asked, replay })
      switch (step.does) {
        case 'apply':
          if (step.how === 'collected') await Promise.all(step.lists.map((list) => collected(ledger, list)))
          else {
            if (step.how === 'inside, twice') await inside(ledger, step.lists, 'rolled back')
            await inside(ledger, step.lists, 'committed')
          }
          return
        case 'move deadline': {
          const { accountId, holdId, expiresAt } = step
          const moved = await tickets.transaction((tx) => ledger.moveDeadline(tx, { accountId, holdId, expiresAt }))
          return tell(moved.ticket, (model) =>
            differs(step, String(model.moveDeadline(accountId, holdId, expiresAt)), String(moved.result)),
          )
        }
        case 'suspend': {
          const { rows } = await untilItPasses(() =>
            owner.query('update ledger_accounts set suspended = $2 where id = $1 returning nextval($3) as ticket', [
              step.accountId,
              step.suspended,
              'tickets',
            ]),
          )
          return tell(BigInt(rows[0].ticket), (model) => {
            model.suspend(step.accountId, step.suspended)
            return null
          })
        }
        case 'book': {
          const { entry } = step
          const booked = await tickets.transaction((tx) => bookHouseEntry(tx, entry))
          return tell(booked.ticket, (model) => differs(step, model.book(entry), booked.result))
        }
        case 'compact':
          await ledger.compact()
          return
        case 'sweep': {
          const swept = await ledger.sweepOverdueHolds(step.asOf)
          const { ticket } = await tickets.transaction(async () => {})
          return tell(ticket, (model) => differs(step, String(model.sweep(step.asOf)), String(swept)))
        }
      }
    }

    async function collected(ledger: Ledger, list: Command[]): Promise<void> {
      let asked = 0
      const submit = (tries: number): Promise<Outcome[]> => {
        asked = moment++
        return ledger.submitGroup(list).catch((error: Error) => {
          // It says that nothing was done: then it is not done twice. It goes behind those that were asked meanwhile.
          if (error instanceof Overloaded && tries < TRIES_MAX) return submit(tries + 1)
          throw error
        })
      }
      const words = await submit(1).then(
        (outcomes) => outcomes.map(print),
        (error: Error) => list.map(() => `an exception: ${error.message}`),
      )
      answer([list], words, { ticket: tickets.last(), asked, committed: true })
    }

    async function inside(ledger: Ledger, lists: Command[][], end: 'committed' | 'rolled back'): Promise<void> {
      const asked = moment++
      const { words, ticket } = await tickets
        .transaction(async (tx) => {
          const outcomes: Outcome[] = []
          for (const { commands, asGroup } of calls(lists))
            outcomes.push(...(await ledger.apply(tx, commands, { asGroup })))
          return outcomes
        }, end)
        .then(
          ({ result, ticket }) => ({ words: result.map(print), ticket }),
          (error: Error) => ({
            words: lists.flat().map(() => `an exception: ${error.message}`),
            ticket: tickets.last(),
          }),
        )
      answer(lists, words, { ticket, asked, committed: end === 'committed' })
    }

    function answer(
      lists: Command[][],
      words: string[],
      when: { ticket: bigint; asked: number; committed: boolean },
    ): void {
      const { ticket, asked, committed } = when
      const told = moment++
      const commands = lists.flat()
      for (const [index, word] of words.entries()) {
        const command = commands[index]!
        answers.push({ command, word })
        if (word === 'ok' && committed) takenBy.set(command.id, { ticket, told })
      }
      answered.push({ ticket, asked, replay })

      function replay(model: Model): string | null {
        let first: string[] | null = null
        for (const unseen of subsets(underWay(model, commands, when))) {
          const trial = model.copy()
          const trialWords = lists.flatMap((list) => trial.apply(list, unseen))
          first ??= trialWords
          if (trialWords.some((word, index) => word !== words[index])) continue
          if (words.some((word, index) => word === 'ok' && unseen.has(commands[index]!.id))) continue
          if (committed) for (const list of lists) model.apply(list, unseen)
          return null
        }
        const index = first!.findIndex((word, at) => word !== words[at])
        return differs({ list: commands, at: index, command: commands[index] }, first![index]!, words[index]!)
      }
    }

    /** Those of its ids that another customer took in a transaction that was under way between question and answer. */
    function underWay(model: Model, commands: Command[], when: { ticket: bigint; asked: number }): string[] {
      if (connections === 1) return []
      const foreign = commands.filter((command) => {
        const taken = takenBy.get(command.id)
        const owner = model.books().movements.get(command.id)?.accountId
        const seen = owner === undefined || commands.some((one) => one.accountId === owner)
        return taken && !seen && taken.ticket !== when.ticket && taken.told > when.asked
      })
      return [...new Set(foreign.map((command) => command.id))].slice(0, UNSEEN_MAX)
    }
  }
}

/** A way into the database on which every transaction takes a ticket at its end. */
function countTickets(database: Database) {
  let last = 0n

  async function take(connection: Pick<pg.PoolClient, 'query'>): Promise<bigint> {
    const { rows } = await connection.query(`select nextval('tickets') as ticket`)
    return BigInt(rows[0].ticket)
  }

  async function transaction<Result>(
    work: (tx: pg.PoolClient) => Promise<Result>,
    end: 'committed' | 'rolled back' = 'committed',
  ): Promise<{ result: Result; ticket: bigint }> {
    return untilItPasses(async () => {
      let done: { result: Result; ticket: bigint } | null = null
      try {
        await database.transaction(async (tx) => {
          const result = await work(tx)
          done = { result, ticket: await take(tx) }
          if (end === 'rolled back') throw new Error('rolled back')
        })
      } catch (error) {
        if (!done || end === 'committed') throw error
      }
      return done!
    })
  }

  /** What a batcher calls takes its ticket in the same statement; the batcher's own settings of the connection pass. */
  async function connect(): Promise<pg.PoolClient> {
    const connection = await database.connect()
    const query = async (asked: string | pg.QueryConfig) => {
      if (typeof asked === 'string') return connection.query(asked)
      const answer = await connection.query({
        name: `${asked.name}_with_ticket`,
        values: asked.values ?? [],
        // Materialized: the call has ended before the ticket is taken.
        text: `with answer as materialized (${asked.text}) select answer.*, nextval('tickets') as ticket from answer`,
      })
      // Read by those who are told by this very answer: nothing else comes between.
      last = BigInt(answer.rows[0].ticket)
      return answer
    }
    return Object.assign(Object.create(connection) as pg.PoolClient, { query })
  }

  return { database: { ...database, connect }, transaction, last: () => last }
}

/** Again when the database chose it to give way: a deadlock, an id that another took meanwhile, a row that was kept for too long. */
export async function untilItPasses<Result>(work: () => Promise<Result>): Promise<Result> {
  for (let tries = 1; ; tries++) {
    try {
      return await work()
    } catch (error) {
      if (tries === TRIES_MAX || !['40P01', '23505', '55P03'].includes((error as { code: string }).code)) throw error
    }
  }
}

/** Each group by itself; single commands that follow each other together. */
function calls(lists: Command[][]): { commands: Command[]; asGroup: boolean }[] {
  const all: { commands: Command[]; asGroup: boolean }[] = []
  for (const list of lists) {
    const last = all.at(-1)
    if (list.length === 1 && last && !last.asGroup) last.commands.push(list[0]!)
    else all.push({ commands: [...list], asGroup: list.length > 1 })
  }
  return all
}

function* subsets(ids: string[]): Generator<ReadonlySet<string>> {
  for (let mask = 0; mask < 2 ** ids.length; mask++) yield new Set(ids.filter((_, bit) => mask & (1 << bit)))
}

export function print(outcome: Outcome): string {
  return outcome.done || !outcome.differs ? outcome.result : `${outcome.result}: ${outcome.differs.join(', ')}`
}

function differs(what: unknown, model: string, ledger: string): string | null {
  if (model === ledger) return null
  const text = JSON.stringify(what, (_, value) => (typeof value === 'bigint' ? `${value}` : value))
  return `The model says "${model}", the ledger "${ledger}", to ${text}`
}

export function firstDifference(model: string[], ledger: string[]): string | null {
  const missing = model.find((line) => !ledger.includes(line))
  const surplus = ledger.find((line) => !model.includes(line))
  if (missing === undefined && surplus === undefined) return null
  return `The books differ. The model has: ${missing ?? '-'}; the ledger has: ${surplus ?? '-'}`
}

/** All that must be the same in the end, a line each. */
export function booksOf(model: Model, accounts: bigint[]): string[] {
  const books = model.books()
  return [
    ...accounts.map((id) => {
      const { credits, debits, suspended, transfers } = books.accounts.get(id)!
      const { held, frozen, owed } = model.figures(id)
      const open = Object.entries(causes)
        .filter(([code, number]) => number <= 3 && model.openHolds(id, code as keyof typeof causes) > 0)
        .map(([code]) => `${code} ${model.openHolds(id, code as keyof typeof causes)}`)
      return line('account', [id, credits, debits, held, frozen, owed, suspended, transfers, ...open])
    }),
    ...[...books.movements.values()].map((m) =>
      line('transfer', [
        ...[m.id, m.accountId, m.number, m.kind, m.code, m.contra, m.amount, m.returned, m.holdId, m.reference],
        ...[m.availableAfter, m.heldAfter, m.frozenAfter, m.owedAfter, m.happenedAt?.toISOString() ?? 'as recorded'],
      ]),
    ),
    ...[...books.open.values()].map(({ movement: { id, accountId, code, amount }, expiresAt, onExpiry }) =>
      line('open hold', [id, accountId, code, amount, expiresAt.toISOString(), onExpiry]),
    ),
    ...[...books.platform].map(([name, { debits, credits, entries }]) => line(name, [debits, credits, entries])),
  ]
}

export async function readBooks(
  db: Pick<TestDatabase, 'database'>,
  accounts: bigint[],
  before: Totals,
  after: Totals,
): Promise<string[]> {
  const read = async (statement: string) => (await db.database.pool.query(statement, [accounts])).rows
  const rows = await read('select * from ledger_accounts where id = any ($1)')
  const transfers = await read('select * from transfers where account_id = any ($1)')
  const open = await read('select * from open_holds where account_id = any ($1)')
  const contra = new Map<number, string>(Object.entries(platformAccounts).map(([word, number]) => [number, word]))
  return [
    ...rows.map((a) => {
      const holds = [a.open_orders, a.open_topup_refunds, a.open_disputes].flatMap((n, i) =>
        n === 0 ? [] : [`${causeOf(i + 1)} ${n}`],
      )
      return line('account', [
        a.id,
        a.credits,
        a.debits,
        a.held,
        a.frozen,
        a.owed,
        a.suspended,
        a.transfer_count,
        ...holds,
      ])
    }),
    ...transfers.map((t) =>
      line('transfer', [
        ...[t.id, t.account_id, t.number, t.kind, causeOf(t.code), contra.get(t.contra), t.amount, t.returned],
        ...[t.hold_id, t.reference, t.available_after, t.held_after, t.frozen_after, t.owed_after],
        t.happened_at.getTime() === t.recorded_at.getTime() ? 'as recorded' : t.happened_at.toISOString(),
      ]),
    ),
    ...open.map((o) =>
      line('open hold', [o.hold_id, o.account_id, causeOf(o.code), o.amount, o.expires_at.toISOString(), o.on_expiry]),
    ),
    ...[...after].flatMap(([key, now]) => {
      const was = before.get(key) ?? { debits: 0n, credits: 0n, entries: 0n }
      if (now.entries === was.entries && now.debits === was.debits && now.credits === was.credits) return []
      const [platform, code] = key.split('/').map(Number)
      const moved = [now.debits - was.debits, now.credits - was.credits, now.entries - was.entries]
      return [line(`${contra.get(platform!)}/${causeOf(code!)}`, moved)]
    }),
  ]
}

export type Totals = Map<string, { debits: bigint; credits: bigint; entries: bigint }>

export async function readTotals(db: Pick<TestDatabase, 'database'>): Promise<Totals> {
  const { rows } = await db.database.pool.query('select * from platform_totals')
  return new Map(
    rows.map((row) => [
      `${row.platform}/${row.code}`,
      { debits: BigInt(row.debits), credits: BigInt(row.credits), entries: BigInt(row.entries) },
    ]),
  )
}

function line(what: string, values: unknown[]): string {
  return `${what}: ${values.join(' ')}`
}
