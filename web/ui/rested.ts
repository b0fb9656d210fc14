import { useEffect, useState } from 'react'

/** So long the typing must rest. */
const REST_MS = 200

/** What was typed, when the typing has rested: the server is not asked for every letter. */
export function useRested(typed: string): string {
  const [rested, setRested] = useState(typed)
  useEffect(() => {
    const timer = setTimeout(() => setRested(typed), REST_MS)
    return () => clearTimeout(timer)
  }, [typed])
  return rested
}
