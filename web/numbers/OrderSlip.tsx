import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import type { Message, Order } from '../../contract/contract.ts'
import { displayAmount } from '../../contract/money.ts'
import { api } from '../api.ts'
import { paths } from '../paths.ts'
import { usePress } from '../press.ts'
import { orderChanged, pricesRead, useNames } from '../reads.ts'
import { Button, linkClass } from '../ui/Button.tsx'
import { Code } from '../ui/Code.tsx'
import { Copy } from '../ui/Copy.tsx'
import { useNow } from '../ui/clock.ts'
import { EdgeRow, EdgeText, Slip } from '../ui/Edge.tsx'
import { InkFigure, Money } from '../ui/Money.tsx'
import { Notice } from '../ui/Notice.tsx'
import { Time } from '../ui/Time.tsx'
import { Until } from '../ui/Until.tsx'
import { OrderButton, OrderRefused, refusalFor, useOrdering } from './OrderButton.tsx'
import { type Stage, stageOf } from './order.ts'

/** One order: its number, what it waits for, its code, and what it cost. `linked`: it opens the order's own page. */
export function OrderSlip({ order, linked = false }: { order: Order; linked?: boolean }) {
  const names = useNames()
  const stage = stageOf(order, useNow())
  const orderNumber = <Code text={String(order.number)} />
  return (
    <Slip label={`Order ${order.number}`}>
      <EdgeRow money={<PriceNow order={order} stage={stage} />}>
        <p>
          {names.service(order.service)}, {names.country(order.country)}
        </p>
        <p className="text-lead font-medium">
          Order{' '}
          {linked ? (
            <Link
              {...paths.order(order.id)}
              className="underline decoration-edge underline-offset-4 hover:no-underline"
            >
              {orderNumber}
            </Link>
          ) : (
            orderNumber
          )}
        </p>
      </EdgeRow>
      {stage.is !== 'requested' && order.phone_number && (
        <EdgeText className="mt-12 flex flex-wrap items-center gap-x-16 gap-y-4">
          <Code text={order.phone_number} lead={names.dialCode(order.country)} size="title" />
          <Copy text={order.phone_number} named="the phone number" />
        </EdgeText>
      )}
      <Messages order={order} hotkey={!linked} />
      <EdgeText className="mt-12 max-w-reading">
        <p role="status">
          <StageWords order={order} stage={stage} />
        </p>
      </EdgeText>
      <Actions order={order} stage={stage} />
    </Slip>
  )
}

/** The price with the ink it is drawn in by now. */
function PriceNow({ order, stage }: { order: Order; stage: Stage }) {
  switch (stage.is) {
    case 'requested':
    case 'waiting':
      return <InkFigure ink="held" word="held" amount={order.price} />
    case 'received':
      return <Money amount={`-${order.price}`} signed />
    case 'no_code':
      return <Money amount="0.00" />
  }
}

function StageWords({ order, stage }: { order: Order; stage: Stage }) {
  const price = displayAmount(order.price)
  switch (stage.is) {
    case 'requested':
      return `Getting a number. ${price} is held, not charged.`
    case 'waiting':
      return (
        <>
          Held, not charged: {price} is kept for this number until <Time at={order.expires_at} precision="minutes" />.
          No code, no charge.{' '}
          {stage.textsWithoutCode && 'A message came without a code. We show it and charge nothing. '}
          <Until at={order.expires_at} />
        </>
      )
    case 'received':
      return (
        <>
          Code received at <Time at={stage.at} />. {price} deducted.{' '}
          {stage.open && (
            <span className="text-quiet">
              The number takes messages until <Time at={order.expires_at} precision="minutes" />; they are free.
            </span>
          )}
        </>
      )
    case 'no_code':
      return stage.why === 'failed'
        ? `No number could be given. The ${price} is yours again; nothing was charged.`
        : `No code came. The ${price} is yours again; nothing was charged.`
  }
}

function Messages({ order, hotkey }: { order: Order; hotkey: boolean }) {
  const lastCode = order.messages.findLast((message) => message.code !== null)
  return order.messages.map((message) => (
    <MessageShown
      key={`${message.received_at} ${message.text}`}
      message={message}
      hotkey={hotkey && message === lastCode}
    />
  ))
}

function MessageShown({ message, hotkey }: { message: Message; hotkey: boolean }) {
  return (
    <EdgeText className="mt-12">
      {message.code !== null && (
        <p className="flex flex-wrap items-center gap-x-16 gap-y-4">
          <Code text={message.code} size="figure" />
          <Copy text={message.code} named="the code" {...(hotkey ? { hotkey: 'c' } : {})} />
          {hotkey && <span className="hidden text-note text-quiet lg:inline">or press C</span>}
        </p>
      )}
      <blockquote className="max-w-reading break-words whitespace-pre-line">{message.text}</blockquote>
      <p className="text-note text-quiet">
        From {message.from}, <Time at={message.received_at} />
        {message.late && (message.code ? '. This code' : '. This message')}
        {message.late && ' came after the order had ended. It is free.'}
      </p>
    </EdgeText>
  )
}

function Actions({ order, stage }: { order: Order; stage: Stage }) {
  switch (stage.is) {
    case 'requested':
      return null
    case 'waiting':
      return <Cancel order={order} from={stage.cancelFrom} />
    case 'received':
      return stage.open ? null : <SameAgain order={order} kind="plain" />
    case 'no_code':
      return <SameAgain order={order} kind="primary" />
  }
}

function Cancel({ order, from }: { order: Order; from: string | null }) {
  const cache = useQueryClient()
  const { press, go } = usePress<string, Order>(
    (id, key) => api.cancelOrder(id, key),
    (cancelled) => {
      orderChanged(cache, cancelled)
      void cache.invalidateQueries({ queryKey: ['balance'] })
    },
  )
  return (
    <>
      <EdgeText className="mt-12 flex flex-wrap items-center gap-x-12 gap-y-4">
        {from ? (
          <>
            <Button disabled>Cancel</Button>
            <span className="text-label text-quiet">
              Cancel from <Time at={from} />
            </span>
          </>
        ) : (
          <Button onClick={() => go(order.id)} aria-label={`Cancel order ${order.number}`}>
            {press.state === 'pending' ? 'Cancelling' : 'Cancel'}
          </Button>
        )}
      </EdgeText>
      {press.state === 'refused' && (
        <div className="edge-all mt-12">
          <Notice tone="held" takesFocus>
            <p>{press.refusal.detail}</p>
          </Notice>
        </div>
      )}
    </>
  )
}

function SameAgain({ order, kind }: { order: Order; kind: 'primary' | 'plain' }) {
  const names = useNames()
  const ordering = useOrdering()
  const price = useQuery(pricesRead).data?.find(
    (candidate) => candidate.service === order.service && candidate.country === order.country,
  )
  if (!price) return null
  const refusal = refusalFor(ordering.press, order)
  return (
    <>
      <EdgeText className="mt-12 flex flex-wrap items-center gap-12">
        <OrderButton
          price={price}
          ordering={ordering}
          kind={kind}
          named={`${names.service(order.service)}, ${names.country(order.country)}`}
          label={`Order the same again for ${displayAmount(price.price)}`}
        />
        <Link {...paths.numbers({ q: names.service(order.service) })} className={`text-label ${linkClass}`}>
          Other countries
        </Link>
      </EdgeText>
      {refusal && (
        <div className="edge-all mt-12">
          <OrderRefused refusal={refusal} />
        </div>
      )}
    </>
  )
}
