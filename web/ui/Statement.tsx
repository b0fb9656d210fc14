import { Fragment, type ReactNode, useRef } from 'react'
import { freshKeys } from './fresh.ts'

/** Where a cell stands below 640 px, where a row has two lines: sentence and amount, then the rest. */
type Narrow = 'first' | 'first-right' | 'second' | 'second-right' | 'hidden'

export type Column<Row> = {
  head: ReactNode
  cell: (row: Row) => ReactNode
  /** `edge`: the amount that stands on the money edge. `figure`: an amount or a count before it. */
  kind: 'text' | 'figure' | 'edge'
  narrow: Narrow
  /** A class for the width; without one the column takes what is left. */
  width?: string
}

const narrowPlaces: Record<Narrow, string> = {
  first: 'max-sm:col-start-1 max-sm:row-start-1',
  'first-right': 'max-sm:col-start-2 max-sm:row-start-1 max-sm:text-right',
  second: 'max-sm:col-start-1 max-sm:row-start-2 max-sm:text-left max-sm:text-quiet',
  'second-right': 'max-sm:col-start-2 max-sm:row-start-2 max-sm:text-right',
  hidden: 'max-sm:hidden',
}

/**
 * A table as a printed statement has it: heads left, figure heads right, lines between rows, the last column on the money edge.
 * Every role is written out, because below 640 px the rows are drawn as two lines and browsers then forget that it is a table.
 */
export function Statement<Row>({
  label,
  columns,
  rows,
  keyOf,
  groupOf,
  quiet,
  below,
  tall = false,
  empty,
}: {
  label: string
  columns: Column<Row>[]
  rows: Row[]
  keyOf: (row: Row) => string
  /** Rows with the same group stand together under its title (a day). */
  groupOf?: (row: Row) => { key: string; title: ReactNode }
  /** Rows of lesser weight. */
  quiet?: (row: Row) => boolean
  /** What stands under a row: the answer to a press in it. */
  below?: (row: Row) => ReactNode
  /** Rows of several lines: every cell begins on the first. */
  tall?: boolean
  /** One sentence on what will stand here. */
  empty: ReactNode
}) {
  const seen = useRef<string[] | null>(null)
  const keys = rows.map(keyOf)
  const fresh = freshKeys(seen.current, keys)
  if (keys.length > 0 && seen.current === null) seen.current = keys

  let group = ''
  return (
    <table {...as('table')} aria-label={label} className="edge-all w-full border-collapse max-sm:block">
      <thead {...as('rowgroup')} className="max-sm:sr-only">
        <tr {...as('row')}>
          {columns.map((column, index) => (
            <th
              key={index}
              scope="col"
              {...as('columnheader')}
              className={`sticky top-0 z-10 line-below bg-paper py-8 text-note font-medium text-quiet max-lg:top-topline ${align(column)} ${column.width ?? ''}`}
            >
              {column.head}
            </th>
          ))}
        </tr>
      </thead>
      <tbody {...as('rowgroup')} className="max-sm:block">
        {rows.length === 0 && (
          <tr {...as('row')} className="max-sm:block">
            <td {...as('cell')} colSpan={columns.length} className="py-12 text-quiet max-sm:block">
              {empty}
            </td>
          </tr>
        )}
        {rows.map((row) => {
          const heading = groupOf?.(row)
          const opens = heading && heading.key !== group ? heading : null
          if (opens) group = opens.key
          const answer = below?.(row)
          return (
            <Fragment key={keyOf(row)}>
              {opens && (
                <tr {...as('row')} className="max-sm:block">
                  <th
                    scope="rowgroup"
                    {...as('rowheader')}
                    colSpan={columns.length}
                    className="line-below pt-16 pb-4 text-left text-label font-medium max-sm:block"
                  >
                    {opens.title}
                  </th>
                </tr>
              )}
              <tr
                {...as('row')}
                className={`relative hover:bg-sheet max-sm:grid max-sm:grid-cols-[minmax(0,1fr)_auto] max-sm:gap-x-16 max-sm:py-8 ${answer ? '' : 'line-below'} ${quiet?.(row) ? 'text-quiet' : ''} ${fresh.has(keyOf(row)) ? 'fresh' : ''}`}
              >
                {columns.map((column, index) => (
                  <td
                    key={index}
                    {...as('cell')}
                    className={`py-4 ${tall ? 'align-top' : 'align-middle'} text-label sm:h-row max-sm:py-0 ${align(column)} ${narrowPlaces[column.narrow]}`}
                  >
                    {column.kind === 'edge' ? (
                      <div className="sm:min-w-edge">{column.cell(row)}</div>
                    ) : (
                      column.cell(row)
                    )}
                  </td>
                ))}
              </tr>
              {answer && (
                <tr {...as('row')} className="line-below max-sm:block">
                  <td {...as('cell')} colSpan={columns.length} className="pb-12 max-sm:block">
                    {answer}
                  </td>
                </tr>
              )}
            </Fragment>
          )
        })}
      </tbody>
    </table>
  )
}

/** A role, written out. */
function as(role: string) {
  return { role }
}

function align(column: Column<never>): string {
  switch (column.kind) {
    case 'text':
      return 'text-left sm:pr-16'
    case 'figure':
      return 'text-right sm:pl-8 sm:pr-16'
    case 'edge':
      return 'text-right sm:w-edge'
  }
}
