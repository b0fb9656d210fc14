/** What an operator watches of the ledger: totals, and what must be zero. */
import type { HouseGauge } from '../platform/metrics.ts'
import { causes, platformAccounts } from './chart.ts'

/** The chart's words for its numbers, as a table. */
const words = (chart: Record<string, number>) =>
  `(values ${Object.entries(chart)
    .map(([word, number]) => `(${number}, '${word}')`)
    .join(', ')})`

export const ledgerFigures: HouseGauge[] = [
  {
    name: 'platform_total_usd',
    help: 'What moved a platform account, credits minus debits, by cause',
    labels: ['account', 'cause'],
    sql: `select a.word as account, c.word as cause, (t.credits - t.debits) / 1e6 as value
            from platform_totals t
            join ${words(platformAccounts)} a(number, word) on a.number = t.platform
            join ${words(causes)} c(number, word) on c.number = t.code`,
  },
  {
    name: 'customers_total_usd',
    help: 'What all customers together own, have held and frozen, and owe',
    labels: ['figure'],
    sql: `select f.figure, f.amount / 1e6 as value
            from (select sum(credits - debits + owed) as owned, sum(held) as held, sum(frozen) as frozen, sum(owed) as owed from ledger_accounts) s
           cross join lateral (values ('owned', s.owned), ('held', s.held), ('frozen', s.frozen), ('owed', s.owed)) f(figure, amount)
           where f.amount is not null`,
  },
  {
    name: 'ledger_difference_usd',
    help: 'Customers and platform together, which is zero',
    sql: `select ((select coalesce(sum(credits - debits), 0) from ledger_accounts)
                + (select coalesce(sum(credits - debits), 0) from platform_totals)) / 1e6 as value`,
  },
  {
    name: 'open_holds',
    help: 'Holds that nothing has resolved yet, by cause',
    labels: ['cause'],
    sql: `select c.word as cause, count(*) as value
            from open_holds o join ${words(causes)} c(number, word) on c.number = o.code group by c.word`,
  },
  {
    name: 'overdue_holds',
    help: 'Open holds whose deadline passed more than two minutes ago',
    sql: `select count(*) as value from open_holds where expires_at < house_now() - interval '2 minutes'`,
  },
  {
    name: 'platform_deltas_rows',
    help: 'Rows that the compactor has not summed up yet',
    sql: 'select count(*) as value from platform_deltas',
  },
  {
    name: 'unsealed_seqs',
    help: 'Numbers of rows that no seal covers yet',
    sql: `select coalesce(s.last_value, 0) - coalesce((select last_seq from seals order by first_seq desc limit 1), 0) as value
            from pg_sequences s
           where s.schemaname = 'public' and s.sequencename = 'transfer_seq'`,
  },
]
