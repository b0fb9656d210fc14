import { useQuery, useQueryClient } from '@tanstack/react-query'
import { type FormEvent, useId, useState } from 'react'
import type { CryptoTopup, TopupRefund } from '../../contract/contract.ts'
import { displayAmount, printAmount, readAmount, subtract, usd } from '../../contract/money.ts'
import { api } from '../api.ts'
import { usePress } from '../press.ts'
import { balanceRead } from '../reads.ts'
import { Button, linkClass } from '../ui/Button.tsx'
import { Code } from '../ui/Code.tsx'
import { Copy } from '../ui/Copy.tsx'
import { EdgeRow, EdgeText, Slip } from '../ui/Edge.tsx'
import { AmountField, Field } from '../ui/Field.tsx'
import { InkFigure, Money } from '../ui/Money.tsx'
import { Notice } from '../ui/Notice.tsx'
import { isZero } from './aftermath.ts'
import { addressLead, cryptoRefundSteps } from './crypto.ts'
import { TellingTrace } from './Returns.tsx'

const ADDRESS_CHARACTERS_MAX = 120

/** What went back of a top-up by crypto, and what can. */
export function CryptoReturns({ topup }: { topup: CryptoTopup }) {
  return (
    <>
      {topup.refunds.map((refund) => (
        <Refund key={refund.id} refund={refund} asset={topup.asset} />
      ))}
      {!isZero(topup.returnable) && <ReturnForm key={topup.returnable} topup={topup} />}
    </>
  )
}

function Refund({ refund, asset }: { refund: TopupRefund; asset: string }) {
  const label = `Refund of ${displayAmount(refund.amount)} in ${asset}`
  return (
    <div className="edge-block pt-24">
      <Slip label={label}>
        <EdgeText className="pb-8">
          <h2 className="font-medium">{label}</h2>
        </EdgeText>
        <TellingTrace label={label} steps={cryptoRefundSteps(refund)} />
        <EdgeText className="grid gap-8 pt-8 text-label">
          {refund.address && (
            <p>
              <span className="text-quiet">To </span>
              <Code text={refund.address} lead={addressLead(refund.address)} fours />
            </p>
          )}
          {refund.transaction_id && (
            <p className="flex flex-wrap items-center gap-x-12 gap-y-4">
              <span className="min-w-0 flex-1 wrap-anywhere">
                <span className="text-quiet">Transaction id </span>
                <span className="font-mono">{refund.transaction_id}</span>
              </span>
              <Copy text={refund.transaction_id} named="the transaction id of the refund" />
            </p>
          )}
          {refund.explorer_url && (
            <a href={refund.explorer_url} target="_blank" rel="noreferrer" className={linkClass}>
              Look at it in an explorer
            </a>
          )}
        </EdgeText>
      </Slip>
    </div>
  )
}

type Wish = { amount: string; address: string }

function ReturnForm({ topup }: { topup: CryptoTopup }) {
  const cache = useQueryClient()
  const available = useQuery(balanceRead).data?.available
  const [typed, type] = useState(topup.returnable)
  const [address, setAddress] = useState('')
  const label = useId()
  const { press, go, forget } = usePress<Wish, TopupRefund>(
    (wish, key) => api.returnUnspent({ topup: topup.id, ...wish }, key),
    () =>
      void Promise.all(
        [['topup', topup.id], ['topups'], ['balance'], ['history']].map((queryKey) =>
          cache.invalidateQueries({ queryKey }),
        ),
      ),
  )
  const amount = readAmount(typed.trim())
  const back = amount !== null && amount > 0n && amount <= usd(topup.returnable) ? printAmount(amount) : null
  const refusal = press.state === 'refused' ? press.refusal : null
  const beside = refusal?.field === 'amount' || refusal?.field === 'address'
  const problemOf = (field: string) => (refusal?.field === field ? refusal.detail : undefined)

  function submit(event: FormEvent) {
    event.preventDefault()
    void go({ amount: typed.trim(), address: address.trim() })
  }

  return (
    <form onSubmit={submit} noValidate aria-labelledby={label} className="edge-block pt-32">
      <EdgeText className="grid gap-16">
        <div>
          <h2 id={label} className="text-lead font-medium">
            Return unspent {displayAmount(topup.returnable)} to an address
          </h2>
          <p className="pt-4">
            So much of this top-up is unspent. A person looks at what you ask for, usually within a day, and sends it in{' '}
            {topup.asset} on the {topup.network} network. How many {topup.asset} that is, the rate decides when it is
            sent; the network’s fee is ours.
          </p>
        </div>
        {refusal && !beside && (
          <Notice tone="refused" takesFocus key={refusal.detail} requestId={refusal.requestId}>
            <p>{refusal.detail}</p>
          </Notice>
        )}
        <Field
          label={`Your address on the ${topup.network} network`}
          value={address}
          onChange={(event) => {
            setAddress(event.currentTarget.value)
            forget()
          }}
          maxLength={ADDRESS_CHARACTERS_MAX}
          autoCapitalize="none"
          autoComplete="off"
          autoCorrect="off"
          spellCheck={false}
          hint="Copy it from your wallet. What is sent to a wrong address cannot be called back."
          problem={problemOf('address')}
        />
        <AmountField
          label="Amount to return"
          value={typed}
          onChange={(event) => {
            type(event.currentTarget.value)
            forget()
          }}
          maxLength={12}
          hint={`Up to ${displayAmount(topup.returnable)}`}
          problem={problemOf('amount')}
        />
      </EdgeText>
      <div className="edge-block pt-16" aria-live="polite">
        <EdgeRow className="line-above py-8" money={back && <InkFigure ink="held" word="" amount={back} />}>
          Held at once, until it is sent
        </EdgeRow>
        <EdgeRow className="line-above py-8" money={back && <Money amount={back} />}>
          Sent in {topup.asset}, to the address above
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
            ? 'Asking for it'
            : `Return ${back ? `${displayAmount(back)} ` : ''}in ${topup.asset}`}
        </Button>
      </EdgeText>
    </form>
  )
}
