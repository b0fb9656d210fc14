import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import type { CryptoPayment, CryptoTopup } from '../../contract/contract.ts'
import { displayAmount } from '../../contract/money.ts'
import { paths } from '../paths.ts'
import { balanceRead, cryptoRead, siteRead } from '../reads.ts'
import { buttonClass, linkClass } from '../ui/Button.tsx'
import { Code } from '../ui/Code.tsx'
import { Copy } from '../ui/Copy.tsx'
import { useNow } from '../ui/clock.ts'
import { EdgeRow, EdgeText, Slip } from '../ui/Edge.tsx'
import { Money } from '../ui/Money.tsx'
import { Notice } from '../ui/Notice.tsx'
import { Qr } from '../ui/Qr.tsx'
import { Time, useZone } from '../ui/Time.tsx'
import { momentWords } from '../ui/times.ts'
import { Until } from '../ui/Until.tsx'
import { CryptoReturns } from './CryptoReturns.tsx'
import {
  addressLead,
  type CryptoTold,
  cryptoOutcome,
  deskAddress,
  isRateHeld,
  labelWords,
  onlyWords,
  partWords,
  paymentSteps,
  scannedText,
  started,
  sumBelow,
  waitingSteps,
  walletLink,
} from './crypto.ts'
import { TellingTrace } from './Returns.tsx'
import { TransactionBox } from './TransactionBox.tsx'

/** A top-up by crypto from its address to its credits: what to send, how far it is, and what happened. It reads anew what it shows. */
export function CryptoTopped({ topup }: { topup: CryptoTopup }) {
  const zone = useZone()
  const now = useNow()
  const balance = useQuery(balanceRead).data
  const offer = useQuery(cryptoRead).data?.assets.find(({ asset }) => asset === topup.asset)
  const timeOf = (instant: string) => momentWords(instant, zone, now, 'minutes')
  const told = cryptoOutcome(topup, {
    now,
    available: balance?.available ?? null,
    owed: balance?.owed ?? null,
    minutesEach: offer ? offer.minutes_to_confirm / offer.confirmations : null,
    timeOf,
  })
  const others = offer?.do_not_use ?? []
  const notes = topup.labels.flatMap((label) => labelWords(label, topup, timeOf) ?? [])
  const asks = told.next === 'pay'
  return (
    <>
      {asks && <PaySlip topup={topup} others={others} held={isRateHeld(topup, now)} />}
      <div className={`edge-block ${asks ? 'pt-24' : ''}`}>
        <Notice tone={told.tone}>
          <p>{told.says}</p>
          {told.hint && <p className="mt-4">{told.hint}</p>}
        </Notice>
      </div>
      <NextStep told={told} topup={topup} />
      <div className="edge-block pt-16">
        <Payments topup={topup} timeOf={timeOf} />
      </div>
      {notes.length > 0 && (
        <EdgeText className="grid gap-8 pt-16 text-label">
          {notes.map((note) => (
            <p key={note}>{note}</p>
          ))}
        </EdgeText>
      )}
      <CryptoReturns topup={topup} />
      {!asks && <AddressAgain topup={topup} others={others} />}
      {topup.status === 'credited' ? (
        <EdgeText className="pt-8">
          <details>
            <summary className="min-h-target cursor-pointer text-label">Sent more, and not to be seen here?</summary>
            <TransactionBox topup={topup} others={others} />
          </details>
        </EdgeText>
      ) : (
        <EdgeText className="grid gap-8 pt-32">
          <h2 className="text-lead font-medium">Sent, and not to be seen here?</h2>
          <TransactionBox topup={topup} others={others} />
        </EdgeText>
      )}
    </>
  )
}

/** What to send and where, for eyes, cameras and clipboards. */
function PaySlip({ topup, others, held }: { topup: CryptoTopup; others: readonly string[]; held: boolean }) {
  const amount = topup.asset_amount_left ?? topup.asset_amount
  const isRest = topup.asset_amount_left !== null && topup.asset_amount_left !== topup.asset_amount
  const wallet = walletLink(topup)
  const desk = useQuery(siteRead).data?.sandbox?.desk_url
  return (
    <Slip label={`Payment of ${displayAmount(topup.amount)} in ${topup.asset}`}>
      <EdgeRow
        money={
          !isRest && (
            <span className="max-sm:hidden">
              <Money amount={topup.amount} />
            </span>
          )
        }
      >
        <p className="text-lead font-medium">
          {isRest ? 'Send the rest: ' : 'Send '}
          <span className="whitespace-nowrap">
            {amount} {topup.asset}
          </span>{' '}
          on the <strong className="font-strong">{topup.network}</strong> network.
        </p>
        <p className="pt-4 font-medium">{onlyWords(topup.network, others)}</p>
      </EdgeRow>
      <EdgeText className="grid justify-items-start gap-16 pt-16 sm:flex sm:items-start sm:gap-24">
        <Qr text={scannedText(topup)} named={`QR code: pay ${amount} ${topup.asset} to ${topup.address}`} />
        <div className="grid min-w-0 flex-1 gap-16">
          <Copied name="Amount" text={amount} named="the amount">
            <span className="font-mono wrap-anywhere">
              {amount} {topup.asset}
            </span>
          </Copied>
          <Copied name="Address" text={topup.address} named="the address">
            <Code text={topup.address} lead={addressLead(topup.address)} fours />
          </Copied>
        </div>
      </EdgeText>
      <EdgeText className="flex flex-wrap items-center gap-x-24 gap-y-8 pt-16">
        {wallet && (
          <a href={wallet} className={buttonClass()}>
            Open in your wallet
          </a>
        )}
        {desk && (
          <a href={deskAddress(desk, topup)} target="_blank" rel="noreferrer" className={buttonClass()}>
            Pay this at the desk
          </a>
        )}
      </EdgeText>
      <EdgeText className="grid gap-4 pt-16">
        <p>
          {held ? (
            <>
              Rate held until <Time at={topup.expires_at} precision="minutes" /> (<Until at={topup.expires_at} />
              ).
            </>
          ) : (
            <>
              The rate ended at <Time at={topup.expires_at} precision="minutes" />. What comes now is credited at the
              rate of its block.
            </>
          )}{' '}
          <span className="text-quiet">
            1 {topup.asset} = {displayAmount(topup.rate)}.
          </span>
        </p>
        <p className="text-label text-quiet">
          Exchanges take their fee from what you send; the network’s fee comes on top. Less, more or later is fine: we
          credit what arrives.
        </p>
      </EdgeText>
    </Slip>
  )
}

function Copied({ name, text, named, children }: { name: string; text: string; named: string; children: ReactNode }) {
  return (
    <div className="grid grid-cols-[minmax(0,1fr)_auto] items-start gap-x-12 gap-y-4">
      <p className="col-span-2 text-label text-quiet">{name}</p>
      <p className="min-w-0 self-center">{children}</p>
      <Copy text={text} named={named} />
    </div>
  )
}

function NextStep({ told, topup }: { told: CryptoTold; topup: CryptoTopup }) {
  const again = paths.topUp(topup.amount, { method: 'crypto', asset: topup.asset })
  const receipt = topup.receipt && (
    <Link {...paths.receipt(topup.id)} className={linkClass}>
      Receipt
    </Link>
  )
  if (told.next === 'order_number')
    return (
      <EdgeText className="flex flex-wrap items-center gap-16 pt-16">
        <Link {...paths.numbers()} className={buttonClass('primary')}>
          Order a number
        </Link>
        {receipt}
      </EdgeText>
    )
  if (told.next === 'start_again')
    return (
      <EdgeText className="pt-16">
        <Link {...again} className={buttonClass('primary')}>
          Start again with a new rate
        </Link>
      </EdgeText>
    )
  return receipt ? <EdgeText className="pt-16">{receipt}</EdgeText> : null
}

/** The steps: of what is waited for, or of each payment that came. */
function Payments({ topup, timeOf }: { topup: CryptoTopup; timeOf: (instant: string) => string }) {
  const label = `Top-up of ${displayAmount(topup.amount)}`
  const [only, ...more] = topup.payments
  if (!only) return <TellingTrace label={label} steps={waitingSteps(topup)} />
  if (more.length === 0)
    return (
      <>
        <TellingTrace label={label} steps={[started(topup), ...paymentSteps(only)]} />
        <Details payment={only} expiresAt={topup.expires_at} timeOf={timeOf} />
      </>
    )
  return (
    <>
      <TellingTrace label={label} steps={[started(topup)]} />
      {topup.payments.map((payment, index) => {
        const name = `Payment ${index + 1} of ${topup.payments.length}: ${payment.asset_amount} ${payment.asset}`
        return (
          <section key={payment.id} aria-label={name} className="edge-block pt-16">
            <EdgeText className="line-above pt-12 pb-4">
              <h2 className="font-medium">{name}</h2>
            </EdgeText>
            <TellingTrace label={name} steps={paymentSteps(payment)} />
            <Details payment={payment} expiresAt={topup.expires_at} timeOf={timeOf} />
          </section>
        )
      })}
    </>
  )
}

/** By which rate it counts, where that needs saying, and its transaction. */
function Details({
  payment,
  expiresAt,
  timeOf,
}: {
  payment: CryptoPayment
  expiresAt: string
  timeOf: (instant: string) => string
}) {
  const counts = payment.state !== 'reversed' && payment.state !== 'replaced' && payment.state !== 'dropped'
  const sum = counts ? sumBelow(payment) : null
  return (
    <div className="edge-block pt-8 text-label">
      {counts &&
        partWords(payment, timeOf(expiresAt)).map((part) => (
          <EdgeRow key={part.key} className="line-above py-8" money={<Money amount={part.value} />}>
            {part.text}
          </EdgeRow>
        ))}
      {sum !== null && (
        <EdgeRow className="line-above py-8 font-medium" money={<Money amount={sum} />}>
          Counts as, in whole cents
        </EdgeRow>
      )}
      <EdgeText className="line-above grid gap-4 py-8">
        <span className="text-quiet">Transaction id</span>
        <span className="flex flex-wrap items-center gap-x-12 gap-y-4">
          <span className="min-w-0 flex-1 font-mono wrap-anywhere">{payment.transaction_id}</span>
          <Copy text={payment.transaction_id} named="the transaction id" />
        </span>
        {payment.explorer_url && (
          <a href={payment.explorer_url} target="_blank" rel="noreferrer" className={linkClass}>
            Look at it in an explorer
          </a>
        )}
      </EdgeText>
    </div>
  )
}

/** The address is watched for ever: who still wants to send something to it finds it here. */
function AddressAgain({ topup, others }: { topup: CryptoTopup; others: readonly string[] }) {
  return (
    <EdgeText className="pt-24">
      <details>
        <summary className="min-h-target cursor-pointer text-label">The address of this top-up</summary>
        <div className="grid gap-8 pt-8">
          <p className="text-label">
            {onlyWords(topup.network, others)} It stays watched: what still comes is credited at the rate of its block.
          </p>
          <Copied name="Address" text={topup.address} named="the address">
            <Code text={topup.address} lead={addressLead(topup.address)} fours />
          </Copied>
        </div>
      </details>
    </EdgeText>
  )
}
