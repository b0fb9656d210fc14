import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import type { Price } from '../../contract/contract.ts'
import { displayAmount } from '../../contract/money.ts'
import { findPrices, successWords } from '../numbers/search.ts'
import { numbersAddress, paths } from '../paths.ts'
import { foundPricesRead, useNames } from '../reads.ts'
import { ReadProblem } from '../shell/Broken.tsx'
import { buttonClass } from '../ui/Button.tsx'
import { EdgeText } from '../ui/Edge.tsx'
import { Field } from '../ui/Field.tsx'
import { Loading } from '../ui/Loading.tsx'
import { Money } from '../ui/Money.tsx'
import { useRested } from '../ui/rested.ts'
import { type Column, Statement } from '../ui/Statement.tsx'

const ROWS_SHOWN = 6
const ROWS_ASKED = 100

/** The catalogue for who is not signed in: what was typed narrows the rows that are here at once, and those of the server after a rest. */
export function FrontPrices() {
  const [typed, type] = useState('')
  const found = useQuery(foundPricesRead(useRested(typed.trim()), ROWS_ASKED))
  const names = useNames()
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
      cell: (price) =>
        price.in_stock === 0 ? (
          <span className="text-quiet">None free</span>
        ) : (
          <Link
            {...paths.signIn(numbersAddress(`${names.service(price.service)} ${names.country(price.country)}`))}
            aria-label={`Order: ${called(price)}, ${displayAmount(price.price)}`}
            className={buttonClass('plain')}
          >
            Order
          </Link>
        ),
    },
    { head: 'Price', kind: 'edge', narrow: 'first-right', cell: (price) => <Money amount={price.price} /> },
  ]

  const { first, more } = findPrices(found.data?.items ?? [], names, typed, ROWS_SHOWN)
  const atLeast = found.data?.next_cursor ? 'More than ' : ''
  return (
    <>
      <EdgeText className="pb-8">
        <div className="max-w-field">
          <Field
            label="Service or country"
            type="search"
            value={typed}
            onChange={(event) => type(event.currentTarget.value)}
            autoComplete="off"
            spellCheck={false}
            maxLength={100}
          />
        </div>
      </EdgeText>
      {found.isPending && <Loading />}
      {found.isError && !found.data && <ReadProblem error={found.error} again={() => found.refetch()} />}
      {found.data && (
        <Statement
          label="What numbers cost"
          columns={columns}
          rows={first}
          keyOf={(price) => `${price.service} ${price.country}`}
          empty={`Nothing is called “${typed}”. Type a service, a country or its dial code.`}
        />
      )}
      <EdgeText className="grid gap-4 pt-8 text-note text-quiet">
        <p role="status">
          {more > 0 &&
            (typed.trim()
              ? `${atLeast}${more} more: type another word.`
              : `${atLeast}${more} more: type a service or a country.`)}
        </p>
        <p>
          Success: the share of numbers that got a code, in 30 days. New: fewer than 20 numbers so far. To order you
          sign in.
        </p>
      </EdgeText>
    </>
  )
}
