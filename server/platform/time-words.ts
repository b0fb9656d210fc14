/** Instants as people read them outside the pages: in mails and on documents. */

/** `23 Nov 2026, 14:02:09 (Europe/Berlin)`. */
export function timeIn(timeZone: string): (instant: string) => string {
  const format = new Intl.DateTimeFormat('en-GB', {
    timeZone,
    day: 'numeric',
    month: 'short',
    year: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hourCycle: 'h23',
  })
  return (instant) => `${format.format(new Date(instant))} (${timeZone})`
}

/** `23 November 2026`. */
export function dayIn(timeZone: string, day: Date): string {
  return new Intl.DateTimeFormat('en-GB', { timeZone, day: 'numeric', month: 'long', year: 'numeric' }).format(day)
}
