import { useQuery, useQueryClient } from '@tanstack/react-query'
import { type FormEvent, useId, useState } from 'react'
import type { CardTopup, TopupRefund } from '../../contract/contract.ts'
import { displayAmount, printAmount, readAmount, subtract, usd } from '../../contract/money.ts'
import { cardWords, REFUND_DAYS } from '../../contract/receipts.ts'
import { api } from '../api.ts'
import { endpoints } from '../paths.ts'
import { usePress } from '../press.ts'
import { balanceRead } from '../reads.ts'
import { Button, linkClass } from '../ui/Button.tsx'
import { EdgeRow, EdgeText, Slip } from '../ui/Edge.tsx'
import { AmountField } from '../ui/Field.tsx'
import { InkFigure, Money } from '../ui/Money.tsx'
import { Notice } from '../ui/Notice.tsx'
import { Time, useZone } from '../ui/Time.tsx'
import { Trace } from '../ui/Trace.tsx'
import { longDay } from '../ui/times.ts'
import { isZero, refundSteps, type Telling, whyNotReturnable } from './aftermath.ts'

/** What can go back to the card, and what went. */
export function Returns({ topup }: { topup: CardTopup }) {
  const why = whyNotReturnable(topup)
  return (
    <>
      {topup.refunds.map((refund) => (
        <Refund key={refund.id} refund={refund} card={topup.card} />
      ))}
      {why && <EdgeText className="pt-24 text-label text-quiet">{why}</EdgeText>}
      {!isZero(topup.returnable) && <ReturnForm key={topup.returnable} topup={topup} />}
    </>
  )
}

function Refund({ refund, card }: { refund: TopupRefund; card: CardTopup['card'] }) {
  const zone = useZone()
  const label = `Refund of ${displayAmount(refund.amount)} to ${cardWords(card)}`
  return (
    <div className="edge-block pt-24">
      <Slip label={label}>
        <EdgeText className="pb-8">
          <h2 className="font-medium">{label}</h2>
        </EdgeText>
        <TellingTrace label={label} steps={refundSteps(refund, card, (at) => longDay(at, zone))} />
        <EdgeText className="flex flex-wrap gap-x-24 gap-y-4 pt-8 text-label">
          {refund.reference && (
            <span className="text-quiet">
              Reference for your bank <span className="font-mono wrap-anywhere text-ink">{refund.reference}</span>
            </span>
          )}
          <a href={endpoints.refundPdf(refund.id)} className={linkClass}>
            Refund receipt (PDF)
          </a>
        </EdgeText>
      </Slip>
    </div>
  )
}

export function TellingTrace({ label, steps }: { label: string; steps: Telling[] }) {
  return (
    <Trace
      label={label}
      steps={steps.map(({ key, state, text, at, money, struck = false }) => ({
        key,
        state,
        text,
        struck,
        at: at && <Time at={at} />,
        money:
          money &&
          (money.ink ? (
            <InkFigure ink={money.ink.name} word={money.ink.word} amount={money.amount} />
          ) : (
            <Money amount={money.amount} signed />
          )),
      }))}
    />
  )
}

function ReturnForm({ topup }: { topup: CardTopup }) {
  const cache = useQueryClient()
  const available = useQuery(balanceRead).data?.available
  const [typed, type] = useState(topup.returnable)
  const label = useId()
  const { press, go, forget } = usePress<string, TopupRefund>(
    (amount, key) => api.returnUnspent({ topup: topup.id, amount }, key),
    () =>
      void Promise.all(
        [['topup', topup.id], ['topups'], ['balance'], ['history']].map((queryKey) =>
          cache.invalidateQueries({ queryKey }),
        ),
      ),
  )
  const to = cardWords(topup.card)
  const amount = readAmount(typed.trim())
  const most = usd(topup.returnable)
  const fits = amount !== null && amount > 0n && amount <= most
  const back = fits ? printAmount(amount) : null
  const refusal = press.state === 'refused' ? press.refusal : null
  const ofAmount = refusal?.field === 'amount'

  function submit(event: FormEvent) {
    event.preventDefault()
    void go(typed.trim())
  }

  return (
    <form onSubmit={submit} noValidate aria-labelledby={label} className="edge-block pt-32">
      <EdgeText className="grid gap-16">
        <div>
          <h2 id={label} className="text-lead font-medium">
            Return unspent {displayAmount(topup.returnable)} to {to}
          </h2>
          <p className="pt-4">
            So much of this top-up is unspent. You can return all of it, or a part, to the card that paid it.
          </p>
        </div>
        {refusal && !ofAmount && (
          <Notice tone="refused" takesFocus key={refusal.detail} requestId={refusal.requestId}>
            <p>{refusal.detail}</p>
          </Notice>
        )}
        <AmountField
          label="Amount to return"
          value={typed}
          onChange={(event) => {
            type(event.currentTarget.value)
            forget()
          }}
          maxLength={12}
          hint={`Up to ${displayAmount(topup.returnable)}`}
          problem={ofAmount ? refusal.detail : undefined}
        />
      </EdgeText>
      <div className="edge-block pt-16" aria-live="polite">
        <EdgeRow className="line-above py-8" money={back && <InkFigure ink="held" word="" amount={back} />}>
          Held at once, until it is sent
        </EdgeRow>
        <EdgeRow className="line-above py-8" money={back && <Money amount={back} />}>
          Back to {to}. Banks take {REFUND_DAYS} to show it.
        </EdgeRow>
        <EdgeRow
          className="total-above py-8 font-medium"
          money={
            back && amount !== null && available && <Money amount={printAmount(subtract(usd(available), amount))} />
          }
        >
          Then you have to spend
        </EdgeRow>
      </div>
      <EdgeText className="pt-16">
        <Button type="submit">
          {press.state === 'pending'
            ? 'Returning it'
            : back
              ? `Return ${displayAmount(back)} to ${to}`
              : `Return to ${to}`}
        </Button>
      </EdgeText>
    </form>
  )
}
