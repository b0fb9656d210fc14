import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import type { Balance } from '../../contract/contract.ts'
import { displayAmount } from '../../contract/money.ts'
import { Movements } from '../billing/Movements.tsx'
import { OrderSlip } from '../numbers/OrderSlip.tsx'
import { PriceList } from '../numbers/PriceList.tsx'
import { paths } from '../paths.ts'
import { balanceRead, favouritesRead, lastOrderRead, movementsRead, siteRead, topupsRead, useNames } from '../reads.ts'
import { ReadProblem } from '../shell/Broken.tsx'
import { Page } from '../shell/Page.tsx'
import { isByCrypto, isCryptoOnItsWay } from '../topup/offers.ts'
import { TopupsOnTheirWay } from '../topup/TopupOnItsWay.tsx'
import { buttonClass, linkClass } from '../ui/Button.tsx'
import { EdgeRow, EdgeText, Slip } from '../ui/Edge.tsx'
import { Loading } from '../ui/Loading.tsx'
import { InkBar, type InkName, Money, Swatch } from '../ui/Money.tsx'
import { useZone } from '../ui/Time.tsx'
import { zoneWords } from '../ui/times.ts'
import { useSlips } from './slips.ts'

const PRICES_ON_HOME = 6

export function Home() {
  const balance = useQuery(balanceRead)
  const slips = useSlips()
  return (
    <Page title="Home">
      {balance.isPending && <Loading />}
      {balance.isError && !balance.data && <ReadProblem error={balance.error} again={() => balance.refetch()} />}
      {balance.data && <BalanceBlock balance={balance.data} />}
      {balance.data && <NoCredits balance={balance.data} hasSlips={slips.length > 0} />}
      <ComingIn />
      {slips.map((order) => (
        <div key={order.id} className="edge-block pt-24">
          <OrderSlip order={order} linked />
        </div>
      ))}
      <OrderNumber />
      <LastMovements />
    </Page>
  )
}

function BalanceBlock({ balance }: { balance: Balance }) {
  const parts: { ink: InkName; word: string; amount: string; why?: string }[] = [
    { ink: 'available', word: 'Available', amount: balance.available },
    { ink: 'held', word: 'Held', amount: balance.held },
    { ink: 'coming', word: 'On its way', amount: balance.pending },
    ...(isZero(balance.frozen)
      ? []
      : [
          {
            ink: 'frozen' as const,
            word: 'Frozen',
            amount: balance.frozen,
            why: 'A bank is deciding about a payment. Until then these credits cannot be spent.',
          },
        ]),
    ...(isZero(balance.owed)
      ? []
      : [
          {
            ink: 'owed' as const,
            word: 'Owed',
            amount: balance.owed,
            why: 'A payment was taken back after its credits had been spent. What comes in next pays this first.',
          },
        ]),
  ]
  const [available, ...rest] = parts
  return (
    <section aria-label="Balance" className="edge-block">
      <div className="edge-all flex w-full flex-wrap items-baseline justify-between gap-x-16">
        <p className="flex items-center gap-8">
          <Swatch ink="available" /> {available!.word}
        </p>
        <p className="edge-break text-figure font-strong">
          <Money amount={available!.amount} />
        </p>
      </div>
      <EdgeText className="py-8">
        <InkBar parts={parts} />
      </EdgeText>
      {rest.map((part) => (
        <EdgeRow key={part.ink} className="py-4" money={<Money amount={part.amount} />}>
          <span className="flex items-center gap-8">
            <Swatch ink={part.ink} /> {part.word}
          </span>
          {part.why && (
            <p className="pt-4 text-label text-quiet">
              {part.why}{' '}
              <Link {...paths.article('disputes')} className={linkClass}>
                How this works
              </Link>
            </p>
          )}
        </EdgeRow>
      ))}
    </section>
  )
}

function NoCredits({ balance, hasSlips }: { balance: Balance; hasSlips: boolean }) {
  const minimum = useQuery(siteRead).data?.topup.minimum
  const owns = [balance.available, balance.held, balance.pending, balance.frozen, balance.owed].some(
    (amount) => !isZero(amount),
  )
  if (owns || hasSlips || !minimum) return null
  return (
    <div className="edge-block pt-24">
      <Slip label="No credits yet">
        <EdgeText>
          <p>
            You have no credits yet. Top up {displayAmount(minimum)} or more; you pay for a number only when its code
            arrives.
          </p>
          <p className="mt-12">
            <Link {...paths.topUp()} className={buttonClass('primary')}>
              Top up
            </Link>
          </p>
        </EdgeText>
      </Slip>
    </div>
  )
}

/** Those by crypto are on their way for as long as their chain takes; one by card is over before anybody is here. */
function ComingIn() {
  const topups = useQuery(topupsRead).data?.filter(isByCrypto).filter(isCryptoOnItsWay) ?? []
  if (topups.length === 0) return null
  return (
    <div className="edge-block -mb-24 pt-24">
      <TopupsOnTheirWay topups={topups} />
    </div>
  )
}

function OrderNumber() {
  const last = useQuery(lastOrderRead)
  const favourites = useQuery(favouritesRead)
  const names = useNames()
  const [typed, type] = useState<string | null>(null)
  // As it was when the page was opened: a star pressed here must not exchange the list under the hand.
  const [hasFavourites, decide] = useState<boolean | null>(null)
  if (hasFavourites === null && !favourites.isPending) decide(Boolean(favourites.data?.length))
  if (last.isPending || hasFavourites === null) return <Loading />
  // Who has favourites finds them first; the others find what they ordered last.
  const lastService = last.data && !hasFavourites ? names.service(last.data.service) : ''
  return (
    <>
      <EdgeText className="pt-32 pb-8">
        <h2 className="text-lead font-medium">Order a number</h2>
      </EdgeText>
      <PriceList key={lastService} typed={typed ?? lastService} type={type} rowsMax={PRICES_ON_HOME} />
      <EdgeText className="pt-12">
        <Link {...paths.orders()} className={linkClass}>
          Your orders
        </Link>
      </EdgeText>
    </>
  )
}

function LastMovements() {
  const movements = useQuery(movementsRead)
  const zone = useZone()
  return (
    <>
      <EdgeText className="pt-32 pb-8">
        <h2 className="text-lead font-medium">Last movements</h2>
        <p className="pt-4 text-note text-quiet">Times in {zoneWords(zone)}.</p>
      </EdgeText>
      {movements.isPending && <Loading />}
      {movements.isError && !movements.data && (
        <ReadProblem error={movements.error} again={() => movements.refetch()} />
      )}
      {movements.data && (
        <Movements label="Last movements" rows={movements.data} byDay={false} empty="Your movements will stand here." />
      )}
      <EdgeText className="pt-12 pb-48">
        <Link {...paths.billing()} className={linkClass}>
          All in Billing History
        </Link>
      </EdgeText>
    </>
  )
}

function isZero(amount: string): boolean {
  return /^0*\.?0*$/.test(amount)
}
