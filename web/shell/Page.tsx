import { useQuery } from '@tanstack/react-query'
import { useMatch } from '@tanstack/react-router'
import { type ReactNode, useEffect, useRef } from 'react'
import { siteRead } from '../reads.ts'
import { Edge, EdgeText, type EdgeWidth } from '../ui/Edge.tsx'

let pathOfLastPage: string | null = null

/**
 * One page: its title in the tab and above the edge. After a change of page the focus goes to the title, so that keyboard and
 * screen reader start there; `ownFocus`: the page gives it to something better itself.
 */
export function Page({
  title,
  heading,
  width = 'page',
  above,
  ownFocus = false,
  bare = false,
  children,
}: {
  title: string
  /** The title as it stands on the page, where that is more than words. */
  heading?: ReactNode
  width?: EdgeWidth
  above?: ReactNode
  ownFocus?: boolean
  /** No money stands on it. */
  bare?: boolean
  children: ReactNode
}) {
  const brand = useQuery(siteRead).data?.brand.name
  // Its own address, not the browser's: that one changes while the page before is still drawn.
  const pathname = useMatch({ strict: false, select: (match) => match.pathname })
  const headingBox = useRef<HTMLHeadingElement>(null)
  useEffect(() => {
    const moved = pathOfLastPage !== null && pathOfLastPage !== pathname
    pathOfLastPage = pathname
    if (moved && !ownFocus) headingBox.current?.focus({ preventScroll: true })
  }, [pathname, ownFocus])
  return (
    <Edge width={width} bare={bare}>
      <title>{brand ? `${title} · ${brand}` : title}</title>
      <EdgeText className="pt-24 pb-16">
        {above}
        <h1 ref={headingBox} tabIndex={-1} className="text-title font-strong">
          {heading ?? title}
        </h1>
      </EdgeText>
      {children}
    </Edge>
  )
}
