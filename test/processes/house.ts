/** A house of several processes on one database: two that answer requests, and one that does the jobs. */
import pg from 'pg'
import { pause } from '../../server/platform/clock.ts'
import { until } from '../until.ts'
import { type Answer, startWorld } from '../world.ts'

const ASK_AGAIN_MS = 200

export type House = Awaited<ReturnType<typeof startHouse>>

export async function startHouse(env: Record<string, string> = {}) {
  const world = await startWorld({ asProcess: true, env: { ROLE: 'web', ...env } })
  try {
    const [other, worker] = await Promise.all([world.beside({ ROLE: 'web' }), world.beside({ ROLE: 'worker' })])
    const webs = [world.server, other] as const
    return {
      ...world,
      webs,
      worker,
      /** The nth request of many goes to the one, the next to the other. */
      turn: (n: number) => webs[n % 2]!,

      /** More numbers for sale, of a service and country that the catalogue has. */
      async stock(count: number, service = 'telegram', country = 'GB'): Promise<void> {
        await asOwner(world.db.url, async (owner) => {
          await owner.query(
            `with added as (
               insert into numbers (phone_number, country)
               select '+4499' || lpad(n::text, 8, '0'), $2 from generate_series(1, $1::int) n
               returning id)
             insert into offers (number_id, service, country) select id, $3, $2 from added`,
            [count, country, service],
          )
        })
      },

      /** What the processes said; to look at after a failure. */
      said: () => [...webs, worker].map((one) => one.said().slice(-3_000)).join('\n--\n'),
    }
  } catch (error) {
    await world.stop()
    throw error
  }
}

export async function asOwner<T>(url: string, work: (owner: pg.Client) => Promise<T>): Promise<T> {
  const owner = new pg.Client({ connectionString: url })
  await owner.connect()
  try {
    return await work(owner)
  } finally {
    await owner.end()
  }
}

/** Asks again while a process has more to do than it can, as it says one should: on a busy machine that is no answer to the question. */
export async function insist<Body>(ask: () => Promise<Answer<Body>>): Promise<Answer<Body>> {
  return until(async () => {
    const answer = await ask()
    if (answer.status === 503) await pause(ASK_AGAIN_MS)
    return answer.status !== 503 && answer
  })
}

/** How often each answer came. */
export function tally(words: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const word of words) counts[word] = (counts[word] ?? 0) + 1
  return counts
}
