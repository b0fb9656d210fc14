/**
 * Whether the card company's webhooks can reach us: the house sends one to itself, over its own public address, as the card company
 * would, and says in words what is wrong. A proxy that redirects, or leads elsewhere, loses webhooks without anybody noticing: the
 * card company follows no redirect.
 */
import { pause, type WireClock } from '../../platform/clock.ts'
import type { Database } from '../../platform/db.ts'
import { newId } from '../../platform/ids.ts'
import type { Log } from '../../platform/log.ts'
import { SELF_TEST } from './events.ts'
import { signEvent } from './stripe.ts'

export type EndpointTest = {
  /** Where webhooks must be sent. */
  address: string
  /** Wire time; null: not tested yet. */
  tested_at: string | null
  /** In words; null: a webhook that was sent there came here. */
  problem: string | null
}

const ANSWER_MS_MAX = 10_000
/** A server that is just starting, or a proxy that has not noticed it yet, is asked again. */
const TRIES_MAX = 5
const TRY_AGAIN_MS = 2_000
const TEST_EVERY_SECONDS = 3600
const TEST_AGAIN_SECONDS = 300
const ANSWER_CHARACTERS_MAX = 2_000

export function createEndpointTest(settings: {
  database: Database
  log: Log
  clock: WireClock
  publicUrl: string
  livemode: boolean
  secrets: readonly string[]
  installation: () => Promise<string>
}) {
  const { database, log, clock } = settings
  const address = `${settings.publicUrl}/webhooks/stripe`
  const secret = settings.secrets.find((each) => each.trim() !== '')
  let dueAt = 0

  /** Sends the webhook and writes down what came of it. */
  async function test(signal?: AbortSignal): Promise<EndpointTest> {
    let found = await send()
    for (let tries = 1; found?.passing && tries < TRIES_MAX && !signal?.aborted; tries++) {
      await pause(TRY_AGAIN_MS, signal)
      if (!signal?.aborted) found = await send()
    }
    const problem = found?.words ?? null
    if (signal?.aborted) return { address, tested_at: null, problem }
    const { rows } = await database.pool.query<{ tested_at: Date; before: string | null }>(
      `with known as (select test_problem from card_event_state)
       insert into card_event_state (tested_at, test_problem) values (now(), $1)
       on conflict (only_row) do update set tested_at = now(), test_problem = $1
       returning tested_at, (select test_problem from known) as before`,
      [problem],
    )
    const { tested_at, before } = rows[0]!
    if (problem !== null)
      log.error(
        { alarm: problem !== before, address },
        `Alarm: the card company's webhooks do not reach this server. ${problem}`,
      )
    else if (before !== null) log.info({ address }, "The card company's webhooks reach this server again")
    return { address, tested_at: tested_at.toISOString(), problem }
  }

  /** Null: it came here. `passing`: it may be over in a moment. */
  async function send(): Promise<{ words: string; passing: boolean } | null> {
    if (secret === undefined)
      return { words: 'There is no signing secret: set STRIPE_WEBHOOK_SECRETS.', passing: false }
    const id = `evt_self_${newId().replaceAll('-', '')}`
    const body = JSON.stringify({
      id,
      object: 'event',
      type: SELF_TEST,
      livemode: settings.livemode,
      data: { object: {} },
    })
    let answer: Response
    let text: string
    try {
      answer = await fetch(address, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'stripe-signature': signEvent(body, secret, clock.now()) },
        body,
        redirect: 'manual',
        signal: AbortSignal.timeout(ANSWER_MS_MAX),
      })
      text = (await answer.text()).slice(0, ANSWER_CHARACTERS_MAX)
    } catch (error) {
      const { cause, name, message } = error as Error
      const why =
        (cause as { code?: string } | undefined)?.code ?? (name === 'TimeoutError' ? 'no answer in 10 s' : message)
      return { words: `${address} cannot be reached from here (${why}).`, passing: true }
    }
    return judge(answer, text, await settings.installation())
  }

  function judge(answer: Response, text: string, installation: string): { words: string; passing: boolean } | null {
    const { status } = answer
    if (status >= 300 && status < 400) {
      const to = answer.headers.get('location')?.slice(0, 200) ?? 'another address'
      return {
        words: `${address} answers ${status} and leads to ${to}. Stripe follows no redirect: let the address itself answer, or set PUBLIC_URL and the endpoint at Stripe to where it leads.`,
        passing: false,
      }
    }
    if (status === 404 || status === 405)
      return {
        words: `There is nothing at ${address} that takes webhooks (${status}). Let the proxy hand /webhooks/stripe to this server, unchanged.`,
        passing: false,
      }
    if (status === 400 && text.includes('invalid_signature'))
      return {
        words: `${address} does not accept our signature: something on the way changes the body, the clocks differ by more than 300 seconds, or another server with other secrets answers there.`,
        passing: false,
      }
    if (status >= 500) return { words: `${address} answers ${status}.`, passing: true }
    if (status === 200 && text.includes(installation)) return null
    return {
      words: `${address} answers ${status}, and it is not this server that answers: a webhook sent there does not come here.`,
      passing: false,
    }
  }

  return {
    test,
    /** As a tick: at the start, then every hour, and every five minutes while it fails. */
    async testWhenDue(signal: AbortSignal): Promise<void> {
      const now = clock.now().getTime()
      if (now < dueAt) return
      const { problem } = await test(signal)
      dueAt = now + 1000 * (problem === null ? TEST_EVERY_SECONDS : TEST_AGAIN_SECONDS)
    },
    /** What the last test found. */
    async last(): Promise<EndpointTest> {
      const { rows } = await database.pool.query<{ tested_at: Date | null; test_problem: string | null }>(
        'select tested_at, test_problem from card_event_state',
      )
      const row = rows[0]
      return { address, tested_at: row?.tested_at?.toISOString() ?? null, problem: row?.test_problem ?? null }
    },
  }
}
