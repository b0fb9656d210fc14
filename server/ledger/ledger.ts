/**
 * The ledger: the only code that moves money. A movement is a *transfer*, one immutable row; its id is chosen by the caller and is
 * the idempotency key. See README.md for the chart, the invariants and a worked day.
 */
import type pg from 'pg'
import { micros, type Usd } from '../../contract/money.ts'
import { type Batcher, createBatcher } from '../platform/batch.ts'
import type { Database, Queryable, Row } from '../platform/db.ts'
import { derivedId } from '../platform/ids.ts'
import type { Log } from '../platform/log.ts'
import {
  type Cause,
  causeOf,
  causes,
  type HoldCause,
  type PlatformAccount,
  platformAccountOf,
  platformAccounts,
} from './chart.ts'
import { bookHouseEntry, type HouseEntry } from './house.ts'
import { createSealer } from './seal.ts'

type Common = {
  /** Chosen by the caller: a fresh UUIDv7, or derived from what this follows from. The same id again is the same command. */
  id: string
  accountId: bigint
  /** What caused it: the order's, the top-up's id. */
  reference: string
  /** House time; now, unless it happened before we learned of it. */
  happenedAt?: Date
}

/**
 * One movement.
 *
 * `credit` and `debit` move at once. `hold` reserves and is refused while credit is short, while the account is suspended, or while
 * `openMax` holds of its cause are open. `capture` takes a hold, whole or in part (the rest returns in the same row); `void` gives it
 * back whole. The `clawback` forms follow a fact that cannot be refused: they may raise what is owed.
 */
export type Command =
  | (Common & { kind: 'credit' | 'debit' | 'clawback_debit'; code: Cause; contra: PlatformAccount; amount: Usd })
  | (Common & {
      kind: 'hold' | 'clawback_hold'
      code: HoldCause
      contra: PlatformAccount
      amount: Usd
      /** When the hold is overdue. House time. */
      expiresAt: Date
      /** What the ledger's own sweep does with an overdue hold: give it back, or only raise an alarm. */
      onExpiry: 'void' | 'alarm'
      /** Refuse when this many holds of the same cause are open. */
      openMax?: number
    })
  | (Common & { kind: 'capture'; code: Cause; contra: PlatformAccount; holdId: string; amount?: Usd })
  | (Common & { kind: 'void'; code: Cause; contra: PlatformAccount; holdId: string })

/** `exists`: this very command was carried out before; nothing moved now, and that is a success. */
export type Done = 'ok' | 'exists'

export type RefusedMovement =
  /** The id belongs to another command; `differs` names the fields. */
  | 'exists_with_different_fields'
  | 'account_not_found'
  | 'account_suspended'
  | 'insufficient_credits'
  | 'too_many_open_holds'
  | 'hold_not_found'
  | 'already_captured'
  | 'already_voided'
  /** A capture asks for more than was held. */
  | 'exceeds_hold'
  /** Another command of its group was refused, so this one did not happen either. */
  | 'group_refused'
  /** A bug of the caller: an amount that is not positive, a hold without a deadline, a group over two accounts. */
  | 'malformed_command'

export type Outcome = { done: true; result: Done } | { done: false; result: RefusedMovement; differs?: string[] }

/** The figures of a balance. `available` and `owed` are never both above zero, none is ever negative. */
export type AccountBalance = { available: Usd; held: Usd; frozen: Usd; owed: Usd; suspended: boolean }

export type TransferKind = Command['kind']

/** What moved and why, together: what a history can be filtered by. */
export type Movement = { kind: TransferKind; code: Cause }

/** One row of an account's history. */
export type Transfer = {
  id: string
  number: bigint
  kind: TransferKind
  code: Cause
  reference: string
  /** Moved, held or given back; of a capture: what was taken. */
  amount: Usd
  /** Of a capture of less than its hold: the rest that was given back. */
  returned: Usd
  availableAfter: Usd
  heldAfter: Usd
  frozenAfter: Usd
  owedAfter: Usd
  happenedAt: Date
}

/** An account as it was at an instant. */
export type PastAccount = {
  available: Usd
  held: Usd
  frozen: Usd
  owed: Usd
  /** Newest first. */
  openHolds: { holdId: string; kind: 'hold' | 'clawback_hold'; code: Cause; amount: Usd; reference: string }[]
  /** The running number of its last transfer then, 0 when there was none: its history then is what is `before` the next number. */
  number: bigint
}

export type { Cause, PlatformAccount } from './chart.ts'
export type { HouseEntry } from './house.ts'
export type Ledger = ReturnType<typeof createLedger>

const HOLDS_PER_SWEEP_MAX = 100
/** Beyond every running number: the largest of PostgreSQL's bigint. */
const NUMBER_MAX = 2n ** 63n - 1n
const DELTAS_PER_RUN_MAX = 5_000
const COMPACTION_RUNS_MAX = 50
/** The ledger gives back what its owner forgot only after this long: expiring is the owner's work. */
const OVERDUE_MINUTES = 15

/** `sealFile`: where the heads of the seals are written besides the database; absent: nowhere. */
export function createLedger(settings: { database: Database; log: Log; lanes?: number; sealFile?: string | null }) {
  const { database, log, sealFile = null } = settings
  // Created at the first use: most processes move money only inside the functions of other rooms.
  let batcher: Batcher<Command[], Outcome[]> | null = null

  function lanes(): Batcher<Command[], Outcome[]> {
    batcher ??= createBatcher<Command[], Outcome[]>({
      name: 'ledger',
      database,
      lanes: settings.lanes ?? 2,
      log,
      keyOf: (group) => group[0]!.accountId,
      run: async (connection, groups) => {
        const commands = groups.flat()
        const groupOf = groups.flatMap((group, index) => group.map(() => (group.length > 1 ? index + 1 : null)))
        const outcomes = await applyCommands(connection, commands, groupOf)
        return groups.map((group) => outcomes.splice(0, group.length))
      },
    })
    return batcher
  }

  return {
    /** Opens the ledger account of a customer; safe to repeat. */
    async open(db: Queryable, accountId: bigint): Promise<void> {
      await db.query('select ledger_open($1)', [accountId])
    },

    /**
     * Carries commands out inside the caller's transaction, in order, together with the fact that caused them. A refused command
     * leaves no row and changes nothing; the others stand. Call it last: it locks the account's row until the commit.
     * `asGroup`: all of one customer, all or nothing, later ones may name earlier ones.
     */
    apply(tx: pg.PoolClient, commands: Command[], options: { asGroup?: boolean } = {}): Promise<Outcome[]> {
      return applyCommands(
        tx,
        commands,
        commands.map(() => (options.asGroup ? 1 : null)),
      )
    },

    /** Carries one command out in a transaction of its own, together with whatever else is waiting at the moment. */
    async submit(command: Command): Promise<Outcome> {
      return (await lanes().submit([command]))[0]!
    },

    /** Carries a group out, all or nothing, in a transaction of its own. All commands belong to one customer. */
    submitGroup(group: Command[]): Promise<Outcome[]> {
      if (group.length === 0) return Promise.resolve([])
      return lanes().submit(group)
    },

    /** Keeps others from moving this account's money until the caller's transaction ends, so that what it decides by a balance holds. */
    async lock(tx: pg.PoolClient, accountId: bigint): Promise<void> {
      await tx.query('select ledger_lock($1)', [accountId])
    },

    /** Null: there is no such account. */
    async balance(db: Queryable, accountId: bigint): Promise<AccountBalance | null> {
      const { rows } = await db.query<Row<'ledger_accounts'>>({
        name: 'ledger_balance',
        text: 'select credits, debits, held, frozen, owed, suspended from ledger_accounts where id = $1',
        values: [accountId],
      })
      const row = rows[0]
      if (!row) return null
      const signed = BigInt(row.credits) - BigInt(row.debits) - BigInt(row.held) - BigInt(row.frozen)
      return {
        available: micros(signed > 0n ? signed : 0n),
        held: micros(row.held),
        frozen: micros(row.frozen),
        owed: micros(row.owed),
        suspended: row.suspended,
      }
    },

    /**
     * An account's transfers, newest first. `before` is the running number at which the page before ended.
     * `from` (inclusive) and `to` (exclusive) are house times.
     */
    async history(
      db: Queryable,
      accountId: bigint,
      page: { limit: number; before?: bigint; movements?: Movement[]; from?: Date; to?: Date },
    ): Promise<Transfer[]> {
      const { rows } = await db.query<Row<'transfers'>>({
        name: 'ledger_history',
        text: `
          select id, number, kind, code, reference, amount, returned, available_after, held_after, frozen_after, owed_after, happened_at
            from transfers
           where account_id = $1
             and number < $2             -- a plain comparison, so that the index leads there, however deep
             and ($3::text[] is null or kind || ':' || code = any($3))
             and ($4::timestamptz is null or happened_at >= $4)
             and ($5::timestamptz is null or happened_at < $5)
           order by number desc
           limit $6`,
        values: [
          accountId,
          page.before ?? NUMBER_MAX,
          page.movements?.map(({ kind, code }) => `${kind}:${causes[code]}`) ?? null,
          page.from ?? null,
          page.to ?? null,
          page.limit,
        ],
      })
      return rows.map((row) => ({
        id: row.id,
        number: BigInt(row.number),
        kind: row.kind,
        code: causeOf(row.code),
        reference: row.reference,
        amount: micros(row.amount),
        returned: micros(row.returned),
        availableAfter: micros(row.available_after),
        heldAfter: micros(row.held_after),
        frozenAfter: micros(row.frozen_after),
        owedAfter: micros(row.owed_after),
        happenedAt: row.happened_at,
      }))
    },

    /**
     * What an account was at an instant of house time, from its transfers alone. What counts is when the ledger recorded a movement
     * (the beginning of its transaction), not when it happened outside: so what is told of the past stays as it is, but for
     * transactions under way. Null: there is no such account.
     */
    async asOf(db: Queryable, accountId: bigint, instant: Date): Promise<PastAccount | null> {
      const { rows } = await db.query<{ [Name in keyof Row<'transfers'>]: Row<'transfers'>[Name] | null }>(
        'select t.* from ledger_accounts a left join lateral ledger_as_of(a.id, $2) t on true where a.id = $1',
        [accountId, instant],
      )
      const last = rows[0]
      if (!last) return null
      const number = BigInt(last.number ?? 0)
      const { rows: holds } = await db.query<Row<'transfers'>>('select * from ledger_open_holds_as_of($1, $2)', [
        accountId,
        number,
      ])
      return {
        available: micros(last.available_after ?? 0n),
        held: micros(last.held_after ?? 0n),
        frozen: micros(last.frozen_after ?? 0n),
        owed: micros(last.owed_after ?? 0n),
        openHolds: holds.map((row) => ({
          holdId: row.id,
          kind: row.kind as 'hold' | 'clawback_hold',
          code: causeOf(row.code),
          amount: micros(row.amount),
          reference: row.reference,
        })),
        number,
      }
    },

    /**
     * Books a movement without a customer (a fee, a payout) inside the caller's transaction; `exists`: it was booked before. Throws when
     * the id belongs to another entry: whoever derives ids from outside facts never gives two facts one.
     */
    async book(tx: Queryable, entry: HouseEntry): Promise<Done> {
      const booked = await bookHouseEntry(tx, entry)
      if (booked === 'exists_with_different_fields') throw new Error(`The id ${entry.id} belongs to another movement`)
      return booked
    },

    /** What stands on one of the platform's own accounts: what it was debited, less what it was credited. */
    async platformBalance(db: Queryable, account: PlatformAccount): Promise<Usd> {
      const { rows } = await db.query<{ balance: string }>(
        'select coalesce(sum(debits - credits), 0)::text as balance from platform_totals where platform = $1',
        [platformAccounts[account]],
      )
      return micros(rows[0]!.balance)
    },

    /** Moves the deadline of an open hold. False: the hold is not open (any more). */
    async moveDeadline(db: Queryable, hold: { accountId: bigint; holdId: string; expiresAt: Date }): Promise<boolean> {
      const { rows } = await db.query<{ moved: boolean }>('select ledger_move_deadline($1, $2, $3) as moved', [
        hold.accountId,
        hold.holdId,
        hold.expiresAt,
      ])
      return rows[0]!.moved
    },

    /**
     * The last net under forgotten holds: 15 minutes after its deadline a hold is given back, or alarmed about when its owner wanted
     * that. Each one is an incident, because its owner should have resolved it. Returns how many it gave back.
     */
    async sweepOverdueHolds(asOf: Date | null = null): Promise<number> {
      const { rows } = await database.pool.query(
        `select o.hold_id, o.account_id, o.on_expiry, t.reference, t.contra
           from open_holds o
           join transfers t on t.id = o.hold_id
          where o.expires_at < coalesce($3, house_now()) - make_interval(mins => $1)
          order by o.on_expiry desc, o.expires_at -- 'void' first: those that only alarm stay, and would fill the list
          limit $2`,
        [OVERDUE_MINUTES, HOLDS_PER_SWEEP_MAX, asOf],
      )
      let givenBack = 0
      for (const row of rows) {
        log.error(
          { hold: row.hold_id, account: row.account_id, on_expiry: row.on_expiry },
          'Incident: a hold is overdue',
        )
        if (row.on_expiry !== 'void') continue
        const command = {
          id: derivedId(row.hold_id, 'overdue'),
          kind: 'void',
          accountId: BigInt(row.account_id),
          code: 'hold_overdue',
          contra: platformAccountOf(row.contra),
          holdId: row.hold_id,
          reference: row.reference,
        } as const
        // One hold that cannot be given back must not keep the others from theirs.
        const outcome = await lanes()
          .submit([command])
          .catch((error: unknown) => {
            log.error({ err: error, hold: row.hold_id }, 'An overdue hold could not be given back')
            return null
          })
        if (outcome?.[0]?.result === 'ok') givenBack++
      }
      return givenBack
    },

    /**
     * Sums up what batches did to the platform's accounts, at most DELTAS_PER_RUN_MAX rows a transaction, until little is left. The
     * totals are the same before, in the middle and after. Returns how many rows it summed up.
     */
    async compact(signal?: AbortSignal): Promise<number> {
      let compacted = 0
      for (let run = 0; run < COMPACTION_RUNS_MAX && !signal?.aborted; run++) {
        const { rows } = await database.pool.query<{ taken: number }>('select ledger_compact($1) as taken', [
          DELTAS_PER_RUN_MAX,
        ])
        compacted += rows[0]!.taken
        if (rows[0]!.taken < DELTAS_PER_RUN_MAX) break
      }
      return compacted
    },

    /** Fastens what was written before now by a chain of hashes, in the database and in the file outside (seal.ts). */
    seal: createSealer({ database, log, file: sealFile }),

    async close(): Promise<void> {
      await batcher?.close()
    },
  }
}

async function applyCommands(tx: Queryable, commands: Command[], groups: (number | null)[]): Promise<Outcome[]> {
  const { rows } = await tx.query<{ results: string[] }>({
    name: 'ledger_apply',
    text: `select ledger_apply($1::uuid[], $2::transfer_kind[], $3::bigint[], $4::smallint[], $5::bigint[], $6::uuid[], $7::smallint[],
                               $8::uuid[], $9::timestamptz[], $10::timestamptz[], $11::text[], $12::int[], $13::int[]) as results`,
    values: [
      column(commands, (command) => command.id),
      column(commands, (command) => command.kind),
      column(commands, (command) => command.accountId),
      column(commands, (command) => platformAccounts[command.contra]),
      column(commands, (command) => ('amount' in command ? command.amount : null)),
      column(commands, (command) => ('holdId' in command ? command.holdId : null)),
      column(commands, (command) => causes[command.code]),
      column(commands, (command) => command.reference),
      column(commands, (command) => command.happenedAt),
      column(commands, (command) => ('expiresAt' in command ? command.expiresAt : null)),
      column(commands, (command) => ('onExpiry' in command ? command.onExpiry : null)),
      column(commands, (command) => ('openMax' in command ? command.openMax : null)),
      column(groups, (group) => group),
    ],
  })
  return rows[0]!.results.map(readOutcome)
}

type Plain = string | bigint | number | Date | null | undefined

/** An array in PostgreSQL's own writing. Ids, numbers, words and times need no quotes; anything else is a bug of the caller. */
function column<T>(items: T[], of: (item: T) => Plain): string {
  let text = ''
  for (const item of items) {
    const value = of(item) ?? 'NULL'
    if (typeof value === 'string' && !/^[\w-]+$/.test(value)) throw new Error(`This is no id: ${value}`)
    text += `,${value instanceof Date ? value.toISOString() : value}`
  }
  return `{${text.slice(1)}}`
}

function readOutcome(text: string): Outcome {
  if (text === 'ok') return { done: true, result: 'ok' }
  const [result, differs] = text.split(': ')
  if (result === 'exists') return { done: true, result }
  return { done: false, result: result as RefusedMovement, ...(differs ? { differs: differs.split(', ') } : {}) }
}
