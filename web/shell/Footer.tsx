import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { paths } from '../paths.ts'
import { siteRead } from '../reads.ts'
import { linkClass } from '../ui/Button.tsx'

/** The foot of every page: where help is, what was promised, and who promised it. */
export function Footer({ sandboxLine = false }: { sandboxLine?: boolean }) {
  const site = useQuery(siteRead).data
  return (
    <footer className="line-above mt-48 grid w-full max-w-page gap-12 py-24 text-note text-quiet">
      <nav aria-label="Help and policies">
        <ul className="flex flex-wrap gap-x-24">
          {links.map((link) => (
            <li key={link.text}>
              <Link {...link.path} className={`inline-flex min-h-target items-center ${linkClass}`}>
                {link.text}
              </Link>
            </li>
          ))}
          <li>
            <Link to="/api/docs" className={`inline-flex min-h-target items-center ${linkClass}`}>
              API
            </Link>
          </li>
        </ul>
      </nav>
      {site && (
        <p className="wrap-anywhere">
          Sold by {site.seller.name}, {site.seller.address}.{' '}
          <a href={`mailto:${site.seller.support_email}`} className={linkClass}>
            {site.seller.support_email}
          </a>
        </p>
      )}
      {sandboxLine && <SandboxLine />}
    </footer>
  )
}

const links = [
  { text: 'Help', path: paths.help() },
  { text: 'Status', path: paths.status() },
  { text: 'Terms', path: paths.terms() },
  { text: 'Privacy', path: paths.privacy() },
  { text: 'Acceptable use', path: paths.acceptableUse() },
  { text: 'Refund policy', path: paths.refundPolicy() },
]

/** In sandbox mode, on every page: that nothing here is real, and where the outside world is. */
export function SandboxLine({ className = '' }: { className?: string }) {
  const sandbox = useQuery(siteRead).data?.sandbox
  if (!sandbox) return null
  return (
    <p className={className}>
      Sandbox. No real money moves.{' '}
      <a href={sandbox.desk_url} className={linkClass}>
        Desk
      </a>{' '}
      ·{' '}
      <a href={`${sandbox.desk_url}/mail`} className={linkClass}>
        Mailbox
      </a>
    </p>
  )
}
