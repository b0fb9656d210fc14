/**
 * Which rows came in while someone reads: those above the first row that was there at first. Rows below it were asked for
 * ("Older") and are not news.
 */
export function freshKeys(atFirst: string[] | null, current: string[]): Set<string> {
  if (!atFirst?.length) return new Set()
  const known = new Set(atFirst)
  const firstKnown = current.findIndex((key) => known.has(key))
  return new Set(current.slice(0, Math.max(0, firstKnown)))
}
