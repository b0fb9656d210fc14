import {
  type InputHTMLAttributes,
  type ReactNode,
  type SelectHTMLAttributes,
  type TextareaHTMLAttributes,
  useId,
  useState,
} from 'react'
import { Button } from './Button.tsx'

const frame =
  'w-full min-w-0 rounded-control border border-edge bg-sheet px-8 text-body text-ink transition-colors hover:border-ink aria-invalid:border-refused'
export const box = `h-row ${frame}`

type Frame = { label: ReactNode; hint?: ReactNode; problem?: ReactNode }

/** The days of a filter, both included; a day that is cleared is an empty text. */
export function DayFields({
  from,
  to,
  set,
}: {
  from: string | undefined
  to: string | undefined
  set: (change: { from: string } | { to: string }) => void
}) {
  return (
    <>
      <Field
        label="From"
        type="date"
        value={from ?? ''}
        onChange={(event) => set({ from: event.currentTarget.value })}
      />
      <Field label="To" type="date" value={to ?? ''} onChange={(event) => set({ to: event.currentTarget.value })} />
    </>
  )
}

/** A label, something to type in, a hint; a refusal stands under it. */
export function Field({ label, hint, problem, ...input }: Frame & InputHTMLAttributes<HTMLInputElement>) {
  const made = useId()
  const id = input.id ?? made
  return (
    <div className="grid min-w-0 content-start gap-4">
      <label htmlFor={id} className="text-label font-medium">
        {label}
      </label>
      <input id={id} {...described(id, hint, problem)} {...input} className={box} />
      <Below id={id} hint={hint} problem={problem} />
    </div>
  )
}

/** A password, which can be looked at while it is typed: nobody needs to type it twice. */
export function PasswordField({ label, hint, problem, ...input }: Frame & InputHTMLAttributes<HTMLInputElement>) {
  const made = useId()
  const id = input.id ?? made
  const [shown, show] = useState(false)
  return (
    <div className="grid min-w-0 content-start gap-4">
      <label htmlFor={id} className="text-label font-medium">
        {label}
      </label>
      <div className="flex gap-8">
        <input
          {...described(id, hint, problem)}
          autoCapitalize="none"
          autoCorrect="off"
          spellCheck={false}
          {...input}
          id={id}
          type={shown ? 'text' : 'password'}
          className={`${box} ${shown ? 'font-mono' : ''}`}
        />
        <Button onClick={() => show(!shown)} aria-pressed={shown} aria-controls={id} className="h-row">
          Show<span className="sr-only"> the password</span>
        </Button>
      </div>
      <Below id={id} hint={hint} problem={problem} />
    </div>
  )
}

/** One thing to say yes to. What it is about may stand below it, with links. */
export function Check({ label, hint, problem, ...input }: Frame & InputHTMLAttributes<HTMLInputElement>) {
  const made = useId()
  const id = input.id ?? made
  return (
    <div className="grid min-w-0 content-start gap-4">
      <div className="flex gap-12">
        <input
          {...described(id, hint, problem)}
          {...input}
          id={id}
          type="checkbox"
          className="size-24 shrink-0 focus-visible:focus-ring"
        />
        <label htmlFor={id} className="py-px">
          {label}
        </label>
      </div>
      <div className="ml-[calc(var(--spacing-24)+var(--spacing-12))]">
        <Below id={id} hint={hint} problem={problem} />
      </div>
    </div>
  )
}

/** Several lines. */
export function TextArea({ label, hint, problem, ...area }: Frame & TextareaHTMLAttributes<HTMLTextAreaElement>) {
  const made = useId()
  const id = area.id ?? made
  return (
    <div className="grid min-w-0 content-start gap-4">
      <label htmlFor={id} className="text-label font-medium">
        {label}
      </label>
      <textarea {...described(id, hint, problem)} {...area} id={id} className={`py-8 ${frame}`} />
      <Below id={id} hint={hint} problem={problem} />
    </div>
  )
}

/** An amount in dollars as people type it; what it may be is the server's to say. */
export function AmountField({ label, hint, problem, ...input }: Frame & InputHTMLAttributes<HTMLInputElement>) {
  const made = useId()
  const id = input.id ?? made
  return (
    <div className="grid min-w-0 content-start gap-4">
      <label htmlFor={id} className="text-label font-medium">
        {label}
      </label>
      <div className="relative max-w-amount">
        <span aria-hidden="true" className="absolute inset-y-0 left-8 flex items-center text-quiet">
          $
        </span>
        <input
          inputMode="decimal"
          autoComplete="off"
          {...described(id, hint, problem)}
          {...input}
          id={id}
          className={`${box} pl-24`}
        />
      </div>
      <Below id={id} hint={hint} problem={problem} />
    </div>
  )
}

export function Select({
  label,
  options,
  ...select
}: { label: string; options: { value: string; text: string }[] } & SelectHTMLAttributes<HTMLSelectElement>) {
  const id = useId()
  return (
    <div className="grid min-w-0 content-start gap-4">
      <label htmlFor={id} className="text-label font-medium">
        {label}
      </label>
      <select id={id} {...select} className={box}>
        {options.map((option) => (
          <option key={option.value} value={option.value}>
            {option.text}
          </option>
        ))}
      </select>
    </div>
  )
}

/** One of a few, as radio buttons that can be seen at once. */
export function Choice({
  label,
  name,
  options,
  value,
  choose,
  why,
}: {
  label: string
  name: string
  options: { value: string; text: string; disabled?: boolean }[]
  value: string
  choose: (value: string) => void
  /** Why one of them cannot be chosen. */
  why?: ReactNode
}) {
  return (
    <fieldset>
      <legend className="mb-4 text-label font-medium">{label}</legend>
      <div className="flex flex-wrap gap-8">
        {options.map((option) => (
          <label
            key={option.value}
            className={`flex h-row items-center gap-8 rounded-control border px-12 ${option.disabled ? 'border-rule text-quiet' : 'cursor-pointer border-edge bg-sheet transition-colors hover:border-ink has-checked:border-ink has-checked:font-medium has-focus-visible:focus-ring'}`}
          >
            <input
              type="radio"
              name={name}
              value={option.value}
              checked={option.value === value}
              disabled={option.disabled}
              onChange={() => choose(option.value)}
              className="size-16 outline-none"
            />
            {option.text}
          </label>
        ))}
      </div>
      {why && <div className="mt-8 text-label">{why}</div>}
    </fieldset>
  )
}

export function described(id: string, hint: ReactNode, problem: ReactNode) {
  const ids = [problem && `${id}-problem`, hint && `${id}-hint`].filter(Boolean).join(' ')
  return { 'aria-invalid': problem ? true : undefined, 'aria-describedby': ids || undefined }
}

export function Below({ id, hint, problem }: { id: string; hint: ReactNode; problem: ReactNode }) {
  return (
    <>
      {problem && (
        <p id={`${id}-problem`} className="text-label text-refused">
          {problem}
        </p>
      )}
      {hint && (
        <p id={`${id}-hint`} className="text-note text-quiet">
          {hint}
        </p>
      )}
    </>
  )
}
