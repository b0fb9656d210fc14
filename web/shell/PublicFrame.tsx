import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { paths } from '../paths.ts'
import { TimeZone } from '../ui/Time.tsx'
import { BrandLine } from './Brand.tsx'
import { Footer } from './Footer.tsx'
import { SkipLink } from './SkipLink.tsx'

const navLink = 'inline-flex min-h-target items-center border-b-2 border-transparent aria-[current=page]:border-ink'

/** Around the pages of who is not signed in, as wide as they are: the name, the ways in, the foot. Times are in the browser's zone. */
export function PublicFrame({
  wide,
  sandboxLine,
  children,
}: {
  wide: boolean
  /** The foot says that this is a sandbox: the page itself does not. */
  sandboxLine: boolean
  children: ReactNode
}) {
  return (
    <TimeZone value={Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC'}>
      <SkipLink />
      <div
        className={`mx-auto flex min-h-dvh w-full flex-col px-16 sm:px-32 ${wide ? 'max-w-public' : 'max-w-public-reading'}`}
      >
        <header className="line-below flex flex-wrap items-center gap-x-16 py-8">
          <BrandLine className="mr-auto" />
          <nav aria-label="Main" className="flex flex-wrap items-center gap-x-16 sm:gap-x-24">
            <Link {...paths.help()} className={navLink}>
              Help
            </Link>
            <Link {...paths.signIn()} activeOptions={{ includeSearch: false }} className={navLink}>
              Sign in
            </Link>
            <Link {...paths.join()} activeOptions={{ includeSearch: false, exact: true }} className={navLink}>
              Join
            </Link>
          </nav>
        </header>
        <main id="main" tabIndex={-1} className="grid flex-1 outline-none">
          {children}
        </main>
        <Footer sandboxLine={sandboxLine} />
      </div>
    </TimeZone>
  )
}
