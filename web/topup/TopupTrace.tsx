import { cardBrandName } from '../../contract/cards.ts'
import type { CardTopup } from '../../contract/contract.ts'
import { displayAmount } from '../../contract/money.ts'
import { useNow } from '../ui/clock.ts'
import type { MarkState } from '../ui/Mark.tsx'
import { Money } from '../ui/Money.tsx'
import { Time } from '../ui/Time.tsx'
import { Trace } from '../ui/Trace.tsx'
import { isOverdue } from './outcome.ts'

type TraceStep = CardTopup['trace'][number]

/** Started, bank asked, bank answered, taken, credited; the money stands where it was credited. */
export function TopupTrace({ topup }: { topup: CardTopup }) {
  const overdue = isOverdue(topup, useNow())
  return (
    <Trace
      label={`Top-up of ${displayAmount(topup.amount)}`}
      steps={topup.trace.map((step) => ({
        key: step.step,
        state: markOf(step, overdue),
        text: wordsOf(step, topup),
        at: step.at && <Time at={step.at} />,
        money: step.step === 'credited' && step.state === 'done' && <Money amount={topup.amount} signed />,
      }))}
    />
  )
}

function markOf(step: TraceStep, overdue: boolean): MarkState {
  switch (step.state) {
    case 'done':
      return 'done'
    case 'waiting':
      return overdue ? 'overdue' : 'waiting'
    case 'to_come':
      return 'to_come'
    case 'cannot_happen':
      return 'cannot'
  }
}

function wordsOf({ step, state }: TraceStep, topup: CardTopup): string {
  const amount = displayAmount(topup.amount)
  const card = topup.card && ` for ${cardBrandName(topup.card.brand)} ${topup.card.last4}`
  switch (step) {
    case 'started':
      return `Top-up of ${amount} started.`
    case 'bank_asked':
      switch (state) {
        case 'done':
          return `Your bank was asked to confirm${card ?? ''}.`
        case 'waiting':
          return 'Waiting for your card.'
        case 'to_come':
          return 'Your bank is asked to confirm.'
        case 'cannot_happen':
          return 'Your bank was not asked.'
      }
      break
    case 'bank_answered':
      switch (state) {
        case 'done':
          return topup.reason === 'bank_unavailable' ? 'Your bank’s check did not answer.' : 'Your bank answered.'
        case 'waiting':
          return triesAgain(topup) ?? 'Waiting for your bank.'
        case 'to_come':
          return 'Your bank answers.'
        case 'cannot_happen':
          return 'Your bank gave no answer.'
      }
      break
    case 'taken':
      switch (state) {
        case 'done':
          return `${amount} taken from your card.`
        case 'waiting':
          return `Taking ${amount} from your card.`
        case 'to_come':
          return `${amount} is taken from your card.`
        case 'cannot_happen':
          return 'No money was taken.'
      }
      break
    case 'credited':
      switch (state) {
        case 'done':
          return 'Credits added.'
        case 'waiting':
          return 'Adding your credits.'
        case 'to_come':
          return 'Credits are added at once.'
        case 'cannot_happen':
          return 'No credits were added.'
      }
  }
}

/** What the bank said to the last attempt, while the payment page is open for another one. */
function triesAgain(topup: CardTopup): string | null {
  if (topup.status !== 'awaiting_payment' || topup.reason === null) return null
  switch (topup.reason) {
    case 'declined':
      return 'Your bank declined. Another card may work.'
    case 'bank_unavailable':
      return 'Your bank’s check did not answer. You can try again.'
    default:
      return 'The confirmation was not finished. You can try again.'
  }
}
