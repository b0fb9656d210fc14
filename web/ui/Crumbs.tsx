import type { ReactNode } from 'react'

/** Where a page stands: the pages above it, as links, first the highest. */
export function Crumbs({ links }: { links: { key: string; link: ReactNode }[] }) {
  return (
    <nav aria-label="Where this page stands" className="pb-8 text-label">
      <ol className="flex flex-wrap gap-x-8 gap-y-4">
        {links.map(({ key, link }, index) => (
          <li key={key} className="flex gap-8">
            {link}
            {index < links.length - 1 && (
              <span aria-hidden="true" className="text-quiet">
                /
              </span>
            )}
          </li>
        ))}
      </ol>
    </nav>
  )
}
