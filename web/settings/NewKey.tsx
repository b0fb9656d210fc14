import { useQueryClient } from '@tanstack/react-query'
import { type FormEvent, useId, useState } from 'react'
import type { KeyScope, NewApiKey } from '../../contract/contract.ts'
import { api, type KeyWish } from '../api.ts'
import { usePress } from '../press.ts'
import { Button } from '../ui/Button.tsx'
import { AmountField, Check, Choice, Field, TextArea } from '../ui/Field.tsx'
import type { Problem } from '../ui/Problems.tsx'
import { needsPassword, problemAt, problemsOf, Refused, Section } from './forms.tsx'
import { PasswordStep } from './PasswordStep.tsx'
import { scopes, scopeWords } from './scopes.ts'

const ends = [
  { value: '', text: 'Never' },
  { value: '30', text: 'In 30 days' },
  { value: '90', text: 'In 90 days' },
  { value: '365', text: 'In a year' },
]
const DAY_MS = 86_400_000

type Draft = { name: string; scopes: KeyScope[]; cap: string; addresses: string; days: string }
const empty: Draft = { name: '', scopes: ['read'], cap: '', addresses: '', days: '' }

export function NewKey({ done }: { done: (made: NewApiKey) => void }) {
  const id = { name: useId(), scopes: useId(), daily_cap: useId(), addresses: useId() }
  const cache = useQueryClient()
  const [draft, setDraft] = useState(empty)
  const [own, setOwn] = useState<Problem[]>([])
  const { press, go, forget } = usePress<KeyWish, NewApiKey>(api.makeKey, (made) => {
    void cache.invalidateQueries({ queryKey: ['keys'] })
    setDraft(empty)
    done(made)
  })
  const problems = problemsOf(own, press, id)

  function change(change: Partial<Draft>) {
    setDraft({ ...draft, ...change })
    setOwn([])
    forget()
  }

  function submit(event: FormEvent) {
    event.preventDefault()
    const missing: Problem[] = []
    if (draft.name.trim() === '') missing.push({ field: id.name, text: 'Give the key a name, to tell it from others.' })
    if (draft.scopes.length === 0)
      missing.push({ field: id.scopes, text: 'Choose what the key may do, one thing at least.' })
    setOwn(missing)
    if (missing.length === 0) void go(wishOf(draft))
  }

  return (
    <Section title="Make a key" about="It is shown once, when it is made. Give it no more than the program needs.">
      <Refused lead="No key was made" problems={problems} press={press} />
      <form onSubmit={submit} noValidate aria-label="Make a key" className="grid max-w-reading gap-16">
        <div className="max-w-field">
          <Field
            id={id.name}
            label="Name"
            maxLength={60}
            autoComplete="off"
            value={draft.name}
            onChange={(event) => change({ name: event.currentTarget.value })}
            hint="Where it is used, such as “Server in Frankfurt”."
            problem={problemAt(problems, id.name)}
          />
        </div>
        <fieldset className="grid gap-8">
          <legend className="mb-4 text-label font-medium">It may</legend>
          {scopes.map((scope, index) => (
            <Check
              key={scope}
              {...(index === 0 ? { id: id.scopes } : {})}
              label={scopeWords[scope].label}
              hint={scopeWords[scope].hint}
              checked={draft.scopes.includes(scope)}
              onChange={(event) =>
                change({
                  scopes: event.currentTarget.checked
                    ? [...draft.scopes, scope]
                    : draft.scopes.filter((chosen) => chosen !== scope),
                })
              }
              problem={index === 0 ? problemAt(problems, id.scopes) : undefined}
            />
          ))}
        </fieldset>
        <AmountField
          id={id.daily_cap}
          label="Daily cap"
          maxLength={12}
          value={draft.cap}
          onChange={(event) => change({ cap: event.currentTarget.value })}
          hint="What its orders of one day may cost together. An order without a code counts no longer. Empty: no cap."
          problem={problemAt(problems, id.daily_cap)}
        />
        <div className="max-w-field">
          <TextArea
            id={id.addresses}
            label="Only from these addresses"
            rows={3}
            spellCheck={false}
            value={draft.addresses}
            onChange={(event) => change({ addresses: event.currentTarget.value })}
            hint="One a line, up to 20: 192.0.2.7, 192.0.2.0/24, 2001:db8::/32. Empty: from anywhere."
            problem={problemAt(problems, id.addresses)}
          />
        </div>
        <Choice label="It ends" name="ends" options={ends} value={draft.days} choose={(days) => change({ days })} />
        <div>
          <Button type="submit" kind="primary">
            {press.state === 'pending' ? 'Making the key' : 'Make the key'}
          </Button>
        </div>
      </form>
      {needsPassword(press) && press.state === 'refused' && (
        <PasswordStep goesOn={() => go(press.intent)} leave={forget} />
      )}
    </Section>
  )
}

function wishOf(draft: Draft): KeyWish {
  const addresses = draft.addresses.split(/[\s,;]+/).filter(Boolean)
  return {
    name: draft.name,
    scopes: draft.scopes,
    ...(draft.cap.trim() ? { daily_cap: draft.cap.trim() } : {}),
    ...(addresses.length > 0 ? { addresses } : {}),
    // Keys end by real time, whatever the clock of the sandbox says.
    ...(draft.days ? { expires_at: new Date(Date.now() + Number(draft.days) * DAY_MS).toISOString() } : {}),
  }
}
