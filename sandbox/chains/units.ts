/** Amounts of coins as people write them, and as chains count them. */

/** Of more nobody has; it keeps what is typed within what a machine word holds. */
const WHOLE_DIGITS_MAX = 9

/** The smallest units of `0.00012345`; null: that is no amount above zero with at most so many decimals. */
export function readUnits(written: unknown, decimals: number): bigint | null {
  if (typeof written !== 'string') return null
  const parts = /^(\d+)(?:\.(\d+))?$/.exec(written.trim())
  if (!parts) return null
  const [, whole = '', fraction = ''] = parts
  if (whole.replace(/^0+/, '').length > WHOLE_DIGITS_MAX || fraction.length > decimals) return null
  const units = BigInt(whole + fraction.padEnd(decimals, '0'))
  return units > 0n ? units : null
}

export function printUnits(units: bigint, decimals: number): string {
  const digits = units.toString().padStart(decimals + 1, '0')
  const whole = digits.slice(0, digits.length - decimals)
  const fraction = digits.slice(digits.length - decimals).replace(/0+$/, '')
  return fraction === '' ? whole : `${whole}.${fraction}`
}
