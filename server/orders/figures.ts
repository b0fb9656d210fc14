/** What an operator watches of orders and of the messages for them. */
import type { HouseGauge } from '../platform/metrics.ts'

export const orderFigures: HouseGauge[] = [
  {
    name: 'open_orders',
    help: 'Orders that have not ended, by status',
    labels: ['status'],
    sql: `select status, count(*) as value from orders where status in ('waiting', 'received') group by status`,
  },
  {
    name: 'overdue_orders',
    help: 'Orders that should have ended more than two minutes ago',
    sql: `select count(*) as value from orders
           where status in ('waiting', 'received') and expires_at < house_now() - interval '2 minutes'`,
  },
  {
    name: 'undecided_messages',
    help: 'What the outside told us and nobody has acted on yet, by source',
    labels: ['source'],
    sql: 'select source, count(*) as value from inbox where handled_at is null and set_aside_at is null and outcome is null group by source',
  },
  {
    name: 'undecided_message_oldest_seconds',
    help: 'How long the oldest of them has waited, in house time; 0 when there is none',
    sql: `select coalesce(extract(epoch from house_now() - min(received_at)), 0) as value
            from inbox where handled_at is null and set_aside_at is null and outcome is null`,
  },
]
