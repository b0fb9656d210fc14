import { useQuery } from '@tanstack/react-query'
import { Link, useLocation } from '@tanstack/react-router'
import { paths } from '../paths.ts'
import { siteRead } from '../reads.ts'

/** The mark: the three inks. */
function BrandMark() {
  return (
    <span aria-hidden="true" className="inline-grid w-24 shrink-0 gap-y-4 border-ink forced-color-adjust-none">
      <span className="h-4 ink-available" />
      <span className="h-4 ink-held" />
      <span className="h-4 ink-coming" />
    </span>
  )
}

/** Mark and name; leads Home. `nameFromSm`: on a narrow screen the mark stands alone. */
export function BrandLine({ className, nameFromSm = false }: { className: string; nameFromSm?: boolean }) {
  const name = useQuery(siteRead).data?.brand.name
  const { pathname } = useLocation()
  return (
    <Link
      {...paths.home()}
      aria-current={pathname === '/' ? 'page' : undefined}
      aria-label={name ? `${name}, Home` : 'Home'}
      className={`flex min-h-target min-w-0 items-center gap-12 font-strong ${className}`}
    >
      <BrandMark />
      <span className={`min-w-0 break-words ${nameFromSm ? 'max-sm:hidden' : ''}`}>{name}</span>
    </Link>
  )
}
