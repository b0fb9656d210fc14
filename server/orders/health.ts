import type { Queryable } from '../platform/db.ts'
import type { Health } from '../platform/health.ts'

/** A message is decided in milliseconds; one that is not was stored and could not be. Unit: seconds. */
const UNDECIDED_SECONDS_MAX = 60
/** So many ended orders of the last hour without a single code are no chance any more. */
const ORDERS_TO_TELL = 20
/** What is looked at: the newest rows only, so that a look costs the same on any day. */
const EVENTS_LOOKED_AT = 1_000
const ORDERS_LOOKED_AT = 200

/** Whether messages come in, by the last ones that did and by what became of the last orders. */
export async function smsHealth(db: Queryable, latelySeconds: number): Promise<Health> {
  const { rows } = await db.query<{
    seen: Date | null
    lately: boolean
    undecided: boolean
    ended: number
    codes: number
  }>(
    `with seen as (
       select max(received_at) as at
         from (select source, received_at from inbox order by id desc limit $1) e
        where source like 'sms:%'
     ), recent as (
       select count(*)::int as ended, count(received_at)::int as codes
         from (select status, given_at, received_at from orders order by id desc limit $2) o
        where status <> 'waiting'
          and given_at > house_now() - interval '1 hour'
     )
     select seen.at as seen,
            coalesce(seen.at > house_now() - make_interval(secs => $3), false) as lately,
            exists (select from inbox
                     where source like 'sms:%'
                       and handled_at is null
                       and received_at < house_now() - make_interval(secs => $4)) as undecided,
            recent.ended,
            recent.codes
       from seen, recent`,
    [EVENTS_LOOKED_AT, ORDERS_LOOKED_AT, latelySeconds, UNDECIDED_SECONDS_MAX],
  )
  const found = rows[0]!
  const last_worked_at = found.seen?.toISOString() ?? null
  if (found.undecided)
    return {
      state: 'trouble',
      detail:
        'Some messages are here and not yet on their pages. They are kept, and no order ends before its message is read.',
      last_worked_at,
    }
  if (found.ended >= ORDERS_TO_TELL && found.codes === 0)
    return {
      state: 'trouble',
      detail: 'No order of the last hour got a code. Orders without a code cost nothing.',
      last_worked_at,
    }
  if (!found.lately)
    return { state: 'not_known', detail: 'No message has come lately, so nothing shows it.', last_worked_at }
  return { state: 'works', detail: 'Messages come in.', last_worked_at }
}
