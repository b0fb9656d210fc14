/** Whether two sets of measurements can be told apart. */

/**
 * The Mann-Whitney test: how likely two samples of one and the same distribution differ as much as these in their ranks, 0 to 1. It
 * asks nothing of the distribution, so a few slow answers of a busy machine do not decide it. Two-sided, by the normal
 * approximation with ties, which is good from some twenty values each.
 * Source: Mann and Whitney 1947; Lehmann, Nonparametrics, 1.4 (ties).
 */
export function likelihoodOfOneSource(a: readonly number[], b: readonly number[]): number {
  const all = [...a.map((value) => ({ value, ofA: true })), ...b.map((value) => ({ value, ofA: false }))]
  all.sort((x, y) => x.value - y.value)
  let ranksOfA = 0
  let ties = 0
  for (let from = 0; from < all.length; ) {
    let to = from
    while (to < all.length && all[to]!.value === all[from]!.value) to++
    const count = to - from
    const rank = (from + 1 + to) / 2
    ranksOfA += rank * all.slice(from, to).filter((each) => each.ofA).length
    ties += count ** 3 - count
    from = to
  }
  const [n, m, total] = [a.length, b.length, all.length]
  const difference = ranksOfA - (n * (total + 1)) / 2
  const variance = ((n * m) / 12) * (total + 1 - ties / (total * (total - 1)))
  return variance === 0 ? 1 : 2 * (1 - normal(Math.abs(difference) / Math.sqrt(variance)))
}

/** The smallest shift of one of the samples that the test would notice at this level, found by halving. */
export function smallestNoticed(a: readonly number[], b: readonly number[], level: number, shiftMax: number): number {
  let [unnoticed, noticed] = [0, shiftMax]
  for (let step = 0; step < 12; step++) {
    const shift = (unnoticed + noticed) / 2
    const moved = b.map((value) => value + shift)
    if (likelihoodOfOneSource(a, moved) < level) noticed = shift
    else unnoticed = shift
  }
  return noticed
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((x, y) => x - y)
  return sorted[Math.floor(sorted.length / 2)]!
}

/** How much of the normal distribution lies below z. Source: Abramowitz and Stegun 26.2.17, wrong by less than 10^-7. */
function normal(z: number): number {
  const t = 1 / (1 + 0.2316419 * z)
  const poly = t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
  return 1 - (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)) * poly
}
