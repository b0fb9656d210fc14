import { useQuery } from '@tanstack/react-query'
import { getRouteApi, Link, useNavigate } from '@tanstack/react-router'
import { type FormEvent, useState } from 'react'
import { policyVersions } from '../../contract/policy-versions.ts'
import { api } from '../api.ts'
import { paths, readNextSearch } from '../paths.ts'
import { meRead } from '../reads.ts'
import { Page } from '../shell/Page.tsx'
import { Button, linkClass } from '../ui/Button.tsx'
import { EdgeText } from '../ui/Edge.tsx'
import { Check, Field, PasswordField } from '../ui/Field.tsx'
import { Problems } from '../ui/Problems.tsx'
import { longDay } from '../ui/times.ts'
import { GoOn } from './GoOn.tsx'
import { type Found, problemsOf } from './problems.ts'
import { useSend } from './send.ts'
import { keepWanted } from './wanted.ts'

const fields = ['username', 'email', 'password', 'adult', 'accepted'] as const
type JoinField = (typeof fields)[number]

const PASSWORD_CHARACTERS_MIN = 8
const PASSWORD_CHARACTERS_GOOD = 15

const accepted = [
  { name: 'terms', text: 'Terms', path: paths.terms() },
  { name: 'privacy', text: 'Privacy', path: paths.privacy() },
  { name: 'acceptable_use', text: 'Acceptable use', path: paths.acceptableUse() },
  { name: 'refunds', text: 'Refund policy', path: paths.refundPolicy() },
] as const

export function JoinPage() {
  // Read once more: the router adds to what was read what it was read from.
  const { next } = readNextSearch(getRouteApi('/join').useSearch())
  const me = useQuery(meRead).data
  if (me) return <GoOn to={next ?? '/'} />
  return (
    <Page title="Join" width="reading">
      <JoinForm next={next} />
    </Page>
  )
}

function JoinForm({ next }: { next: string | undefined }) {
  const navigate = useNavigate()
  const [password, setPassword] = useState('')
  const [found, setFound] = useState<{ problems: Found<JoinField>; press: number }>({ problems: {}, press: 0 })
  const { pending, refusal, send } = useSend()
  const { beside, all } = problemsOf(found.problems, refusal, fields)

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    const wish = {
      username: String(form.get('username')).trim(),
      email: String(form.get('email')).trim(),
      password,
      adult: form.has('adult'),
      accepted: form.has('accepted'),
    }
    const problems = missing(wish)
    setFound({ problems, press: found.press + 1 })
    if (Object.keys(problems).length > 0) return
    const sent = await send(() => api.signUp({ ...wish, adult: true, accepted: policyVersions }))
    if (!sent) return
    keepWanted(next)
    void navigate({ ...paths.checkMail(), state: { email: wish.email } })
  }

  return (
    <>
      <EdgeText className="pb-16">
        <p>
          An account costs nothing. You top up when you want to order. Already have one?{' '}
          <Link {...paths.signIn(next)} className={linkClass}>
            Sign in
          </Link>
        </p>
      </EdgeText>
      {all.length > 0 && !pending && (
        <div className="edge-block pb-16">
          <Problems
            key={`${found.press} ${refusal?.detail}`}
            lead="You have not joined yet."
            problems={all}
            requestId={refusal?.code === 'internal_error' ? refusal.requestId : null}
          />
        </div>
      )}
      <EdgeText>
        <form onSubmit={submit} noValidate className="grid gap-16">
          <div className="grid max-w-field gap-16">
            <Field
              id="username"
              name="username"
              label="Username"
              autoComplete="username"
              autoCapitalize="none"
              spellCheck={false}
              maxLength={64}
              hint="3 to 30 characters: a to z, 0 to 9, dot and underscore."
              problem={beside.username}
            />
            <Field
              id="email"
              name="email"
              type="email"
              label="E-mail"
              autoComplete="email"
              maxLength={320}
              hint="We send one mail there, to make sure that it is yours."
              problem={beside.email}
            />
            <PasswordField
              id="password"
              name="password"
              label="Password"
              autoComplete="new-password"
              maxLength={200}
              value={password}
              onChange={(event) => setPassword(event.currentTarget.value)}
              hint={lengthHint(password)}
              problem={beside.password}
            />
          </div>
          <Check id="adult" name="adult" label="I am 18 or over." problem={beside.adult} />
          <div>
            <Check
              id="accepted"
              name="accepted"
              label="I have read and accept the four policies, in these versions:"
              problem={beside.accepted}
            />
            <ul className="mt-4 ml-[calc(var(--spacing-24)+var(--spacing-12))] grid gap-4">
              {accepted.map((policy) => (
                <li key={policy.name}>
                  <Link {...policy.path} target="_blank" className={linkClass}>
                    {policy.text}
                  </Link>{' '}
                  <span className="text-quiet">{longDay(policyVersions[policy.name], 'UTC')}</span>
                </li>
              ))}
            </ul>
            <p className="mt-4 ml-[calc(var(--spacing-24)+var(--spacing-12))] text-note text-quiet">
              They open in a tab of their own; what you typed stays.
            </p>
          </div>
          <div className="grid gap-8 pt-8">
            <p className="text-label text-quiet">
              What happens next: we send you a mail with a link. The account exists once you have opened it.
            </p>
            <div>
              <Button type="submit" kind="primary">
                {pending ? 'Joining' : 'Join'}
              </Button>
            </div>
          </div>
        </form>
      </EdgeText>
    </>
  )
}

/** What anybody can see is missing; what the values may be is the server's to say. */
function missing(wish: Record<JoinField, string | boolean>): Found<JoinField> {
  return {
    ...(wish.username === '' && { username: 'Choose a username.' }),
    ...(wish.email === '' && { email: 'Give your e-mail address.' }),
    ...(String(wish.password).length < PASSWORD_CHARACTERS_MIN && {
      password: `Choose a password of ${PASSWORD_CHARACTERS_MIN} characters or more.`,
    }),
    ...(!wish.adult && { adult: 'Say that you are 18 or over. Who is younger cannot join.' }),
    ...(!wish.accepted && { accepted: 'Accept the four policies. Without them there is no account.' }),
  }
}

export function lengthHint(password: string): string {
  const advice = `${PASSWORD_CHARACTERS_MIN} characters or more. ${PASSWORD_CHARACTERS_GOOD} are better: a few words that only you would put together.`
  const length = [...password].length
  if (length === 0) return advice
  const has = `${length} ${length === 1 ? 'character' : 'characters'}`
  if (length < PASSWORD_CHARACTERS_MIN) return `${has}: ${PASSWORD_CHARACTERS_MIN - length} more at least.`
  if (length < PASSWORD_CHARACTERS_GOOD) return `${has}: long enough. ${PASSWORD_CHARACTERS_GOOD} are better.`
  return `${has}: good.`
}
