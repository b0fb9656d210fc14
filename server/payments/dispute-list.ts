/** Disputes and warnings of fraud as members of staff see them: with what the bank waits for, until when, and who has decided what. */
import type { StaffDispute } from '../../contract/contract.ts'
import { micros, printAmount } from '../../contract/money.ts'
import { printCursor } from '../platform/answer.ts'
import type { Queryable } from '../platform/db.ts'
import { printId } from '../platform/ids.ts'
import { DISPUTE_BLOCKS_CARDS, OWED_FOR_DISPUTE, reasonInWords, statusInWords, type WarningStatus } from './dispute.ts'

/** `before`: the id at which the page before ended. */
export type StaffPage = { status: 'open' | 'closed' | null; limit: number; before: string | null }

type Row = {
  id: string
  external_id: string
  topup_id: string
  username: string | null
  kind: StaffDispute['kind']
  status: string
  amount: string
  topup_amount: string
  frozen: string
  taken: string
  owed: string
  cards_blocked: boolean
  lifted_by: string | null
  lifted_at: Date | null
  lift_why: string | null
  reason: string
  network_reason_code: string | null
  card_brand: string | null
  card_last4: string | null
  due_by: Date | null
  opened_at: Date
  closed_at: Date | null
  last_error: string | null
  asked_by: string | null
  asked_at: Date | null
  decided_by: string | null
  decided_at: Date | null
  why: string | null
  refund_id: string | null
}

const FOUND = `
  select d.id, d.external_id, d.topup_id, d.account_id, d.kind, d.stripe_status as status, d.amount,
         case d.state when 'frozen' then d.covered else 0 end as frozen,
         case d.state when 'taken' then d.covered else 0 end as taken,
         ${OWED_FOR_DISPUTE} as owed, ${DISPUTE_BLOCKS_CARDS} as cards_blocked, b.lifted_by, b.lifted_at, b.why as lift_why,
         d.reason, d.network_reason_code, d.evidence_due_by as due_by, d.opened_at, d.closed_at, d.last_error,
         null::bigint as asked_by, null::timestamptz as asked_at, null::bigint as decided_by, null::timestamptz as decided_at,
         null::text as why, null::uuid as refund_id
    from disputes d
    join ledger_accounts l on l.id = d.account_id
    left join card_block_lifts b on b.dispute_id = d.id and b.round = d.round
   union all
  select w.id, w.external_id, w.topup_id, w.account_id, 'warning', w.status, null, w.frozen, 0, 0, w.closed_at is null, null, null, null,
         w.fraud_type, null, null,
         w.opened_at, w.closed_at, w.last_error, w.asked_by, w.asked_at, w.decided_by, w.decided_at, w.why, w.refund_id
    from fraud_warnings w`

const TOLD = `
  select f.*, t.amount as topup_amount, coalesce(f.amount, t.amount) as amount,
         t.card_brand, t.card_last4, a.username, lifter.username as lifted_by,
         asker.username as asked_by, decider.username as decided_by
    from (${FOUND}) f
    join topups t on t.id = f.topup_id
    left join accounts a on a.id = f.account_id
    left join accounts lifter on lifter.id = f.lifted_by
    left join accounts asker on asker.id = f.asked_by
    left join accounts decider on decider.id = f.decided_by`

/** Newest first. */
export async function listDisputes(
  db: Queryable,
  page: StaffPage,
): Promise<{ items: StaffDispute[]; next_cursor: string | null }> {
  const { rows } = await db.query<Row>(
    `${TOLD}
      where ($1::uuid is null or f.id < $1)
        and ($2::text is null or (f.closed_at is null) = ($2 = 'open'))
      order by f.id desc
      limit $3`,
    [page.before, page.status, page.limit + 1],
  )
  const items = rows.slice(0, page.limit)
  return {
    items: items.map(tellStaff),
    next_cursor: rows.length > page.limit ? printCursor(items.at(-1)!.id) : null,
  }
}

/** Null: there is no such dispute or warning. */
export async function readStaffDispute(db: Queryable, id: string): Promise<StaffDispute | null> {
  const { rows } = await db.query<Row>(`${TOLD} where f.id = $1`, [id])
  return rows[0] ? tellStaff(rows[0]) : null
}

function tellStaff(row: Row): StaffDispute {
  const money = (amount: string) => printAmount(micros(amount))
  const time = (at: Date | null) => at?.toISOString() ?? null
  return {
    id: printId('dsp', row.id),
    kind: row.kind,
    status: statusInWords(row.kind, row.status),
    card_company_status: row.status,
    card_company_id: row.external_id,
    topup_id: printId('top', row.topup_id),
    topup_amount: money(row.topup_amount),
    username: row.username,
    card: row.card_brand === null ? null : { brand: row.card_brand, last4: row.card_last4 ?? '' },
    amount: money(row.amount),
    frozen: money(row.frozen),
    taken: money(row.taken),
    owed: money(row.owed),
    reason: row.reason,
    reason_in_words: reasonInWords(row.reason),
    network_reason_code: row.network_reason_code,
    evidence_due_by: time(row.due_by),
    opened_at: row.opened_at.toISOString(),
    ended_at: time(row.closed_at),
    last_error: row.last_error,
    cards_blocked: row.cards_blocked,
    cards_taken_again:
      row.lifted_at === null ? null : { by: row.lifted_by, at: row.lifted_at.toISOString(), why: row.lift_why ?? '' },
    warning:
      row.kind === 'warning'
        ? {
            status: row.status as WarningStatus,
            asked_by: row.asked_by,
            asked_at: time(row.asked_at),
            decided_by: row.decided_by,
            decided_at: time(row.decided_at),
            why: row.why,
            refund_id: row.refund_id === null ? null : printId('ref', row.refund_id),
          }
        : null,
  }
}
