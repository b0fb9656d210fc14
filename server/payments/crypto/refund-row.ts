/** A refund by a chain as it is stored, and as its customer is told. */
import type { CryptoAsset, cryptoRefundStates, TopupRefund } from '../../../contract/contract.ts'
import { micros, printAmount, type Usd } from '../../../contract/money.ts'
import type { Queryable } from '../../platform/db.ts'
import { printId } from '../../platform/ids.ts'
import { assetOf, networkOf, printUnits } from './assets.ts'
import { confirmationsOf } from './life.ts'

/** A row of `crypto_refunds`; what each column means stands in the migration. `units`: what the transaction paid. */
export type CryptoRefundRow = {
  id: string
  topupId: string
  accountId: bigint
  amount: Usd
  asset: CryptoAsset
  chain: string
  address: string
  /** Lower-case hexadecimal. */
  script: string
  status: (typeof cryptoRefundStates)[number]
  requestedAt: Date
  askedBy: bigint | null
  askedAt: Date | null
  approvedBy: bigint | null
  approvedAt: Date | null
  note: string | null
  transactionId: string | null
  units: bigint | null
  sentBy: bigint | null
  sentAt: Date | null
  confirmationsRequired: number
  blockHash: string | null
  height: number | null
  vanishedAt: Date | null
  capturedAt: Date | null
  succeededAt: Date | null
  endedAt: Date | null
}

/** Reads rows of `crypto_refunds r`; add `from …`. */
export const CRYPTO_REFUND_COLUMNS = `
  r.id, r.topup_id, r.account_id, r.amount, r.asset, r.chain, r.address, r.script, r.status, r.requested_at, r.asked_by, r.asked_at,
  r.approved_by, r.approved_at, r.note, r.transaction_id, r.sent_by, r.sent_at, r.confirmations_required, r.block_hash,
  r.height, r.vanished_at, r.captured_at, r.succeeded_at, r.ended_at,
  (select p.units from crypto_refund_prices p where p.refund_id = r.id and p.seq = r.price_seq) as units`

// biome-ignore lint/suspicious/noExplicitAny: what the driver hands out, given its types here
export function readCryptoRefundRow(row: any): CryptoRefundRow {
  const id = (value: string | null) => (value === null ? null : BigInt(value))
  return {
    id: row.id,
    topupId: row.topup_id,
    accountId: BigInt(row.account_id),
    amount: micros(row.amount),
    asset: row.asset,
    chain: row.chain,
    address: row.address,
    script: (row.script as Buffer).toString('hex'),
    status: row.status,
    requestedAt: row.requested_at,
    askedBy: id(row.asked_by),
    askedAt: row.asked_at,
    approvedBy: id(row.approved_by),
    approvedAt: row.approved_at,
    note: row.note,
    transactionId: row.transaction_id,
    units: id(row.units),
    sentBy: id(row.sent_by),
    sentAt: row.sent_at,
    confirmationsRequired: row.confirmations_required,
    blockHash: row.block_hash,
    height: row.height === null ? null : Number(row.height),
    vanishedAt: row.vanished_at,
    capturedAt: row.captured_at,
    succeededAt: row.succeeded_at,
    endedAt: row.ended_at,
  }
}

/** The refunds by a chain of these top-ups as their customer is told, by top-up, oldest first; a top-up has few. */
export async function cryptoRefundsOf(
  db: Queryable,
  topupIds: readonly string[],
  explorers: ReadonlyMap<string, string | null>,
): Promise<Map<string, TopupRefund[]>> {
  const { rows } = await db.query(
    `select ${CRYPTO_REFUND_COLUMNS}, c.height as tip
       from crypto_refunds r
       left join chain_cursors c using (chain)
      where r.topup_id = any ($1)
      order by r.id`,
    [topupIds],
  )
  const told = new Map<string, TopupRefund[]>()
  for (const row of rows) {
    const refund = readCryptoRefundRow(row)
    const tip = row.tip === null ? null : Number(row.tip)
    const before = told.get(refund.topupId) ?? []
    told.set(refund.topupId, [
      ...before,
      printCryptoRefund(refund, { tip, explorer: explorers.get(refund.chain) ?? null }),
    ])
  }
  return told
}

const statuses: Record<CryptoRefundRow['status'], TopupRefund['status']> = {
  requested: 'requested',
  approved: 'pending',
  sent: 'pending',
  succeeded: 'succeeded',
  declined: 'failed',
  failed: 'failed',
}

/** `tip`: how far we have read its chain; `explorer`: the address of a page about a transaction, with `{txid}`. */
export function printCryptoRefund(
  row: CryptoRefundRow,
  { tip, explorer }: { tip: number | null; explorer: string | null },
): TopupRefund {
  return {
    id: printId('ref', row.id),
    status: statuses[row.status],
    amount: printAmount(row.amount),
    origin: 'you',
    requested_at: row.requestedAt.toISOString(),
    ended_at: row.endedAt?.toISOString() ?? null,
    expected_by: null,
    reference: null,
    reason: row.status === 'declined' ? 'declined_by_us' : row.status === 'failed' ? 'not_confirmed' : null,
    asset: row.asset,
    network: networkOf(row.chain).title,
    address: row.address,
    asset_amount: row.units === null ? null : printUnits(row.units, assetOf(row.asset).decimals),
    transaction_id: row.transactionId,
    explorer_url: explorerUrl(explorer, row.transactionId),
    confirmations: row.transactionId === null ? null : confirmationsOf({ height: row.height }, tip),
    confirmations_required: row.confirmationsRequired,
    note: row.note,
  }
}

export function explorerUrl(explorer: string | null, transactionId: string | null): string | null {
  return explorer === null || transactionId === null ? null : explorer.replace('{txid}', transactionId)
}
