import type { ReactNode } from 'react'

/** `narrow`: only where the column that says it is hidden. */
export type Fact = { name: string; value: ReactNode; narrow?: true }

/** What is known of a row and too long for its columns: names to the left, and what one copies whole to the right. */
export function Facts({ facts }: { facts: readonly Fact[] }) {
  return (
    <dl className="grid max-w-reading grid-cols-[auto_minmax(0,1fr)] gap-x-16 text-note">
      {facts.map(({ name, value, narrow }) => (
        <div key={name} className={narrow ? 'contents sm:hidden' : 'contents'}>
          <dt className="text-quiet">{name}</dt>
          <dd className="wrap-anywhere">{value}</dd>
        </div>
      ))}
    </dl>
  )
}

/** An id of a transaction, with a page about it where the operator has set one. */
export function TransactionId({ id, explorer }: { id: string; explorer: string | null }) {
  if (explorer === null) return <span className="font-mono">{id}</span>
  return (
    <a href={explorer} target="_blank" rel="noreferrer" className="font-mono underline">
      {id}
    </a>
  )
}

/** Only what is there. */
export function factsOf(...facts: (Fact | null)[]): Fact[] {
  return facts.filter((fact) => fact !== null)
}

export function monoFact(name: string, text: string | null): Fact | null {
  return text === null ? null : { name, value: <span className="font-mono">{text}</span> }
}
