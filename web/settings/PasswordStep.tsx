import { type FormEvent, useEffect, useId, useState } from 'react'
import { api } from '../api.ts'
import { usePress } from '../press.ts'
import { Button } from '../ui/Button.tsx'
import { PasswordField } from '../ui/Field.tsx'

/**
 * Asks for the password in the place of the press that needed it, and then goes on by itself. Stands beside the form that was
 * pressed, never in it: a form in a form is none.
 */
export function PasswordStep({ goesOn, leave }: { goesOn: () => void; leave: () => void }) {
  const id = useId()
  const [password, type] = useState('')
  const { press, go, forget } = usePress<string, unknown>(api.confirmPassword, goesOn)
  useEffect(() => document.getElementById(id)?.focus(), [id])

  function submit(event: FormEvent) {
    event.preventDefault()
    void go(password)
  }

  return (
    <form onSubmit={submit} noValidate aria-label="Your password" className="total-above grid max-w-field gap-12 pt-12">
      <p>This needs your password, which you gave more than five minutes ago.</p>
      <PasswordField
        id={id}
        label="Password"
        autoComplete="current-password"
        maxLength={200}
        value={password}
        onChange={(event) => {
          type(event.currentTarget.value)
          forget()
        }}
        problem={press.state === 'refused' ? press.refusal.detail : undefined}
      />
      <div className="flex flex-wrap gap-8">
        <Button type="submit" kind="primary">
          {press.state === 'pending' ? 'Checking' : 'Go on'}
        </Button>
        <Button onClick={leave}>Leave it</Button>
      </div>
    </form>
  )
}
