/** What an operator watches of the card company's events. */
import type { HouseGauge } from '../platform/metrics.ts'

export const paymentFigures: HouseGauge[] = [
  {
    name: 'events_set_aside',
    help: 'Events of the card company that wait for a member of staff',
    sql: `select count(*) as value from inbox where source = 'stripe' and handled_at is null and set_aside_at is not null`,
  },
  {
    name: 'events_unread_seconds',
    help: "How long ago the card company's list of events was read to its end; 0 before the first time",
    sql: 'select coalesce(extract(epoch from now() - max(read_at)), 0) as value from card_event_state',
  },
  {
    name: 'webhooks_unreachable',
    help: "1 while the house's test of its own webhook address fails",
    sql: 'select count(*) as value from card_event_state where test_problem is not null',
  },
]
