import { useEffect, useState } from 'react'

const SILENT_MS = 300

/** Nothing for 300 ms, then the word, in the place of what is awaited. */
export function Loading() {
  const [late, setLate] = useState(false)
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), SILENT_MS)
    return () => clearTimeout(timer)
  }, [])
  return (
    <p role="status" className="edge-text min-h-row py-8 text-quiet">
      {late ? 'Loading' : ''}
    </p>
  )
}
