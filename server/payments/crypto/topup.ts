/** A top-up by crypto as it is stored, and as it is told. */
import type { CryptoAsset, CryptoPayment, CryptoTopup } from '../../../contract/contract.ts'
import { micros, printAmount, type Usd } from '../../../contract/money.ts'
import type { Queryable, Row } from '../../platform/db.ts'
import { printId } from '../../platform/ids.ts'
import type { Aftermath } from '../topup.ts'
import { assetOf, type ChainName, networkOf, printUnits } from './assets.ts'
import { PAYMENT_COLUMNS, type Payment, readPayment, requiredOf, stateOf } from './life.ts'
import {
  type CryptoTopupStatus,
  confirmationsOfAll,
  labelsOf,
  shownConfirmations,
  statusOf,
  type Told,
  unitsLeftOf,
} from './outcome.ts'
import { uriOf } from './quotes.ts'
import type { Quoted } from './value.ts'

/** A row of `topups` with its quote and its address. House time. */
export type CryptoTopupRow = {
  id: string
  accountId: bigint
  /** As it was when somebody last wrote it; `statusOf` says how it is. */
  status: CryptoTopupStatus
  createdAt: Date
  creditedAt: Date | null
  arrived: Usd
  asset: CryptoAsset
  chain: ChainName
  addressId: bigint
  address: string
  /** What is looked for in blocks. Lower-case hexadecimal. */
  script: string
  confirmationsRequired: number
  quote: Quoted
}

type Event = Pick<Row<'crypto_payment_events'>, 'payment_id' | 'what' | 'at' | 'height'>
type Block = { paymentId: string; height: number; at: Date }

const SELECT_TOPUPS = `
  select t.id, t.account_id, t.amount, t.status, t.created_at, t.expires_at, t.credited_at, t.arrived,
         q.asset, q.chain, q.units, q.price, q.confirmations_required, q.address_id, a.address, encode(a.script, 'hex') as script
    from topups t
    join crypto_quotes q on q.topup_id = t.id
    join crypto_addresses a on a.id = q.address_id`

/** Payments of a top-up that are told; whoever sends more of them sends dust. */
const PAYMENTS_TOLD_MAX = 100

export async function findTopup(db: Queryable, topupId: string): Promise<CryptoTopupRow | null> {
  return (await findTopups(db, [topupId]))[0] ?? null
}

/** In the order of the question; who is by card is left out. */
export async function findTopups(db: Queryable, topupIds: readonly string[]): Promise<CryptoTopupRow[]> {
  const { rows } = await db.query(`${SELECT_TOPUPS} where t.id = any ($1)`, [topupIds])
  const found = new Map(rows.map((row) => [row.id as string, readTopup(row)]))
  return topupIds.flatMap((id) => found.get(id) ?? [])
}

type TopupColumns = Pick<
  Row<'topups'>,
  'id' | 'account_id' | 'amount' | 'status' | 'created_at' | 'expires_at' | 'credited_at' | 'arrived'
> &
  Pick<Row<'crypto_quotes'>, 'asset' | 'chain' | 'units' | 'price' | 'confirmations_required' | 'address_id'> &
  Pick<Row<'crypto_addresses'>, 'address'> & { script: string }

function readTopup(row: TopupColumns): CryptoTopupRow {
  return {
    id: row.id,
    accountId: BigInt(row.account_id),
    status: row.status as CryptoTopupStatus,
    createdAt: row.created_at,
    creditedAt: row.credited_at,
    arrived: micros(row.arrived),
    asset: row.asset as CryptoAsset,
    chain: row.chain,
    addressId: BigInt(row.address_id),
    address: row.address,
    script: row.script,
    confirmationsRequired: row.confirmations_required,
    quote: {
      asset: row.asset,
      units: BigInt(row.units),
      price: micros(row.price),
      amount: micros(row.amount),
      expiresAt: row.expires_at,
    },
  }
}

/** What there is to be said of a top-up, read at once. */
export async function toldOf(db: Queryable, topup: CryptoTopupRow): Promise<Told> {
  return (await allTold(db, [topup])).get(topup.id)!
}

/**
 * `over`: the chain was read after the rate had ended, so that what was sent in time would be known; or it has a block so much later that
 * the clocks of miners do not matter. Once said, it stays said.
 */
async function allTold(db: Queryable, topups: readonly CryptoTopupRow[]): Promise<Map<string, Told>> {
  const ids = topups.map(({ id }) => id)
  const [payments, cursors] = [
    await db.query(
      `select ${PAYMENT_COLUMNS}
         from unnest($1::uuid[]) wanted(id)
        cross join lateral (select * from crypto_payments p where p.topup_id = wanted.id
                             order by p.worth is distinct from 0 desc, p.id limit $2) p
        order by p.first_seen_at, p.height nulls last, p.txid, p.ordinal`,
      [ids, PAYMENTS_TOLD_MAX],
    ),
    await db.query<{ chain: string; height: string; read_until: Date | null; behind: Date }>(
      `select chain, height, block_time - interval '2 hours' as behind,
              case when trouble is null and halted is null then caught_up_at + (house_now() - now()) end as read_until
         from chain_cursors`,
    ),
  ]
  const tips = new Map(cursors.rows.map(({ chain, height }) => [chain, Number(height)]))
  const read = new Map(cursors.rows.map((cursor) => [cursor.chain, cursor]))
  const byTopup = Map.groupBy(payments.rows.map(readPayment), (payment) => payment.topupId!)
  return new Map(
    topups.map((topup) => {
      const cursor = read.get(topup.chain)
      const { expiresAt } = topup.quote
      const over =
        topup.status === 'expired' ||
        (cursor !== undefined &&
          ((cursor.read_until !== null && cursor.read_until >= expiresAt) || cursor.behind >= expiresAt))
      return [
        topup.id,
        {
          quote: topup.quote,
          decimals: assetOf(topup.asset).decimals,
          payments: byTopup.get(topup.id) ?? [],
          arrived: topup.arrived,
          tips,
          over,
        },
      ]
    }),
  )
}

/** Top-ups as their customer reads them. `aftermath`: what became of the money since; `explorers`: by chain, with `{txid}`. */
export async function tellTopups(
  db: Queryable,
  topups: readonly CryptoTopupRow[],
  more: {
    now: Date
    explorers: ReadonlyMap<ChainName, string | null>
    aftermath: (topupId: string) => Aftermath
  },
): Promise<CryptoTopup[]> {
  if (topups.length === 0) return []
  const told = await allTold(db, topups)
  const payments = [...told.values()].flatMap((one) => one.payments)
  const ids = payments.map(({ id }) => id)
  const [events, blocks] = await Promise.all([
    db.query<Event>(
      'select payment_id, what, at, height from crypto_payment_events where payment_id = any ($1) order by payment_id, seq',
      [ids],
    ),
    db.query<{ payment_id: string; height: string; time: Date }>(
      `select p.id as payment_id, b.height, b.time
         from crypto_payments p
         join chain_blocks b on b.chain = p.chain and b.height between p.height and p.height + p.confirmations_required - 1
        where p.id = any ($1)
        order by p.id, b.height`,
      [ids],
    ),
  ])
  const of: Beside = {
    ...more,
    events: Map.groupBy(events.rows, (event) => event.payment_id),
    blocks: Map.groupBy(
      blocks.rows.map((row) => ({ paymentId: row.payment_id, height: Number(row.height), at: row.time })),
      (block) => block.paymentId,
    ),
  }
  return topups.map((topup) => printTopup(topup, told.get(topup.id)!, of))
}

type Beside = Parameters<typeof tellTopups>[2] & { events: Map<string, Event[]>; blocks: Map<string, Block[]> }

function printTopup(topup: CryptoTopupRow, told: Told, beside: Beside): CryptoTopup {
  const asset = assetOf(topup.asset)
  const { units, price, amount, expiresAt } = topup.quote
  const aftermath = beside.aftermath(topup.id)
  const left = unitsLeftOf(told, beside.now)
  const reorganised = told.payments.some((payment) =>
    beside.events.get(payment.id)?.some(({ what }) => what === 'unmined' || what === 'reversed'),
  )
  const refunded = aftermath.refunds.some((refund) => refund.status !== 'failed')
  return {
    id: printId('top', topup.id),
    method: 'crypto',
    status: statusOf(told),
    amount: printAmount(amount),
    created_at: topup.createdAt.toISOString(),
    expires_at: expiresAt.toISOString(),
    credited_at: topup.creditedAt?.toISOString() ?? null,
    reason: null,
    labels: labelsOf(told, { reorganised, refunded }),
    ...aftermath,
    receipt: topup.arrived > 0n,
    asset: topup.asset,
    network: networkOf(topup.chain).title,
    address: topup.address,
    asset_amount: printUnits(units, asset.decimals),
    asset_amount_left: left === null ? null : printUnits(left, asset.decimals),
    uri: uriOf(asset, topup.address, left ?? units),
    rate: printAmount(price),
    confirmations: confirmationsOfAll(told),
    confirmations_required: topup.confirmationsRequired,
    credited: printAmount(topup.arrived),
    payments: told.payments.map((payment) => printPayment(payment, told, beside)),
  }
}

function printPayment(payment: Payment, told: Told, beside: Beside): CryptoPayment {
  const { decimals } = assetOf(payment.asset)
  const explorer = beside.explorers.get(payment.chain)
  return {
    id: printId('pay', payment.id),
    asset: payment.asset,
    network: networkOf(payment.chain).title,
    asset_amount: printUnits(payment.units, decimals),
    transaction_id: payment.txid,
    state: stateOf(payment, told.tips.get(payment.chain) ?? null),
    confirmations: shownConfirmations(payment, told.tips),
    confirmations_required: requiredOf(payment),
    height: payment.height,
    seen_at: payment.firstSeenAt.toISOString(),
    block_at: payment.blockTime?.toISOString() ?? null,
    parts: (payment.parts ?? []).map((part) => ({
      asset_amount: printUnits(part.units, decimals),
      rate: printAmount(part.price),
      basis: part.basis,
      value: printAmount(part.value),
    })),
    worth: payment.worth === null ? null : printAmount(payment.worth),
    credited_at: payment.creditedAt?.toISOString() ?? null,
    reversed_at: payment.reversedAt?.toISOString() ?? null,
    explorer_url: explorer ? explorer.replace('{txid}', payment.txid) : null,
    events: (beside.events.get(payment.id) ?? []).map((event) => ({
      what: event.what as CryptoPayment['events'][number]['what'],
      at: event.at.toISOString(),
      height: event.height === null ? null : Number(event.height),
    })),
    blocks: (beside.blocks.get(payment.id) ?? []).map(({ height, at }) => ({ height, at: at.toISOString() })),
  }
}
