/**
 * A top-up that the card company knows and this database does not: it was begun after the backup that the database was restored from.
 * Its row is written anew from the card company's own objects, awaiting payment; settling it decides everything else, as ever.
 */
import { MICROS_PER_CENT } from '../../../contract/money.ts'
import type { Database } from '../../platform/db.ts'
import { type Charge, referenceOf, type Session } from './stripe.ts'

/**
 * True: the top-up is there, now or already. False: whose it was cannot be told. An account's number does not tell it: after a restore
 * the next customer may get the number that a lost one had. The login's own id is never given twice.
 */
export async function bringBack(
  database: Database,
  charge: Charge,
  topupId: string,
  sessionOf: (paymentIntentId: string) => Promise<Session | null>,
): Promise<boolean> {
  const known = await database.pool.query('select from topups where id = $1', [topupId])
  if (known.rowCount === 1) return true
  const intent = typeof charge.payment_intent === 'string' ? null : charge.payment_intent
  const customer = intent?.metadata['customer'] ?? ''
  if (!intent || !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(customer)) return false
  const account = await database.pool.query<{ id: string }>('select id from accounts where user_id = $1', [customer])
  const accountId = account.rows[0]?.id
  if (accountId === undefined) return false
  const session = await sessionOf(intent.id)
  if (session?.client_reference_id !== referenceOf(topupId) || session.currency !== 'usd' || !session.amount_total)
    return false
  await database.transaction(async (tx) => {
    await tx.query(
      `insert into directory (source, external_id, account_id, subject) values ('stripe:session', $1, $2, $3) on conflict do nothing`,
      [session.id, accountId, topupId],
    )
    await tx.query(
      `insert into topups (id, account_id, amount, session_call, asked_at, session_id, handed_out, created_at, expires_at, next_look_at)
       select $1, $2, $3, $4, to_timestamp($5), $6, true, created, greatest(created, house_now() - (now() - to_timestamp($7))), now()
         from (select least(house_now(), house_now() - (now() - to_timestamp($5))) as created) c
       on conflict do nothing`,
      [
        topupId,
        accountId,
        BigInt(session.amount_total!) * MICROS_PER_CENT,
        // What is left of the call, which nobody will repeat: its answer is known.
        JSON.stringify({ client_reference_id: session.client_reference_id, metadata: session.metadata }),
        session.created,
        session.id,
        session.expires_at,
      ],
    )
  })
  return true
}
