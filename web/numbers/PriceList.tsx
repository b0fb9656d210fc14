import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import type { Price } from '../../contract/contract.ts'
import { foundPricesRead, pricesRead, useNames } from '../reads.ts'
import { ReadProblem } from '../shell/Broken.tsx'
import { Button } from '../ui/Button.tsx'
import { EdgeText } from '../ui/Edge.tsx'
import { Field } from '../ui/Field.tsx'
import { Loading } from '../ui/Loading.tsx'
import { Money } from '../ui/Money.tsx'
import { Notice } from '../ui/Notice.tsx'
import { useRested } from '../ui/rested.ts'
import { Star } from '../ui/Star.tsx'
import { type Column, Statement } from '../ui/Statement.tsx'
import { useFavourites, useSettled } from './favourites.ts'
import { OrderButton, OrderRefused, refusalFor, useOrdering } from './OrderButton.tsx'
import { findPrices, pairKey, successWords, withFound } from './search.ts'

/** Of the server's own search. */
const ROWS_ASKED = 100

/** The catalogue by search: service, country, stock, success, and the price on the money edge. Favourites stand first. */
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
  const catalogue = useQuery(pricesRead)
  // A catalogue too large to have whole: what is not here, the server finds.
  const isPart = catalogue.data?.whole === false && typed.trim() !== ''
  const besides = useQuery({ ...foundPricesRead(useRested(typed.trim()), ROWS_ASKED), enabled: isPart })
  const prices = withFound(catalogue.data?.items ?? [], isPart ? (besides.data?.items ?? []) : [])
  const names = useNames()
  const ordering = useOrdering()
  const favourites = useFavourites()
  const first = useSettled(favourites.marked, favourites.isPending, typed)
  const [all, setAll] = useState(false)
  const called = (price: Price) => `${names.service(price.service)}, ${names.country(price.country)}`

  const columns: Column<Price>[] = [
    {
      head: 'Service',
      kind: 'text',
      narrow: 'first',
      width: 'lg:w-1/4',
      cell: (price) => (
        <span className="-ml-8 flex items-center gap-4 font-medium sm:font-regular">
          <Star
            on={favourites.marked.has(pairKey(price))}
            named={`Favourite: ${called(price)}`}
            press={() => favourites.toggle(price)}
          />
          <span>
            {names.service(price.service)}
            <span className="sm:hidden">, {names.country(price.country)}</span>
          </span>
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
        // On a phone it stands under the name, which begins beside the star.
        <span className="max-sm:ml-[calc(var(--spacing-target)-var(--spacing-4))]">
          {price.in_stock}
          <span className="sm:hidden"> in stock, {successWords(price)}</span>
        </span>
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
    {
      head: 'Price',
      kind: 'edge',
      narrow: 'first-right',
      // On the line of the star, which has the height of a finger.
      cell: (price) => (
        <span className="max-sm:inline-flex max-sm:min-h-target max-sm:items-center">
          <Money amount={price.price} />
        </span>
      ),
    },
  ]

  const found = findPrices(prices, names, typed, all ? Number.POSITIVE_INFINITY : rowsMax, first)
  // Together, so that no row moves when the favourites come.
  const isPending = catalogue.isPending || favourites.isPending
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
      {isPending && <Loading />}
      {catalogue.isError && !catalogue.data && (
        <ReadProblem error={catalogue.error} again={() => catalogue.refetch()} />
      )}
      {catalogue.data && !isPending && (
        <Statement
          label="Numbers to order"
          columns={columns}
          rows={found.first}
          keyOf={pairKey}
          below={(price) => {
            const refusal = refusalFor(ordering.press, price)
            if (refusal) return <OrderRefused refusal={refusal} ordering={ordering} pair={price} />
            const unmarked = favourites.refusalFor(price)
            return (
              unmarked && (
                <Notice tone="refused" takesFocus>
                  <p>{unmarked.detail}</p>
                </Notice>
              )
            )
          }}
          empty={`Nothing is called “${typed}”. Type a service, a country or its dial code.`}
        />
      )}
      {!isPending && found.first.length > 0 && (
        <EdgeText className="pt-8 text-note text-quiet">
          <p>Success: the share of numbers that got a code, in 30 days. New: fewer than 20 numbers so far.</p>
        </EdgeText>
      )}
      {!isPending && found.more > 0 && (
        <EdgeText className="flex flex-wrap items-center gap-x-16 gap-y-8 py-8 text-label text-quiet">
          <p role="status">
            {typed
              ? `${found.more} more.`
              : `${first.size > 0 ? 'Your favourites, and each' : 'Each'} service in its cheapest country. ${found.more} more: type a service or a country.`}
          </p>
          {typed && <Button onClick={() => setAll(true)}>Show all</Button>}
        </EdgeText>
      )}
    </>
  )
}
