import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { type ReactNode, useState } from 'react'
import type { Message, Order } from '../../contract/contract.ts'
import { displayAmount } from '../../contract/money.ts'
import { type Answer, api } from '../api.ts'
import { paths } from '../paths.ts'
import { type Press, usePress } from '../press.ts'
import { orderChanged, priceRead, useNames } from '../reads.ts'
import { Button, linkClass } from '../ui/Button.tsx'
import { Code } from '../ui/Code.tsx'
import { Copy } from '../ui/Copy.tsx'
import { useNow } from '../ui/clock.ts'
import { EdgeRow, EdgeText, Slip } from '../ui/Edge.tsx'
import { Mark } from '../ui/Mark.tsx'
import { InkFigure, Money } from '../ui/Money.tsx'
import { Notice } from '../ui/Notice.tsx'
import { Time } from '../ui/Time.tsx'
import { Until } from '../ui/Until.tsx'
import { OrderButton, OrderRefused, refusalFor, useOrdering } from './OrderButton.tsx'
import { type Stage, stageOf, tellingMessage } from './order.ts'

/** One order: its number, what it waits for, its code, and what it cost. `linked`: on another page than its own, which it opens. */
export function OrderSlip({ order, linked = false }: { order: Order; linked?: boolean }) {
  const names = useNames()
  const stage = stageOf(order, useNow())
  const words = <StageWords order={order} stage={stage} />
  const carrier = tellingMessage(order)
  const lastCode = order.messages.findLast((message) => message.code !== null)
  return (
    <Slip label={`Order ${order.number}`}>
      <EdgeRow money={<PriceNow order={order} stage={stage} />}>
        <p className={linked ? '' : 'text-lead font-medium'}>
          {names.service(order.service)}, {names.country(order.country)}
        </p>
      </EdgeRow>
      {linked && (
        <EdgeText>
          <p className="text-lead font-medium">
            Order{' '}
            <Link
              {...paths.order(order.id)}
              className="underline decoration-edge underline-offset-4 hover:no-underline"
            >
              <Code text={String(order.number)} />
            </Link>
          </p>
        </EdgeText>
      )}
      {stage.is !== 'requested' && order.phone_number && (
        <EdgeText className="mt-12 flex flex-wrap items-center gap-x-16 gap-y-4">
          <Code text={order.phone_number} lead={names.dialCode(order.country)} size="title" />
          <Copy text={order.phone_number} named="the phone number" />
        </EdgeText>
      )}
      {!carrier && <Said>{words}</Said>}
      {order.messages.map((message) => (
        <MessageShown
          key={`${message.received_at} ${message.text}`}
          message={message}
          said={message === carrier ? words : null}
          hotkey={!linked && message === lastCode}
        />
      ))}
      <Announced text={announced(stage, lastCode ?? null)} />
      <Actions order={order} stage={stage} linked={linked} />
    </Slip>
  )
}

/** The price with the ink it is drawn in by now. */
export function PriceNow({ order, stage }: { order: Order; stage: Stage }) {
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
          <span className="block">
            <Until at={order.expires_at} />.
          </span>
        </>
      )
    case 'received':
      return (
        <>
          Code received at <Time at={stage.at} />. {price} deducted.{' '}
          {stage.open && !stage.waitsForAnother && (
            <span className="text-quiet">
              The number takes messages until <Time at={order.expires_at} precision="minutes" />; they are free.
            </span>
          )}
        </>
      )
    case 'no_code':
      if (stage.why === 'failed') return `No number could be given. The ${price} is yours again; nothing was charged.`
      return order.messages.some((message) => message.late && message.code)
        ? 'This code came after the order had ended. It is free.'
        : `No code came. The ${price} is yours again; nothing was charged.`
  }
}

/** One message: its code large, what became of the order right under it, and the text as it came. */
function MessageShown({ message, said, hotkey }: { message: Message; said: ReactNode; hotkey: boolean }) {
  return (
    <>
      {message.code !== null && (
        <EdgeText className="mt-12 flex flex-wrap items-center gap-x-16 gap-y-4">
          <Code text={message.code} size="figure" />
          <Copy text={message.code} named="the code" {...(hotkey ? { hotkey: 'c' } : {})} />
          {hotkey && <span className="hidden text-note text-quiet lg:inline">or press C</span>}
        </EdgeText>
      )}
      {said && <Said>{said}</Said>}
      <EdgeText className="mt-12">
        <blockquote className="max-w-reading break-words whitespace-pre-line">{message.text}</blockquote>
        <p className="text-note text-quiet">
          From {message.from}, <Time at={message.received_at} />
          {message.late && ', after the order had ended'}
        </p>
      </EdgeText>
    </>
  )
}

function Said({ children }: { children: ReactNode }) {
  return (
    <EdgeText className="mt-8">
      <p className="max-w-reading">{children}</p>
    </EdgeText>
  )
}

/** Says to a screen reader what changed while the slip is open; silent about what it was at first. */
function Announced({ text }: { text: string }) {
  const [first] = useState(text)
  return (
    <span role="status" className="sr-only">
      {text === first ? '' : text}
    </span>
  )
}

function announced(stage: Stage, lastCode: Message | null): string {
  if (stage.is === 'received' && stage.waitsForAnother) return 'Waiting for another code. It is free.'
  if (lastCode) return `Code received: ${lastCode.code}`
  return stage.is === 'no_code' ? 'No code came; nothing was charged' : ''
}

function Actions({ order, stage, linked }: { order: Order; stage: Stage; linked: boolean }) {
  switch (stage.is) {
    case 'requested':
      return null
    case 'waiting':
      return <Cancel order={order} from={stage.cancelFrom} />
    case 'received':
      return stage.open ? (
        <AnotherOrFinish order={order} waitsForAnother={stage.waitsForAnother} />
      ) : (
        <SameAgain order={order} kind="plain" />
      )
    case 'no_code':
      return <SameAgain order={order} kind={linked ? 'plain' : 'primary'} />
  }
}

/** A button that changes the order; its answer is the order as it is then. */
function useActing(act: (id: string, key: string) => Promise<Answer<Order>>) {
  const cache = useQueryClient()
  return usePress<string, Order>(act, (changed) => {
    orderChanged(cache, changed)
    void cache.invalidateQueries({ queryKey: ['balance'] })
  })
}

/** What an order with its code still offers. Both cost nothing. */
function AnotherOrFinish({ order, waitsForAnother }: { order: Order; waitsForAnother: boolean }) {
  const another = useActing(api.anotherCode)
  const finish = useActing(api.finishOrder)
  return (
    <>
      <EdgeText className="mt-12 flex flex-wrap items-center gap-12">
        {waitsForAnother ? (
          <p className="flex min-h-target items-center gap-8">
            <Mark state="waiting" silent />
            Waiting for another code. It is free.
          </p>
        ) : (
          <Button onClick={() => another.go(order.id)} aria-label={`Another code for order ${order.number}, free`}>
            {another.press.state === 'pending' ? 'Asking' : 'Another code (free)'}
          </Button>
        )}
        <Button onClick={() => finish.go(order.id)} aria-label={`Finish order ${order.number}`}>
          {finish.press.state === 'pending' ? 'Finishing' : 'Finish'}
        </Button>
      </EdgeText>
      <ActionRefused press={another.press} />
      <ActionRefused press={finish.press} />
    </>
  )
}

function ActionRefused({ press }: { press: Press<string> }) {
  if (press.state !== 'refused') return null
  return (
    <div className="edge-block mt-12">
      <Notice tone="held" takesFocus>
        <p>{press.refusal.detail}</p>
      </Notice>
    </div>
  )
}

function Cancel({ order, from }: { order: Order; from: string | null }) {
  const { press, go } = useActing(api.cancelOrder)
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
      <ActionRefused press={press} />
    </>
  )
}

function SameAgain({ order, kind }: { order: Order; kind: 'primary' | 'plain' }) {
  const names = useNames()
  const ordering = useOrdering()
  const price = useQuery(priceRead(order)).data
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
        <div className="edge-block mt-12">
          <OrderRefused refusal={refusal} ordering={ordering} pair={order} />
        </div>
      )}
    </>
  )
}
