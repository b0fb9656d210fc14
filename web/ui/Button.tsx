import type { ButtonHTMLAttributes } from 'react'

type Kind = 'primary' | 'plain'

const kinds: Record<Kind, string> = {
  primary: 'border-ink bg-ink text-paper enabled:hover:bg-quiet enabled:hover:border-quiet',
  plain: 'border-edge bg-sheet text-ink enabled:hover:border-ink',
}

/** The looks of a button, for a link that is drawn as one. */
export function buttonClass(kind: Kind = 'plain'): string {
  return `inline-flex min-h-target items-center justify-center rounded-control border px-12 py-4 text-label font-medium transition-colors disabled:border-rule disabled:bg-transparent disabled:text-quiet ${kinds[kind]}`
}

/** Primary: one a page. A button that cannot be pressed needs its reason in words beside it. */
export function Button({
  kind = 'plain',
  className = '',
  ...rest
}: ButtonHTMLAttributes<HTMLButtonElement> & { kind?: Kind }) {
  return <button type="button" {...rest} className={`${buttonClass(kind)} ${className}`} />
}

export const linkClass = 'text-link underline underline-offset-4 hover:no-underline'

/** A link that opens the whole row it stands in (the row is `relative`). */
export const rowLinkClass = 'after:absolute after:inset-0 focus-visible:outline-none focus-visible:after:focus-ring'
