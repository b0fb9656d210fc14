import type { Queryable } from './db.ts'
import type { Health } from './health.ts'

/** A mail that was tried for this long waits for more than its turn. Unit: seconds. */
const WAITING_SECONDS_MAX = 300
/** What is looked at: the newest rows only, so that a look costs the same on any day. */
const MAILS_LOOKED_AT = 200

/** Whether mails leave the house, by the outbox. Its times are wire time; what is answered is house time, as everything on a page. */
export async function mailHealth(db: Queryable, latelySeconds: number): Promise<Health> {
  const { rows } = await db.query<{ seen: Date | null; lately: boolean; waiting: boolean }>(
    `with seen as (
       select max(sent_at) as at from (select sent_at from mail_outbox order by id desc limit $1) m
     )
     select house_now() - (now() - seen.at) as seen,
            coalesce(seen.at > now() - make_interval(secs => $2), false) as lately,
            exists (select from mail_outbox
                     where next_attempt_at is not null
                       and created_at < now() - make_interval(secs => $3)) as waiting
       from seen`,
    [MAILS_LOOKED_AT, latelySeconds, WAITING_SECONDS_MAX],
  )
  const found = rows[0]!
  const last_worked_at = found.seen?.toISOString() ?? null
  if (found.waiting)
    return {
      state: 'trouble',
      detail: 'Mails wait longer than five minutes. They are sent as soon as the mail server takes them.',
      last_worked_at,
    }
  if (!found.lately)
    return { state: 'not_known', detail: 'No mail has been sent lately, so nothing shows it.', last_worked_at }
  return { state: 'works', detail: 'The mail server takes our mails.', last_worked_at }
}
