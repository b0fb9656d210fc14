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
        <p>There is nothing at this address.</p>
        <p>
          <Link {...paths.home()} className={linkClass}>
            Home
          </Link>
        </p>
      </EdgeText>
    </Page>
  )
}

/** A page that could not be drawn: a bug of ours, or an answer that makes no sense. */
export function Broken({ error }: ErrorComponentProps) {
  if (error instanceof Refused) return <ReadFailed error={error} />
  return (
    <Page title="This page broke" width="reading">
      <Notice tone="refused" action={<Button onClick={() => location.reload()}>Load the page again</Button>}>
        <p>Something went wrong on our side while drawing this page. Nothing was done to your money.</p>
      </Notice>
    </Page>
  )
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
