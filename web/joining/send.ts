import { useRef, useState } from 'react'
import type { Answer, Refusal } from '../api.ts'

/** A form's one request: pressed once at a time, its refusal kept until the next press. */
export function useSend<Value>(): {
  pending: boolean
  refusal: Refusal | null
  /** Null: it was refused. */
  send: (ask: () => Promise<Answer<Value>>) => Promise<{ value: Value } | null>
} {
  const busy = useRef(false)
  const [state, setState] = useState<{ pending: boolean; refusal: Refusal | null }>({ pending: false, refusal: null })

  async function send(ask: () => Promise<Answer<Value>>) {
    if (busy.current) return null
    busy.current = true
    setState({ pending: true, refusal: null })
    const answer = await ask()
    busy.current = false
    setState({ pending: false, refusal: answer.ok ? null : answer.refusal })
    return answer.ok ? { value: answer.value } : null
  }

  return { ...state, send }
}
