/**
 * Nobody can learn from how long an answer takes whom we know. Known and unknown are asked in one shuffled row, at the same load, and
 * their times are compared by a test that would notice a small difference (test/statistics.test.ts; here the smallest is printed).
 */
import assert from 'node:assert/strict'
import { Agent, request } from 'node:http'
import { after, before, type TestContext, test } from 'node:test'
import { policyVersions } from '../../contract/policy-versions.ts'
import { chance, SEED } from '../../test/random.ts'
import { likelihoodOfOneSource, median, smallestNoticed } from '../../test/statistics.ts'
import { startWorld, type World } from '../../test/world.ts'

const KNOWN = 50
/**
 * One source is called two this seldom; then everything is measured anew, and must be called two each time. By chance alone one of the
 * five tests here fails in one of 200,000 runs.
 */
const LEVEL = 0.01
const ROUNDS_MAX = 3

/** Few at once make little noise; who is kept waiting on purpose can be many. */
type Size = { samples: number; atOnce: number }
type Ask = { path: string; body: object; expected: number }

const random = chance(SEED)
const agent = new Agent({ keepAlive: true })
/** With hashes that cost little, so that they hide nothing. In `bare` a refusal does not wait for its moment either. */
let house: World
let bare: World
before(async () => {
  house = await startWorld({ env: { TRUST_PROXY: '1' } })
  bare = await startWorld({ env: { TRUST_PROXY: '1' }, accounts: { refusalMsMin: 0 } })
  for (const world of [house, bare]) for (let i = 0; i < KNOWN; i++) await world.customer({ name: `known${i}` })
})
after(async () => {
  agent.destroy()
  await bare.stop()
  await house.stop()
})

let addresses = 0
/** Each from an address of its own, as a patient stranger does who is not to be noticed. Answers the milliseconds. */
function timed(world: World, { path, body, expected }: Ask): Promise<number> {
  const text = JSON.stringify(body)
  addresses++
  const address = `10.${(addresses >> 16) & 255}.${(addresses >> 8) & 255}.${addresses & 255}`
  return new Promise((resolve, reject) => {
    const began = performance.now()
    request(
      world.server.url + path,
      {
        method: 'POST',
        agent,
        headers: {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(text),
          'x-forwarded-for': address,
        },
      },
      (answer) => {
        answer.resume().on('end', () => {
          if (answer.statusCode === expected) resolve(performance.now() - began)
          else reject(new Error(`${path} answered ${answer.statusCode}`))
        })
      },
    )
      .on('error', reject)
      .end(text)
  })
}

async function measure(world: World, size: Size, known: (i: number) => Ask, unknown: (i: number) => Ask) {
  const row = Array.from({ length: size.samples }, (_, i) => ({ isKnown: i % 2 === 0, number: i >> 1 }))
  for (let i = row.length - 1; i > 0; i--) {
    const other = random.whole(0, i)
    ;[row[i], row[other]] = [row[other]!, row[i]!]
  }
  const times = { known: [] as number[], unknown: [] as number[] }
  await Promise.all(
    Array.from({ length: size.atOnce }, async () => {
      for (let next = row.pop(); next; next = row.pop()) {
        const took = await timed(world, next.isKnown ? known(next.number) : unknown(next.number))
        times[next.isKnown ? 'known' : 'unknown'].push(took)
      }
    }),
  )
  return times
}

async function cannotBeToldApart(
  t: TestContext,
  world: World,
  size: Size,
  known: (i: number) => Ask,
  unknown: (i: number) => Ask,
): Promise<void> {
  await measure(world, { ...size, samples: 40 }, known, unknown) // connections, statements and code are warm
  for (let round = 1; ; round++) {
    const times = await measure(world, size, known, unknown)
    const likelihood = likelihoodOfOneSource(times.known, times.unknown)
    t.diagnostic(
      `${size.samples} samples, seed ${SEED}: known ${median(times.known).toFixed(2)} ms, unknown ${median(times.unknown).toFixed(2)} ms ` +
        `(medians), p = ${likelihood.toFixed(4)}; a difference of ${smallestNoticed(times.known, times.unknown, LEVEL, 100).toFixed(2)} ms would be noticed`,
    )
    if (likelihood > LEVEL) return
    assert.ok(round < ROUNDS_MAX, 'known and unknown names can be told apart by how long the answer takes')
  }
}

for (const [what, world, atOnce] of [
  ['as it is', () => house, 10],
  ['even when a refusal does not wait for its moment', () => bare, 2],
] as const) {
  test(`signing in takes as long with an unknown name as with a wrong password, ${what}`, (t) => {
    const ask = (username: string): Ask => ({
      path: '/api/auth/sign-in/username',
      body: { username, password: 'not the password' },
      expected: 401,
    })
    return cannotBeToldApart(
      t,
      world(),
      { samples: 2_000, atOnce },
      (i) => ask(`known${i % KNOWN}`),
      (i) => ask(`other${i % KNOWN}`),
    )
  })
}

test('asking for a new password takes as long for an unknown name', (t) => {
  const ask = (login: string): Ask => ({ path: '/api/auth/password/forgotten', body: { login }, expected: 202 })
  return cannotBeToldApart(
    t,
    house,
    { samples: 600, atOnce: 2 },
    (i) => ask(`known${i % KNOWN}@sandbox.example`),
    (i) => ask(`other${i % KNOWN}@sandbox.example`),
  )
})

test('asking for the link again takes as long for an unknown address', (t) => {
  const ask = (email: string): Ask => ({ path: '/api/auth/sign-up/resend', body: { email }, expected: 202 })
  return cannotBeToldApart(
    t,
    house,
    { samples: 600, atOnce: 2 },
    (i) => ask(`known${i % KNOWN}@sandbox.example`),
    (i) => ask(`other${i % KNOWN}@sandbox.example`),
  )
})

test('joining takes as long with an address that has an account', (t) => {
  let names = 0
  const ask = (email: string): Ask => ({
    path: '/api/auth/sign-up',
    body: {
      username: `joining${++names}`,
      email,
      password: 'a stone, a lamp, a river',
      adult: true,
      accepted: policyVersions,
    },
    expected: 202,
  })
  return cannotBeToldApart(
    t,
    house,
    { samples: 200, atOnce: 2 },
    (i) => ask(`known${i % KNOWN}@sandbox.example`),
    (i) => ask(`other${i % KNOWN}@sandbox.example`),
  )
})
