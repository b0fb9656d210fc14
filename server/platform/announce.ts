/**
 * Rooms announce what changed, after their commit; open pages listen (live.ts). An announcement carries ids only: whoever
 * listens reads the state anew, so a lost or doubled announcement does no harm.
 */
import { EventEmitter } from 'node:events'

export type Announcement =
  | { what: 'order'; accountId: bigint; id: string }
  | { what: 'topup'; accountId: bigint; id: string }
  | { what: 'balance'; accountId: bigint }
  /** House time was moved: every open page reads everything anew. */
  | { what: 'clock' }

export type Announce = ReturnType<typeof createAnnounce>

const LISTENERS_MAX = 10_000

export function createAnnounce() {
  const emitter = new EventEmitter()
  emitter.setMaxListeners(LISTENERS_MAX)
  return {
    publish(announcement: Announcement): void {
      emitter.emit('announcement', announcement)
    },
    /** Returns the function that ends the subscription. */
    subscribe(listener: (announcement: Announcement) => void): () => void {
      emitter.on('announcement', listener)
      return () => emitter.off('announcement', listener)
    },
  }
}
