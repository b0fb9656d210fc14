import { useQuery, useQueryClient } from '@tanstack/react-query'
import type { StaffCards } from '../../contract/contract.ts'
import { api } from '../api.ts'
import { usePress } from '../press.ts'
import { ReadProblem } from '../shell/Broken.tsx'
import { Page } from '../shell/Page.tsx'
import { Button } from '../ui/Button.tsx'
import { EdgeText } from '../ui/Edge.tsx'
import { Loading } from '../ui/Loading.tsx'
import { Notice } from '../ui/Notice.tsx'
import { type Column, Statement } from '../ui/Statement.tsx'
import { Time, useZone } from '../ui/Time.tsx'
import { zoneWords } from '../ui/times.ts'
import { cardsRead } from './reads.ts'

/** Whether new card payments are begun: the breaker against card testing, and the hand that pauses and opens them. */
export function CardsPage() {
  const zone = useZone()
  const read = useQuery(cardsRead)
  return (
    <Page title="Card payments" width="full">
      {read.isPending && <Loading />}
      {read.isError && !read.data && <ReadProblem error={read.error} again={() => read.refetch()} />}
      {read.data && (
        <>
          <Now cards={read.data} />
          <EdgeText className="pt-32 pb-4">
            <h2 className="text-body font-strong">Pauses</h2>
          </EdgeText>
          <Statement
            label="Pauses"
            columns={columns}
            rows={read.data.pauses}
            keyOf={(pause) => pause.begun_at}
            quiet={(pause) => pause.ended_at !== null}
            empty="Card payments were never paused."
          />
        </>
      )}
      <EdgeText className="pt-16 pb-48 text-note text-quiet">Times in {zoneWords(zone)}.</EdgeText>
    </Page>
  )
}

/** How it stands, why, until when; and the press that changes it. */
function Now({ cards }: { cards: StaffCards }) {
  const cache = useQueryClient()
  const { press, go } = usePress<boolean, StaffCards>(
    (paused) => api.pauseCards(paused),
    () => void cache.invalidateQueries({ queryKey: cardsRead.queryKey }),
  )
  const isOpen = cards.state === 'open'
  const { attempts, declines, seconds, attempts_min, declines_percent_max } = cards.last_minutes
  const minutes = Math.round(seconds / 60)
  return (
    <>
      {press.state === 'refused' && (
        <Notice tone="refused" takesFocus requestId={press.refusal.requestId}>
          <p>{press.refusal.detail}</p>
        </Notice>
      )}
      <Notice tone={isOpen ? 'arrived' : 'refused'}>
        <p>{isOpen ? 'New card payments are begun as ever.' : whyPaused(cards)}</p>
        {!isOpen && (
          <p>What was begun before is settled and credited; crypto and everything that customers have stays open.</p>
        )}
      </Notice>
      <EdgeText className="grid gap-8 pt-16">
        <div className="flex flex-wrap items-center gap-x-16 gap-y-8">
          <Button kind={isOpen ? 'plain' : 'primary'} disabled={press.state === 'pending'} onClick={() => go(isOpen)}>
            {isOpen ? 'Pause card payments for everybody' : 'Open card payments again'}
          </Button>
          <p className="text-note text-quiet">
            {isOpen
              ? 'Nobody begins a new one then, until somebody opens them again, or for 7 days.'
              : 'What was declined so far does not count again.'}
          </p>
        </div>
        <p className="text-label text-quiet">
          In the last {minutes} minutes: {attempts === 1 ? '1 card was tried' : `${attempts} cards were tried`},{' '}
          {declines} declined. They are paused by themselves when more than {declines_percent_max} % of at least{' '}
          {attempts_min} are declined.
        </p>
      </EdgeText>
    </>
  )
}

function whyPaused({ pauses, opens_at }: StaffCards) {
  const [now] = pauses
  return (
    <>
      {now?.begun_by
        ? `${now.begun_by} paused card payments for everybody.`
        : `Card payments are paused for everybody: ${now?.declines ?? 0} of ${now?.attempts ?? 0} cards were declined within minutes, as when stolen ones are tried.`}{' '}
      {opens_at && (
        <>
          They open by themselves <Time at={opens_at} />.
        </>
      )}
    </>
  )
}

type Pause = StaffCards['pauses'][number]

const columns: Column<Pause>[] = [
  {
    head: 'Begun',
    kind: 'text',
    narrow: 'second',
    width: 'sm:w-day-and-time',
    cell: (pause) => <Time at={pause.begun_at} />,
  },
  {
    head: 'Why',
    kind: 'text',
    narrow: 'first',
    cell: (pause) =>
      pause.begun_by
        ? `Paused by ${pause.begun_by}`
        : `By itself: ${pause.declines} of ${pause.attempts} cards were declined`,
  },
  {
    head: 'Ended',
    kind: 'text',
    narrow: 'second-right',
    cell: (pause) =>
      pause.ended_at === null ? (
        'Not opened yet'
      ) : (
        <>
          Opened <Time at={pause.ended_at} /> {pause.ended_by ? `by ${pause.ended_by}` : 'by itself'}
        </>
      ),
  },
]
