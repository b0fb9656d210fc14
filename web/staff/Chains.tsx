import { useQuery, useQueryClient } from '@tanstack/react-query'
import type { CryptoDifference, CryptoReconciliation, CryptoReconciliationRun } from '../../contract/contract.ts'
import { displayAmount } from '../../contract/money.ts'
import { api } from '../api.ts'
import { usePress } from '../press.ts'
import { ReadProblem } from '../shell/Broken.tsx'
import { Button } from '../ui/Button.tsx'
import { EdgeText } from '../ui/Edge.tsx'
import { Notice } from '../ui/Notice.tsx'
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
  const chains = [...new Set(runs.map((run) => run.chain))]
  return (
    <EdgeText className="grid gap-16 pt-4">
      {press.state === 'refused' && (
        <Notice tone="refused" takesFocus requestId={press.refusal.requestId}>
          <p>{press.refusal.detail}</p>
        </Notice>
      )}
      {chains.length === 0 && <p className="text-quiet">No chain was compared yet. It happens by itself once a day.</p>}
      {chains.map((chain) => (
        <Chain key={chain} run={runs.find((run) => run.chain === chain)!} />
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
  )
}

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
      {run.sums.map((sum) => (
        <p key={sum.asset} className="text-note text-quiet wrap-anywhere">
          {sum.asset}: received {sum.received}; on our addresses {sum.on_addresses}, moved on {sum.moved_on}. Credited{' '}
          {displayAmount(sum.credited)}; not credited {sum.not_credited}; sent back {displayAmount(sum.sent_back)}.
        </p>
      ))}
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
