/**
 * Canaries: a test that never failed proves little. Each patch in this folder plants a bug that somebody's ledger had; what should find
 * it is run, and must go red because of an assertion, when without the bug it is green.
 *
 *   npm run canaries [-- PART OF A NAME …]
 *
 * Where a bug sits in the ledger's functions and streams of commands find it, it is planted into a database of its own and found from
 * here; otherwise into a copy of the checkout, of which only the named test is run. Exits 0 only when every one is caught.
 */
import { join } from 'node:path'
import { type Copy, copyCheckout } from '../copy.ts'
import { openOracle } from '../ledger/oracle.ts'
import { SEED } from '../random.ts'
import { type Canary, plant, readCanaries } from './plant.ts'

const STREAMS_MAX = 12
const COMMANDS_PER_STREAM = 120
const TEST_SECONDS_MAX = 120
/** A migration after all others. */
const WITHOUT = join('db', 'migrations', '9999_without.sql')

type Found = { caught: boolean; how: string }
type Planted = { canary: Canary; files: Map<string, string> }

async function main(wanted: string[]): Promise<void> {
  const canaries = readCanaries().filter(
    ({ name }) => wanted.length === 0 || wanted.some((want) => name.includes(want)),
  )
  if (canaries.length === 0) throw new Error(`No canary is called ${wanted.join(' or ')}`)
  let caught = 0
  const tell = (canary: Canary, found: Found, since: number) => {
    if (found.caught) caught++
    const seconds = ((performance.now() - since) / 1000).toFixed(1)
    console.log(`  ${found.caught ? 'caught' : 'MISSED'}  ${seconds.padStart(5)} s  ${canary.name}: ${found.how}`)
  }

  const planted: Planted[] = []
  for (const canary of canaries) {
    try {
      planted.push({ canary, files: plant(canary) })
    } catch (error) {
      tell(canary, { caught: false, how: (error as Error).message }, performance.now())
    }
  }
  await Promise.all([
    inStreams(
      planted.filter(({ canary }) => canary.foundBy.streams),
      tell,
    ),
    inTests(
      planted.filter(({ canary }) => !canary.foundBy.streams),
      tell,
    ),
  ])
  console.log(`Canaries: caught ${caught} / planted ${canaries.length}, SEED=${SEED}`)
  if (caught < canaries.length) process.exitCode = 1
}

async function inStreams(
  planted: Planted[],
  tell: (canary: Canary, found: Found, since: number) => void,
): Promise<void> {
  /** Over so many connections: as far as the streams went that found something. */
  const furthest = new Map<number, number>()
  for (const { canary, files } of planted) {
    const since = performance.now()
    const { foundBy } = canary
    if (!foundBy.streams) continue
    for (const file of files.keys()) {
      if (!/^server\/.*\.sql$/.test(file))
        throw new Error(`${canary.name}: streams find what is in functions, not in ${file}`)
    }
    const prepare = [canary.without ?? '', ...files.values()].join(';\n')
    const { streams, difference } = await playUntil(foundBy.connections, STREAMS_MAX, prepare)
    if (difference !== null)
      furthest.set(foundBy.connections, Math.max(streams, furthest.get(foundBy.connections) ?? 0))
    // An error of the database is no finding: it may be the patch that is wrong.
    const finding = difference !== null && !difference.includes('an exception')
    const how =
      difference === null
        ? `${streams} streams did not find it`
        : `stream ${streams}: ${difference.replace(/, to \{.*/, '')}`
    tell(canary, { caught: finding, how }, since)
  }
  for (const [connections, streams] of furthest) {
    const { difference } = await playUntil(connections, streams, '')
    if (difference !== null)
      throw new Error(`Without any bug, streams over ${connections} connections differ: ${difference}`)
  }
}

async function playUntil(connections: number, streamsMax: number, prepare: string) {
  const oracle = await openOracle({ ledgers: connections, lanes: 1, prepare })
  try {
    let difference: string | null = null
    let streams = 0
    for (; streams < streamsMax && difference === null; streams++)
      difference = (await oracle.play(SEED + streams, COMMANDS_PER_STREAM)).difference
    return { streams, difference }
  } finally {
    await oracle.close()
  }
}

async function inTests(planted: Planted[], tell: (canary: Canary, found: Found, since: number) => void): Promise<void> {
  if (planted.length === 0) return
  const copy = copyCheckout()
  try {
    const tests = new Map<string, Set<string>>()
    for (const { canary } of planted) {
      const { foundBy } = canary
      if (!foundBy.streams) tests.set(foundBy.file, (tests.get(foundBy.file) ?? new Set()).add(foundBy.test))
    }
    for (const [file, names] of tests) {
      const { passed, failed } = await copy.test(file, { names: [...names], secondsMax: TEST_SECONDS_MAX })
      if (failed) throw new Error(`Without any bug, ${file} fails: ${failed.test}: ${failed.why}`)
      const missing = [...names].filter((name) => !passed.includes(name))
      if (missing.length > 0) throw new Error(`${file} has no test of this name: ${missing.join(', ')}`)
    }
    for (const one of planted) {
      const since = performance.now()
      tell(one.canary, await inCopy(copy, one), since)
    }
  } finally {
    copy.close()
  }
}

async function inCopy(copy: Copy, { canary, files }: Planted): Promise<Found> {
  const { foundBy } = canary
  if (foundBy.streams) throw new Error(`${canary.name} is found by streams`)
  try {
    for (const [file, text] of files) copy.write(file, text)
    if (canary.without) copy.write(WITHOUT, canary.without)
    const { failed } = await copy.test(foundBy.file, { names: [foundBy.test], secondsMax: TEST_SECONDS_MAX })
    if (!failed) return { caught: false, how: `${foundBy.file} stays green` }
    const caught = failed.assertion && failed.test === foundBy.test
    const why = failed.why.split('\n').filter((line) => line.trim() !== '')
    return { caught, how: `${foundBy.file}: ${failed.test}: ${(caught ? why.slice(0, 1) : why).join(' / ')}` }
  } finally {
    copy.restore()
  }
}

await main(process.argv.slice(2))
