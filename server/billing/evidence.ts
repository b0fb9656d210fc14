/**
 * What shows that a disputed payment was in order: who paid, how his bank verified him, what he agreed to, and what he got for it. Under
 * the names that the card company has for evidence, and as the rows that it rests on. What messages said is nobody's evidence: only
 * that and when they came.
 */
import type { DisputeEvidence, StaffDispute } from '../../contract/contract.ts'
import { displayAmount, micros, printAmount } from '../../contract/money.ts'
import { policies } from '../../contract/policies.ts'
import { receiptLines } from '../../contract/receipts.ts'
import type { Ledger } from '../ledger/ledger.ts'
import type { Payments } from '../payments/payments.ts'
import { houseNow } from '../platform/clock.ts'
import type { Database, Row } from '../platform/db.ts'
import { printId, readId } from '../platform/ids.ts'
import { timeIn } from '../platform/time-words.ts'

/** The card company takes no longer text in a field of evidence. Unit: characters. */
const FIELD_CHARACTERS_MAX = 20_000
const ORDERS_MAX = 500
const MOVEMENTS_MAX = 500

type OrderRow = Pick<Row<'orders'>, 'id' | 'number' | 'price' | 'status' | 'given_at' | 'received_at' | 'ended_at'> & {
  service: string
  country: string
  codes: string[]
}
type TopupRow = Pick<
  Row<'topups'>,
  | 'id'
  | 'account_id'
  | 'session_id'
  | 'payment_intent_id'
  | 'charge_id'
  | 'three_d_secure'
  | 'started_address'
  | 'started_user_agent'
  | 'created_at'
  | 'bank_answered_at'
  | 'credited_at'
>
type AccountRow = Pick<Row<'accounts'>, 'username' | 'created_at' | 'adult_stated_at'> & { email: string | null }
type AcceptedRow = Pick<Row<'policy_acceptances'>, 'policy' | 'version' | 'accepted_at'>

export function createEvidence(parts: { database: Database; ledger: Ledger; payments: Payments; publicUrl: string }) {
  const { database, ledger, payments, publicUrl } = parts
  const { pool } = database

  /** Null: there is no such dispute or warning. */
  return async (disputeId: string): Promise<DisputeEvidence | null> => {
    const dispute = await payments.staffDispute(disputeId)
    if (!dispute) return null
    const topupId = readId('top', dispute.topup_id)!
    const { rows: topups } = await pool.query<TopupRow>(
      `select id, account_id, session_id, payment_intent_id, charge_id, three_d_secure, started_address, started_user_agent,
              created_at, bank_answered_at, credited_at
         from topups
        where id = $1`,
      [topupId],
    )
    const topup = topups[0]!
    const accountId = BigInt(topup.account_id)
    const [accounts, accepted, orders, transfers, receipt] = await Promise.all([
      pool.query<AccountRow>(
        'select username, created_at, adult_stated_at, mail_address_of(id) as email from accounts where id = $1',
        [topup.account_id],
      ),
      pool.query<AcceptedRow>(
        'select policy, version, accepted_at from policy_acceptances where account_id = $1 order by accepted_at, policy',
        [topup.account_id],
      ),
      pool.query<OrderRow>(
        `select o.id, o.number, s.name as service, c.name as country, o.price, o.status, o.given_at, o.received_at, o.ended_at,
                array(select m.received_at from messages m where m.order_id = o.id and m.code is not null order by 1) as codes
           from orders o
           join services s on s.code = o.service
           join countries c on c.code = o.country
          where o.account_id = $1
            and o.given_at >= $2
          order by o.given_at
          limit $3`,
        [topup.account_id, topup.credited_at, ORDERS_MAX],
      ),
      ledger.history(pool, accountId, {
        limit: MOVEMENTS_MAX,
        ...(topup.credited_at ? { from: topup.credited_at } : {}),
      }),
      payments.receipt(accountId, topupId),
    ])
    const account = accounts.rows[0] ?? null
    const words = timeIn('UTC')
    const refunds = accepted.rows.findLast(({ policy }) => policy === 'refunds')
    return {
      dispute,
      gathered_at: (await houseNow(pool)).toISOString(),
      evidence: {
        access_activity_log: cut(activityLog(dispute, orders.rows, words)),
        customer_email_address: account?.email ?? null,
        customer_name: account?.username ?? null,
        customer_purchase_ip: topup.started_address,
        product_description: cut(
          'Prepaid credits for temporary phone numbers that receive verification codes by SMS. They are available at once, and are deducted only when a code arrives.',
        ),
        receipt:
          receipt === null || receipt === 'not_credited'
            ? null
            : cut(
                [
                  `Receipt for ${displayAmount(receipt.amount)}`,
                  ...receiptLines(receipt, (at) => words(at)).map(({ name, value }) => `${name}: ${value}`),
                  ...(receipt.tax_note === null ? [] : [receipt.tax_note]),
                  `The document: ${publicUrl}/api/v1/receipts/${dispute.topup_id}.pdf`,
                ].join('\n'),
              ),
        refund_policy: refunds ? cut(policyText('refunds', refunds.version)) : null,
        refund_policy_disclosure: refunds
          ? `The customer accepted version ${refunds.version} of our refund policy on ${words(refunds.accepted_at.toISOString())}, when the account was opened, and it is linked from every page: ${publicUrl}/refund-policy`
          : null,
        service_date: topup.credited_at?.toISOString().slice(0, 10) ?? null,
        uncategorized_text: cut(verification(topup, words)),
      },
      rows: {
        topup: { ...topup, id: dispute.topup_id, account_id: undefined },
        account: account && { ...account },
        policies: accepted.rows,
        orders: orders.rows.map((order) => ({
          ...order,
          id: printId('ord', order.id),
          price: printAmount(micros(order.price)),
        })),
        movements: transfers.map((transfer) => ({
          id: printId('trf', transfer.id),
          number: String(transfer.number),
          kind: transfer.kind,
          cause: transfer.code,
          amount: printAmount(transfer.amount),
          available_after: printAmount(transfer.availableAfter),
          frozen_after: printAmount(transfer.frozenAfter),
          owed_after: printAmount(transfer.owedAfter),
          happened_at: transfer.happenedAt,
        })),
      },
    }
  }
}

type TimeWords = (instant: string) => string

/** What the customer had of the credits: each number, and each code that came. */
function activityLog(dispute: StaffDispute, orders: readonly OrderRow[], words: TimeWords): string {
  const lines = orders.map((order) => {
    const came =
      order.codes.length === 0
        ? `no code came, nothing was deducted (${order.status})`
        : `${order.codes.length === 1 ? 'a code' : `${order.codes.length} codes`} delivered at ${order.codes.map((at) => words(new Date(at).toISOString())).join(', ')}; ${displayAmount(printAmount(micros(order.price)))} deducted`
    return `${words(order.given_at.toISOString())}: order ${order.number}, a number for ${order.service}, ${order.country}: ${came}`
  })
  return [
    `What the account ${dispute.username ?? ''} did with the credits of this payment, from ${orders.length} orders since (times in UTC):`,
    ...(lines.length === 0 ? ['No order was placed since.'] : lines),
  ].join('\n')
}

/** What the cardholder's bank said when it was asked. */
function verification(topup: TopupRow, words: TimeWords): string {
  // json of our own writing (payments/card/settle.ts)
  const secure = topup.three_d_secure as Record<string, string | null> | null
  if (!secure) return 'No result of 3-D Secure is stored with this payment.'
  return [
    `The cardholder's bank authenticated this payment by 3-D Secure before it was taken (${secure['result']}${secure['authentication_flow'] ? `, ${secure['authentication_flow']}` : ''}).`,
    `3-D Secure transaction: ${secure['transaction_id'] ?? 'not told'}, version ${secure['version'] ?? 'not told'}, ECI ${secure['electronic_commerce_indicator'] ?? 'not told'} (network: ${secure['network_electronic_commerce_indicator'] ?? 'not told'}).`,
    ...(topup.bank_answered_at ? [`The bank answered on ${words(topup.bank_answered_at.toISOString())}.`] : []),
    ...(topup.started_user_agent ? [`The browser said of itself: ${topup.started_user_agent}`] : []),
  ].join('\n')
}

function policyText(name: string, version: string): string {
  const policy = policies.find((each) => each.name === name)!
  const own = policy.versions.find((each) => each.version === version)
  if (!own) return `${policy.title}, version ${version}`
  return [
    `${policy.title}, version ${version}`,
    own.short,
    ...own.sections.flatMap(({ title, passages }) => [title, ...passages.flat()]),
  ].join('\n')
}

function cut(text: string): string {
  const end = '\n… cut here: the rows have the rest.'
  return text.length <= FIELD_CHARACTERS_MAX ? text : `${text.slice(0, FIELD_CHARACTERS_MAX - end.length)}${end}`
}
