import { useQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import type { Order } from '../../contract/contract.ts'
import { displayAmount } from '../../contract/money.ts'
import { paths } from '../paths.ts'
import { orderRead } from '../reads.ts'
import { ReadFailed } from '../shell/Broken.tsx'
import { Page } from '../shell/Page.tsx'
import { Code } from '../ui/Code.tsx'
import { EdgeText } from '../ui/Edge.tsx'
import { Loading } from '../ui/Loading.tsx'
import { InkFigure, Money } from '../ui/Money.tsx'
import { Time, useZone } from '../ui/Time.tsx'
import { type Step, Trace } from '../ui/Trace.tsx'
import { zoneWords } from '../ui/times.ts'
import { OrderSlip } from './OrderSlip.tsx'
import { chargedMessage, furtherMessages, stageOf, veiled } from './order.ts'

export function OrderPage() {
  const { orderId } = getRouteApi('/numbers/$orderId').useParams()
  const read = useQuery(orderRead(orderId))
  const zone = useZone()
  if (read.isPending) return <Loading />
  if (read.isError && !read.data) return <ReadFailed error={read.error} again={() => read.refetch()} />
  const order = read.data
  return (
    <Page
      title={`Order ${order.number}`}
      heading={
        <>
          Order <Code text={String(order.number)} />
        </>
      }
      width="reading"
      above={
        <nav aria-label="Where this page stands" className="pb-4 text-label text-quiet">
          <Link {...paths.numbers()} className="underline underline-offset-4 hover:no-underline">
            Numbers
          </Link>
          {' / '}
          <Link {...paths.orders()} className="underline underline-offset-4 hover:no-underline">
            Your orders
          </Link>
        </nav>
      }
    >
      <OrderSlip order={order} />
      <EdgeText className="pt-32 pb-8">
        <h2 className="text-label font-medium">What happened</h2>
      </EdgeText>
      <Trace label="What happened" steps={stepsOf(order)} />
      <EdgeText className="pt-8 text-note text-quiet">Times in {zoneWords(zone)}</EdgeText>
    </Page>
  )
}

function stepsOf(order: Order): Step[] {
  const price = displayAmount(order.price)
  const ordered: Step[] = [
    { key: 'ordered', state: 'done', text: `Number ordered at ${price}.`, at: <Time at={order.created_at} /> },
    {
      key: 'held',
      state: 'done',
      text: 'Price held, not charged.',
      at: <Time at={order.created_at} />,
      money: <InkFigure ink="held" word="held" amount={order.price} signed />,
    },
  ]
  const stage = stageOf(order, 0)
  const texts = order.messages
    .filter((message) => message.code === null)
    .map(
      (message): Step => ({
        key: message.received_at,
        state: 'done',
        text: 'A message came without a code.',
        at: <Time at={message.received_at} />,
      }),
    )
  switch (stage.is) {
    case 'requested':
    case 'waiting':
      return [
        ...ordered,
        ...texts,
        { key: 'wait', state: 'waiting', text: 'Waiting for a code.' },
        { key: 'code', state: 'to_come', text: 'With a code: deducted.' },
      ]
    case 'received': {
      const charged = chargedMessage(order)
      return [
        ...ordered,
        ...texts.filter((step) => step.key < stage.at),
        {
          key: 'code',
          state: 'done',
          text: charged?.code ? `Code ${veiled(charged.code)} received.` : 'Code received.',
          at: <Time at={stage.at} />,
        },
        {
          key: 'deducted',
          state: 'done',
          text: 'Price deducted.',
          at: <Time at={stage.at} />,
          money: (
            <>
              <Money amount={`-${order.price}`} signed />
              <br />
              <InkFigure ink="held" word="held" amount={`-${order.price}`} signed />
            </>
          ),
        },
        ...furtherMessages(order).map(
          (message): Step => ({
            key: `further ${message.id}`,
            state: 'done',
            text: `Another code, ${veiled(message.code!)}, received. It is free.`,
            at: <Time at={message.received_at} />,
          }),
        ),
        ...(stage.waitsForAnother
          ? [{ key: 'another', state: 'waiting' as const, text: 'Waiting for another code. It is free.' }]
          : []),
        ...(order.ended_at
          ? [{ key: 'ended', state: 'done' as const, text: 'Order finished.', at: <Time at={order.ended_at} /> }]
          : []),
      ]
    }
    case 'no_code': {
      const ended = order.ended_at ? <Time at={order.ended_at} /> : undefined
      const why = {
        cancelled: 'You cancelled.',
        expired: 'The time was up; no code had come.',
        failed: 'No number could be given.',
      }
      return [
        ...ordered,
        ...texts,
        { key: 'ended', state: 'done', text: why[stage.why], at: ended },
        {
          key: 'released',
          state: 'done',
          text: 'The price is yours again.',
          at: ended,
          money: <InkFigure ink="held" word="held" amount={`-${order.price}`} signed />,
        },
        ...order.messages
          .filter((message) => message.late)
          .map(
            (message): Step => ({
              key: `late ${message.received_at}`,
              state: 'done',
              text: 'A code came too late. It is free.',
              at: <Time at={message.received_at} />,
            }),
          ),
      ]
    }
  }
}
