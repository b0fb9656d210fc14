/** Movements without a customer: fees, payouts, suppliers' costs, rounding. */
import type { Usd } from '../../contract/money.ts'
import type { Queryable } from '../platform/db.ts'
import { type Cause, causes, type PlatformAccount, platformAccounts } from './chart.ts'

export type HouseEntry = {
  /** Chosen by the caller; the same id again is the same entry. */
  id: string
  debit: PlatformAccount
  credit: PlatformAccount
  /** Above zero. */
  amount: Usd
  code: Cause
  reference: string
  happenedAt?: Date
}

/** Books one entry inside the caller's transaction. `exists` is a success: it was booked before. */
export async function bookHouseEntry(
  tx: Queryable,
  entry: HouseEntry,
): Promise<'ok' | 'exists' | 'exists_with_different_fields'> {
  const { rows } = await tx.query('select ledger_book($1, $2, $3, $4, $5, $6, $7) as result', [
    entry.id,
    platformAccounts[entry.debit],
    platformAccounts[entry.credit],
    entry.amount,
    causes[entry.code],
    entry.reference,
    entry.happenedAt ?? null,
  ])
  return rows[0].result
}
