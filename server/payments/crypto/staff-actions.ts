/** What members of staff do about crypto, kept; and how they name a transaction. */
import type { Queryable } from '../../platform/db.ts'

export type Action = {
  /** Of `crypto_reviews` or `crypto_refunds`. */
  subject: string
  what: string
  /** Null: the house by itself. */
  memberId: bigint | null
  why: string | null
  detail?: object
}

/** In the transaction of what it tells. */
export async function noteAction(tx: Queryable, { subject, what, memberId, why, detail = {} }: Action): Promise<void> {
  await tx.query(
    `insert into crypto_staff_actions (subject, what, member_id, why, detail, at) values ($1, $2, $3, $4, $5, house_now())`,
    [subject, what, memberId, why, JSON.stringify(detail)],
  )
}

export type ToldAction = { at: string; by: string | null; what: string; why: string | null }

/** Of these subjects, oldest first; each has few. */
export async function actionsOf(db: Queryable, subjects: readonly string[]): Promise<Map<string, ToldAction[]>> {
  const { rows } = await db.query<{ subject: string; what: string; why: string | null; at: Date; by: string | null }>(
    `select s.subject, s.what, s.why, s.at, a.username as by
       from crypto_staff_actions s
       left join accounts a on a.id = s.member_id
      where s.subject = any ($1)
      order by s.id`,
    [subjects],
  )
  const told = new Map<string, ToldAction[]>()
  for (const { subject, what, why, at, by } of rows)
    told.set(subject, [...(told.get(subject) ?? []), { at: at.toISOString(), by, what, why }])
  return told
}

/** As the follower writes it: 64 lower-case digits, of EVM after 0x. Null: it is none. */
export function transactionIdOf(kind: 'utxo' | 'evm', typed: unknown): string | null {
  const digits = typeof typed === 'string' ? /^(?:0x)?([0-9a-f]{64})$/.exec(typed.trim().toLowerCase())?.[1] : undefined
  if (digits === undefined) return null
  return kind === 'evm' ? `0x${digits}` : digits
}
