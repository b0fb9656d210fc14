import { useQuery } from '@tanstack/react-query'
import { Link, useLocation } from '@tanstack/react-router'
import { type FormEvent, useEffect, useState } from 'react'
import { api } from '../api.ts'
import { paths } from '../paths.ts'
import { siteRead } from '../reads.ts'
import { Page } from '../shell/Page.tsx'
import { Button, linkClass } from '../ui/Button.tsx'
import { EdgeText } from '../ui/Edge.tsx'
import { Field } from '../ui/Field.tsx'
import { Notice } from '../ui/Notice.tsx'
import { useSend } from './send.ts'

/** The next mail can be asked for this long after the last one. */
const RESEND_AFTER_SECONDS = 60

declare module '@tanstack/history' {
  interface HistoryState {
    /** The address that a mail was sent to: beside the page's address, not in it, where others could read it. */
    email?: string
  }
}

/** The same page whether or not the address was known: only its owner learns that, from the mail. */
export function CheckMailPage() {
  const email = useLocation({ select: (location) => location.state.email })
  const mailbox = useMailbox()
  return (
    <Page title="Check your mail" width="reading">
      <EdgeText className="grid gap-12">
        <p>
          {email ? (
            <>
              We have sent a mail to <strong className="font-medium wrap-anywhere">{email}</strong>. Open the link in
              it, and you are in.
            </>
          ) : (
            'We send the mail with your link once more to the address that you joined with.'
          )}
        </p>
        <p className="text-quiet">
          It can take a minute, and the link works for 24 hours. If it is not there, look among the unwanted mail, and
          whether the address is spelt right.
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
      </EdgeText>
      <Resend email={email} />
      <EdgeText className="pt-24">
        <Link {...paths.join()} className={linkClass}>
          Join with another address
        </Link>
      </EdgeText>
    </Page>
  )
}

function Resend({ email }: { email: string | undefined }) {
  const [waits, setWaits] = useState(email ? RESEND_AFTER_SECONDS : 0)
  const [again, setAgain] = useState(false)
  const { pending, refusal, send } = useSend()
  useEffect(() => {
    if (waits === 0) return
    const timer = setTimeout(() => setWaits(waits - 1), 1000)
    return () => clearTimeout(timer)
  }, [waits])

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault()
    const address = email ?? String(new FormData(event.currentTarget).get('email')).trim()
    const sent = await send(() => api.resendSignUp(address))
    setAgain(sent !== null)
    if (sent) setWaits(RESEND_AFTER_SECONDS)
  }

  return (
    <>
      {refusal && (
        <div className="edge-block pt-16">
          <Notice tone="refused" takesFocus requestId={refusal.code === 'internal_error' ? refusal.requestId : null}>
            <p>{refusal.detail}</p>
          </Notice>
        </div>
      )}
      {again && (
        <div className="edge-block pt-16">
          <Notice tone="arrived" takesFocus>
            <p>Sent once more.</p>
          </Notice>
        </div>
      )}
      <EdgeText className="pt-16">
        <form onSubmit={submit} noValidate className="grid max-w-field gap-12">
          {!email && <Field name="email" type="email" label="E-mail" autoComplete="email" maxLength={320} required />}
          <div className="flex flex-wrap items-center gap-x-16 gap-y-8">
            <Button type="submit" disabled={waits > 0 || pending}>
              {pending ? 'Sending' : 'Send it again'}
            </Button>
            {waits > 0 && (
              <span className="text-label text-quiet">
                Possible in {waits} {waits === 1 ? 'second' : 'seconds'}.
              </span>
            )}
          </div>
        </form>
      </EdgeText>
    </>
  )
}

/** Where the mails of the sandbox can be read; null: this is not a sandbox. */
export function useMailbox(): string | null {
  const sandbox = useQuery(siteRead).data?.sandbox
  return sandbox ? `${sandbox.desk_url}/mail` : null
}
