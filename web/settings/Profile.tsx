import { useQueryClient } from '@tanstack/react-query'
import { type FormEvent, useId, useMemo, useState } from 'react'
import type { Me, Settings } from '../../contract/contract.ts'
import { api } from '../api.ts'
import { usePress } from '../press.ts'
import { meRead, settingsRead } from '../reads.ts'
import { Button } from '../ui/Button.tsx'
import { Combobox } from '../ui/Combobox.tsx'
import { now } from '../ui/clock.ts'
import { Field } from '../ui/Field.tsx'
import { Notice } from '../ui/Notice.tsx'
import { minutes, zoneWords } from '../ui/times.ts'
import { needsPassword, problemAt, problemsOf, Refused, Save, Section } from './forms.tsx'
import { PasswordStep } from './PasswordStep.tsx'
import { SettingsPage } from './SettingsPage.tsx'
import { browserZone, zoneOptions } from './zones.ts'

export function ProfilePage() {
  return (
    <SettingsPage title="Profile">
      {(settings) => (
        <>
          <Section
            title="Username"
            about="What you sign in with, and what we ask for when you write to us. It stays as it is."
          >
            <p className="font-medium break-words">{settings.username}</p>
          </Section>
          <Email email={settings.email} />
          <TimeZone zone={settings.time_zone} />
          <Receipts settings={settings} />
        </>
      )}
    </SettingsPage>
  )
}

/** Saves a change; what is shown everywhere follows it. */
export function useChange() {
  const cache = useQueryClient()
  const [saved, setSaved] = useState(0)
  const { press, go, forget } = usePress<Parameters<typeof api.changeSettings>[0], Settings>(
    (change) => api.changeSettings(change),
    (settings) => {
      cache.setQueryData(settingsRead.queryKey, settings)
      cache.setQueryData<Me | null>(meRead.queryKey, (me) => me && { ...me, time_zone: settings.time_zone })
      // Days of the history begin and end by the time zone.
      void cache.invalidateQueries({ queryKey: ['history'] })
      setSaved((times) => times + 1)
    },
  )
  return { press, go, forget, saved }
}

function Email({ email }: { email: string }) {
  const id = useId()
  const [typed, type] = useState<string | null>(null)
  const [sentTo, setSentTo] = useState<string | null>(null)
  /** The focus comes back to where the form was opened. */
  const [left, leave] = useState(false)
  const { press, go, forget } = usePress<string, unknown>(
    (address) => api.changeEmail(address),
    () => {
      setSentTo(typed)
      type(null)
    },
  )
  const problems = problemsOf([], press, { email: id })

  function submit(event: FormEvent) {
    event.preventDefault()
    void go(typed?.trim() ?? '')
  }

  return (
    <Section title="E-mail" about="Where our mails go, and how you get back in when the password is forgotten.">
      <p className="font-medium wrap-anywhere">{email}</p>
      {sentTo !== null && (
        <Notice tone="coming" takesFocus>
          <p className="wrap-anywhere">
            We have sent a link to {sentTo}. Open it, and that is your address. Until then everything goes to {email},
            where we have said that a change was asked for.
          </p>
        </Notice>
      )}
      {typed === null ? (
        <div>
          <Button
            autoFocus={left}
            onClick={() => {
              setSentTo(null)
              type('')
            }}
          >
            Change the e-mail
          </Button>
        </div>
      ) : (
        <>
          <Refused lead="The e-mail stays as it is" problems={problems} press={press} />
          <form onSubmit={submit} noValidate className="grid max-w-field gap-12">
            <Field
              id={id}
              label="New e-mail"
              type="email"
              autoComplete="email"
              autoFocus
              maxLength={320}
              value={typed}
              onChange={(event) => {
                type(event.currentTarget.value)
                forget()
              }}
              hint="We send a link there; the change counts when it is opened. The old address is told."
              problem={problemAt(problems, id)}
            />
            <div className="flex flex-wrap gap-8">
              <Button type="submit">{press.state === 'pending' ? 'Sending' : 'Send the link'}</Button>
              <Button
                onClick={() => {
                  type(null)
                  leave(true)
                  forget()
                }}
              >
                Leave it
              </Button>
            </div>
          </form>
          {needsPassword(press) && <PasswordStep goesOn={() => go(typed.trim())} leave={forget} />}
        </>
      )}
    </Section>
  )
}

function TimeZone({ zone }: { zone: string }) {
  const id = useId()
  const [chosen, choose] = useState<string | null>(null)
  const { press, go, forget, saved } = useChange()
  const value = chosen ?? zone
  const options = useMemo(() => zoneOptions(now(), zone), [zone])
  const here = browserZone()
  const problems = problemsOf([], press, { time_zone: id })

  function submit(event: FormEvent) {
    event.preventDefault()
    void go({ time_zone: value })
  }

  return (
    <Section
      title="Time zone"
      about="Every time on these pages is written in it, and days begin and end by it: in filters, and for the daily caps of API keys."
    >
      <Refused lead="The time zone stays as it is" problems={problems} press={press} />
      <form onSubmit={submit} noValidate className="grid max-w-field gap-12">
        <Combobox
          id={id}
          label="Time zone"
          options={options}
          value={value}
          choose={(next) => {
            choose(next)
            forget()
          }}
          none="There is no time zone of that name."
          hint={`It is ${minutes(now(), value)} there.`}
          problem={problemAt(problems, id)}
        />
        {here !== value && options.some((option) => option.value === here) && (
          <p className="flex flex-wrap items-center gap-x-16 gap-y-4 text-label text-quiet">
            This browser is in {zoneWords(here)}.<Button onClick={() => choose(here)}>Choose it</Button>
          </p>
        )}
        <Save pending={press.state === 'pending'} saved={saved}>
          Save the time zone
        </Save>
      </form>
    </Section>
  )
}

function Receipts({ settings }: { settings: Settings }) {
  const id = { company: useId(), tax_id: useId() }
  const [company, typeCompany] = useState(settings.company ?? '')
  const [taxId, typeTaxId] = useState(settings.tax_id ?? '')
  const { press, go, forget, saved } = useChange()
  const problems = problemsOf([], press, id)

  function submit(event: FormEvent) {
    event.preventDefault()
    void go({ company, tax_id: taxId })
  }

  return (
    <Section
      title="For receipts"
      about="Stands on the receipts from now on; those that were sent stay as they are. Both may stay empty."
    >
      <Refused lead="Nothing was saved" problems={problems} press={press} />
      <form onSubmit={submit} noValidate className="grid max-w-field gap-12">
        <Field
          id={id.company}
          label="Company"
          autoComplete="organization"
          maxLength={120}
          value={company}
          onChange={(event) => {
            typeCompany(event.currentTarget.value)
            forget()
          }}
          problem={problemAt(problems, id.company)}
        />
        <Field
          id={id.tax_id}
          label="Tax id"
          autoComplete="off"
          maxLength={40}
          value={taxId}
          onChange={(event) => {
            typeTaxId(event.currentTarget.value)
            forget()
          }}
          hint="As it is written in your country, such as DE123456789."
          problem={problemAt(problems, id.tax_id)}
        />
        <Save pending={press.state === 'pending'} saved={saved}>
          Save company and tax id
        </Save>
      </form>
    </Section>
  )
}
