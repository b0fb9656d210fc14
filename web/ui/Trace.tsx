import type { ReactNode } from 'react'
import { Mark, type MarkState } from './Mark.tsx'

export type Step = {
  key: string
  state: MarkState
  text: ReactNode
  /** It was taken back: it stays, struck through, and what followed stands below it. */
  struck?: boolean
  /** When it happened. */
  at?: ReactNode
  /** What it did to the money: stands on the edge. */
  money?: ReactNode
}

/** What happened, one step after the other: mark, sentence, time, and on the money edge what it did. */
export function Trace({ label, steps }: { label: string; steps: Step[] }) {
  return (
    <ol aria-label={label} className="edge-block">
      {steps.map((step, index) => (
        <li key={step.key} className="edge-row items-start py-4">
          <div className={`flex gap-12 ${step.state === 'to_come' || step.state === 'cannot' ? 'text-quiet' : ''}`}>
            <span className="relative flex items-start">
              <span className="flex h-[1lh] items-center">
                <Mark state={step.state} />
              </span>
              {index < steps.length - 1 && <span aria-hidden="true" className="trace-line" />}
            </span>
            <span className="flex min-w-0 flex-1 flex-col gap-x-16 sm:flex-row">
              <span className="min-w-0 flex-1">
                {step.struck ? (
                  <>
                    <span className="sr-only">Taken back: </span>
                    <s>{step.text}</s>
                  </>
                ) : (
                  step.text
                )}
              </span>
              <span className="min-w-when text-label text-quiet">{step.at}</span>
            </span>
          </div>
          <div className="text-right">{step.money}</div>
        </li>
      ))}
    </ol>
  )
}
