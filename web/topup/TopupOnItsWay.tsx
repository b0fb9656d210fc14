import { Link } from '@tanstack/react-router'
import type { CardTopup, CryptoTopup, Topup } from '../../contract/contract.ts'
import { displayAmount } from '../../contract/money.ts'
import { paths } from '../paths.ts'
import { linkClass } from '../ui/Button.tsx'
import { EdgeRow, EdgeText, Slip } from '../ui/Edge.tsx'
import { InkFigure } from '../ui/Money.tsx'
import { comingOf, isCryptoOnItsWay, progressWords } from './offers.ts'
import { isByCard, isOnItsWay } from './outcome.ts'
import { TopupTrace } from './TopupTrace.tsx'

/** Top-ups that are not credited yet, for above the statement, which shows transfers only. */
export function TopupsOnTheirWay({ topups }: { topups: readonly Topup[] }) {
  return topups.map((topup) => {
    if (isByCard(topup)) return isOnItsWay(topup) && <TopupOnItsWay key={topup.id} topup={topup} />
    return isCryptoOnItsWay(topup) && <CryptoOnItsWay key={topup.id} topup={topup} />
  })
}

/** How far a payment on a chain is, in a line; its page has the steps. */
function CryptoOnItsWay({ topup }: { topup: CryptoTopup }) {
  const amount = displayAmount(topup.amount)
  const progress = progressWords(topup)
  return (
    <div className="edge-block pb-24">
      <Slip label={`Top-up of ${amount} in ${topup.asset}`}>
        <EdgeRow money={progress && <InkFigure ink="coming" word="" amount={comingOf(topup)} />}>
          <Link
            {...paths.topup(topup.id)}
            className="font-medium underline decoration-edge underline-offset-4 hover:no-underline"
          >
            Top-up of {amount} in {topup.asset}
          </Link>
          , {progress ?? 'waiting for your payment'}.
        </EdgeRow>
      </Slip>
    </div>
  )
}

/** By card: one line while it waits for the customer, a slip with its trace once the bank said yes. */
function TopupOnItsWay({ topup }: { topup: CardTopup }) {
  const amount = displayAmount(topup.amount)
  if (topup.status === 'awaiting_payment')
    return (
      <div className="edge-block pb-24">
        <Slip label={`Top-up of ${amount}`}>
          <EdgeText className="flex flex-wrap items-baseline gap-x-16 gap-y-4">
            <p>
              <Link
                {...paths.topup(topup.id)}
                className="font-medium underline decoration-edge underline-offset-4 hover:no-underline"
              >
                Top-up of {amount} by card
              </Link>
              , not paid.
            </p>
            {topup.checkout_url && (
              <a href={topup.checkout_url} className={linkClass}>
                Go on paying
              </a>
            )}
          </EdgeText>
        </Slip>
      </div>
    )
  return (
    <div className="edge-block pb-24">
      <Slip label={`Top-up of ${amount}`}>
        <EdgeRow className="pb-8" money={<InkFigure ink="coming" word="" amount={topup.amount} />}>
          <Link
            {...paths.topup(topup.id)}
            className="font-medium underline decoration-edge underline-offset-4 hover:no-underline"
          >
            Top-up of {amount} by card, on its way
          </Link>
        </EdgeRow>
        <TopupTrace topup={topup} />
      </Slip>
    </div>
  )
}
