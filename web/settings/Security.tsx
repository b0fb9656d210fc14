import { useQuery, useQueryClient } from '@tanstack/react-query'
import { type FormEvent, useId, useRef, useState } from 'react'
import type { Session } from '../../contract/contract.ts'
import { api } from '../api.ts'
import { usePress } from '../press.ts'
import { sessionsRead } from '../reads.ts'
import { ReadProblem } from '../shell/Broken.tsx'
import { Button } from '../ui/Button.tsx'
import { Check, PasswordField } from '../ui/Field.tsx'
import { Loading } from '../ui/Loading.tsx'
import { Notice } from '../ui/Notice.tsx'
import { Time, useZone } from '../ui/Time.tsx'
import { zoneWords } from '../ui/times.ts'
import { browserWords } from './browsers.ts'
import { needsPassword, problemAt, problemsOf, Refused, Section } from './forms.tsx'
import { PasswordStep } from './PasswordStep.tsx'
import { SettingsPage } from './SettingsPage.tsx'

export function SecurityPage() {
  return (
    <SettingsPage title="Sign-in and security">
      {(settings) => (
        <>
          <Password email={settings.email} />
          <SignIns />
        </>
      )}
    </SettingsPage>
  )
}

type Change = { current_password: string; password: string; end_other_sessions: boolean }

function Password({ email }: { email: string }) {
  const id = { current_password: useId(), password: useId() }
  const cache = useQueryClient()
  const [changed, setChanged] = useState<Change | null>(null)
  const form = useRef<HTMLFormElement>(null)
  const { press, go, forget } = usePress<Change, Change>(
    async (change) => {
      const answer = await api.changePassword(change)
      return answer.ok ? { ok: true, value: change } : answer
    },
    (change) => {
      form.current?.reset()
      setChanged(change)
      void cache.invalidateQueries({ queryKey: sessionsRead.queryKey })
    },
  )
  const problems = problemsOf([], press, id)

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault()
    const typed = new FormData(event.currentTarget)
    setChanged(null)
    void go({
      current_password: String(typed.get('current')),
      password: String(typed.get('new')),
      end_other_sessions: typed.get('others') === 'on',
    })
  }

  return (
    <Section title="Password" about={`When it is changed, we say so to ${email}.`}>
      <Refused lead="The password stays as it is" problems={problems} press={press} />
      {changed && (
        <Notice tone="arrived" takesFocus>
          <p>
            Your password is changed.{' '}
            {changed.end_other_sessions
              ? 'Every other sign-in has ended; this one goes on.'
              : 'Your other sign-ins go on.'}
          </p>
        </Notice>
      )}
      <form
        ref={form}
        onSubmit={submit}
        onChange={forget}
        noValidate
        aria-label="Change the password"
        className="grid max-w-field gap-12"
      >
        <PasswordField
          id={id.current_password}
          name="current"
          label="Password now"
          autoComplete="current-password"
          maxLength={200}
          problem={problemAt(problems, id.current_password)}
        />
        <PasswordField
          id={id.password}
          name="new"
          label="New password"
          autoComplete="new-password"
          maxLength={200}
          hint="8 characters or more; 15 or more are better. Several words are easy to remember."
          problem={problemAt(problems, id.password)}
        />
        <Check name="others" defaultChecked label="End my sign-ins in other browsers" />
        <div>
          <Button type="submit">{press.state === 'pending' ? 'Changing' : 'Change the password'}</Button>
        </div>
      </form>
    </Section>
  )
}

function SignIns() {
  const zone = useZone()
  const sessions = useQuery(sessionsRead)
  const [ended, setEnded] = useState<string | null>(null)
  const others = sessions.data?.filter((session) => !session.current) ?? []
  return (
    <Section
      title="Open sign-ins"
      about="Where somebody is signed in to this account. Ending one signs it out at once; who has the password can sign in again."
    >
      {ended !== null && (
        <Notice tone="arrived" takesFocus key={ended}>
          <p>{ended}</p>
        </Notice>
      )}
      <p className="text-note text-quiet">Times in {zoneWords(zone)}.</p>
      {sessions.isPending && <Loading />}
      {sessions.isError && !sessions.data && <ReadProblem error={sessions.error} again={() => sessions.refetch()} />}
      {sessions.data && (
        <ul aria-label="Open sign-ins" className="line-above">
          {sessions.data.map((session) => (
            <SignIn key={session.id} session={session} done={setEnded} />
          ))}
        </ul>
      )}
      {sessions.data && others.length === 0 && <p className="text-quiet">Nobody else is signed in to this account.</p>}
      {others.length > 1 && <EndOthers done={setEnded} />}
    </Section>
  )
}

function SignIn({ session, done }: { session: Session; done: (said: string) => void }) {
  const cache = useQueryClient()
  const where = browserWords(session.user_agent)
  const { press, go, forget } = usePress<string, unknown>(
    (id) => api.endSession(id),
    () => {
      void cache.invalidateQueries({ queryKey: sessionsRead.queryKey })
      done(`The sign-in of ${where} from ${session.address} has ended.`)
    },
  )
  return (
    <li className="line-below grid gap-8 py-8">
      <div className="flex flex-wrap items-center justify-between gap-x-16 gap-y-4">
        <div className="min-w-0">
          <p className="font-medium break-words">
            {where}
            {session.current && <span className="text-arrived"> · this browser</span>}
          </p>
          <p className="text-label text-quiet wrap-anywhere">
            From {session.address}. Last used <Time at={session.last_used_at} precision="minutes" />, signed in{' '}
            <Time at={session.created_at} precision="minutes" />.
          </p>
        </div>
        {!session.current && (
          <Button onClick={() => go(session.id)} aria-label={`End the sign-in of ${where} from ${session.address}`}>
            {press.state === 'pending' ? 'Ending' : 'End'}
          </Button>
        )}
      </div>
      <Refused lead="" problems={[]} press={press} />
      {needsPassword(press) && <PasswordStep goesOn={() => go(session.id)} leave={forget} />}
    </li>
  )
}

function EndOthers({ done }: { done: (said: string) => void }) {
  const cache = useQueryClient()
  const { press, go, forget } = usePress<null, unknown>(
    () => api.endOtherSessions(),
    () => {
      void cache.invalidateQueries({ queryKey: sessionsRead.queryKey })
      done('Every other sign-in has ended; this one goes on.')
    },
  )
  return (
    <>
      <Refused lead="" problems={[]} press={press} />
      <div>
        <Button onClick={() => go(null)}>{press.state === 'pending' ? 'Ending' : 'End all other sign-ins'}</Button>
      </div>
      {needsPassword(press) && <PasswordStep goesOn={() => go(null)} leave={forget} />}
    </>
  )
}
