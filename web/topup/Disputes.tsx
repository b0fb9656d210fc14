import type { CardTopup } from '../../contract/contract.ts'
import { displayAmount } from '../../contract/money.ts'
import { EdgeText, Slip } from '../ui/Edge.tsx'
import { Notice } from '../ui/Notice.tsx'
import { useZone } from '../ui/Time.tsx'
import { longDay } from '../ui/times.ts'
import { disputeWords } from './aftermath.ts'
import { TellingTrace } from './Returns.tsx'

const heads = { dispute: 'Dispute at the bank', inquiry: 'Question of the bank', warning: 'Warning of the bank' }

/** What banks have to say against the payment: what happened, what is frozen, what is owed, what may be done. */
export function Disputes({ topup }: { topup: CardTopup }) {
  const zone = useZone()
  return topup.disputes.map((dispute) => {
    const { tone, says, todo, steps } = disputeWords(dispute, topup.card, (at) => longDay(at, zone))
    const label = `${heads[dispute.kind]}, ${displayAmount(dispute.amount)}`
    return (
      <div key={dispute.id} className="edge-block pt-24">
        <Slip label={label}>
          <EdgeText className="pb-8">
            <h2 className="font-medium">{label}</h2>
          </EdgeText>
          <TellingTrace label={label} steps={steps} />
          <div className="edge-block pt-12">
            <Notice tone={tone}>
              <p>{says}</p>
              {todo && <p className="mt-4">{todo}</p>}
            </Notice>
          </div>
        </Slip>
      </div>
    )
  })
}
