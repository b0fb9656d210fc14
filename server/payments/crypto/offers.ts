/** What can be paid with on chains, as it stands at the moment: for the page where one chooses, and for programs. */
import type { CryptoAsset, CryptoOffer, CryptoOffers } from '../../../contract/contract.ts'
import { MICROS_PER_CENT, micros, printAmount, type Usd } from '../../../contract/money.ts'
import type { WireClock } from '../../platform/clock.ts'
import type { Database } from '../../platform/db.ts'
import { type Asset, assetOf, networkOf } from './assets.ts'
import type { Quotes, SaysOfChain } from './quotes.ts'
import type { Rates } from './rates.ts'

/** One look serves everybody for so long: anybody may ask. Unit: milliseconds of wire time. */
const LOOK_MS = 5_000

const KEPT =
  'We keep the address that we gave you, and of each payment to it the transaction id, the amount, the time and what the transaction spends, with your account and no name. Everybody can read the same on the network.'

export function createOffers(dependencies: {
  database: Database
  clock: WireClock
  quotes: Pick<Quotes, 'offered'>
  rates: Pick<Rates, 'priceNow'>
  chainState: SaysOfChain
  minimum: Usd
}) {
  const { database, clock, quotes, rates, chainState, minimum } = dependencies
  let last: { at: number; told: Promise<CryptoOffers> } | null = null

  /** As of 5 seconds ago at most. */
  function read(): Promise<CryptoOffers> {
    const now = clock.now().getTime()
    if (last && now >= last.at && now - last.at < LOOK_MS) return last.told
    const told = look()
    const mine = { at: now, told }
    last = mine
    told.catch(() => {
      if (last === mine) last = null
    })
    return told
  }

  async function look(): Promise<CryptoOffers> {
    const names = [...new Set(quotes.offered.map(({ chain }) => chain))]
    const states = new Map(
      await Promise.all(names.map(async (name) => [name, await chainState(database.pool, name)] as const)),
    )
    const coins = [...new Set(quotes.offered.flatMap(({ code, typicalFee }) => [code, typicalFee.asset]))]
    const prices = new Map(await Promise.all(coins.map(async (code) => [code, await rates.priceNow(code)] as const)))
    return {
      kept: KEPT,
      assets: quotes.offered.map((asset): CryptoOffer => {
        const network = networkOf(asset.chain)
        const chain = states.get(asset.chain)!
        const price = prices.get(asset.code)!
        return {
          asset: asset.code,
          title: asset.title,
          network: network.name,
          network_title: network.title,
          offered: chain.state === 'works' && price.ok,
          state: chain.state === 'works' && !price.ok ? 'trouble' : chain.state,
          detail: chain.state === 'works' && !price.ok ? `${asset.code} has no rate. ${price.detail}` : chain.detail,
          minimum: printAmount(minimum),
          typical_fee: feeOf(asset, (code) => {
            const found = prices.get(code)
            return found?.ok ? found.price : null
          }),
          minutes_to_confirm: Math.ceil((asset.confirmations * network.blockSeconds) / 60),
          confirmations: asset.confirmations,
          do_not_use: [...asset.elsewhere],
        }
      }),
    }
  }

  return { read }
}

/** Rounded up to the cent. */
function feeOf(asset: Asset, priceOf: (code: CryptoAsset) => Usd | null): string | null {
  const { asset: coin, units } = asset.typicalFee
  const price = priceOf(coin)
  if (price === null) return null
  const exact = units * price
  const cent = MICROS_PER_CENT * 10n ** BigInt(assetOf(coin).decimals)
  return printAmount(micros(((exact + cent - 1n) / cent) * MICROS_PER_CENT))
}
