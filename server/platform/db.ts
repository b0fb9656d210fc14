/**
 * PostgreSQL: pools with the least power that does the job, transactions, and nothing about the business.
 *
 * Every pool runs as a role of its own (`-c role=…`), whatever login the URL names: `mobilesms_app` may read and write the rooms'
 * tables but only execute the ledger's functions; `mobilesms_auth` sees the schema of passwords, sessions and links and nothing else.
 */
import type { EventEmitter } from 'node:events'
import type { Selectable } from 'kysely'
import pg from 'pg'
import type { DB } from '../../db/types.d.ts'
import { type NoWrites, noWritesBy } from './trouble.ts'

export type Role = 'mobilesms_app' | 'mobilesms_auth'

/** Anything that runs a statement: a pool, a connection. */
export type Queryable = Pick<pg.Pool, 'query'>
/** A row of a table or view as it comes back from a query, by the types generated from the database (`npm run types`). */
export type Row<Table extends keyof DB> = Selectable<DB[Table]>

export type Database = {
  pool: pg.Pool
  /** One connection that is kept, for a lane of a batcher. Give it back with `release`. */
  connect(): Promise<pg.PoolClient>
  /** Runs `work` in one transaction (READ COMMITTED, which the ledger requires), rolled back when it throws. */
  transaction<T>(work: (tx: pg.PoolClient) => Promise<T>): Promise<T>
  /** Why PostgreSQL lately refused a change, whoever wanted it; null: it refused none within the last 10 seconds. */
  noWrites(): NoWrites | null
  close(): Promise<void>
}

// Times stay Dates, bigint and numeric stay strings: money becomes a bigint at the edge (contract/money.ts), never a number.
const STATEMENT_TIMEOUT_MS = 15_000
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 30_000
/** Rows are locked until a commit, which takes milliseconds; who waits longer is told to try again, and keeps nobody else waiting. */
const LOCK_TIMEOUT_MS = 2_000
const CONNECT_TIMEOUT_MS = 5_000
/** No answer, although PostgreSQL would have given up: the connection is dead, and nobody has told us. Unit: milliseconds. */
const ANSWER_MS_MAX = STATEMENT_TIMEOUT_MS + 5_000
/** What stands between us and PostgreSQL may forget a connection that says nothing. Unit: milliseconds. */
const KEEP_ALIVE_AFTER_MS = 30_000
/** Whether there is room again only shows when somebody writes. Until then, who asks whether this serves is told no for so long. */
const NO_WRITES_MS = 10_000

export function openDatabase(settings: {
  url: string
  role: Role
  connectionsMax: number
  /** Errors of connections that nobody is using (the server went away); the pool replaces them by itself. */
  onIdleError: (error: Error) => void
  /** Default 20,000; for tests. Unit: milliseconds. */
  answerMsMax?: number
}): Database {
  const searchPath = settings.role === 'mobilesms_auth' ? ' -c search_path=auth' : ''
  const pool = new pg.Pool({
    connectionString: settings.url,
    max: settings.connectionsMax,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: settings.answerMsMax ?? ANSWER_MS_MAX,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_AFTER_MS,
    application_name: settings.role,
    options:
      `-c role=${settings.role}${searchPath} -c timezone=UTC -c jit=off -c plan_cache_mode=force_generic_plan ` +
      `-c synchronous_commit=on -c default_transaction_isolation=read\\ committed ` +
      `-c statement_timeout=${STATEMENT_TIMEOUT_MS} -c lock_timeout=${LOCK_TIMEOUT_MS} ` +
      `-c idle_in_transaction_session_timeout=${IDLE_IN_TRANSACTION_TIMEOUT_MS}`,
  })
  pool.on('error', settings.onIdleError)
  let refused: { why: NoWrites; at: number } | null = null
  pool.on('connect', (client) => {
    // A connection that breaks while checked out reports it to whoever runs a statement on it; without a listener the
    // 'error' event would end the process.
    client.on('error', () => {})
    // What PostgreSQL itself says, before anybody makes something else of it; also inside a transaction that is then given up.
    const { connection } = client as unknown as { connection: EventEmitter }
    connection.on('errorMessage', ({ code }: { code?: string }) => {
      const why = noWritesBy(code)
      if (why) refused = { why, at: performance.now() }
    })
  })
  return {
    pool,
    noWrites: () => (refused && performance.now() - refused.at < NO_WRITES_MS ? refused.why : null),
    connect: () => pool.connect(),
    async transaction(work) {
      const client = await pool.connect()
      let broken: Error | undefined
      try {
        await client.query('begin')
        const result = await work(client)
        await client.query('commit')
        return result
      } catch (error) {
        await client.query('rollback').catch((cause: Error) => {
          broken = cause
        })
        throw error
      } finally {
        client.release(broken)
      }
    },
    close: () => pool.end(),
  }
}
