import { useQuery, useQueryClient } from '@tanstack/react-query'
import type { Reconciliation, ReconciliationItem, ReconciliationRun } from '../../contract/contract.ts'
import { displayAmount } from '../../contract/money.ts'
import { api } from '../api.ts'
import { usePress } from '../press.ts'
import { ReadProblem } from '../shell/Broken.tsx'
import { Page } from '../shell/Page.tsx'
import { Button } from '../ui/Button.tsx'
import { EdgeRow, EdgeText } from '../ui/Edge.tsx'
import { Loading } from '../ui/Loading.tsx'
import { Money } from '../ui/Money.tsx'
import { Notice } from '../ui/Notice.tsx'
import { type Column, Statement } from '../ui/Statement.tsx'
import { Time, useZone } from '../ui/Time.tsx'
import { zoneWords } from '../ui/times.ts'
import { Chains } from './Chains.tsx'
import { reconciliationRead } from './reads.ts'

/** Our books beside Stripe's, and beside the chains: what does not fit, where the money lies, and when it was last compared. */
export function ReconciliationPage() {
  const zone = useZone()
  const read = useQuery(reconciliationRead)
  return (
    <Page title="Reconciliation" width="full">
      {read.isPending && <Loading />}
      {read.isError && !read.data && <ReadProblem error={read.error} again={() => read.refetch()} />}
      {read.data && (
        <>
          <Now seen={read.data} />
          <Heading>What does not fit at Stripe</Heading>
          <Statement
            label="What does not fit"
            columns={itemColumns}
            rows={read.data.items}
            keyOf={(item) => item.key}
            quiet={(item) => item.state === 'waiting'}
            empty="Everything that Stripe and we have booked fits."
          />
          <Clearing runs={read.data.runs} />
          <Heading>Comparisons with Stripe</Heading>
          <Statement
            label="Runs"
            columns={runColumns}
            rows={read.data.runs}
            keyOf={(run) => run.id}
            empty="Nothing was compared yet. A run begins by itself once a day."
          />
          <Heading>Chains</Heading>
          <Chains />
        </>
      )}
      <EdgeText className="pt-16 pb-48 text-note text-quiet">Times in {zoneWords(zone)}.</EdgeText>
    </Page>
  )
}

function Heading({ children }: { children: string }) {
  return (
    <EdgeText className="pt-32 pb-4">
      <h2 className="text-body font-strong">{children}</h2>
    </EdgeText>
  )
}

/** How it stands, in one sentence, and the press that compares anew. */
function Now({ seen }: { seen: Reconciliation }) {
  const cache = useQueryClient()
  const { press, go } = usePress<'compare', ReconciliationRun>(
    () => api.reconcile(),
    () => void cache.invalidateQueries({ queryKey: reconciliationRead.queryKey }),
  )
  const running = seen.runs.find((run) => run.status === 'running')
  const last = seen.runs.find((run) => run.status !== 'running')
  const busy = running !== undefined || press.state === 'pending'
  return (
    <>
      {press.state === 'refused' && (
        <Notice tone="refused" takesFocus requestId={press.refusal.requestId}>
          <p>{press.refusal.detail}</p>
        </Notice>
      )}
      {!running && last && <Outcome run={last} />}
      <EdgeText className="flex flex-wrap items-center gap-x-16 gap-y-8 pt-16">
        <Button kind="primary" disabled={busy} onClick={() => go('compare')}>
          Compare with Stripe now
        </Button>
        <p aria-live="polite" className="text-label text-quiet">
          {running ? progressOf(running) : !last ? 'Not compared yet.' : ''}
        </p>
      </EdgeText>
    </>
  )
}

function Outcome({ run }: { run: ReconciliationRun }) {
  const when = <Time at={run.ended_at ?? run.started_at} />
  switch (run.status) {
    case 'running':
      return null
    case 'clean':
      return (
        <Notice tone="arrived">
          <p>
            Our books and Stripe’s agree. Compared {when}
            {run.compared && run.compared.waiting > 0 ? `; ${run.compared.waiting} too young to tell` : ''}.
          </p>
        </Notice>
      )
    case 'open':
      return (
        <Notice tone="refused">
          <p>
            {run.compared?.open === 1 ? 'One thing does not fit.' : `${run.compared?.open} things do not fit.`} Compared{' '}
            {when}. Each says below what to do.
          </p>
        </Notice>
      )
    case 'failed':
      return (
        <Notice tone="held">
          <p>
            The last comparison was not finished ({when}): {run.error}
          </p>
        </Notice>
      )
  }
}

function progressOf(run: ReconciliationRun): string {
  switch (run.step) {
    case 'reading':
      return `Reading Stripe’s balance: ${run.entries} entries so far.`
    case 'asking':
      return `Asking whose entries are (${run.entries} read).`
    case 'comparing':
      return 'Comparing.'
    case 'mending':
      return 'Mending what can be mended.'
  }
}

const itemColumns: Column<ReconciliationItem>[] = [
  {
    head: 'Since',
    kind: 'text',
    narrow: 'second',
    width: 'sm:w-day-and-time',
    cell: (item) => <Time at={item.since} precision="minutes" />,
  },
  {
    head: 'What, and what to do',
    kind: 'text',
    narrow: 'first',
    cell: (item) => (
      <>
        <span className="block wrap-anywhere">
          {item.state === 'waiting' && 'Waiting: '}
          {item.what}
        </span>
        {item.username && <span className="block text-note sm:hidden">Of {item.username}.</span>}
        <span className="block text-note wrap-anywhere text-quiet">{item.to_do}</span>
      </>
    ),
  },
  {
    head: 'Whose',
    kind: 'text',
    narrow: 'hidden',
    width: 'sm:w-name',
    cell: (item) => item.username ?? 'Nobody’s yet',
  },
  {
    head: <span className="whitespace-nowrap">Here, $</span>,
    kind: 'figure',
    narrow: 'hidden',
    cell: (item) => <Plain amount={item.ours} />,
  },
  { head: 'At Stripe, $', kind: 'edge', narrow: 'first-right', cell: (item) => <Plain amount={item.theirs} /> },
]

/** The column's head has the dollar sign. */
function Plain({ amount }: { amount: string | null }) {
  return amount === null ? <span className="text-quiet">none</span> : displayAmount(amount).replace('$', '')
}

/** Where the money lies that cards have paid. */
function Clearing({ runs }: { runs: ReconciliationRun[] }) {
  const sums = runs.find((run) => run.sums !== null)?.sums
  if (!sums) return null
  return (
    <>
      <Heading>Clearing</Heading>
      <EdgeRow className="line-below py-4" money={<Money amount={sums.at_stripe} />}>
        At Stripe: what was paid, less refunds, disputes, fees and payouts
      </EdgeRow>
      <EdgeRow className="line-below py-4" money={<Money amount={sums.on_its_way} />}>
        Credited, and not seen at Stripe yet: each named above
      </EdgeRow>
      {sums.unexplained !== '0.00' && (
        <EdgeRow className="line-below py-4 text-refused" money={<Money amount={sums.unexplained} />}>
          Unexplained: a movement that nobody here knows of; look at npm run audit first
        </EdgeRow>
      )}
      <EdgeRow className="total-above py-4 font-medium" money={<Money amount={sums.clearing} />}>
        The clearing account
      </EdgeRow>
      <EdgeRow className="line-below py-4 text-quiet" money={<Money amount={sums.fees} />}>
        Fees that Stripe has kept so far
      </EdgeRow>
      <EdgeRow className="line-below py-4 text-quiet" money={<Money amount={sums.paid_out} />}>
        Paid out to the bank so far
      </EdgeRow>
      {sums.foreign !== '0.00' && (
        <EdgeRow className="line-below py-4 text-quiet" money={<Money amount={sums.foreign} />}>
          Of other business on the same account at Stripe, net; in none of the sums above
        </EdgeRow>
      )}
    </>
  )
}

const states: Record<ReconciliationRun['status'], string> = {
  running: 'Running',
  clean: 'Agrees',
  open: 'Something is open',
  failed: 'Not finished',
}
const starters: Record<ReconciliationRun['started_by'], string> = {
  schedule: 'By itself',
  staff: 'On these pages',
  command: 'On the command line',
}

const runColumns: Column<ReconciliationRun>[] = [
  {
    head: 'When',
    kind: 'text',
    narrow: 'second',
    width: 'sm:w-day-and-time',
    cell: (run) => <Time at={run.started_at} />,
  },
  { head: 'Started', kind: 'text', narrow: 'hidden', cell: (run) => starters[run.started_by] },
  {
    head: 'Outcome',
    kind: 'text',
    narrow: 'first',
    cell: (run) => (run.error === null ? states[run.status] : `${states[run.status]}: ${run.error}`),
  },
  {
    head: <span className="max-lg:sr-only">Fits so far</span>,
    kind: 'text',
    narrow: 'hidden',
    cell: ({ compared }) => <span className="max-lg:hidden">{compared && fitsIn(compared)}</span>,
  },
  { head: 'Mended', kind: 'figure', narrow: 'hidden', cell: ({ compared }) => compared?.mended ?? '' },
  { head: 'Waiting', kind: 'figure', narrow: 'hidden', cell: ({ compared }) => compared?.waiting ?? '' },
  { head: 'Open', kind: 'figure', narrow: 'hidden', cell: ({ compared }) => compared?.open ?? '' },
  { head: 'Read', kind: 'figure', narrow: 'hidden', cell: (run) => run.entries },
  {
    head: 'Clearing, $',
    kind: 'edge',
    narrow: 'first-right',
    cell: ({ sums }) => sums && <Plain amount={sums.clearing} />,
  },
]

function fitsIn(compared: NonNullable<ReconciliationRun['compared']>): string {
  const of = (count: number, one: string, more: string) => `${count} ${count === 1 ? one : more}`
  return [
    of(compared.charges, 'charge', 'charges'),
    of(compared.refunds, 'refund', 'refunds'),
    of(compared.disputes, 'movement of a dispute', 'movements of disputes'),
    of(compared.fees, 'fee', 'fees'),
    of(compared.payouts, 'payout', 'payouts'),
  ].join(', ')
}
