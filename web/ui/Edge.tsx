import type { ReactNode } from 'react'

/**
 * The grid of a page: text to the left, amounts on the money edge to the right, parted by a rule that runs through everything.
 * `reading`: 680 px for reading and paying; `page`: 1080 px; `full`: all there is, for those who work here.
 */
export type EdgeWidth = keyof typeof widths
const widths = { page: 'max-w-page', reading: 'max-w-reading', full: '' }

/** `bare`: no money stands on the page, and no edge. */
export function Edge({
  width = 'page',
  bare = false,
  children,
}: {
  width?: EdgeWidth
  bare?: boolean
  children: ReactNode
}) {
  return (
    <div className={`${bare ? 'grid content-start' : 'edge'} min-h-full w-full min-w-0 ${widths[width]}`}>
      {children}
    </div>
  )
}

/** Text, and on the edge what it means in money. Below 640 px the amount stands at the right of the first line. */
export function EdgeRow({
  money,
  className = '',
  children,
}: {
  money?: ReactNode
  className?: string
  children: ReactNode
}) {
  return (
    <div className={`edge-row ${className}`}>
      <div>{children}</div>
      <div className="text-right">{money}</div>
    </div>
  )
}

/** Text that leaves the edge empty. */
export function EdgeText({ className = '', children }: { className?: string; children: ReactNode }) {
  return <div className={`edge-text ${className}`}>{children}</div>
}

/** A sheet with a strong line above: an order, a receipt. Its text and its amounts stay on the page's lines. */
export function Slip({ label, children }: { label: string; children: ReactNode }) {
  return (
    <article aria-label={label} className="edge-block slip total-above bg-sheet py-16">
      {children}
    </article>
  )
}
