/** Unit: milliseconds. Long enough for a machine that does other things too; a test that waits for nothing fails by it. */
const PATIENCE_MS = 60_000
const LOOK_AGAIN_MS = 20

/** Looks until there is something to see, and answers it. An empty list is nothing: it would end the wait before it began. */
export async function until<T>(look: () => Promise<T | null | undefined | false>): Promise<T> {
  const end = performance.now() + PATIENCE_MS
  for (;;) {
    const seen = await look()
    if (seen && !(Array.isArray(seen) && seen.length === 0)) return seen
    if (performance.now() > end) throw new Error(`Did not become true within ${PATIENCE_MS} ms: ${look}`)
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS))
  }
}
