import { useQuery } from '@tanstack/react-query'
import { Link, Outlet } from '@tanstack/react-router'
import type { Me } from '../../contract/contract.ts'
import { paths } from '../paths.ts'
import { meRead, siteRead } from '../reads.ts'
import { SkipLink } from '../shell/SkipLink.tsx'
import { useSession } from '../shell/session.ts'
import { Notice } from '../ui/Notice.tsx'
import { TimeZone } from '../ui/Time.tsx'

const rooms = [
  { text: 'Reconciliation', path: paths.staffReconciliation() },
  { text: 'Disputes', path: paths.staffDisputes() },
  { text: 'Crypto', path: paths.staffCrypto() },
  { text: 'Returns by crypto', path: paths.staffCryptoRefunds() },
  { text: 'Card payments', path: paths.staffCards() },
  { text: 'Events', path: paths.staffEvents() },
]

/** What stands on ink: the focus of the paper would not be seen there. */
const onInk =
  'rounded-control border border-paper px-12 text-label font-medium hover:bg-paper hover:text-ink focus-visible:outline-paper'
const linkOnInk = 'underline underline-offset-4 hover:no-underline focus-visible:outline-paper'

/** Around the pages of staff: dense, as wide as the window, beside a rail of ink, so that nobody mistakes which side he is on. */
export function StaffFrame() {
  const me = useQuery(meRead).data
  const { stillIn, signOut } = useSession()
  if (!me) return null

  return (
    <TimeZone value={me.time_zone}>
      <SkipLink />
      <div className="dense lg:grid lg:grid-cols-[var(--spacing-rail)_minmax(0,1fr)]">
        <Rail me={me} signOut={signOut} />
        <main id="main" tabIndex={-1} className="flex min-h-dvh min-w-0 flex-col px-16 outline-none sm:px-24">
          {stillIn && (
            <div className="pt-16">
              <Notice tone="refused" takesFocus>
                <p>You are still signed in: the server did not answer.</p>
              </Notice>
            </div>
          )}
          <div className="grid flex-1">
            <Outlet />
          </div>
        </main>
      </div>
    </TimeZone>
  )
}

/** To the left; below 1024 px above, where nothing of it sticks. */
function Rail({ me, signOut }: { me: Me; signOut: () => void }) {
  const site = useQuery(siteRead).data
  return (
    <header className="flex flex-wrap items-center gap-x-24 gap-y-8 bg-ink px-16 py-12 text-paper sm:px-24 lg:sticky lg:top-0 lg:h-dvh lg:flex-col lg:flex-nowrap lg:items-stretch lg:gap-0 lg:px-0 lg:py-24">
      <p className="font-strong lg:px-24">
        {site?.brand.name} <span className="font-regular">Staff</span>
      </p>
      <nav aria-label="Staff" className="flex flex-wrap gap-x-16 lg:mt-24 lg:grid">
        {rooms.map((room) => (
          <Link
            key={room.text}
            {...room.path}
            activeOptions={{ includeSearch: false }}
            className="flex min-h-target items-center border-b-2 border-transparent py-4 hover:border-paper focus-visible:outline-paper aria-[current=page]:border-paper aria-[current=page]:font-medium lg:border-b-0 lg:border-l-2 lg:px-24"
          >
            {room.text}
          </Link>
        ))}
      </nav>
      <div className="flex flex-wrap items-center gap-x-16 gap-y-8 text-label lg:mt-auto lg:grid lg:justify-items-start lg:gap-12 lg:px-24">
        {site?.sandbox && (
          <p className="text-note">
            Sandbox. No real money moves.{' '}
            <a href={site.sandbox.desk_url} className={linkOnInk}>
              Desk
            </a>
          </p>
        )}
        <p className="font-medium break-words">{me.username}</p>
        <Link {...paths.home()} className={`inline-flex min-h-target items-center ${linkOnInk}`}>
          Customer pages
        </Link>
        <button type="button" onClick={signOut} className={`min-h-target ${onInk}`}>
          Sign out
        </button>
      </div>
    </header>
  )
}
