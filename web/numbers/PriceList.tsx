import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import type { Price } from '../../contract/contract.ts'
import { pricesRead, useNames } from '../reads.ts'
import { ReadProblem } from '../shell/Broken.tsx'
import { Button } from '../ui/Button.tsx'
import { EdgeText } from '../ui/Edge.tsx'
import { Field } from '../ui/Field.tsx'
import { Loading } from '../ui/Loading.tsx'
import { Money } from '../ui/Money.tsx'
import { type Column, Statement } from '../ui/Statement.tsx'
import { OrderButton, OrderRefused, refusalFor, useOrdering } from './OrderButton.tsx'
import { findPrices, successWords } from './search.ts'

/** The catalogue by search: service, country, stock, success, and the price on the money edge. */
export function PriceList({
  typed,
  type,
  rowsMax,
  takesFocus = false,
}: {
  typed: string
  type: (words: string) => void
  rowsMax: number
  takesFocus?: boolean
}) {
  const prices = useQuery(pricesRead)
  const names = useNames()
  const ordering = useOrdering()
  const [all, setAll] = useState(false)
  const called = (price: Price) => `${names.service(price.service)}, ${names.country(price.country)}`

  const columns: Column<Price>[] = [
    {
      head: 'Service',
      kind: 'text',
      narrow: 'first',
      width: 'lg:w-1/4',
      cell: (price) => (
        <span className="font-medium sm:font-regular">
          {names.service(price.service)}
          <span className="sm:hidden">, {names.country(price.country)}</span>
        </span>
      ),
    },
    {
      head: 'Country',
      kind: 'text',
      narrow: 'hidden',
      width: 'lg:w-1/4',
      cell: (price) => names.country(price.country),
    },
    {
      head: 'In stock',
      kind: 'figure',
      narrow: 'second',
      cell: (price) => (
        <>
          {price.in_stock}
          <span className="sm:hidden"> in stock, {successWords(price)}</span>
        </>
      ),
    },
    {
      head: 'Success',
      kind: 'figure',
      narrow: 'hidden',
      cell: (price) => <span className="whitespace-nowrap">{successWords(price)}</span>,
    },
    {
      head: <span className="sr-only">Order</span>,
      kind: 'figure',
      narrow: 'second-right',
      cell: (price) => <OrderButton price={price} ordering={ordering} named={called(price)} />,
    },
    { head: 'Price', kind: 'edge', narrow: 'first-right', cell: (price) => <Money amount={price.price} /> },
  ]

  const { first, more } = findPrices(prices.data ?? [], names, typed, all ? Number.POSITIVE_INFINITY : rowsMax)
  return (
    <>
      <EdgeText className="pb-8">
        <div className="max-w-field">
          <Field
            label="Service or country"
            type="search"
            defaultValue={typed}
            onChange={(event) => type(event.currentTarget.value)}
            autoFocus={takesFocus}
            autoComplete="off"
            spellCheck={false}
          />
        </div>
      </EdgeText>
      {prices.isPending && <Loading />}
      {prices.isError && !prices.data && <ReadProblem error={prices.error} again={() => prices.refetch()} />}
      {prices.data && (
        <Statement
          label="Numbers to order"
          columns={columns}
          rows={first}
          keyOf={(price) => `${price.service} ${price.country}`}
          below={(price) => {
            const refusal = refusalFor(ordering.press, price)
            return refusal && <OrderRefused refusal={refusal} />
          }}
          empty={`Nothing is called “${typed}”. Type a service, a country or its dial code.`}
        />
      )}
      {first.length > 0 && (
        <EdgeText className="pt-8 text-note text-quiet">
          <p>Success: the share of numbers that got a code, in 30 days. New: fewer than 20 numbers so far.</p>
        </EdgeText>
      )}
      {more > 0 && (
        <EdgeText className="flex flex-wrap items-center gap-x-16 gap-y-8 py-8 text-label text-quiet">
          <p role="status">
            {typed
              ? `${more} more.`
              : `Each service in its cheapest country. ${more} more: type a service or a country.`}
          </p>
          {typed && <Button onClick={() => setAll(true)}>Show all</Button>}
        </EdgeText>
      )}
    </>
  )
}
