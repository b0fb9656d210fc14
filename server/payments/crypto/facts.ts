/** The rows of payments on chains, as far as they say what happened outside; branch.ts decides what that is. */
import type pg from 'pg'
import type { CryptoAsset } from '../../../contract/contract.ts'
import type { Queryable } from '../../platform/db.ts'
import { assetOf, type ChainName, type Family, type Network } from './assets.ts'
import type { Change, Hit, Payment, PaymentEvent } from './branch.ts'

export const PAYMENT_COLUMNS = `id, txid, ordinal, asset, address_id, units, coinbase, spends, first_seen_at, pooled, block_hash, height,
  block_time, unmined_at_height, replaced_by, replaced_height, review`

type PaymentRow = {
  id: string
  txid: string
  ordinal: string
  asset: CryptoAsset
  address_id: string
  units: string
  coinbase: boolean
  spends: string[]
  first_seen_at: Date
  pooled: boolean
  block_hash: string | null
  height: string | null
  block_time: Date | null
  unmined_at_height: string | null
  replaced_by: string | null
  replaced_height: string | null
  review: string | null
}

export function readPayment(row: PaymentRow): Payment {
  return {
    id: row.id,
    txid: row.txid,
    ordinal: row.ordinal,
    asset: row.asset,
    addressId: row.address_id,
    units: BigInt(row.units),
    coinbase: row.coinbase,
    spends: row.spends,
    firstSeenAt: row.first_seen_at,
    pooled: row.pooled,
    block: row.block_hash === null ? null : { hash: row.block_hash, height: Number(row.height), time: row.block_time! },
    unminedAtHeight: numberOf(row.unmined_at_height),
    replacedBy: row.replaced_by,
    replacedHeight: numberOf(row.replaced_height),
    review: row.review,
  }
}

/** Which of these scripts are addresses of ours: of a block those that may be (watched.ts). */
export async function addressesOf(
  db: Queryable,
  family: Family,
  scripts: readonly string[],
): Promise<Map<string, { addressId: string; unused: boolean }>> {
  if (scripts.length === 0) return new Map()
  const { rows } = await db.query<{ script: string; id: string; unused: boolean }>(
    `select encode(a.script, 'hex') as script, a.id, a.account_id is null as unused
       from crypto_addresses a
      where a.family = $1
        and a.script = any ($2::bytea[])`,
    [family, [...new Set(scripts)].map((script) => `\\x${script}`)],
  )
  return new Map(rows.map(({ script, id, unused }) => [script, { addressId: id, unused }]))
}

/** Payments in no block that these transactions exclude, or are themselves. */
export async function conflictsOf(
  db: Queryable,
  chain: ChainName,
  spent: ReadonlyMap<string, string>,
): Promise<string[]> {
  const { rows } = await db.query<{ id: string; spends: string[] }>(
    'select id, spends from crypto_payments where chain = $1 and height is null and replaced_height is null',
    [chain],
  )
  return rows.filter(({ spends }) => spends.some((one) => spent.has(one))).map(({ id }) => id)
}

/** Locked in the order of their ids, as everybody locks them. */
export async function lockPayments(
  tx: pg.PoolClient,
  chain: ChainName,
  hits: readonly Hit[],
  ids: readonly string[],
): Promise<Payment[]> {
  if (hits.length === 0 && ids.length === 0) return []
  const { rows } = await tx.query<PaymentRow>(
    `select ${PAYMENT_COLUMNS}
       from crypto_payments
      where id in (select p.id
                     from unnest($2::text[], $3::text[], $4::text[]) as hit (txid, ordinal, asset)
                     join crypto_payments p using (txid, ordinal, asset)
                    where p.chain = $1
                    union
                   select unnest($5::uuid[]))
      order by id
        for update`,
    [
      chain,
      hits.map(({ transfer }) => transfer.txid),
      hits.map(({ transfer }) => transfer.ordinal),
      hits.map(({ transfer }) => transfer.asset),
      ids,
    ],
  )
  return rows.map(readPayment)
}

/** Writes down what became of them. Those that there were are locked. */
export async function write(tx: pg.PoolClient, network: Network, changes: readonly Change[]): Promise<void> {
  const fresh = changes.filter(({ before }) => before === null).map(({ payment }) => rowOf(network, payment))
  const changed = changes.filter(({ before }) => before !== null).map(({ payment }) => rowOf(network, payment))
  if (fresh.length > 0) {
    await tx.query(
      `insert into crypto_payments (id, chain, txid, ordinal, asset, address_id, account_id, topup_id, units, coinbase, spends,
                                    confirmations_required, first_seen_at, pooled, block_hash, height, block_time, review)
       select n.id, $1, n.txid, n.ordinal, n.asset, a.id, a.account_id, a.topup_id, n.units, n.coinbase,
              array(select jsonb_array_elements_text(n.spends)),
              -- As it was when the quote was made; newly mined coins are a matter of the network.
              greatest(coalesce(q.confirmations_required, n.confirmations), case when n.coinbase then n.coinbase_confirmations end),
              n.first_seen_at, n.pooled, n.block_hash, n.height, n.block_time, n.review
         from ${ROWS} join crypto_addresses a on a.id = n.address_id
              left join crypto_quotes q on q.address_id = a.id
        order by n.id`,
      [network.name, JSON.stringify(fresh)],
    )
  }
  if (changed.length > 0) {
    await tx.query(
      `update crypto_payments p
          set first_seen_at = n.first_seen_at, pooled = n.pooled, block_hash = n.block_hash, height = n.height,
              block_time = n.block_time, unmined_at_height = n.unmined_at_height, replaced_by = n.replaced_by,
              replaced_height = n.replaced_height, units = n.units,
              -- Another amount is valued anew; what was credited for the first one is looked at by a person.
              parts = case when p.units = n.units or p.credited_at is not null then p.parts end,
              value = case when p.units = n.units or p.credited_at is not null then p.value end,
              worth = case when p.units = n.units or p.credited_at is not null then p.worth end,
              valued_at = case when p.units = n.units or p.credited_at is not null then p.valued_at end,
              review = case when p.units <> n.units and p.credited_at is not null then 'amount_changed' else p.review end
         from ${ROWS}
        where p.id = n.id and p.chain = $1`,
      [network.name, JSON.stringify(changed)],
    )
  }
}

/** What happened to payments that are locked, or are new: numbered one after the other. */
export async function addEvents(
  tx: pg.PoolClient,
  told: readonly { payment: { id: string }; events: readonly PaymentEvent[] }[],
): Promise<void> {
  const events = told.flatMap(({ payment, events }) =>
    events.map((event, place) => ({ payment_id: payment.id, place: place + 1, ...event })),
  )
  if (events.length === 0) return
  await tx.query(
    `insert into crypto_payment_events (payment_id, seq, what, at, height, block_hash, detail)
     select n.payment_id,
            n.place + coalesce((select max(e.seq) from crypto_payment_events e where e.payment_id = n.payment_id), 0),
            n.what, house_now(), n.height, n.hash, n.detail
       from jsonb_to_recordset($1) as n (payment_id uuid, place int, what text, height bigint, hash text, detail jsonb)`,
    [JSON.stringify(events)],
  )
}

const ROWS = `jsonb_to_recordset($2) as n (id uuid, txid text, ordinal text, asset text, address_id bigint, units numeric, coinbase boolean,
  spends jsonb, confirmations int, coinbase_confirmations int, first_seen_at timestamptz, pooled boolean, block_hash text, height bigint,
  block_time timestamptz, unmined_at_height bigint, replaced_by text, replaced_height bigint, review text)`

function rowOf(network: Network, payment: Payment) {
  return {
    id: payment.id,
    txid: payment.txid,
    ordinal: payment.ordinal,
    asset: payment.asset,
    address_id: payment.addressId,
    units: payment.units.toString(),
    coinbase: payment.coinbase,
    spends: payment.spends,
    confirmations: assetOf(payment.asset).confirmations,
    coinbase_confirmations: network.coinbaseConfirmations,
    first_seen_at: payment.firstSeenAt,
    pooled: payment.pooled,
    block_hash: payment.block?.hash ?? null,
    height: payment.block?.height ?? null,
    block_time: payment.block?.time ?? null,
    unmined_at_height: payment.unminedAtHeight,
    replaced_by: payment.replacedBy,
    replaced_height: payment.replacedHeight,
    review: payment.review,
  }
}

function numberOf(text: string | null): number | null {
  return text === null ? null : Number(text)
}
