import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Link, useRouter } from '@tanstack/react-router'
import { type FormEvent, type ReactNode, useState } from 'react'
import type { Me } from '../../contract/contract.ts'
import { api, type Refusal } from '../api.ts'
import { paths, readNextSearch } from '../paths.ts'
import { meRead } from '../reads.ts'
import { Page } from '../shell/Page.tsx'
import { Button, buttonClass, linkClass } from '../ui/Button.tsx'
import { EdgeText } from '../ui/Edge.tsx'
import { Field, PasswordField } from '../ui/Field.tsx'
import { Notice } from '../ui/Notice.tsx'
import { Problems } from '../ui/Problems.tsx'
import { fieldOf, problemsOf } from './problems.ts'
import { useSend } from './send.ts'
import { useLinkToken } from './token.ts'
import { takeWanted } from './wanted.ts'

const fields = ['password', 'username'] as const

/** The link of the first mail. It is pressed, not followed by itself: programs that look into mails open links, too. */
export function ConfirmPage() {
  const token = useLinkToken()
  const cache = useQueryClient()
  const router = useRouter()
  // What has been asked for stays on the form: the next refusal may be about the other one.
  const [asked, setAsked] = useState<(typeof fields)[number][]>([])
  const { pending, refusal, send } = useSend<Me>()
  const { beside, all } = problemsOf({}, refusal, fields)
  const about = fieldOf(refusal, fields)
  if (about && !asked.includes(about)) setAsked([...asked, about])

  if (token === null) return <LinkMissing />
  if (refusal?.code === 'invalid_link') {
    return (
      <Page title="This link does not work" width="reading">
        <Refused refusal={refusal}>
          <span className="flex gap-x-24">
            <Link {...paths.signIn()} className={linkClass}>
              Sign in
            </Link>
            <Link {...paths.join()} className={linkClass}>
              Join again
            </Link>
          </span>
        </Refused>
      </Page>
    )
  }

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    const typed = Object.fromEntries(asked.map((field) => [field, String(form.get(field))]))
    if (!(await send(() => api.confirmSignUp({ token: token!, ...typed })))) return
    const { next } = readNextSearch({ next: takeWanted() })
    // Away from here first: once it is known who is signed in, the frame around this page is another one, and it would begin anew.
    await router.navigate({ href: next ?? '/', replace: true })
    await cache.fetchQuery({ ...meRead, staleTime: 0 }).catch(() => null)
  }

  return (
    <Page title="Confirm your e-mail" width="reading">
      {all.length > 0 && !pending && (
        <div className="edge-block pb-16">
          <Problems key={refusal?.requestId} lead={leadOf(about)} problems={all} />
        </div>
      )}
      <EdgeText>
        <form noValidate className="grid gap-16" onSubmit={submit}>
          {asked.includes('password') && (
            <div className="max-w-field">
              <PasswordField
                id="password"
                name="password"
                label="Password"
                autoComplete="current-password"
                maxLength={200}
                hint="The one that you chose when you joined."
                problem={beside.password}
              />
            </div>
          )}
          {asked.includes('username') && (
            <div className="max-w-field">
              <Field
                id="username"
                name="username"
                label="Another username"
                autoComplete="username"
                autoCapitalize="none"
                spellCheck={false}
                maxLength={64}
                hint="3 to 30 characters: a to z, 0 to 9, dot and underscore."
                problem={beside.username}
              />
            </div>
          )}
          <p>With this press your account is made, and you are signed in.</p>
          <div>
            <Button type="submit" kind="primary">
              {pending ? 'Making the account' : 'Make the account'}
            </Button>
          </div>
        </form>
      </EdgeText>
    </Page>
  )
}

function leadOf(about: (typeof fields)[number] | null): string {
  switch (about) {
    case 'username':
      return 'Your e-mail is fine. Only the name is not free.'
    case 'password':
      return 'One more thing before the account is made.'
    case null:
      return 'Your account does not exist yet.'
  }
}

/** The link that a changed address is proven with. */
export function ConfirmEmailPage() {
  const token = useLinkToken()
  const cache = useQueryClient()
  const me = useQuery(meRead).data
  const [done, setDone] = useState(false)
  const { pending, refusal, send } = useSend()

  if (done) {
    return (
      <Page title="Your e-mail is changed" width="reading">
        <EdgeText className="grid gap-16">
          <p>From now on we write to the new address.</p>
          <p>
            <Link {...(me ? paths.home() : paths.signIn())} className={buttonClass('primary')}>
              {me ? 'Home' : 'Sign in'}
            </Link>
          </p>
        </EdgeText>
      </Page>
    )
  }
  if (token === null) return <LinkMissing />
  return (
    <Page title="Confirm your new e-mail" width="reading">
      {refusal && (
        <Refused refusal={refusal}>
          {refusal.code === 'invalid_link' && (
            <Link {...paths.home()} className={linkClass}>
              Home
            </Link>
          )}
        </Refused>
      )}
      {refusal?.code !== 'invalid_link' && (
        <EdgeText className="grid gap-16">
          <p>
            With this press your account belongs to the address that our mail came to. The old one gets no mail any
            more.
          </p>
          <div>
            <Button
              kind="primary"
              onClick={async () => {
                if (!(await send(() => api.confirmEmail(token)))) return
                setDone(true)
                void cache.invalidateQueries({ queryKey: ['settings'] })
              }}
            >
              {pending ? 'Changing the address' : 'Use this address'}
            </Button>
          </div>
        </EdgeText>
      )}
    </Page>
  )
}

/** A page that a mail leads to, without what the mail's link carries. */
export function LinkMissing() {
  return (
    <Page title="Open the link in the mail" width="reading">
      <EdgeText>
        <p>
          This page is reached by a link in a mail of ours, and a part of it is missing here. Open the link once more,
          or copy it whole.
        </p>
      </EdgeText>
    </Page>
  )
}

export function Refused({ refusal, children }: { refusal: Refusal; children?: ReactNode }) {
  return (
    <div className="edge-block pb-16">
      <Notice
        tone="refused"
        takesFocus
        key={refusal.detail}
        requestId={refusal.code === 'internal_error' ? refusal.requestId : null}
        action={children}
      >
        <p>{refusal.detail}</p>
      </Notice>
    </div>
  )
}
