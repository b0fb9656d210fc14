/** Medians, and how figures are written. */
export type Spread = { min: number; median: number; max: number }

export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

export function spread(values: number[]): Spread | null {
  if (values.length === 0) return null
  return { min: round(Math.min(...values)), median: round(median(values)), max: round(Math.max(...values)) }
}

/** The value below which a share of them lies. Sorts in place. */
export function percentile(values: Float64Array, share: number): number {
  return values.length === 0
    ? Number.NaN
    : values.sort()[Math.min(values.length - 1, Math.floor(values.length * share))]!
}

/** Three digits that count. */
export function round(value: number): number {
  return Number(value.toPrecision(value >= 1000 ? Math.ceil(Math.log10(value + 1)) : 3))
}

export function table(rows: string[][]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows
    .map((row) => row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  '))
    .join('\n')
}

export function grouped(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}
