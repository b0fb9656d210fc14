import { useQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import { lazy, Suspense } from 'react'
import type { CardTopup, Topup } from '../../contract/contract.ts'
import { displayAmount } from '../../contract/money.ts'
import { api, Refused } from '../api.ts'
import { paths } from '../paths.ts'
import { balanceRead, cryptoRead, topupRead } from '../reads.ts'
import { NotFound, ReadFailed } from '../shell/Broken.tsx'
import { Page } from '../shell/Page.tsx'
import { buttonClass, linkClass } from '../ui/Button.tsx'
import { useNow } from '../ui/clock.ts'
import { EdgeText } from '../ui/Edge.tsx'
import { Loading } from '../ui/Loading.tsx'
import { Notice } from '../ui/Notice.tsx'
import { useZone } from '../ui/Time.tsx'
import { seconds, zoneWords } from '../ui/times.ts'
import { isContested } from './aftermath.ts'
import { Disputes } from './Disputes.tsx'
import { isByCard, type Next, type Outcome, outcomeOf } from './outcome.ts'
import { Returns } from './Returns.tsx'
import { TopupTrace } from './TopupTrace.tsx'

/** What only who pays by crypto needs: it draws codes for cameras. */
const CryptoTopped = lazy(async () => ({ default: (await import('./CryptoTopped.tsx')).CryptoTopped }))

/** Where the bank sends the customer back to. Coming here is what makes the server ask Stripe, if no webhook did before. */
export function ReturnPage() {
  const { id } = getRouteApi('/topups/$id/return').useParams()
  const { session_id } = getRouteApi('/topups/$id/return').useSearch()
  const returned = useQuery({
    queryKey: ['topup', id, 'returned', session_id],
    queryFn: () => api.returned(id, session_id),
    staleTime: Number.POSITIVE_INFINITY,
  })
  // A session that is not this top-up's: not found, whatever the top-up's own page would say.
  if (returned.error instanceof Refused && returned.error.refusal.code === 'not_found') return <NotFound />
  return <Topped id={id} asked={returned.data} />
}

/** Where the payment page's back link leads. */
export function CancelledPage() {
  const { id } = getRouteApi('/topups/$id/cancelled').useParams()
  return <Topped id={id} />
}

/** The same trace, later. */
export function TopupPage() {
  const { id } = getRouteApi('/topups/$id').useParams()
  return <Topped id={id} later />
}

/**
 * `asked`: what the server answered when it was told of the return; it stands in until the top-up itself has been read. `later`: not
 * on the way back from paying, when nobody thinks of getting it back.
 */
function Topped({ id, asked, later = false }: { id: string; asked?: CardTopup | undefined; later?: boolean }) {
  const read = useQuery(topupRead(id))
  const topup: Topup | undefined = read.data && !isByCard(read.data) ? read.data : newer(read.data, asked)
  if (!topup) return read.isError ? <ReadFailed error={read.error} again={() => read.refetch()} /> : <Loading />
  return (
    <Page title={`Top-up of ${displayAmount(topup.amount)}`} width="reading">
      {isByCard(topup) ? (
        <ByCard topup={topup} later={later} />
      ) : (
        <Suspense fallback={<Loading />}>
          <CryptoTopped topup={topup} />
        </Suspense>
      )}
      <TimesIn />
    </Page>
  )
}

function ByCard({ topup, later }: { topup: CardTopup; later: boolean }) {
  return (
    <>
      <TopupTrace topup={topup} />
      <div className="edge-block pt-24">
        {isContested(topup) ? <ReceiptAlone topup={topup} /> : <What topup={topup} />}
      </div>
      <Disputes topup={topup} />
      {(later || topup.refunds.length > 0) && <Returns topup={topup} />}
    </>
  )
}

/** Of two readings of one top-up the one that is further: a slow answer must not take back what the stream has told. */
function newer(a: CardTopup | undefined, b: CardTopup | undefined): CardTopup | undefined {
  if (!a || !b) return a ?? b
  const rank = (topup: CardTopup) =>
    topup.trace.filter((step) => step.state === 'done' || step.state === 'cannot_happen').length
  return rank(b) > rank(a) ? b : a
}

function What({ topup }: { topup: CardTopup }) {
  const zone = useZone()
  const now = useNow()
  const available = useQuery(balanceRead).data?.available ?? null
  const takesCrypto = useQuery(cryptoRead).data?.assets.some(({ offered }) => offered) ?? false
  const outcome = outcomeOf(topup, { now, available, takesCrypto, timeOf: (instant) => seconds(instant, zone) })
  return (
    <>
      <Notice tone={outcome.tone}>
        <p>{outcome.says}</p>
        {outcome.hint && <p>{outcome.hint}</p>}
      </Notice>
      <EdgeText className="flex flex-wrap items-center gap-16 pt-16">
        <NextStep next={outcome.next} crypto={outcome.crypto} topup={topup} />
      </EdgeText>
    </>
  )
}

/** What the bank says about it comes before "added". */
function ReceiptAlone({ topup }: { topup: CardTopup }) {
  return (
    <EdgeText>
      <Link {...paths.receipt(topup.id)} className={linkClass}>
        Receipt
      </Link>
    </EdgeText>
  )
}

function TimesIn() {
  const zone = useZone()
  return <EdgeText className="pt-24 pb-48 text-note text-quiet">Times in {zoneWords(zone)}</EdgeText>
}

function NextStep({ next, crypto, topup }: { next: Next; crypto: Outcome['crypto']; topup: CardTopup }) {
  switch (next) {
    case 'none':
      return null
    case 'order_number':
      return (
        <>
          <Link {...paths.numbers()} className={buttonClass('primary')}>
            Order a number
          </Link>
          {topup.receipt && (
            <Link {...paths.receipt(topup.id)} className={linkClass}>
              Receipt
            </Link>
          )}
        </>
      )
    case 'go_on_paying':
      return (
        <>
          {topup.checkout_url && (
            <a href={topup.checkout_url} className={buttonClass('primary')}>
              Go on paying
            </a>
          )}
          {crypto && <WithCrypto topup={topup} kind="plain" />}
          <Link {...paths.topUp(topup.amount)} className={linkClass}>
            Start again
          </Link>
        </>
      )
    case 'another_card':
    case 'try_again':
    case 'start_again': {
      const words = { another_card: 'Another card', try_again: 'Try again', start_again: 'Start again' }
      return (
        <>
          {crypto === 'first' && <WithCrypto topup={topup} kind="primary" />}
          <Link {...paths.topUp(topup.amount)} className={buttonClass(crypto === 'first' ? 'plain' : 'primary')}>
            {words[next]}
          </Link>
          {crypto === 'second' && <WithCrypto topup={topup} kind="plain" />}
        </>
      )
    }
  }
}

function WithCrypto({ topup, kind }: { topup: CardTopup; kind: 'primary' | 'plain' }) {
  return (
    <Link {...paths.topUp(topup.amount, { method: 'crypto' })} className={buttonClass(kind)}>
      Pay {displayAmount(topup.amount)} with crypto
    </Link>
  )
}
