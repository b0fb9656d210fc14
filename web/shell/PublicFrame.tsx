import { Link, useLocation } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { paths } from '../paths.ts'
import { buttonClass } from '../ui/Button.tsx'
import { TimeZone } from '../ui/Time.tsx'
import { BrandLine } from './Brand.tsx'
import { Footer } from './Footer.tsx'
import { SkipLink } from './SkipLink.tsx'

const navLink = 'inline-flex min-h-target items-center border-b-2 border-transparent aria-[current=page]:border-ink'

/** Around the pages of who is not signed in: the name, the ways in, the foot. Times are written in the browser's own zone. */
export function PublicFrame({ children }: { children: ReactNode }) {
  const { pathname } = useLocation()
  return (
    <TimeZone value={Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC'}>
      <SkipLink />
      <div className="mx-auto flex min-h-dvh w-full max-w-public flex-col px-16 sm:px-32">
        <header className="line-below flex flex-wrap items-center gap-x-24 gap-y-4 py-12">
          <BrandLine className="mr-auto" />
          <nav aria-label="Main" className="flex flex-wrap items-center gap-x-24 gap-y-4">
            <Link {...paths.help()} className={navLink}>
              Help
            </Link>
            <Link {...paths.signIn()} activeOptions={{ includeSearch: false }} className={navLink}>
              Sign in
            </Link>
            <Link {...paths.join()} activeOptions={{ includeSearch: false }} className={buttonClass('plain')}>
              Join
            </Link>
          </nav>
        </header>
        <main id="main" tabIndex={-1} className="grid flex-1 outline-none">
          {children}
        </main>
        <Footer sandboxLine={pathname !== '/' && pathname !== '/sign-in'} />
      </div>
    </TimeZone>
  )
}
