/** The demo customer's top-ups by crypto, as the server tells them to any client: what the desk offers to pay. */
import { type CryptoTopup, cryptoTopupSchema } from '../../contract/contract.ts'

/** A browser's worth; older ones are paid by their address. */
const KEPT_MAX = 50
const SHOWN_MAX = 6

export type Quotes = {
  /** The newest top-ups, or some that are new or have changed. What is not by crypto is passed over. */
  hear: (said: readonly unknown[]) => void
  /** Newest first: those that still wait for something, and the newest of the others, for a payment that comes late. */
  shown: () => CryptoTopup[]
  find: (id: string) => CryptoTopup | undefined
  ofAddress: (address: string) => CryptoTopup | undefined
  /** The newest whose payments or promises are of this network. */
  ofAssets: (assets: readonly string[]) => CryptoTopup | undefined
}

export function openQuotes(): Quotes {
  const kept = new Map<string, CryptoTopup>()
  const all = () => [...kept.values()].sort((a, b) => b.created_at.localeCompare(a.created_at))
  return {
    hear(said) {
      for (const one of said) {
        const topup = cryptoTopupSchema.safeParse(one)
        if (topup.success) kept.set(topup.data.id, topup.data)
      }
      for (const { id } of all().slice(KEPT_MAX)) kept.delete(id)
    },
    shown: () => {
      const waits = (topup: CryptoTopup) => topup.status !== 'credited' && topup.status !== 'expired'
      return all()
        .sort((a, b) => Number(waits(b)) - Number(waits(a)))
        .slice(0, SHOWN_MAX)
    },
    find: (id) => kept.get(id),
    ofAddress: (address) => all().find((topup) => topup.address.toLowerCase() === address.toLowerCase()),
    ofAssets: (assets) => all().find((topup) => assets.includes(topup.asset)),
  }
}
