/** A copy of the checkout in which something may be broken, and runs of its tests. */
import { spawn } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import pg from 'pg'
import { clusterUrl } from './database.ts'
import type { Said } from './first-failure.ts'

const ROOT = join(import.meta.dirname, '..')
/** What no test of the server reads. */
const leftOut = ['node_modules', '.git', '.data', 'docs/pictures', 'web/dist']

/** How a run of one test file ended. `failed`: its first failure; null when all passed. `late`: it was not over, and was ended. */
export type Verdict = {
  passed: string[]
  failed: { test: string; assertion: boolean; why: string } | null
  late: boolean
}

export type Copy = ReturnType<typeof copyCheckout>

/** What runs, each in a group of its own: it ends with this process, also with one that is told to end. */
const running = new Set<number>()
process.on('exit', () => {
  for (const pid of running) endGroup(pid)
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))

export function copyCheckout() {
  const folder = mkdtempSync(join(tmpdir(), 'copy-of-checkout-'))
  cpSync(ROOT, folder, {
    recursive: true,
    filter: (path) => !leftOut.includes(relative(ROOT, path)),
  })
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'), 'dir')
  const written = new Set<string>()

  return {
    folder,

    write(file: string, text: string): void {
      written.add(file)
      writeFileSync(join(folder, file), text)
    },

    /** As it was copied. */
    restore(): void {
      for (const file of written) {
        rmSync(join(folder, file))
        const original = readOriginal(file)
        if (original !== null) writeFileSync(join(folder, file), original)
      }
      written.clear()
    },

    /** Runs a test file up to its first failure; `names`: these tests only; `skip`: all but these. */
    async test(
      file: string,
      settings: { names?: string[]; skip?: string[]; env?: Record<string, string>; secondsMax: number },
    ): Promise<Verdict> {
      const { names = [], skip = [], env = {}, secondsMax } = settings
      const exactly = (name: string) => `^${name.replaceAll(/[.*+?^${}()|[\]\\/]/g, '\\$&')}$`
      const patterns = [
        ...names.map((name) => `--test-name-pattern=${exactly(name)}`),
        ...skip.map((name) => `--test-skip-pattern=${exactly(name)}`),
      ]
      const child = spawn(
        process.execPath,
        [
          `--test-reporter=${join(folder, 'test/first-failure.ts')}`,
          '--test-reporter-destination=stdout',
          ...patterns,
          file,
        ],
        {
          cwd: folder,
          // A group of its own, so that what it starts ends with it.
          detached: true,
          env: { ...process.env, NODE_TEST_CONTEXT: undefined, NODE_COMPILE_CACHE: join(folder, '.compiled'), ...env },
          stdio: ['ignore', 'pipe', 'pipe'],
        },
      )
      const { pid } = child
      if (pid !== undefined) running.add(pid)
      let said = ''
      let complained = ''
      child.stdout.on('data', (chunk) => {
        said += chunk
      })
      child.stderr.on('data', (chunk) => {
        complained += chunk
      })
      let late = false
      const timer = setTimeout(() => {
        late = true
        endGroup(pid)
      }, secondsMax * 1000)
      const code = await new Promise((resolve) => child.once('close', resolve))
      clearTimeout(timer)
      endGroup(pid)
      if (pid !== undefined) running.delete(pid)
      if (code !== 0) await dropDatabasesOf(pid!)
      const passed: string[] = []
      let failed: Verdict['failed'] = null
      for (const line of said.split('\n').filter((text) => text.startsWith('{"'))) {
        const one = JSON.parse(line) as Said
        if ('passed' in one) passed.push(one.passed)
        else failed = { test: one.failed, assertion: one.assertion, why: one.why }
      }
      if (late) failed ??= { test: file, assertion: false, why: `not over within ${secondsMax} s` }
      if (code !== 0)
        failed ??= { test: file, assertion: false, why: complained.trim().slice(-2000) || said.slice(-2000) }
      return { passed, failed, late }
    },

    close(): void {
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function readOriginal(file: string): string | null {
  try {
    return readFileSync(join(ROOT, file), 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

function endGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch {
    // Nothing of it is left.
  }
}

/** A run that ends at its first failure leaves its databases behind. */
async function dropDatabasesOf(pid: number): Promise<void> {
  const owner = new pg.Client({ connectionString: clusterUrl() })
  await owner.connect()
  try {
    const { rows } = await owner.query('select datname from pg_database where starts_with(datname, $1)', [
      `test_${pid}_`,
    ])
    for (const { datname } of rows) await owner.query(`drop database if exists ${datname} with (force)`)
  } finally {
    await owner.end()
  }
}
