import { useNow } from './clock.ts'
import { readOut, untilWords } from './times.ts'

const LAST_MINUTE_MS = 60_000

/** A countdown in words, by the server's clock. Bold in the last minute; read out at 5 minutes and 1 minute only. */
export function Until({ at }: { at: string }) {
  const left = Date.parse(at) - useNow()
  return (
    <>
      <span aria-hidden="true" className={`whitespace-nowrap ${left <= LAST_MINUTE_MS ? 'font-strong' : ''}`}>
        {untilWords(left)}
      </span>
      <span role="status" className="sr-only">
        {readOut(left)}
      </span>
    </>
  )
}
