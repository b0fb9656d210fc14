import type { Queryable } from '../platform/db.ts'
import type { Health } from '../platform/health.ts'

/** So long a payment that the bank has answered may be on its way to the balance. Unit: seconds. */
const ON_ITS_WAY_SECONDS_MAX = 120
/** So long a payment page may take to open, and so long a failure to open it is news. Unit: seconds. */
const OPENING_SECONDS_MAX = 20
const FAILURE_IS_NEWS_SECONDS = 900
/** What is looked at: the newest rows only, so that a look costs the same on any day. */
const TOPUPS_LOOKED_AT = 50
const EVENTS_LOOKED_AT = 1_000

/** Whether cards can be paid with, by what became of the last top-ups and by what the card company told us. */
export async function cardsHealth(db: Queryable, latelySeconds: number): Promise<Health> {
  const { rows } = await db.query<{
    seen: Date | null
    lately: boolean
    credited_lately: boolean
    unopened: boolean
    unanswered: boolean
    slow: boolean
    paused: boolean
    deaf: boolean
  }>(
    `with recent as (
       select * from topups where method = 'card' order by id desc limit $1
     ), told as (
       select max(received_at) as at
         from (select source, received_at from inbox order by id desc limit $2) e
        where source = 'stripe'
     ), seen as (
       select greatest(max(created_at) filter (where session_id is not null),
                       max(bank_answered_at), max(credited_at), (select at from told)) as at,
              max(credited_at) as credited_at
         from recent
     )
     select seen.at as seen,
            coalesce(seen.at > house_now() - make_interval(secs => $3), false) as lately,
            coalesce(seen.credited_at > house_now() - make_interval(secs => $3), false) as credited_lately,
            exists (select from recent
                     where session_id is null
                       and asked_at between now() - make_interval(secs => $4) and now() - make_interval(secs => $5)
                       and asked_at >= (select max(asked_at) from recent
                                         where asked_at < now() - make_interval(secs => $5))) as unopened,
            exists (select from recent
                     where last_error is not null
                       and next_look_at is not null
                       and asked_at > now() - make_interval(secs => $4)) as unanswered,
            exists (select from topups
                     where status = 'confirming'              -- of crypto the bank never answers
                       and bank_answered_at < house_now() - make_interval(secs => $6))
         or exists (select from inbox
                     where source = 'stripe'
                       and handled_at is null
                       and set_aside_at is null              -- waits for a person, who was called
                       and outcome is null                   -- not for an object that nobody here knows
                       and received_at < house_now() - make_interval(secs => $6)) as slow,
            exists (select from card_pauses where ended_at is null and until > house_now()) as paused,
            exists (select from card_event_state where test_problem is not null) as deaf
       from seen`,
    [
      TOPUPS_LOOKED_AT,
      EVENTS_LOOKED_AT,
      latelySeconds,
      FAILURE_IS_NEWS_SECONDS,
      OPENING_SECONDS_MAX,
      ON_ITS_WAY_SECONDS_MAX,
    ],
  )
  const found = rows[0]!
  const last_worked_at = found.seen?.toISOString() ?? null
  const trouble = (detail: string): Health => ({ state: 'trouble', detail, last_worked_at })
  if (found.paused)
    return trouble(
      'New card payments are paused, because too many cards were declined within minutes. What was begun is credited. They open again by themselves.',
    )
  if (found.unopened)
    return trouble(
      'The payment page could not be opened for the last customer who asked. No money moved. Try again in a few minutes.',
    )
  if (found.unanswered)
    return trouble(
      'Stripe does not answer all our questions at the moment. A payment that was begun is credited when it does; nothing is lost.',
    )
  if (found.slow)
    return trouble(
      'Some payments take longer than they should to be credited. We look again every minute; nothing is lost.',
    )
  if (found.deaf)
    return trouble(
      'Stripe cannot tell us by itself that a payment was made. We ask it every minute, so credits may take a few minutes; nothing is lost.',
    )
  if (!found.lately)
    return { state: 'not_known', detail: 'Nobody has paid by card lately, so nothing shows it.', last_worked_at }
  return {
    state: 'works',
    detail: found.credited_lately ? 'Stripe answers, and payments are credited.' : 'Stripe answers.',
    last_worked_at,
  }
}
