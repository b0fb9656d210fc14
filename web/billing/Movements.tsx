import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import type { HistoryRow } from '../../contract/contract.ts'
import { paths } from '../paths.ts'
import { linkClass, rowLinkClass } from '../ui/Button.tsx'
import { InkFigure, Money } from '../ui/Money.tsx'
import { type Column, Statement } from '../ui/Statement.tsx'
import { Time, useZone } from '../ui/Time.tsx'
import { dayKey, longDay } from '../ui/times.ts'

/** Rows of the Billing History as a statement. `byDay`: under the days' names, with the minutes alone; else each with its day. */
export function Movements({
  label,
  rows,
  byDay,
  empty,
}: {
  label: string
  rows: HistoryRow[]
  byDay: boolean
  empty: ReactNode
}) {
  const zone = useZone()
  const columns: Column<HistoryRow>[] = [
    {
      head: 'When',
      kind: 'text',
      narrow: 'second',
      width: byDay ? 'sm:w-when' : 'sm:w-day-and-time',
      cell: (row) => (
        <span className="text-quiet">
          <Time at={row.happened_at} precision={byDay ? 'bare' : 'minutes'} />
        </span>
      ),
    },
    { head: 'What happened', kind: 'text', narrow: 'first', cell: (row) => <Cause row={row} withReceipts={byDay} /> },
    {
      head: 'Amount',
      kind: 'figure',
      narrow: 'first-right',
      cell: (row) =>
        isZero(row.amount) ? (
          <span className="sm:hidden">
            {row.type === 'dispute' ? (
              <InkFigure ink="frozen" word="frozen" amount={row.held} signed />
            ) : (
              <InkFigure ink="held" word="held" amount={row.held} signed />
            )}
          </span>
        ) : (
          <Money amount={row.amount} signed />
        ),
    },
    {
      head: 'Held',
      kind: 'figure',
      narrow: 'hidden',
      cell: (row) => !isZero(row.held) && <Money amount={row.held} signed />,
    },
    {
      head: 'Balance',
      kind: 'edge',
      narrow: 'second-right',
      cell: (row) => (
        <>
          <span className="text-note text-quiet sm:hidden">Balance </span>
          <Money amount={row.balance} />
        </>
      ),
    },
  ]
  return (
    <Statement
      label={label}
      columns={columns}
      rows={rows}
      keyOf={(row) => row.id}
      quiet={isQuiet}
      empty={empty}
      {...(byDay
        ? {
            groupOf: (row: HistoryRow) => ({
              key: dayKey(row.happened_at, zone),
              title: longDay(row.happened_at, zone),
            }),
          }
        : {})}
    />
  )
}

/** The sentence of a row; it opens what caused the movement. */
function Cause({ row, withReceipts }: { row: HistoryRow; withReceipts: boolean }) {
  const text = unbroken(row.text)
  if (row.order_id)
    return (
      <Link {...paths.order(row.order_id)} className={rowLinkClass}>
        {text}
      </Link>
    )
  if (row.topup_id)
    return (
      <>
        <Link {...paths.topup(row.topup_id)} className={rowLinkClass}>
          {text}
        </Link>{' '}
        {withReceipts && row.type === 'topup' && (
          <Link {...paths.receipt(row.topup_id)} className={`relative -my-4 inline-block py-4 sm:ml-8 ${linkClass}`}>
            Receipt
          </Link>
        )}
      </>
    )
  return text
}

/** Keeps the groups of an order number on one line. */
function unbroken(text: string): string {
  return text.replace(/(\d)\s(?=\d{3})/g, '$1\u00a0')
}

/** Holds and releases leave what the customer owns as it was. */
function isQuiet(row: HistoryRow): boolean {
  return row.type === 'hold' || row.type === 'release'
}

function isZero(amount: string): boolean {
  return /^-?0+\.0+$/.test(amount)
}
