/** What the ledger's tests begin with: a database of their own, its ledger, and customers with credit. At the end the audit finds nothing. */
import assert from 'node:assert/strict'
import type pg from 'pg'
import { usd } from '../../contract/money.ts'
import { auditLedger } from '../../server/ledger/audit/audit.ts'
import { type Command, createLedger, type Outcome } from '../../server/ledger/ledger.ts'
import type { Queryable } from '../../server/platform/db.ts'
import { newId } from '../../server/platform/ids.ts'
import { openLog } from '../../server/platform/log.ts'
import { freshDatabase } from '../database.ts'
import { until } from '../until.ts'

export async function openBooks() {
  const db = await freshDatabase()
  const ledger = createLedger({ database: db.database, log: openLog({ level: 'silent' }) })
  let accounts = 0n
  /** A number that no account has yet. */
  const newAccount = () => ++accounts

  return {
    db,
    ledger,
    newAccount,

    /** Opens an account and gives it credit. */
    async customer(credit: string): Promise<bigint> {
      const accountId = newAccount()
      await ledger.open(db.database.pool, accountId)
      const gift = { kind: 'credit', code: 'gift', contra: 'goodwill', amount: usd(credit) } as const
      assert.equal((await ledger.submit({ ...base(accountId), ...gift })).result, 'ok')
      return accountId
    },

    async results(tx: pg.PoolClient, commands: Command[], options?: { asGroup: boolean }): Promise<string[]> {
      return (await ledger.apply(tx, commands, options)).map(({ result }) => result)
    },

    /** Until somebody waits for what this connection has locked. Fails when the work, which is to wait for it, is over instead. */
    async waitsFor(holder: Queryable, work: Promise<unknown>): Promise<void> {
      let isOver = false
      const over = () => {
        isOver = true
      }
      work.then(over, over)
      const { rows } = await holder.query<{ pid: number }>('select pg_backend_pid() as pid')
      await until(async () => {
        const { rowCount } = await db.database.pool.query(
          'select from pg_stat_activity where $1 = any (pg_blocking_pids(pid))',
          [rows[0]!.pid],
        )
        return isOver || rowCount! > 0
      })
      assert.equal(isOver, false, 'It did not wait')
    },

    async close(): Promise<void> {
      const differences = await auditLedger(db.database.pool, 'ledger')
      await ledger.close()
      await db.close()
      assert.deepEqual(differences, [])
    },
  }
}

export function base(accountId: bigint) {
  return { id: newId(), accountId, reference: newId() }
}

export function hold(accountId: bigint, amount: string, id = newId()): Command {
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

/** An outcome in the words that the database answers. */
export function print(outcome: Outcome): string {
  assert.equal(outcome.done, outcome.result === 'ok' || outcome.result === 'exists')
  return outcome.done || !outcome.differs ? outcome.result : `${outcome.result}: ${outcome.differs.join(', ')}`
}
