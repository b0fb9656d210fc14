/** What an operator watches of mail and jobs. */
import type { HouseGauge } from './metrics.ts'

export const platformFigures: HouseGauge[] = [
  {
    name: 'mail_letters',
    help: 'Letters that wait to be sent, and letters of the last day that were given up',
    labels: ['state'],
    sql: `select 'waiting' as state, count(*) as value from mail_outbox where next_attempt_at is not null
           union all
          select 'given_up', count(*) from mail_outbox
           where next_attempt_at is null and failed_at is not null and created_at > now() - interval '1 day'
             and to_address is not null`, // not emptied yet, as none of the last day is: there is an index of those
  },
  {
    name: 'mail_waiting_seconds',
    help: 'How long the oldest letter that is not sent has waited',
    sql: `select coalesce(extract(epoch from now() - min(created_at)), 0) as value from mail_outbox where next_attempt_at is not null`,
  },
  {
    name: 'jobs',
    help: 'Jobs of the queue that are not done, by queue and state',
    labels: ['queue', 'state'],
    sql: `select name as queue, state::text as state, count(*) as value
            from pgboss.job where state in ('created', 'retry', 'active', 'failed') group by name, state`,
  },
]
