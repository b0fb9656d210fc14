import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Link, useNavigate } from '@tanstack/react-router'
import type { Order, Price } from '../../contract/contract.ts'
import { displayAmount } from '../../contract/money.ts'
import { api, type Refusal } from '../api.ts'
import { paths } from '../paths.ts'
import { type Press, usePress } from '../press.ts'
import { balanceRead, orderChanged, pricesRead } from '../reads.ts'
import { Button, linkClass } from '../ui/Button.tsx'
import { Notice } from '../ui/Notice.tsx'
import { missingFor } from './order.ts'

type Wish = { service: string; country: string; max_price: string }

/** Orders at the price that is on the screen, never above it, and opens the order. */
export function useOrdering() {
  const cache = useQueryClient()
  const navigate = useNavigate()
  const place = async (wish: Wish, key: string) => {
    const answer = await api.placeOrder(wish, key)
    // What is on the screen is not the price any more.
    if (!answer.ok && answer.refusal.code === 'above_max_price')
      void cache.invalidateQueries({ queryKey: pricesRead.queryKey })
    return answer
  }
  const { press, go } = usePress<Wish, Order>(place, (order) => {
    orderChanged(cache, order)
    void cache.invalidateQueries({ queryKey: ['balance'] })
    void navigate(paths.order(order.id))
  })
  return {
    press,
    order: (price: Pick<Price, 'service' | 'country' | 'price'>) =>
      go({ service: price.service, country: price.country, max_price: price.price }),
  }
}

type Ordering = ReturnType<typeof useOrdering>

/** The button of one pair, or why there is none: no number is free, or the credit does not reach. */
export function OrderButton({
  price,
  ordering,
  named,
  label = 'Order',
  kind = 'plain',
}: {
  price: Price
  ordering: Ordering
  /** What is ordered, for whom cannot see the row. */
  named: string
  label?: string
  kind?: 'primary' | 'plain'
}) {
  const balance = useQuery(balanceRead).data
  if (price.in_stock === 0) return <span className="text-quiet">None free</span>
  const missing = balance ? missingFor(price.price, balance) : null
  if (missing !== null) {
    return (
      <span className="inline-flex flex-wrap items-center justify-end gap-x-8">
        <span className="whitespace-nowrap text-quiet">{displayAmount(missing)} short</span>
        <Link {...paths.topUp()} className={`inline-flex min-h-target items-center whitespace-nowrap ${linkClass}`}>
          Top up
        </Link>
      </span>
    )
  }
  const pending = isPending(ordering.press, price)
  return (
    <Button
      kind={kind}
      aria-label={pending ? undefined : `${label}: ${named}, ${displayAmount(price.price)}`}
      onClick={() => ordering.order(price)}
    >
      {pending ? 'Ordering' : label}
    </Button>
  )
}

/** The refusal of an order, to stand under the row that was pressed. A price that rose is told, and can be agreed to. */
export function OrderRefused({
  refusal,
  ordering,
  pair,
}: {
  refusal: Refusal
  ordering: Ordering
  pair: Pick<Price, 'service' | 'country'>
}) {
  const { price } = refusal
  const seen = ordering.press.state === 'refused' ? ordering.press.intent.max_price : undefined
  if (price && seen) {
    return (
      <Notice
        tone="held"
        takesFocus
        action={
          <Button onClick={() => ordering.order({ service: pair.service, country: pair.country, price })}>
            Order for {displayAmount(price)}
          </Button>
        }
      >
        <p>
          The price went from {displayAmount(seen)} to {displayAmount(price)} while you were looking. Nothing was
          ordered and nothing held.
        </p>
      </Notice>
    )
  }
  return (
    <Notice
      tone="refused"
      takesFocus
      requestId={refusal.code === 'internal_error' ? refusal.requestId : null}
      action={
        refusal.code === 'insufficient_credits' && (
          <Link {...paths.topUp()} className={linkClass}>
            Top up
          </Link>
        )
      }
    >
      <p>{refusal.detail}</p>
    </Notice>
  )
}

export function refusalFor(press: Press<Wish>, price: Pick<Price, 'service' | 'country'>): Refusal | null {
  return press.state === 'refused' && isFor(press.intent, price) ? press.refusal : null
}

function isPending(press: Press<Wish>, price: Price): boolean {
  return press.state === 'pending' && isFor(press.intent, price)
}

function isFor(wish: Wish, price: Pick<Price, 'service' | 'country'>): boolean {
  return wish.service === price.service && wish.country === price.country
}
