import { Link } from '@tanstack/react-router'
import { type FormEvent, useState } from 'react'
import { api } from '../api.ts'
import { paths } from '../paths.ts'
import { Page } from '../shell/Page.tsx'
import { Button, buttonClass, linkClass } from '../ui/Button.tsx'
import { EdgeText } from '../ui/Edge.tsx'
import { Field, PasswordField } from '../ui/Field.tsx'
import { Problems } from '../ui/Problems.tsx'
import { useMailbox } from './CheckMail.tsx'
import { LinkMissing, Refused } from './Confirm.tsx'
import { lengthHint } from './Join.tsx'
import { type Found, problemsOf } from './problems.ts'
import { useSend } from './send.ts'
import { useLinkToken } from './token.ts'

export function ForgottenPage() {
  const mailbox = useMailbox()
  const [asked, setAsked] = useState(false)
  const [found, setFound] = useState<Found<'login'>>({})
  const { pending, refusal, send } = useSend()
  const { beside, all } = problemsOf(found, refusal, ['login'])

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault()
    const login = String(new FormData(event.currentTarget).get('login')).trim()
    setFound(login === '' ? { login: 'Give your username or your e-mail address.' } : {})
    if (login !== '' && (await send(() => api.passwordForgotten(login)))) setAsked(true)
  }

  if (asked) {
    return (
      <Page title="Check your mail" width="reading">
        <EdgeText className="grid gap-12">
          <p>
            If there is an account of this name, a mail is on its way to its address. The link in it works once, for 15
            minutes.
          </p>
          <p className="text-quiet">
            Nothing has changed yet: the old password works until you have chosen a new one. If no mail comes, look
            among the unwanted mail, and whether the name is spelt right.
          </p>
          {mailbox && (
            <p>
              In the sandbox every mail goes to the{' '}
              <a href={mailbox} className={linkClass}>
                Mailbox
              </a>{' '}
              at the desk.
            </p>
          )}
          <p>
            <Link {...paths.signIn()} className={linkClass}>
              Sign in
            </Link>
          </p>
        </EdgeText>
      </Page>
    )
  }
  return (
    <Page title="Forgotten password" width="reading">
      {all.length > 0 && !pending && (
        <div className="edge-block pb-16">
          <Problems key={all[0]!.text} lead="No mail was sent." problems={all} />
        </div>
      )}
      <EdgeText>
        <form onSubmit={submit} noValidate className="grid max-w-field gap-16">
          <Field
            id="login"
            name="login"
            label="Username or e-mail"
            autoComplete="username"
            autoCapitalize="none"
            spellCheck={false}
            maxLength={320}
            hint="We send a link to the address of the account. With it you choose a new password."
            problem={beside.login}
          />
          <div>
            <Button type="submit" kind="primary">
              {pending ? 'Sending' : 'Send the link'}
            </Button>
          </div>
        </form>
      </EdgeText>
    </Page>
  )
}

export function ResetPage() {
  const token = useLinkToken()
  const [password, setPassword] = useState('')
  const [done, setDone] = useState(false)
  const { pending, refusal, send } = useSend()
  const { beside, all } = problemsOf({}, refusal, ['password'])

  if (done) {
    return (
      <Page title="Your password is changed" width="reading">
        <EdgeText className="grid gap-16">
          <p>All sign-ins were ended, on every device. Sign in with the new password.</p>
          <p>
            <Link {...paths.signIn()} className={buttonClass('primary')}>
              Sign in
            </Link>
          </p>
        </EdgeText>
      </Page>
    )
  }
  if (token === null) return <LinkMissing />
  if (refusal?.code === 'invalid_link') {
    return (
      <Page title="This link does not work" width="reading">
        <Refused refusal={refusal}>
          <Link {...paths.passwordForgotten()} className={linkClass}>
            Ask for a new link
          </Link>
        </Refused>
      </Page>
    )
  }
  return (
    <Page title="Choose a new password" width="reading">
      {all.length > 0 && !pending && (
        <div className="edge-block pb-16">
          <Problems key={refusal?.requestId} lead="Your password is as it was." problems={all} />
        </div>
      )}
      <EdgeText>
        <form
          noValidate
          className="grid max-w-field gap-16"
          onSubmit={async (event: FormEvent<HTMLFormElement>) => {
            event.preventDefault()
            if (await send(() => api.resetPassword(token, password))) setDone(true)
          }}
        >
          <PasswordField
            id="password"
            name="password"
            label="New password"
            autoComplete="new-password"
            maxLength={200}
            value={password}
            onChange={(event) => setPassword(event.currentTarget.value)}
            hint={lengthHint(password)}
            problem={beside.password}
          />
          <p>With this press the old password ends, and so does every sign-in.</p>
          <div>
            <Button type="submit" kind="primary">
              {pending ? 'Changing the password' : 'Change the password'}
            </Button>
          </div>
        </form>
      </EdgeText>
    </Page>
  )
}
