import { useQuery, useQueryClient } from '@tanstack/react-query'
import type { CryptoDifference, CryptoReconciliation, CryptoReconciliationRun } from '../../contract/contract.ts'
import { displayAmount } from '../../contract/money.ts'
import { api } from '../api.ts'
import { usePress } from '../press.ts'
import { ReadProblem } from '../shell/Broken.tsx'
import { Button } from '../ui/Button.tsx'
import { EdgeText } from '../ui/Edge.tsx'
import { Notice } from '../ui/Notice.tsx'
import { type Column, Statement } from '../ui/Statement.tsx'
import { Time } from '../ui/Time.tsx'
import { cryptoReconciliationRead } from './reads.ts'

/** Our books beside the chains: the last comparison of each, and the press that compares anew. */
export function Chains() {
  const cache = useQueryClient()
  const read = useQuery(cryptoReconciliationRead)
  const { press, go } = usePress<'compare', CryptoReconciliation>(
    () => api.reconcileCrypto(),
    () => void cache.invalidateQueries({ queryKey: cryptoReconciliationRead.queryKey }),
  )
  if (read.isError && !read.data) return <ReadProblem error={read.error} again={() => read.refetch()} />
  const runs = read.data?.runs ?? []
  const busy = press.state === 'pending' || runs.some((run) => run.status === 'running')
  const last = lastOfEach(runs)
  const sums = last.flatMap((run) => run.sums)
  return (
    <>
      <EdgeText className="grid gap-16 pt-4">
        {press.state === 'refused' && (
          <Notice tone="refused" takesFocus requestId={press.refusal.requestId}>
            <p>{press.refusal.detail}</p>
          </Notice>
        )}
        {last.length === 0 && <p className="text-quiet">No chain was compared yet. It happens by itself once a day.</p>}
        {last.map((run) => (
          <Chain key={run.chain} run={run} />
        ))}
        <div className="flex flex-wrap items-center gap-x-16 gap-y-8">
          <Button disabled={busy} onClick={() => go('compare')}>
            Compare with the chains now
          </Button>
          <p aria-live="polite" className="text-label text-quiet">
            {busy ? 'Comparing.' : ''}
          </p>
        </div>
      </EdgeText>
      {sums.length > 0 && (
        <div className="edge-block pt-16">
          <Statement label="Coins" columns={sumColumns} rows={sums} keyOf={(sum) => sum.asset} empty="" />
        </div>
      )}
    </>
  )
}

const ORDER = ['bitcoin', 'litecoin', 'ethereum']

/** `runs`: newest first. Always in the same order, whichever ended first. */
function lastOfEach(runs: CryptoReconciliationRun[]): CryptoReconciliationRun[] {
  const chains = [...new Set(runs.map((run) => run.chain))].sort((a, b) => ORDER.indexOf(a) - ORDER.indexOf(b))
  return chains.map((chain) => runs.find((run) => run.chain === chain)!)
}

type Sum = CryptoReconciliationRun['sums'][number]

/** Coins as people write them; dollars have their sign in the head. */
const sumColumns: Column<Sum>[] = [
  {
    head: 'Coin',
    kind: 'text',
    narrow: 'first',
    cell: (sum) => (
      <>
        {sum.asset}
        <span className="sm:hidden">: credited, in dollars</span>
      </>
    ),
  },
  { head: 'Received', kind: 'figure', narrow: 'hidden', cell: (sum) => sum.received },
  {
    head: 'On our addresses',
    kind: 'figure',
    narrow: 'second',
    cell: (sum) => (
      <>
        {sum.on_addresses}
        <span className="sm:hidden"> on our addresses</span>
      </>
    ),
  },
  { head: 'Moved on', kind: 'figure', narrow: 'hidden', cell: (sum) => sum.moved_on },
  { head: 'Not credited', kind: 'figure', narrow: 'hidden', cell: (sum) => sum.not_credited },
  {
    head: 'Sent back, $',
    kind: 'figure',
    narrow: 'hidden',
    cell: (sum) => displayAmount(sum.sent_back).replace('$', ''),
  },
  {
    head: 'Credited, $',
    kind: 'edge',
    narrow: 'first-right',
    cell: (sum) => displayAmount(sum.credited).replace('$', ''),
  },
]

function Chain({ run }: { run: CryptoReconciliationRun }) {
  const when = <Time at={run.ended_at ?? run.started_at} />
  return (
    <section aria-label={run.network} className="grid gap-4">
      <h3 className="font-medium">{run.network}</h3>
      <p>
        {run.status === 'running' && <>Being compared since {when}.</>}
        {run.status === 'clean' && (
          <>
            The chain and our books agree at block {run.height}. Compared {when}.
          </>
        )}
        {run.status === 'open' && (
          <>
            {run.open === 1 ? 'One thing does not fit' : `${run.open} things do not fit`} at block {run.height}.
            Compared {when}.
          </>
        )}
        {run.status === 'failed' && (
          <>
            Not compared ({when}): {run.error}
          </>
        )}
      </p>
      {run.items.length > 0 && (
        <ul className="grid gap-8 pt-4">
          {run.items.map((item) => (
            <Item key={item.key} item={item} />
          ))}
        </ul>
      )}
    </section>
  )
}

function Item({ item }: { item: CryptoDifference }) {
  return (
    <li className="wrap-anywhere">
      <span className="block">
        {item.state === 'waiting' && 'Waiting: '}
        {item.what}
        {item.username && ` It is ${item.username}’s.`}
      </span>
      <span className="block text-note text-quiet">
        Since <Time at={item.since} precision="minutes" />. {item.to_do}
      </span>
      {item.transaction_id && <span className="block font-mono text-note text-quiet">{item.transaction_id}</span>}
    </li>
  )
}
