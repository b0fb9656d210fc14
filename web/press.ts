import { useEffect, useRef, useState } from 'react'
import type { Answer, Refusal } from './api.ts'
import { IntentKeys } from './intent.ts'

export type Press<Intent> =
  | { state: 'ready' }
  | { state: 'pending'; intent: Intent }
  | { state: 'refused'; intent: Intent; refusal: Refusal }

/**
 * A button that moves money: one request at a time, one Idempotency-Key per intent. After a refusal the button is ready again
 * and the refusal stands beside it.
 */
export function usePress<Intent, Value>(
  send: (intent: Intent, key: string) => Promise<Answer<Value>>,
  done: (value: Value) => void,
): { press: Press<Intent>; go: (intent: Intent) => Promise<void>; forget: () => void } {
  const keys = useRef(new IntentKeys())
  const busy = useRef(false)
  const [press, setPress] = useState<Press<Intent>>({ state: 'ready' })

  useEffect(() => {
    // Back from the payment page by the browser's own back button: the page is shown as it was left, still pressed.
    const shownAgain = (event: PageTransitionEvent) => {
      if (!event.persisted) return
      busy.current = false
      setPress({ state: 'ready' })
    }
    addEventListener('pageshow', shownAgain)
    return () => removeEventListener('pageshow', shownAgain)
  }, [])

  async function go(intent: Intent) {
    if (busy.current) return
    busy.current = true
    setPress({ state: 'pending', intent })
    const answer = await send(intent, keys.current.keyFor(intent))
    keys.current.answered(intent, answer.ok ? null : answer.refusal)
    busy.current = false
    if (answer.ok) {
      setPress({ state: 'ready' })
      done(answer.value)
    } else {
      setPress({ state: 'refused', intent, refusal: answer.refusal })
    }
  }

  return { press, go, forget: () => setPress({ state: 'ready' }) }
}
