import { Link } from '@tanstack/react-router'
import type { Topup } from '../../contract/contract.ts'
import { displayAmount } from '../../contract/money.ts'
import { paths } from '../paths.ts'
import { linkClass } from '../ui/Button.tsx'
import { EdgeRow, EdgeText, Slip } from '../ui/Edge.tsx'
import { InkFigure } from '../ui/Money.tsx'
import { TopupTrace } from './TopupTrace.tsx'

/** A top-up that is not credited yet, as a slip with its trace. */
export function TopupOnItsWay({ topup }: { topup: Topup }) {
  const amount = displayAmount(topup.amount)
  return (
    <div className="edge-block pb-24">
      <Slip label={`Top-up of ${amount}`}>
        <EdgeRow
          className="pb-8"
          money={topup.status === 'confirming' && <InkFigure ink="coming" word="" amount={topup.amount} />}
        >
          <Link
            {...paths.topup(topup.id)}
            className="font-medium underline decoration-edge underline-offset-4 hover:no-underline"
          >
            Top-up of {amount} by card{topup.status === 'confirming' && ', on its way'}
          </Link>
        </EdgeRow>
        <TopupTrace topup={topup} />
        {topup.status === 'awaiting_payment' && topup.checkout_url && (
          <EdgeText className="pt-8">
            <a href={topup.checkout_url} className={linkClass}>
              Go on paying
            </a>
          </EdgeText>
        )}
      </Slip>
    </div>
  )
}
