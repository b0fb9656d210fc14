import { useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query'
import { getRouteApi, Link, useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import type { EndpointTest, EventState, StaffEvent } from '../../contract/contract.ts'
import { api, type Refusal } from '../api.ts'
import { paths } from '../paths.ts'
import { usePress } from '../press.ts'
import { ReadProblem } from '../shell/Broken.tsx'
import { Page } from '../shell/Page.tsx'
import { Button, linkClass } from '../ui/Button.tsx'
import { EdgeText } from '../ui/Edge.tsx'
import { Loading } from '../ui/Loading.tsx'
import { Notice } from '../ui/Notice.tsx'
import { Pager } from '../ui/Pager.tsx'
import { type Column, Statement } from '../ui/Statement.tsx'
import { Time } from '../ui/Time.tsx'
import { eventStateRead, staffEventsRead } from './reads.ts'
import { StateFilter } from './StateFilter.tsx'

const states = [
  { value: '', text: 'Everything' },
  { value: 'waiting', text: 'Waiting' },
  { value: 'set_aside', text: 'Set aside' },
  { value: 'handled', text: 'Handled' },
]

/** What Stripe told us, what came of it, and whether it can tell us at all. */
export function EventsPage() {
  const search = getRouteApi('/staff/staff/events').useSearch()
  const navigate = useNavigate()
  const pages = useInfiniteQuery(staffEventsRead(search))
  const rows = pages.data?.pages.flatMap((page) => page.items) ?? []
  return (
    <Page title="Events" width="full" bare>
      <Reach />
      <div className="pt-24">
        <StateFilter
          states={states}
          status={search.status}
          show={(wanted) => void navigate({ ...paths.staffEvents(wanted), replace: true, resetScroll: false })}
        />
      </div>
      {pages.isPending && <Loading />}
      {pages.isError && !pages.data && <ReadProblem error={pages.error} again={() => pages.refetch()} />}
      {pages.data && <Events rows={rows} filtered={search.status !== undefined} />}
      <EdgeText className="pt-16 pb-48">
        <Pager pages={pages} />
      </EdgeText>
    </Page>
  )
}

/** Whether Stripe's webhooks reach us, and how far its list of events was read. */
function Reach() {
  const cache = useQueryClient()
  const read = useQuery(eventStateRead)
  const { press, go } = usePress<'test', EndpointTest>(
    () => api.testEndpoint(),
    () => void cache.invalidateQueries({ queryKey: eventStateRead.queryKey }),
  )
  if (read.isPending) return <Loading />
  if (!read.data) return <ReadProblem error={read.error} again={() => read.refetch()} />
  const { endpoint, list } = read.data
  return (
    <>
      <Notice
        tone={endpoint.problem === null ? (endpoint.tested_at ? 'arrived' : 'held') : 'refused'}
        action={
          <Button disabled={press.state === 'pending'} onClick={() => go('test')}>
            {press.state === 'pending' ? 'Testing' : 'Test the address'}
          </Button>
        }
      >
        <p className="wrap-anywhere">{reachOf(endpoint)}</p>
        {press.state === 'refused' && <p>{press.refusal.detail}</p>}
      </Notice>
      <EdgeText className="grid gap-4 pt-16 text-label">
        <p>
          {read.data.waiting} waiting, {read.data.set_aside} set aside.{' '}
          {read.data.set_aside > 0 && 'What is set aside is dealt with when somebody presses Replay.'}
        </p>
        <p className="text-quiet">{readOf(list)}</p>
        {list.problem !== null && <p className="wrap-anywhere text-refused">{list.problem}</p>}
      </EdgeText>
    </>
  )
}

function reachOf({ address, tested_at, problem }: EndpointTest) {
  if (problem !== null) return `Webhooks do not reach us at ${address}. ${problem}`
  if (tested_at === null) return `Whether webhooks reach us at ${address} was not tested yet.`
  return (
    <>
      Webhooks reach us at {address}. Tested <Time at={tested_at} />.
    </>
  )
}

function readOf(list: EventState['list']) {
  if (list.read_at === null) return 'Stripe’s list of events, which fills what webhooks lose, was not read yet.'
  return (
    <>
      Stripe’s list of events, which fills what webhooks lose, was read to its end <Time at={list.read_at} />.
      {list.going_through_objects && ' It does not go back far enough, so each payment is asked for by itself.'}
    </>
  )
}

type Replayed = { id: string; refusal: Refusal | null; event: StaffEvent | null }

function Events({ rows, filtered }: { rows: StaffEvent[]; filtered: boolean }) {
  const cache = useQueryClient()
  const [busy, setBusy] = useState<string | null>(null)
  const [last, setLast] = useState<Replayed | null>(null)

  async function replay(id: string) {
    setBusy(id)
    const answer = await api.replayEvent(id)
    setLast(answer.ok ? { id, refusal: null, event: answer.value } : { id, refusal: answer.refusal, event: null })
    setBusy(null)
    await cache.invalidateQueries({ queryKey: ['staff', 'events'] })
  }

  const columns: Column<StaffEvent>[] = [
    {
      head: 'Received',
      kind: 'text',
      narrow: 'second',
      width: 'sm:w-day-and-time',
      cell: (event) => <Time at={event.received_at} />,
    },
    {
      head: 'Event, and what it is about',
      kind: 'text',
      narrow: 'first',
      cell: (event) => (
        <span className="wrap-anywhere">
          {event.type ?? 'Not readable'}
          <span className="block font-mono text-note text-quiet">{event.object}</span>
        </span>
      ),
    },
    {
      head: <span className="max-lg:sr-only">Id</span>,
      kind: 'text',
      narrow: 'hidden',
      cell: (event) => <span className="font-mono text-note whitespace-nowrap max-lg:hidden">{event.id}</span>,
    },
    {
      head: 'What came of it',
      kind: 'text',
      narrow: 'second-right',
      cell: (event) => (
        <>
          {outcomeOf(event)}
          {event.last_error !== null && event.status !== 'handled' && (
            <span className="block text-note wrap-anywhere text-quiet max-sm:hidden">{event.last_error}</span>
          )}
        </>
      ),
    },
    {
      head: <span className="sr-only">Replay</span>,
      kind: 'figure',
      narrow: 'first-right',
      cell: (event) => (
        <Button
          aria-label={`Replay ${event.type ?? 'the event'}, ${event.id}`}
          disabled={busy !== null}
          onClick={() => replay(event.id)}
        >
          {busy === event.id ? 'Replaying' : 'Replay'}
        </Button>
      ),
    },
  ]
  return (
    <Statement
      label="Events"
      columns={columns}
      rows={rows}
      keyOf={(event) => event.id}
      quiet={(event) => event.status === 'handled'}
      below={(event) => last?.id === event.id && <Answer replayed={last} />}
      empty={
        filtered ? (
          <>
            No event is like that.{' '}
            <Link {...paths.staffEvents()} className={linkClass}>
              Show everything
            </Link>
          </>
        ) : (
          'What Stripe tells us will stand here.'
        )
      }
    />
  )
}

function Answer({ replayed: { refusal, event } }: { replayed: Replayed }) {
  return refusal ? (
    <Notice tone="refused" takesFocus requestId={refusal.requestId}>
      <p>{refusal.detail}</p>
    </Notice>
  ) : (
    event && (
      <Notice tone={event.status === 'handled' ? 'arrived' : 'held'} takesFocus>
        <p>
          Dealt with once more: {outcomeOf(event)}. What was done before was not done twice.
          {event.last_error !== null && event.status !== 'handled' && ` ${event.last_error}`}
        </p>
      </Notice>
    )
  )
}

/** The house's words for an outcome are single words; people read them with spaces. */
function outcomeOf(event: StaffEvent) {
  const tried = event.attempts > 1 ? `, tried ${event.attempts} times` : ''
  switch (event.status) {
    case 'handled':
      return `handled: ${event.outcome?.replaceAll('_', ' ') ?? 'done'}${tried}`
    case 'set_aside':
      return `set aside${tried}`
    case 'waiting':
      return `waiting${event.outcome === null ? '' : `: ${event.outcome.replaceAll('_', ' ')}`}${tried}`
  }
}
