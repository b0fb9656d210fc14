import { type ReactNode, useEffect, useRef } from 'react'
import { Copy } from './Copy.tsx'
import { Mark, type MarkState } from './Mark.tsx'
import type { Tone } from './tone.ts'

const tones: Record<Tone, { box: string; mark: MarkState }> = {
  arrived: { box: 'bg-arrived-tint text-arrived', mark: 'done' },
  coming: { box: 'bg-coming-tint text-coming', mark: 'waiting' },
  held: { box: 'bg-held-tint text-held', mark: 'waiting' },
  refused: { box: 'bg-refused-tint text-refused', mark: 'cannot' },
}

/**
 * One state, told: what happened, where the money is, what to do; then at most one action. `takesFocus` is for what answers a
 * press, so that a screen reader hears it and the keyboard goes on from there.
 */
export function Notice({
  tone,
  action,
  requestId,
  takesFocus = false,
  children,
}: {
  tone: Tone
  action?: ReactNode
  requestId?: string | null
  takesFocus?: boolean
  children: ReactNode
}) {
  const box = useRef<HTMLDivElement>(null)
  useEffect(() => {
    if (takesFocus) box.current?.focus()
  }, [takesFocus])
  const { box: colours, mark } = tones[tone]
  return (
    <div
      ref={box}
      role={takesFocus ? 'alert' : 'status'}
      tabIndex={takesFocus ? -1 : undefined}
      className={`edge-text -ml-16 flex gap-12 py-12 pl-16 max-sm:-mr-16 max-sm:pr-16 ${colours}`}
    >
      <span className="flex h-[1lh] items-center">
        <Mark state={mark} silent />
      </span>
      <div className="min-w-0 flex-1">
        <div className="text-ink">{children}</div>
        {action && <div className="mt-8 text-ink">{action}</div>}
        {requestId && (
          <p className="mt-8 flex flex-wrap items-center gap-8 text-note text-quiet">
            Request {requestId} <Copy text={requestId} named="the request id" />
          </p>
        )}
      </div>
    </div>
  )
}
