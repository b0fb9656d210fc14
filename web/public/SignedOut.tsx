import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useLocation } from '@tanstack/react-router'
import { type FormEvent, useState } from 'react'
import { api, type Refusal } from '../api.ts'
import { meRead, siteRead } from '../reads.ts'
import { BrandMark } from '../shell/Brand.tsx'
import { Button, linkClass } from '../ui/Button.tsx'
import { Edge, EdgeText, Slip } from '../ui/Edge.tsx'
import { Field } from '../ui/Field.tsx'
import { InkFigure, Money } from '../ui/Money.tsx'
import { Notice } from '../ui/Notice.tsx'
import { Trace } from '../ui/Trace.tsx'

/** The trade in a sentence, what holding and deducting mean, and the sign-in; also in the place of a page that needs one. */
export function SignedOut() {
  const site = useQuery(siteRead).data
  const { pathname } = useLocation()
  const brand = site?.brand.name
  return (
    <main className="flex min-h-dvh justify-center px-16 sm:px-32">
      <Edge width="reading">
        <title>{brand ? `Sign in · ${brand}` : 'Sign in'}</title>
        <EdgeText className="flex items-center gap-12 py-24 font-strong">
          <BrandMark /> {brand}
        </EdgeText>
        <EdgeText className="pt-24 pb-16">
          <h1 className="text-title font-strong">Phone numbers for one code each</h1>
          <p className="mt-8 text-lead font-medium">You pay for a number only when its code arrives.</p>
        </EdgeText>
        <div className="edge-block pb-32">
          <Example minutes={site ? Math.round(site.order.lifetime_seconds / 60) : 20} />
        </div>
        <SignInSlip forPage={pathname !== '/'} />
      </Edge>
    </main>
  )
}

function Example({ minutes }: { minutes: number }) {
  return (
    <Trace
      label="How a number is paid"
      steps={[
        {
          key: 'held',
          state: 'done',
          text: 'You order a number, for Telegram say. Its price is held, not charged.',
          money: <InkFigure ink="held" word="held" amount="1.20" signed />,
        },
        { key: 'wait', state: 'waiting', text: `We wait ${minutes} minutes for the code.` },
        {
          key: 'code',
          state: 'to_come',
          text: 'If it arrives, the price is deducted.',
          money: (
            <>
              <Money amount="-1.20" signed />
              <br />
              <InkFigure ink="held" word="held" amount="-1.20" signed />
            </>
          ),
        },
        {
          key: 'none',
          state: 'to_come',
          text: 'If none comes, the price is yours again, by itself. Nothing is charged.',
          money: <InkFigure ink="held" word="held" amount="-1.20" signed />,
        },
      ]}
    />
  )
}

function SignInSlip({ forPage }: { forPage: boolean }) {
  const cache = useQueryClient()
  const sandbox = useQuery(siteRead).data?.sandbox
  const [state, setState] = useState<{ kind: 'ready' | 'pending' } | { kind: 'refused'; refusal: Refusal }>({
    kind: 'ready',
  })

  async function signIn(login: { username: string; password: string }) {
    if (state.kind === 'pending') return
    setState({ kind: 'pending' })
    const answer = await api.signIn(login)
    if (!answer.ok) {
      setState({ kind: 'refused', refusal: answer.refusal })
      return
    }
    await cache.fetchQuery({ ...meRead, staleTime: 0 }).catch(() => null)
    setState({ kind: 'ready' })
  }

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    void signIn({ username: String(form.get('username')), password: String(form.get('password')) })
  }

  return (
    <Slip label="Sign in">
      <EdgeText>
        <h2 className="text-lead font-medium">{forPage ? 'Sign in to see this page' : 'Sign in'}</h2>
      </EdgeText>
      {sandbox && (
        <EdgeText className="flex flex-wrap items-center gap-x-16 gap-y-8 pt-8">
          <p>
            Sandbox. No real money moves.{' '}
            <a href={sandbox.desk_url} className={linkClass}>
              Desk
            </a>
          </p>
          <Button onClick={() => signIn(sandbox.demo)}>Use the demo account</Button>
        </EdgeText>
      )}
      {state.kind === 'refused' && (
        <div className="edge-block pt-16">
          <Notice tone="refused" takesFocus key={state.refusal.detail} requestId={state.refusal.requestId}>
            <p>{state.refusal.detail}</p>
          </Notice>
        </div>
      )}
      <EdgeText className="pt-16">
        <form onSubmit={submit} className="grid max-w-field gap-16">
          <Field
            label="Username"
            name="username"
            autoComplete="username"
            autoCapitalize="none"
            spellCheck={false}
            required
            maxLength={64}
          />
          <Field
            label="Password"
            name="password"
            type="password"
            autoComplete="current-password"
            required
            maxLength={200}
          />
          <div>
            <Button type="submit" kind="primary">
              {state.kind === 'pending' ? 'Signing in' : 'Sign in'}
            </Button>
          </div>
        </form>
      </EdgeText>
    </Slip>
  )
}
