import { useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query'
import { getRouteApi, Link, useNavigate } from '@tanstack/react-router'
import { useId, useState } from 'react'
import { cardBrandName } from '../../contract/cards.ts'
import type { StaffDispute } from '../../contract/contract.ts'
import { displayAmount } from '../../contract/money.ts'
import { api } from '../api.ts'
import { endpoints, paths } from '../paths.ts'
import { usePress } from '../press.ts'
import { meRead } from '../reads.ts'
import { ReadProblem } from '../shell/Broken.tsx'
import { Page } from '../shell/Page.tsx'
import { Button, buttonClass, linkClass } from '../ui/Button.tsx'
import { EdgeText } from '../ui/Edge.tsx'
import { Field } from '../ui/Field.tsx'
import { Loading } from '../ui/Loading.tsx'
import { Notice } from '../ui/Notice.tsx'
import { Pager } from '../ui/Pager.tsx'
import { type Column, Statement } from '../ui/Statement.tsx'
import { Time } from '../ui/Time.tsx'
import { staffDisputesRead } from './reads.ts'
import { StateFilter } from './StateFilter.tsx'

const states = [
  { value: '', text: 'Everything' },
  { value: 'open', text: 'Open' },
  { value: 'closed', text: 'Closed' },
]
const WHY_CHARACTERS_MAX = 500

/** What banks say against payments: until when they wait, what it did to the credits, and what two people decide about a warning. */
export function DisputesPage() {
  const search = getRouteApi('/staff/staff/disputes').useSearch()
  const navigate = useNavigate()
  const pages = useInfiniteQuery(staffDisputesRead(search))
  const rows = pages.data?.pages.flatMap((page) => page.items) ?? []
  return (
    <Page title="Disputes" width="full">
      <StateFilter
        states={states}
        status={search.status}
        show={(wanted) => void navigate({ ...paths.staffDisputes(wanted), replace: true, resetScroll: false })}
      />
      {pages.isPending && <Loading />}
      {pages.isError && !pages.data && <ReadProblem error={pages.error} again={() => pages.refetch()} />}
      {pages.data && (
        <Statement
          label="Disputes"
          columns={columns}
          rows={rows}
          keyOf={(dispute) => dispute.id}
          quiet={(dispute) => dispute.ended_at !== null}
          below={(dispute) => <WhatToDo dispute={dispute} />}
          empty={
            search.status === undefined ? (
              'Disputes, inquiries and warnings of fraud will stand here.'
            ) : (
              <>
                None is like that.{' '}
                <Link {...paths.staffDisputes()} className={linkClass}>
                  Show everything
                </Link>
              </>
            )
          }
        />
      )}
      <EdgeText className="pt-16 pb-48">
        <Pager pages={pages} />
      </EdgeText>
    </Page>
  )
}

const kinds: Record<StaffDispute['kind'], string> = {
  dispute: 'Dispute',
  inquiry: 'Inquiry',
  warning: 'Warning of fraud',
}

/** The column's head has the dollar sign. */
const plain = (amount: string) => displayAmount(amount).replace('$', '')

const columns: Column<StaffDispute>[] = [
  {
    head: 'Opened',
    kind: 'text',
    narrow: 'second',
    width: 'sm:w-day-and-time',
    cell: (dispute) => <Time at={dispute.opened_at} precision="minutes" />,
  },
  {
    head: 'What, and against which payment',
    kind: 'text',
    narrow: 'first',
    cell: (dispute) => (
      <>
        <span className="block">
          {kinds[dispute.kind]}:{' '}
          {dispute.kind === 'warning' ? dispute.reason.replaceAll('_', ' ') : dispute.reason_in_words}
        </span>
        <span className="block text-note text-quiet">
          {dispute.username ?? 'Nobody'}
          {dispute.card && `, ${cardBrandName(dispute.card.brand)} ${dispute.card.last4}`}, a top-up of{' '}
          {displayAmount(dispute.topup_amount)}
        </span>
        <span className="block font-mono text-note wrap-anywhere text-quiet">{dispute.card_company_id}</span>
        <span className="block font-mono text-note wrap-anywhere text-quiet">{dispute.topup_id}</span>
      </>
    ),
  },
  { head: 'How it stands', kind: 'text', narrow: 'second-right', cell: (dispute) => <Standing dispute={dispute} /> },
  { head: 'Frozen,\u00a0$', kind: 'figure', narrow: 'hidden', cell: (dispute) => plain(dispute.frozen) },
  { head: 'Taken,\u00a0$', kind: 'figure', narrow: 'hidden', cell: (dispute) => plain(dispute.taken) },
  { head: 'Owed,\u00a0$', kind: 'figure', narrow: 'hidden', cell: (dispute) => plain(dispute.owed) },
  { head: 'Disputed, $', kind: 'edge', narrow: 'first-right', cell: (dispute) => plain(dispute.amount) },
]

function Standing({ dispute }: { dispute: StaffDispute }) {
  return (
    <>
      <span className="block">{dispute.card_company_status.replaceAll('_', ' ')}</span>
      {dispute.evidence_due_by !== null && dispute.ended_at === null && (
        <span className="block text-note text-held">
          Answer until <Time at={dispute.evidence_due_by} precision="minutes" />
        </span>
      )}
      {dispute.last_error !== null && (
        <span className="block text-note wrap-anywhere text-refused">Not read: {dispute.last_error}</span>
      )}
    </>
  )
}

function WhatToDo({ dispute }: { dispute: StaffDispute }) {
  if (dispute.warning === null)
    return (
      <div className="grid gap-12">
        <div className="flex flex-wrap items-center gap-x-16 gap-y-8">
          <a
            href={endpoints.staffEvidence(dispute.id)}
            download={`evidence-${dispute.card_company_id}.json`}
            className={buttonClass()}
          >
            Download the evidence
          </a>
          {dispute.evidence_due_by !== null && dispute.ended_at === null && (
            <p className="text-note text-quiet">
              Hand it in at Stripe’s dashboard.{' '}
              {dispute.kind === 'inquiry'
                ? 'An inquiry that nobody answers can cost us the protection of 3-D Secure.'
                : 'A dispute that nobody answers is lost.'}
            </p>
          )}
        </div>
        <Cards dispute={dispute} />
      </div>
    )
  const { status } = dispute.warning
  if (status === 'open' || status === 'refund_asked') return <Decide dispute={dispute} warning={dispute.warning} />
  return <p className="text-note text-quiet">{decided(dispute.warning)}</p>
}

/** Who lost a dispute pays by card again only when somebody of staff says so, and why. */
function Cards({ dispute }: { dispute: StaffDispute }) {
  const cache = useQueryClient()
  const heading = useId()
  const [why, setWhy] = useState('')
  const { press, go } = usePress<string, StaffDispute>(
    (reason) => api.takeCardsAgain(dispute.id, reason),
    () => void cache.invalidateQueries({ queryKey: ['staff', 'disputes'] }),
  )
  const who = dispute.username ?? 'this customer'
  const again = dispute.cards_taken_again
  if (again)
    return (
      <p className="text-note text-quiet">
        {again.by ?? 'Somebody'} takes cards of {who} again since <Time at={again.at} precision="minutes" />.{' '}
        {again.why}
      </p>
    )
  if (dispute.card_company_status !== 'lost' || !dispute.cards_blocked) return null
  return (
    <section aria-labelledby={heading} className="grid max-w-reading gap-8">
      <p id={heading} className="text-label">
        No card of {who} is taken, because this was lost. Whoever takes them again says why; a dispute that is lost
        later blocks them again.
      </p>
      {press.state === 'refused' && (
        <Notice tone="refused" takesFocus requestId={press.refusal.requestId}>
          <p>{press.refusal.detail}</p>
        </Notice>
      )}
      <Field
        label="Why, for your colleagues"
        value={why}
        maxLength={WHY_CHARACTERS_MAX}
        autoComplete="off"
        onChange={(event) => setWhy(event.currentTarget.value)}
      />
      <div className="flex flex-wrap items-center gap-x-16 gap-y-8">
        <Button disabled={press.state === 'pending' || why.trim() === ''} onClick={() => go(why.trim())}>
          Take cards of {who} again
        </Button>
        {why.trim() === '' && <p className="text-note text-quiet">Not before it says why.</p>}
      </div>
    </section>
  )
}

type Warning = NonNullable<StaffDispute['warning']>

function decided(warning: Warning): string {
  const who = warning.decided_by ?? 'Nobody'
  const why = warning.why === null ? '' : ` ${warning.why}`
  switch (warning.status) {
    case 'refunding':
      return `${warning.asked_by} asked, ${who} agreed: the money is on its way back to the card.${why}`
    case 'refunded':
      return `${warning.asked_by} asked, ${who} agreed: the money was sent back to the card.${why}`
    case 'released':
      return `${who} gave the credits back.${why}`
    default:
      return 'Over: the bank does not warn any more, or a dispute has taken its place.'
  }
}

/** Two people send money back; one may give the credits back. */
function Decide({ dispute, warning }: { dispute: StaffDispute; warning: Warning }) {
  const me = useQuery(meRead).data
  const cache = useQueryClient()
  const heading = useId()
  const [why, setWhy] = useState('')
  const { press, go } = usePress<'refund' | 'release', StaffDispute>(
    (what) => (what === 'refund' ? api.refundWarning(dispute.id, why) : api.releaseWarning(dispute.id, why)),
    () => void cache.invalidateQueries({ queryKey: ['staff', 'disputes'] }),
  )
  const frozen = displayAmount(dispute.frozen)
  const card = dispute.card ? `${cardBrandName(dispute.card.brand)} ${dispute.card.last4}` : 'the card'
  const mine = warning.asked_by !== null && warning.asked_by === me?.username
  const busy = press.state === 'pending'
  return (
    <section aria-labelledby={heading} className="grid max-w-reading gap-8">
      <p id={heading} className="text-label">
        {warning.asked_by === null
          ? `The bank warns that this may be fraud. ${frozen} stays frozen until it is decided: it goes back to ${card} when two people agree, or to the customer.`
          : `${warning.asked_by} asked to send ${frozen} back to ${card}. It goes when another person, an approver, agrees.`}
        {warning.why !== null && ` ${warning.why}`}
      </p>
      {press.state === 'refused' && (
        <Notice tone="refused" takesFocus requestId={press.refusal.requestId}>
          <p>{press.refusal.detail}</p>
        </Notice>
      )}
      <Field
        label="Why, for your colleagues"
        value={why}
        maxLength={WHY_CHARACTERS_MAX}
        autoComplete="off"
        onChange={(event) => setWhy(event.currentTarget.value)}
      />
      <div className="flex flex-wrap items-center gap-x-16 gap-y-8">
        <Button disabled={busy || mine} onClick={() => go('refund')}>
          {warning.asked_by === null ? `Ask to send ${frozen} back` : `Agree: send ${frozen} back to ${card}`}
        </Button>
        {mine && <p className="text-note text-quiet">Not by you: you asked for it, and a second person must agree.</p>}
        <Button disabled={busy} onClick={() => go('release')}>
          Give {frozen} back to {dispute.username ?? 'the customer'}
        </Button>
      </div>
    </section>
  )
}
