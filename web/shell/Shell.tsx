import { useQuery } from '@tanstack/react-query'
import { Outlet, useLocation, useMatches } from '@tanstack/react-router'
import { useEffect } from 'react'
import { SignInPlace } from '../joining/SignIn.tsx'
import { meRead, siteRead } from '../reads.ts'
import { Loading } from '../ui/Loading.tsx'
import { NotFound, ReadFailed } from './Broken.tsx'
import { PublicFrame } from './PublicFrame.tsx'
import { SignedInFrame } from './SignedInFrame.tsx'

/**
 * What stands around every page. Some pages are for everybody; who asks for another one without being signed in meets the sign-in
 * in its place, and the page itself afterwards.
 */
export function Shell() {
  const me = useQuery(meRead)
  const { pathname } = useLocation()
  const isWide = useMatches({ select: (matches) => matches.some((match) => match.staticData.wide) })
  // An address that leads nowhere says so to everybody: there is nothing to sign in for.
  const isOpen = useMatches({
    select: (matches) => matches.length === 1 || matches.some((match) => match.staticData.open),
  })
  const isForStaff = useMatches({ select: (matches) => matches.some((match) => match.staticData.staff) })
  useBrandColour()
  if (me.isPending) return <Loading />
  if (me.isError && !me.data)
    return (
      <main className="p-16 sm:p-32">
        <ReadFailed error={me.error} again={() => me.refetch()} />
      </main>
    )
  // Their own frame stands around them.
  if (me.data?.role === 'staff' && isForStaff) return <Outlet />
  if (me.data) return <SignedInFrame me={me.data}>{isForStaff ? <NotFound /> : <Outlet />}</SignedInFrame>
  const signsIn = !isOpen || pathname === '/' || pathname === '/sign-in'
  return (
    <PublicFrame wide={isWide} sandboxLine={!signsIn}>
      {isOpen ? <Outlet /> : <SignInPlace />}
    </PublicFrame>
  )
}

/** The operator's link colour, a setting that the server has checked for contrast. */
function useBrandColour() {
  const colour = useQuery(siteRead).data?.brand.link_colour
  useEffect(() => {
    if (!colour) return
    document.documentElement.style.setProperty('--brand-link', colour)
    document.documentElement.dataset['brandLink'] = ''
  }, [colour])
}
