/**
 * Money as it is counted and as it crosses the wire.
 *
 * Inside: a whole number of micro-dollars (1 US dollar = 1,000,000), a bigint, branded so that a bare number or a count of
 * something else does not compile. On the wire and on the page: a decimal string. Nothing here rounds.
 */
declare const unit: unique symbol

/** A whole number of micro-dollars. */
export type Usd = bigint & { readonly [unit]: 'USD' }

export const MICROS_PER_CENT = 10_000n
const MICROS_PER_DOLLAR = 1_000_000n

/** The brand, for a whole number of micro-dollars that comes from the database (where bigint arrives as a string). */
export function micros(value: bigint | string): Usd {
  return BigInt(value) as Usd
}

/** A literal of the source code, in dollars: `usd('1.20')`. For what people type, use `readAmount`. */
export function usd(literal: string): Usd {
  const match = /^(-?)(\d+)(?:\.(\d{1,6}))?$/.exec(literal)
  if (!match) throw new Error(`Not an amount in dollars: ${literal}`)
  const whole = BigInt(match[2]!) * MICROS_PER_DOLLAR + BigInt((match[3] ?? '').padEnd(6, '0'))
  return (match[1] ? -whole : whole) as Usd
}

/**
 * Reads an amount that a person or a program sent: digits, and at most two decimals after a point.
 * `"10"`, `"10.5"` and `"10.50"` are the same. Signs, exponents, spaces, commas, a third decimal, anything but a string,
 * and more than nine digits before the point are refused: null, which the caller answers with `invalid_amount`.
 */
export function readAmount(text: unknown): Usd | null {
  if (typeof text !== 'string') return null
  const match = /^(\d{1,9})(?:\.(\d{1,2}))?$/.exec(text)
  if (!match) return null
  return (BigInt(match[1]!) * MICROS_PER_DOLLAR + BigInt((match[2] ?? '').padEnd(2, '0')) * MICROS_PER_CENT) as Usd
}

/** The decimal string of the wire: two decimals, more only where there are fractions of a cent: `"1.20"`, `"0.0125"`. */
export function printAmount(amount: Usd): string {
  const absolute = amount < 0n ? -amount : amount
  const fraction = (absolute % MICROS_PER_DOLLAR)
    .toString()
    .padStart(6, '0')
    .replace(/0{1,4}$/, '')
  return `${amount < 0n ? '-' : ''}${absolute / MICROS_PER_DOLLAR}.${fraction}`
}

export function add(a: Usd, b: Usd): Usd {
  return (a + b) as Usd
}

export function subtract(a: Usd, b: Usd): Usd {
  return (a - b) as Usd
}

/**
 * How people read an amount: `$1,000.00`. With `sign`, money in is `+$10.00` and money out `−$1.20` (U+2212), zero has none.
 * Takes the wire's decimal string, so that pages need no arithmetic.
 */
export function displayAmount(wire: string, sign: 'never' | 'always' = 'never'): string {
  const negative = wire.startsWith('-')
  const [whole = '0', fraction = '00'] = wire.replace(/^-/, '').split('.')
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ',')
  const isZero = /^0+$/.test(whole + fraction)
  const mark = negative && !isZero ? '\u2212' : sign === 'always' && !isZero ? '+' : ''
  return `${mark}$${grouped}.${fraction.padEnd(2, '0')}`
}
