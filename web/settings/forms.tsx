import { type ReactNode, useEffect, useState } from 'react'
import type { Refusal } from '../api.ts'
import type { Press } from '../press.ts'
import { Button } from '../ui/Button.tsx'
import { Notice } from '../ui/Notice.tsx'
import { type Problem, Problems } from '../ui/Problems.tsx'

const SAID_MS = 4_000

/** The fields of a form: by the word that a refusal names them with, their ids. */
export type Fields = Record<string, string>

/** What the server refused; that it wants the password first is no refusal of what was asked (PasswordStep). */
function refusalOf(press: Press<unknown>): Refusal | null {
  return press.state === 'refused' && !needsPassword(press) ? press.refusal : null
}

/** With a field it is about the password that was typed there. */
export function needsPassword(press: Press<unknown>): boolean {
  return press.state === 'refused' && press.refusal.code === 'password_needed' && press.refusal.field === null
}

/** What a form found by itself, before anything was sent; else what the server refused of its fields. */
export function problemsOf(own: Problem[], press: Press<unknown>, fields: Fields): Problem[] {
  if (own.length > 0) return own
  const refusal = refusalOf(press)
  const field = refusal && fieldOf(refusal, fields)
  return refusal && field ? [{ field, text: refusal.detail }] : []
}

/** `scopes.1` is of the field `scopes`. */
function fieldOf(refusal: Refusal, fields: Fields): string | undefined {
  return refusal.field === null ? undefined : fields[refusal.field.split('.')[0]!]
}

export function problemAt(problems: Problem[], id: string | undefined): string | undefined {
  return problems.find((problem) => problem.field === id)?.text
}

/** Above a form: what keeps it from being done. `lead` says that nothing was. */
export function Refused({ lead, problems, press }: { lead: string; problems: Problem[]; press: Press<unknown> }) {
  const refusal = refusalOf(press)
  if (problems.length > 0)
    return <Problems key={problems.map(({ text }) => text).join()} lead={lead} problems={problems} />
  if (!refusal) return null
  return (
    <Notice tone="refused" takesFocus key={refusal.requestId} requestId={refusal.requestId}>
      <p>{refusal.detail}</p>
    </Notice>
  )
}

/** The button of a form that keeps what was typed, and the word that it did. `saved` counts how often. */
export function Save({ pending, saved, children = 'Save' }: { pending: boolean; saved: number; children?: ReactNode }) {
  const [said, say] = useState(false)
  useEffect(() => {
    if (saved === 0) return
    say(true)
    const timer = setTimeout(() => say(false), SAID_MS)
    return () => clearTimeout(timer)
  }, [saved])
  return (
    <div className="flex flex-wrap items-center gap-x-16 gap-y-4">
      <Button type="submit">{pending ? 'Saving' : children}</Button>
      <span role="status" className="text-label text-arrived">
        {said && !pending ? 'Saved' : ''}
      </span>
    </div>
  )
}

/** A part of a page of Settings: its title, what it is for, and the form. */
export function Section({ title, about, children }: { title: string; about?: ReactNode; children: ReactNode }) {
  return (
    <section aria-label={title} className="edge-text grid grid-cols-1 gap-12 pb-32">
      <div>
        <h2 className="text-lead font-medium">{title}</h2>
        {about && <p className="max-w-reading text-quiet">{about}</p>}
      </div>
      {children}
    </section>
  )
}
