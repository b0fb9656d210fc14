import type { ReactNode } from 'react'

/** The looks of one of them, for a link that says itself whether it is the present page (`aria-current`). */
export const tabClass =
  'inline-flex min-h-target items-center border-b-2 border-transparent py-4 text-label transition-colors hover:border-edge aria-[current=page]:border-ink aria-[current=page]:font-medium'

/** Pages that belong together, as links. */
export function Tabs({ label, links }: { label: string; links: { key: string; link: ReactNode }[] }) {
  return (
    <nav aria-label={label} className="line-below mb-24">
      <ul className="-mb-px flex flex-wrap gap-x-16 sm:gap-x-24">
        {links.map(({ key, link }) => (
          <li key={key}>{link}</li>
        ))}
      </ul>
    </nav>
  )
}
