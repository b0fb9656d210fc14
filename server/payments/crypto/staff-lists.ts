/** What staff see of crypto: the payments that need a look, and the money that goes back; each in words, with what can be done. */
import type {
  CryptoAsset,
  cryptoRefundActions,
  StaffCryptoItem,
  StaffCryptoLookup,
  StaffCryptoRefund,
} from '../../../contract/contract.ts'
import { micros, printAmount, type Usd } from '../../../contract/money.ts'
import { printCursor } from '../../platform/answer.ts'
import type { Queryable } from '../../platform/db.ts'
import { printId } from '../../platform/ids.ts'
import { assetOf, networkOf, networks, printUnits } from './assets.ts'
import { confirmationsOf, isCredited, PAYMENT_COLUMNS, readPayment, requiredOf, stateOf } from './life.ts'
import { uriOf } from './quotes.ts'
import { CRYPTO_REFUND_COLUMNS, type CryptoRefundRow, explorerUrl, readCryptoRefundRow } from './refund-row.ts'
import { mayPay } from './refunds.ts'
import { actionsFor, type LookedUp } from './reviews.ts'
import { actionsOf, type ToldAction } from './staff-actions.ts'

export type StaffCryptoPage = { status: string | null; limit: number; before: string | null }
/** `explorers`: by chain, the address of a page about a transaction, with `{txid}`. */
export type ToldBy = { explorers: ReadonlyMap<string, string | null>; secondPersonAbove: Usd }

const time = (at: Date | null) => at?.toISOString() ?? null
const titleOf = (chain: string) => networks.find(({ name }) => name === chain)?.title ?? chain

const ITEM = `
  select r.id as review_id, r.kind, r.payment_id, r.chain as review_chain, r.txid as review_txid, r.contract, r.asset as review_asset,
         r.units as review_units, r.status as review_status, r.credit, r.opened_at, r.asked_at, r.decided_at as review_decided_at, r.why,
         a.address, u.username, coalesce(r.credit_topup, r.topup_id) as review_topup, opener.username as opened_by,
         asker.username as asked_by, decider.username as decided_by, c.height as tip, ${PAYMENT_COLUMNS}
    from crypto_reviews r
    left join crypto_payments p on p.id = r.payment_id
    left join crypto_addresses a on a.id = r.address_id
    left join topups t on t.id = coalesce(r.credit_topup, r.topup_id)
    left join accounts u on u.id = coalesce(t.account_id, r.account_id)
    left join accounts opener on opener.id = r.opened_by
    left join accounts asker on asker.id = r.asked_by
    left join accounts decider on decider.id = r.decided_by
    left join chain_cursors c on c.chain = r.chain`

/** Newest first. */
export async function listItems(
  db: Queryable,
  page: StaffCryptoPage,
  by: ToldBy,
): Promise<{ items: StaffCryptoItem[]; next_cursor: string | null }> {
  const { rows } = await db.query(
    `${ITEM}
      where ($1::uuid is null or r.id < $1)
        and ($2::text is null or (r.status in ('open', 'credit_asked')) = ($2 = 'open'))
      order by r.id desc
      limit $3`,
    [page.before, page.status, page.limit + 1],
  )
  const shown = rows.slice(0, page.limit)
  const history = await actionsOf(
    db,
    shown.map((row) => row.review_id),
  )
  return {
    items: shown.map((row) => tellItem(row, history.get(row.review_id) ?? [], by)),
    next_cursor: rows.length > page.limit ? printCursor(shown.at(-1)!.review_id) : null,
  }
}

export async function readItems(db: Queryable, ids: readonly string[], by: ToldBy): Promise<StaffCryptoItem[]> {
  const { rows } = await db.query(`${ITEM} where r.id = any ($1) order by r.id`, [ids])
  const history = await actionsOf(db, ids)
  return rows.map((row) => tellItem(row, history.get(row.review_id) ?? [], by))
}

// biome-ignore lint/suspicious/noExplicitAny: a row of ITEM
function tellItem(row: any, history: ToldAction[], { explorers, secondPersonAbove }: ToldBy): StaffCryptoItem {
  const payment = row.payment_id === null ? null : readPayment(row)
  const tip = row.tip === null ? null : Number(row.tip)
  const asset = row.review_asset as CryptoAsset | null
  const units = row.review_units === null || asset === null ? null : BigInt(row.review_units)
  const amount = units === null ? null : printUnits(units, assetOf(asset!).decimals)
  const what =
    amount === null ? (row.contract === null ? 'Something' : 'A token that we do not take') : `${amount} ${asset}`
  const { what: sentence, to_do } = wordsOf(row.kind, { what, network: titleOf(row.review_chain) })
  return {
    id: printId('rev', row.review_id),
    kind: row.kind,
    status: row.review_status,
    what: sentence,
    to_do,
    network: titleOf(row.review_chain),
    asset,
    asset_amount: amount,
    contract: row.contract,
    transaction_id: row.review_txid,
    explorer_url: explorerUrl(explorers.get(row.review_chain) ?? null, row.review_txid),
    address: row.address,
    username: row.username,
    topup_id: row.review_topup === null ? null : printId('top', row.review_topup),
    state: payment && stateOf(payment, tip),
    confirmations: payment && confirmationsOf(payment, tip),
    confirmations_required: payment && requiredOf(payment),
    height: payment?.height ?? null,
    value: payment?.value == null ? null : printAmount(payment.value),
    worth: payment?.worth ? printAmount(payment.worth) : null,
    credit: row.credit === null ? null : printAmount(micros(row.credit)),
    may: actionsFor({
      status: row.review_status,
      followed: payment !== null,
      credited: payment !== null && isCredited(payment),
      inABlock: payment?.height != null,
    }),
    second_person_above: printAmount(secondPersonAbove),
    opened_at: row.opened_at.toISOString(),
    opened_by: row.opened_by,
    asked: row.asked_at === null ? null : { by: row.asked_by, at: time(row.asked_at) },
    decided: row.review_decided_at === null ? null : { by: row.decided_by, at: time(row.review_decided_at) },
    why: row.why,
    history,
  }
}

/** The table: why a payment needs a look, and what to do. */
export function wordsOf(kind: string, of: { what: string; network: string }): { what: string; to_do: string } {
  const { what, network } = of
  switch (kind) {
    case 'unknown_token':
      return {
        what: `${what} was sent to an address of ours on ${network}.`,
        to_do:
          'Nobody follows such tokens. If it is worth the trouble, move it with the wallet that has the keys, and credit the customer what it brought; else leave it and tell him.',
      }
    case 'other_network':
      return {
        what: `${what} was sent to an address of ours on ${network}, which we do not watch.`,
        to_do:
          'With the keys of the wallet the same address exists there: open the wallet on that network, move the coins, mark this as recovered, or credit what they brought.',
      }
    case 'below_minimum':
      return {
        what: `${what} arrived on ${network}: too little to be credited by itself.`,
        to_do: 'Nobody was told. Credit it when the customer asks for it; else leave it.',
      }
    case 'conflict_after_credit':
      return {
        what: `${what} on ${network} was credited, and then another transaction spent the same coins. The credit was taken back.`,
        to_do:
          'The customer was told. What he had spent of it, he owes. See whether he pays again by himself, and whether it was a double spend on purpose.',
      }
    case 'gone_after_credit':
      return {
        what: `${what} on ${network} was credited, and the chain took its block back. The credit was taken back.`,
        to_do: 'When it is mined again, it is credited again by itself, and this closes.',
      }
    case 'unused_address':
    case 'no_account':
      return {
        what: `${what} arrived on ${network}, on an address that was given to nobody.`,
        to_do:
          'Perhaps the database was restored from before the address was given. Ask who sent it; credit it to a top-up of his.',
      }
    case 'account_closed':
      return {
        what: `${what} arrived on ${network} for an account that is closed.`,
        to_do: 'Credit it all the same, so that it can be returned; or leave it.',
      }
    case 'account_suspended':
      return {
        what: `${what} arrived on ${network} for an account that is suspended.`,
        to_do: 'Decide about the suspension first. Credit it; he cannot spend it until the suspension ends.',
      }
    case 'amount_changed':
      return {
        what: `A payment on ${network} that was credited came back from a reorganisation with another amount.`,
        to_do: 'Compare the transaction with the credit, and correct the account where they differ.',
      }
    case 'not_followed':
      return {
        what: `${what} was paid on ${network} to an address of ours, and is not among the payments.`,
        to_do:
          'The follower should have seen it: look at the log and at Reconciliation before crediting it by hand, or it may be credited twice.',
      }
    default:
      return {
        what: `${what} on ${network}: ${kind.replaceAll('_', ' ')}.`,
        to_do: 'Look at the log for what was seen of it, then decide.',
      }
  }
}

export async function tellLookup(
  db: Queryable,
  looked: Extract<LookedUp, { ok: true }>,
  by: ToldBy,
): Promise<StaffCryptoLookup> {
  const { found, pays, reviewIds } = looked
  const accounts = pays.flatMap(({ accountId }) => (accountId === null ? [] : [accountId]))
  const { rows } = await db.query<{ id: string; username: string }>(
    'select id, username from accounts where id = any ($1)',
    [accounts],
  )
  const inBlock = found?.where === 'block' ? found : null
  const items = await readItems(db, reviewIds, by)
  return {
    where: found === null ? 'other_network' : found.where,
    detail: detailOf(looked, items),
    height: inBlock?.height ?? null,
    failed: inBlock?.failed ?? false,
    pays: pays.map((paid) => ({
      address: paid.address,
      asset: paid.asset,
      contract: paid.contract,
      asset_amount: paid.asset === null ? null : printUnits(paid.units, assetOf(paid.asset).decimals),
      username: rows.find(({ id }) => BigInt(id) === paid.accountId)?.username ?? null,
      topup_id: paid.topupId === null ? null : printId('top', paid.topupId),
      followed: paid.followed,
    })),
    items,
  }
}

function detailOf({ found, pays }: Extract<LookedUp, { ok: true }>, items: readonly StaffCryptoItem[]): string {
  if (found === null) return 'It stands below as you told it: we do not watch that network.'
  if (found.where === 'nowhere')
    return 'Our node does not know this transaction. It may be on another network, or the id may be of something else.'
  const where = found.where === 'pool' ? 'It waits for a block' : `It is in block ${found.height}`
  if (found.where === 'block' && found.failed) return `${where}, and failed there: it paid nobody.`
  if (pays.length === 0) return `${where}, and pays nothing to an address of ours.`
  if (items.some(({ status }) => status === 'open' || status === 'credit_asked'))
    return `${where}. What it pays to us waits for a decision, and stands in the list.`
  return items.length > 0
    ? `${where}. It was decided about; the list says how.`
    : `${where}, and its payments are followed: they are credited by the rules.`
}

// ── Money that goes back ───────────────────────────────────────────────────────────────────────────────────────────

const REFUND = `
  select ${CRYPTO_REFUND_COLUMNS}, u.username, asker.username as asker, approver.username as approver, sender.username as sender,
         c.height as tip, last.price, last.units as last_units, last.at as priced_at, pricer.username as pricer
    from crypto_refunds r
    left join accounts u on u.id = r.account_id
    left join accounts asker on asker.id = r.asked_by
    left join accounts approver on approver.id = r.approved_by
    left join accounts sender on sender.id = r.sent_by
    left join chain_cursors c on c.chain = r.chain
    left join lateral (select * from crypto_refund_prices p where p.refund_id = r.id order by p.seq desc limit 1) last on true
    left join accounts pricer on pricer.id = last.member_id`

/** Newest first. */
export async function listRefunds(
  db: Queryable,
  page: StaffCryptoPage,
  by: ToldBy,
): Promise<{ items: StaffCryptoRefund[]; next_cursor: string | null }> {
  const { rows } = await db.query(
    `${REFUND}
      where ($1::uuid is null or r.id < $1)
        and ($2::text is null or (r.ended_at is null) = ($2 = 'open'))
      order by r.id desc
      limit $3`,
    [page.before, page.status, page.limit + 1],
  )
  const shown = rows.slice(0, page.limit)
  const history = await actionsOf(
    db,
    shown.map((row) => row.id),
  )
  return {
    items: shown.map((row) => tellRefund(row, history.get(row.id) ?? [], by)),
    next_cursor: rows.length > page.limit ? printCursor(shown.at(-1)!.id) : null,
  }
}

export async function readRefund(db: Queryable, id: string, by: ToldBy): Promise<StaffCryptoRefund | null> {
  const { rows } = await db.query(`${REFUND} where r.id = $1`, [id])
  return rows[0] ? tellRefund(rows[0], (await actionsOf(db, [id])).get(id) ?? [], by) : null
}

// biome-ignore lint/suspicious/noExplicitAny: a row of REFUND
function tellRefund(row: any, history: ToldAction[], { explorers, secondPersonAbove }: ToldBy): StaffCryptoRefund {
  const refund = readCryptoRefundRow(row)
  const { decimals } = assetOf(refund.asset)
  const tip = row.tip === null ? null : Number(row.tip)
  const lastUnits = row.last_units === null ? null : printUnits(BigInt(row.last_units), decimals)
  return {
    id: printId('ref', refund.id),
    status: refund.status,
    amount: printAmount(refund.amount),
    asset: refund.asset,
    network: networkOf(refund.chain).title,
    address: refund.address,
    username: row.username,
    topup_id: printId('top', refund.topupId),
    requested_at: refund.requestedAt.toISOString(),
    second_person: refund.amount > secondPersonAbove,
    asked: refund.askedAt === null ? null : { by: row.asker, at: time(refund.askedAt) },
    approved: refund.approvedAt === null ? null : { by: row.approver, at: time(refund.approvedAt) },
    price:
      lastUnits === null
        ? null
        : {
            asset_amount: lastUnits,
            rate: printAmount(micros(row.price)),
            at: row.priced_at.toISOString(),
            uri: uriOf(assetOf(refund.asset), refund.address, BigInt(row.last_units)),
            by: row.pricer,
          },
    transaction_id: refund.transactionId,
    explorer_url: explorerUrl(explorers.get(refund.chain) ?? null, refund.transactionId),
    sent: refund.sentAt === null ? null : { by: row.sender, at: time(refund.sentAt) },
    confirmations: confirmationsOf({ height: refund.height }, tip),
    confirmations_required: refund.confirmationsRequired,
    vanished_at: time(refund.vanishedAt),
    ended_at: time(refund.endedAt),
    note: refund.note,
    may: mayDo(refund),
    history,
  }
}

function mayDo(refund: CryptoRefundRow): (typeof cryptoRefundActions)[number][] {
  const pay = mayPay(refund) ? (['price', 'paid'] as const) : []
  switch (refund.status) {
    case 'requested':
      return ['approve', 'decline']
    case 'approved':
      return [...pay, 'decline']
    case 'sent':
      return refund.vanishedAt === null ? [] : [...pay, 'decline']
    default:
      return []
  }
}
