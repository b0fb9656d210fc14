import { useQuery } from '@tanstack/react-query'
import type { Status } from '../../contract/contract.ts'
import { statusRead } from '../reads.ts'
import { ReadProblem } from '../shell/Broken.tsx'
import { Page } from '../shell/Page.tsx'
import { EdgeText } from '../ui/Edge.tsx'
import { Loading } from '../ui/Loading.tsx'
import { Time, useZone } from '../ui/Time.tsx'
import { PartState } from './PartState.tsx'

const titles: Record<Status['parts'][number]['part'], string> = {
  pages: 'Pages and API',
  cards: 'Top-ups by card',
  bitcoin: 'Top-ups on Bitcoin',
  litecoin: 'Top-ups on Litecoin',
  ethereum: 'Top-ups on Ethereum',
  sms: 'Incoming SMS',
  mail: 'E-mail from us',
}

/** What works right now, by what was seen to happen. */
export function StatusPage() {
  const status = useQuery(statusRead)
  const zone = useZone()
  return (
    <Page title="Status" width="reading">
      {status.isPending && <Loading />}
      {status.isError && !status.data && <ReadProblem error={status.error} again={() => status.refetch()} />}
      {status.data && (
        <>
          <EdgeText className="pb-16">
            <p className="text-lead font-medium">{summaryOf(status.data)}</p>
            <p className="mt-4 text-label text-quiet">
              Looked at <Time at={status.data.looked_at} />, times in {zone}. This page looks again by itself.
              {status.isError && ' The last look had no answer, so this may be out of date.'}
            </p>
          </EdgeText>
          {status.data.parts.map((part) => (
            <section key={part.part} aria-labelledby={part.part} className="edge-block">
              <EdgeText className="line-above py-12">
                <h2 id={part.part} className="mb-4 font-medium">
                  {titles[part.part]}
                </h2>
                <PartState part={part} />
              </EdgeText>
            </section>
          ))}
          <EdgeText className="line-above pt-12 text-label text-quiet">
            <p>
              We say “works” only of what was seen to happen lately. “Not known” means that nothing happened that would
              tell, such as a night in which nobody paid.
            </p>
          </EdgeText>
        </>
      )}
    </Page>
  )
}

function summaryOf({ parts }: Status): string {
  const troubled = parts.filter((part) => part.state === 'trouble').map((part) => titles[part.part])
  if (troubled.length > 0) return `There is trouble with: ${troubled.join(', ')}.`
  return parts.some((part) => part.state === 'not_known')
    ? 'We know of no trouble. Not everything could be seen to work lately.'
    : 'Everything was seen to work lately.'
}
