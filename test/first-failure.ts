/**
 * A reporter for `node --test-reporter`: ends the process at the first test that fails, and says which and why, on one line of JSON. For
 * runs that only ask whether anything fails.
 */
import { writeSync } from 'node:fs'
import type { TestEvent } from 'node:test/reporters'

/** What is said of a run, a line each. `assertion`: an assertion inside the test itself did not hold. */
export type Said = { passed: string } | { failed: string; assertion: boolean; why: string }

const WHY_CHARACTERS_MAX = 600

export default async function* firstFailure(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const event of events) {
    if (event.type === 'test:pass' && !event.data.skip) yield `${JSON.stringify({ passed: event.data.name })}\n`
    if (event.type !== 'test:fail') continue
    const error: Error & { failureType?: string } = event.data.details.error
    const cause = (error.cause ?? error) as { code?: string; message?: string }
    const said = {
      failed: event.data.name,
      assertion: cause.code === 'ERR_ASSERTION' && error.failureType !== 'hookFailed',
      why: String(cause.message ?? cause).slice(0, WHY_CHARACTERS_MAX),
    }
    writeSync(1, `${JSON.stringify(said satisfies Said)}\n`)
    process.exit(1)
  }
}
