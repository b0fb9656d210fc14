import type { Favourite, Price } from '../../contract/contract.ts'
import { beginsWordOf, meansCountry, searchWords } from '../../contract/search.ts'

type Names = {
  service: (code: string) => string
  country: (code: string) => string
  dialCode: (code: string) => string
}

/**
 * The pairs of service and country that fit what was typed: each word begins a word of the service's or the country's name, or
 * is the country's code or dial code. Nothing typed: each service once, where it is cheapest, and every favourite. Favourites come
 * first, then free numbers, then the lower price; `first` is what is shown, `more` how many fit besides.
 */
export function findPrices(
  prices: Price[],
  names: Names,
  typed: string,
  rowsMax: number,
  favourites: ReadonlySet<string> = new Set(),
): { first: Price[]; more: number } {
  const words = searchWords(typed)
  const isFavourite = (price: Price) => favourites.has(pairKey(price))
  const fitting =
    words.length === 0 ? withoutWords(prices, isFavourite) : prices.filter((price) => fits(price, names, words))
  const serviceOrder = new Map([...new Set(prices.map((price) => price.service))].map((code, index) => [code, index]))
  const named = (price: Price) => words.some((word) => beginsWordOf(names.service(price.service), word))
  const sorted = [...fitting].sort(
    (a, b) =>
      Number(isFavourite(b)) - Number(isFavourite(a)) ||
      Number(named(b)) - Number(named(a)) ||
      Number(b.in_stock > 0) - Number(a.in_stock > 0) ||
      (words.length === 0 ? 0 : Number(a.price) - Number(b.price)) ||
      serviceOrder.get(a.service)! - serviceOrder.get(b.service)!,
  )
  const first = sorted.slice(0, rowsMax)
  return { first, more: (words.length === 0 ? prices.length : fitting.length) - first.length }
}

/** A pair of service and country as one word. */
export function pairKey({ service, country }: Favourite): string {
  return `${service} ${country}`
}

/** The catalogue with what was found besides; of a pair that is in both, the latter is fresher. */
export function withFound(catalogue: Price[], found: Price[]): Price[] {
  if (found.length === 0) return catalogue
  const pairs = new Set(found.map(pairKey))
  return [...catalogue.filter((price) => !pairs.has(pairKey(price))), ...found]
}

function withoutWords(prices: Price[], isFavourite: (price: Price) => boolean): Price[] {
  const marked = prices.filter(isFavourite)
  return [...marked, ...cheapestOfEach(prices).filter((price) => !isFavourite(price))]
}

function cheapestOfEach(prices: Price[]): Price[] {
  const best = new Map<string, Price>()
  for (const price of prices) {
    const known = best.get(price.service)
    if (!known || better(price, known)) best.set(price.service, price)
  }
  return [...best.values()]
}

function better(a: Price, b: Price): boolean {
  if (a.in_stock > 0 !== b.in_stock > 0) return a.in_stock > 0
  return Number(a.price) < Number(b.price)
}

function fits(price: Price, names: Names, words: string[]): boolean {
  return words.every(
    (word) =>
      beginsWordOf(names.service(price.service), word) ||
      meansCountry(
        { code: price.country, name: names.country(price.country), dial_code: names.dialCode(price.country) },
        word,
      ),
  )
}

const BASE_TO_TELL = 20

/** `91 % of 412`; below twenty ended numbers a rate says nothing. */
export function successWords(price: Pick<Price, 'success_rate' | 'success_base'>): string {
  if (price.success_rate === null || price.success_base < BASE_TO_TELL) return 'new'
  return `${Math.floor(price.success_rate * 100)} % of ${price.success_base}`
}
