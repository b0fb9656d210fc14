/**
 * What the customer reads about his money: the balance and the Billing History. Reads everything, changes nothing.
 *
 * One row of the history is one transfer of the ledger, in the order in which they happened. Columns: Amount (what it did to what
 * the customer owns), Held, Balance (available + held). A hold moves Held only, a deduction both, a release Held only.
 */
import type { Balance, HistoryRow, Page, PastBalance } from '../../contract/contract.ts'
import { displayAmount, micros, printAmount, type Usd } from '../../contract/money.ts'
import type { Cause, Ledger, Movement, Transfer } from '../ledger/ledger.ts'

import { assetOf, networkOf, type Payments, printUnits } from '../payments/payments.ts'
import { printCursor } from '../platform/answer.ts'
import { houseNow } from '../platform/clock.ts'
import type { Database, Row } from '../platform/db.ts'
import { printId } from '../platform/ids.ts'
import { createEvidence } from './evidence.ts'

type HistoryType = HistoryRow['type']

export type HistoryFilter = {
  limit: number
  /** Where the page before ended: `next_cursor`, decoded. */
  before: bigint | null
  types: HistoryType[] | null
  /** Days `YYYY-MM-DD` in the customer's time zone, both included. */
  from: string | null
  to: string | null
}

export type Billing = ReturnType<typeof createBilling>

/** Which movements of the ledger a type of the history stands for. */
const movements: Record<HistoryType, Movement[]> = {
  topup: [
    { kind: 'credit', code: 'topup_card' },
    { kind: 'credit', code: 'topup_crypto' },
  ],
  hold: [{ kind: 'hold', code: 'order' }],
  deduction: [{ kind: 'capture', code: 'order' }],
  release: [
    { kind: 'void', code: 'order_cancelled' },
    { kind: 'void', code: 'order_expired' },
    { kind: 'void', code: 'hold_overdue' },
  ],
  refund: [{ kind: 'credit', code: 'order_refund' }],
  topup_refund: [
    { kind: 'hold', code: 'topup_refund' },
    { kind: 'capture', code: 'topup_refund' },
    { kind: 'void', code: 'topup_refund' },
    { kind: 'credit', code: 'topup_refund' },
  ],
  dispute: [
    { kind: 'clawback_hold', code: 'dispute' },
    { kind: 'capture', code: 'dispute' },
    { kind: 'void', code: 'dispute' },
    // A dispute that was lost is open again.
    { kind: 'credit', code: 'dispute' },
  ],
  adjustment: [
    { kind: 'credit', code: 'adjustment' },
    { kind: 'debit', code: 'adjustment' },
  ],
  gift: [{ kind: 'credit', code: 'gift' }],
  reversal: [{ kind: 'clawback_debit', code: 'reversal' }],
}

const typeOf = new Map<string, HistoryType>(
  Object.entries(movements).flatMap(([type, list]) =>
    list.map(({ kind, code }) => [`${kind}:${code}`, type as HistoryType]),
  ),
)

/** What a history's row says about the order or top-up behind it. */
type Behind = {
  orders: Map<string, Pick<Row<'orders'>, 'number' | 'service' | 'country'>>
  topups: Map<string, TopupBehind>
  /** By the transfer that credited a payment on a chain, and by the one that took it back. */
  payments: Map<string, PaymentBehind>
  /** By the transfer that froze, and by the one that ended it. */
  freezes: Map<string, Pick<Row<'freezes'>, 'why' | 'outcome'>>
}

type TopupBehind = Pick<Row<'topups'>, 'amount' | 'card_brand' | 'card_last4'> & { asset: string | null }
type PaymentBehind = Pick<Row<'crypto_payments'>, 'chain' | 'asset' | 'units'> & { round: number; late: boolean }

export function createBilling(parts: { database: Database; ledger: Ledger; payments: Payments; publicUrl: string }) {
  const { database, ledger, payments } = parts

  async function balance(accountId: bigint): Promise<Balance> {
    const [figures, pending] = await Promise.all([
      ledger.balance(database.pool, accountId),
      payments.pending(accountId),
    ])
    if (!figures) throw new Error(`Account ${accountId} has no ledger account`)
    return {
      currency: 'USD',
      available: printAmount(figures.available),
      held: printAmount(figures.held),
      frozen: printAmount(figures.frozen),
      pending: printAmount(pending),
      owed: printAmount(figures.owed),
    }
  }

  /** What it was at an instant of house time. Null: that is still to come. */
  async function balanceAsOf(accountId: bigint, instant: Date): Promise<PastBalance | null> {
    if (instant > (await houseNow(database.pool))) return null
    const past = await ledger.asOf(database.pool, accountId, instant)
    if (!past) throw new Error(`Account ${accountId} has no ledger account`)
    return {
      currency: 'USD',
      available: printAmount(past.available),
      held: printAmount(past.held),
      frozen: printAmount(past.frozen),
      owed: printAmount(past.owed),
      as_of: instant.toISOString(),
    }
  }

  /** The Billing History, newest first. */
  async function history(accountId: bigint, timeZone: string, filter: HistoryFilter): Promise<Page<HistoryRow>> {
    const { rows: period } = await database.pool.query<{ from: Date | null; to: Date | null }>(
      `select $1::date::timestamp at time zone $3 as "from", ($2::date + 1)::timestamp at time zone $3 as "to"`,
      [filter.from, filter.to, timeZone],
    )
    const transfers = await ledger.history(database.pool, accountId, {
      limit: filter.limit + 1,
      ...(filter.before === null ? {} : { before: filter.before }),
      ...(filter.types === null ? {} : { movements: filter.types.flatMap((type) => movements[type]) }),
      ...(period[0]!.from === null ? {} : { from: period[0]!.from }),
      ...(period[0]!.to === null ? {} : { to: period[0]!.to }),
    })
    const page = transfers.slice(0, filter.limit)
    const behind = await whatIsBehind(page)
    return {
      items: page.map((transfer) => row(transfer, behind)),
      next_cursor: transfers.length > filter.limit ? printCursor(String(page.at(-1)!.number)) : null,
    }
  }

  async function whatIsBehind(transfers: Transfer[]): Promise<Behind> {
    const references = transfers.map((transfer) => transfer.reference)
    const disputes = transfers.filter(({ code }) => code === 'dispute').map(({ id }) => id)
    const byCrypto = transfers.filter(({ code }) => code === 'topup_crypto' || code === 'reversal').map(({ id }) => id)
    const [orders, topups, freezes, payments] = await Promise.all([
      database.pool.query<Pick<Row<'orders'>, 'id' | 'number' | 'service' | 'country'>>(
        `select o.id, o.number, s.name as service, c.name as country
           from orders o join services s on s.code = o.service join countries c on c.code = o.country
          where o.id = any($1)`,
        [references],
      ),
      database.pool.query<TopupBehind & { id: string }>(
        `select t.id, t.amount, t.card_brand, t.card_last4, q.asset
           from topups t left join crypto_quotes q on q.topup_id = t.id
          where t.id = any($1)`,
        [references],
      ),
      database.pool.query<Pick<Row<'freezes'>, 'why' | 'outcome'> & { id: string }>(
        `select t.id, f.why, f.outcome
           from transfers t join freezes f on f.hold_id = coalesce(t.hold_id, t.id)
          where t.id = any($1)`,
        [disputes],
      ),
      database.pool.query<PaymentBehind & { id: string }>(
        `select t.id, p.chain, p.asset, p.units, n.round, p.parts @> '[{"basis": "late"}]' as late
           from transfers t
           join crypto_payments p on p.topup_id = t.reference
          cross join lateral generate_series(1, p.round) n(round)
          where t.id = any($1)
            and t.id in (derived_id(p.id, 'credit', n.round), derived_id(p.id, 'reversal', n.round))`,
        [byCrypto],
      ),
    ])
    return {
      orders: new Map(orders.rows.map((order) => [order.id, order])),
      topups: new Map(topups.rows.map((topup) => [topup.id, topup])),
      freezes: new Map(freezes.rows.map((freeze) => [freeze.id, freeze])),
      payments: new Map(payments.rows.map((payment) => [payment.id, payment])),
    }
  }

  return { balance, balanceAsOf, history, evidence: createEvidence(parts) }
}

function row(transfer: Transfer, behind: Behind): HistoryRow {
  const { amount, held } = effect(transfer)
  const type = typeOf.get(`${transfer.kind}:${transfer.code}`)
  if (!type) throw new Error(`The history has no type for ${transfer.kind} of ${transfer.code}`)
  return {
    id: printId('trf', transfer.id),
    type,
    happened_at: transfer.happenedAt.toISOString(),
    text: sentence(transfer, behind),
    amount: printAmount(amount),
    held: printAmount(held),
    balance: printAmount(micros(transfer.availableAfter + transfer.heldAfter)),
    ...(behind.orders.has(transfer.reference) ? { order_id: printId('ord', transfer.reference) } : {}),
    ...(behind.topups.has(transfer.reference) ? { topup_id: printId('top', transfer.reference) } : {}),
  }
}

/** What a transfer did to credits − debits (Amount), and to held + frozen (Held). */
function effect(transfer: Transfer): { amount: Usd; held: Usd } {
  const { amount, returned } = transfer
  switch (transfer.kind) {
    case 'credit':
      return { amount, held: micros(0n) }
    case 'debit':
    case 'clawback_debit':
      return { amount: micros(-amount), held: micros(0n) }
    case 'hold':
    case 'clawback_hold':
      return { amount: micros(0n), held: amount }
    case 'capture':
      return { amount: micros(-amount), held: micros(-(amount + returned)) }
    case 'void':
      return { amount: micros(0n), held: micros(-amount) }
  }
}

function sentence(transfer: Transfer, behind: Behind): string {
  const order = behind.orders.get(transfer.reference)
  const what = order ? `${order.service}, ${order.country}, order ${groupsOfThree(order.number)}` : 'an order'
  const paidOwed = transfer.kind === 'credit' ? owedWords(transfer) : ''
  switch (transfer.code) {
    case 'order':
      return transfer.kind === 'hold' ? `Held, not charged: ${what}` : `Code received: ${what}`
    case 'order_cancelled':
      return `Released, you cancelled: ${what}`
    case 'order_expired':
      return `Released, no code came: ${what}`
    case 'hold_overdue':
      return `Released, its time was over: ${what}`
    case 'topup_card':
      return `Top-up by ${cardBehind(transfer, behind)}${paidOwed}`
    case 'topup_crypto':
      return `${arrived(behind.payments.get(transfer.id))}${paidOwed}`
    case 'topup_refund':
      switch (transfer.kind) {
        case 'hold':
          return `On its way back to your ${wayBehind(transfer, behind)}`
        case 'capture':
          return `Sent back to your ${wayBehind(transfer, behind)}`
        case 'void':
          return `Not sent back, yours to spend again: ${wayBehind(transfer, behind)}`
        default:
          return `Came back from your ${wayBehind(transfer, behind)}, yours to spend again${paidOwed}`
      }
    case 'dispute':
      return `${disputed(transfer, behind.freezes.get(transfer.id))}: ${topupBehind(transfer, behind)}${owedWords(transfer)}`
    case 'reversal': {
      const payment = behind.payments.get(transfer.id)
      if (payment)
        return `Taken back, your payment of ${coins(payment)} is gone from the ${networkOf(payment.chain).title} chain${owedWords(transfer)}`
      return `Sent back to ${cardBehind(transfer, behind)} by the card company${owedWords(transfer)}`
    }
    default:
      return `${plainWords[transfer.code]}${owedWords(transfer)}`
  }
}

/** What came on a chain. */
function arrived(payment: PaymentBehind | undefined): string {
  if (!payment) return plainWords.topup_crypto
  const network = networkOf(payment.chain).title
  const what = `${coins(payment)} on ${network}${payment.late ? ', after its rate had ended' : ''}`
  return payment.round > 1 ? `Credited again, it is back on the chain: ${what}` : `Top-up by crypto: ${what}`
}

function coins({ asset, units }: PaymentBehind): string {
  return `${printUnits(BigInt(units), assetOf(asset).decimals)} ${asset}`
}

/** What a bank did to credits, and why. */
function disputed(transfer: Transfer, freeze: { why: string; outcome: string | null } | undefined): string {
  switch (transfer.kind) {
    case 'clawback_hold':
      switch (freeze?.why) {
        case 'inquiry':
          return 'Frozen, your bank asks about this payment'
        case 'appeal':
          return 'Frozen, the dispute is open again'
        case 'warning':
          return 'Frozen until we have looked at what a bank warns of'
        default:
          return 'Frozen, your bank disputes this payment'
      }
    case 'void':
      switch (freeze?.outcome) {
        case 'won':
          return 'Yours again, the bank decided that the payment was in order'
        case 'prevented':
          return 'Yours again, the bank did not go on with its dispute'
        case 'changed':
          return freeze.why === 'warning'
            ? 'Unfrozen, some of it goes another way'
            : 'Unfrozen, the bank disputes another amount'
        case 'disputed':
          return 'Unfrozen, a dispute takes the place of the warning'
        case 'refunded':
          return 'Unfrozen, to be sent back to the card'
        case 'released':
          return 'Yours again, we have looked at what a bank warned of'
        default:
          return freeze?.why === 'warning'
            ? 'Yours again, the bank does not warn any more'
            : 'Yours again, the bank has closed its question'
      }
    case 'capture':
      return freeze?.outcome === 'refunded' ? 'Your bank paid this back to the card' : 'Taken back by your bank'
    default:
      return 'Back from the bank, the dispute that was lost is open again'
  }
}

function topupBehind(transfer: Transfer, behind: Behind): string {
  const topup = behind.topups.get(transfer.reference)
  const of = topup ? ` of ${displayAmount(printAmount(micros(topup.amount)))}` : ''
  return `top-up${of} by ${cardBehind(transfer, behind)}`
}

/** What a movement did to what is owed, where it did something. */
function owedWords(transfer: Transfer): string {
  const signedAfter = transfer.availableAfter - transfer.owedAfter
  // A capture takes what was frozen: nothing of it was available before.
  const free = { credit: 1n, void: 1n, debit: -1n, clawback_debit: -1n, hold: -1n, clawback_hold: -1n, capture: 0n }
  const signedBefore = signedAfter - free[transfer.kind] * transfer.amount - transfer.returned
  const before = signedBefore < 0n ? -signedBefore : 0n
  const shown = (amount: bigint) => displayAmount(printAmount(micros(amount)))
  if (transfer.owedAfter > before) return `; ${shown(transfer.owedAfter - before)} of it had been spent, so you owe it`
  if (transfer.owedAfter < before)
    return transfer.kind === 'credit'
      ? `; ${shown(before - transfer.owedAfter)} of it paid what you owed`
      : `; ${shown(before - transfer.owedAfter)} of it you do not owe any more`
  return transfer.kind === 'capture' && transfer.owedAfter > 0n ? `; you owe ${shown(transfer.owedAfter)}` : ''
}

function cardBehind(transfer: Transfer, behind: Behind): string {
  const topup = behind.topups.get(transfer.reference)
  return topup?.card_last4 ? `${brandName(topup.card_brand)} ending in ${topup.card_last4}` : 'card'
}

/** Where money of a top-up goes back to. */
function wayBehind(transfer: Transfer, behind: Behind): string {
  const asset = behind.topups.get(transfer.reference)?.asset
  return asset ? `${asset} address` : cardBehind(transfer, behind)
}

const plainWords: Record<Cause, string> = {
  order: 'Order',
  order_cancelled: 'Released',
  order_expired: 'Released',
  hold_overdue: 'Released',
  topup_card: 'Top-up by card',
  topup_crypto: 'Top-up by crypto',
  topup_refund: 'Refund to the card',
  dispute: 'Dispute',
  order_refund: 'Refund of an order',
  gift: 'Gift',
  adjustment: 'Correction',
  reversal: 'Payment taken back',
  payout: 'Payout',
  fee: 'Fee',
  supplier_cost: 'Cost',
  conversion_residue: 'Rounding',
}

function brandName(brand: string | null): string {
  const names: Record<string, string> = { visa: 'Visa', mastercard: 'Mastercard', amex: 'American Express' }
  return brand === null ? 'card' : (names[brand] ?? brand)
}

function groupsOfThree(number: string): string {
  return number.replace(/\B(?=(\d{3})+$)/g, '\u202f')
}
