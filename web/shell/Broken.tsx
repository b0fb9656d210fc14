import { type ErrorComponentProps, Link } from '@tanstack/react-router'
import { Refused } from '../api.ts'
import { paths } from '../paths.ts'
import { Button, linkClass } from '../ui/Button.tsx'
import { EdgeText } from '../ui/Edge.tsx'
import { Notice } from '../ui/Notice.tsx'
import { Page } from './Page.tsx'

/** Also for what belongs to somebody else: without a hint. */
export function NotFound() {
  return (
    <Page title="Not found" width="reading">
      <EdgeText className="grid gap-16">
        <p>There is nothing at this address. Check how it is spelt, or go on from here.</p>
        <p className="flex gap-x-24">
          <Link {...paths.home()} className={linkClass}>
            Home
          </Link>
          <Link {...paths.help()} className={linkClass}>
            Help
          </Link>
        </p>
      </EdgeText>
    </Page>
  )
}

/** A page that could not be drawn: a bug of ours, or an answer that makes no sense. */
export function Broken({ error }: ErrorComponentProps) {
  if (error instanceof Refused) return <ReadFailed error={error} />
  if (isPartMissing(error)) {
    return (
      <Page title="Not available" width="reading">
        <Notice tone="refused" action={<Button onClick={() => location.reload()}>Load the page again</Button>}>
          <p>
            A part of this page did not arrive: the connection broke, or a new version was put here a moment ago.
            Nothing was done to your money.
          </p>
        </Notice>
      </Page>
    )
  }
  return (
    <Page title="This page broke" width="reading">
      <Notice tone="refused" action={<Button onClick={() => location.reload()}>Load the page again</Button>}>
        <p>Something went wrong on our side while drawing this page. Nothing was done to your money.</p>
      </Notice>
    </Page>
  )
}

/** The browser's word for a script that it could not fetch; each has its own. */
function isPartMissing(error: unknown): boolean {
  return error instanceof Error && /dynamically imported module|importing a module script/i.test(error.message)
}

/** In the place of a page whose reading was refused. */
export function ReadFailed({ error, again }: { error: Error; again?: () => void }) {
  if (error instanceof Refused && error.refusal.code === 'not_found') return <NotFound />
  return (
    <Page title="Not available" width="reading">
      <ReadProblem error={error} {...(again ? { again } : {})} />
    </Page>
  )
}

/** In the place of a part of a page whose reading was refused. */
export function ReadProblem({ error, again }: { error: Error; again?: () => void }) {
  const refusal = error instanceof Refused ? error.refusal : null
  return (
    <Notice
      tone="refused"
      requestId={refusal?.requestId ?? null}
      action={<Button onClick={again ?? (() => location.reload())}>Try again</Button>}
    >
      <p>
        {refusal && refusal.code !== 'unreachable'
          ? refusal.detail
          : 'The server did not answer, so this cannot be shown. Nothing was done to your money.'}
      </p>
    </Notice>
  )
}
