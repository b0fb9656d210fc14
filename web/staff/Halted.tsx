import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import type { StaffChain } from '../../contract/contract.ts'
import { api } from '../api.ts'
import { usePress } from '../press.ts'
import { Button } from '../ui/Button.tsx'
import { EdgeText } from '../ui/Edge.tsx'
import { Field } from '../ui/Field.tsx'
import { Notice } from '../ui/Notice.tsx'
import { staffChainsRead } from './reads.ts'

const WHY_CHARACTERS_MAX = 500

/** The networks that are halted, each with what to look at first and the press that lets it go on; nothing while none is. */
export function Halted() {
  const chains = useQuery(staffChainsRead).data?.items ?? []
  return chains.filter(({ state }) => state === 'halted').map((chain) => <Panel key={chain.chain} chain={chain} />)
}

function Panel({ chain }: { chain: StaffChain }) {
  const cache = useQueryClient()
  const [why, setWhy] = useState('')
  const { press, go } = usePress<'resume', StaffChain>(
    () => api.resumeChain(chain.chain, why),
    () => void cache.invalidateQueries({ queryKey: ['staff'] }),
  )
  const last = chain.resumptions.at(-1)
  return (
    <section aria-label={`${chain.network} is halted`} className="edge-block pb-32">
      <Notice tone="refused">
        <p className="font-medium">
          {chain.network} is halted at block {chain.height}. Nothing of it is read, and nothing is credited.
        </p>
        <p className="mt-4">
          Its node has another chain, and none of the newest blocks that we have kept. Either the network was rewritten
          deeper than ever, or our node was set up anew or was taken over.
        </p>
      </Notice>
      <EdgeText className="grid max-w-reading gap-12 pt-16">
        <ol className="grid list-decimal gap-4 pl-24">
          <li>
            Compare the newest blocks of the node, which was at {chain.node_height}, with two sources of others: an
            explorer, an exchange, another node.
          </li>
          <li>If they have other blocks than our node, mend the node first and leave this alone.</li>
          <li>
            If they have the same, let it go on: it is read anew from the newest block that both have. Credits whose
            payments are not on that branch are taken back.
          </li>
        </ol>
        {press.state === 'refused' && (
          <Notice tone="refused" takesFocus requestId={press.refusal.requestId}>
            <p>{press.refusal.detail}</p>
          </Notice>
        )}
        <Field
          label="What you looked at; it is kept with your name"
          value={why}
          maxLength={WHY_CHARACTERS_MAX}
          autoComplete="off"
          onChange={(event) => setWhy(event.currentTarget.value)}
        />
        <div>
          <Button disabled={press.state === 'pending' || why.trim() === ''} onClick={() => go('resume')}>
            Let {chain.network} go on
          </Button>
        </div>
        {last && (
          <p className="text-note text-quiet">
            It was halted before: {last.by} let it go on from block {last.to}. {last.why}
          </p>
        )}
      </EdgeText>
    </section>
  )
}
