import { useQuery } from '@tanstack/react-query'
import { Link, useLocation } from '@tanstack/react-router'
import { type ReactNode, useEffect, useRef } from 'react'
import type { Me } from '../../contract/contract.ts'
import { useLive } from '../live.ts'
import { paths } from '../paths.ts'
import { balanceRead } from '../reads.ts'
import { Button, linkClass } from '../ui/Button.tsx'
import { Money } from '../ui/Money.tsx'
import { Notice } from '../ui/Notice.tsx'
import { TimeZone, useZone } from '../ui/Time.tsx'
import { seconds } from '../ui/times.ts'
import { BrandLine } from './Brand.tsx'
import { Footer, SandboxLine } from './Footer.tsx'
import { SkipLink } from './SkipLink.tsx'
import { useSession } from './session.ts'

/** Around the pages of who is signed in: the rooms, the balance, and whether the page is told of changes. */
export function SignedInFrame({ me, children }: { me: Me; children: ReactNode }) {
  const { stillIn, signOut } = useSession()

  return (
    <TimeZone value={me.time_zone}>
      <SkipLink />
      <div className="lg:grid lg:grid-cols-[var(--spacing-rail)_minmax(0,1fr)]">
        <Rail me={me} signOut={signOut} />
        <TopLine me={me} signOut={signOut} />
        <div className="flex min-h-[calc(100dvh-var(--spacing-topline))] min-w-0 flex-col px-16 pb-72 sm:px-24 lg:min-h-dvh lg:px-48 lg:pb-0">
          <main id="main" tabIndex={-1} className="flex flex-1 flex-col outline-none">
            <NotLive />
            {stillIn && (
              <div className="pt-16">
                <Notice tone="refused" takesFocus action={<Button onClick={signOut}>Sign out</Button>}>
                  <p>You are still signed in: the server did not answer.</p>
                </Notice>
              </div>
            )}
            <div className="grid flex-1">{children}</div>
          </main>
          <Footer />
        </div>
        <BottomTabs />
      </div>
    </TimeZone>
  )
}

const rooms = [
  { text: 'Home', path: paths.home(), exact: true },
  { text: 'Numbers', path: paths.numbers(), exact: false },
  { text: 'Top-Up', path: paths.topUp(), exact: false },
  { text: 'Billing History', path: paths.billing(), exact: false },
]
/** Where there is room for it; below 1024 px it is in the menu of the account. */
const settings = { text: 'Settings', path: paths.settings(), exact: false }

function Rail({ me, signOut }: { me: Me; signOut: () => void }) {
  return (
    <header className="sticky top-0 hidden h-dvh flex-col border-r border-rule py-24 lg:flex">
      <BrandLine className="px-24" />
      <nav aria-label="Rooms" className="mt-24">
        {[...rooms, settings].map((room) => (
          <Link
            key={room.text}
            {...room.path}
            activeOptions={{ exact: room.exact, includeSearch: false }}
            className="flex min-h-target items-center border-l-2 border-transparent px-24 py-4 transition-colors hover:border-edge aria-[current=page]:border-ink aria-[current=page]:font-medium"
          >
            {room.text}
          </Link>
        ))}
      </nav>
      <div className="mt-auto grid gap-12 px-24">
        <SandboxLine className="text-note text-quiet" />
        <div>
          <p className="font-medium break-words">{me.username}</p>
          <Available />
        </div>
        {me.role === 'staff' && <StaffLink />}
        <Button onClick={signOut}>Sign out</Button>
      </div>
    </header>
  )
}

/** To the other side. */
function StaffLink() {
  return (
    <Link {...paths.staffReconciliation()} className={`flex min-h-target items-center ${linkClass}`}>
      Staff pages
    </Link>
  )
}

function TopLine({ me, signOut }: { me: Me; signOut: () => void }) {
  const menu = useRef<HTMLDetailsElement>(null)
  const { pathname } = useLocation()
  useEffect(() => {
    if (pathname) menu.current?.removeAttribute('open')
  }, [pathname])
  return (
    <header className="sticky top-0 z-20 flex h-topline items-center gap-16 border-b border-rule bg-paper px-16 sm:px-24 lg:hidden">
      <BrandLine className="mr-auto" nameFromSm />
      <Available />
      <details
        ref={menu}
        className="relative min-w-0"
        onKeyDown={(event) => {
          if (event.key === 'Escape') menu.current?.removeAttribute('open')
        }}
      >
        <summary className="flex min-h-target max-w-name cursor-pointer list-none items-center gap-4 text-label">
          <span className="truncate underline underline-offset-4">{me.username}</span>
        </summary>
        <div className="absolute right-0 grid w-menu gap-12 rounded-control border border-edge bg-sheet p-16 shadow-menu">
          <p>
            <span className="block text-note text-quiet">Username</span>
            <span className="break-words">{me.username}</span>
          </p>
          <Link {...paths.settings()} className={`flex min-h-target items-center ${linkClass}`}>
            Settings
          </Link>
          <Link {...paths.help()} className={`flex min-h-target items-center ${linkClass}`}>
            Help
          </Link>
          {me.role === 'staff' && <StaffLink />}
          <SandboxLine className="text-note text-quiet" />
          <Button onClick={signOut}>Sign out</Button>
        </div>
      </details>
    </header>
  )
}

function BottomTabs() {
  return (
    <nav
      aria-label="Rooms"
      className="fixed inset-x-0 bottom-0 z-20 grid grid-cols-4 border-t border-rule bg-paper pb-[env(safe-area-inset-bottom)] lg:hidden"
    >
      {rooms.map((room) => (
        <Link
          key={room.text}
          {...room.path}
          activeOptions={{ exact: room.exact, includeSearch: false }}
          className="-mt-px flex min-h-tabs items-center justify-center border-t-2 border-transparent px-4 text-center text-note aria-[current=page]:border-ink aria-[current=page]:font-medium"
        >
          {room.text}
        </Link>
      ))}
    </nav>
  )
}

function Available() {
  const balance = useQuery(balanceRead).data
  if (!balance) return null
  return (
    <p className="text-label whitespace-nowrap">
      <Money amount={balance.available} /> <span className="text-quiet">available</span>
    </p>
  )
}

function NotLive() {
  const { since, said, retry } = useLive()
  const zone = useZone()
  if (since === null || !said) return null
  return (
    <div className="pt-16">
      <Notice tone="held" action={<Button onClick={retry}>Try now</Button>}>
        <p>Not live since {seconds(since, zone)}. Trying again.</p>
      </Notice>
    </div>
  )
}
