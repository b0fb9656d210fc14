import { useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query'
import { getRouteApi, useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import type { StaffCryptoRefund } from '../../contract/contract.ts'
import { displayAmount } from '../../contract/money.ts'
import { api } from '../api.ts'
import { paths } from '../paths.ts'
import { usePress } from '../press.ts'
import { meRead } from '../reads.ts'
import { ReadProblem } from '../shell/Broken.tsx'
import { Page } from '../shell/Page.tsx'
import { Button } from '../ui/Button.tsx'
import { EdgeText } from '../ui/Edge.tsx'
import { Field } from '../ui/Field.tsx'
import { Loading } from '../ui/Loading.tsx'
import { Notice } from '../ui/Notice.tsx'
import { Pager } from '../ui/Pager.tsx'
import { type Column, Statement } from '../ui/Statement.tsx'
import { Time } from '../ui/Time.tsx'
import { type Fact, Facts, factsOf, monoFact, TransactionId } from './Facts.tsx'
import { History } from './History.tsx'
import { staffCryptoRefundsRead } from './reads.ts'
import { StateFilter } from './StateFilter.tsx'

const states = [
  { value: '', text: 'Everything' },
  { value: 'open', text: 'Under way' },
  { value: 'closed', text: 'Ended' },
]
const WHY_CHARACTERS_MAX = 500

/** Money that goes back by a chain: who agreed, what is to be paid from whose wallet, and what became of it. */
export function CryptoRefundsPage() {
  const search = getRouteApi('/staff/staff/crypto-refunds').useSearch()
  const navigate = useNavigate()
  const pages = useInfiniteQuery(staffCryptoRefundsRead(search))
  const rows = pages.data?.pages.flatMap((page) => page.items) ?? []
  return (
    <Page title="Returns by crypto" width="full">
      <EdgeText className="pb-16">
        <p className="max-w-reading text-label">
          The house holds no private key. Agree, ask what to pay, pay it from your own wallet to the last digit, and
          name the transaction here: it is watched until it is confirmed.
        </p>
      </EdgeText>
      <StateFilter
        states={states}
        status={search.status}
        show={(wanted) => void navigate({ ...paths.staffCryptoRefunds(wanted), replace: true, resetScroll: false })}
      />
      {pages.isPending && <Loading />}
      {pages.isError && !pages.data && <ReadProblem error={pages.error} again={() => pages.refetch()} />}
      {pages.data && (
        <Statement
          label="Returns by crypto"
          columns={columns}
          rows={rows}
          keyOf={(refund) => refund.id}
          quiet={(refund) => refund.ended_at !== null}
          below={(refund) => <WhatToDo refund={refund} />}
          tall
          empty={search.status ? 'No return is like that.' : 'What customers ask back by a chain will stand here.'}
        />
      )}
      <EdgeText className="pt-16 pb-48">
        <Pager pages={pages} />
      </EdgeText>
    </Page>
  )
}

const statuses: Record<StaffCryptoRefund['status'], string> = {
  requested: 'Asked for',
  approved: 'To be paid',
  sent: 'Sent',
  succeeded: 'Confirmed',
  declined: 'Declined',
  failed: 'Given up',
}

const columns: Column<StaffCryptoRefund>[] = [
  {
    head: 'Asked',
    kind: 'text',
    narrow: 'second',
    width: 'sm:w-day-and-time',
    cell: (refund) => <Time at={refund.requested_at} precision="minutes" />,
  },
  {
    head: 'Where to',
    kind: 'text',
    narrow: 'first',
    cell: (refund) => (
      <>
        <span className="block">
          {refund.asset} on {refund.network}
        </span>
        <span className="block font-mono text-note wrap-anywhere">{refund.address}</span>
      </>
    ),
  },
  {
    head: 'Whose',
    kind: 'text',
    narrow: 'hidden',
    width: 'sm:w-name',
    cell: (refund) => refund.username ?? 'Nobody’s',
  },
  {
    head: 'How it stands',
    kind: 'text',
    narrow: 'second-right',
    width: 'sm:w-name',
    cell: (refund) =>
      refund.status === 'requested' && refund.asked ? 'A second person must agree' : statuses[refund.status],
  },
  {
    head: 'Amount, $',
    kind: 'edge',
    narrow: 'first-right',
    cell: (refund) => displayAmount(refund.amount).replace('$', ''),
  },
]

function WhatToDo({ refund }: { refund: StaffCryptoRefund }) {
  // What the customer was told is said once.
  const history = refund.history.map((action) => (action.why === refund.note ? { ...action, why: null } : action))
  return (
    <div className="grid gap-12">
      <Facts facts={known(refund)} />
      {refund.vanished_at !== null && refund.status === 'sent' && (
        <p className="max-w-reading text-label text-refused">
          The network knows nothing of this transaction since <Time at={refund.vanished_at} precision="minutes" />. Ask
          your wallet what became of it before you pay anew: both may arrive.
        </p>
      )}
      {refund.may.length > 0 && <Decide refund={refund} />}
      <History actions={history} />
    </div>
  )
}

function known(refund: StaffCryptoRefund): Fact[] {
  const { transaction_id, explorer_url, confirmations, confirmations_required } = refund
  return factsOf(
    refund.username === null ? null : { name: 'Customer', value: refund.username, narrow: true },
    transaction_id === null
      ? null
      : { name: 'Paid by', value: <TransactionId id={transaction_id} explorer={explorer_url} /> },
    refund.status === 'sent' && refund.vanished_at === null
      ? { name: 'Confirmed', value: `${confirmations} of ${confirmations_required} confirmations` }
      : null,
    refund.note === null ? null : { name: 'He was told', value: refund.note },
    monoFact('Top-up', refund.topup_id),
    monoFact('Return', refund.id),
  )
}

type Deed = StaffCryptoRefund['may'][number]

function Decide({ refund }: { refund: StaffCryptoRefund }) {
  const me = useQuery(meRead).data
  const cache = useQueryClient()
  const [transaction, setTransaction] = useState('')
  const [why, setWhy] = useState('')
  const { press, go } = usePress<Deed, StaffCryptoRefund>(
    (deed) => {
      switch (deed) {
        case 'approve':
          return api.approveCryptoRefund(refund.id)
        case 'price':
          return api.priceCryptoRefund(refund.id)
        case 'paid':
          return api.payCryptoRefund(refund.id, transaction)
        case 'decline':
          return api.declineCryptoRefund(refund.id, why)
      }
    },
    () => void cache.invalidateQueries({ queryKey: ['staff', 'crypto-refunds'] }),
  )
  const busy = press.state === 'pending'
  const refusal = press.state === 'refused' ? press.refusal : null
  const amount = displayAmount(refund.amount)
  const mine = refund.asked !== null && refund.asked.by === me?.username
  return (
    <div className="grid max-w-reading gap-12">
      {refusal && refusal.field !== 'transaction_id' && (
        <Notice tone="refused" takesFocus requestId={refusal.requestId}>
          <p>{refusal.detail}</p>
        </Notice>
      )}
      {refund.may.includes('approve') && (
        <div className="flex flex-wrap items-center gap-x-16 gap-y-8">
          <Button disabled={busy || mine} onClick={() => go('approve')}>
            {refund.second_person && refund.asked === null ? `Ask to send ${amount}` : `Agree: send ${amount}`}
          </Button>
          {refund.second_person && (
            <p className="text-note text-quiet">
              {mine
                ? 'Not by you: you asked for it, and a second person, an approver, must agree.'
                : refund.asked === null
                  ? 'Two people must agree to this amount.'
                  : `${refund.asked.by} asked for it; an approver agrees.`}
            </p>
          )}
        </div>
      )}
      {refund.price !== null && refund.may.includes('paid') && (
        <dl className="grid grid-cols-[auto_minmax(0,1fr)] items-baseline gap-x-16 gap-y-4">
          <dt className="text-label text-quiet">Pay exactly</dt>
          <dd className="font-mono wrap-anywhere">
            {refund.price.asset_amount} {refund.asset}
          </dd>
          <dt className="text-label text-quiet">To</dt>
          <dd className="font-mono wrap-anywhere">{refund.address}</dd>
          <dt className="text-label text-quiet">On</dt>
          <dd>{refund.network}</dd>
          {refund.price.uri !== refund.address && (
            <>
              <dt className="text-label text-quiet">For a wallet</dt>
              <dd className="font-mono text-note wrap-anywhere">
                <a href={refund.price.uri} className="underline">
                  {refund.price.uri}
                </a>
              </dd>
            </>
          )}
          <dt className="text-label text-quiet">Rate</dt>
          <dd className="text-note">
            {displayAmount(refund.price.rate)} for one {refund.asset}, at{' '}
            <Time at={refund.price.at} precision="minutes" />. The network’s fee is ours.
          </dd>
        </dl>
      )}
      {refund.may.includes('price') && (
        <div>
          <Button disabled={busy} onClick={() => go('price')}>
            {refund.price === null ? 'What is to be paid now?' : 'Ask again, by the present rate'}
          </Button>
        </div>
      )}
      {refund.may.includes('paid') && refund.price !== null && (
        <div className="grid gap-8">
          <Field
            label="Transaction id, when you have paid it"
            problem={refusal?.field === 'transaction_id' ? refusal.detail : undefined}
            value={transaction}
            maxLength={200}
            autoComplete="off"
            spellCheck={false}
            onChange={(event) => setTransaction(event.currentTarget.value)}
          />
          <div>
            <Button disabled={busy || transaction.trim() === ''} onClick={() => go('paid')}>
              I have paid {amount}
            </Button>
          </div>
        </div>
      )}
      {refund.may.includes('decline') && (
        <details>
          <summary className="min-h-target cursor-pointer text-label">
            {refund.status === 'sent' ? 'Give it up' : 'Do not send it'}
          </summary>
          <div className="grid gap-8 pt-8">
            <Field
              label={
                refund.status === 'sent'
                  ? 'Why it is given up; the customer reads it'
                  : 'Why not; the customer reads it'
              }
              value={why}
              maxLength={WHY_CHARACTERS_MAX}
              autoComplete="off"
              onChange={(event) => setWhy(event.currentTarget.value)}
            />
            <div className="flex flex-wrap items-center gap-x-16 gap-y-8">
              <Button disabled={busy || why.trim() === ''} onClick={() => go('decline')}>
                {`${refund.status === 'sent' ? 'Give it up' : 'Decline'}: ${amount} is the customer’s again`}
              </Button>
              {refund.status === 'approved' && (
                <p className="text-note text-quiet">Only when nobody has paid it yet.</p>
              )}
            </div>
          </div>
        </details>
      )}
    </div>
  )
}
