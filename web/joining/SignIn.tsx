import { useQuery, useQueryClient } from '@tanstack/react-query'
import { getRouteApi, Link, useLocation } from '@tanstack/react-router'
import type { FormEvent } from 'react'
import { api, type Refusal } from '../api.ts'
import { paths, readNextSearch } from '../paths.ts'
import { meRead, siteRead } from '../reads.ts'
import { SandboxLine } from '../shell/Footer.tsx'
import { Page } from '../shell/Page.tsx'
import { Button, linkClass } from '../ui/Button.tsx'
import { EdgeText, Slip } from '../ui/Edge.tsx'
import { Field, PasswordField } from '../ui/Field.tsx'
import { Notice } from '../ui/Notice.tsx'
import { GoOn } from './GoOn.tsx'
import { useSend } from './send.ts'

export function SignInPage() {
  // Read once more: the router adds to what was read what it was read from.
  const { next } = readNextSearch(getRouteApi('/sign-in').useSearch())
  const me = useQuery(meRead).data
  if (me) return <GoOn to={next ?? '/'} />
  return (
    <Page title="Sign in" width="reading" ownFocus>
      <SignInSlip next={next} takesFocus />
    </Page>
  )
}

/** In the place of a page that needs a sign-in; the page itself follows at the same address. */
export function SignInPlace() {
  const { href } = useLocation()
  return (
    <Page title="Sign in" heading="Sign in to see this page" width="reading" ownFocus>
      <SignInSlip next={href} takesFocus />
    </Page>
  )
}

/** `next`: where the ways beside the sign-in lead in the end. */
export function SignInSlip({
  next,
  takesFocus = false,
  titled = false,
  kind = 'primary',
}: {
  next?: string | undefined
  takesFocus?: boolean
  /** The slip stands among other things: it says what it is, and what is about the sandbox stands elsewhere. */
  titled?: boolean
  kind?: 'primary' | 'plain'
}) {
  const { pending, refusal, signIn } = useSignIn()

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    void signIn({ username: String(form.get('username')), password: String(form.get('password')) })
  }

  return (
    <Slip label="Sign in">
      {titled && (
        <EdgeText className="pb-8">
          <h2 className="text-lead font-medium">Sign in</h2>
        </EdgeText>
      )}
      {!titled && (
        <EdgeText>
          <SandboxEntry />
        </EdgeText>
      )}
      {refusal && (
        <div className="edge-block pb-16">
          <SignInRefused refusal={refusal} />
        </div>
      )}
      <EdgeText>
        <form onSubmit={submit} className="grid gap-16">
          <div className="grid max-w-field gap-16">
            <Field
              label="Username"
              name="username"
              autoComplete="username"
              autoCapitalize="none"
              spellCheck={false}
              autoFocus={takesFocus}
              required
              maxLength={64}
            />
            <PasswordField label="Password" name="password" autoComplete="current-password" required maxLength={200} />
          </div>
          <div className="flex flex-wrap items-center gap-x-24 gap-y-8">
            <Button type="submit" kind={kind}>
              {pending ? 'Signing in' : 'Sign in'}
            </Button>
            <Link {...paths.passwordForgotten()} className={linkClass}>
              Forgotten password
            </Link>
            <Link {...paths.join(next)} className={linkClass}>
              Join instead
            </Link>
          </div>
        </form>
      </EdgeText>
    </Slip>
  )
}

/** In sandbox mode: that nothing is real here, and the way in without a name of one's own. */
export function SandboxEntry() {
  const sandbox = useQuery(siteRead).data?.sandbox
  const { pending, refusal, signIn } = useSignIn()
  if (!sandbox) return null
  return (
    <div className="grid gap-16 pb-16">
      <div className="flex flex-wrap items-center gap-x-24 gap-y-8">
        <SandboxLine />
        <Button onClick={() => signIn(sandbox.demo)}>{pending ? 'Signing in' : 'Use the demo account'}</Button>
      </div>
      {refusal && <SignInRefused refusal={refusal} />}
    </div>
  )
}

function SignInRefused({ refusal }: { refusal: Refusal }) {
  return (
    <Notice
      tone="refused"
      takesFocus
      key={refusal.detail}
      requestId={refusal.code === 'internal_error' ? refusal.requestId : null}
    >
      <p>{refusal.detail}</p>
    </Notice>
  )
}

/** Afterwards the page knows who is here, and is drawn anew as he sees it. */
function useSignIn() {
  const cache = useQueryClient()
  const { pending, refusal, send } = useSend()
  return {
    pending,
    refusal,
    async signIn(login: { username: string; password: string }) {
      if (await send(() => api.signIn(login))) await cache.fetchQuery({ ...meRead, staleTime: 0 }).catch(() => null)
    },
  }
}
