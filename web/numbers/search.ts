import type { Price } from '../../contract/contract.ts'

type Names = {
  service: (code: string) => string
  country: (code: string) => string
  dialCode: (code: string) => string
}

/**
 * The pairs of service and country that fit what was typed: each word begins a word of the service's or the country's name, or
 * is the country's code or dial code. Nothing typed: each service once, where it is cheapest. Free numbers come first, then the
 * lower price; `first` is what is shown, `more` how many fit besides.
 */
export function findPrices(
  prices: Price[],
  names: Names,
  typed: string,
  rowsMax: number,
): { first: Price[]; more: number } {
  const words = fold(typed).split(/\s+/).filter(Boolean)
  const fitting = words.length === 0 ? cheapestOfEach(prices) : prices.filter((price) => fits(price, names, words))
  const serviceOrder = new Map([...new Set(prices.map((price) => price.service))].map((code, index) => [code, index]))
  const named = (price: Price) => words.some((word) => begins(names.service(price.service), word))
  const sorted = [...fitting].sort(
    (a, b) =>
      Number(named(b)) - Number(named(a)) ||
      Number(b.in_stock > 0) - Number(a.in_stock > 0) ||
      (words.length === 0 ? 0 : Number(a.price) - Number(b.price)) ||
      serviceOrder.get(a.service)! - serviceOrder.get(b.service)!,
  )
  const first = sorted.slice(0, rowsMax)
  return { first, more: (words.length === 0 ? prices.length : fitting.length) - first.length }
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
      begins(names.service(price.service), word) ||
      begins(names.country(price.country), word) ||
      price.country.toLowerCase() === word ||
      (/^\+?\d+$/.test(word) && names.dialCode(price.country) === `+${word.replace('+', '')}`),
  )
}

function begins(name: string, word: string): boolean {
  const folded = fold(name)
  return folded.startsWith(word) || folded.split(/[\s/()-]+/).some((part) => part.startsWith(word))
}

/** Small letters without accents: people type "turkiye". */
function fold(text: string): string {
  return text.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase().trim()
}

const BASE_TO_TELL = 20

/** `91 % of 412`; below twenty ended numbers a rate says nothing. */
export function successWords(price: Pick<Price, 'success_rate' | 'success_base'>): string {
  if (price.success_rate === null || price.success_base < BASE_TO_TELL) return 'new'
  return `${Math.floor(price.success_rate * 100)} % of ${price.success_base}`
}
