/**
 * Rooms announce what changed, after their commit; open pages listen (live.ts). An announcement carries ids only: whoever
 * listens reads the state anew, so a lost or doubled announcement does no harm. `relay.ts` carries them to the other processes.
 */
import { EventEmitter } from 'node:events'

export type Announcement =
  | { what: 'order'; accountId: bigint; id: string }
  | { what: 'topup'; accountId: bigint; id: string }
  | { what: 'balance'; accountId: bigint }
  /** A session or an API key of the account has ended: each of its open pages is asked anew whether it may stay. */
  | { what: 'access'; accountId: bigint }
  /** House time was moved, or announcements may have been missed: every open page reads everything anew. */
  | { what: 'everything' }

/** Published by a room of this process, or told by another one. */
export type Origin = 'here' | 'elsewhere'

export type Announce = ReturnType<typeof createAnnounce>

const LISTENERS_MAX = 10_000

export function createAnnounce() {
  const emitter = new EventEmitter()
  emitter.setMaxListeners(LISTENERS_MAX)
  return {
    publish(announcement: Announcement, origin: Origin = 'here'): void {
      emitter.emit('announcement', announcement, origin)
    },
    /** Returns the function that ends the subscription. */
    subscribe(listener: (announcement: Announcement, origin: Origin) => void): () => void {
      emitter.on('announcement', listener)
      return () => emitter.off('announcement', listener)
    },
  }
}

/** Two announcements of the same key say the same thing. */
export function keyOf(announcement: Announcement): string {
  switch (announcement.what) {
    case 'everything':
      return 'everything'
    case 'balance':
    case 'access':
      return `${announcement.what} ${announcement.accountId}`
    default:
      return `${announcement.what} ${announcement.accountId} ${announcement.id}`
  }
}
