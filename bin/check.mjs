/**
 * `npm run check`: the quick part of the tests. Every step runs, so that one run shows everything that is wrong.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { keepLock, runQuietly, withCrew } from './crew.mjs'
import { checkout } from './folders.mjs'
import { checkPlatform, childEnvironment, pinnedNode, preparePackages } from './install.mjs'
import { begin, done, line } from './say.mjs'
import { report, timed } from './steps.mjs'

const tools = {
  tsc: 'node_modules/typescript/bin/tsc',
  oxlint: 'node_modules/oxlint/bin/oxlint',
  biome: 'node_modules/@biomejs/biome/bin/biome',
  knip: 'node_modules/knip/bin/knip.js',
}

export const architectureTest = 'test/architecture.test.ts'

/** What is checked, by which command; left out where the file that it is about does not exist. */
const checks = [
  { name: 'types', about: 'tsconfig.json', args: [tools.tsc, '-p', '.'] },
  { name: 'types of the pages', about: 'web/tsconfig.json', args: [tools.tsc, '-p', 'web'] },
  { name: 'types of the launcher', about: 'bin/tsconfig.json', args: [tools.tsc, '-p', 'bin'] },
  { name: 'lint', about: '.oxlintrc.json', args: [tools.oxlint, '--type-aware', '--deny-warnings'] },
  { name: 'format', about: 'biome.json', args: [tools.biome, 'ci', '--colors=off', '--error-on-warnings', '.'] },
  { name: 'unused code', about: 'knip.json', args: [tools.knip, '--no-progress'] },
  { name: 'architecture', about: architectureTest, args: ['--test', architectureTest] },
]

/** @returns {Promise<number>} the exit code */
export async function check() {
  checkPlatform()
  return withCrew(async () => {
    keepLock(await preparePackages('check'))
    return report(await runChecks())
  })
}

/** @returns {Promise<import('./steps.mjs').Step[]>} */
export async function runChecks() {
  const steps = []
  for (const { name, about, args } of checks) {
    if (!existsSync(join(checkout, about))) continue
    begin('Check', name)
    let said = ''
    const step = await timed(name, async () => {
      const ran = await runQuietly(pinnedNode, args, { cwd: checkout, env: childEnvironment(process.env) })
      said = ran.error?.message ?? ran.output.trim()
      return ran.code === 0
    })
    done(`${name} ${step.ok ? 'passed' : 'FAILED'}`)
    if (!step.ok) line(said)
    steps.push(step)
  }
  return steps
}
