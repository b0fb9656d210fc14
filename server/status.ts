/** What works right now, for everybody to read. It rests on what was seen to happen, and says "not known" where nothing did. */
import { type Status, statusParts } from '../contract/contract.ts'
import { smsHealth } from './orders/health.ts'
import { chainHealth } from './payments/crypto/health.ts'
import { cardsHealth } from './payments/health.ts'
import { houseNow, wireClock } from './platform/clock.ts'
import type { Database } from './platform/db.ts'
import type { Health } from './platform/health.ts'
import type { Log } from './platform/log.ts'
import { mailHealth } from './platform/mail-health.ts'

/** Whoever asks meanwhile gets the same look: a page that everybody may load must cost nothing. */
export const LOOK_SECONDS = 10
/** What happened before that shows nothing any more. */
const LATELY_SECONDS = 6 * 3600

type Part = Status['parts'][number]['part']

export function createStatus(house: {
  database: Database
  log: Log
  /** The networks that can be paid on. */
  chains?: readonly string[]
}) {
  const { database, log } = house
  const chains = statusParts.filter((part) => house.chains?.includes(part))
  let last: { at: number; look: Promise<Status> } | null = null

  async function look(): Promise<Status> {
    const { pool } = database
    try {
      const [now, cards, sms, mail, ...networks] = await Promise.all([
        houseNow(pool),
        cardsHealth(pool, LATELY_SECONDS),
        smsHealth(pool, LATELY_SECONDS),
        mailHealth(pool, LATELY_SECONDS),
        ...chains.map((chain) => chainHealth(pool, chain, wireClock.now())),
      ])
      const looked_at = now.toISOString()
      const pages: Health =
        database.noWrites() === null
          ? { state: 'works', detail: 'The server and its database answer.', last_worked_at: looked_at }
          : {
              state: 'trouble',
              detail:
                'The database takes no changes at the moment, so nothing can be ordered or paid. What was done before is kept, and can be read.',
              last_worked_at: null,
            }
      return status(looked_at, { pages, cards, sms, mail, ...byChain((place) => networks[place]!) })
    } catch (error) {
      log.warn({ err: error }, 'The state of the house could not be looked at')
      const unseen: Health = {
        state: 'not_known',
        detail: 'This cannot be looked at while the database does not answer.',
        last_worked_at: null,
      }
      const pages: Health = {
        state: 'trouble',
        detail: 'The database does not answer, so nothing can be ordered or paid. What was done before is kept.',
        last_worked_at: null,
      }
      return status(wireClock.now().toISOString(), {
        pages,
        cards: unseen,
        sms: unseen,
        mail: unseen,
        ...byChain(() => unseen),
      })
    }
  }

  function byChain(health: (place: number) => Health): Partial<Record<Part, Health>> {
    return Object.fromEntries(chains.map((chain, place) => [chain, health(place)]))
  }

  return {
    /** At most `LOOK_SECONDS` old. */
    read(): Promise<Status> {
      const now = wireClock.now().getTime()
      if (last === null || now - last.at >= LOOK_SECONDS * 1000) last = { at: now, look: look() }
      return last.look
    },
  }
}

function status(looked_at: string, parts: Partial<Record<Part, Health>>): Status {
  return {
    looked_at,
    parts: statusParts.flatMap((part) => (parts[part] ? [{ part, ...parts[part] }] : [])),
  }
}
