/**
 * The control desk at `/`: what the phones, the bank and the clock are doing, and the buttons. Works as plain forms; the script
 * saves the reload and keeps the page live.
 */
import { Hono } from 'hono'
import { streamSSE } from 'hono/streaming'
import { SECOND } from '../clock.ts'
import { type Bindings, isForm, pageHeaders, problem, readAsked } from '../web.ts'
import { type DeskView, desk, parts } from './desk.ts'

const LOOK_MILLISECONDS = 300
const HEARTBEAT_MILLISECONDS = 15 * SECOND
const OPEN_DESKS_MAX = 20
/** The server answers when everything that became due has run. */
const CLOCK_MILLISECONDS_MAX = 120 * SECOND
const ADVANCE_SECONDS_MAX = 366 * 86_400

export type Desk = {
  routes: Hono<Bindings>
  /** Moves the server's house time, and waits until what became due has run. */
  advance: (seconds: number) => Promise<{ ok: true; answer: unknown } | { ok: false; why: string }>
  stop: () => void
}

export function openDesk(world: {
  view: () => DeskView
  serverUrl: () => string
  note: (sentence: string, link?: string) => void
}): Desk {
  const stopping = new AbortController()
  let openDesks = 0
  const routes = new Hono<Bindings>()

  routes.get('/', (c) => {
    pageHeaders(c)
    const asked = (name: string, lengthMax: number) => (c.req.query(name) ?? '').slice(0, lengthMax)
    return c.html(
      desk(world.view(), {
        to: asked('to', 20),
        address: asked('address', 100),
        amount: asked('amount', 40),
        asset: asked('asset', 10),
      }),
    )
  })

  routes.get('/desk/events', (c) => {
    if (openDesks >= OPEN_DESKS_MAX)
      return problem(c, 429, 'rate_limited', `At most ${OPEN_DESKS_MAX} desks can be open.`)
    return streamSSE(c, async (stream) => {
      openDesks += 1
      let open = true
      const close = () => {
        open = false
      }
      stream.onAbort(close)
      stopping.signal.addEventListener('abort', close, { once: true })
      try {
        let last = ''
        let spoken = Date.now()
        while (open) {
          const now = JSON.stringify(parts(world.view()))
          if (now !== last) {
            last = now
            spoken = Date.now()
            await stream.writeSSE({ event: 'parts', data: now })
          } else if (Date.now() - spoken > HEARTBEAT_MILLISECONDS) {
            spoken = Date.now()
            await stream.writeSSE({ event: 'still', data: '' })
          }
          await stream.sleep(LOOK_MILLISECONDS)
        }
      } finally {
        stopping.signal.removeEventListener('abort', close)
        openDesks -= 1
      }
    })
  })

  routes.post('/clock', async (c) => {
    const asked = await readAsked(c)
    if (asked instanceof Response) return asked
    const seconds = Number(asked['advance_seconds'])
    if (!Number.isInteger(seconds) || seconds < 1 || seconds > ADVANCE_SECONDS_MAX)
      return problem(
        c,
        400,
        'invalid_request',
        `advance_seconds is a whole number from 1 to ${ADVANCE_SECONDS_MAX}.`,
        'advance_seconds',
      )
    const moved = await advance(seconds)
    world.note(
      moved.ok
        ? `The clock moved ${spell(seconds)} ahead; what became due has run.`
        : `The clock was not moved: ${moved.why}.`,
    )
    if (isForm(c)) return c.redirect('/#clock', 303)
    return moved.ok ? c.json(moved.answer as object) : problem(c, 502, 'temporarily_unavailable', `${moved.why}.`)
  })

  async function advance(seconds: number): Promise<{ ok: true; answer: unknown } | { ok: false; why: string }> {
    try {
      const answered = await fetch(new URL('/api/sandbox/clock', world.serverUrl()), {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ advance_seconds: seconds }),
        signal: AbortSignal.any([stopping.signal, AbortSignal.timeout(CLOCK_MILLISECONDS_MAX)]),
      })
      if (!answered.ok) return { ok: false, why: `the server answered ${answered.status}` }
      return { ok: true, answer: await answered.json() }
    } catch {
      return { ok: false, why: 'the server does not answer' }
    }
  }

  return { routes, advance, stop: () => stopping.abort() }
}

export function spell(seconds: number): string {
  const [unit, size] =
    seconds % 86_400 === 0 ? ['day', 86_400] : seconds % 60 === 0 ? ['minute', 60] : (['second', 1] as const)
  const count = seconds / Number(size)
  return `${count} ${unit}${count === 1 ? '' : 's'}`
}
