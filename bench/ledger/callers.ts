/**
 * Callers in a closed loop: each asks, waits for the answer, asks again. One in ten tops up; else a hold, and then its capture (three in
 * four) or void. What asks and what answers is given, so that rivals do the same work.
 */
import { newId } from '../../server/platform/ids.ts'
import { type Chance, chance } from '../../test/random.ts'

/** What a way to move money must be able to do. Answers whether it was done. */
export type Teller = {
  topUp(id: string, account: bigint, reference: string): Promise<boolean>
  hold(id: string, account: bigint, order: string): Promise<boolean>
  capture(hold: string, account: bigint, order: string): Promise<boolean>
  void(hold: string, account: bigint, order: string): Promise<boolean>
}

/** `acknowledged`: how many commands were said to be done, also before the counting began and after it ended. */
export type Counted = { commands: number; seconds: number; latenciesMs: Float64Array; acknowledged: number }

export const AMOUNT = 5_000_000n
export const PRICE = 500_000n
/** More commands than any machine does in one measurement are not timed one by one. */
const LATENCIES_MAX = 4_000_000

/**
 * `warmSeconds` are not counted; `begin` is called after them. `ofOne`: the share of commands that are of one account.
 */
export async function measure(wish: {
  teller: Teller
  callers: number
  accounts: number
  seed: number
  warmSeconds: number
  seconds: number
  ofOne?: number
  begin: () => void
}): Promise<Counted> {
  const latenciesMs = new Float64Array(LATENCIES_MAX)
  let commands = 0
  let acknowledged = 0
  let counting = false
  let over = false

  async function one(ask: () => Promise<boolean>): Promise<boolean> {
    const since = performance.now()
    const done = await ask()
    if (done) acknowledged++
    if (counting) {
      if (!done) throw new Error('A command of the benchmark was refused')
      if (commands < LATENCIES_MAX) latenciesMs[commands] = performance.now() - since
      commands++
    }
    return done
  }

  async function live(luck: Chance): Promise<void> {
    const { teller } = wish
    while (!over) {
      const account = luck.happens(wish.ofOne ?? 0) ? 1n : BigInt(luck.whole(1, wish.accounts))
      const id = newId()
      if (luck.happens(0.1)) {
        await one(() => teller.topUp(id, account, id))
        continue
      }
      const order = newId()
      await one(() => teller.hold(id, account, order))
      if (luck.happens(0.75)) await one(() => teller.capture(id, account, order))
      else await one(() => teller.void(id, account, order))
    }
  }

  const lives = Promise.all(Array.from({ length: wish.callers }, (_, n) => live(chance(wish.seed * 1_000 + n))))
  // One that fails ends the measurement, below.
  lives.catch(() => {
    over = true
  })
  await Promise.race([lives, new Promise((resolve) => setTimeout(resolve, wish.warmSeconds * 1_000))])
  wish.begin()
  counting = true
  const since = performance.now()
  await Promise.race([lives, new Promise((resolve) => setTimeout(resolve, wish.seconds * 1_000))])
  counting = false
  const seconds = (performance.now() - since) / 1_000
  over = true
  await lives
  return { commands, seconds, latenciesMs: latenciesMs.subarray(0, Math.min(commands, LATENCIES_MAX)), acknowledged }
}
